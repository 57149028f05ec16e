/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/transports/amqp/websocket.h"

#include "daemon/transports/amqp/endpoint.h"
#include "daemon/transports/amqp/failure.h"
#include "daemon/transports/amqp/http-exchange.h"
#include "daemon/transports/amqp/websocket-guard.h"
#include "daemon/transports/amqp/websocket-limit.h"

#include <libsoup/soup.h>
#include <string.h>

/* Source: iot-hub-protocol.md, 3.11 and 12. */
#define PATH        "/$iothub/websocket"
#define SUBPROTOCOL "AMQPWSB10"

/* Source: RFC 6455, section 1.3. */
#define KEY_BYTES 16
#define KEY_GUID  "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

/* For the peer's goodbye, and what else there is to write. */
#define GOODBYE_SEC 5

typedef struct {
    SpokeAmqpStream base;
    SoupWebsocketConnection *connection; /* owned */
    GSocket *socket;                     /* owned; what it all runs over */
    GError *failure;                     /* owned; told when it is closed */
    guint ended_id;                      /* source */
} WebsocketStream;

/* The stream */

static void
on_message(SoupWebsocketConnection *connection, gint type, GBytes *message, gpointer user_data)
{
    WebsocketStream *self = user_data;
    gsize size = 0;
    const guint8 *data = g_bytes_get_data(message, &size);

    if (size > 0)
        self->base.events->arrived(data, size, self->base.user_data);
}

/* libsoup may find it closed while we write. */
static gboolean
on_ended(gpointer user_data)
{
    WebsocketStream *self = user_data;

    self->ended_id = 0;
    g_signal_handlers_disconnect_by_data(self->connection, self);
    self->base.events->ended(self->failure, self->base.user_data);
    return G_SOURCE_REMOVE;
}

static void
on_closed(SoupWebsocketConnection *connection, gpointer user_data)
{
    WebsocketStream *self = user_data;

    if (self->ended_id == 0)
        self->ended_id = g_idle_add_full(G_PRIORITY_DEFAULT, on_ended, self, NULL);
}

/* After some libsoup would wait for the peer's goodbye, and read on meanwhile. */
static void
on_error(SoupWebsocketConnection *connection, GError *error, gpointer user_data)
{
    WebsocketStream *self = user_data;

    if (self->failure == NULL && error->domain == SOUP_WEBSOCKET_ERROR)
        self->failure = g_error_new(G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                                    "The server breaks the WebSocket's rules: %s", error->message);
    else if (self->failure == NULL)
        self->failure = g_error_copy(error);
    on_closed(connection, self);
}

static void
websocket_start(SpokeAmqpStream *stream)
{
    WebsocketStream *self = (WebsocketStream *)stream;

    g_signal_connect(self->connection, "message", G_CALLBACK(on_message), self);
    g_signal_connect(self->connection, "error", G_CALLBACK(on_error), self);
    g_signal_connect(self->connection, "closed", G_CALLBACK(on_closed), self);
    if (soup_websocket_connection_get_state(self->connection) == SOUP_WEBSOCKET_STATE_CLOSED)
        on_closed(self->connection, self); /* while nobody listened */
}

/* libsoup queues without a limit: what is under way is limited by what may be unsettled. */
static gsize
websocket_write(SpokeAmqpStream *stream, const guint8 *data, gsize size)
{
    WebsocketStream *self = (WebsocketStream *)stream;

    if (soup_websocket_connection_get_state(self->connection) == SOUP_WEBSOCKET_STATE_OPEN)
        soup_websocket_connection_send_binary(self->connection, data, size);
    return size;
}

/* A goodbye nobody reads would keep us for as long as the peer likes. */
static gboolean
on_goodbye_time(gpointer socket)
{
    (void)g_socket_shutdown(socket, TRUE, TRUE, NULL);
    return G_SOURCE_REMOVE;
}

static void
start_goodbye(WebsocketStream *self)
{
    /* The last share goes with it. */
    g_signal_connect(g_object_ref(self->connection), "closed", G_CALLBACK(g_object_unref), NULL);
    if (self->failure == NULL &&
        soup_websocket_connection_get_state(self->connection) == SOUP_WEBSOCKET_STATE_OPEN)
        soup_websocket_connection_close(self->connection, SOUP_WEBSOCKET_CLOSE_NORMAL, NULL);
    if (self->failure == NULL)
        g_timeout_add_seconds_full(G_PRIORITY_DEFAULT, GOODBYE_SEC, on_goodbye_time,
                                   g_object_ref(self->socket), g_object_unref);
    else
        (void)on_goodbye_time(self->socket);
}

static void
websocket_close(SpokeAmqpStream *stream)
{
    WebsocketStream *self = (WebsocketStream *)stream;

    g_clear_handle_id(&self->ended_id, g_source_remove);
    g_signal_handlers_disconnect_by_data(self->connection, self);
    if (soup_websocket_connection_get_state(self->connection) != SOUP_WEBSOCKET_STATE_CLOSED)
        start_goodbye(self);
    g_object_unref(self->connection);
    g_object_unref(self->socket);
    g_clear_error(&self->failure);
    g_free(self);
}

/* Made, but given up before anybody had it. */
static void
drop_stream(gpointer stream)
{
    websocket_close(stream);
}

static SpokeAmqpStream *
stream_new(GIOStream *tls, GUri *uri)
{
    static const SpokeAmqpStreamOps ops = {
        .start = websocket_start,
        .write = websocket_write,
        .close = websocket_close,
    };
    WebsocketStream *self = g_new0(WebsocketStream, 1);
    g_autoptr(GIOStream) guard = spoke_websocket_guard_new(tls);
    g_autoptr(GSocketConnection) tcp = NULL;

    g_object_get(tls, "base-io-stream", &tcp, NULL);
    self->base.ops = &ops;
    self->socket = g_object_ref(g_socket_connection_get_socket(tcp));
    self->connection = soup_websocket_connection_new(guard, uri, SOUP_WEBSOCKET_CONNECTION_CLIENT,
                                                     NULL, SUBPROTOCOL, NULL);
    soup_websocket_connection_set_max_incoming_payload_size(self->connection,
                                                            SPOKE_WEBSOCKET_MESSAGE_BYTES_MAX);
    return &self->base;
}

/* The upgrade */

typedef struct {
    char *accept; /* owned; what the answer must hold */
    GUri *uri;    /* owned */
} Upgrade;

static void
upgrade_free(gpointer data)
{
    Upgrade *upgrade = data;

    g_free(upgrade->accept);
    g_clear_pointer(&upgrade->uri, g_uri_unref);
    g_free(upgrade);
}

/* (transfer full) */
static char *
make_key(void)
{
    guint32 random[KEY_BYTES / sizeof(guint32)];

    for (guint i = 0; i < G_N_ELEMENTS(random); i++)
        random[i] = g_random_int();
    return g_base64_encode((const guchar *)random, KEY_BYTES);
}

/* (transfer full) */
static char *
make_accept(const char *key)
{
    g_autoptr(GChecksum) checksum = g_checksum_new(G_CHECKSUM_SHA1);
    guint8 digest[20];
    gsize size = sizeof digest;

    g_checksum_update(checksum, (const guchar *)key, -1);
    g_checksum_update(checksum, (const guchar *)KEY_GUID, -1);
    g_checksum_get_digest(checksum, digest, &size);
    return g_base64_encode(digest, size);
}

static const char *
get_header(const SpokeHttpHead *head, const char *name)
{
    const char *value = g_hash_table_lookup(head->headers, name);

    return value != NULL ? value : "";
}

/* What is wrong with an answer 101; NULL: nothing */
static const char *
find_fault(const SpokeHttpHead *head, const char *accept)
{
    if (g_ascii_strcasecmp(get_header(head, "upgrade"), "websocket") != 0)
        return "The answer to the WebSocket upgrade upgrades to something else";
    if (!g_str_equal(get_header(head, "sec-websocket-accept"), accept))
        return "The answer to the WebSocket upgrade has a wrong Sec-WebSocket-Accept";
    if (g_ascii_strcasecmp(get_header(head, "sec-websocket-protocol"), SUBPROTOCOL) != 0)
        return "The server's WebSocket does not speak " SUBPROTOCOL;
    if (*get_header(head, "sec-websocket-extensions") != '\0')
        return "The server uses a WebSocket extension that was not offered";
    return NULL;
}

static SpokeCause
cause_of_status(guint status)
{
    if (status == 429)
        return SPOKE_CAUSE_THROTTLED;
    return status >= 500 ? SPOKE_CAUSE_UNAVAILABLE : SPOKE_CAUSE_PROTOCOL;
}

/* The cause travels as the code of an error of this domain. */
static G_DEFINE_QUARK(spoke_websocket_cause, cause)

static void
on_answer(GObject *source, GAsyncResult *result, gpointer user_data)
{
    g_autoptr(GTask) task = user_data;
    Upgrade *upgrade = g_task_get_task_data(task);
    GIOStream *tls = G_IO_STREAM(source);
    g_autoptr(GError) error = NULL;
    g_autoptr(SpokeHttpHead) head = spoke_http_exchange_finish(tls, result, &error);

    if (head == NULL) {
        g_task_return_error(task, g_steal_pointer(&error));
        return;
    }
    if (head->status != SOUP_STATUS_SWITCHING_PROTOCOLS) {
        g_task_return_new_error(task, cause_quark(), (int)cause_of_status(head->status),
                                "The server answered the WebSocket upgrade with status %u",
                                head->status);
        return;
    }

    const char *fault = find_fault(head, upgrade->accept);

    if (fault != NULL)
        g_task_return_new_error(task, cause_quark(), SPOKE_CAUSE_PROTOCOL, "%s", fault);
    else
        g_task_return_pointer(task, stream_new(tls, upgrade->uri), drop_stream);
}

void
spoke_websocket_upgrade_async(GIOStream *tls, const SpokeEndpoint *endpoint,
                              GCancellable *cancellable, GAsyncReadyCallback callback,
                              gpointer user_data)
{
    GTask *task = g_task_new(tls, cancellable, callback, user_data);
    Upgrade *upgrade = g_new0(Upgrade, 1);
    g_autofree char *key = make_key();
    g_autofree char *host = spoke_amqp_endpoint_format(endpoint);
    g_autoptr(SpokeSecret) request = spoke_secret_new_take(
        g_strdup_printf("GET " PATH " HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\n"
                        "Connection: Upgrade\r\nSec-WebSocket-Key: %s\r\n"
                        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: " SUBPROTOCOL "\r\n"
                        "User-Agent: %s\r\n\r\n",
                        host, key, endpoint->product));

    upgrade->accept = make_accept(key);
    upgrade->uri = g_uri_build(G_URI_FLAGS_NONE, "wss", NULL, endpoint->host, endpoint->port, PATH,
                               NULL, NULL);
    g_task_set_task_data(task, upgrade, upgrade_free);
    spoke_http_exchange_async(tls, request, cancellable, on_answer, task);
}

SpokeAmqpStream *
spoke_websocket_upgrade_finish(GIOStream *tls, GAsyncResult *result, SpokeCause *ret_cause,
                               GError **error)
{
    g_autoptr(GError) failure = NULL;
    SpokeAmqpStream *stream = g_task_propagate_pointer(G_TASK(result), &failure);

    if (stream != NULL)
        return stream;
    *ret_cause = failure->domain == cause_quark()
                     ? (SpokeCause)failure->code
                     : spoke_amqp_failure_get_cause(SPOKE_AMQP_STAGE_UPGRADE, FALSE, failure);
    g_propagate_error(error, g_steal_pointer(&failure));
    return NULL;
}
