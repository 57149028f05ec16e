/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib/gstdio.h>
#include <libsoup/soup.h>
#include <string.h>

#include <gio/gio.h>

#include "daemon/module.h"
#include "daemon/properties.h"

/*
 * The HTTPS module alone, as the daemon loads it, against a server in this process that says what
 * the test wants: each answer a hub can give, and none. What the real rules are is tested with
 * iothub-emulator, in test-https.c.
 */

#define DEADLINE_USEC (20 * G_USEC_PER_SEC)
#define EVENTS        "/devices/dev1/messages/events"
#define DEVICEBOUND   "/devices/dev1/messages/devicebound"

/* The server */

typedef void (*Respond)(SoupServerMessage *message, const char *body);

static struct {
    char *directory;
    char *ca_file;
    char *key_file;
    guint16 port;
    guint16 proxy_port;
    GPtrArray *requests; /* "METHOD PATH?QUERY" */
    GPtrArray *bodies;
    char *authorization; /* of the last request */
    char *match;         /* its If-Match */
    GString *headers;    /* all of its headers */
    GHashTable *clients; /* addresses of connections */
    guint n_tunnels;
    gboolean refuses_login; /* respond() is asked about logins, too */
    Respond respond;        /* to all but the probe and logins */
} hub;

static const SpokeTransportModule *module;

/* What a login asks for; see login.h. */
#define NO_LOCK "00000000-0000-0000-0000-000000000000"

static void
collect_header(const char *name, const char *value, gpointer unused)
{
    g_string_append_printf(hub.headers, "%s: %s\n", name, value);
}

static void
replace(char **text, const char *with)
{
    g_free(*text);
    *text = g_strdup(with);
}

static void
note_client(SoupServerMessage *message)
{
    GSocketAddress *address = soup_server_message_get_remote_address(message);

    g_hash_table_add(hub.clients, g_socket_connectable_to_string(G_SOCKET_CONNECTABLE(address)));
}

/* libsoup closes the connection after an answer without a length, which 204 has not. */
static void
stay_connected(SoupServerMessage *message, gpointer unused)
{
    soup_message_headers_set_encoding(soup_server_message_get_response_headers(message),
                                      SOUP_ENCODING_NONE);
}

static void
answer(SoupServerMessage *message, guint status, const char *code)
{
    g_autofree char *body =
        g_strdup_printf("{\"Message\":\"ErrorCode:%s;a sentence\"}", code != NULL ? code : "");

    soup_server_message_set_status(message, status, NULL);
    if (status == 204)
        g_signal_connect(message, "wrote-headers", G_CALLBACK(stay_connected), NULL);
    if (code != NULL)
        soup_server_message_set_response(message, "application/json", SOUP_MEMORY_COPY, body,
                                         strlen(body));
}

static void
on_request(SoupServer *server, SoupServerMessage *message, const char *path, GHashTable *query,
           gpointer unused)
{
    SoupMessageHeaders *headers = soup_server_message_get_request_headers(message);
    SoupMessageBody *body = soup_server_message_get_request_body(message);
    const char *method = soup_server_message_get_method(message);
    GUri *uri = soup_server_message_get_uri(message);
    g_autoptr(GBytes) bytes = soup_message_body_flatten(body);
    const char *words = g_uri_get_query(uri);

    if (strcmp(method, "HEAD") == 0) {
        g_assert_null(soup_message_headers_get_one(headers, "Authorization"));
        soup_server_message_set_status(message, 404, NULL);
        return;
    }
    if (strstr(path, NO_LOCK) != NULL && !hub.refuses_login) {
        g_assert_cmpstr(method, ==, "DELETE");
        answer(message, 412, "DeviceMessageLockLost");
        return;
    }
    note_client(message);
    replace(&hub.authorization, soup_message_headers_get_one(headers, "Authorization"));
    replace(&hub.match, soup_message_headers_get_one(headers, "If-Match"));
    g_string_truncate(hub.headers, 0);
    soup_message_headers_foreach(headers, collect_header, NULL);
    g_ptr_array_add(hub.requests, g_strdup_printf("%s %s?%s", method, g_uri_get_path(uri),
                                                  words != NULL ? words : ""));
    g_ptr_array_add(hub.bodies, g_strndup(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes)));
    hub.respond(message, g_ptr_array_index(hub.bodies, hub.bodies->len - 1));
}

static void
set_header(SoupServerMessage *message, const char *name, const char *value)
{
    soup_message_headers_replace(soup_server_message_get_response_headers(message), name, value);
}

static void
accept_all(SoupServerMessage *message, const char *body)
{
    answer(message, 204, NULL);
}

static void
accept_and_close(SoupServerMessage *message, const char *body)
{
    soup_server_message_set_status(message, 204, NULL);
}

static void
refuse_bad(SoupServerMessage *message, const char *body)
{
    if (strstr(body, "bad") != NULL || strstr(hub.headers->str, "bad") != NULL)
        answer(message, 400, "ArgumentInvalid");
    else
        answer(message, 204, NULL);
}

static void
refuse_nameless(SoupServerMessage *message, const char *body)
{
    answer(message, 400, NULL);
}

static void
refuse_token(SoupServerMessage *message, const char *body)
{
    answer(message, 401, "IotHubUnauthorizedAccess");
}

static void
refuse_token_by_clock(SoupServerMessage *message, const char *body)
{
    answer(message, 401, "IotHubUnauthorizedAccess");
    set_header(message, "Date", "Tue, 01 Jan 2030 00:00:00 GMT");
}

static void
refuse_for_quota(SoupServerMessage *message, const char *body)
{
    answer(message, 403, "IotHubQuotaExceeded");
}

static void
refuse_unknown(SoupServerMessage *message, const char *body)
{
    answer(message, 404, "DeviceNotFound");
}

static void
refuse_size(SoupServerMessage *message, const char *body)
{
    answer(message, 413, "MessageTooLarge");
}

static void
throttle(SoupServerMessage *message, const char *body)
{
    answer(message, 429, "ThrottlingException");
    set_header(message, "Retry-After", "120");
}

static void
be_unavailable(SoupServerMessage *message, const char *body)
{
    answer(message, 503, NULL);
    set_header(message, "Retry-After", "7");
}

static void
redirect(SoupServerMessage *message, const char *body)
{
    answer(message, 307, NULL);
    set_header(message, "Location", "https://localhost/elsewhere");
}

static void
hang_up(SoupServerMessage *message, const char *body)
{
    g_autoptr(GIOStream) stream = soup_server_message_steal_connection(message);

    g_io_stream_close(stream, NULL, NULL);
}

static gboolean
resume(gpointer message)
{
    soup_server_message_unpause(message);
    return G_SOURCE_REMOVE;
}

static void
accept_slowly(SoupServerMessage *message, const char *body)
{
    soup_server_message_pause(message);
    g_timeout_add_full(G_PRIORITY_DEFAULT, 300, resume, g_object_ref(message), g_object_unref);
    answer(message, 204, NULL);
}

static guint n_c2d_left;

/* As many messages as there are; verdicts are accepted. */
static void
deliver(SoupServerMessage *message, const char *body)
{
    if (strcmp(soup_server_message_get_method(message), "GET") != 0 || n_c2d_left == 0) {
        answer(message, 204, NULL);
        return;
    }

    g_autofree char *lock = g_strdup_printf("\"lock-%u\"", n_c2d_left--);

    set_header(message, "ETag", lock);
    set_header(message, "iothub-messageid", "m1");
    set_header(message, "iothub-app-k", "v w");
    set_header(message, "ContentType", "text/plain");
    soup_server_message_set_status(message, 200, NULL);
    soup_server_message_set_response(message, "application/octet-stream", SOUP_MEMORY_STATIC,
                                     "a\0b", 3);
}

static void
lose_locks(SoupServerMessage *message, const char *body)
{
    if (strcmp(soup_server_message_get_method(message), "GET") == 0)
        deliver(message, body);
    else
        answer(message, 412, "DeviceMessageLockLost");
}

/* What does not come from libsoup: a beginning, and then one piece again and again */

typedef struct {
    GIOStream *stream;
    char *piece;
} Pour;

static struct {
    guint n_poured; /* that have come to their end */
    gsize bytes;
} poured;

static void
on_poured(GObject *source, GAsyncResult *result, gpointer data)
{
    Pour *pour = data;
    gsize n = 0;

    if (g_output_stream_write_all_finish(G_OUTPUT_STREAM(source), result, &n, NULL) && n > 0) {
        poured.bytes += n;
        g_output_stream_write_all_async(G_OUTPUT_STREAM(source), pour->piece, strlen(pour->piece),
                                        G_PRIORITY_DEFAULT, NULL, on_poured, pour);
        return;
    }
    poured.n_poured++;
    g_object_unref(pour->stream);
    g_free(pour->piece);
    g_free(pour);
}

/* @piece: (transfer full) */
static void
pour(SoupServerMessage *message, const char *head, char *piece)
{
    Pour *pour = g_new0(Pour, 1);

    pour->stream = soup_server_message_steal_connection(message);
    pour->piece = piece;
    poured.bytes = 0;
    poured.n_poured = 0;
    g_output_stream_write_all_async(g_io_stream_get_output_stream(pour->stream), head, strlen(head),
                                    G_PRIORITY_DEFAULT, NULL, on_poured, pour);
}

static void
pour_body(SoupServerMessage *message, const char *body)
{
    pour(message, "HTTP/1.1 200 OK\r\n\r\n", g_strnfill(65536, 'x'));
}

static void
pour_header(SoupServerMessage *message, const char *body)
{
    pour(message, "HTTP/1.1 200 OK\r\nX: ", g_strnfill(16384, 'x'));
}

static void
pour_headers(SoupServerMessage *message, const char *body)
{
    pour(message, "HTTP/1.1 200 OK\r\n",
         g_strdup("X: 0123456789012345678901234567890123456789\r\n"));
}

static void
pour_continues(SoupServerMessage *message, const char *body)
{
    pour(message, "HTTP/1.1 100 Continue\r\n\r\n", g_strdup("HTTP/1.1 100 Continue\r\n\r\n"));
}

static void
accept_after_continue(SoupServerMessage *message, const char *body)
{
    pour(message,
         "HTTP/1.1 100 Continue\r\n\r\n"
         "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n",
         g_strdup(""));
}

#define BOMB_BYTES (64 * 1024 * 1024)

/* (transfer full) */
static GBytes *
make_bomb(void)
{
    g_autoptr(GZlibCompressor) compressor = g_zlib_compressor_new(G_ZLIB_COMPRESSOR_FORMAT_GZIP, 9);
    g_autoptr(GInputStream) zeros =
        g_memory_input_stream_new_from_data(g_malloc0(BOMB_BYTES), BOMB_BYTES, g_free);
    g_autoptr(GOutputStream) packed = g_memory_output_stream_new_resizable();
    g_autoptr(GOutputStream) packing =
        g_converter_output_stream_new(packed, G_CONVERTER(compressor));

    g_assert_cmpint(g_output_stream_splice(packing, zeros,
                                           G_OUTPUT_STREAM_SPLICE_CLOSE_SOURCE |
                                               G_OUTPUT_STREAM_SPLICE_CLOSE_TARGET,
                                           NULL, NULL),
                    ==, BOMB_BYTES);
    return g_memory_output_stream_steal_as_bytes(G_MEMORY_OUTPUT_STREAM(packed));
}

static void
deliver_bomb(SoupServerMessage *message, const char *body)
{
    deliver(message, body);
    if (soup_server_message_get_status(message) != 200)
        return;

    g_autoptr(GBytes) bomb = make_bomb();

    soup_message_body_truncate(soup_server_message_get_response_body(message));
    set_header(message, "Content-Encoding", "gzip");
    soup_server_message_set_response(message, "application/octet-stream", SOUP_MEMORY_COPY,
                                     g_bytes_get_data(bomb, NULL), g_bytes_get_size(bomb));
}

/* A proxy that knows nothing but CONNECT */

typedef struct {
    GIOStream *near;
    GIOStream *far;
} Tunnel;

static void
on_spliced(GObject *source, GAsyncResult *result, gpointer data)
{
    Tunnel *tunnel = data;

    g_io_stream_splice_finish(result, NULL);
    g_object_unref(tunnel->near);
    g_object_unref(tunnel->far);
    g_free(tunnel);
}

static void
on_tunnel_answered(SoupServerMessage *message, gpointer far)
{
    Tunnel *tunnel = g_new0(Tunnel, 1);

    tunnel->near = soup_server_message_steal_connection(message);
    tunnel->far = far;
    g_io_stream_splice_async(tunnel->near, tunnel->far,
                             G_IO_STREAM_SPLICE_CLOSE_STREAM1 | G_IO_STREAM_SPLICE_CLOSE_STREAM2,
                             G_PRIORITY_DEFAULT, NULL, on_spliced, tunnel);
}

static void
on_proxy_request(SoupServer *server, SoupServerMessage *message, const char *path,
                 GHashTable *query, gpointer unused)
{
    SoupMessageHeaders *headers = soup_server_message_get_request_headers(message);
    const char *login = soup_message_headers_get_one(headers, "Proxy-Authorization");
    g_autoptr(GSocketClient) client = g_socket_client_new();

    g_assert_cmpstr(soup_server_message_get_method(message), ==, "CONNECT");
    g_assert_null(soup_message_headers_get_one(headers, "Authorization"));
    if (g_strcmp0(login, "Basic dXNlcjpwYXNz") != 0) { /* user:pass */
        soup_server_message_set_status(message, 407, NULL);
        return;
    }
    g_socket_client_set_enable_proxy(client, FALSE);
    GSocketConnection *far =
        g_socket_client_connect_to_host(client, "localhost", hub.port, NULL, NULL);
    g_assert_nonnull(far);
    hub.n_tunnels++;
    soup_server_message_set_status(message, 200, NULL);
    g_signal_connect(message, "wrote-body", G_CALLBACK(on_tunnel_answered), far);
}

static guint16
listen_on(SoupServer *server, SoupServerListenOptions options)
{
    g_autoptr(GError) error = NULL;

    soup_server_listen_local(server, 0, options | SOUP_SERVER_LISTEN_IPV4_ONLY, &error);
    g_assert_no_error(error);
    GSList *uris = soup_server_get_uris(server);
    guint16 port = (guint16)g_uri_get_port(uris->data);

    g_slist_free_full(uris, (GDestroyNotify)g_uri_unref);
    return port;
}

static void
make_certificate(void)
{
    hub.directory = g_dir_make_tmp("spoke-https-XXXXXX", NULL);
    hub.ca_file = g_build_filename(hub.directory, "certificate.pem", NULL);
    hub.key_file = g_build_filename(hub.directory, "key.pem", NULL);

    const char *const argv[] = {"openssl",
                                "req",
                                "-x509",
                                "-newkey",
                                "ec",
                                "-pkeyopt",
                                "ec_paramgen_curve:prime256v1",
                                "-nodes",
                                "-days",
                                "2",
                                "-subj",
                                "/CN=localhost",
                                "-addext",
                                "subjectAltName=DNS:localhost",
                                "-keyout",
                                hub.key_file,
                                "-out",
                                hub.ca_file,
                                NULL};
    g_autoptr(GError) error = NULL;
    int status = 0;

    g_spawn_sync(NULL, (char **)argv, NULL,
                 G_SPAWN_SEARCH_PATH | G_SPAWN_STDERR_TO_DEV_NULL | G_SPAWN_STDOUT_TO_DEV_NULL,
                 NULL, NULL, NULL, NULL, &status, &error);
    g_assert_no_error(error);
    g_assert_true(g_spawn_check_wait_status(status, NULL));
}

static SoupServer *
start_hub(void)
{
    g_autoptr(GError) error = NULL;

    make_certificate();
    g_autoptr(GTlsCertificate) certificate =
        g_tls_certificate_new_from_files(hub.ca_file, hub.key_file, &error);
    g_assert_no_error(error);
    SoupServer *server = soup_server_new("tls-certificate", certificate, NULL);

    soup_server_add_handler(server, NULL, on_request, NULL, NULL);
    hub.port = listen_on(server, SOUP_SERVER_LISTEN_HTTPS);
    hub.requests = g_ptr_array_new_with_free_func(g_free);
    hub.bodies = g_ptr_array_new_with_free_func(g_free);
    hub.headers = g_string_new(NULL);
    hub.clients = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    return server;
}

static SoupServer *
start_proxy(void)
{
    SoupServer *server = soup_server_new(NULL, NULL);

    soup_server_add_handler(server, NULL, on_proxy_request, NULL, NULL);
    hub.proxy_port = listen_on(server, 0);
    return server;
}

static void
stop_hub(void)
{
    g_unlink(hub.ca_file);
    g_unlink(hub.key_file);
    g_rmdir(hub.directory);
    g_free(hub.directory);
    g_free(hub.ca_file);
    g_free(hub.key_file);
    g_free(hub.authorization);
    g_free(hub.match);
    g_string_free(hub.headers, TRUE);
    g_ptr_array_unref(hub.requests);
    g_ptr_array_unref(hub.bodies);
    g_hash_table_unref(hub.clients);
}

/* A transport */

typedef struct {
    SpokeTransport *transport; /* NULL once freed */
    SpokeIdentity *identity;
    SpokeSecret *token;
    SpokeEndpoint endpoint;

    guint n_opened;
    guint n_attached;
    guint n_detached;
    guint n_closed;
    SpokeCause cause; /* of the last detached or closed */
    char *detail;
    gint64 wait_usec;
    guint n_accepted;
    guint n_rejected;
    GString *order; /* bodies, as they were settled */
    gboolean does_free_when_settled;
    SpokeMessage *arrived; /* the last one */
    GArray *tokens;        /* of all that arrived */
} Fixture;

static void
on_opened(gpointer user_data)
{
    ((Fixture *)user_data)->n_opened++;
}

static void
note_end(Fixture *fixture, SpokeCause cause, const char *detail)
{
    fixture->cause = cause;
    g_test_message("%s: %s", spoke_cause_to_string(cause), detail);
    replace(&fixture->detail, detail);
}

static void
on_closed(SpokeCause cause, const char *detail, gpointer user_data)
{
    Fixture *fixture = user_data;

    fixture->n_closed++;
    note_end(fixture, cause, detail);
}

static void
on_attached(SpokeIdentity *identity, gpointer user_data)
{
    ((Fixture *)user_data)->n_attached++;
}

static void
on_detached(SpokeIdentity *identity, SpokeCause cause, const char *detail, gint64 wait_usec,
            gpointer user_data)
{
    Fixture *fixture = user_data;

    fixture->n_detached++;
    fixture->wait_usec = wait_usec;
    note_end(fixture, cause, detail);
}

static void
on_settled(SpokeIdentity *identity, const SpokeSettlement *settlements, guint n, gpointer user_data)
{
    Fixture *fixture = user_data;

    g_assert_true(identity == fixture->identity);
    for (guint i = 0; i < n; i++) {
        const SpokeMessage *message = settlements[i].message;

        if (settlements[i].verdict == SPOKE_VERDICT_ACCEPT)
            fixture->n_accepted++;
        else
            fixture->n_rejected++;
        if (settlements[i].verdict == SPOKE_VERDICT_REJECT)
            replace(&fixture->detail, settlements[i].detail);
        if (message->body_size < 10)
            g_string_append_len(fixture->order, spoke_message_body(message),
                                (gssize)message->body_size);
    }
    if (fixture->does_free_when_settled)
        module->free(g_steal_pointer(&fixture->transport));
}

static void
on_arrived(SpokeIdentity *identity, SpokeMessage *message, gpointer token, gpointer user_data)
{
    Fixture *fixture = user_data;

    g_assert_true(identity == fixture->identity);
    g_clear_pointer(&fixture->arrived, spoke_message_unref);
    fixture->arrived = spoke_message_ref(message);
    g_array_append_val(fixture->tokens, token);
}

static const SpokeTransportEvents events = {
    .opened = on_opened,
    .closed = on_closed,
    .attached = on_attached,
    .detached = on_detached,
    .settled = on_settled,
    .arrived = on_arrived,
};

static gboolean
on_tick(gpointer unused)
{
    return G_SOURCE_CONTINUE;
}

/* Until *@condition is at least @value. */
static void
wait_until(const guint *condition, guint value)
{
    gint64 end_usec = g_get_monotonic_time() + DEADLINE_USEC;
    guint tick = g_timeout_add(100, on_tick, NULL);

    while (*condition < value) {
        g_assert_cmpint(g_get_monotonic_time(), <, end_usec);
        g_main_context_iteration(NULL, TRUE);
    }
    g_source_remove(tick);
}

static void
open_it(Fixture *fixture)
{
    fixture->transport = module->create(&fixture->endpoint, &events, fixture);
    module->open(fixture->transport);
}

static void
connect_it(Fixture *fixture)
{
    open_it(fixture);
    wait_until(&fixture->n_opened, 1);
    module->attach(fixture->transport, fixture->identity, fixture->token);
    wait_until(&fixture->n_attached, 1);
    module->receive(fixture->transport, fixture->identity, TRUE);
}

static void
send_one(Fixture *fixture, const char *name, const char *value, const char *body, size_t size)
{
    g_autoptr(GByteArray) properties = g_byte_array_new();

    if (name != NULL)
        spoke_properties_append(properties, name, value);
    g_autoptr(SpokeMessage) message =
        spoke_message_new(NULL, 0, properties->data, properties->len, body, size);
    const SpokeOutgoing outgoing = {.message = message, .message_id = "id"};

    module->send(fixture->transport, fixture->identity, &outgoing, 1);
}

static void
send_text(Fixture *fixture, const char *body)
{
    send_one(fixture, NULL, NULL, body, strlen(body));
}

static void
set_up(Fixture *fixture, gconstpointer unused)
{
    hub.respond = accept_all;
    hub.refuses_login = FALSE;
    hub.n_tunnels = 0;
    g_ptr_array_set_size(hub.requests, 0);
    g_ptr_array_set_size(hub.bodies, 0);
    g_hash_table_remove_all(hub.clients);
    fixture->identity = spoke_identity_new("self", "localhost", "dev1", NULL);
    fixture->token = spoke_secret_new("SharedAccessSignature sr=x", 26);
    fixture->tokens = g_array_new(FALSE, FALSE, sizeof(gpointer));
    fixture->order = g_string_new(NULL);
    fixture->endpoint = (SpokeEndpoint){
        .host = "localhost",
        .port = hub.port,
        .ca_file = hub.ca_file,
        .connect_timeout_sec = 10,
        .product = "spoked/test",
    };
}

static void
tear_down(Fixture *fixture, gconstpointer unused)
{
    if (fixture->transport != NULL)
        module->free(fixture->transport);
    spoke_identity_unref(fixture->identity);
    spoke_secret_unref(fixture->token);
    g_clear_pointer(&fixture->arrived, spoke_message_unref);
    g_array_unref(fixture->tokens);
    g_string_free(fixture->order, TRUE);
    g_free(fixture->detail);
    while (g_main_context_iteration(NULL, FALSE)) /* the server hears of it */
        ;
}

static void
assert_cause(Fixture *fixture, SpokeCause cause)
{
    g_assert_cmpstr(spoke_cause_to_string(fixture->cause), ==, spoke_cause_to_string(cause));
}

static void
assert_request(guint n, const char *expected)
{
    g_assert_cmpuint(hub.requests->len, >, n);
    g_assert_cmpstr(g_ptr_array_index(hub.requests, n), ==, expected);
}

/* Opening and closing */

static void
assert_fails(Fixture *fixture, SpokeCause cause)
{
    open_it(fixture);
    wait_until(&fixture->n_closed, 1);

    assert_cause(fixture, cause);
    g_assert_cmpuint(fixture->n_opened, ==, 0);
    g_assert_nonnull(fixture->detail);
}

static void
test_open_on_any_answer(Fixture *fixture, gconstpointer unused)
{
    open_it(fixture);
    wait_until(&fixture->n_opened, 1);

    g_assert_cmpuint(fixture->n_closed, ==, 0);
    g_assert_cmpuint(hub.requests->len, ==, 0);
}

static void
test_open_fails_without_address(Fixture *fixture, gconstpointer unused)
{
    fixture->endpoint.host = "no-such-host.invalid";

    assert_fails(fixture, SPOKE_CAUSE_DNS);
}

static void
test_open_fails_on_closed_port(Fixture *fixture, gconstpointer unused)
{
    fixture->endpoint.port = 1;

    assert_fails(fixture, SPOKE_CAUSE_TCP_REFUSED);
}

static void
test_open_fails_with_foreign_ca(Fixture *fixture, gconstpointer unused)
{
    fixture->endpoint.ca_file = NULL; /* the system's */

    assert_fails(fixture, SPOKE_CAUSE_CERTIFICATE);
}

static void
test_open_fails_with_wrong_name(Fixture *fixture, gconstpointer unused)
{
    fixture->endpoint.host = "127.0.0.1";

    assert_fails(fixture, SPOKE_CAUSE_CERTIFICATE);
}

static void
test_open_fails_without_ca_file(Fixture *fixture, gconstpointer unused)
{
    fixture->endpoint.ca_file = "/nonexistent/ca.pem";

    assert_fails(fixture, SPOKE_CAUSE_CERTIFICATE);
    g_assert_nonnull(strstr(fixture->detail, "/nonexistent/ca.pem"));
}

static void
test_open_fails_without_client_key(Fixture *fixture, gconstpointer unused)
{
    fixture->endpoint.certificate_file = hub.ca_file;
    fixture->endpoint.key_file = "/nonexistent/key.pem";

    assert_fails(fixture, SPOKE_CAUSE_BAD_CREDENTIALS);
}

static void
test_open_fails_without_tls(Fixture *fixture, gconstpointer unused)
{
    fixture->endpoint.port = hub.proxy_port;
    fixture->endpoint.connect_timeout_sec = 1;

    assert_fails(fixture, SPOKE_CAUSE_TLS);
}

static void
test_open_fails_on_silence(Fixture *fixture, gconstpointer unused)
{
    g_autoptr(GSocketListener) listener = g_socket_listener_new();

    fixture->endpoint.port = g_socket_listener_add_any_inet_port(listener, NULL, NULL);
    fixture->endpoint.connect_timeout_sec = 1;

    assert_fails(fixture, SPOKE_CAUSE_TLS);
}

static void
test_close_waits_for_what_is_under_way(Fixture *fixture, gconstpointer unused)
{
    hub.respond = accept_slowly;
    connect_it(fixture);
    send_text(fixture, "1");
    wait_until(&hub.requests->len, 1);

    module->close(fixture->transport);
    wait_until(&fixture->n_closed, 1);

    assert_cause(fixture, SPOKE_CAUSE_CLOSED);
    g_assert_cmpuint(fixture->n_accepted, ==, 1);
}

static void
test_close_at_rest(Fixture *fixture, gconstpointer unused)
{
    connect_it(fixture);

    module->close(fixture->transport);
    g_assert_cmpuint(fixture->n_closed, ==, 0);
    wait_until(&fixture->n_closed, 1);

    assert_cause(fixture, SPOKE_CAUSE_CLOSED);
}

static void
test_free_at_any_time(Fixture *fixture, gconstpointer unused)
{
    open_it(fixture);
    module->free(g_steal_pointer(&fixture->transport));
    connect_it(fixture);
    hub.respond = accept_slowly;
    send_text(fixture, "1");
    wait_until(&hub.requests->len, 1);
    module->free(g_steal_pointer(&fixture->transport));

    fixture->does_free_when_settled = TRUE;
    fixture->n_opened = fixture->n_attached = 0;
    connect_it(fixture);
    send_text(fixture, "1");
    wait_until(&fixture->n_accepted, 1);

    g_assert_null(fixture->transport);
    g_assert_cmpuint(fixture->n_closed, ==, 0);
}

/* Proxies */

static void
use_proxy(Fixture *fixture, SpokeProxy *proxy)
{
    proxy->host = "localhost";
    proxy->port = hub.proxy_port;
    fixture->endpoint.proxy = proxy;
}

static void
test_proxy_tunnels(Fixture *fixture, gconstpointer unused)
{
    g_autoptr(SpokeSecret) password = spoke_secret_new("pass", 4);
    SpokeProxy proxy = {.user = "user", .password = password};

    use_proxy(fixture, &proxy);
    connect_it(fixture);
    send_text(fixture, "1");
    wait_until(&fixture->n_accepted, 1);

    g_assert_cmpuint(hub.n_tunnels, >=, 1);
}

static void
test_proxy_refuses_password(Fixture *fixture, gconstpointer unused)
{
    SpokeProxy proxy = {.user = "user"};

    use_proxy(fixture, &proxy);

    assert_fails(fixture, SPOKE_CAUSE_PROXY);
    g_assert_nonnull(strstr(fixture->detail, "407"));
}

static void
test_proxy_is_away(Fixture *fixture, gconstpointer unused)
{
    SpokeProxy proxy = {.user = "user"};

    use_proxy(fixture, &proxy);
    proxy.port = 1;

    assert_fails(fixture, SPOKE_CAUSE_PROXY);
}

/* Sending */

static void
test_send_single(Fixture *fixture, gconstpointer unused)
{
    connect_it(fixture);
    send_one(fixture, "k", "v w", "{\"t\":1}", 7);
    wait_until(&fixture->n_accepted, 1);

    assert_request(0, "POST " EVENTS "?api-version=2021-04-12");
    g_assert_cmpstr(g_ptr_array_index(hub.bodies, 0), ==, "{\"t\":1}");
    g_assert_cmpstr(hub.authorization, ==, "SharedAccessSignature sr=x");
    g_assert_nonnull(strstr(hub.headers->str, "iothub-messageid: id\n"));
    g_assert_nonnull(strstr(hub.headers->str, "iothub-app-k: v w\n"));
    g_assert_nonnull(strstr(hub.headers->str, "User-Agent: spoked/test\n"));
    g_assert_null(strstr(hub.headers->str, "Content-Type:"));
}

static void
test_send_single_with_hard_characters(Fixture *fixture, gconstpointer unused)
{
    connect_it(fixture);
    send_one(fixture, "k \xc3\xa9", "a\nb", "1", 1);
    wait_until(&fixture->n_accepted, 1);

    g_assert_cmpstr(g_ptr_array_index(hub.bodies, 0), ==,
                    "[{\"body\":\"MQ==\",\"properties\":{\"iothub-messageid\":\"id\","
                    "\"iothub-app-k \xc3\xa9\":\"a\\nb\"}}]");
    g_assert_nonnull(
        strstr(hub.headers->str, "Content-Type: application/vnd.microsoft.iothub.json\n"));
}

static void
test_send_gathers(Fixture *fixture, gconstpointer unused)
{
    connect_it(fixture);
    for (char c = '0'; c <= '9'; c++)
        send_one(fixture, NULL, NULL, &c, 1);
    wait_until(&fixture->n_accepted, 10);

    g_assert_cmpuint(hub.requests->len, ==, 1);
    g_assert_cmpstr(fixture->order->str, ==, "0123456789");
}

static void
test_send_large_ones(Fixture *fixture, gconstpointer unused)
{
    g_autofree char *body = g_strnfill(SPOKE_MESSAGE_BYTES_MAX, 'x');

    connect_it(fixture);
    for (guint i = 0; i < 3; i++)
        send_one(fixture, NULL, NULL, body, SPOKE_MESSAGE_BYTES_MAX);
    wait_until(&fixture->n_accepted, 3);

    g_assert_cmpuint(hub.requests->len, ==, 3);
    g_assert_cmpuint(strlen(g_ptr_array_index(hub.bodies, 2)), ==, SPOKE_MESSAGE_BYTES_MAX);
}

static void
test_send_rejects_what_fits_nowhere(Fixture *fixture, gconstpointer unused)
{
    g_autofree char *body = g_malloc0(SPOKE_MESSAGE_BYTES_MAX - 100);

    connect_it(fixture);
    send_one(fixture, "a b", "1", body, SPOKE_MESSAGE_BYTES_MAX - 100);
    send_text(fixture, "2");
    wait_until(&fixture->n_accepted, 1);

    g_assert_cmpuint(fixture->n_rejected, ==, 1);
    g_assert_nonnull(strstr(fixture->detail, "too large for HTTPS"));
}

static void
test_send_finds_the_bad_one(Fixture *fixture, gconstpointer unused)
{
    static const char *const bodies[] = {"1", "2", "3", "4", "5", "6", "7", "8", "9"};

    hub.respond = refuse_bad;
    connect_it(fixture);
    for (guint i = 0; i < 9; i++)
        send_one(fixture, i == 4 ? "bad" : "good", "x", bodies[i], 1);
    wait_until(&fixture->n_accepted, 8);

    g_assert_cmpuint(fixture->n_rejected, ==, 1);
    g_assert_cmpstr(fixture->order->str, ==, "123456789");
    g_assert_cmpstr(fixture->detail, ==, "HTTP 400 ArgumentInvalid: a sentence");
}

static void
test_send_rejects_too_large(Fixture *fixture, gconstpointer unused)
{
    hub.respond = refuse_size;
    connect_it(fixture);
    send_text(fixture, "1");
    wait_until(&fixture->n_rejected, 1);

    g_assert_cmpuint(fixture->n_detached, ==, 0);
}

static void
test_send_keeps_order_in_bursts(Fixture *fixture, gconstpointer unused)
{
    connect_it(fixture);
    for (guint i = 0; i < 500; i++) {
        char c = (char)('a' + i % 26);

        send_one(fixture, NULL, NULL, &c, 1);
        if (i % 7 == 0)
            g_main_context_iteration(NULL, FALSE);
    }
    wait_until(&fixture->n_accepted, 500);

    for (guint i = 0; i < 500; i++)
        g_assert_cmpint(fixture->order->str[i], ==, 'a' + (int)(i % 26));
    g_assert_cmpuint(hub.requests->len, <, 100);
    g_assert_cmpuint(g_hash_table_size(hub.clients), ==, 1);
}

static void
test_send_again_on_a_stale_connection(Fixture *fixture, gconstpointer unused)
{
    g_autofree char *body = g_strnfill(SPOKE_MESSAGE_BYTES_MAX, 'x');

    hub.respond = accept_and_close;
    connect_it(fixture);
    for (guint i = 0; i < 5; i++)
        send_one(fixture, NULL, NULL, body, SPOKE_MESSAGE_BYTES_MAX);
    wait_until(&fixture->n_accepted, 5);

    g_assert_cmpuint(fixture->n_closed, ==, 0);
}

/* What answers mean */

static void
assert_detached(Fixture *fixture, Respond respond, SpokeCause cause, gint64 wait_sec)
{
    hub.respond = respond;
    connect_it(fixture);
    send_text(fixture, "1");
    wait_until(&fixture->n_detached, 1);

    assert_cause(fixture, cause);
    g_assert_cmpint(fixture->wait_usec, ==, wait_sec * G_USEC_PER_SEC);
    g_assert_cmpuint(fixture->n_accepted + fixture->n_rejected, ==, 0);
    g_assert_null(strstr(fixture->detail, "SharedAccessSignature"));

    /* It may come back. */
    hub.respond = accept_all;
    module->attach(fixture->transport, fixture->identity, fixture->token);
    wait_until(&fixture->n_attached, 2);
    send_text(fixture, "1");
    wait_until(&fixture->n_accepted, 1);
    g_assert_cmpuint(fixture->n_closed, ==, 0);
}

/* Nobody is told that it is connected before the hub has accepted it. */
static void
test_login_is_refused(Fixture *fixture, gconstpointer unused)
{
    hub.refuses_login = TRUE;
    hub.respond = refuse_token;
    open_it(fixture);
    wait_until(&fixture->n_opened, 1);

    module->attach(fixture->transport, fixture->identity, fixture->token);
    wait_until(&fixture->n_detached, 1);

    g_assert_cmpuint(fixture->n_attached, ==, 0);
    g_assert_cmpint(fixture->cause, ==, SPOKE_CAUSE_AUTHENTICATION_FAILED);
}

static void
test_401(Fixture *fixture, gconstpointer unused)
{
    assert_detached(fixture, refuse_token, SPOKE_CAUSE_AUTHENTICATION_FAILED, 0);
    g_assert_cmpstr(fixture->detail, ==, "HTTP 401 IotHubUnauthorizedAccess: a sentence");
}

static void
test_401_with_wrong_clock(Fixture *fixture, gconstpointer unused)
{
    assert_detached(fixture, refuse_token_by_clock, SPOKE_CAUSE_CLOCK, 0);
    g_assert_nonnull(strstr(fixture->detail, "2030-01-01T00:00:00.000Z"));
}

static void
test_403(Fixture *fixture, gconstpointer unused)
{
    assert_detached(fixture, refuse_for_quota, SPOKE_CAUSE_QUOTA_EXCEEDED, 0);
}

static void
test_404(Fixture *fixture, gconstpointer unused)
{
    assert_detached(fixture, refuse_unknown, SPOKE_CAUSE_NOT_FOUND, 0);
}

static void
test_429(Fixture *fixture, gconstpointer unused)
{
    assert_detached(fixture, throttle, SPOKE_CAUSE_THROTTLED, 120);
}

static void
test_503(Fixture *fixture, gconstpointer unused)
{
    assert_detached(fixture, be_unavailable, SPOKE_CAUSE_UNAVAILABLE, 7);
}

static void
test_400_without_a_code(Fixture *fixture, gconstpointer unused)
{
    assert_detached(fixture, refuse_nameless, SPOKE_CAUSE_PROTOCOL, 0);
}

static void
test_redirection_is_not_followed(Fixture *fixture, gconstpointer unused)
{
    assert_detached(fixture, redirect, SPOKE_CAUSE_PROTOCOL, 0);
}

static void
test_lost_when_hung_up(Fixture *fixture, gconstpointer unused)
{
    hub.respond = hang_up;
    connect_it(fixture);
    send_text(fixture, "1");
    wait_until(&fixture->n_closed, 1);

    assert_cause(fixture, SPOKE_CAUSE_CLOSED_BY_HUB);
    g_assert_cmpuint(fixture->n_detached, ==, 0);
}

/* Answers without end */

static void
assert_cut_off(Fixture *fixture, Respond respond)
{
    hub.respond = respond;
    connect_it(fixture);
    send_text(fixture, "1");
    wait_until(&fixture->n_closed, 1);
    wait_until(&poured.n_poured, 1);

    g_assert_cmpstr(spoke_cause_to_string(fixture->cause), ==, "Protocol");
    g_assert_cmpuint(poured.bytes, <, 16 * 1024 * 1024); /* what buffers on the way hold, too */
}

static void
test_endless_body(Fixture *fixture, gconstpointer unused)
{
    assert_cut_off(fixture, pour_body);
}

static void
test_endless_header(Fixture *fixture, gconstpointer unused)
{
    assert_cut_off(fixture, pour_header);
}

static void
test_endless_headers(Fixture *fixture, gconstpointer unused)
{
    assert_cut_off(fixture, pour_headers);
}

static void
test_endless_100(Fixture *fixture, gconstpointer unused)
{
    assert_cut_off(fixture, pour_continues);
}

static void
test_100_is_no_answer(Fixture *fixture, gconstpointer unused)
{
    hub.respond = accept_after_continue;
    connect_it(fixture);
    send_text(fixture, "1");
    wait_until(&fixture->n_accepted, 1);

    g_assert_cmpuint(fixture->n_closed + fixture->n_detached, ==, 0);
}

/* Nobody asked for it, so it is a body like any other. */
static void
test_gzip_is_not_unpacked(Fixture *fixture, gconstpointer unused)
{
    g_autoptr(GBytes) bomb = make_bomb();

    hub.respond = deliver_bomb;
    connect_it(fixture);
    n_c2d_left = 1;
    module->poll(fixture->transport, fixture->identity);
    wait_until(&fixture->tokens->len, 1);

    g_assert_null(strstr(hub.headers->str, "Accept-Encoding"));
    g_assert_cmpmem(spoke_message_body(fixture->arrived), fixture->arrived->body_size,
                    g_bytes_get_data(bomb, NULL), g_bytes_get_size(bomb));
}

/* Identities */

static void
test_renew_uses_new_token(Fixture *fixture, gconstpointer unused)
{
    g_autoptr(SpokeSecret) next = spoke_secret_new("SharedAccessSignature sr=y", 26);

    connect_it(fixture);
    module->attach(fixture->transport, fixture->identity, next);
    wait_until(&fixture->n_attached, 2);
    send_text(fixture, "1");
    wait_until(&fixture->n_accepted, 1);

    g_assert_cmpstr(hub.authorization, ==, "SharedAccessSignature sr=y");
}

static void
test_certificate_needs_no_token(Fixture *fixture, gconstpointer unused)
{
    fixture->endpoint.certificate_file = hub.ca_file;
    fixture->endpoint.key_file = hub.key_file;
    g_clear_pointer(&fixture->token, spoke_secret_unref);
    connect_it(fixture);
    send_text(fixture, "1");
    wait_until(&fixture->n_accepted, 1);

    g_assert_null(hub.authorization);
}

static void
test_modules_are_unsupported(Fixture *fixture, gconstpointer unused)
{
    g_autoptr(SpokeIdentity) one = spoke_identity_new("m", "localhost", "dev1", "mod1");

    connect_it(fixture);
    module->attach(fixture->transport, one, fixture->token);
    wait_until(&fixture->n_detached, 1);

    assert_cause(fixture, SPOKE_CAUSE_UNSUPPORTED);
}

static void
test_ids_of_any_character(Fixture *fixture, gconstpointer unused)
{
    spoke_identity_unref(fixture->identity);
    fixture->identity = spoke_identity_new("self", "localhost", "a%b#c?", NULL);
    connect_it(fixture);
    send_text(fixture, "1");
    wait_until(&fixture->n_accepted, 1);

    assert_request(0, "POST /devices/a%b#c?/messages/events?api-version=2021-04-12");
}

static void
test_detach_lets_requests_end(Fixture *fixture, gconstpointer unused)
{
    hub.respond = accept_slowly;
    connect_it(fixture);
    send_text(fixture, "1");
    wait_until(&hub.requests->len, 1);

    module->detach(fixture->transport, fixture->identity);
    wait_until(&fixture->n_detached, 1);

    assert_cause(fixture, SPOKE_CAUSE_CLOSED);
    g_assert_cmpuint(fixture->n_accepted, ==, 1);
}

static void
test_many_share_the_pool(Fixture *fixture, gconstpointer unused)
{
    g_autoptr(GPtrArray) all = g_ptr_array_new_with_free_func((GDestroyNotify)spoke_identity_unref);

    connect_it(fixture);
    for (guint i = 0; i < 100; i++) {
        g_autofree char *id = g_strdup_printf("dev-%u", i);

        g_ptr_array_add(all, spoke_identity_new(id, "localhost", id, NULL));
        module->attach(fixture->transport, g_ptr_array_index(all, i), fixture->token);
    }
    wait_until(&fixture->n_attached, 101);
    for (guint i = 0; i < 100; i++) {
        module->receive(fixture->transport, g_ptr_array_index(all, i), TRUE);
        module->poll(fixture->transport, g_ptr_array_index(all, i));
    }
    wait_until(&hub.requests->len, 100);

    g_assert_cmpuint(g_hash_table_size(hub.clients), <=, 6);
}

/* Receiving */

static gpointer
nth_token(Fixture *fixture, guint n)
{
    return g_array_index(fixture->tokens, gpointer, n);
}

static void
poll_for(Fixture *fixture, guint n_left, guint n_expected)
{
    n_c2d_left = n_left;
    module->poll(fixture->transport, fixture->identity);
    wait_until(&fixture->tokens->len, n_expected);
}

static void
test_poll_until_empty(Fixture *fixture, gconstpointer unused)
{
    hub.respond = deliver;
    connect_it(fixture);
    poll_for(fixture, 2, 2);
    wait_until(&hub.requests->len, 3);

    assert_request(2, "GET " DEVICEBOUND "?api-version=2021-04-12");
    g_assert_cmpmem(spoke_message_body(fixture->arrived), fixture->arrived->body_size, "a\0b", 3);
    g_assert_cmpstr(spoke_message_lookup_system(fixture->arrived, SPOKE_PROPERTY_MESSAGE_ID), ==,
                    "m1");
    g_assert_cmpstr(spoke_message_lookup_system(fixture->arrived, SPOKE_PROPERTY_CONTENT_TYPE), ==,
                    "text/plain");
    g_assert_cmpstr(spoke_properties_lookup(spoke_message_properties(fixture->arrived),
                                            fixture->arrived->properties_size, "k"),
                    ==, "v w");
}

static void
test_poll_stops_with_receive(Fixture *fixture, gconstpointer unused)
{
    hub.respond = deliver;
    connect_it(fixture);
    module->receive(fixture->transport, fixture->identity, FALSE);
    n_c2d_left = 5;
    module->poll(fixture->transport, fixture->identity);
    send_text(fixture, "1");
    wait_until(&fixture->n_accepted, 1);

    g_assert_cmpuint(hub.requests->len, ==, 1);

    module->receive(fixture->transport, fixture->identity, TRUE);
    wait_until(&fixture->tokens->len, 5);
}

static void
test_poll_holds_a_few(Fixture *fixture, gconstpointer unused)
{
    hub.respond = deliver;
    connect_it(fixture);
    poll_for(fixture, 20, 16);
    send_text(fixture, "1");
    wait_until(&fixture->n_accepted, 1);
    g_assert_cmpuint(fixture->tokens->len, ==, 16);

    for (guint i = 0; i < 4; i++)
        module->settle(fixture->transport, nth_token(fixture, i), SPOKE_VERDICT_ACCEPT);
    wait_until(&fixture->tokens->len, 20);
}

static void
test_settle_each_way(Fixture *fixture, gconstpointer unused)
{
    static const struct {
        SpokeVerdict verdict;
        const char *request;
    } rows[] = {
        {SPOKE_VERDICT_ACCEPT, "DELETE " DEVICEBOUND "/lock-3?api-version=2021-04-12"},
        {SPOKE_VERDICT_REJECT, "DELETE " DEVICEBOUND "/lock-2?reject&api-version=2021-04-12"},
        {SPOKE_VERDICT_RELEASE, "POST " DEVICEBOUND "/lock-1/abandon?api-version=2021-04-12"},
    };

    hub.respond = deliver;
    connect_it(fixture);
    poll_for(fixture, 3, 3);
    wait_until(&hub.requests->len, 4);
    for (guint i = 0; i < 3; i++) {
        g_autofree char *lock = g_strdup_printf("\"lock-%u\"", 3 - i);

        module->settle(fixture->transport, nth_token(fixture, i), rows[i].verdict);
        wait_until(&hub.requests->len, 5 + i);
        assert_request(4 + i, rows[i].request);
        g_assert_cmpstr(hub.match, ==, lock);
    }
}

static void
test_settle_forgets_a_lost_lock(Fixture *fixture, gconstpointer unused)
{
    hub.respond = lose_locks;
    connect_it(fixture);
    poll_for(fixture, 1, 1);
    module->settle(fixture->transport, nth_token(fixture, 0), SPOKE_VERDICT_ACCEPT);
    wait_until(&hub.requests->len, 3);
    hub.respond = accept_all;
    send_text(fixture, "1");
    wait_until(&fixture->n_accepted, 1);

    g_assert_cmpuint(fixture->n_detached + fixture->n_closed, ==, 0);
}

static void
test_settle_takes_no_old_token(Fixture *fixture, gconstpointer unused)
{
    hub.respond = deliver;
    connect_it(fixture);
    poll_for(fixture, 1, 1);
    hub.respond = throttle;
    send_text(fixture, "1");
    wait_until(&fixture->n_detached, 1);
    guint n_requests = hub.requests->len;

    module->settle(fixture->transport, nth_token(fixture, 0), SPOKE_VERDICT_ACCEPT);

    g_assert_cmpuint(hub.requests->len, ==, n_requests);
}

static void
add(const char *path, void (*test)(Fixture *fixture, gconstpointer unused))
{
    g_autofree char *full = g_strconcat("/https/", path, NULL);

    g_test_add(full, Fixture, NULL, set_up, test, tear_down);
}

int
main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;

    g_test_init(&argc, &argv, NULL);
    /* None of which is to be heeded, in any test. */
    g_setenv("https_proxy", "http://127.0.0.1:1", TRUE);
    g_setenv("ALL_PROXY", "http://127.0.0.1:1", TRUE);
    g_setenv("no_proxy", "*", TRUE);
    module = spoke_module_load(g_getenv("SPOKE_TRANSPORT_DIR"), "https", &error);
    g_assert_no_error(error);
    g_autoptr(SoupServer) server = start_hub();
    g_autoptr(SoupServer) proxy = start_proxy();

    add("open/on-any-answer", test_open_on_any_answer);
    add("open/fails-without-address", test_open_fails_without_address);
    add("open/fails-on-closed-port", test_open_fails_on_closed_port);
    add("open/fails-with-foreign-ca", test_open_fails_with_foreign_ca);
    add("open/fails-with-wrong-name", test_open_fails_with_wrong_name);
    add("open/fails-without-ca-file", test_open_fails_without_ca_file);
    add("open/fails-without-client-key", test_open_fails_without_client_key);
    add("open/fails-without-tls", test_open_fails_without_tls);
    add("open/fails-on-silence", test_open_fails_on_silence);
    add("close/waits-for-what-is-under-way", test_close_waits_for_what_is_under_way);
    add("close/at-rest", test_close_at_rest);
    add("free/at-any-time", test_free_at_any_time);
    add("proxy/tunnels", test_proxy_tunnels);
    add("proxy/refuses-password", test_proxy_refuses_password);
    add("proxy/is-away", test_proxy_is_away);
    add("send/single", test_send_single);
    add("send/single-with-hard-characters", test_send_single_with_hard_characters);
    add("send/gathers", test_send_gathers);
    add("send/large-ones", test_send_large_ones);
    add("send/rejects-what-fits-nowhere", test_send_rejects_what_fits_nowhere);
    add("send/finds-the-bad-one", test_send_finds_the_bad_one);
    add("send/rejects-too-large", test_send_rejects_too_large);
    add("send/keeps-order-in-bursts", test_send_keeps_order_in_bursts);
    add("send/again-on-a-stale-connection", test_send_again_on_a_stale_connection);
    add("login/is-refused", test_login_is_refused);
    add("answer/4.5-401", test_401);
    add("answer/4.5-401-with-wrong-clock", test_401_with_wrong_clock);
    add("answer/4.5-403", test_403);
    add("answer/4.5-404", test_404);
    add("answer/4.5-429", test_429);
    add("answer/4.5-503", test_503);
    add("answer/400-without-a-code", test_400_without_a_code);
    add("answer/redirection-is-not-followed", test_redirection_is_not_followed);
    add("answer/lost-when-hung-up", test_lost_when_hung_up);
    add("endless/body", test_endless_body);
    add("endless/header", test_endless_header);
    add("endless/headers", test_endless_headers);
    add("endless/100", test_endless_100);
    add("answer/100-is-none", test_100_is_no_answer);
    add("answer/gzip-is-not-unpacked", test_gzip_is_not_unpacked);
    add("identity/renew-uses-new-token", test_renew_uses_new_token);
    add("identity/certificate-needs-no-token", test_certificate_needs_no_token);
    add("identity/modules-are-unsupported", test_modules_are_unsupported);
    add("identity/ids-of-any-character", test_ids_of_any_character);
    add("identity/detach-lets-requests-end", test_detach_lets_requests_end);
    add("identity/many-share-the-pool", test_many_share_the_pool);
    add("poll/until-empty", test_poll_until_empty);
    add("poll/stops-with-receive", test_poll_stops_with_receive);
    add("poll/holds-a-few", test_poll_holds_a_few);
    add("settle/each-way", test_settle_each_way);
    add("settle/forgets-a-lost-lock", test_settle_forgets_a_lost_lock);
    add("settle/takes-no-old-token", test_settle_takes_no_old_token);

    int status = g_test_run();
    g_clear_object(&server);
    g_clear_object(&proxy);
    stop_hub();
    return status;
}
