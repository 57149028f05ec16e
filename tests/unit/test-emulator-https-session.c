/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Port 443 behind its TLS: requests written as text into a socket pair, and through a real listener
 * with a client certificate. Source: protocol page, sections 2.11 and 4. */

#include "c2d.h"
#include "certificates.h"
#include "device-certificates.h"
#include "error.h"
#include "faults.h"
#include "https-session.h"
#include "hub.h"
#include "sas.h"
#include "tls-server.h"

#include <errno.h>
#include <gio/gio.h>
#include <gnutls/crypto.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define KEY          "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
#define HOST         "localhost"
#define EVENTS       "/devices/d/messages/events?api-version=2021-04-12"
#define DEVICEBOUND  "/devices/d/messages/devicebound"
#define PATIENCE_SEC 10
#define QUIET_MS     100 /* how long nothing has to come to count as nothing */

typedef struct {
    char *directory; /* owned */
    EmuHub *hub;     /* owned */
    char *token;     /* owned; for device d */
    gpointer session;
    int fd;         /* the client's end; -1 once closed */
    GString *input; /* owned; read and not looked at yet */
    gboolean ended;
} Fixture;

typedef struct {
    guint status;
    char *head; /* owned */
    char *body; /* owned */
} Response;

static void
response_clear(Response *response)
{
    g_clear_pointer(&response->head, g_free);
    g_clear_pointer(&response->body, g_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Response, response_clear)

static char *
make_token(void)
{
    guint8 mac[32];
    gsize size = 0;
    g_autofree guchar *key = g_base64_decode(KEY, &size);
    const char *text = HOST "%2Fdevices%2Fd\n9999999999";

    g_assert_cmpint(gnutls_hmac_fast(GNUTLS_MAC_SHA256, key, size, text, strlen(text), mac), ==, 0);
    g_autofree char *signature = g_base64_encode(mac, sizeof mac);
    g_autofree char *escaped = g_uri_escape_string(signature, NULL, FALSE);
    return g_strdup_printf("SharedAccessSignature sr=" HOST "%%2Fdevices%%2Fd&sig=%s&se=9999999999",
                           escaped);
}

static void
on_ended(gpointer session, gpointer user_data)
{
    Fixture *fixture = user_data;

    emu_https_sessions.free(g_steal_pointer(&fixture->session));
}

/* The device's end of a new connection. */
static void
dial(Fixture *fixture)
{
    int fds[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), ==, 0);
    g_autoptr(GSocket) socket = g_socket_new_from_fd(fds[0], NULL);
    g_autoptr(GSocketConnection) stream = g_socket_connection_factory_create_connection(socket);
    fixture->session =
        emu_https_sessions.open(fixture->hub, G_IO_STREAM(stream), socket, NULL, on_ended, fixture);
    fixture->fd = fds[1];
    fixture->ended = FALSE;
    g_string_truncate(fixture->input, 0);
}

static void
set_up(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    fixture->directory = g_dir_make_tmp("emulator-https-XXXXXX", NULL);
    const EmuHubOptions options = {.host = (char *)HOST,
                                   .state_dir = fixture->directory,
                                   .keep = 1000,
                                   .lock_sec = 60,
                                   .max_deliveries = 10,
                                   .c2d_ttl_sec = 3600};
    const EmuIdentityChange change = {.primary_key = KEY};

    fixture->hub = emu_hub_new(&options, &error);
    g_assert_no_error(error);
    g_assert_nonnull(emu_hub_put_identity(fixture->hub, "d", NULL, &change, NULL, NULL));
    g_assert_nonnull(emu_hub_put_identity(fixture->hub, "e", NULL, &change, NULL, NULL));
    fixture->token = make_token();
    fixture->input = g_string_new(NULL);
    fixture->fd = -1;
    dial(fixture);
}

static void
hang_up(Fixture *fixture)
{
    if (fixture->session != NULL)
        emu_https_sessions.free(g_steal_pointer(&fixture->session));
    if (fixture->fd >= 0)
        close(fixture->fd);
    fixture->fd = -1;
}

static void
tear_down(Fixture *fixture, gconstpointer data)
{
    g_autofree char *command = g_strdup_printf("rm -r %s", fixture->directory);

    hang_up(fixture);
    emu_hub_free(fixture->hub);
    g_string_free(fixture->input, TRUE);
    g_assert_true(g_spawn_command_line_sync(command, NULL, NULL, NULL, NULL));
    g_free(fixture->token);
    g_free(fixture->directory);
}

static void
send_bytes(Fixture *fixture, const void *data, size_t size)
{
    gint64 end_usec = g_get_monotonic_time() + PATIENCE_SEC * G_USEC_PER_SEC;

    for (size_t done = 0; done < size;) {
        ssize_t n = send(fixture->fd, (const char *)data + done, size - done, MSG_NOSIGNAL);
        if (n >= 0)
            done += (size_t)n;
        else
            g_assert_cmpint(errno, ==, EAGAIN);
        (void)g_main_context_iteration(NULL, FALSE);
        g_assert_cmpint(g_get_monotonic_time(), <, end_usec);
    }
}

static void
send_text(Fixture *fixture, const char *text)
{
    send_bytes(fixture, text, strlen(text));
}

static void
poll_input(Fixture *fixture)
{
    char bytes[65536];

    (void)g_main_context_iteration(NULL, FALSE);
    ssize_t n = recv(fixture->fd, bytes, sizeof bytes, 0);
    if (n > 0)
        g_string_append_len(fixture->input, bytes, n);
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        fixture->ended = TRUE;
    else
        g_usleep(200);
}

/* Takes one response off the input. FALSE when none comes in @ms, or the connection ends. */
static gboolean
next_response(Fixture *fixture, gint64 ms, Response *ret_response)
{
    gint64 end_usec = g_get_monotonic_time() + ms * 1000;

    while (TRUE) {
        const char *blank = strstr(fixture->input->str, "\r\n\r\n");
        const char *length = strstr(fixture->input->str, "Content-Length: ");
        size_t size = length != NULL && length < blank ? strtoul(length + 16, NULL, 10) : 0;
        size_t head = blank != NULL ? (size_t)(blank + 4 - fixture->input->str) : 0;
        if (head > 0 && fixture->input->len >= head + size) {
            ret_response->status =
                (guint)strtoul(fixture->input->str + strlen("HTTP/1.1 "), NULL, 10);
            ret_response->head = g_strndup(fixture->input->str, head);
            ret_response->body = g_strndup(fixture->input->str + head, size);
            g_string_erase(fixture->input, 0, (gssize)(head + size));
            return TRUE;
        }
        if (fixture->ended || g_get_monotonic_time() >= end_usec)
            return FALSE;
        poll_input(fixture);
    }
}

/* Sends a request of device d. */
static void
send_request(Fixture *fixture, const char *method, const char *target, const char *headers,
             const char *body)
{
    g_autofree char *request = g_strdup_printf(
        "%s %s HTTP/1.1\r\nHost: " HOST "\r\nAuthorization: %s\r\n%sContent-Length: %zu\r\n\r\n%s",
        method, target, fixture->token, headers, strlen(body), body);

    send_text(fixture, request);
}

static void
expect(Fixture *fixture, guint status, Response *ret_response)
{
    g_assert_true(next_response(fixture, PATIENCE_SEC * 1000, ret_response));
    g_assert_cmpuint(ret_response->status, ==, status);
}

static void
ask(Fixture *fixture, const char *method, const char *target, const char *headers, const char *body,
    guint status)
{
    g_auto(Response) response = {0};

    send_request(fixture, method, target, headers, body);
    expect(fixture, status, &response);
}

static void
expect_end(Fixture *fixture)
{
    g_auto(Response) response = {0};

    g_assert_false(next_response(fixture, PATIENCE_SEC * 1000, &response));
    g_assert_true(fixture->ended);
}

/* The bag and the body of what arrived as number @sequence. */
static void
assert_arrived(Fixture *fixture, guint64 sequence, const char *bag, const char *body)
{
    EmuMessage message;

    g_assert_true(emu_telemetry_next(emu_hub_telemetry(fixture->hub), sequence - 1, "d", &message));
    g_assert_cmpuint(message.sequence, ==, sequence);
    g_assert_cmpmem(message.arrival.bag, message.arrival.bag_size, bag, strlen(bag));
    g_assert_cmpmem(message.arrival.body, message.arrival.body_size, body, strlen(body));
}

static guint64
arrived(Fixture *fixture)
{
    return emu_telemetry_count(emu_hub_telemetry(fixture->hub));
}

static void
send_c2d(Fixture *fixture, const char *device_id, const char *message_id)
{
    const EmuC2dNew message = {.device_id = device_id,
                               .generation_id = "1",
                               .message_id = message_id,
                               .bag = "unit=C",
                               .body = "19",
                               .body_size = 2};

    g_assert_cmpuint(emu_c2d_send(emu_hub_c2d(fixture->hub), &message,
                                  emu_hub_now_usec(fixture->hub), NULL, NULL),
                     !=, 0);
}

/* Gets the message that waits. Returns: (transfer full): its lock, without quotes. */
static char *
receive(Fixture *fixture)
{
    g_auto(Response) response = {0};

    send_request(fixture, "GET", DEVICEBOUND, "", "");
    expect(fixture, 200, &response);
    g_assert_cmpstr(response.body, ==, "19");
    const char *etag = strstr(response.head, "ETag: \"");
    g_assert_nonnull(etag);
    const char *lock = etag + strlen("ETag: \"");
    return g_strndup(lock, strcspn(lock, "\""));
}

static EmuC2dState
state_of(Fixture *fixture, const char *message_id)
{
    g_autoptr(EmuC2dMessage) message = emu_c2d_find(emu_hub_c2d(fixture->hub), "d", message_id);

    g_assert_nonnull(message);
    return message->state;
}

static void
test_events_keeps_the_connection(Fixture *fixture, gconstpointer data)
{
    ask(fixture, "POST", EVENTS, "iothub-app-Level: high\r\nIoTHub-MessageId: m1\r\n", "one", 204);
    ask(fixture, "POST", EVENTS, "", "", 204);

    assert_arrived(fixture, 1, "Level=high&%24.mid=m1", "one");
    assert_arrived(fixture, 2, "", "");
    g_assert_false(fixture->ended);
}

static void
test_events_in_chunks(Fixture *fixture, gconstpointer data)
{
    g_auto(Response) response = {0};
    g_autofree char *head = g_strdup_printf("POST /DEVICES/d/messages/Events/ HTTP/1.1\r\nHost: "
                                            "h\r\nAuthorization: %s\r\n"
                                            "Transfer-Encoding: chunked\r\n\r\n",
                                            fixture->token);

    send_text(fixture, head);
    send_text(fixture, "3\r\none\r\n4\r\n two\r\n0\r\n\r\n");

    expect(fixture, 204, &response);
    assert_arrived(fixture, 1, "", "one two");
}

static void
test_events_in_a_batch(Fixture *fixture, gconstpointer data)
{
    static const char type[] = "Content-Type: application/vnd.microsoft.iothub.json\r\n";

    ask(fixture, "POST", EVENTS, type,
        "[{\"body\":\"b25l\",\"properties\":{\"iothub-app-k\":\"v\"}},"
        "{\"body\":\"two\",\"base64Encoded\":false}]",
        204);
    ask(fixture, "POST", EVENTS, type, "[{\"body\":\"b25l\"},{\"body\":3}]", 400);

    g_assert_cmpuint(arrived(fixture), ==, 2);
    assert_arrived(fixture, 1, "k=v", "one");
    assert_arrived(fixture, 2, "", "two");
}

static void
test_events_up_to_the_limit(Fixture *fixture, gconstpointer data)
{
    g_autofree char *large = g_strnfill(256 * 1024 + 1, 'x');

    ask(fixture, "POST", EVENTS, "", large, 413);
    large[256 * 1024] = '\0';
    ask(fixture, "POST", EVENTS, "iothub-app-a: \r\n", large, 413);
    ask(fixture, "POST", EVENTS, "", large, 204);

    g_assert_cmpuint(arrived(fixture), ==, 1);
}

static void
test_refusals_have_their_status(Fixture *fixture, gconstpointer data)
{
    g_auto(Response) response = {0};
    const EmuIdentityChange disabled = {.status = "disabled"};

    send_text(fixture, "GET " DEVICEBOUND " HTTP/1.1\r\nHost: h\r\n\r\n");
    expect(fixture, 401, &response);
    g_assert_nonnull(strstr(response.head, "iothub-errorcode: IotHubUnauthorizedAccess\r\n"));
    g_assert_nonnull(strstr(response.head, "x-ms-request-id: "));
    g_assert_nonnull(strstr(response.body, "{\"Message\":\"ErrorCode:IotHubUnauthorizedAccess;"));
    ask(fixture, "POST", "/devices/e/messages/events", "", "x", 401);
    ask(fixture, "POST", "/devices/nobody/messages/events", "", "x", 404);
    ask(fixture, "POST", "/devices/d/nonsense", "", "x", 404);
    ask(fixture, "PUT", EVENTS, "", "x", 405);
    ask(fixture, "DELETE", DEVICEBOUND "/nonsense", "", "", 400);
    ask(fixture, "POST", "/$iothub/websocket", "", "", 400);
    g_assert_nonnull(emu_hub_put_identity(fixture->hub, "d", NULL, &disabled, NULL, NULL));
    hang_up(fixture);
    dial(fixture);
    ask(fixture, "POST", EVENTS, "", "x", 404);
    g_assert_cmpuint(arrived(fixture), ==, 0);
}

static void
test_devicebound_is_empty(Fixture *fixture, gconstpointer data)
{
    ask(fixture, "GET", DEVICEBOUND "/", "", "", 204);
}

static void
test_devicebound_is_settled(Fixture *fixture, gconstpointer data)
{
    static const struct {
        const char *method;
        const char *suffix;
        EmuC2dState state;
    } rows[] = {
        {"POST", "/abandon", EMU_C2D_ENQUEUED},
        {"DELETE", "?api-version=2021-04-12", EMU_C2D_COMPLETED},
        {"DELETE", "?api-version=2021-04-12&reject", EMU_C2D_DEAD_LETTERED},
        {"DELETE", "?reject=&api-version=2021-04-12", EMU_C2D_DEAD_LETTERED},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *message_id = g_strdup_printf("m%zu", i);
        emu_c2d_purge(emu_hub_c2d(fixture->hub), "d", emu_hub_now_usec(fixture->hub));
        send_c2d(fixture, "d", message_id);
        g_autofree char *lock = receive(fixture);
        g_autofree char *target = g_strconcat(DEVICEBOUND "/", lock, rows[i].suffix, NULL);

        ask(fixture, rows[i].method, target, "", "", 204);
        g_assert_cmpint(state_of(fixture, message_id), ==, rows[i].state);
        ask(fixture, rows[i].method, target, "", "", 412);
    }
}

static void
test_devicebound_matches_in_either_form(Fixture *fixture, gconstpointer data)
{
    send_c2d(fixture, "d", "m");
    g_autofree char *lock = receive(fixture);
    g_autofree char *target = g_strconcat(DEVICEBOUND "/", lock, NULL);
    g_autofree char *abandon = g_strconcat(target, "/abandon", NULL);
    g_autofree char *bare = g_strdup_printf("If-Match: %s\r\n", lock);

    ask(fixture, "DELETE", target, "If-Match: \"other\"\r\n", "", 412);
    ask(fixture, "POST", abandon, bare, "", 204);
    g_autofree char *second = receive(fixture);
    g_assert_cmpstr(second, !=, lock);
    g_autofree char *second_target = g_strconcat(DEVICEBOUND "/", second, NULL);
    g_autofree char *quoted = g_strdup_printf("If-Match: \"%s\"\r\n", second);
    ask(fixture, "DELETE", second_target, quoted, "", 204);
}

/* Locks can be guessed here; they must not open another device's messages. */
static void
test_devicebound_of_another_device_is_out_of_reach(Fixture *fixture, gconstpointer data)
{
    send_c2d(fixture, "e", "m");
    g_autoptr(EmuC2dMessage) taken =
        emu_c2d_take(emu_hub_c2d(fixture->hub), "e", emu_hub_now_usec(fixture->hub));
    g_autofree char *target = g_strdup_printf(
        DEVICEBOUND "/00000000-0000-4000-0000-%012" G_GINT64_MODIFIER "x", taken->lock);

    ask(fixture, "DELETE", target, "", "", 412);
    g_assert_true(emu_c2d_is_locked(emu_hub_c2d(fixture->hub), taken->lock));
}

static void
add_fault(Fixture *fixture, const EmuFault *fault)
{
    (void)emu_faults_add(emu_hub_faults(fixture->hub), fault, g_get_monotonic_time());
}

static void
test_faults_have_their_status(Fixture *fixture, gconstpointer data)
{
    g_auto(Response) response = {0};

    add_fault(fixture, &(EmuFault){.kind = EMU_FAULT_REFUSE, .code = 3, .count = 1});
    ask(fixture, "POST", EVENTS, "", "x", 503);
    add_fault(fixture, &(EmuFault){.kind = EMU_FAULT_REFUSE, .code = 5, .count = 1});
    ask(fixture, "POST", EVENTS, "", "x", 401);
    add_fault(fixture, &(EmuFault){.kind = EMU_FAULT_QUOTA, .count = 1});
    ask(fixture, "POST", EVENTS, "", "x", 403);
    add_fault(fixture, &(EmuFault){.kind = EMU_FAULT_THROTTLE, .rate = 1});
    ask(fixture, "POST", EVENTS, "", "x", 204);
    send_request(fixture, "POST", EVENTS, "", "x");
    expect(fixture, 429, &response);
    g_assert_nonnull(strstr(response.head, "Retry-After: 10\r\n"));
    g_assert_cmpuint(arrived(fixture), ==, 1);
}

static void
test_faults_cut_the_connection(Fixture *fixture, gconstpointer data)
{
    add_fault(fixture, &(EmuFault){.kind = EMU_FAULT_CUT_AFTER, .after = 1, .count = 1});
    ask(fixture, "POST", EVENTS, "", "x", 204);
    send_request(fixture, "POST", EVENTS, "", "x");
    expect_end(fixture);
    hang_up(fixture);
    g_assert_cmpuint(arrived(fixture), ==, 1);

    dial(fixture);
    add_fault(fixture, &(EmuFault){.kind = EMU_FAULT_CUT_AFTER, .count = 1, .store = TRUE});
    send_request(fixture, "POST", EVENTS, "", "x");
    expect_end(fixture);
    g_assert_cmpuint(arrived(fixture), ==, 2);
}

static void
test_faults_hold_what_is_acknowledged(Fixture *fixture, gconstpointer data)
{
    g_auto(Response) response = {0};

    add_fault(fixture, &(EmuFault){.kind = EMU_FAULT_STALL_ACKS});
    send_request(fixture, "POST", EVENTS, "", "x");
    g_assert_false(next_response(fixture, QUIET_MS, &response));
    g_assert_cmpuint(arrived(fixture), ==, 1);

    emu_faults_remove(emu_hub_faults(fixture->hub), 0);
    expect(fixture, 204, &response);
}

static void
test_faults_swallow_a_request_until_they_end(Fixture *fixture, gconstpointer data)
{
    g_auto(Response) response = {0};

    add_fault(fixture, &(EmuFault){.kind = EMU_FAULT_BLACK_HOLE});
    send_request(fixture, "POST", EVENTS, "", "x");
    g_assert_false(next_response(fixture, QUIET_MS, &response));
    g_assert_cmpuint(arrived(fixture), ==, 0);

    emu_faults_remove(emu_hub_faults(fixture->hub), 0);
    expect(fixture, 204, &response);
    g_assert_cmpuint(arrived(fixture), ==, 1);
}

static void
test_faults_move_the_date(Fixture *fixture, gconstpointer data)
{
    g_auto(Response) response = {0};

    add_fault(fixture, &(EmuFault){.kind = EMU_FAULT_CLOCK_SKEW, .sec = 400 * 24 * 60 * 60});
    send_request(fixture, "POST", EVENTS, "", "x");
    expect(fixture, 204, &response);

    g_autoptr(GDateTime) date =
        g_date_time_new_from_unix_utc(emu_hub_now_usec(fixture->hub) / G_USEC_PER_SEC);
    g_autofree char *year = g_date_time_format(date, " %Y ");
    g_assert_nonnull(strstr(strstr(response.head, "Date: "), year));
}

static void
test_drop_ends_connections_of_the_device(Fixture *fixture, gconstpointer data)
{
    ask(fixture, "POST", EVENTS, "", "x", 204);

    g_assert_cmpuint(emu_hub_drop(fixture->hub, "e", "fault: drop"), ==, 0);
    g_assert_cmpuint(emu_hub_drop(fixture->hub, "d", "fault: drop"), ==, 1);

    expect_end(fixture);
}

static void
test_drop_ends_a_held_request(Fixture *fixture, gconstpointer data)
{
    g_auto(Response) response = {0};

    add_fault(fixture, &(EmuFault){.kind = EMU_FAULT_STALL_ACKS});
    send_request(fixture, "POST", EVENTS, "", "x");
    g_assert_false(next_response(fixture, QUIET_MS, &response));

    g_assert_cmpuint(emu_hub_drop(fixture->hub, "d", "fault: drop"), ==, 1);

    expect_end(fixture);
}

#define HANDSHAKE                                                                                  \
    "GET /$iothub/websocket?iothub-no-client-cert=true HTTP/1.1\r\nHost: localhost:443\r\n"        \
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"                   \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"                                              \
    "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"

static void
test_websocket_carries_mqtt(Fixture *fixture, gconstpointer data)
{
    /* CONNECT with a level that the hub does not know; the answer is CONNACK 1. */
    static const guint8 connect[] = {0x82, 0x90, 0,   0, 0, 0, 0x10, 14, 0, 4,   'M',
                                     'Q',  'T',  'T', 9, 2, 0, 60,   0,  2, 'i', 'd'};
    static const guint8 connack[] = {0x82, 4, 0x20, 2, 0, 1};
    g_auto(Response) response = {0};

    send_text(fixture, HANDSHAKE "Sec-WebSocket-Protocol: other, mQTT\r\n\r\n");
    expect(fixture, 101, &response);
    g_assert_nonnull(strstr(response.head, "Sec-WebSocket-Protocol: mQTT\r\n"));
    g_assert_nonnull(strstr(response.head, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    g_assert_null(strstr(response.head, "Sec-WebSocket-Extensions"));

    send_bytes(fixture, connect, sizeof connect);
    while (!fixture->ended)
        poll_input(fixture);
    g_assert_cmpuint(fixture->input->len, >=, sizeof connack);
    g_assert_cmpmem(fixture->input->str, sizeof connack, connack, sizeof connack);
}

static void
assert_no_websocket(Fixture *fixture, const char *request)
{
    g_auto(Response) response = {0};

    send_text(fixture, request);
    expect(fixture, 400, &response);
}

static void
test_websocket_wants_a_subprotocol_of_the_hub(Fixture *fixture, gconstpointer data)
{
    assert_no_websocket(fixture, HANDSHAKE "\r\n");
    assert_no_websocket(fixture, HANDSHAKE "Sec-WebSocket-Protocol: chat\r\n\r\n");
    assert_no_websocket(fixture, "GET /elsewhere HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\n"
                                 "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                                 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                                 "Sec-WebSocket-Protocol: mqtt\r\n\r\n");
}

typedef struct {
    GTlsCertificate *certificate; /* borrowed; NULL: none */
    guint16 port;
    guint status;
} TlsRequest;

/* Runs in a thread, because it blocks. */
static gpointer
request_over_tls(gpointer user_data)
{
    TlsRequest *request = user_data;
    g_autoptr(GSocketClient) client = g_socket_client_new();
    g_autoptr(GError) error = NULL;
    char answer[64] = {0};

    g_autoptr(GSocketConnection) base =
        g_socket_client_connect_to_host(client, "127.0.0.1", request->port, NULL, &error);
    g_assert_no_error(error);
    g_autoptr(GIOStream) tls = g_tls_client_connection_new(G_IO_STREAM(base), NULL, &error);
    g_assert_no_error(error);
    g_object_set(tls, "validation-flags", 0, NULL);
    if (request->certificate != NULL)
        g_tls_connection_set_certificate(G_TLS_CONNECTION(tls), request->certificate);
    static const char text[] = "POST " EVENTS " HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx";
    g_assert_true(g_output_stream_write_all(g_io_stream_get_output_stream(tls), text, strlen(text),
                                            NULL, NULL, &error));
    g_assert_cmpint(g_input_stream_read(g_io_stream_get_input_stream(tls), answer,
                                        sizeof answer - 1, NULL, &error),
                    >, 0);
    g_assert_no_error(error);
    request->status = (guint)strtoul(answer + strlen("HTTP/1.1 "), NULL, 10);
    g_main_context_wakeup(NULL);
    return NULL;
}

static guint
ask_over_tls(EmuTlsServer *server, GTlsCertificate *certificate)
{
    TlsRequest request = {.certificate = certificate, .port = emu_tls_server_port(server)};
    GThread *thread = g_thread_new("client", request_over_tls, &request);

    while (g_atomic_int_get(&request.status) == 0)
        (void)g_main_context_iteration(NULL, TRUE);
    g_thread_join(thread);
    return request.status;
}

static void
test_tls_asks_for_the_certificate(Fixture *fixture, gconstpointer data)
{
    static const char *const addresses[] = {"127.0.0.1", NULL};
    g_auto(EmuIssued) issued = {0};
    g_autoptr(GError) error = NULL;
    g_autoptr(GTlsCertificate) own = emu_certificates_ensure(fixture->directory, HOST, &error);
    g_autoptr(GTlsDatabase) trust = emu_certificates_trust(fixture->directory, &error);
    g_autoptr(EmuTlsServer) server = emu_tls_server_new(fixture->hub, &emu_https_sessions, own,
                                                        trust, addresses, 0, FALSE, &error);
    g_assert_no_error(error);
    g_assert_true(emu_device_certificate_issue(fixture->hub, "d", NULL, EMU_ISSUE_SIGNED, 1,
                                               &issued, &error));
    g_autofree char *pem = g_strconcat(issued.certificate, issued.key, NULL);
    g_autoptr(GTlsCertificate) certificate = g_tls_certificate_new_from_pem(pem, -1, &error);
    g_assert_no_error(error);

    g_assert_cmpuint(ask_over_tls(server, certificate), ==, 204);
    g_assert_cmpuint(ask_over_tls(server, NULL), ==, 401);

    EmuMessage message;
    g_assert_true(emu_telemetry_next(emu_hub_telemetry(fixture->hub), 0, "d", &message));
    g_assert_cmpstr(message.arrival.origin->auth_type, ==, "x509");
}

#define ADD(path, test) g_test_add("/https-session/" path, Fixture, NULL, set_up, test, tear_down)

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("events/keeps-the-connection", test_events_keeps_the_connection);
    ADD("events/in-chunks", test_events_in_chunks);
    ADD("events/in-a-batch", test_events_in_a_batch);
    ADD("events/up-to-the-limit", test_events_up_to_the_limit);
    ADD("refusals/have-their-status", test_refusals_have_their_status);
    ADD("devicebound/is-empty", test_devicebound_is_empty);
    ADD("devicebound/is-settled", test_devicebound_is_settled);
    ADD("devicebound/matches-in-either-form", test_devicebound_matches_in_either_form);
    ADD("devicebound/of-another-device-is-out-of-reach",
        test_devicebound_of_another_device_is_out_of_reach);
    ADD("faults/have-their-status", test_faults_have_their_status);
    ADD("faults/cut-the-connection", test_faults_cut_the_connection);
    ADD("faults/hold-what-is-acknowledged", test_faults_hold_what_is_acknowledged);
    ADD("faults/swallow-a-request-until-they-end", test_faults_swallow_a_request_until_they_end);
    ADD("faults/move-the-date", test_faults_move_the_date);
    ADD("drop/ends-connections-of-the-device", test_drop_ends_connections_of_the_device);
    ADD("drop/ends-a-held-request", test_drop_ends_a_held_request);
    ADD("websocket/carries-mqtt", test_websocket_carries_mqtt);
    ADD("websocket/wants-a-subprotocol-of-the-hub", test_websocket_wants_a_subprotocol_of_the_hub);
    ADD("tls/asks-for-the-certificate", test_tls_asks_for_the_certificate);
    return g_test_run();
}
