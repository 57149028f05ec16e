/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/transports/amqp/connect.h"

#include "daemon/transports/amqp/endpoint.h"
#include "daemon/transports/amqp/http-exchange.h"
#include "daemon/transports/amqp/tls-client.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

/*
 * Each step is one asynchronous call of GIO's that holds a share of us, so that giving up is
 * letting go: what still comes finds nobody to tell.
 */
struct SpokeAmqpConnect {
    grefcount ref_count;
    const SpokeEndpoint *endpoint; /* borrowed; NULL once given up, as done */
    SpokeAmqpConnectFunc done;     /* NULL once told */
    gpointer user_data;

    SpokeAmqpStage stage;
    GCancellable *cancellable; /* owned */
    GSocketClient *client;     /* owned */
    GSocket *socket;           /* owned; NULL before there is one */
    GIOStream *stream;         /* owned; likewise */
};

static SpokeAmqpConnect *
ref(SpokeAmqpConnect *connect)
{
    g_ref_count_inc(&connect->ref_count);
    return connect;
}

static void
unref(SpokeAmqpConnect *connect)
{
    if (!g_ref_count_dec(&connect->ref_count))
        return;

    g_signal_handlers_disconnect_by_data(connect->client, connect);
    g_clear_object(&connect->client);
    g_clear_object(&connect->socket);
    g_clear_object(&connect->stream);
    g_clear_object(&connect->cancellable);
    g_free(connect);
}
typedef SpokeAmqpConnect Share;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Share, unref)

static void
tell(SpokeAmqpConnect *connect, GIOStream *stream, SpokeCause cause, const char *detail)
{
    SpokeAmqpConnectFunc done = g_steal_pointer(&connect->done);

    if (done != NULL)
        done(stream, cause, detail, connect->user_data);
}

static void
tell_error(SpokeAmqpConnect *connect, const GError *error)
{
    gboolean has_proxy = connect->endpoint->proxy != NULL;

    tell(connect, NULL, spoke_amqp_failure_get_cause(connect->stage, has_proxy, error),
         error->message);
}

/* TLS */

static void
on_handshake(GObject *source, GAsyncResult *result, gpointer user_data)
{
    g_autoptr(Share) connect = user_data;
    g_autoptr(GError) error = NULL;
    GTlsConnection *tls = G_TLS_CONNECTION(source);

    if (!g_tls_connection_handshake_finish(tls, result, &error)) {
        g_autofree char *refusal = spoke_tls_client_describe_refusal(tls);

        if (refusal != NULL)
            tell(connect, NULL, SPOKE_CAUSE_CERTIFICATE, refusal);
        else if (connect->done != NULL)
            tell_error(connect, error);
        return;
    }
    if (g_tls_connection_get_protocol_version(tls) < G_TLS_PROTOCOL_VERSION_TLS_1_2) {
        tell(connect, NULL, SPOKE_CAUSE_TLS, "The server speaks no TLS 1.2 or newer");
        return;
    }
    tell(connect, connect->stream, SPOKE_CAUSE_NONE, NULL);
}

static void
start_tls(SpokeAmqpConnect *connect)
{
    g_autoptr(GError) error = NULL;
    SpokeCause cause = SPOKE_CAUSE_NONE;

    connect->stage = SPOKE_AMQP_STAGE_TLS;

    GTlsConnection *tls = spoke_tls_client_new(connect->stream, connect->endpoint, &cause, &error);

    if (tls == NULL) {
        tell(connect, NULL, cause, error->message);
        return;
    }
    g_object_unref(connect->stream); /* @tls has it */
    connect->stream = G_IO_STREAM(tls);
    g_tls_connection_handshake_async(tls, G_PRIORITY_DEFAULT, connect->cancellable, on_handshake,
                                     ref(connect));
}

/* The proxy */

/* "user:password" in Base64, appended. */
static void
append_credentials(GString *request, const SpokeProxy *proxy)
{
    GString *plain = g_string_new(proxy->user);

    g_string_append_c(plain, ':');
    if (proxy->password != NULL)
        g_string_append_len(plain, spoke_secret_peek(proxy->password),
                            (gssize)spoke_secret_get_size(proxy->password));

    char *encoded = g_base64_encode((const guchar *)plain->str, plain->len);

    spoke_secret_wipe(plain->str, plain->len);
    g_string_free(plain, TRUE);
    /* In one piece: growing would leave a copy behind. */
    g_string_set_size(request, request->len + strlen(encoded) + 64);
    g_string_truncate(request, request->len - strlen(encoded) - 64);
    g_string_append_printf(request, "Proxy-Authorization: Basic %s\r\n", encoded);
    spoke_secret_free_text(encoded);
}

/* (transfer full) */
static SpokeSecret *
make_connect_request(const SpokeEndpoint *endpoint)
{
    g_autofree char *target = spoke_amqp_endpoint_format(endpoint);
    GString *request = g_string_new(NULL);

    g_string_printf(request, "CONNECT %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: %s\r\n", target,
                    target, endpoint->product);
    if (endpoint->proxy->user != NULL)
        append_credentials(request, endpoint->proxy);
    g_string_append(request, "\r\n");
    return spoke_secret_new_take(g_string_free(request, FALSE));
}

static const char *
explain_status(const SpokeProxy *proxy, guint status)
{
    if (status != 407)
        return "";
    return proxy->user != NULL ? ": it refuses the user and password"
                               : ": it wants a user and password";
}

static void
on_tunnel(GObject *source, GAsyncResult *result, gpointer user_data)
{
    g_autoptr(Share) connect = user_data;
    g_autoptr(GError) error = NULL;
    g_autoptr(SpokeHttpHead) head = spoke_http_exchange_finish(G_IO_STREAM(source), result, &error);

    if (connect->done == NULL)
        return;
    if (head == NULL) {
        tell_error(connect, error);
        return;
    }
    if (head->status >= 200 && head->status < 300) {
        start_tls(connect);
        return;
    }

    /* In words of ours: its own might hold what we sent, the password too. */
    g_autofree char *detail =
        g_strdup_printf("The proxy %s port %u answered CONNECT with status %u%s",
                        connect->endpoint->proxy->host, connect->endpoint->proxy->port,
                        head->status, explain_status(connect->endpoint->proxy, head->status));

    tell(connect, NULL, SPOKE_CAUSE_PROXY, detail);
}

static void
start_tunnel(SpokeAmqpConnect *connect)
{
    g_autoptr(SpokeSecret) request = make_connect_request(connect->endpoint);

    connect->stage = SPOKE_AMQP_STAGE_PROXY;
    spoke_http_exchange_async(connect->stream, request, connect->cancellable, on_tunnel,
                              ref(connect));
}

/* TCP */

static void
on_client_event(GSocketClient *client, GSocketClientEvent event, GSocketConnectable *connectable,
                GIOStream *stream, gpointer user_data)
{
    SpokeAmqpConnect *connect = user_data;

    if (event == G_SOCKET_CLIENT_CONNECTING)
        connect->stage = SPOKE_AMQP_STAGE_TCP;
}

static void
on_connected(GObject *source, GAsyncResult *result, gpointer user_data)
{
    g_autoptr(Share) connect = user_data;
    g_autoptr(GError) error = NULL;
    GSocketConnection *connection =
        g_socket_client_connect_finish(G_SOCKET_CLIENT(source), result, &error);

    if (connect->done == NULL) {
        g_clear_object(&connection);
        return;
    }
    if (connection == NULL) {
        tell_error(connect, error);
        return;
    }
    connect->stream = G_IO_STREAM(connection);
    connect->socket = g_object_ref(g_socket_connection_get_socket(connection));
    (void)g_socket_set_option(connect->socket, IPPROTO_TCP, TCP_NODELAY, 1, NULL);
    if (connect->endpoint->proxy != NULL)
        start_tunnel(connect);
    else
        start_tls(connect);
}

SpokeAmqpConnect *
spoke_amqp_connect_new(const SpokeEndpoint *endpoint, SpokeAmqpConnectFunc done, gpointer user_data)
{
    SpokeAmqpConnect *connect = g_new0(SpokeAmqpConnect, 1);
    const SpokeProxy *proxy = endpoint->proxy;
    g_autoptr(GSocketConnectable) first = g_network_address_new(
        proxy != NULL ? proxy->host : endpoint->host, proxy != NULL ? proxy->port : endpoint->port);

    g_ref_count_init(&connect->ref_count);
    connect->endpoint = endpoint;
    connect->done = done;
    connect->user_data = user_data;
    connect->cancellable = g_cancellable_new();
    connect->client = g_socket_client_new();
    g_socket_client_set_enable_proxy(connect->client, FALSE); /* the machine's: not ours */
    g_signal_connect(connect->client, "event", G_CALLBACK(on_client_event), connect);
    g_socket_client_connect_async(connect->client, first, connect->cancellable, on_connected,
                                  ref(connect));
    return connect;
}

void
spoke_amqp_connect_free(SpokeAmqpConnect *connect)
{
    if (connect == NULL)
        return;

    connect->done = NULL;
    connect->endpoint = NULL;
    g_cancellable_cancel(connect->cancellable);
    unref(connect);
}

SpokeAmqpStage
spoke_amqp_connect_get_stage(SpokeAmqpConnect *connect)
{
    return connect->stage;
}

GSocket *
spoke_amqp_connect_get_socket(SpokeAmqpConnect *connect)
{
    return connect->socket;
}
