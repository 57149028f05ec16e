/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/transports/amqp/engine.h"

#include "daemon/transports/amqp/condition.h"
#include "daemon/transports/amqp/failure.h"
#include "daemon/transports/amqp/format.h"
#include "daemon/transports/amqp/sasl.h"

#include <proton/logger.h>
#include <string.h>

/*
 * One function does it all: pump(). It hands out events, lets the owners of links add to what is
 * to be said, and writes, until nothing is left. It never runs within itself or within a call from
 * outside: those wake it.
 *
 * Time: Proton says when it must be asked again, to send an empty frame or to notice that the peer
 * has fallen silent. The timer is only ever set to an earlier time than the one it has; one that
 * turns out early is set anew when it is there. So traffic does not touch it, and an idle
 * connection wakes up as often as its heartbeats need.
 */
struct SpokeAmqpEngine {
    SpokeAmqpStream *stream;     /* owned */
    pn_connection_t *connection; /* owned, as the following */
    pn_transport_t *transport;
    pn_collector_t *collector;
    pn_session_t *session; /* the connection's */
    const SpokeAmqpEngineEvents *events;
    gpointer user_data;

    GByteArray *out; /* owned; fetched from Proton, not written yet */
    SpokeAmqpFormat format;
    gsize fit; /* of @out: looked through by the former */

    guint n_links; /* for their names */
    gboolean is_pumping;
    gboolean is_opened;
    gboolean is_closing;
    gboolean is_over; /* ended() has been called */
    gboolean has_end; /* it will be, when what there is to say is written: */
    SpokeCause end_cause;
    char *end_detail; /* owned */

    guint pump_id; /* sources */
    guint goodbye_id;
    GSource *timer; /* owned */
};

/* One frame of the hub's. Source: iot-hub-protocol.md, 3.2. */
#define FRAME_BYTES_MAX 65536
#define OUT_BYTES_MAX   65536

#define GOODBYE_SEC 3

static void
set_end(SpokeAmqpEngine *engine, SpokeCause cause, char *detail /* (transfer full) */)
{
    if (engine->has_end) {
        g_free(detail);
        return;
    }
    engine->has_end = TRUE;
    engine->end_cause = engine->is_closing ? SPOKE_CAUSE_CLOSED : cause;
    engine->end_detail = detail;
}

/* Events */

static SpokeAmqpLinkOwner *
get_owner(pn_link_t *link)
{
    return pn_link_get_context(link);
}

/* A link that is refused is opened first, without the terminus that was asked for. */
static gboolean
is_refused(pn_link_t *link)
{
    pn_terminus_t *terminus =
        pn_link_is_sender(link) ? pn_link_remote_target(link) : pn_link_remote_source(link);

    return pn_terminus_get_address(terminus) == NULL;
}

static void
on_link_opened(pn_link_t *link)
{
    SpokeAmqpLinkOwner *owner = get_owner(link);

    if (owner != NULL && !is_refused(link))
        owner->handler->opened(owner, link);
}

/* The peer may have closed several links at once, and the first one's owner drops them all: a link
 * whose event is still to come must not be freed before that. */
PN_HANDLE(CLOSE_TOLD)

static gboolean
is_close_told(pn_link_t *link)
{
    return pn_record_get(pn_link_attachments(link), CLOSE_TOLD) != NULL;
}

static void
on_link_closed(pn_link_t *link)
{
    SpokeAmqpLinkOwner *owner = get_owner(link);
    pn_condition_t *condition = pn_link_remote_condition(link);

    pn_record_def(pn_link_attachments(link), CLOSE_TOLD, PN_VOID);
    pn_record_set(pn_link_attachments(link), CLOSE_TOLD, link);
    if (owner != NULL)
        owner->handler->closed(owner, link, pn_condition_get_name(condition),
                               pn_condition_get_description(condition));
    else
        pn_link_free(link); /* both sides are through with it */
}

static void
end_with(SpokeAmqpEngine *engine, pn_condition_t *condition)
{
    const char *name = pn_condition_get_name(condition);

    set_end(engine, spoke_amqp_condition_get_cause(name, SPOKE_AMQP_SCOPE_CONNECTION),
            spoke_amqp_condition_format(name, pn_condition_get_description(condition)));
}

static void
on_transport_error(SpokeAmqpEngine *engine)
{
    pn_condition_t *condition = pn_transport_condition(engine->transport);
    const char *name = pn_condition_get_name(condition);

    if (!engine->is_opened && g_strcmp0(name, "amqp:resource-limit-exceeded") != 0 &&
        g_strcmp0(name, "amqp:unauthorized-access") != 0)
        set_end(engine, SPOKE_CAUSE_PROTOCOL,
                spoke_amqp_condition_format(name, pn_condition_get_description(condition)));
    else
        end_with(engine, condition);
}

/* No hub does that, and each would be kept. */
static void
refuse_link(SpokeAmqpEngine *engine)
{
    set_end(engine, SPOKE_CAUSE_PROTOCOL, g_strdup("the peer opened a link of its own"));
    pn_connection_close(engine->connection);
}

static void
handle(SpokeAmqpEngine *engine, pn_event_t *event)
{
    pn_link_t *link = pn_event_link(event);
    SpokeAmqpLinkOwner *owner = link != NULL ? get_owner(link) : NULL;

    switch (pn_event_type(event)) {
    case PN_CONNECTION_REMOTE_OPEN:
        engine->is_opened = TRUE;
        engine->events->opened(engine->user_data);
        break;
    case PN_CONNECTION_REMOTE_CLOSE:
        end_with(engine, pn_connection_remote_condition(engine->connection));
        pn_connection_close(engine->connection);
        break;
    case PN_SESSION_REMOTE_CLOSE:
        if (!engine->is_closing) {
            end_with(engine, pn_session_remote_condition(engine->session));
            pn_connection_close(engine->connection);
        }
        break;
    case PN_LINK_REMOTE_OPEN:
        if (pn_link_state(link) & PN_LOCAL_UNINIT)
            refuse_link(engine);
        else
            on_link_opened(link);
        break;
    case PN_LINK_REMOTE_CLOSE:
    case PN_LINK_REMOTE_DETACH:
        on_link_closed(link);
        break;
    case PN_LINK_FLOW:
        if (owner != NULL)
            owner->handler->flow(owner, link);
        break;
    case PN_DELIVERY:
        if (owner != NULL)
            owner->handler->delivery(owner, link, pn_event_delivery(event));
        break;
    case PN_TRANSPORT_ERROR:
        on_transport_error(engine);
        break;
    default:
        break;
    }
}

/* Returns: whether there were any */
static gboolean
handle_events(SpokeAmqpEngine *engine)
{
    gboolean were_any = FALSE;

    for (pn_event_t *event = pn_collector_peek(engine->collector); event != NULL;
         event = pn_collector_peek(engine->collector)) {
        if (!engine->has_end)
            handle(engine, event);
        pn_collector_pop(engine->collector);
        were_any = TRUE;
    }
    return were_any;
}

/* Bytes out */

static void
keep_time(SpokeAmqpEngine *engine)
{
    gint64 deadline_msec = pn_transport_tick(engine->transport, g_get_monotonic_time() / 1000);
    gint64 set_usec = g_source_get_ready_time(engine->timer);

    if (deadline_msec > 0 && (set_usec < 0 || deadline_msec * 1000 < set_usec))
        g_source_set_ready_time(engine->timer, deadline_msec * 1000);
}

static void
fetch(SpokeAmqpEngine *engine)
{
    while (engine->out->len < OUT_BYTES_MAX) {
        ssize_t n = pn_transport_pending(engine->transport);

        if (n <= 0)
            break;
        g_byte_array_append(engine->out, (const guint8 *)pn_transport_head(engine->transport),
                            (guint)n);
        pn_transport_pop(engine->transport, (size_t)n);
    }
    engine->fit += spoke_amqp_format_patch(&engine->format, engine->out->data + engine->fit,
                                           engine->out->len - engine->fit);
}

/* Returns: FALSE when the stream takes no more now */
static gboolean
write_out(SpokeAmqpEngine *engine)
{
    for (;;) {
        fetch(engine);
        if (engine->fit == 0)
            return TRUE;

        gsize n = engine->stream->ops->write(engine->stream, engine->out->data, engine->fit);

        g_byte_array_remove_range(engine->out, 0, (guint)n);
        engine->fit -= n;
        if (engine->fit > 0)
            return FALSE;
    }
}

static void
conclude(SpokeAmqpEngine *engine)
{
    engine->is_over = TRUE;
    g_clear_handle_id(&engine->goodbye_id, g_source_remove);
    g_source_set_ready_time(engine->timer, -1);
    engine->events->ended(engine->end_cause, engine->end_detail, engine->user_data);
}

static void
pump(SpokeAmqpEngine *engine)
{
    if (engine->is_over || engine->is_pumping)
        return;

    engine->is_pumping = TRUE;
    do {
        (void)handle_events(engine);
        if (!engine->has_end)
            engine->events->flush(engine->user_data);
        keep_time(engine);
        if (!write_out(engine))
            break;
    } while (pn_collector_peek(engine->collector) != NULL);
    engine->is_pumping = FALSE;
    if (engine->has_end)
        conclude(engine);
}

static gboolean
on_pump(gpointer user_data)
{
    SpokeAmqpEngine *engine = user_data;

    engine->pump_id = 0;
    pump(engine);
    return G_SOURCE_REMOVE;
}

/* Bytes in */

static void
on_arrived(const guint8 *data, gsize size, gpointer user_data)
{
    SpokeAmqpEngine *engine = user_data;

    while (size > 0 && !engine->is_over) {
        ssize_t n = pn_transport_push(engine->transport, (const char *)data, size);

        if (n <= 0)
            break; /* closed, or in error, which an event tells */
        data += n;
        size -= (gsize)n;
        pump(engine);
    }
    pump(engine);
}

static void
on_writable(gpointer user_data)
{
    pump(user_data);
}

static void
on_stream_ended(const GError *error, gpointer user_data)
{
    SpokeAmqpEngine *engine = user_data;
    SpokeAmqpStage stage = engine->is_opened ? SPOKE_AMQP_STAGE_OPEN : SPOKE_AMQP_STAGE_GREETING;

    if (engine->is_over)
        return;
    set_end(engine, spoke_amqp_failure_get_cause(stage, FALSE, error),
            g_strdup(error != NULL ? error->message : "The connection was closed without a word"));
    conclude(engine);
}

static const SpokeAmqpStreamEvents stream_events = {
    .arrived = on_arrived,
    .writable = on_writable,
    .ended = on_stream_ended,
};

/* The timer */

static gboolean
on_time(GSource *source, GSourceFunc unused, gpointer user_data)
{
    SpokeAmqpEngine *engine = user_data;

    g_source_set_ready_time(source, -1);
    if (engine->out->len == 0) { /* quiet: what a burst made it grow to can go */
        g_byte_array_unref(engine->out);
        engine->out = g_byte_array_new();
    }
    pump(engine);
    return G_SOURCE_CONTINUE;
}

static GSource *
timer_new(SpokeAmqpEngine *engine)
{
    static GSourceFuncs funcs = {.dispatch = NULL};
    GSource *timer = NULL;

    funcs.dispatch = on_time;
    timer = g_source_new(&funcs, sizeof(GSource));
    g_source_set_callback(timer, NULL, engine, NULL);
    g_source_attach(timer, NULL);
    return timer;
}

static gboolean
on_no_goodbye(gpointer user_data)
{
    SpokeAmqpEngine *engine = user_data;

    engine->goodbye_id = 0;
    set_end(engine, SPOKE_CAUSE_CLOSED, NULL);
    conclude(engine);
    return G_SOURCE_REMOVE;
}

/* Public functions */

static void
open_connection(SpokeAmqpEngine *engine, const SpokeAmqpEngineOptions *options)
{
    g_autofree char *container = g_uuid_string_random();

    pn_connection_set_container(engine->connection, container);
    pn_connection_set_hostname(engine->connection, options->host);
    pn_connection_open(engine->connection);
    engine->session = pn_session(engine->connection);
    pn_session_open(engine->session);
}

/* Proton would print frames, tokens in them, if an environment variable says so. */
static void
silence(pn_transport_t *transport)
{
    pn_transport_trace(transport, PN_TRACE_OFF);
    pn_logger_reset_mask(pn_transport_logger(transport), PN_SUBSYSTEM_ALL, PN_LEVEL_ALL);
}

SpokeAmqpEngine *
spoke_amqp_engine_new(const SpokeAmqpEngineOptions *options, SpokeAmqpStream *stream,
                      const SpokeAmqpEngineEvents *events, gpointer user_data)
{
    SpokeAmqpEngine *engine = g_new0(SpokeAmqpEngine, 1);

    engine->stream = stream;
    engine->events = events;
    engine->user_data = user_data;
    engine->out = g_byte_array_new();
    engine->timer = timer_new(engine);
    engine->connection = pn_connection();
    engine->transport = pn_transport();
    engine->collector = pn_collector();
    silence(engine->transport);
    pn_connection_collect(engine->connection, engine->collector);
    if (options->use_sasl)
        spoke_amqp_sasl_set(engine->transport);
    pn_transport_set_max_frame(engine->transport, FRAME_BYTES_MAX);
    pn_transport_set_channel_max(engine->transport, 0); /* one session */
    /* Proton tells the peer half of it. */
    pn_transport_set_idle_timeout(engine->transport, options->keepalive_sec * 3 / 2 * 1000);
    open_connection(engine, options);
    pn_transport_bind(engine->transport, engine->connection);

    stream->events = &stream_events;
    stream->user_data = engine;
    stream->ops->start(stream);
    spoke_amqp_engine_wake(engine);
    return engine;
}

void
spoke_amqp_engine_free(SpokeAmqpEngine *engine)
{
    if (engine == NULL)
        return;

    g_clear_handle_id(&engine->pump_id, g_source_remove);
    g_clear_handle_id(&engine->goodbye_id, g_source_remove);
    g_source_destroy(engine->timer);
    g_source_unref(engine->timer);
    engine->stream->ops->close(engine->stream);
    pn_connection_collect(engine->connection, NULL);
    pn_transport_unbind(engine->transport);
    pn_transport_free(engine->transport);
    pn_connection_free(engine->connection);
    pn_collector_free(engine->collector);
    g_byte_array_unref(engine->out);
    g_free(engine->end_detail);
    g_free(engine);
}

void
spoke_amqp_engine_wake(SpokeAmqpEngine *engine)
{
    /* In pump() the loop comes round by itself. */
    if (engine->pump_id == 0 && !engine->is_over)
        engine->pump_id = g_idle_add_full(G_PRIORITY_DEFAULT, on_pump, engine, NULL);
}

void
spoke_amqp_engine_close(SpokeAmqpEngine *engine)
{
    if (engine->is_closing || engine->is_over)
        return;

    engine->is_closing = TRUE;
    pn_session_close(engine->session);
    pn_connection_close(engine->connection);
    engine->goodbye_id = g_timeout_add_seconds(GOODBYE_SEC, on_no_goodbye, engine);
    spoke_amqp_engine_wake(engine);
}

pn_link_t *
spoke_amqp_engine_add_link(SpokeAmqpEngine *engine, gboolean is_sender, SpokeAmqpLinkOwner *owner)
{
    char name[16];

    g_snprintf(name, sizeof name, "spoke-%u", ++engine->n_links);

    pn_link_t *link =
        is_sender ? pn_sender(engine->session, name) : pn_receiver(engine->session, name);

    pn_link_set_context(link, owner);
    pn_link_set_snd_settle_mode(link, PN_SND_UNSETTLED);
    pn_link_set_rcv_settle_mode(link, PN_RCV_FIRST);
    return link;
}

/* Source: iot-hub-protocol.md, 3.4. */
void
spoke_amqp_link_set_product(pn_link_t *link, const char *product)
{
    static const char key[] = "com.microsoft:client-version";
    pn_data_t *properties = pn_link_properties(link);

    pn_data_put_map(properties);
    pn_data_enter(properties);
    pn_data_put_symbol(properties, pn_bytes(sizeof key - 1, key));
    pn_data_put_string(properties, pn_bytes(strlen(product), product));
    pn_data_exit(properties);
}

void
spoke_amqp_engine_drop_link(SpokeAmqpEngine *engine, pn_link_t *link)
{
    if (link == NULL)
        return;

    pn_link_set_context(link, NULL);
    pn_link_close(link);
    if (is_close_told(link))
        pn_link_free(link);
    spoke_amqp_engine_wake(engine);
}

gsize
spoke_amqp_engine_get_backlog(SpokeAmqpEngine *engine)
{
    return engine->out->len + pn_session_outgoing_bytes(engine->session);
}
