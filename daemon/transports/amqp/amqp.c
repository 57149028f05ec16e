/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/transport.h"

#include "daemon/transports/amqp/connect.h"
#include "daemon/transports/amqp/endpoint.h"
#include "daemon/transports/amqp/member.h"
#include "daemon/transports/amqp/receiver.h"
#include "daemon/transports/amqp/sender.h"
#include "daemon/transports/amqp/websocket.h"

#include <gmodule.h>

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

/*
 * AMQP 1.0 as IoT Hub speaks it, in TLS or in a WebSocket: one connection, many identities. From
 * the endpoint to an open connection: connect.h, websocket.h, engine.h; then each identity is a
 * member. All of it runs on the main loop.
 *
 * What the daemon asks for while it is told something may find us in the middle of it, so members
 * leave, and we end, when the loop comes round.
 */
struct SpokeTransport {
    SpokeEndpoint *endpoint; /* owned */
    gboolean is_websocket;
    SpokeAmqpLine line;

    SpokeAmqpConnect *connect; /* owned; NULL once connected */
    GSocket *socket;           /* owned; likewise before */
    GCancellable *upgrade;     /* owned; NULL but while one is under way */
    SpokeAmqpEngine *engine;   /* owned; NULL before there is a stream */
    SpokeAmqpCbs *cbs;         /* owned; NULL before the first token */
    gboolean is_opened;

    GHashTable *members; /* owned; SpokeIdentity → SpokeAmqpMember */
    GQueue leaving;      /* of Leaving, owned */
    guint leave_id;      /* sources */
    guint timeout_id;
    guint end_id;
    SpokeCause end_cause; /* for end_id */
};

/* An identity that is out, but nobody has been told; or one that shall go. */
typedef struct {
    SpokeIdentity *identity; /* owned */
    SpokeCause cause;
    char *detail; /* owned */
    gboolean is_asked;
} Leaving;

/* Source: iot-hub-protocol.md, 3.10 and 11. */
#define PORT           5671
#define WEBSOCKET_PORT 443
#define IDENTITIES_MAX 1000

/* Of one identity. Enough to fill a line of 10 MB/s and 100 ms. */
#define WINDOW       4096
#define WINDOW_BYTES (1024 * 1024)
/* Of all. */
#define CONNECTION_WINDOW 16384
#define CONNECTION_BYTES  (8 * 1024 * 1024)

static void
leaving_free(gpointer data)
{
    Leaving *leaving = data;

    spoke_identity_unref(leaving->identity);
    g_free(leaving->detail);
    g_free(leaving);
}

/* The end */

static void
end(SpokeTransport *self, SpokeCause cause, const char *detail)
{
    g_clear_handle_id(&self->timeout_id, g_source_remove);
    spoke_amqp_line_closed(&self->line, cause, detail); /* may free us, later */
}

static gboolean
on_end(gpointer user_data)
{
    SpokeTransport *self = user_data;

    self->end_id = 0;
    end(self, SPOKE_CAUSE_CLOSED, NULL);
    return G_SOURCE_REMOVE;
}

static void
give_up_connecting(SpokeTransport *self)
{
    g_clear_handle_id(&self->timeout_id, g_source_remove);
    g_clear_pointer(&self->connect, spoke_amqp_connect_free);
    if (self->upgrade != NULL)
        g_cancellable_cancel(self->upgrade);
}

static SpokeAmqpStage
get_stage(SpokeTransport *self)
{
    if (self->connect != NULL)
        return spoke_amqp_connect_get_stage(self->connect);
    return self->upgrade != NULL ? SPOKE_AMQP_STAGE_UPGRADE : SPOKE_AMQP_STAGE_GREETING;
}

static gboolean
on_timeout(gpointer user_data)
{
    SpokeTransport *self = user_data;
    const char *detail = NULL;
    SpokeCause cause =
        spoke_amqp_failure_of_silence(get_stage(self), self->endpoint->proxy != NULL, &detail);
    g_autofree char *text =
        g_strdup_printf("%s within %u seconds", detail, self->endpoint->connect_timeout_sec);

    self->timeout_id = 0;
    give_up_connecting(self);
    end(self, cause, text);
    return G_SOURCE_REMOVE;
}

/* Members */

static gboolean
on_leave(gpointer user_data)
{
    SpokeTransport *self = user_data;

    self->leave_id = 0;
    for (Leaving *leaving = g_queue_pop_head(&self->leaving); leaving != NULL;
         leaving = g_queue_pop_head(&self->leaving)) {
        /* Asked to go, but failed before: that is told next. */
        if (!leaving->is_asked || g_hash_table_remove(self->members, leaving->identity))
            spoke_amqp_line_detached(&self->line, leaving->identity, leaving->cause,
                                     leaving->detail);
        leaving_free(leaving);
    }
    return G_SOURCE_REMOVE;
}

static void
leave(SpokeTransport *self, SpokeIdentity *identity, SpokeCause cause, const char *detail,
      gboolean is_asked)
{
    Leaving *leaving = g_new(Leaving, 1);

    *leaving = (Leaving){spoke_identity_ref(identity), cause, g_strdup(detail), is_asked};
    g_queue_push_tail(&self->leaving, leaving);
    if (self->leave_id == 0)
        self->leave_id = g_idle_add_full(G_PRIORITY_DEFAULT, on_leave, self, NULL);
}

static void
on_left(SpokeAmqpMember *member, SpokeCause cause, const char *detail, gpointer user_data)
{
    SpokeTransport *self = user_data;
    SpokeIdentity *identity = spoke_amqp_member_get_identity(member);

    leave(self, identity, cause, detail, FALSE);
    g_hash_table_remove(self->members, identity);
}

static void
on_answered(gpointer who, SpokeCause cause, const char *detail, gpointer user_data)
{
    spoke_amqp_member_answered(who, cause, detail);
}

static void
on_cbs_failed(SpokeCause cause, const char *detail, gpointer user_data)
{
    SpokeTransport *self = user_data;

    spoke_amqp_engine_close(self->engine);
    end(self, cause, detail);
}

static SpokeAmqpCbs *
get_cbs(SpokeTransport *self)
{
    static const SpokeAmqpCbsEvents events = {
        .answered = on_answered,
        .failed = on_cbs_failed,
    };

    if (self->cbs == NULL)
        self->cbs = spoke_amqp_cbs_new(self->engine, self->endpoint->product, &events, self);
    return self->cbs;
}

/* Connecting */

static void
on_engine_opened(gpointer user_data)
{
    SpokeTransport *self = user_data;

    g_clear_handle_id(&self->timeout_id, g_source_remove);
    self->is_opened = TRUE;
    spoke_amqp_line_opened(&self->line);
}

static void
on_engine_flush(gpointer user_data)
{
    SpokeTransport *self = user_data;

    spoke_amqp_senders_flush(&self->line);
}

static void
on_engine_ended(SpokeCause cause, const char *detail, gpointer user_data)
{
    end(user_data, cause, detail);
}

static void
start_engine(SpokeTransport *self, SpokeAmqpStream *stream)
{
    static const SpokeAmqpEngineEvents events = {
        .opened = on_engine_opened,
        .flush = on_engine_flush,
        .ended = on_engine_ended,
    };
    const SpokeAmqpEngineOptions options = {
        .host = self->endpoint->host,
        .keepalive_sec = self->endpoint->keepalive_sec,
        .use_sasl = self->endpoint->certificate_file == NULL,
    };

    self->engine = spoke_amqp_engine_new(&options, stream, &events, self);
    self->line.engine = self->engine;
}

/* Given up: @user_data may be gone. */
static gboolean
was_given_up(const GError *error)
{
    return g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
}

static void
on_upgraded(GObject *source, GAsyncResult *result, gpointer user_data)
{
    SpokeCause cause = SPOKE_CAUSE_NONE;
    g_autoptr(GError) error = NULL;
    SpokeAmqpStream *stream =
        spoke_websocket_upgrade_finish(G_IO_STREAM(source), result, &cause, &error);

    if (was_given_up(error))
        return;

    SpokeTransport *self = user_data;

    g_clear_object(&self->upgrade);
    if (stream != NULL)
        start_engine(self, stream);
    else
        end(self, cause, error->message);
}

static void
on_connected(GIOStream *tls, SpokeCause cause, const char *detail, gpointer user_data)
{
    SpokeTransport *self = user_data;

    if (tls != NULL)
        self->socket = g_object_ref(spoke_amqp_connect_get_socket(self->connect));
    if (tls == NULL) {
        end(self, cause, detail);
    } else if (self->is_websocket) {
        self->upgrade = g_cancellable_new();
        spoke_websocket_upgrade_async(tls, self->endpoint, self->upgrade, on_upgraded, self);
    } else {
        start_engine(self, spoke_tls_stream_new(tls));
    }
    g_clear_pointer(&self->connect, spoke_amqp_connect_free);
}

/* The slots */

static SpokeTransport *
create(const SpokeEndpoint *endpoint, gboolean is_websocket, const SpokeTransportEvents *events,
       gpointer user_data)
{
    SpokeTransport *self = g_new0(SpokeTransport, 1);

    self->endpoint = spoke_amqp_endpoint_copy(endpoint);
    self->is_websocket = is_websocket;
    spoke_amqp_line_init(&self->line, events, user_data, self->endpoint->product);
    self->members = g_hash_table_new_full(NULL, NULL, NULL, (GDestroyNotify)spoke_amqp_member_free);
    g_queue_init(&self->leaving);
    return self;
}

static SpokeTransport *
amqp_create(const SpokeEndpoint *endpoint, const SpokeTransportEvents *events, gpointer user_data)
{
    return create(endpoint, FALSE, events, user_data);
}

static SpokeTransport *
amqp_ws_create(const SpokeEndpoint *endpoint, const SpokeTransportEvents *events,
               gpointer user_data)
{
    return create(endpoint, TRUE, events, user_data);
}

static void
amqp_open(SpokeTransport *self)
{
    self->timeout_id = g_timeout_add_seconds(self->endpoint->connect_timeout_sec, on_timeout, self);
    self->connect = spoke_amqp_connect_new(self->endpoint, on_connected, self);
}

/* Why @identity can't be one of us; NULL: it can */
static const char *
find_obstacle(SpokeTransport *self, SpokeSecret *token)
{
    guint n = g_hash_table_size(self->members);
    gboolean has_certificate = self->endpoint->certificate_file != NULL;

    if (token == NULL && !has_certificate)
        return "There is neither a token nor a certificate for it";
    if (has_certificate && n > 0)
        return "A connection with a client certificate carries one identity only";
    return n >= IDENTITIES_MAX ? "The connection carries as many identities as the hub allows"
                               : NULL;
}

static void
amqp_attach(SpokeTransport *self, SpokeIdentity *identity, SpokeSecret *token)
{
    g_return_if_fail(self->is_opened);

    if (self->line.is_silent)
        return;

    SpokeAmqpMember *member = g_hash_table_lookup(self->members, identity);
    const char *obstacle = member == NULL ? find_obstacle(self, token) : NULL;

    if (obstacle != NULL) {
        leave(self, identity, SPOKE_CAUSE_UNSUPPORTED, obstacle, FALSE);
        return;
    }
    if (member == NULL) {
        member = spoke_amqp_member_new(&self->line, identity, on_left, self);
        g_hash_table_insert(self->members, identity, member);
    }
    if (token != NULL)
        spoke_amqp_member_attach_token(member, get_cbs(self), token);
    else
        spoke_amqp_member_attach_certificate(member);
}

static gboolean
is_asked_to_leave(SpokeTransport *self, SpokeIdentity *identity)
{
    for (const GList *item = self->leaving.head; item != NULL; item = item->next) {
        const Leaving *leaving = item->data;

        if (leaving->is_asked && leaving->identity == identity)
            return TRUE;
    }
    return FALSE;
}

static void
amqp_detach(SpokeTransport *self, SpokeIdentity *identity)
{
    if (g_hash_table_contains(self->members, identity) && !is_asked_to_leave(self, identity))
        leave(self, identity, SPOKE_CAUSE_CLOSED, NULL, TRUE);
}

static void
amqp_send(SpokeTransport *self, SpokeIdentity *identity, const SpokeOutgoing *messages, guint n)
{
    SpokeAmqpMember *member = g_hash_table_lookup(self->members, identity);

    if (member != NULL && !self->line.is_silent)
        spoke_amqp_member_send(member, messages, n);
}

static void
amqp_receive(SpokeTransport *self, SpokeIdentity *identity, gboolean on)
{
    SpokeAmqpMember *member = g_hash_table_lookup(self->members, identity);

    if (member != NULL && !self->line.is_silent)
        spoke_amqp_member_receive(member, on);
}

static void
amqp_poll(SpokeTransport *self, SpokeIdentity *identity)
{
    /* Messages come by themselves. */
}

static guint64
amqp_get_progress(SpokeTransport *self)
{
    struct tcp_info info = {0};
    socklen_t size = sizeof info;

    if (self->socket == NULL ||
        getsockopt(g_socket_get_fd(self->socket), IPPROTO_TCP, TCP_INFO, &info, &size) < 0)
        return 0;
    return info.tcpi_bytes_acked;
}

static void
amqp_settle(SpokeTransport *self, gpointer token, SpokeVerdict verdict)
{
    if (!self->line.is_silent)
        spoke_amqp_receivers_settle(&self->line, token, verdict);
}

static void
amqp_close(SpokeTransport *self)
{
    if (self->engine != NULL) {
        g_clear_handle_id(&self->timeout_id, g_source_remove);
        spoke_amqp_engine_close(self->engine); /* on_engine_ended() follows */
        return;
    }
    give_up_connecting(self);
    if (self->end_id == 0)
        self->end_id = g_idle_add_full(G_PRIORITY_DEFAULT, on_end, self, NULL);
}

static gboolean
tear_down(gpointer user_data)
{
    SpokeTransport *self = user_data;

    give_up_connecting(self);
    g_clear_object(&self->upgrade);
    g_clear_object(&self->socket);
    g_clear_handle_id(&self->leave_id, g_source_remove);
    g_clear_handle_id(&self->end_id, g_source_remove);
    g_hash_table_unref(self->members);
    spoke_amqp_cbs_free(self->cbs);
    spoke_amqp_engine_free(self->engine);
    g_queue_clear_full(&self->leaving, leaving_free);
    spoke_amqp_line_clear(&self->line);
    spoke_amqp_endpoint_free(self->endpoint);
    g_free(self);
    return G_SOURCE_REMOVE;
}

static void
amqp_free(SpokeTransport *self)
{
    gboolean is_telling = self->line.n_calls > 0;

    self->line.is_silent = TRUE;
    if (is_telling)
        g_idle_add_full(G_PRIORITY_DEFAULT, tear_down, self, NULL);
    else
        (void)tear_down(self);
}

/* What both forms have in common. clang-format would put a line on each. */
/* clang-format off */
#define COMMON                                                                                     \
    .abi = SPOKE_TRANSPORT_ABI,                                                                    \
    .capabilities = SPOKE_CAPABILITY_PUSH | SPOKE_CAPABILITY_SETTLE | SPOKE_CAPABILITY_MULTIPLEX | \
                    SPOKE_CAPABILITY_RENEW | SPOKE_CAPABILITY_PROXY,                               \
    .identities_max = IDENTITIES_MAX, .window = WINDOW, .window_bytes = WINDOW_BYTES,              \
    .connection_window = CONNECTION_WINDOW, .connection_bytes = CONNECTION_BYTES,                  \
    .open = amqp_open, .attach = amqp_attach, .detach = amqp_detach, .send = amqp_send,            \
    .receive = amqp_receive, .poll = amqp_poll, .get_progress = amqp_get_progress,                 \
    .settle = amqp_settle, .close = amqp_close, .free = amqp_free
/* clang-format on */

static const SpokeTransportModule amqp_module = {
    COMMON,
    .name = "amqp",
    .default_port = PORT,
    .create = amqp_create,
};

static const SpokeTransportModule amqp_ws_module = {
    COMMON,
    .name = "amqp-ws",
    .default_port = WEBSOCKET_PORT,
    .create = amqp_ws_create,
};

/* The module's one symbol: SPOKE_TRANSPORT_SYMBOL. */
G_MODULE_EXPORT extern const SpokeTransportModule *const spoke_transport_modules[];
const SpokeTransportModule *const spoke_transport_modules[] = {&amqp_module, &amqp_ws_module, NULL};
