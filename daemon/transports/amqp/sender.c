/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/transports/amqp/sender.h"

#include "daemon/transports/amqp/address.h"
#include "daemon/transports/amqp/condition.h"
#include "daemon/transports/amqp/encode.h"
#include "daemon/transports/amqp/format.h"

#include <string.h>

/*
 * A message is an Item: first in the list of those that wait, then in the Batch that its delivery
 * carries. When the hub refuses a batch for what may be the fault of one of them, they go back to
 * their place in the list, each to travel alone from then on, so that only the bad one is refused.
 *
 * Order: once something has come back, nothing more is sent until the hub has answered for all that
 * is on its way; then it goes on in the old order. What was under way behind a refused batch may be
 * accepted before the batch is sent anew: only one transfer at a time could prevent that, which
 * would make each wait for the answer to the one before.
 */
typedef struct Item Item;
struct Item {
    Item *next;
    SpokeMessage *message; /* owned */
    guint64 number;        /* rises in the order they are to be sent */
    gboolean is_alone;     /* was in a batch that was refused */
    gboolean has_id;
    char id[]; /* of a message that has none itself */
};

typedef struct {
    Item *first; /* owned */
    guint n;
    gsize bytes;
} Batch;

struct SpokeAmqpSender {
    SpokeAmqpLinkOwner owner;
    SpokeAmqpLine *line;
    SpokeIdentity *identity;
    const SpokeAmqpSenderEvents *events;
    gpointer user_data;

    pn_link_t *link;  /* the engine's; NULL once failed */
    GList ready_link; /* in the line's queue, when is_ready */
    gboolean is_ready;
    Item *waiting;      /* owned */
    Item **waiting_end; /* where the next one goes */
    guint64 last_number;
    guint32 last_tag;
    guint n_batches; /* unsettled */

    /* The hub has refused something for what is not the message's fault, or released it: nothing
     * more is sent, and failed() follows when it has answered for all the rest, so that none is
     * sent twice. */
    gboolean is_failing;
    SpokeCause cause;
    char *detail; /* owned */
};

/* One frame of the hub's holds a batch: it costs no more to send several. Source:
 * iot-hub-protocol.md, 3.2 (max-frame-size), and 3.5: the peer's max-message-size less 1024. */
#define BATCH_BYTES_MAX   (65536 - 512)
#define MESSAGE_BYTES_GAP 1024

/* Written, or waiting to be: enough to keep the line busy. */
#define BACKLOG_BYTES_MAX 262144
/* Of all senders: memory that Proton, or libsoup, holds for us. */
#define UNSETTLED_BYTES_MAX (8 * 1024 * 1024)

/* Items */

static Item *
item_new(const SpokeOutgoing *outgoing, guint64 number)
{
    gsize id_size = outgoing->message_id != NULL ? strlen(outgoing->message_id) + 1 : 0;
    Item *item = g_malloc(sizeof(Item) + id_size);

    item->next = NULL;
    item->message = spoke_message_ref(outgoing->message);
    item->number = number;
    item->is_alone = FALSE;
    item->has_id = id_size > 0;
    if (item->has_id)
        memcpy(item->id, outgoing->message_id, id_size);
    return item;
}

static void
items_free(Item *item)
{
    while (item != NULL) {
        Item *next = item->next;

        spoke_message_unref(item->message);
        g_free(item);
        item = next;
    }
}

static const char *
get_id(const Item *item)
{
    return item->has_id ? item->id : NULL;
}

static void
batch_free(Batch *batch)
{
    if (batch == NULL)
        return;
    items_free(batch->first);
    g_free(batch);
}

/* The first @n that wait. (transfer full) */
static Item *
take_waiting(SpokeAmqpSender *sender, guint n)
{
    Item *first = sender->waiting;
    Item **end = &sender->waiting;

    for (guint i = 0; i < n; i++)
        end = &(*end)->next;
    sender->waiting = *end;
    if (sender->waiting == NULL)
        sender->waiting_end = &sender->waiting;
    *end = NULL;
    return first;
}

/* Among those that wait, before what was to be sent later. @items: (transfer full): were sent
 * together. */
static void
put_back(SpokeAmqpSender *sender, Item *items)
{
    Item **place = &sender->waiting;
    Item **end = &items->next;

    while (*place != NULL && (*place)->number < items->number)
        place = &(*place)->next;
    while (*end != NULL)
        end = &(*end)->next;
    *end = *place;
    if (*place == NULL)
        sender->waiting_end = end;
    *place = items;
}

static void
put_back_alone(SpokeAmqpSender *sender, Item *items)
{
    for (Item *item = items; item != NULL; item = item->next)
        item->is_alone = TRUE;
    put_back(sender, items);
}

/* Ready: it has something to send, and credit for it. One batch of an identity is on its way at a
 * time: with several, those behind one that the hub refuses would arrive before its messages do,
 * and order is promised. What that costs is little: a batch holds hundreds of messages, and others'
 * go meanwhile. */

static gboolean
can_send(SpokeAmqpSender *sender)
{
    return sender->waiting != NULL && sender->link != NULL && !sender->is_failing &&
           sender->n_batches == 0 && pn_link_credit(sender->link) > 0;
}

static void
update_ready(SpokeAmqpSender *sender)
{
    gboolean is_ready = can_send(sender);

    if (is_ready == sender->is_ready)
        return;
    sender->is_ready = is_ready;
    if (is_ready) {
        g_queue_push_tail_link(&sender->line->ready, &sender->ready_link);
        spoke_amqp_engine_wake(sender->line->engine);
    } else {
        g_queue_unlink(&sender->line->ready, &sender->ready_link);
    }
}

/* Settling */

/* @items: (transfer full): all with one verdict */
static void
settle(SpokeAmqpSender *sender, Item *items, guint n, SpokeVerdict verdict, const char *detail)
{
    g_autofree SpokeSettlement *settlements = g_new(SpokeSettlement, n);
    guint i = 0;

    for (const Item *item = items; item != NULL; item = item->next)
        settlements[i++] =
            (SpokeSettlement){.message = item->message, .verdict = verdict, .detail = detail};
    spoke_amqp_line_settled(sender->line, sender->identity, settlements, n);
    items_free(items);
}

/* Sending */

static gsize
get_batch_max(SpokeAmqpSender *sender)
{
    guint64 peer_max = pn_link_remote_max_message_size(sender->link);

    if (peer_max == 0)
        return BATCH_BYTES_MAX;
    return peer_max > MESSAGE_BYTES_GAP ? MIN(peer_max - MESSAGE_BYTES_GAP, BATCH_BYTES_MAX) : 0;
}

/* As many of those that wait as one batch holds, into the line's scratch. Returns: their number;
 * less than two are no batch */
static guint
gather(SpokeAmqpSender *sender)
{
    GByteArray *scratch = sender->line->scratch;
    gsize max = get_batch_max(sender);
    guint n = 0;

    for (const Item *item = sender->waiting; item != NULL && !item->is_alone; item = item->next) {
        guint size = scratch->len;

        if (n == sender->line->batch_max || size + item->message->body_size > max ||
            spoke_amqp_find_fault(item->message) != NULL)
            break;
        spoke_amqp_encode_entry(scratch, item->message, get_id(item));
        if (scratch->len > max) {
            g_byte_array_set_size(scratch, size);
            break;
        }
        n++;
    }
    return n;
}

static void
transfer(SpokeAmqpSender *sender, guint n, gboolean is_batch)
{
    GByteArray *scratch = sender->line->scratch;
    guint32 tag[SPOKE_AMQP_BATCH_TAG_SIZE / sizeof(guint32)] = {++sender->last_tag};
    pn_delivery_tag_t tag_bytes =
        pn_dtag((const char *)tag, is_batch ? SPOKE_AMQP_BATCH_TAG_SIZE : SPOKE_AMQP_TAG_SIZE);
    Batch *batch = g_new(Batch, 1);

    *batch = (Batch){.first = take_waiting(sender, n), .n = n, .bytes = scratch->len};
    sender->line->unsettled_bytes += batch->bytes;
    sender->n_batches++;
    pn_delivery_set_context(pn_delivery(sender->link, tag_bytes), batch);
    pn_link_send(sender->link, (const char *)scratch->data, scratch->len);
    pn_link_advance(sender->link);
    g_byte_array_set_size(scratch, 0);
}

static void
refuse_first(SpokeAmqpSender *sender, const char *detail)
{
    g_byte_array_set_size(sender->line->scratch, 0);
    settle(sender, take_waiting(sender, 1), 1, SPOKE_VERDICT_REJECT, detail);
}

/* Alone, in the plain format; or not at all. */
static void
send_first(SpokeAmqpSender *sender)
{
    const Item *item = sender->waiting;
    GByteArray *scratch = sender->line->scratch;
    guint64 max = pn_link_remote_max_message_size(sender->link);
    const char *fault = spoke_amqp_find_fault(item->message);

    if (fault != NULL) {
        refuse_first(sender, fault);
        return;
    }
    spoke_amqp_encode(scratch, item->message, get_id(item));
    if (max > 0 && scratch->len > max) {
        g_autofree char *detail =
            g_strdup_printf("The message takes %u bytes in AMQP, over the hub's limit of "
                            "%" G_GUINT64_FORMAT,
                            scratch->len, max);

        refuse_first(sender, detail);
        return;
    }
    transfer(sender, 1, FALSE);
}

static void
send_some(SpokeAmqpSender *sender)
{
    gboolean is_several = !sender->waiting->is_alone && sender->waiting->next != NULL;
    guint n = is_several ? gather(sender) : 0;

    if (n >= 2) {
        transfer(sender, n, TRUE);
    } else {
        g_byte_array_set_size(sender->line->scratch, 0);
        send_first(sender);
    }
}

void
spoke_amqp_senders_flush(SpokeAmqpLine *line)
{
    while (!g_queue_is_empty(&line->ready) && !line->is_silent &&
           line->unsettled_bytes < UNSETTLED_BYTES_MAX &&
           spoke_amqp_engine_get_backlog(line->engine) < BACKLOG_BYTES_MAX) {
        SpokeAmqpSender *sender = g_queue_peek_head(&line->ready);

        /* To the end of the queue, if it stays there. */
        g_queue_unlink(&line->ready, &sender->ready_link);
        g_queue_push_tail_link(&line->ready, &sender->ready_link);
        send_some(sender);
        update_ready(sender);
    }
}

/* The link */

static void
on_opened(SpokeAmqpLinkOwner *owner, pn_link_t *link)
{
    SpokeAmqpSender *sender = (SpokeAmqpSender *)owner;

    update_ready(sender);
    sender->events->opened(sender->user_data);
}

static void
on_closed(SpokeAmqpLinkOwner *owner, pn_link_t *link, const char *condition,
          const char *description)
{
    SpokeAmqpSender *sender = (SpokeAmqpSender *)owner;
    SpokeCause cause = spoke_amqp_condition_get_cause(condition, SPOKE_AMQP_SCOPE_LINK);
    g_autofree char *detail = spoke_amqp_condition_format(condition, description);

    sender->events->failed(cause, detail != NULL ? detail : "The hub closed the link for telemetry",
                           sender->user_data);
}

static void
on_flow(SpokeAmqpLinkOwner *owner, pn_link_t *link)
{
    update_ready((SpokeAmqpSender *)owner);
}

/* @detail: (transfer full) */
static void
start_failing(SpokeAmqpSender *sender, SpokeCause cause, char *detail)
{
    if (sender->is_failing) {
        g_free(detail);
        return;
    }
    sender->is_failing = TRUE;
    sender->cause = cause;
    sender->detail = detail;
}

static void
on_rejected(SpokeAmqpSender *sender, Item *items /* (transfer full) */, guint n,
            const char *condition, const char *description)
{
    if (!spoke_amqp_condition_is_message_fault(condition)) {
        put_back_alone(sender, items);
        /* A batch is taken or refused as one, so what may pass a limit is less. */
        sender->line->batch_max = MAX(n / 2, 1);
        start_failing(sender, spoke_amqp_condition_get_cause(condition, SPOKE_AMQP_SCOPE_LINK),
                      spoke_amqp_condition_format(condition, description));
    } else if (n > 1) {
        put_back_alone(sender, items);
    } else {
        g_autofree char *detail = spoke_amqp_condition_format(condition, description);

        settle(sender, items, 1, SPOKE_VERDICT_REJECT, detail);
    }
}

/* Not now, then: sent again at once it would come back at once, and so on. */
static void
on_released(SpokeAmqpSender *sender, Item *items /* (transfer full) */)
{
    put_back(sender, items);
    start_failing(sender, SPOKE_CAUSE_UNAVAILABLE,
                  g_strdup("The hub gave a message back without taking or refusing it"));
}

static void
on_accepted(SpokeAmqpSender *sender, guint n)
{
    guint *batch_max = &sender->line->batch_max;

    if (n == *batch_max)
        *batch_max = *batch_max <= G_MAXUINT / 2 ? *batch_max * 2 : G_MAXUINT;
}

static SpokeVerdict
get_verdict(guint64 outcome, pn_disposition_t *disposition)
{
    if (outcome == PN_ACCEPTED)
        return SPOKE_VERDICT_ACCEPT;
    if (outcome == PN_MODIFIED && pn_disposition_is_undeliverable(disposition))
        return SPOKE_VERDICT_REJECT;
    return SPOKE_VERDICT_RELEASE; /* released, modified, or settled without a word */
}

static gboolean
is_final(guint64 outcome)
{
    return outcome == PN_ACCEPTED || outcome == PN_REJECTED || outcome == PN_RELEASED ||
           outcome == PN_MODIFIED;
}

static void
on_delivery(SpokeAmqpLinkOwner *owner, pn_link_t *link, pn_delivery_t *delivery)
{
    SpokeAmqpSender *sender = (SpokeAmqpSender *)owner;
    pn_disposition_t *disposition = pn_delivery_remote(delivery);
    guint64 outcome = pn_disposition_type(disposition);
    Batch *batch = pn_delivery_get_context(delivery);

    if (batch == NULL || (!is_final(outcome) && !pn_delivery_settled(delivery)))
        return;

    pn_condition_t *condition = pn_disposition_condition(disposition);
    g_autofree char *name = g_strdup(pn_condition_get_name(condition));
    g_autofree char *description = g_strdup(pn_condition_get_description(condition));
    SpokeVerdict verdict = get_verdict(outcome, disposition);

    Item *items = g_steal_pointer(&batch->first);
    guint n = batch->n;

    pn_delivery_set_context(delivery, NULL);
    pn_delivery_settle(delivery);
    sender->line->unsettled_bytes -= batch->bytes;
    sender->n_batches--;
    batch_free(batch);
    if (outcome == PN_ACCEPTED)
        on_accepted(sender, n);
    if (outcome == PN_REJECTED)
        on_rejected(sender, items, n, name, description);
    else if (verdict == SPOKE_VERDICT_RELEASE)
        on_released(sender, items);
    else if (verdict == SPOKE_VERDICT_REJECT && n > 1)
        put_back_alone(sender, items);
    else
        settle(sender, items, n, verdict, NULL);
    update_ready(sender);
    spoke_amqp_engine_wake(sender->line->engine); /* there may be room now */
    if (sender->is_failing && sender->n_batches == 0)
        sender->events->failed(sender->cause, sender->detail, sender->user_data);
}

/* Public functions */

SpokeAmqpSender *
spoke_amqp_sender_new(SpokeAmqpLine *line, SpokeIdentity *identity, gboolean tells_product,
                      const SpokeAmqpSenderEvents *events, gpointer user_data)
{
    static const SpokeAmqpLinkHandler handler = {
        .opened = on_opened,
        .closed = on_closed,
        .flow = on_flow,
        .delivery = on_delivery,
    };
    SpokeAmqpSender *sender = g_new0(SpokeAmqpSender, 1);
    g_autofree char *node = spoke_amqp_address_new(identity);
    g_autofree char *address = g_strconcat(node, "/messages/events", NULL);

    sender->owner.handler = &handler;
    sender->line = line;
    sender->identity = identity;
    sender->events = events;
    sender->user_data = user_data;
    sender->ready_link.data = sender;
    sender->waiting_end = &sender->waiting;
    sender->link = spoke_amqp_engine_add_link(line->engine, TRUE, &sender->owner);
    pn_terminus_set_address(pn_link_target(sender->link), address);
    if (tells_product)
        spoke_amqp_link_set_product(sender->link, line->product);
    pn_link_open(sender->link);
    spoke_amqp_engine_wake(line->engine);
    return sender;
}

static void
drop_batches(SpokeAmqpSender *sender)
{
    for (pn_delivery_t *delivery = pn_unsettled_head(sender->link); delivery != NULL;
         delivery = pn_unsettled_next(delivery)) {
        Batch *batch = pn_delivery_get_context(delivery);

        if (batch == NULL)
            continue;
        pn_delivery_set_context(delivery, NULL);
        sender->line->unsettled_bytes -= batch->bytes;
        batch_free(batch);
    }
}

void
spoke_amqp_sender_free(SpokeAmqpSender *sender)
{
    if (sender == NULL)
        return;

    drop_batches(sender);
    spoke_amqp_engine_drop_link(sender->line->engine, g_steal_pointer(&sender->link));
    update_ready(sender); /* no more */
    items_free(sender->waiting);
    g_free(sender->detail);
    g_free(sender);
}

void
spoke_amqp_sender_send(SpokeAmqpSender *sender, const SpokeOutgoing *messages, guint n)
{
    for (guint i = 0; i < n; i++) {
        Item *item = item_new(&messages[i], ++sender->last_number);

        *sender->waiting_end = item;
        sender->waiting_end = &item->next;
    }
    update_ready(sender);
}
