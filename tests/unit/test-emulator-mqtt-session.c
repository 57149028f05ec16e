/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The emulator's MQTT behaviour, packet by packet, over a socket pair: what IoT Hub accepts, what
 * it refuses, and how it ends a connection. Source: protocol page, section 2. */

#include "c2d.h"
#include "error.h"
#include "faults.h"
#include "hub.h"
#include "mqtt-outbound.h"
#include "mqtt-session.h"

#include <errno.h>
#include <gio/gio.h>
#include <gnutls/crypto.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define KEY          "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
#define HOST         "hub.test"
#define USERNAME     HOST "/d/?api-version=2021-04-12"
#define EVENTS       "devices/d/messages/events/"
#define DEVICEBOUND  "devices/d/messages/devicebound/#"
#define PATIENCE_SEC 10
#define QUIET_MS     100 /* how long nothing has to come to count as nothing */

typedef struct {
    char *directory;     /* owned */
    EmuHub *hub;         /* owned */
    GPtrArray *sessions; /* owned; EmuMqttSession (owned) */
} Fixture;

/* The device's end of a connection. */
typedef struct {
    int fd;
    GByteArray *input; /* owned; read and not looked at yet */
    gboolean ended;
} Client;

typedef struct {
    guint type;
    guint flags;
    guint8 body[4096];
    size_t size;
} Packet;

static void
client_clear(Client *client)
{
    if (client->input == NULL)
        return;
    close(client->fd);
    g_clear_pointer(&client->input, g_byte_array_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Client, client_clear)

static void
start_hub(Fixture *fixture, const char *journal)
{
    g_autoptr(GError) error = NULL;
    const EmuHubOptions options = {.host = (char *)HOST,
                                   .state_dir = fixture->directory,
                                   .keep = 1000,
                                   .journal = (char *)journal,
                                   .lock_sec = 60,
                                   .max_deliveries = 10,
                                   .c2d_ttl_sec = 3600};
    const EmuIdentityChange change = {.primary_key = KEY};

    fixture->hub = emu_hub_new(&options, &error);
    g_assert_no_error(error);
    g_assert_nonnull(emu_hub_put_identity(fixture->hub, "d", NULL, &change, NULL, NULL));
    g_assert_nonnull(emu_hub_put_identity(fixture->hub, "d", "m", &change, NULL, NULL));
}

static void
set_up(Fixture *fixture, gconstpointer data)
{
    fixture->directory = g_dir_make_tmp("emulator-session-XXXXXX", NULL);
    fixture->sessions = g_ptr_array_new_with_free_func((GDestroyNotify)emu_mqtt_session_free);
    start_hub(fixture, NULL);
}

static void
tear_down(Fixture *fixture, gconstpointer data)
{
    g_autofree char *command = g_strdup_printf("rm -r %s", fixture->directory);

    g_ptr_array_unref(fixture->sessions);
    emu_hub_free(fixture->hub);
    g_assert_true(g_spawn_command_line_sync(command, NULL, NULL, NULL, NULL));
    g_free(fixture->directory);
}

static void
on_ended(gpointer session, gpointer user_data)
{
    g_ptr_array_remove_fast(((Fixture *)user_data)->sessions, session);
}

static Client
dial(Fixture *fixture)
{
    int fds[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), ==, 0);
    g_autoptr(GSocket) socket = g_socket_new_from_fd(fds[0], NULL);
    g_autoptr(GSocketConnection) stream = g_socket_connection_factory_create_connection(socket);
    g_ptr_array_add(fixture->sessions, emu_mqtt_session_new(fixture->hub, G_IO_STREAM(stream),
                                                            socket, NULL, on_ended, fixture));
    return (Client){.fd = fds[1], .input = g_byte_array_new()};
}

static void
client_write(Client *client, const void *data, size_t size)
{
    gint64 end_usec = g_get_monotonic_time() + PATIENCE_SEC * G_USEC_PER_SEC;

    for (size_t done = 0; done < size;) {
        ssize_t n = send(client->fd, (const char *)data + done, size - done, MSG_NOSIGNAL);
        if (n >= 0)
            done += (size_t)n;
        else if (errno == EPIPE || errno == ECONNRESET)
            return;
        else
            g_assert_cmpint(errno, ==, EAGAIN);
        (void)g_main_context_iteration(NULL, FALSE);
        g_assert_cmpint(g_get_monotonic_time(), <, end_usec);
    }
}

static void
client_poll(Client *client)
{
    guint8 bytes[4096];

    (void)g_main_context_iteration(NULL, FALSE);
    ssize_t n = recv(client->fd, bytes, sizeof bytes, 0);
    if (n > 0)
        g_byte_array_append(client->input, bytes, (guint)n);
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        client->ended = TRUE;
    else
        g_usleep(200);
}

/* Takes one packet off the input; FALSE when none comes in @ms or the connection ends. */
static gboolean
client_next(Client *client, gint64 ms, Packet *ret_packet)
{
    gint64 end_usec = g_get_monotonic_time() + ms * 1000;

    while (TRUE) {
        const guint8 *data = client->input->data;
        guint have = client->input->len;
        size_t size = have >= 2 ? data[1] & 0x7f : 0;
        size_t header = 2;
        if (have >= 3 && (data[1] & 0x80) != 0) {
            size |= (size_t)(data[2] & 0x7f) << 7;
            header = 3;
        }
        if (have >= 2 && have >= header + size && (header == 3 || (data[1] & 0x80) == 0)) {
            g_assert_cmpuint(size, <=, sizeof ret_packet->body);
            *ret_packet = (Packet){.type = data[0] >> 4, .flags = data[0] & 15, .size = size};
            memcpy(ret_packet->body, data + header, size);
            g_byte_array_remove_range(client->input, 0, (guint)(header + size));
            return TRUE;
        }
        if (client->ended || g_get_monotonic_time() >= end_usec)
            return FALSE;
        client_poll(client);
    }
}

static void
expect(Client *client, const guint8 *bytes, size_t size)
{
    Packet packet;

    g_assert_true(client_next(client, PATIENCE_SEC * 1000, &packet));
    g_assert_cmpuint(packet.type << 4 | packet.flags, ==, bytes[0]);
    g_assert_cmpmem(packet.body, packet.size, bytes + 2, size - 2);
}

#define EXPECT(client, ...)                                                                        \
    expect((client), (const guint8[]){__VA_ARGS__}, sizeof((const guint8[]){__VA_ARGS__}))

static void
expect_nothing(Client *client)
{
    Packet packet;

    g_assert_false(client_next(client, QUIET_MS, &packet));
    g_assert_false(client->ended);
}

static void
expect_end(Client *client)
{
    Packet packet;

    g_assert_false(client_next(client, PATIENCE_SEC * 1000, &packet));
    g_assert_true(client->ended);
}

static void
append_text(GByteArray *packet, const char *text)
{
    size_t size = strlen(text);
    const guint8 length[] = {(guint8)(size >> 8), (guint8)size};

    g_byte_array_append(packet, length, 2);
    g_byte_array_append(packet, (const guint8 *)text, (guint)size);
}

/* Sends a packet: its first byte, its length, its body. */
static void
client_send(Client *client, guint first, const GByteArray *body)
{
    guint8 header[5] = {(guint8)first};
    size_t n = 1;
    size_t size = body->len;

    do {
        header[n++] = (guint8)(size % 128 | (size >= 128 ? 128 : 0));
        size /= 128;
    } while (size > 0);
    client_write(client, header, n);
    client_write(client, body->data, body->len);
}

typedef struct {
    const char *client_id;
    const char *username; /* NULL: none */
    const char *password; /* NULL: none */
    guint level;
    gboolean clean;
    guint keep_alive_sec;
    const char *will_topic; /* NULL: none */
} Connect;

static void
client_connect(Client *client, const Connect *connect)
{
    g_autoptr(GByteArray) body = g_byte_array_new();
    guint flags = (connect->clean ? 2 : 0) | (connect->will_topic != NULL ? 0x0c : 0) |
                  (connect->username != NULL ? 0x80 : 0) | (connect->password != NULL ? 0x40 : 0);
    const guint8 middle[] = {(guint8)(connect->level != 0 ? connect->level : 4), (guint8)flags,
                             (guint8)(connect->keep_alive_sec >> 8),
                             (guint8)connect->keep_alive_sec};

    append_text(body, "MQTT");
    g_byte_array_append(body, middle, sizeof middle);
    append_text(body, connect->client_id);
    if (connect->will_topic != NULL) {
        append_text(body, connect->will_topic);
        append_text(body, "last words");
    }
    if (connect->username != NULL)
        append_text(body, connect->username);
    if (connect->password != NULL)
        append_text(body, connect->password);
    client_send(client, 0x10, body);
}

static char *
token_for(const char *resource, const char *key, gint64 expiry_sec, const char *tail)
{
    gsize key_size = 0;
    g_autofree guchar *secret = g_base64_decode(key, &key_size);
    g_autofree char *text = g_strdup_printf("%s\n%" G_GINT64_FORMAT, resource, expiry_sec);
    guint8 digest[32];

    g_assert_cmpint(
        gnutls_hmac_fast(GNUTLS_MAC_SHA256, secret, key_size, text, strlen(text), digest), ==, 0);
    g_autofree char *signature = g_base64_encode(digest, sizeof digest);
    g_autofree char *escaped = g_uri_escape_string(signature, NULL, FALSE);
    return g_strdup_printf("SharedAccessSignature sr=%s&sig=%s&se=%" G_GINT64_FORMAT "%s", resource,
                           escaped, expiry_sec, tail);
}

static char *
good_token(void)
{
    return token_for(HOST "/devices/d", KEY, g_get_real_time() / G_USEC_PER_SEC + 3600, "");
}

static Client
log_in_with(Fixture *fixture, gboolean clean, const char *will_topic)
{
    g_autofree char *token = good_token();
    const Connect connect = {.client_id = "d",
                             .username = USERNAME,
                             .password = token,
                             .clean = clean,
                             .keep_alive_sec = 60,
                             .will_topic = will_topic};
    Client client = dial(fixture);

    client_connect(&client, &connect);
    return client;
}

static Client
log_in(Fixture *fixture)
{
    Client client = log_in_with(fixture, TRUE, NULL);

    EXPECT(&client, 0x20, 2, 0, 0);
    return client;
}

static void
publish_bytes(Client *client, guint flags, guint packet_id, const char *topic, const void *data,
              size_t size)
{
    g_autoptr(GByteArray) body = g_byte_array_new();
    const guint8 id[] = {(guint8)(packet_id >> 8), (guint8)packet_id};

    append_text(body, topic);
    if ((flags & 6) != 0)
        g_byte_array_append(body, id, 2);
    g_byte_array_append(body, data, (guint)size);
    client_send(client, 0x30 | flags, body);
}

static void
publish(Client *client, guint flags, guint packet_id, const char *topic, const char *text)
{
    publish_bytes(client, flags, packet_id, topic, text, strlen(text));
}

static void
subscribe(Client *client, guint packet_id, const char *filter, guint qos)
{
    g_autoptr(GByteArray) body = g_byte_array_new();
    const guint8 id[] = {(guint8)(packet_id >> 8), (guint8)packet_id};
    const guint8 wanted = (guint8)qos;

    g_byte_array_append(body, id, 2);
    append_text(body, filter);
    g_byte_array_append(body, &wanted, 1);
    client_send(client, 0x82, body);
}

static void
unsubscribe(Client *client, guint packet_id, const char *filter)
{
    g_autoptr(GByteArray) body = g_byte_array_new();
    const guint8 id[] = {(guint8)(packet_id >> 8), (guint8)packet_id};

    g_byte_array_append(body, id, 2);
    append_text(body, filter);
    client_send(client, 0xa2, body);
}

static void
acknowledge(Client *client, guint packet_id)
{
    const guint8 bytes[] = {0x40, 2, (guint8)(packet_id >> 8), (guint8)packet_id};

    client_write(client, bytes, sizeof bytes);
}

static guint64
send_c2d(Fixture *fixture, const char *id)
{
    const EmuC2dNew message = {.device_id = "d",
                               .generation_id = "7",
                               .message_id = id,
                               .bag = "k=v",
                               .body = "hi",
                               .body_size = 2,
                               .ack = EMU_ACK_FULL};

    return emu_c2d_send(emu_hub_c2d(fixture->hub), &message, emu_hub_now_usec(fixture->hub), NULL,
                        NULL);
}

/* Expects the C2D message @id; answers its packet id, 0 with QoS 0. */
static guint
expect_c2d(Client *client, const char *id, gboolean duplicate)
{
    g_autofree char *topic = g_strdup_printf("devices/d/messages/devicebound/"
                                             "%%24.to=%%2Fdevices%%2Fd%%2Fmessages%%2FdeviceBound"
                                             "&%%24.mid=%s&iothub-ack=full&k=v",
                                             id);
    size_t size = strlen(topic);
    Packet packet;

    g_assert_true(client_next(client, PATIENCE_SEC * 1000, &packet));
    g_assert_cmpuint(packet.type, ==, 3);
    g_assert_cmpint((packet.flags & 8) != 0, ==, duplicate);
    g_assert_cmpmem(packet.body + 2, size, topic, size);
    guint header = (packet.flags & 6) != 0 ? 2 : 0;
    g_assert_cmpmem(packet.body + 2 + size + header, packet.size - size - 2 - header, "hi", 2);
    return header == 0 ? 0 : (guint)packet.body[2 + size] << 8 | packet.body[3 + size];
}

static void
assert_c2d_state(Fixture *fixture, const char *id, EmuC2dState state)
{
    g_autoptr(EmuC2dMessage) message = emu_c2d_find(emu_hub_c2d(fixture->hub), "d", id);

    g_assert_cmpint(message->state, ==, state);
}

static EmuMessage
arrived(Fixture *fixture, guint64 sequence)
{
    EmuMessage message = {0};

    g_assert_true(
        emu_telemetry_next(emu_hub_telemetry(fixture->hub), sequence - 1, NULL, &message));
    g_assert_cmpuint(message.sequence, ==, sequence);
    return message;
}

static guint64
count(Fixture *fixture)
{
    return emu_telemetry_count(emu_hub_telemetry(fixture->hub));
}

static const char *
last_reason(Fixture *fixture)
{
    const EmuDisconnect *last = g_queue_peek_head(&emu_hub_stats(fixture->hub)->disconnects);

    return last != NULL ? last->reason : NULL;
}

/* Lets the hub notice that a client has hung up. */
static void
await_hangup(Fixture *fixture)
{
    while (emu_hub_stats(fixture->hub)->open > 0)
        (void)g_main_context_iteration(NULL, TRUE);
}

static guint
add_fault(Fixture *fixture, EmuFault fault)
{
    return emu_faults_add(emu_hub_faults(fixture->hub), &fault, g_get_monotonic_time());
}

static void
assert_refused(Fixture *fixture, const Connect *connect, guint code)
{
    g_auto(Client) client = dial(fixture);

    client_connect(&client, connect);
    EXPECT(&client, 0x20, 2, 0, (guint8)code);
    expect_end(&client);
}

static void
test_login_refuses_other_protocol_levels(Fixture *fixture, gconstpointer data)
{
    g_autofree char *token = good_token();
    const Connect connect = {.client_id = "d", .username = USERNAME, .password = token, .level = 5};

    assert_refused(fixture, &connect, 1);
}

static void
test_login_refuses_a_client_id_that_is_another(Fixture *fixture, gconstpointer data)
{
    static const char *const ids[] = {"e", "", "D", "d/m", "d/"};
    g_autofree char *token = good_token();

    for (size_t i = 0; i < G_N_ELEMENTS(ids); i++) {
        const Connect connect = {
            .client_id = ids[i], .username = USERNAME, .password = token, .clean = TRUE};
        assert_refused(fixture, &connect, 2);
    }
}

static void
test_login_refuses_malformed_usernames(Fixture *fixture, gconstpointer data)
{
    const Connect none = {.client_id = "d", .clean = TRUE};
    const Connect short_one = {.client_id = "d", .username = "d", .password = "x", .clean = TRUE};

    assert_refused(fixture, &none, 4);
    assert_refused(fixture, &short_one, 4);
}

static void
test_login_refuses_bad_credentials(Fixture *fixture, gconstpointer data)
{
    gint64 now_sec = g_get_real_time() / G_USEC_PER_SEC;
    g_autofree char *good = good_token();
    g_autofree char *expired = token_for(HOST "/devices/d", KEY, now_sec, "");
    g_autofree char *foreign = token_for(HOST "/devices/e", KEY, now_sec + 60, "");
    g_autofree char *wrong_key = token_for(
        HOST "/devices/d", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", now_sec + 60, "");
    const Connect cases[] = {
        {.client_id = "d", .username = USERNAME, .password = NULL},
        {.client_id = "d", .username = USERNAME, .password = ""},
        {.client_id = "d", .username = USERNAME, .password = "secret"},
        {.client_id = "d", .username = USERNAME, .password = expired},
        {.client_id = "d", .username = USERNAME, .password = foreign},
        {.client_id = "d", .username = USERNAME, .password = wrong_key},
        {.client_id = "nobody", .username = HOST "/nobody/?api-version=1", .password = good},
        {.client_id = "d", .username = "other.hub/d/?api-version=1", .password = good},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
        assert_refused(fixture, &cases[i], 5);
    g_assert_cmpuint(emu_hub_stats(fixture->hub)->refused[5], ==, G_N_ELEMENTS(cases));
}

static void
test_login_takes_policy_tokens(Fixture *fixture, gconstpointer data)
{
    EmuRegistry *registry = emu_hub_registry(fixture->hub);
    gint64 expiry_sec = g_get_real_time() / G_USEC_PER_SEC + 60;
    g_autofree char *device = token_for(HOST, emu_registry_policy(registry, "device")->primary_key,
                                        expiry_sec, "&skn=device");
    g_autofree char *service = token_for(
        HOST, emu_registry_policy(registry, "service")->primary_key, expiry_sec, "&skn=service");
    const Connect good = {
        .client_id = "d", .username = USERNAME, .password = device, .clean = TRUE};
    const Connect bad = {.client_id = "d", .username = USERNAME, .password = service};

    g_auto(Client) client = dial(fixture);
    client_connect(&client, &good);
    EXPECT(&client, 0x20, 2, 0, 0);
    assert_refused(fixture, &bad, 5);
}

static void
test_login_takes_modules(Fixture *fixture, gconstpointer data)
{
    g_autofree char *token =
        token_for(HOST "/devices/d/modules/m", KEY, g_get_real_time() / G_USEC_PER_SEC + 60, "");
    const Connect connect = {.client_id = "d/m",
                             .username = HOST "/d/m/?api-version=1",
                             .password = token,
                             .clean = TRUE};
    g_auto(Client) client = dial(fixture);

    client_connect(&client, &connect);
    EXPECT(&client, 0x20, 2, 0, 0);
    publish(&client, 2, 1, "devices/d/modules/m/messages/events/", "x");
    EXPECT(&client, 0x40, 2, 0, 1);
    subscribe(&client, 2, "devices/d/modules/m/#", 1);
    EXPECT(&client, 0x90, 3, 0, 2, 1);
    g_assert_cmpstr(arrived(fixture, 1).arrival.origin->module_id, ==, "m");
    publish(&client, 2, 2, EVENTS, "x");
    expect_end(&client);
}

static void
test_login_says_whether_a_session_was_kept(Fixture *fixture, gconstpointer data)
{
    static const struct {
        gboolean clean;
        guint8 present;
    } steps[] = {{FALSE, 0}, {FALSE, 1}, {TRUE, 0}, {FALSE, 0}, {FALSE, 1}};

    for (size_t i = 0; i < G_N_ELEMENTS(steps); i++) {
        g_auto(Client) client = log_in_with(fixture, steps[i].clean, NULL);
        EXPECT(&client, 0x20, 2, steps[i].present, 0);
    }
}

static void
test_login_comes_first_and_once(Fixture *fixture, gconstpointer data)
{
    g_auto(Client) early = dial(fixture);
    client_write(&early, (const guint8[]){0xc0, 0}, 2);
    expect_end(&early);

    g_autofree char *token = good_token();
    const Connect again = {.client_id = "d", .username = USERNAME, .password = token};
    g_auto(Client) twice = log_in(fixture);
    client_connect(&twice, &again);
    expect_end(&twice);
    g_assert_cmpstr(last_reason(fixture), ==, "protocol-error: Second CONNECT on one connection");
}

static void
test_login_works_byte_by_byte(Fixture *fixture, gconstpointer data)
{
    g_autofree char *token = good_token();
    g_autoptr(GByteArray) body = g_byte_array_new();
    g_auto(Client) client = dial(fixture);
    const guint8 middle[] = {4, 0xc2, 0, 60};

    append_text(body, "MQTT");
    g_byte_array_append(body, middle, sizeof middle);
    append_text(body, "d");
    append_text(body, USERNAME);
    append_text(body, token);
    const guint8 header[] = {0x10, (guint8)(body->len % 128 | 128), (guint8)(body->len / 128)};
    g_byte_array_prepend(body, header, sizeof header);
    for (guint i = 0; i < body->len; i++) {
        client_write(&client, body->data + i, 1);
        while (g_main_context_iteration(NULL, FALSE))
            ;
    }

    EXPECT(&client, 0x20, 2, 0, 0);
}

static void
test_newer_connection_closes_the_older(Fixture *fixture, gconstpointer data)
{
    g_auto(Client) older = log_in(fixture);
    g_auto(Client) newer = log_in(fixture);

    expect_end(&older);
    publish(&newer, 2, 1, EVENTS, "x");
    EXPECT(&newer, 0x40, 2, 0, 1);
    g_assert_cmpuint(emu_hub_stats(fixture->hub)->evicted, ==, 1);
    g_assert_true(g_str_has_prefix(last_reason(fixture), "evicted: 400027"));
}

static void
test_publish_is_stored_and_acknowledged(Fixture *fixture, gconstpointer data)
{
    g_auto(Client) client = log_in(fixture);

    publish(&client, 2, 0x102, EVENTS "%24.mid=m/1&k=a/b", "hello");
    EXPECT(&client, 0x40, 2, 1, 2);
    publish(&client, 0, 0, "devices/d/messages/events", "no answer");
    publish(&client, 0x0b, 3, EVENTS, "again, retained");
    EXPECT(&client, 0x40, 2, 0, 3);

    EmuMessage first = arrived(fixture, 1);
    g_assert_cmpmem(first.arrival.bag, first.arrival.bag_size, "%24.mid=m/1&k=a/b", 17);
    g_assert_cmpmem(first.arrival.body, first.arrival.body_size, "hello", 5);
    g_assert_cmpint(arrived(fixture, 2).arrival.flags, ==, 0);
    g_assert_cmpint(arrived(fixture, 3).arrival.flags, ==,
                    EMU_ARRIVAL_RETAIN | EMU_ARRIVAL_DUPLICATE);
}

static void
assert_publish_ends(Fixture *fixture, guint flags, const char *topic, const void *body, size_t size)
{
    g_auto(Client) client = log_in(fixture);

    publish_bytes(&client, flags, 1, topic, body, size);
    expect_end(&client);
    g_assert_cmpuint(count(fixture), ==, 0);
    g_assert_true(g_str_has_prefix(last_reason(fixture), "protocol-error: "));
}

static void
test_publish_ends_where_the_hub_ends(Fixture *fixture, gconstpointer data)
{
    g_autofree char *big = g_malloc0(300 * 1024);

    assert_publish_ends(fixture, 4, EVENTS, "x", 1);
    assert_publish_ends(fixture, 2, "devices/e/messages/events/", "x", 1);
    assert_publish_ends(fixture, 2, "hello", "x", 1);
    assert_publish_ends(fixture, 2, EVENTS, big, EMU_MESSAGE_BYTES_MAX + 1);
    assert_publish_ends(fixture, 2, EVENTS "k=v", big, EMU_MESSAGE_BYTES_MAX - 1);
    g_assert_cmpuint(emu_hub_stats(fixture->hub)->protocol_errors, ==, 5);
}

static void
test_publish_takes_the_largest_message(Fixture *fixture, gconstpointer data)
{
    g_autofree char *big = g_malloc0(EMU_MESSAGE_BYTES_MAX);
    g_auto(Client) client = log_in(fixture);

    publish_bytes(&client, 2, 1, EVENTS "k=v", big, EMU_MESSAGE_BYTES_MAX - 2);
    EXPECT(&client, 0x40, 2, 0, 1);
    publish_bytes(&client, 2, 2, EVENTS, big, EMU_MESSAGE_BYTES_MAX);
    EXPECT(&client, 0x40, 2, 0, 2);
}

static void
test_huge_packet_ends_before_it_is_read(Fixture *fixture, gconstpointer data)
{
    g_auto(Client) client = log_in(fixture);

    client_write(&client, (const guint8[]){0x32, 0xff, 0xff, 0xff, 0x7f}, 5);
    expect_end(&client);
}

static void
test_malformed_packet_ends_after_what_came_before(Fixture *fixture, gconstpointer data)
{
    g_auto(Client) client = log_in(fixture);

    publish(&client, 2, 1, EVENTS, "x");
    client_write(&client, (const guint8[]){0xf0, 0}, 2);
    EXPECT(&client, 0x40, 2, 0, 1);
    expect_end(&client);
    g_assert_cmpuint(count(fixture), ==, 1);
}

static void
test_subscribe_grants_one_at_most(Fixture *fixture, gconstpointer data)
{
    static const guint8 three[] = {0x82, 0x41, 0,   9,   0,   0x12, '$', 'i', 'o',
                                   't',  'h',  'u', 'b', '/', 't',  'w', 'i', 'n',
                                   '/',  'r',  'e', 's', '/', '#',  0};
    g_auto(Client) client = log_in(fixture);

    subscribe(&client, 1, DEVICEBOUND, 2);
    EXPECT(&client, 0x90, 3, 0, 1, 1);
    subscribe(&client, 2, DEVICEBOUND, 0);
    EXPECT(&client, 0x90, 3, 0, 2, 0);

    /* One packet with several filters, as the C SDK sends it. */
    g_autoptr(GByteArray) body = g_byte_array_new();
    g_byte_array_append(body, three + 2, 23);
    append_text(body, "$iothub/methods/POST/#");
    g_byte_array_append(body, (const guint8[]){1}, 1);
    client_send(&client, 0x82, body);
    EXPECT(&client, 0x90, 4, 0, 9, 0, 1);
}

static void
test_subscribe_ends_at_foreign_filters(Fixture *fixture, gconstpointer data)
{
    static const char *const filters[] = {"#", "devices/e/messages/devicebound/#", EVENTS "#"};

    for (size_t i = 0; i < G_N_ELEMENTS(filters); i++) {
        g_auto(Client) client = log_in(fixture);
        subscribe(&client, 1, filters[i], 0);
        expect_end(&client);
    }
}

static void
test_subscribe_ends_at_the_sixth(Fixture *fixture, gconstpointer data)
{
    g_auto(Client) client = log_in(fixture);

    for (guint i = 1; i <= 6; i++) {
        g_autofree char *filter = g_strdup_printf("$iothub/methods/POST/m%u/#", i);
        subscribe(&client, i, filter, 0);
        if (i <= 5)
            EXPECT(&client, 0x90, 3, 0, (guint8)i, 0);
    }
    expect_end(&client);
}

static void
test_unsubscribe_and_ping_are_answered(Fixture *fixture, gconstpointer data)
{
    g_auto(Client) client = log_in(fixture);

    unsubscribe(&client, 7, DEVICEBOUND);
    EXPECT(&client, 0xb0, 2, 0, 7);
    client_write(&client, (const guint8[]){0xc0, 0}, 2);
    EXPECT(&client, 0xd0, 0);
}

static void
test_will_is_published_when_the_socket_drops(Fixture *fixture, gconstpointer data)
{
    {
        g_auto(Client) client = log_in_with(fixture, TRUE, EVENTS "k=v");
        EXPECT(&client, 0x20, 2, 0, 0);
    }
    while (count(fixture) == 0)
        (void)g_main_context_iteration(NULL, TRUE);

    EmuMessage will = arrived(fixture, 1);
    g_assert_cmpint(will.arrival.flags, ==, EMU_ARRIVAL_WILL);
    g_assert_cmpmem(will.arrival.bag, will.arrival.bag_size, "k=v", 3);
    g_assert_cmpmem(will.arrival.body, will.arrival.body_size, "last words", 10);
}

static void
test_will_is_forgotten_after_disconnect(Fixture *fixture, gconstpointer data)
{
    g_auto(Client) client = log_in_with(fixture, TRUE, EVENTS);

    EXPECT(&client, 0x20, 2, 0, 0);
    client_write(&client, (const guint8[]){0xe0, 0}, 2);
    expect_end(&client);
    g_assert_cmpstr(last_reason(fixture), ==, "client-disconnect");
    g_assert_cmpuint(count(fixture), ==, 0);
}

static void
test_will_has_to_be_ones_own(Fixture *fixture, gconstpointer data)
{
    g_auto(Client) client = log_in_with(fixture, TRUE, "devices/e/messages/events/");

    expect_end(&client);
}

static void
test_keep_alive_ends_silence(Fixture *fixture, gconstpointer data)
{
    g_autofree char *token = good_token();
    const Connect connect = {.client_id = "d",
                             .username = USERNAME,
                             .password = token,
                             .clean = TRUE,
                             .keep_alive_sec = 1};
    g_auto(Client) client = dial(fixture);
    gint64 start_usec = g_get_monotonic_time();

    client_connect(&client, &connect);
    EXPECT(&client, 0x20, 2, 0, 0);
    expect_end(&client);

    g_assert_cmpint(g_get_monotonic_time() - start_usec, >=, G_USEC_PER_SEC * 3 / 2);
    g_assert_cmpstr(last_reason(fixture), ==, "keep-alive-timeout");
}

static void
test_token_end_closes(Fixture *fixture, gconstpointer data)
{
    g_auto(Client) client = log_in(fixture);
    guint id = add_fault(fixture, (EmuFault){.kind = EMU_FAULT_CLOCK_SKEW, .sec = 3590});

    expect_nothing(&client);
    g_assert_cmpuint(emu_faults_remove(emu_hub_faults(fixture->hub), id), ==, 1);
    add_fault(fixture, (EmuFault){.kind = EMU_FAULT_CLOCK_SKEW, .sec = 3601});
    expect_end(&client);
    g_assert_true(g_str_has_prefix(last_reason(fixture), "token-expired: 401003"));
}

static void
test_disabling_and_deleting_close(Fixture *fixture, gconstpointer data)
{
    const EmuIdentityChange disable = {.status = "disabled"};
    const EmuIdentityChange enable = {.status = "enabled"};

    g_auto(Client) first = log_in(fixture);
    g_assert_nonnull(emu_hub_put_identity(fixture->hub, "d", NULL, &disable, NULL, NULL));
    expect_end(&first);
    g_auto(Client) second = log_in_with(fixture, TRUE, NULL);
    EXPECT(&second, 0x20, 2, 0, 5);

    g_assert_nonnull(emu_hub_put_identity(fixture->hub, "d", NULL, &enable, NULL, NULL));
    g_auto(Client) third = log_in(fixture);
    g_assert_true(emu_hub_remove_identity(fixture->hub, "d", NULL, NULL));
    expect_end(&third);
    g_assert_cmpstr(last_reason(fixture), ==, "device-deleted");
}

static void
test_c2d_comes_after_suback_and_completes(Fixture *fixture, gconstpointer data)
{
    g_auto(Client) client = log_in(fixture);

    send_c2d(fixture, "a");
    expect_nothing(&client);
    subscribe(&client, 1, DEVICEBOUND, 1);
    EXPECT(&client, 0x90, 3, 0, 1, 1);
    guint id = expect_c2d(&client, "a", FALSE);
    assert_c2d_state(fixture, "a", EMU_C2D_INVISIBLE);
    send_c2d(fixture, "b");
    (void)expect_c2d(&client, "b", FALSE);
    acknowledge(&client, id);
    unsubscribe(&client, 2, DEVICEBOUND);
    EXPECT(&client, 0xb0, 2, 0, 2);

    assert_c2d_state(fixture, "a", EMU_C2D_COMPLETED);
    assert_c2d_state(fixture, "b", EMU_C2D_INVISIBLE);
    send_c2d(fixture, "c");
    expect_nothing(&client);
}

static void
test_c2d_of_qos_0_completes_at_once(Fixture *fixture, gconstpointer data)
{
    g_auto(Client) client = log_in(fixture);

    subscribe(&client, 1, DEVICEBOUND, 0);
    EXPECT(&client, 0x90, 3, 0, 1, 0);
    send_c2d(fixture, "a");

    g_assert_cmpuint(expect_c2d(&client, "a", FALSE), ==, 0);
    assert_c2d_state(fixture, "a", EMU_C2D_COMPLETED);
}

static void
test_c2d_follows_connack_in_a_kept_session(Fixture *fixture, gconstpointer data)
{
    {
        g_auto(Client) client = log_in_with(fixture, FALSE, NULL);
        EXPECT(&client, 0x20, 2, 0, 0);
        subscribe(&client, 1, DEVICEBOUND, 1);
        EXPECT(&client, 0x90, 3, 0, 1, 1);
    }
    await_hangup(fixture);
    send_c2d(fixture, "a");

    g_auto(Client) again = log_in_with(fixture, FALSE, NULL);
    EXPECT(&again, 0x20, 2, 1, 0);
    acknowledge(&again, expect_c2d(&again, "a", FALSE));
    client_write(&again, (const guint8[]){0xc0, 0}, 2);
    EXPECT(&again, 0xd0, 0);
    assert_c2d_state(fixture, "a", EMU_C2D_COMPLETED);
}

static void
test_c2d_has_ten_in_flight(Fixture *fixture, gconstpointer data)
{
    guint ids[EMU_OUTBOUND_MAX];
    g_auto(Client) client = log_in(fixture);

    for (guint i = 0; i <= EMU_OUTBOUND_MAX; i++) {
        g_autofree char *id = g_strdup_printf("m%u", i);
        send_c2d(fixture, id);
    }
    subscribe(&client, 1, DEVICEBOUND, 1);
    EXPECT(&client, 0x90, 3, 0, 1, 1);
    for (guint i = 0; i < EMU_OUTBOUND_MAX; i++) {
        g_autofree char *id = g_strdup_printf("m%u", i);
        ids[i] = expect_c2d(&client, id, FALSE);
    }
    expect_nothing(&client);
    acknowledge(&client, ids[3]);

    (void)expect_c2d(&client, "m10", FALSE);
}

static void
test_c2d_comes_again_when_its_lock_ends(Fixture *fixture, gconstpointer data)
{
    g_auto(Client) client = log_in(fixture);

    subscribe(&client, 1, DEVICEBOUND, 1);
    EXPECT(&client, 0x90, 3, 0, 1, 1);
    send_c2d(fixture, "a");
    guint id = expect_c2d(&client, "a", FALSE);
    add_fault(fixture, (EmuFault){.kind = EMU_FAULT_CLOCK_SKEW, .sec = 61});

    g_assert_cmpuint(expect_c2d(&client, "a", TRUE), ==, id);
    acknowledge(&client, id);
    client_write(&client, (const guint8[]){0xc0, 0}, 2);
    EXPECT(&client, 0xd0, 0);
    assert_c2d_state(fixture, "a", EMU_C2D_COMPLETED);
}

static void
test_c2d_stays_locked_when_its_connection_ends(Fixture *fixture, gconstpointer data)
{
    {
        g_auto(Client) client = log_in_with(fixture, FALSE, NULL);
        EXPECT(&client, 0x20, 2, 0, 0);
        subscribe(&client, 1, DEVICEBOUND, 1);
        EXPECT(&client, 0x90, 3, 0, 1, 1);
        send_c2d(fixture, "a");
        (void)expect_c2d(&client, "a", FALSE);
    }
    await_hangup(fixture);

    g_auto(Client) again = log_in_with(fixture, FALSE, NULL);
    EXPECT(&again, 0x20, 2, 1, 0);
    expect_nothing(&again);
    add_fault(fixture, (EmuFault){.kind = EMU_FAULT_CLOCK_SKEW, .sec = 61});
    (void)expect_c2d(&again, "a", TRUE);
}

static void
test_twin_request_is_answered_honestly(Fixture *fixture, gconstpointer data)
{
    static const char topic[] = "$iothub/twin/res/501/?$rid=a-1";
    g_auto(Client) client = log_in(fixture);
    Packet packet;

    publish(&client, 0, 0, "$iothub/twin/GET/?$rid=a-1", " ");
    expect_nothing(&client);
    subscribe(&client, 1, "$iothub/twin/res/#", 0);
    EXPECT(&client, 0x90, 3, 0, 1, 0);
    publish(&client, 0, 0, "$iothub/twin/GET/?$rid=a-1", " ");

    g_assert_true(client_next(&client, PATIENCE_SEC * 1000, &packet));
    g_assert_cmpuint(packet.type, ==, 3);
    g_assert_cmpmem(packet.body + 2, strlen(topic), topic, strlen(topic));
    g_autofree char *body =
        g_strndup((char *)packet.body + 2 + strlen(topic), packet.size - 2 - strlen(topic));
    g_assert_true(g_str_has_prefix(body, "{\"errorCode\":501000,\"trackingId\":\""));
}

static void
test_fault_refuse_strikes_as_often_as_asked(Fixture *fixture, gconstpointer data)
{
    g_autofree char *token = good_token();
    const Connect connect = {
        .client_id = "d", .username = USERNAME, .password = token, .clean = TRUE};

    add_fault(fixture, (EmuFault){.kind = EMU_FAULT_REFUSE, .code = 3, .count = 2});
    add_fault(fixture,
              (EmuFault){.kind = EMU_FAULT_REFUSE, .code = 3, .device_id = (char *)"other"});
    assert_refused(fixture, &connect, 3);
    assert_refused(fixture, &connect, 3);
    g_auto(Client) client = log_in(fixture);
}

static void
test_fault_cut_after_acknowledges_what_it_took(Fixture *fixture, gconstpointer data)
{
    g_auto(Client) client = log_in(fixture);

    add_fault(fixture, (EmuFault){.kind = EMU_FAULT_CUT_AFTER, .after = 2, .count = 1});
    for (guint i = 1; i <= 3; i++)
        publish(&client, 2, i, EVENTS, "x");

    EXPECT(&client, 0x40, 2, 0, 1);
    EXPECT(&client, 0x40, 2, 0, 2);
    expect_end(&client);
    g_assert_cmpuint(count(fixture), ==, 2);
    g_auto(Client) again = log_in(fixture);
    publish(&again, 2, 1, EVENTS, "x");
    EXPECT(&again, 0x40, 2, 0, 1);
}

static void
test_fault_cut_after_may_store_the_last(Fixture *fixture, gconstpointer data)
{
    g_auto(Client) client = log_in(fixture);

    add_fault(fixture, (EmuFault){.kind = EMU_FAULT_CUT_AFTER, .count = 1, .store = TRUE});
    publish(&client, 2, 1, EVENTS, "x");

    expect_end(&client);
    g_assert_cmpuint(count(fixture), ==, 1);
}

static void
test_fault_stall_holds_acknowledgements(Fixture *fixture, gconstpointer data)
{
    g_auto(Client) client = log_in(fixture);
    guint id = add_fault(fixture, (EmuFault){.kind = EMU_FAULT_STALL_ACKS});

    publish(&client, 2, 1, EVENTS, "x");
    publish(&client, 2, 2, EVENTS, "x");
    client_write(&client, (const guint8[]){0xc0, 0}, 2);
    EXPECT(&client, 0xd0, 0);
    expect_nothing(&client);
    g_assert_cmpuint(count(fixture), ==, 2);
    g_assert_cmpuint(emu_faults_remove(emu_hub_faults(fixture->hub), id), ==, 1);

    EXPECT(&client, 0x40, 2, 0, 1);
    EXPECT(&client, 0x40, 2, 0, 2);
}

static void
test_fault_stall_may_end_by_itself(Fixture *fixture, gconstpointer data)
{
    g_auto(Client) client = log_in(fixture);

    add_fault(fixture, (EmuFault){.kind = EMU_FAULT_STALL_ACKS, .ms = 200});
    publish(&client, 2, 1, EVENTS, "x");
    expect_nothing(&client);
    EXPECT(&client, 0x40, 2, 0, 1);
}

static void
test_fault_delay_makes_each_late(Fixture *fixture, gconstpointer data)
{
    g_auto(Client) client = log_in(fixture);
    gint64 start_usec = g_get_monotonic_time();

    add_fault(fixture, (EmuFault){.kind = EMU_FAULT_DELAY, .ms = 150});
    publish(&client, 2, 1, EVENTS, "x");
    publish(&client, 2, 2, EVENTS, "x");

    EXPECT(&client, 0x40, 2, 0, 1);
    g_assert_cmpint(g_get_monotonic_time() - start_usec, >=, 150 * 1000);
    EXPECT(&client, 0x40, 2, 0, 2);
}

static void
test_fault_throttle_closes_above_its_rate(Fixture *fixture, gconstpointer data)
{
    g_auto(Client) client = log_in(fixture);

    add_fault(fixture, (EmuFault){.kind = EMU_FAULT_THROTTLE, .rate = 5});
    for (guint i = 1; i <= 50; i++)
        publish(&client, 2, i, EVENTS, "x");
    for (guint i = 1; i <= 5; i++)
        EXPECT(&client, 0x40, 2, 0, (guint8)i);

    expect_end(&client);
    g_assert_cmpstr(last_reason(fixture), ==, "throttled: 429002");
}

static void
test_fault_refuse_subscribe_is_said_in_the_suback(Fixture *fixture, gconstpointer data)
{
    g_auto(Client) client = log_in(fixture);

    add_fault(fixture, (EmuFault){.kind = EMU_FAULT_REFUSE_SUBSCRIBE, .count = 1});
    subscribe(&client, 5, DEVICEBOUND, 1);
    EXPECT(&client, 0x90, 3, 0, 5, 0x80);
    subscribe(&client, 6, DEVICEBOUND, 1);

    EXPECT(&client, 0x90, 3, 0, 6, 1);
}

static void
test_fault_black_hole_keeps_sockets(Fixture *fixture, gconstpointer data)
{
    g_auto(Client) client = log_in(fixture);
    guint id =
        add_fault(fixture, (EmuFault){.kind = EMU_FAULT_BLACK_HOLE, .device_id = (char *)"d"});

    publish(&client, 2, 1, EVENTS, "x");
    expect_nothing(&client);
    g_assert_cmpuint(count(fixture), ==, 0);
    g_auto(Client) newer = log_in_with(fixture, TRUE, NULL);
    expect_nothing(&newer);
    g_assert_cmpuint(emu_faults_remove(emu_hub_faults(fixture->hub), id), ==, 1);

    EXPECT(&client, 0x40, 2, 0, 1);
    EXPECT(&newer, 0x20, 2, 0, 0);
    expect_end(&client);
}

static void
test_fault_black_hole_ends_and_all_goes_on(Fixture *fixture, gconstpointer data)
{
    g_auto(Client) client = log_in(fixture);
    guint id = add_fault(fixture, (EmuFault){.kind = EMU_FAULT_BLACK_HOLE});

    publish(&client, 2, 1, EVENTS, "x");
    expect_nothing(&client);
    g_assert_cmpuint(emu_faults_remove(emu_hub_faults(fixture->hub), id), ==, 1);

    EXPECT(&client, 0x40, 2, 0, 1);
}

static void
test_drop_closes_those_meant(Fixture *fixture, gconstpointer data)
{
    g_auto(Client) client = log_in(fixture);

    g_assert_cmpuint(emu_hub_drop(fixture->hub, "e", "fault: dropped"), ==, 0);
    g_assert_cmpuint(emu_hub_drop(fixture->hub, "d", "fault: dropped"), ==, 1);
    expect_end(&client);
}

/* A client that sends and does not read is held back, and loses nothing. */
static void
test_slow_reader_is_not_read_from(Fixture *fixture, gconstpointer data)
{
    enum { N = 60000 };
    g_auto(Client) client = log_in(fixture);
    guint sent = 0;
    gint64 end_usec = g_get_monotonic_time() + PATIENCE_SEC * G_USEC_PER_SEC;
    guint8 bytes[34] = {0x32, 32, 0, 26};

    memcpy(bytes + 4, EVENTS, 26);
    for (guint quiet = 0; sent < N && quiet < 1000;) {
        bytes[30] = (guint8)((sent + 1) >> 8);
        bytes[31] = (guint8)(sent + 1);
        ssize_t n = send(client.fd, bytes, sizeof bytes, MSG_NOSIGNAL);
        g_assert_true(n == -1 || n == sizeof bytes);
        sent += n > 0 ? 1 : 0;
        quiet = n > 0 ? 0 : quiet + 1;
        (void)g_main_context_iteration(NULL, FALSE);
        g_assert_cmpint(g_get_monotonic_time(), <, end_usec);
    }
    g_assert_cmpuint(sent, <, N);
    for (guint i = 1; i <= sent; i++)
        EXPECT(&client, 0x40, 2, (guint8)(i >> 8), (guint8)i);

    g_assert_cmpuint(count(fixture), ==, sent);
}

/* What the journal cannot take must not be acknowledged. A file size limit is our full disk. */
static void
test_nothing_is_acknowledged_without_the_journal(Fixture *fixture, gconstpointer data)
{
    g_autofree char *journal = g_build_filename(fixture->directory, "journal", NULL);
    struct rlimit before;

    emu_hub_free(fixture->hub);
    start_hub(fixture, journal);
    g_auto(Client) client = log_in(fixture);
    publish(&client, 2, 1, EVENTS, "x");
    EXPECT(&client, 0x40, 2, 0, 1);

    signal(SIGXFSZ, SIG_IGN);
    g_assert_cmpint(getrlimit(RLIMIT_FSIZE, &before), ==, 0);
    g_assert_cmpint(
        setrlimit(RLIMIT_FSIZE, &(struct rlimit){.rlim_cur = 10, .rlim_max = before.rlim_max}), ==,
        0);
    GLogLevelFlags fatal = g_log_set_always_fatal(G_LOG_FATAL_MASK); /* it warns */
    publish(&client, 2, 2, EVENTS, "x");
    expect_end(&client);
    g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &before), ==, 0);

    (void)g_log_set_always_fatal(fatal);
    g_assert_cmpuint(count(fixture), ==, 1);
    g_assert_cmpstr(last_reason(fixture), ==, "server-error: 500001");
}

static void
add(const char *path, void (*test)(Fixture *fixture, gconstpointer data))
{
    g_test_add(path, Fixture, NULL, set_up, test, tear_down);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add("/mqtt-session/login/refuses-other-protocol-levels",
        test_login_refuses_other_protocol_levels);
    add("/mqtt-session/login/refuses-a-client-id-that-is-another",
        test_login_refuses_a_client_id_that_is_another);
    add("/mqtt-session/login/refuses-malformed-usernames", test_login_refuses_malformed_usernames);
    add("/mqtt-session/login/refuses-bad-credentials", test_login_refuses_bad_credentials);
    add("/mqtt-session/login/takes-policy-tokens", test_login_takes_policy_tokens);
    add("/mqtt-session/login/takes-modules", test_login_takes_modules);
    add("/mqtt-session/login/says-whether-a-session-was-kept",
        test_login_says_whether_a_session_was_kept);
    add("/mqtt-session/login/comes-first-and-once", test_login_comes_first_and_once);
    add("/mqtt-session/login/works-byte-by-byte", test_login_works_byte_by_byte);
    add("/mqtt-session/newer/connection-closes-the-older", test_newer_connection_closes_the_older);
    add("/mqtt-session/publish/is-stored-and-acknowledged",
        test_publish_is_stored_and_acknowledged);
    add("/mqtt-session/publish/ends-where-the-hub-ends", test_publish_ends_where_the_hub_ends);
    add("/mqtt-session/publish/takes-the-largest-message", test_publish_takes_the_largest_message);
    add("/mqtt-session/packet/huge-ends-before-it-is-read",
        test_huge_packet_ends_before_it_is_read);
    add("/mqtt-session/packet/malformed-ends-after-what-came-before",
        test_malformed_packet_ends_after_what_came_before);
    add("/mqtt-session/subscribe/grants-one-at-most", test_subscribe_grants_one_at_most);
    add("/mqtt-session/subscribe/ends-at-foreign-filters", test_subscribe_ends_at_foreign_filters);
    add("/mqtt-session/subscribe/ends-at-the-sixth", test_subscribe_ends_at_the_sixth);
    add("/mqtt-session/unsubscribe/and-ping-are-answered", test_unsubscribe_and_ping_are_answered);
    add("/mqtt-session/will/is-published-when-the-socket-drops",
        test_will_is_published_when_the_socket_drops);
    add("/mqtt-session/will/is-forgotten-after-disconnect",
        test_will_is_forgotten_after_disconnect);
    add("/mqtt-session/will/has-to-be-ones-own", test_will_has_to_be_ones_own);
    add("/mqtt-session/keep-alive/ends-silence", test_keep_alive_ends_silence);
    add("/mqtt-session/token/end-closes", test_token_end_closes);
    add("/mqtt-session/identity/disabling-and-deleting-close", test_disabling_and_deleting_close);
    add("/mqtt-session/c2d/comes-after-suback-and-completes",
        test_c2d_comes_after_suback_and_completes);
    add("/mqtt-session/c2d/of-qos-0-completes-at-once", test_c2d_of_qos_0_completes_at_once);
    add("/mqtt-session/c2d/follows-connack-in-a-kept-session",
        test_c2d_follows_connack_in_a_kept_session);
    add("/mqtt-session/c2d/has-ten-in-flight", test_c2d_has_ten_in_flight);
    add("/mqtt-session/c2d/comes-again-when-its-lock-ends",
        test_c2d_comes_again_when_its_lock_ends);
    add("/mqtt-session/c2d/stays-locked-when-its-connection-ends",
        test_c2d_stays_locked_when_its_connection_ends);
    add("/mqtt-session/twin/request-is-answered-honestly", test_twin_request_is_answered_honestly);
    add("/mqtt-session/fault/refuse-strikes-as-often-as-asked",
        test_fault_refuse_strikes_as_often_as_asked);
    add("/mqtt-session/fault/cut-after-acknowledges-what-it-took",
        test_fault_cut_after_acknowledges_what_it_took);
    add("/mqtt-session/fault/cut-after-may-store-the-last",
        test_fault_cut_after_may_store_the_last);
    add("/mqtt-session/fault/stall-holds-acknowledgements",
        test_fault_stall_holds_acknowledgements);
    add("/mqtt-session/fault/stall-may-end-by-itself", test_fault_stall_may_end_by_itself);
    add("/mqtt-session/fault/delay-makes-each-late", test_fault_delay_makes_each_late);
    add("/mqtt-session/fault/throttle-closes-above-its-rate",
        test_fault_throttle_closes_above_its_rate);
    add("/mqtt-session/fault/refuse-subscribe-is-said-in-the-suback",
        test_fault_refuse_subscribe_is_said_in_the_suback);
    add("/mqtt-session/fault/black-hole-keeps-sockets", test_fault_black_hole_keeps_sockets);
    add("/mqtt-session/fault/black-hole-ends-and-all-goes-on",
        test_fault_black_hole_ends_and_all_goes_on);
    add("/mqtt-session/drop/closes-those-meant", test_drop_closes_those_meant);
    add("/mqtt-session/output/slow-reader-is-not-read-from", test_slow_reader_is_not_read_from);
    add("/mqtt-session/journal/nothing-is-acknowledged-without-it",
        test_nothing_is_acknowledged_without_the_journal);
    return g_test_run();
}
