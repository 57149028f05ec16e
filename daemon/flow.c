/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/flow.h"

#include "daemon/events.h"
#include "daemon/inflight.h"

/*
 * Taking may run ahead of sending by less than BATCH messages: how large a message is shows only
 * when it is there. After a hub closed on us without a word, the window is one message wide until
 * something gets through: see suspicion.h.
 */
struct SpokeFlow {
    SpokeSpool *spool;   /* borrowed */
    SpokeOutbox *outbox; /* borrowed */

    const SpokeTransportModule *module; /* borrowed, as the following; NULL between connections */
    SpokeTransport *transport;
    SpokeIdentity *identity;

    SpokeInflight *inflight; /* owned */
    GPtrArray *held;         /* the suspect, and those skipped, while the one after is tried */
    SpokeSuspicion suspicion;
    gboolean was_any_acked; /* on this connection */
    gboolean is_feeding;
    SpokeLoadPart part; /* what was taken, on the connection's load */

    GHashTable *arrivals; /* owned; guint64 * → the transport's token */
    guint64 last_arrival;
};

#define BATCH 16

SpokeFlow *
spoke_flow_new(SpokeSpool *spool, SpokeOutbox *outbox)
{
    SpokeFlow *flow = g_new0(SpokeFlow, 1);

    flow->spool = spool;
    flow->outbox = outbox;
    flow->inflight = spoke_inflight_new();
    flow->held = g_ptr_array_new();
    flow->arrivals = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
    return flow;
}

static guint
get_window(SpokeFlow *flow)
{
    return spoke_suspicion_get_mode(&flow->suspicion) == SPOKE_SUSPICION_NONE ? flow->module->window
                                                                              : 1;
}

/* Returns: whether all of @n were there */
static gboolean
take_all(SpokeFlow *flow, guint n)
{
    SpokeMessage *messages[BATCH];
    guint n_taken = spoke_outbox_take(flow->outbox, messages, n);

    for (guint i = 0; i < n_taken; i++) {
        spoke_load_add(&flow->part, messages[i]);
        spoke_inflight_add(flow->inflight, messages[i]);
    }
    return n_taken == n;
}

/* Into the inflight list, @max at most. */
static void
take(SpokeFlow *flow, guint max)
{
    guint n_left = MIN(max, BATCH);
    guint n = 0;

    while (n_left > 0 && (n = spoke_load_grant(&flow->part, n_left)) > 0 && take_all(flow, n))
        n_left -= n;
}

/* For which there is likely to be room in the window. */
static guint
guess_room(SpokeFlow *flow, guint window)
{
    guint n_sent = spoke_inflight_get_sent(flow->inflight);
    size_t sent_bytes = spoke_inflight_get_sent_bytes(flow->inflight);
    size_t left_bytes = flow->module->window_bytes - MIN(sent_bytes, flow->module->window_bytes);

    if (n_sent == 0)
        return 1;
    return (guint)MIN(window - n_sent, left_bytes / spoke_load_guess_cost(&flow->part));
}

/* The next to be sent, if there is one and room for it. (transfer none) */
static SpokeMessage *
next_message(SpokeFlow *flow)
{
    guint window = get_window(flow);
    guint n_sent = spoke_inflight_get_sent(flow->inflight);

    if (n_sent >= window)
        return NULL;

    SpokeMessage *message = spoke_inflight_peek(flow->inflight);

    if (message == NULL) {
        take(flow, guess_room(flow, window));
        message = spoke_inflight_peek(flow->inflight);
    }
    if (message == NULL || n_sent == 0)
        return message;

    size_t bytes = spoke_inflight_get_sent_bytes(flow->inflight) + spoke_message_cost(message);

    return bytes <= flow->module->window_bytes ? message : NULL;
}

/* On trial: the suspect, and those after it that fared no better, step aside for the message after
 * them, if there is one. Only while nothing is sent, so that the suspect is the first that waits.
 */
static void
hold_suspect(SpokeFlow *flow)
{
    guint n_held = 1 + flow->suspicion.skipped;
    guint n = 0;

    if (flow->held->len > 0 || spoke_inflight_get_sent(flow->inflight) > 0 ||
        spoke_suspicion_get_mode(&flow->suspicion) != SPOKE_SUSPICION_TRIAL)
        return;

    take(flow, n_held + 1);
    g_autofree SpokeMessage **messages = spoke_inflight_steal(flow->inflight, &n);
    gboolean is_first = n > 0 && messages[0]->id == flow->suspicion.suspect;

    for (guint i = 0; i < n; i++) {
        if (is_first && i < n_held && i + 1 < n)
            g_ptr_array_add(flow->held, messages[i]);
        else
            spoke_inflight_add(flow->inflight, messages[i]);
    }
}

/* All that is not settled goes back; those held are the oldest. */
static void
give_back(SpokeFlow *flow)
{
    guint n = 0;
    g_autofree SpokeMessage **messages = spoke_inflight_steal(flow->inflight, &n);
    g_autoptr(GPtrArray) all = g_steal_pointer(&flow->held);

    flow->held = g_ptr_array_new();
    for (guint i = 0; i < n; i++)
        g_ptr_array_add(all, messages[i]);
    for (guint i = 0; i < all->len && flow->part.load != NULL; i++)
        spoke_load_remove(&flow->part, all->pdata[i]);
    if (all->len > 0)
        spoke_outbox_give_back(flow->outbox, (SpokeMessage **)all->pdata, all->len);
}

static gboolean
send_batch(SpokeFlow *flow)
{
    SpokeOutgoing batch[BATCH];
    char ids[BATCH][SPOKE_SPOOL_MESSAGE_ID_SIZE];
    guint n = 0;

    for (; n < BATCH; n++) {
        SpokeMessage *message = next_message(flow);

        if (message == NULL)
            break;
        spoke_inflight_advance(flow->inflight);
        spoke_spool_format_message_id(flow->spool, message->id, ids[n]);
        batch[n] = (SpokeOutgoing){.message = message, .message_id = ids[n]};
    }
    if (n > 0)
        flow->module->send(flow->transport, flow->identity, batch, n);
    return n == BATCH;
}

void
spoke_flow_feed(SpokeFlow *flow)
{
    if (flow->transport == NULL || flow->is_feeding)
        return;

    flow->is_feeding = TRUE; /* taking may settle expired messages, whose owner may wake us */
    hold_suspect(flow);
    while (send_batch(flow))
        ;
    flow->is_feeding = FALSE;
}

void
spoke_flow_begin(SpokeFlow *flow, const SpokeTransportModule *module, SpokeTransport *transport,
                 SpokeIdentity *identity, SpokeLoad *load, gpointer owner)
{
    spoke_load_join(load, &flow->part, owner);
    flow->module = module;
    flow->transport = transport;
    flow->identity = identity;
    flow->was_any_acked = FALSE;
}

static void
on_accepted(SpokeFlow *flow, guint64 id)
{
    flow->was_any_acked = TRUE;
    spoke_suspicion_note_acked(&flow->suspicion, id);
    if (flow->held->len > 0)
        give_back(flow); /* the suspect is next */
}

/* @message: (transfer full) */
static void
reject(SpokeFlow *flow, SpokeMessage *message, const char *detail)
{
    spoke_event_rejected(flow->identity->name, message->id,
                         message->app != NULL ? message->app : "an unknown program",
                         message->body_size, detail);
    spoke_outbox_settle(flow->outbox, message, SPOKE_OUTCOME_REJECTED, detail);
}

/* Those that wait go with them, or they would be sent first. @released: without the load's count,
 * unlike them */
static void
give_back_released(SpokeFlow *flow, GPtrArray *released)
{
    guint n = 0;
    g_autofree SpokeMessage **waiting = spoke_inflight_steal_waiting(flow->inflight, &n);

    for (guint i = 0; i < n; i++) {
        spoke_load_remove(&flow->part, waiting[i]);
        g_ptr_array_add(released, waiting[i]);
    }
    spoke_outbox_give_back(flow->outbox, (SpokeMessage **)released->pdata, released->len);
}

/* @released: to which one that is released is added */
static void
settle(SpokeFlow *flow, const SpokeSettlement *settlement, GPtrArray *released)
{
    SpokeMessage *message = settlement->message;

    if (!spoke_inflight_remove(flow->inflight, message))
        return;
    spoke_load_remove(&flow->part, message);
    switch (settlement->verdict) {
    case SPOKE_VERDICT_ACCEPT:
        on_accepted(flow, message->id);
        spoke_outbox_settle(flow->outbox, message, SPOKE_OUTCOME_ACCEPTED, settlement->detail);
        break;
    case SPOKE_VERDICT_RELEASE:
        g_ptr_array_add(released, message);
        break;
    case SPOKE_VERDICT_REJECT:
        reject(flow, message,
               settlement->detail != NULL ? settlement->detail : "the hub refused it");
        break;
    }
}

void
spoke_flow_settled(SpokeFlow *flow, const SpokeSettlement *settlements, guint n)
{
    g_autoptr(GPtrArray) released = g_ptr_array_new();

    for (guint i = 0; i < n; i++)
        settle(flow, &settlements[i], released);
    if (released->len > 0)
        give_back_released(flow, released);
}

static void
reject_suspect(SpokeFlow *flow)
{
    SpokeMessage *suspect = spoke_inflight_get_oldest(flow->inflight);

    spoke_suspicion_clear(&flow->suspicion);
    if (suspect != NULL && spoke_inflight_remove(flow->inflight, suspect))
        reject(flow, suspect,
               "the hub closed the connection each time it was sent, and takes other messages");
}

SpokeCause
spoke_flow_end(SpokeFlow *flow, SpokeCause cause, gint64 lived_usec)
{
    const SpokeMessage *oldest = spoke_inflight_get_oldest(flow->inflight);
    const SpokeConnectionEnd end = {
        .cause = cause,
        .lived_usec = lived_usec,
        .was_any_acked = flow->was_any_acked,
        .oldest = oldest != NULL ? oldest->id : 0,
    };

    flow->module = NULL;
    flow->transport = NULL;
    spoke_load_leave(&flow->part);
    g_hash_table_remove_all(flow->arrivals);
    cause = spoke_suspicion_note_end(&flow->suspicion, &end);
    if (spoke_suspicion_is_proved(&flow->suspicion))
        reject_suspect(flow);
    flow->identity = NULL;
    give_back(flow);
    return cause;
}

void
spoke_flow_free(SpokeFlow *flow)
{
    if (flow == NULL)
        return;

    spoke_load_leave(&flow->part);
    give_back(flow);
    spoke_inflight_free(flow->inflight);
    g_ptr_array_unref(flow->held);
    g_hash_table_unref(flow->arrivals);
    g_free(flow);
}

guint
spoke_flow_get_sent(SpokeFlow *flow)
{
    return spoke_inflight_get_sent(flow->inflight);
}

guint64
spoke_flow_get_queued(SpokeFlow *flow)
{
    return spoke_outbox_get_messages(flow->outbox);
}

guint64
spoke_flow_add_arrival(SpokeFlow *flow, gpointer token)
{
    guint64 number = ++flow->last_arrival;

    g_hash_table_insert(flow->arrivals, g_memdup2(&number, sizeof number), token);
    return number;
}

gboolean
spoke_flow_settle_arrival(SpokeFlow *flow, guint64 number, SpokeVerdict verdict)
{
    gpointer token = NULL;
    gpointer key = NULL;

    if (!g_hash_table_steal_extended(flow->arrivals, &number, &key, &token))
        return FALSE;
    g_free(key);
    flow->module->settle(flow->transport, token, verdict);
    return TRUE;
}

guint
spoke_flow_get_arrivals(SpokeFlow *flow)
{
    return g_hash_table_size(flow->arrivals);
}
