/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* One AMQP connection. Proton is the protocol: bytes go in frame by frame, events come out and are
 * handled, what it has to send is pulled into the pipe at the end of the round, after the commit
 * that makes what it says true. Proton keeps no socket and no clock; those are the pipe and one
 * timer here. */

#include "amqp-private.h"

#include "amqp-frame.h"
#include "faults.h"
#include "timer.h"

#include <proton/event.h>
#include <proton/sasl.h>

/* Source: protocol page, 3.2. */
#define CHANNEL_MAX     8191
#define SESSION_WINDOW  5000
#define IDLE_TIMEOUT_MS 240000

#define OPEN_TIMEOUT_SEC 30
#define NAP_USEC         ((gint64)30 * G_USEC_PER_SEC)

/* What a round may leave in the session's buffers. */
#define KEPT_BYTES_MAX    ((guint)128 * 1024)
#define KEPT_MESSAGES_MAX 1024U

static gboolean
on_ending(gpointer user_data)
{
    EmuAmqpSession *self = user_data;

    self->ending = 0;
    self->ended(self, self->user_data);
    return G_SOURCE_REMOVE;
}

void
emu_amqp_session_pull(EmuAmqpSession *self)
{
    if (self->black_hole)
        return;
    while (!emu_pipe_is_full(self->pipe)) {
        ssize_t pending = pn_transport_pending(self->transport);
        if (pending <= 0)
            return;
        g_byte_array_append(emu_pipe_output(self->pipe),
                            (const guint8 *)pn_transport_head(self->transport), (guint)pending);
        pn_transport_pop(self->transport, (size_t)pending);
    }
}

/* Stores what came, then accepts it. FALSE: nothing of the round may be accepted. */
static gboolean
commit(EmuAmqpSession *self)
{
    g_autoptr(GError) error = NULL;

    if (!emu_telemetry_commit(emu_hub_telemetry(self->hub), &error)) {
        g_warning("%s", error->message);
        return FALSE;
    }
    emu_amqp_acks_release(self->acks, g_get_monotonic_time());
    return TRUE;
}

static void
disconnect_devices(EmuAmqpSession *self, const char *reason)
{
    g_autoptr(GPtrArray) devices = emu_amqp_devices_list(self->devices);

    for (guint i = 0; i < devices->len; i++) {
        EmuAmqpDevice *device = g_ptr_array_index(devices, i);
        if (device->link.identity != NULL)
            emu_hub_remove_link(self->hub, &device->link, reason);
    }
}

/* The end, whoever wanted it. What arrived before is committed and answered. */
static void
close_session(EmuAmqpSession *self, const char *reason)
{
    if (self->state == EMU_AMQP_CLOSED)
        return;

    if (self->state == EMU_AMQP_GREETING)
        g_message("A connection ended before it was open: %s", reason);
    gboolean committed = commit(self);
    self->state = EMU_AMQP_CLOSED;
    if (committed)
        emu_amqp_session_pull(self);
    else
        emu_pipe_abort(self->pipe);
    emu_pipe_close(self->pipe);
    emu_source_clear(&self->timer);
    disconnect_devices(self, self->reason != NULL ? self->reason : reason);
    emu_hub_remove_link(self->hub, &self->link, reason);
    self->ending = g_idle_add(on_ending, self);
}

void
emu_amqp_session_cut(EmuAmqpSession *self, const char *reason)
{
    close_session(self, reason);
}

void
emu_amqp_session_leave(EmuAmqpSession *self, const EmuAmqpCause *cause, const char *message,
                       const char *reason)
{
    if (self->state >= EMU_AMQP_LEAVING)
        return;

    if (cause != NULL)
        emu_amqp_condition_set(pn_connection_condition(self->connection), cause, message);
    pn_connection_close(self->connection);
    self->state = EMU_AMQP_LEAVING;
    self->reason = reason;
    emu_amqp_session_pump(self);
}

gboolean
emu_amqp_session_review_black_hole(EmuAmqpSession *self)
{
    EmuFaults *faults = emu_hub_faults(self->hub);
    g_autoptr(GPtrArray) devices = NULL;
    gboolean black_hole = emu_faults_is_black_hole(faults, NULL);

    if (!black_hole && emu_faults_list(faults)->len > 0) {
        devices = emu_amqp_devices_list(self->devices);
        for (guint i = 0; i < devices->len && !black_hole; i++) {
            const EmuAmqpDevice *device = g_ptr_array_index(devices, i);
            black_hole = emu_faults_is_black_hole(faults, device->device_id);
        }
    }
    if (black_hole == self->black_hole)
        return black_hole;

    self->black_hole = black_hole;
    if (black_hole) {
        emu_pipe_pause(self->pipe);
    } else {
        self->heard_usec = g_get_monotonic_time();
        emu_pipe_resume(self->pipe);
    }
    return black_hole;
}

/* Lets Proton look at the clock, which is when it sends the empty frames that the client wants. */
static void
tick(EmuAmqpSession *self)
{
    gint64 next_ms = pn_transport_tick(self->transport, g_get_monotonic_time() / 1000);

    self->tick_usec = next_ms > 0 ? next_ms * 1000 : G_MAXINT64;
}

static gint64
silence_end_usec(EmuAmqpSession *self)
{
    return self->heard_usec + (self->state == EMU_AMQP_GREETING ? OPEN_TIMEOUT_SEC * G_USEC_PER_SEC
                                                                : (gint64)IDLE_TIMEOUT_MS * 1000);
}

/* Sets the timer for whatever comes first. Tokens run out by wall clock, which may jump: so that
 * is looked at now and then. */
static void
arm_timer(EmuAmqpSession *self)
{
    gint64 ready_usec = MIN(silence_end_usec(self), self->tick_usec);
    gint64 expiry_sec = emu_amqp_devices_next_expiry(self->devices);

    if (self->state == EMU_AMQP_CLOSED)
        return;
    if (expiry_sec != G_MAXINT64) {
        gint64 end_sec = expiry_sec + emu_hub_options(self->hub)->sas_grace_sec;
        gint64 left_usec = end_sec * G_USEC_PER_SEC - emu_hub_now_usec(self->hub);
        ready_usec = MIN(ready_usec, g_get_monotonic_time() + CLAMP(left_usec, 0, NAP_USEC));
    }
    ready_usec = MIN(ready_usec, emu_amqp_acks_next_due(self->acks));
    g_source_set_ready_time(self->timer, self->black_hole ? -1 : ready_usec);
}

static void
open_connection(EmuAmqpSession *self)
{
    pn_connection_t *connection = self->connection;
    g_autofree char *id = g_uuid_string_random();
    g_auto(GStrv) digits = g_strsplit(id, "-", -1);
    g_autofree char *hex = g_strjoinv("", digits);
    g_autofree char *container = g_strconcat("DeviceGateway_", hex, NULL);

    pn_connection_set_container(connection, container);
    pn_connection_set_hostname(connection, "localhost");
    pn_connection_open(connection);
    self->state = EMU_AMQP_OPEN;
    tick(self);
}

static void
open_session(pn_session_t *session)
{
    pn_session_set_incoming_capacity(session, (size_t)SESSION_WINDOW * EMU_AMQP_FRAME_MAX);
    pn_session_open(session);
}

static void
handle_delivery(pn_link_t *link, pn_delivery_t *delivery)
{
    EmuAmqpEnd *end = pn_link_get_context(link);

    if (end == NULL) {
        /* The link is closed, and the client does not know it yet. */
        if (pn_link_is_receiver(link) && !pn_delivery_settled(delivery))
            pn_delivery_settle(delivery);
    } else if (end->node == EMU_AMQP_NODE_CBS) {
        if (pn_link_is_receiver(link))
            emu_amqp_cbs_request(end, delivery);
        else
            emu_amqp_cbs_reply_settled(end, delivery);
    } else if (end->node == EMU_AMQP_NODE_EVENTS) {
        emu_amqp_telemetry_delivery(end, delivery);
    } else {
        emu_amqp_devicebound_outcome(end, delivery);
    }
}

static void
handle_flow(pn_link_t *link)
{
    EmuAmqpEnd *end = pn_link_get_context(link);

    if (end != NULL && end->node == EMU_AMQP_NODE_DEVICEBOUND)
        emu_amqp_devicebound_feed(end);
}

static void
handle_error(EmuAmqpSession *self)
{
    pn_condition_t *condition = pn_transport_condition(self->transport);
    const char *text = pn_condition_get_description(condition);

    if (self->state >= EMU_AMQP_LEAVING)
        return;
    self->state = EMU_AMQP_LEAVING;
    self->reason = "login-refused";
    if (pn_sasl_outcome(pn_sasl(self->transport)) > PN_SASL_OK)
        return;
    self->reason = "protocol-error";
    g_message("Protocol error: %s", text != NULL ? text : "none given");
    emu_hub_stats(self->hub)->protocol_errors++;
}

static void
handle(EmuAmqpSession *self, pn_event_t *event)
{
    switch (pn_event_type(event)) {
    case PN_CONNECTION_REMOTE_OPEN:
        open_connection(self);
        break;
    case PN_SESSION_REMOTE_OPEN:
        open_session(pn_event_session(event));
        break;
    case PN_LINK_REMOTE_OPEN:
        emu_amqp_links_attached(self, pn_event_link(event));
        break;
    case PN_DELIVERY:
        handle_delivery(pn_event_link(event), pn_event_delivery(event));
        break;
    case PN_LINK_FLOW:
        handle_flow(pn_event_link(event));
        break;
    case PN_LINK_REMOTE_DETACH:
    case PN_LINK_REMOTE_CLOSE:
        emu_amqp_links_detached(pn_event_link(event), pn_event_type(event) == PN_LINK_REMOTE_CLOSE);
        break;
    case PN_SESSION_REMOTE_CLOSE:
        emu_amqp_links_session_ended(self, pn_event_session(event));
        pn_session_close(pn_event_session(event));
        pn_session_free(pn_event_session(event));
        break;
    case PN_CONNECTION_REMOTE_CLOSE:
        emu_amqp_session_leave(self, NULL, NULL, "client-disconnect");
        break;
    case PN_TRANSPORT_ERROR:
        handle_error(self);
        break;
    default:
        break;
    }
}

static void
handle_events(EmuAmqpSession *self)
{
    pn_event_t *event = NULL;

    self->busy = TRUE;
    while (self->state != EMU_AMQP_CLOSED && (event = pn_collector_peek(self->collector)) != NULL) {
        handle(self, event);
        pn_collector_pop(self->collector);
    }
    self->busy = FALSE;
}

void
emu_amqp_session_pump(EmuAmqpSession *self)
{
    if (self->busy)
        return;

    do {
        handle_events(self);
        if (self->state == EMU_AMQP_CLOSED)
            return;
        emu_amqp_session_pull(self);
    } while (pn_collector_peek(self->collector) != NULL);

    if (self->state == EMU_AMQP_LEAVING && !emu_pipe_is_full(self->pipe))
        emu_pipe_finish(self->pipe);
    else
        emu_pipe_flush(self->pipe);
}

static gboolean
on_timer(gpointer user_data)
{
    EmuAmqpSession *self = user_data;
    gint64 now_usec = g_get_monotonic_time();

    if (now_usec >= silence_end_usec(self)) {
        if (self->state == EMU_AMQP_OPEN)
            emu_amqp_session_leave(self, &emu_amqp_cause_idle, "Nothing came for too long",
                                   "keep-alive-timeout");
        else
            close_session(self, "login-timeout");
        return G_SOURCE_CONTINUE;
    }

    tick(self);
    emu_amqp_links_expire(self);
    emu_amqp_acks_release(self->acks, now_usec);
    emu_amqp_session_pump(self);
    arm_timer(self);
    return G_SOURCE_CONTINUE;
}

/* FALSE: Proton takes no more, and has said why. */
static gboolean
push(EmuAmqpSession *self, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t n = pn_transport_push(self->transport, data, size);
        if (n <= 0)
            return FALSE;
        data += n;
        size -= (size_t)n;
    }
    return TRUE;
}

static size_t
pipe_take(gpointer user_data, const guint8 *data, size_t size)
{
    EmuAmqpSession *self = user_data;
    size_t taken = 0;

    self->heard_usec = g_get_monotonic_time();
    self->now_usec = emu_hub_now_usec(self->hub);
    while (self->state <= EMU_AMQP_OPEN && !self->black_hole) {
        EmuAmqpFrame frame;
        size_t unit = emu_amqp_frame_next(data + taken, size - taken, &frame);
        if (unit == 0)
            return taken;
        self->message_format = frame.message_format;
        gboolean pushed = push(self, (const char *)data + taken, unit);
        taken += unit;
        handle_events(self);
        if (!pushed)
            return size;
    }
    return self->state <= EMU_AMQP_OPEN ? taken : size;
}

/* A large transfer leaves large buffers. */
static void
shrink(EmuAmqpSession *self)
{
    if (self->bytes->len > KEPT_BYTES_MAX) {
        g_byte_array_unref(self->bytes);
        self->bytes = g_byte_array_new();
    }
    if (self->body->len > KEPT_BYTES_MAX) {
        g_byte_array_unref(self->body);
        self->body = g_byte_array_new();
    }
    if (self->batch->messages->len > KEPT_MESSAGES_MAX) {
        emu_amqp_batch_free(self->batch);
        self->batch = emu_amqp_batch_new();
    }
}

static void
pipe_round(gpointer user_data)
{
    EmuAmqpSession *self = user_data;

    if (!commit(self)) {
        emu_pipe_abort(self->pipe);
        close_session(self, "server-error: 500001");
        return;
    }
    emu_amqp_session_pump(self);
    if (self->state == EMU_AMQP_CLOSED)
        return;
    shrink(self);
    arm_timer(self);
}

static void
pipe_room(gpointer user_data)
{
    EmuAmqpSession *self = user_data;
    g_autoptr(GPtrArray) devices = emu_amqp_devices_list(self->devices);

    emu_amqp_session_pump(self);
    for (guint i = 0; i < devices->len && self->state == EMU_AMQP_OPEN; i++) {
        EmuAmqpDevice *device = g_ptr_array_index(devices, i);
        if (device->devicebound != NULL)
            emu_amqp_devicebound_feed(device->devicebound);
    }
    if (self->state != EMU_AMQP_CLOSED)
        emu_amqp_session_pump(self);
}

static void
pipe_lost(gpointer user_data, const char *reason)
{
    close_session(user_data, reason);
}

static const EmuPipeOps pipe_ops = {
    .take = pipe_take,
    .round = pipe_round,
    .room = pipe_room,
    .lost = pipe_lost,
};

static void
link_close(gpointer user_data, const char *reason)
{
    /* The connection as such is nobody's: its devices have links of their own. */
}

static void
link_wake(gpointer user_data)
{
    EmuAmqpSession *self = user_data;

    if (self->state == EMU_AMQP_CLOSED || emu_amqp_session_review_black_hole(self))
        return;
    emu_amqp_acks_review(self->acks, emu_hub_faults(self->hub), g_get_monotonic_time());
    emu_amqp_acks_release(self->acks, g_get_monotonic_time());
    emu_amqp_session_pump(self);
    arm_timer(self);
}

static const EmuLinkOps link_ops = {.close = link_close, .wake = link_wake};

static void
start_proton(EmuAmqpSession *self)
{
    self->transport = pn_transport();
    self->connection = pn_connection();
    self->collector = pn_collector();
    pn_transport_set_server(self->transport);
    emu_amqp_sasl_init(self);
    pn_transport_set_max_frame(self->transport, EMU_AMQP_FRAME_MAX);
    (void)pn_transport_set_channel_max(self->transport, CHANNEL_MAX);
    /* Proton tells half of what it insists on, as the specification advises. */
    pn_transport_set_idle_timeout(self->transport, 2 * IDLE_TIMEOUT_MS);
    pn_connection_collect(self->connection, self->collector);
    (void)pn_transport_bind(self->transport, self->connection);
}

EmuAmqpSession *
emu_amqp_session_new(EmuHub *hub, GIOStream *stream, GSocket *socket, GTlsCertificate *peer,
                     EmuSessionEnded ended, gpointer user_data)
{
    EmuAmqpSession *self = g_new0(EmuAmqpSession, 1);

    self->hub = hub;
    g_set_object(&self->peer, peer);
    self->ended = ended;
    self->user_data = user_data;
    self->heard_usec = g_get_monotonic_time();
    self->tick_usec = G_MAXINT64;
    self->devices = emu_amqp_devices_new();
    self->acks = emu_amqp_acks_new();
    self->batch = emu_amqp_batch_new();
    self->bytes = g_byte_array_new();
    self->body = g_byte_array_new();
    self->bag = g_string_new(NULL);
    start_proton(self);
    self->timer = emu_timer_new(on_timer, self);
    self->link = (EmuLink){.ops = &link_ops, .self = self};
    self->pipe = emu_pipe_new(stream, socket, EMU_AMQP_FRAME_MAX, &pipe_ops, self);
    emu_hub_add_link(hub, &self->link);
    arm_timer(self);
    emu_pipe_resume(self->pipe);
    (void)emu_amqp_session_review_black_hole(self);
    return self;
}

/* The links' contexts are ours; everything else of Proton's is its own. */
static void
stop_proton(EmuAmqpSession *self)
{
    emu_amqp_links_forget(self);
    (void)pn_transport_unbind(self->transport);
    pn_collector_release(self->collector);
    pn_connection_free(self->connection);
    pn_transport_free(self->transport);
    pn_collector_free(self->collector);
}

void
emu_amqp_session_free(EmuAmqpSession *self)
{
    if (self == NULL)
        return;

    if (self->state == EMU_AMQP_OPEN)
        emu_amqp_session_leave(self, &emu_amqp_cause_forced, "The hub is stopping", "hub-stopping");
    close_session(self, "hub-stopping");
    g_clear_handle_id(&self->ending, g_source_remove);
    emu_pipe_free(self->pipe);
    stop_proton(self);
    emu_amqp_devices_free(self->devices);
    emu_amqp_acks_free(self->acks);
    emu_amqp_batch_free(self->batch);
    g_byte_array_unref(self->bytes);
    g_byte_array_unref(self->body);
    (void)g_string_free(self->bag, TRUE);
    g_clear_object(&self->peer);
    g_free(self);
}

static gpointer
kind_open(EmuHub *hub, GIOStream *stream, GSocket *socket, GTlsCertificate *peer,
          EmuSessionEnded ended, gpointer user_data)
{
    return emu_amqp_session_new(hub, stream, socket, peer, ended, user_data);
}

static void
kind_free(gpointer session)
{
    emu_amqp_session_free(session);
}

const EmuSessionKind emu_amqp_sessions = {.open = kind_open, .free = kind_free};
