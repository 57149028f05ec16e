/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/transports/amqp/cbs.h"

#include "daemon/transports/amqp/condition.h"
#include "daemon/transports/amqp/decode.h"
#include "daemon/transports/amqp/encode.h"

/*
 * A request waits, is sent, is answered. Some that were sent may be on their way at once: the hub
 * gives room for a hundred, and a thousand devices should not need a thousand round trips.
 */
struct SpokeAmqpCbs {
    SpokeAmqpLinkOwner owner;
    SpokeAmqpEngine *engine; /* borrowed */
    const SpokeAmqpCbsEvents *events;
    gpointer user_data;

    pn_link_t *sender; /* the engine's; both NULL once failed */
    pn_link_t *receiver;
    GQueue waiting;      /* of Request, owned */
    GQueue sent;         /* likewise, in the order they were sent */
    GByteArray *scratch; /* owned; empty between uses */
    guint64 last_id;
    guint timeout_id; /* source */
};

typedef struct {
    guint64 id;
    gpointer who;       /* NULL once forgotten */
    char *audience;     /* owned */
    SpokeSecret *token; /* owned; NULL once sent */
    gint64 deadline_usec;
} Request;

#define ADDRESS "$cbs"

#define SENT_MAX         64
#define ANSWER_CREDIT    128
#define ANSWER_SEC       30 /* Source: iot-hub-protocol.md, 3.3: the C SDK's */
#define ANSWER_BYTES_MAX 65536

static void
request_free(gpointer data)
{
    Request *request = data;

    g_free(request->audience);
    spoke_secret_unref(request->token);
    g_free(request);
}

static void
answer(SpokeAmqpCbs *cbs, Request *request /* (transfer full) */, SpokeCause cause,
       const char *detail)
{
    gpointer who = request->who;

    request_free(request);
    if (who != NULL)
        cbs->events->answered(who, cause, detail, cbs->user_data);
}

static void
fail(SpokeAmqpCbs *cbs, SpokeCause cause, const char *detail)
{
    spoke_amqp_engine_drop_link(cbs->engine, g_steal_pointer(&cbs->sender));
    spoke_amqp_engine_drop_link(cbs->engine, g_steal_pointer(&cbs->receiver));
    g_clear_handle_id(&cbs->timeout_id, g_source_remove);
    cbs->events->failed(cause, detail, cbs->user_data);
}

/* Time. It runs from spoke_amqp_cbs_put() on: a hub that gives no credit, or does not even open the
 * links, keeps nobody waiting for good. */

static gboolean
is_open(const SpokeAmqpCbs *cbs)
{
    return (pn_link_state(cbs->sender) & PN_REMOTE_ACTIVE) != 0 &&
           (pn_link_state(cbs->receiver) & PN_REMOTE_ACTIVE) != 0;
}

/* Those that were sent came first. */
static GQueue *
get_oldest(SpokeAmqpCbs *cbs)
{
    return !g_queue_is_empty(&cbs->sent) ? &cbs->sent : &cbs->waiting;
}

/* (nullable) */
static const Request *
peek_oldest(SpokeAmqpCbs *cbs)
{
    return g_queue_peek_head(get_oldest(cbs));
}

/* (transfer full) (nullable) */
static Request *
pop_late(SpokeAmqpCbs *cbs, gint64 now_usec)
{
    const Request *first = peek_oldest(cbs);

    return first != NULL && first->deadline_usec <= now_usec ? g_queue_pop_head(get_oldest(cbs))
                                                             : NULL;
}

static gboolean on_timeout(gpointer user_data);

static void
watch_time(SpokeAmqpCbs *cbs)
{
    const Request *first = peek_oldest(cbs);

    if (cbs->timeout_id != 0 || first == NULL || cbs->sender == NULL)
        return;

    gint64 wait_usec = MAX(first->deadline_usec - g_get_monotonic_time(), 0);

    cbs->timeout_id =
        g_timeout_add_seconds((guint)(wait_usec / G_USEC_PER_SEC) + 1, on_timeout, cbs);
}

/* Nobody waits any longer for what is late; others are looked at again. */
static gboolean
on_timeout(gpointer user_data)
{
    SpokeAmqpCbs *cbs = user_data;
    gint64 now_usec = g_get_monotonic_time();
    g_autofree char *detail =
        g_strdup_printf("The hub did not answer put-token within %d seconds", ANSWER_SEC);

    cbs->timeout_id = 0;
    if (!is_open(cbs)) {
        fail(cbs, SPOKE_CAUSE_UNAVAILABLE, "The hub does not open the links for tokens");
        return G_SOURCE_REMOVE;
    }
    for (Request *late = pop_late(cbs, now_usec); late != NULL; late = pop_late(cbs, now_usec))
        answer(cbs, late, SPOKE_CAUSE_UNAVAILABLE, detail);
    watch_time(cbs);
    return G_SOURCE_REMOVE;
}

/* Sending */

static void
send_request(SpokeAmqpCbs *cbs, Request *request)
{
    GByteArray *scratch = cbs->scratch;
    guint32 tag = (guint32)++cbs->last_id;

    request->id = cbs->last_id;
    spoke_amqp_encode_put_token(scratch, request->id, request->audience,
                                spoke_secret_peek(request->token));

    pn_delivery_t *delivery = pn_delivery(cbs->sender, pn_dtag((const char *)&tag, sizeof tag));

    pn_delivery_set_context(delivery, GSIZE_TO_POINTER((gsize)request->id));
    pn_link_send(cbs->sender, (const char *)scratch->data, scratch->len);
    pn_link_advance(cbs->sender);
    spoke_secret_wipe(scratch->data, scratch->len);
    g_byte_array_set_size(scratch, 0);
    g_clear_pointer(&request->token, spoke_secret_unref);
    g_queue_push_tail(&cbs->sent, request);
}

static void
send_waiting(SpokeAmqpCbs *cbs)
{
    while (cbs->sender != NULL && !g_queue_is_empty(&cbs->waiting) && cbs->sent.length < SENT_MAX &&
           pn_link_credit(cbs->sender) > 0) {
        Request *request = g_queue_pop_head(&cbs->waiting);

        if (request->who != NULL)
            send_request(cbs, request);
        else
            request_free(request);
    }
    watch_time(cbs);
    spoke_amqp_engine_wake(cbs->engine);
}

/* (transfer full) (nullable) */
static Request *
take_sent(SpokeAmqpCbs *cbs, gint64 id)
{
    for (GList *item = cbs->sent.head; item != NULL; item = item->next) {
        Request *request = item->data;

        if (request->id == (guint64)id) {
            g_queue_delete_link(&cbs->sent, item);
            return request;
        }
    }
    return NULL;
}

/* Answers */

static void
take_answer(SpokeAmqpCbs *cbs, const SpokeAmqpAnswer *reply)
{
    Request *request = take_sent(cbs, reply->correlation_id);
    SpokeCause cause = spoke_amqp_status_get_cause(reply->status);
    g_autofree char *name = g_strdup_printf("CBS %" G_GINT64_FORMAT, reply->status);
    g_autofree char *detail =
        cause != SPOKE_CAUSE_NONE ? spoke_amqp_condition_format(name, reply->description) : NULL;

    if (request != NULL)
        answer(cbs, request, cause, detail);
}

static void
on_answer(SpokeAmqpCbs *cbs, pn_delivery_t *delivery)
{
    if (!pn_delivery_readable(delivery) || pn_delivery_partial(delivery))
        return;

    gsize size = MIN(pn_delivery_pending(delivery), ANSWER_BYTES_MAX);
    g_autofree char *data = g_malloc(size + 1);
    ssize_t n = pn_link_recv(cbs->receiver, data, size);
    g_auto(SpokeAmqpAnswer) reply = {.correlation_id = -1};
    gboolean is_answer = n >= 0 && spoke_amqp_decode_answer(data, (gsize)n, &reply);

    pn_delivery_update(delivery, PN_ACCEPTED);
    pn_delivery_settle(delivery);
    pn_link_flow(cbs->receiver, 1);
    if (is_answer)
        take_answer(cbs, &reply);
    send_waiting(cbs);
}

/* What became of the transfer itself; the answer comes on the other link. */
static void
on_outcome(SpokeAmqpCbs *cbs, pn_delivery_t *delivery)
{
    guint64 outcome = pn_delivery_remote_state(delivery);
    gsize id = GPOINTER_TO_SIZE(pn_delivery_get_context(delivery));

    if (outcome == 0 && !pn_delivery_settled(delivery))
        return;

    pn_condition_t *condition = pn_disposition_condition(pn_delivery_remote(delivery));
    const char *name = pn_condition_get_name(condition);
    SpokeCause cause = spoke_amqp_condition_get_cause(name, SPOKE_AMQP_SCOPE_LINK);
    g_autofree char *detail =
        spoke_amqp_condition_format(name, pn_condition_get_description(condition));

    pn_delivery_settle(delivery);
    if (outcome == PN_ACCEPTED || outcome == 0)
        return;

    Request *request = take_sent(cbs, (gint64)id);

    if (request != NULL)
        answer(cbs, request, outcome == PN_REJECTED ? cause : SPOKE_CAUSE_UNAVAILABLE,
               detail != NULL ? detail : "The hub did not take put-token");
}

/* The links */

static void
on_opened(SpokeAmqpLinkOwner *owner, pn_link_t *link)
{
}

static void
on_closed(SpokeAmqpLinkOwner *owner, pn_link_t *link, const char *condition,
          const char *description)
{
    SpokeAmqpCbs *cbs = (SpokeAmqpCbs *)owner;
    g_autofree char *reason = spoke_amqp_condition_format(condition, description);
    SpokeCause cause = spoke_amqp_condition_get_cause(condition, SPOKE_AMQP_SCOPE_LINK);
    g_autofree char *detail =
        g_strdup_printf("The hub closed the links for tokens%s%s", reason != NULL ? ": " : "",
                        reason != NULL ? reason : "");

    fail(cbs, cause, detail);
}

static void
on_flow(SpokeAmqpLinkOwner *owner, pn_link_t *link)
{
    send_waiting((SpokeAmqpCbs *)owner);
}

static void
on_delivery(SpokeAmqpLinkOwner *owner, pn_link_t *link, pn_delivery_t *delivery)
{
    SpokeAmqpCbs *cbs = (SpokeAmqpCbs *)owner;

    if (pn_link_is_receiver(link))
        on_answer(cbs, delivery);
    else
        on_outcome(cbs, delivery);
}

SpokeAmqpCbs *
spoke_amqp_cbs_new(SpokeAmqpEngine *engine, const char *product, const SpokeAmqpCbsEvents *events,
                   gpointer user_data)
{
    static const SpokeAmqpLinkHandler handler = {
        .opened = on_opened,
        .closed = on_closed,
        .flow = on_flow,
        .delivery = on_delivery,
    };
    SpokeAmqpCbs *cbs = g_new0(SpokeAmqpCbs, 1);

    cbs->owner.handler = &handler;
    cbs->engine = engine;
    cbs->events = events;
    cbs->user_data = user_data;
    cbs->scratch = g_byte_array_new();
    cbs->sender = spoke_amqp_engine_add_link(engine, TRUE, &cbs->owner);
    pn_terminus_set_address(pn_link_target(cbs->sender), ADDRESS);
    spoke_amqp_link_set_product(cbs->sender, product);
    pn_link_open(cbs->sender);
    cbs->receiver = spoke_amqp_engine_add_link(engine, FALSE, &cbs->owner);
    pn_terminus_set_address(pn_link_source(cbs->receiver), ADDRESS);
    pn_terminus_set_address(pn_link_target(cbs->receiver), "cbs"); /* what reply-to says */
    pn_link_open(cbs->receiver);
    pn_link_flow(cbs->receiver, ANSWER_CREDIT);
    spoke_amqp_engine_wake(engine);
    return cbs;
}

void
spoke_amqp_cbs_free(SpokeAmqpCbs *cbs)
{
    if (cbs == NULL)
        return;

    g_clear_handle_id(&cbs->timeout_id, g_source_remove);
    spoke_amqp_engine_drop_link(cbs->engine, cbs->sender);
    spoke_amqp_engine_drop_link(cbs->engine, cbs->receiver);
    g_queue_clear_full(&cbs->waiting, request_free);
    g_queue_clear_full(&cbs->sent, request_free);
    g_byte_array_unref(cbs->scratch);
    g_free(cbs);
}

void
spoke_amqp_cbs_put(SpokeAmqpCbs *cbs, const char *audience, SpokeSecret *token, gpointer who)
{
    Request *request = g_new0(Request, 1);

    spoke_amqp_cbs_forget(cbs, who);
    request->who = who;
    request->deadline_usec = g_get_monotonic_time() + ANSWER_SEC * G_USEC_PER_SEC;
    request->audience = g_strdup(audience);
    request->token = spoke_secret_ref(token);
    g_queue_push_tail(&cbs->waiting, request);
    send_waiting(cbs);
}

void
spoke_amqp_cbs_forget(SpokeAmqpCbs *cbs, gpointer who)
{
    for (GList *item = cbs->waiting.head; item != NULL; item = item->next) {
        Request *request = item->data;

        if (request->who == who)
            request->who = NULL;
    }
    for (GList *item = cbs->sent.head; item != NULL; item = item->next) {
        Request *request = item->data;

        if (request->who == who)
            request->who = NULL;
    }
}
