/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The emulator's AMQP behaviour over a socket pair: byte by byte where a login is about bytes, and
 * through Proton's client where it is about links. Source: protocol page, section 3. */

#include "amqp-address.h"
#include "amqp-frame.h"
#include "amqp-message.h"
#include "amqp-peer.h"
#include "amqp-session.h"
#include "c2d.h"
#include "faults.h"
#include "hub.h"

#include <gio/gio.h>
#include <gnutls/crypto.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define KEY         "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
#define OTHER_KEY   "ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA="
#define HOST        "hub.test"
#define EVENTS      "/devices/d/messages/events"
#define DEVICEBOUND "/devices/d/messages/devicebound"

/* A message without properties, and its body. */
static const guint8 plain_message[] = {0x00, 0x53, 0x75, 0xa0, 0x02, 'h', 'i'};

typedef struct {
    char *directory;     /* owned */
    EmuHub *hub;         /* owned */
    GPtrArray *sessions; /* owned; EmuAmqpSession (owned) */
} Fixture;

static void
set_up(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    const EmuIdentityChange change = {.primary_key = KEY};

    fixture->directory = g_dir_make_tmp("emulator-amqp-XXXXXX", NULL);
    fixture->sessions = g_ptr_array_new_with_free_func((GDestroyNotify)emu_amqp_session_free);
    const EmuHubOptions options = {.host = (char *)HOST,
                                   .state_dir = fixture->directory,
                                   .keep = 10000,
                                   .lock_sec = 60,
                                   .max_deliveries = 10,
                                   .c2d_ttl_sec = 3600};
    fixture->hub = emu_hub_new(&options, &error);
    g_assert_no_error(error);
    g_assert_nonnull(emu_hub_put_identity(fixture->hub, "d", NULL, &change, NULL, NULL));
    g_assert_nonnull(emu_hub_put_identity(fixture->hub, "d", "m", &change, NULL, NULL));
    g_assert_nonnull(emu_hub_put_identity(fixture->hub, "e", NULL, &change, NULL, NULL));
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

static int
dial(Fixture *fixture)
{
    int fds[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), ==, 0);
    g_autoptr(GSocket) socket = g_socket_new_from_fd(fds[0], NULL);
    g_autoptr(GSocketConnection) stream = g_socket_connection_factory_create_connection(socket);
    g_ptr_array_add(fixture->sessions, emu_amqp_session_new(fixture->hub, G_IO_STREAM(stream),
                                                            socket, NULL, on_ended, fixture));
    return fds[1];
}

static char *
token_for(const char *resource, const char *key, gint64 life_sec)
{
    gint64 expiry_sec = g_get_real_time() / G_USEC_PER_SEC + life_sec;
    gsize key_size = 0;
    g_autofree guchar *secret = g_base64_decode(key, &key_size);
    g_autofree char *text = g_strdup_printf("%s\n%" G_GINT64_FORMAT, resource, expiry_sec);
    guint8 digest[32];

    g_assert_cmpint(
        gnutls_hmac_fast(GNUTLS_MAC_SHA256, secret, key_size, text, strlen(text), digest), ==, 0);
    g_autofree char *signature = g_base64_encode(digest, sizeof digest);
    g_autofree char *escaped = g_uri_escape_string(signature, NULL, FALSE);
    return g_strdup_printf("SharedAccessSignature sr=%s&sig=%s&se=%" G_GINT64_FORMAT, resource,
                           escaped, expiry_sec);
}

/* Puts a good token for an hour. */
static void
let_in(AmqpPeer *peer, const char *device_id)
{
    g_autofree char *resource = g_strconcat(HOST "/devices/", device_id, NULL);
    g_autofree char *token = token_for(resource, KEY, 3600);

    g_assert_cmpint(amqp_peer_put_token(peer, resource, token), ==, 200);
}

/* A connection with device d on it. */
static AmqpPeer *
log_in(Fixture *fixture)
{
    AmqpPeer *peer = amqp_peer_new(dial(fixture));

    amqp_peer_open(peer);
    let_in(peer, "d");
    return peer;
}

static EmuIdentity *
identity(Fixture *fixture, const char *device_id)
{
    return emu_registry_find(emu_hub_registry(fixture->hub), device_id, NULL);
}

static guint64
stored(Fixture *fixture)
{
    return emu_telemetry_count(emu_hub_telemetry(fixture->hub));
}

static guint
add_fault(Fixture *fixture, const EmuFault *fault)
{
    return emu_faults_add(emu_hub_faults(fixture->hub), fault, g_get_monotonic_time());
}

static void
assert_condition(pn_delivery_t *delivery, const char *name)
{
    pn_condition_t *condition = pn_disposition_condition(pn_delivery_remote(delivery));

    g_assert_cmpstr(pn_condition_get_name(condition), ==, name);
}

/* Reads what the emulator sends until that many bytes are there, or it ends. */
static GByteArray *
read_bytes(int fd, guint wanted)
{
    GByteArray *input = g_byte_array_new();
    gint64 end_usec = g_get_monotonic_time() + 10 * G_USEC_PER_SEC;
    guint8 bytes[1024];
    ssize_t n = 0;

    while (input->len < wanted) {
        (void)g_main_context_iteration(NULL, FALSE);
        n = recv(fd, bytes, sizeof bytes, 0);
        if (n > 0)
            g_byte_array_append(input, bytes, (guint)n);
        else if (n == 0)
            break;
        else
            g_usleep(200);
        g_assert_cmpint(g_get_monotonic_time(), <, end_usec);
    }
    return input;
}

static const guint8 sasl_header[] = {'A', 'M', 'Q', 'P', 3, 1, 0, 0};

/* Sends a SASL header and an init frame; returns the code of the outcome. */
static int
sasl_outcome(Fixture *fixture, const char *mechanism, const char *response, size_t size)
{
    g_autoptr(GByteArray) output = g_byte_array_new();
    guint8 frame_header[] = {0, 0, 0, 0, 2, 1, 0, 0};
    int fd = dial(fixture);

    g_byte_array_append(output, frame_header, sizeof frame_header);
    emu_amqp_write_descriptor(output, 0x41);
    guint begun = emu_amqp_begin_list(output);
    emu_amqp_write_symbol(output, mechanism);
    if (response != NULL)
        emu_amqp_write_binary(output, response, size);
    emu_amqp_end(output, begun, response != NULL ? 2 : 1);
    output->data[2] = (guint8)(output->len >> 8);
    output->data[3] = (guint8)output->len;
    g_assert_cmpint(write(fd, sasl_header, sizeof sasl_header), ==, sizeof sasl_header);
    g_assert_cmpint(write(fd, output->data, output->len), ==, output->len);

    /* Header, mechanisms, and an outcome of 16 bytes at the end. */
    g_autoptr(GByteArray) head = read_bytes(fd, 12);
    g_assert_cmpmem(head->data, 8, sasl_header, 8);
    guint expected = 8 + head->data[11] + 16;
    if (head->len < expected) {
        g_autoptr(GByteArray) tail = read_bytes(fd, expected - head->len);
        g_byte_array_append(head, tail->data, tail->len);
    }
    static const guint8 outcome[] = {0x00, 0x53, 0x44, 0xc0, 0x03, 0x01, 0x50};
    g_assert_cmpuint(head->len, >=, expected);
    g_assert_cmpmem(head->data + expected - 8, 7, outcome, 7);
    close(fd);
    return head->data[expected - 1];
}

static void
test_sasl_answers_what_the_sdk_sends(Fixture *fixture, gconstpointer data)
{
    static const guint8 init[] = "\x00\x00\x00\x17\x02\x01\x00\x00\x00\x53\x41\xc0\x0a\x01\xa3\x07"
                                 "MSSBCBS";
    static const guint8 mechanisms[] = "\x00\x53\x40\xc0\x27\x01\xe0\x24\x04\xa3"
                                       "\x07MSSBCBS\x09"
                                       "ANONYMOUS\x05PLAIN\x08"
                                       "EXTERNAL";
    static const guint8 outcome[] = {0, 0, 0, 16, 2, 1, 0, 0, 0, 0x53, 0x44, 0xc0, 3, 1, 0x50, 0};
    static const guint8 header[] = {'A', 'M', 'Q', 'P', 0, 1, 0, 0};
    int fd = dial(fixture);

    g_assert_cmpint(write(fd, sasl_header, 8), ==, 8);
    g_assert_cmpint(write(fd, init, sizeof init - 1), ==, sizeof init - 1);
    g_assert_cmpint(write(fd, header, 8), ==, 8);

    g_autoptr(GByteArray) input = read_bytes(fd, 8 + 8 + sizeof mechanisms - 1 + 16 + 8);
    g_assert_cmpmem(input->data, 8, sasl_header, 8);
    g_assert_nonnull(memmem(input->data, input->len, "MSSBCBS", 7));
    g_assert_nonnull(memmem(input->data, input->len, outcome, sizeof outcome));
    g_assert_cmpmem(input->data + input->len - 8, 8, header, 8);
    close(fd);
}

static void
test_sasl_takes_a_token_as_password(Fixture *fixture, gconstpointer data)
{
    g_autofree char *good = token_for(HOST "/devices/d", KEY, 3600);
    g_autofree char *bad = token_for(HOST "/devices/d", OTHER_KEY, 3600);
    g_autofree char *right = g_strdup_printf("|d@sas.hub|%s", good);
    g_autofree char *module = g_strdup_printf("|d/modules/m@sas.hub|%s", good);
    g_autofree char *wrong = g_strdup_printf("|d@sas.hub|%s", bad);
    g_autofree char *foreign = g_strdup_printf("|d@sas.other|%s", good);
    const struct {
        char *response;
        int outcome;
    } cases[] = {{right, 0}, {module, 0}, {wrong, 1}, {foreign, 1}};

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        size_t size = strlen(cases[i].response);
        for (char *c = cases[i].response; c < cases[i].response + size; c++)
            *c = *c == '|' ? '\0' : *c;
        g_assert_cmpint(sasl_outcome(fixture, "PLAIN", cases[i].response, size), ==,
                        cases[i].outcome);
    }
}

static void
test_sasl_wants_a_certificate_for_external(Fixture *fixture, gconstpointer data)
{
    g_assert_cmpint(sasl_outcome(fixture, "EXTERNAL", "", 0), ==, 1);
    g_assert_cmpint(sasl_outcome(fixture, "ANONYMOUS", NULL, 0), ==, 0);
    g_assert_cmpint(sasl_outcome(fixture, "PLAIN", NULL, 0), ==, 1);
    g_assert_cmpint(sasl_outcome(fixture, "SCRAM-SHA-1", NULL, 0), ==, 1);
}

static void
test_open_refuses_other_protocols(Fixture *fixture, gconstpointer data)
{
    int fd = dial(fixture);

    g_assert_cmpint(write(fd, "GET / HTTP/1.1\r\n\r\n", 18), ==, 18);

    g_autoptr(GByteArray) input = read_bytes(fd, G_MAXUINT);
    g_assert_cmpuint(emu_hub_stats(fixture->hub)->protocol_errors, ==, 1);
    close(fd);
}

/* Source: protocol page, 3.2. */
static void
test_open_tells_the_hubs_numbers(Fixture *fixture, gconstpointer data)
{
    g_autoptr(AmqpPeer) peer = amqp_peer_new(dial(fixture));

    amqp_peer_open(peer);

    const char *container = pn_connection_remote_container(peer->connection);
    g_assert_true(g_regex_match_simple("^DeviceGateway_[0-9a-f]{32}$", container, 0, 0));
    g_assert_cmpuint(pn_transport_get_remote_max_frame(peer->transport), ==, 65536);
    g_assert_cmpuint(pn_transport_remote_channel_max(peer->transport), ==, 8191);
    g_assert_cmpuint(pn_transport_get_remote_idle_timeout(peer->transport), ==, 240000);
}

static guint
bytes_in(int fd, gint64 ms)
{
    gint64 end_usec = g_get_monotonic_time() + ms * 1000;
    guint8 bytes[1024];
    guint sum = 0;

    while (g_get_monotonic_time() < end_usec) {
        (void)g_main_context_iteration(NULL, FALSE);
        ssize_t n = recv(fd, bytes, sizeof bytes, 0);
        if (n > 0)
            sum += (guint)n;
        else
            g_usleep(1000);
    }
    return sum;
}

static void
test_open_sends_empty_frames_in_time(Fixture *fixture, gconstpointer data)
{
    g_autoptr(AmqpPeer) peer = amqp_peer_new(dial(fixture));
    pn_transport_set_idle_timeout(peer->transport, 800); /* tells 400 */
    amqp_peer_open(peer);

    guint bytes = bytes_in(peer->fd, 1000);

    g_assert_cmpuint(bytes % 8, ==, 0);
    g_assert_cmpuint(bytes / 8, >=, 3);
    g_assert_cmpuint(bytes / 8, <=, 6);
}

static void
test_cbs_judges_tokens(Fixture *fixture, gconstpointer data)
{
    g_autoptr(AmqpPeer) peer = amqp_peer_new(dial(fixture));
    const EmuIdentityChange disable = {.status = "disabled"};
    const struct {
        const char *audience;
        const char *resource;
        const char *key;
        gint64 life_sec;
        int status;
    } cases[] = {
        {HOST "/devices/d", HOST "/devices/d", KEY, 3600, 200},
        {HOST "%2Fdevices%2Fd", HOST "%2Fdevices%2Fd", KEY, 3600, 200},
        {HOST "/devices/d/modules/m", HOST "/devices/d/modules/m", KEY, 3600, 200},
        {"localhost/devices/d", "localhost/devices/d", KEY, 3600, 200},
        {HOST "/devices/d", HOST "/devices/d", OTHER_KEY, 3600, 401},
        {HOST "/devices/d", HOST "/devices/d", KEY, -10, 401},
        {HOST "/devices/d", HOST "/devices/x", KEY, 3600, 401},
        {"other.test/devices/d", "other.test/devices/d", KEY, 3600, 401},
        {HOST "/devices/x", HOST "/devices/x", KEY, 3600, 404},
        {HOST "/devices/e", HOST "/devices/e", KEY, 3600, 404},
        {HOST, HOST, KEY, 3600, 400},
    };
    g_assert_nonnull(emu_hub_put_identity(fixture->hub, "e", NULL, &disable, NULL, NULL));
    amqp_peer_open(peer);

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *token = token_for(cases[i].resource, cases[i].key, cases[i].life_sec);
        g_assert_cmpint(amqp_peer_put_token(peer, cases[i].audience, token), ==, cases[i].status);
    }

    g_assert_cmpint(amqp_peer_put_token(peer, HOST "/devices/d", "no token"), ==, 401);
    g_assert_cmpuint(emu_hub_stats(fixture->hub)->refused[5], ==, 7);
    g_assert_cmpuint(emu_hub_stats(fixture->hub)->refused[4], ==, 1);
}

/* The answer goes by the request's id, in the request's type. Source: protocol page, 3.3. */
static void
test_cbs_echoes_the_type_of_the_id(Fixture *fixture, gconstpointer data)
{
    static const guint8 string_id[] = "\x00\x53\x73\xc0\x05\x01\xa1\x02"
                                      "ab";
    static const guint8 uuid_id[] = "\x00\x53\x73\xc0\x12\x01\x98"
                                    "0123456789abcdef";
    const struct {
        const guint8 *bytes;
        size_t size;
        guint8 code;
    } cases[] = {{string_id, sizeof string_id - 1, 0xa1}, {uuid_id, sizeof uuid_id - 1, 0x98}};
    g_autoptr(AmqpPeer) peer = log_in(fixture);

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        EmuAmqpMessage answer;
        EmuAmqpValue value;
        gint64 status = 0;
        (void)amqp_peer_post(peer, peer->token_sender, cases[i].bytes, cases[i].size);

        pn_delivery_t *delivery = amqp_peer_next(peer, peer->token_receiver);

        g_assert_null(emu_amqp_message_parse(peer->received->data, peer->received->len, &answer));
        g_assert_true(emu_amqp_message_field(&answer, EMU_AMQP_CORRELATION_ID, &value));
        g_assert_cmpuint(value.code, ==, cases[i].code);
        g_assert_cmpmem(value.data, value.size, cases[i].bytes + cases[i].size - value.size,
                        value.size);
        g_assert_true(emu_amqp_message_find(&answer, "status-code", &value));
        g_assert_true(emu_amqp_get_signed(&value, &status));
        g_assert_cmpint(status, ==, 400);
        g_assert_cmpuint(value.code, ==, 0x71);
        pn_delivery_settle(delivery);
    }
}

static void
test_cbs_takes_a_thousand_devices(Fixture *fixture, gconstpointer data)
{
    g_autoptr(AmqpPeer) peer = amqp_peer_new(dial(fixture));
    const EmuIdentityChange change = {.primary_key = KEY};
    amqp_peer_open(peer);

    for (guint i = 0; i <= EMU_AMQP_DEVICES_MAX; i++) {
        g_autofree char *name = g_strdup_printf("n%u", i);
        g_autofree char *resource = g_strconcat(HOST "/devices/", name, NULL);
        g_autofree char *token = token_for(resource, KEY, 3600);
        g_assert_nonnull(emu_hub_put_identity(fixture->hub, name, NULL, &change, NULL, NULL));
        g_assert_cmpint(amqp_peer_put_token(peer, resource, token), ==,
                        i < EMU_AMQP_DEVICES_MAX ? 200 : 403);
    }
}

static void
test_cbs_prolongs_with_a_newer_token(Fixture *fixture, gconstpointer data)
{
    g_autoptr(AmqpPeer) peer = log_in(fixture);
    pn_link_t *link = amqp_peer_sender(peer, EVENTS);
    g_autofree char *token = token_for(HOST "/devices/d", KEY, 7200);
    const EmuFault skew = {.kind = EMU_FAULT_CLOCK_SKEW, .sec = 3700};

    g_assert_cmpint(amqp_peer_put_token(peer, HOST "/devices/d", token), ==, 200);
    (void)add_fault(fixture, &skew);
    amqp_peer_settle_down(peer);

    g_assert_true(amqp_peer_is_attached(link));
    g_assert_cmpuint(amqp_peer_send(peer, link, plain_message, sizeof plain_message), ==,
                     PN_ACCEPTED);
}

static void
test_token_end_detaches_its_device_alone(Fixture *fixture, gconstpointer data)
{
    g_autoptr(AmqpPeer) peer = log_in(fixture);
    g_autofree char *longer = token_for(HOST "/devices/e", KEY, 7200);
    const EmuFault skew = {.kind = EMU_FAULT_CLOCK_SKEW, .sec = 3700};
    g_assert_cmpint(amqp_peer_put_token(peer, HOST "/devices/e", longer), ==, 200);
    pn_link_t *mine = amqp_peer_sender(peer, EVENTS);
    pn_link_t *module = amqp_peer_sender(peer, "/devices/d/modules/m/messages/events");
    pn_link_t *other = amqp_peer_sender(peer, "/devices/e/messages/events");

    (void)add_fault(fixture, &skew);

    g_assert_cmpstr(amqp_peer_expect_detach(peer, mine), ==, "amqp:unauthorized-access");
    g_assert_cmpstr(amqp_peer_expect_detach(peer, module), ==, "amqp:unauthorized-access");
    g_assert_true(amqp_peer_is_attached(other));
    g_assert_null(identity(fixture, "d")->link);
    g_assert_nonnull(identity(fixture, "e")->link);
}

static void
test_attach_is_answered_in_kind(Fixture *fixture, gconstpointer data)
{
    g_autoptr(AmqpPeer) peer = log_in(fixture);
    pn_link_t *link = pn_sender(peer->session, "link-snd");
    pn_data_t *properties = pn_link_properties(link);
    pn_terminus_set_address(pn_link_target(link), "amqps://" HOST EVENTS);
    pn_terminus_set_address(pn_link_source(link), "made-up");
    (void)pn_data_put_map(properties);
    (void)pn_data_enter(properties);
    (void)pn_data_put_symbol(properties, pn_bytes(31, "com.microsoft:client-version...."));
    (void)pn_data_put_string(properties, pn_bytes(1, "1"));
    (void)pn_data_exit(properties);
    pn_link_open(link);

    while (pn_link_remote_credit(link) == 0 && pn_link_credit(link) == 0)
        (void)amqp_peer_run(peer);

    g_assert_cmpstr(pn_terminus_get_address(pn_link_remote_target(link)), ==,
                    "amqps://" HOST EVENTS);
    g_assert_cmpstr(pn_terminus_get_address(pn_link_remote_source(link)), ==, "made-up");
    g_assert_cmpuint(pn_link_remote_max_message_size(link), ==, 1024 * 1024);
    g_assert_cmpint(pn_link_credit(link), ==, 1000);
    g_assert_nonnull(pn_link_remote_properties(link));
    g_assert_nonnull(identity(fixture, "d")->link);
    g_assert_cmpstr(identity(fixture, "d")->client_id, ==, "d");
}

static void
test_attach_is_refused(Fixture *fixture, gconstpointer data)
{
    const struct {
        const char *address;
        gboolean send;
        const char *condition;
    } cases[] = {
        {"/devices/e/messages/events", TRUE, "amqp:unauthorized-access"},
        {"/devices/x/messages/events", TRUE, "amqp:not-found"},
        {"/devices/d/messages/nothing", TRUE, "amqp:not-found"},
        {"amqps://" HOST ":5671" EVENTS, TRUE, "amqp:not-found"},
        {EVENTS, FALSE, "amqp:not-allowed"},
        {DEVICEBOUND, TRUE, "amqp:not-allowed"},
        {"/devices/d/modules/m/messages/devicebound", FALSE, "amqp:not-found"},
        {"/devices/d/twin", TRUE, "amqp:not-implemented"},
        {"/devices/d/methods/devicebound", FALSE, "amqp:not-implemented"},
    };
    g_autoptr(AmqpPeer) peer = log_in(fixture);

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        pn_link_t *link = cases[i].send ? amqp_peer_sender(peer, cases[i].address)
                                        : amqp_peer_receiver(peer, cases[i].address, 1);
        g_assert_cmpstr(pn_condition_get_name(pn_link_remote_condition(link)), ==,
                        cases[i].condition);
    }
    g_assert_null(identity(fixture, "d")->link);
}

/* Source: protocol page, 1.1: '%' is legal in an id. */
static void
test_attach_decodes_ids_when_that_helps(Fixture *fixture, gconstpointer data)
{
    const EmuIdentityChange change = {.primary_key = KEY};
    static const char *const addresses[] = {
        "/devices/a%2541/messages/events", "/devices/a%41/messages/events",
        "/devices/b#/messages/events", "/devices/b%23/messages/events"};
    g_autoptr(AmqpPeer) peer = log_in(fixture);
    g_assert_nonnull(emu_hub_put_identity(fixture->hub, "a%41", NULL, &change, NULL, NULL));
    g_assert_nonnull(emu_hub_put_identity(fixture->hub, "b#", NULL, &change, NULL, NULL));
    let_in(peer, "a%41");
    let_in(peer, "b#");

    for (size_t i = 0; i < G_N_ELEMENTS(addresses); i++)
        g_assert_true(amqp_peer_is_attached(amqp_peer_sender(peer, addresses[i])));
}

static void
test_attach_steals_from_an_older_connection(Fixture *fixture, gconstpointer data)
{
    g_autoptr(AmqpPeer) old = log_in(fixture);
    let_in(old, "e");
    pn_link_t *old_link = amqp_peer_sender(old, EVENTS);
    pn_link_t *other = amqp_peer_sender(old, "/devices/e/messages/events");
    g_autoptr(AmqpPeer) new = log_in(fixture);

    pn_link_t *new_link = amqp_peer_receiver(new, DEVICEBOUND, 1);

    g_assert_cmpstr(amqp_peer_expect_detach(old, old_link), ==, "amqp:link:stolen");
    g_assert_true(amqp_peer_is_attached(other));
    g_assert_true(amqp_peer_is_attached(new_link));
    g_assert_cmpuint(emu_hub_stats(fixture->hub)->evicted, ==, 1);
}

static void
test_attach_steals_from_itself(Fixture *fixture, gconstpointer data)
{
    g_autoptr(AmqpPeer) peer = log_in(fixture);
    pn_link_t *first = amqp_peer_sender(peer, EVENTS);
    pn_link_t *second = amqp_peer_sender(peer, EVENTS);

    g_assert_cmpstr(amqp_peer_expect_detach(peer, first), ==, "amqp:link:stolen");

    g_assert_cmpuint(amqp_peer_send(peer, second, plain_message, sizeof plain_message), ==,
                     PN_ACCEPTED);
    g_assert_cmpuint(emu_hub_stats(fixture->hub)->evicted, ==, 0);
}

static void
foreign_close(gpointer user_data, const char *reason)
{
    EmuLink *link = ((gpointer *)user_data)[0];
    EmuHub *hub = ((gpointer *)user_data)[1];

    emu_hub_remove_link(hub, link, reason);
}

static void
foreign_wake(gpointer user_data)
{
    /* Nothing waits there. */
}

/* A link of another protocol, as far as the hub is concerned. */
static void
test_attach_steals_across_protocols(Fixture *fixture, gconstpointer data)
{
    static const EmuLinkOps ops = {.close = foreign_close, .wake = foreign_wake};
    EmuLink foreign = {.ops = &ops};
    gpointer self[] = {&foreign, fixture->hub};
    foreign.self = self;
    g_autoptr(AmqpPeer) peer = log_in(fixture);
    emu_hub_add_link(fixture->hub, &foreign);
    emu_hub_attach(fixture->hub, &foreign, identity(fixture, "d"), "d");

    pn_link_t *link = amqp_peer_sender(peer, EVENTS);
    g_assert_null(foreign.identity);
    g_assert_nonnull(identity(fixture, "d")->link);

    emu_hub_add_link(fixture->hub, &foreign);
    emu_hub_attach(fixture->hub, &foreign, identity(fixture, "d"), "d");
    g_assert_cmpstr(amqp_peer_expect_detach(peer, link), ==, "amqp:link:stolen");
    g_assert_true(identity(fixture, "d")->link == &foreign);
    emu_hub_remove_link(fixture->hub, &foreign, "done");
}

static void
test_link_ends_with_its_identity(Fixture *fixture, gconstpointer data)
{
    g_autoptr(AmqpPeer) peer = log_in(fixture);
    const EmuIdentityChange disable = {.status = "disabled"};
    let_in(peer, "e");
    pn_link_t *mine = amqp_peer_sender(peer, EVENTS);
    pn_link_t *other = amqp_peer_sender(peer, "/devices/e/messages/events");

    g_assert_nonnull(emu_hub_put_identity(fixture->hub, "d", NULL, &disable, NULL, NULL));
    g_assert_cmpstr(amqp_peer_expect_detach(peer, mine), ==, "amqp:not-found");
    g_assert_nonnull(
        strstr(pn_condition_get_description(pn_link_remote_condition(mine)), "403012"));
    g_assert_true(amqp_peer_is_attached(other));

    g_assert_true(emu_hub_remove_identity(fixture->hub, "e", NULL, NULL));
    g_assert_cmpstr(amqp_peer_expect_detach(peer, other), ==, "amqp:not-found");
}

static void
test_link_leaves_the_connection_when_detached(Fixture *fixture, gconstpointer data)
{
    g_autoptr(AmqpPeer) peer = log_in(fixture);
    pn_link_t *events = amqp_peer_sender(peer, EVENTS);
    pn_link_t *c2d = amqp_peer_receiver(peer, DEVICEBOUND, 1);

    pn_link_close(events);
    amqp_peer_settle_down(peer);
    g_assert_nonnull(identity(fixture, "d")->link);

    pn_link_close(c2d);
    amqp_peer_settle_down(peer);
    g_assert_null(identity(fixture, "d")->link);
    g_assert_true(amqp_peer_is_attached(amqp_peer_sender(peer, EVENTS)));
}

static void
test_drop_cuts_a_lone_device(Fixture *fixture, gconstpointer data)
{
    g_autoptr(AmqpPeer) peer = log_in(fixture);
    (void)amqp_peer_sender(peer, EVENTS);

    g_assert_cmpuint(emu_hub_drop(fixture->hub, "d", "fault: dropped"), ==, 1);

    amqp_peer_expect_end(peer);
    g_assert_cmpstr(identity(fixture, "d")->disconnect_reason, ==, "fault: dropped");
}

static void
test_drop_detaches_one_of_several(Fixture *fixture, gconstpointer data)
{
    g_autoptr(AmqpPeer) peer = log_in(fixture);
    let_in(peer, "e");
    pn_link_t *mine = amqp_peer_sender(peer, EVENTS);
    pn_link_t *other = amqp_peer_sender(peer, "/devices/e/messages/events");

    g_assert_cmpuint(emu_hub_drop(fixture->hub, "d", "fault: dropped"), ==, 1);

    g_assert_cmpstr(amqp_peer_expect_detach(peer, mine), ==, "amqp:link:detach-forced");
    g_assert_true(amqp_peer_is_attached(other));
    g_assert_true(amqp_peer_is_attached(amqp_peer_sender(peer, EVENTS)));
}

static void
test_drop_of_all_cuts_the_connection(Fixture *fixture, gconstpointer data)
{
    g_autoptr(AmqpPeer) peer = log_in(fixture);
    let_in(peer, "e");
    (void)amqp_peer_sender(peer, EVENTS);
    (void)amqp_peer_sender(peer, "/devices/e/messages/events");

    g_assert_cmpuint(emu_hub_drop(fixture->hub, NULL, "fault: dropped"), ==, 2);

    amqp_peer_expect_end(peer);
}

static void
test_telemetry_is_stored_before_it_is_accepted(Fixture *fixture, gconstpointer data)
{
    static const guint8 bytes[] = "\x00\x53\x73\xc0\x05\x01\xa1\x02m1"
                                  "\x00\x53\x74\xc1\x07\x02\xa1\x01k\xa1\x01v"
                                  "\x00\x53\x75\xa0\x02hi";
    g_autoptr(AmqpPeer) peer = log_in(fixture);
    pn_link_t *link = amqp_peer_sender(peer, EVENTS);
    EmuMessage message;

    g_assert_cmpuint(amqp_peer_send(peer, link, bytes, sizeof bytes - 1), ==, PN_ACCEPTED);

    g_assert_true(emu_telemetry_next(emu_hub_telemetry(fixture->hub), 0, NULL, &message));
    g_assert_cmpstr(message.arrival.origin->device_id, ==, "d");
    g_assert_null(message.arrival.origin->module_id);
    g_assert_cmpmem(message.arrival.bag, message.arrival.bag_size, "%24.mid=m1&k=v", 14);
    g_assert_cmpmem(message.arrival.body, message.arrival.body_size, "hi", 2);
    g_assert_cmpuint(identity(fixture, "d")->messages_received, ==, 1);
}

/* That many messages of that size, as a batch. */
static GByteArray *
batch_of(guint count, size_t size)
{
    g_autoptr(GByteArray) entry = g_byte_array_new();
    g_autofree guint8 *body = g_malloc0(size);
    GByteArray *batch = g_byte_array_new();

    emu_amqp_write_descriptor(entry, EMU_AMQP_DATA);
    emu_amqp_write_binary(entry, body, size);
    for (guint i = 0; i < count; i++) {
        emu_amqp_write_descriptor(batch, EMU_AMQP_DATA);
        emu_amqp_write_binary(batch, entry->data, entry->len);
    }
    return batch;
}

static void
test_telemetry_takes_batches(Fixture *fixture, gconstpointer data)
{
    g_autoptr(AmqpPeer) peer = log_in(fixture);
    g_autoptr(GByteArray) small = batch_of(3, 10);
    g_autoptr(GByteArray) large = batch_of(1000, 1000);
    pn_link_t *link = amqp_peer_sender(peer, EVENTS);
    peer->message_format = EMU_AMQP_FORMAT_BATCH;

    g_assert_cmpuint(amqp_peer_send(peer, link, small->data, small->len), ==, PN_ACCEPTED);
    g_assert_cmpuint(stored(fixture), ==, 3);
    g_assert_cmpuint(amqp_peer_send(peer, link, large->data, large->len), ==, PN_ACCEPTED);
    g_assert_cmpuint(stored(fixture), ==, 1003);
}

static void
test_telemetry_takes_a_batch_whole_or_not(Fixture *fixture, gconstpointer data)
{
    static const guint8 junk[] = {0x00, 0x53, 0x75, 0xa0, 0x01, 0xff};
    g_autoptr(AmqpPeer) peer = log_in(fixture);
    g_autoptr(GByteArray) bad = batch_of(3, 10);
    g_autoptr(GByteArray) good = batch_of(1, 10);
    g_autoptr(GByteArray) too_large = batch_of(2, EMU_MESSAGE_BYTES_MAX + 1);
    pn_link_t *link = amqp_peer_sender(peer, EVENTS);
    g_byte_array_append(bad, junk, sizeof junk);
    g_byte_array_append(good, too_large->data, too_large->len);
    peer->message_format = EMU_AMQP_FORMAT_BATCH;

    pn_delivery_t *delivery = amqp_peer_post(peer, link, bad->data, bad->len);
    g_assert_cmpuint(amqp_peer_outcome(peer, delivery), ==, PN_REJECTED);
    assert_condition(delivery, "com.microsoft:argument-error");
    delivery = amqp_peer_post(peer, link, good->data, good->len);
    g_assert_cmpuint(amqp_peer_outcome(peer, delivery), ==, PN_REJECTED);
    assert_condition(delivery, "amqp:link:message-size-exceeded");

    g_assert_cmpuint(stored(fixture), ==, 0);
    g_assert_true(amqp_peer_is_attached(link));
}

static void
test_telemetry_knows_the_sizes(Fixture *fixture, gconstpointer data)
{
    g_autoptr(AmqpPeer) peer = log_in(fixture);
    g_autofree guint8 *zeros = g_malloc0(2 * 1024 * 1024);
    const struct {
        size_t body_size;
        guint64 outcome;
    } cases[] = {
        {0, PN_ACCEPTED},
        {EMU_MESSAGE_BYTES_MAX, PN_ACCEPTED},
        {EMU_MESSAGE_BYTES_MAX + 1, PN_REJECTED},
        {1000 * 1000, PN_REJECTED},
        {1024 * 1024, 0}, /* with its section's header over the link's limit */
    };
    pn_link_t *link = amqp_peer_sender(peer, EVENTS);

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GByteArray) bytes = g_byte_array_new();
        emu_amqp_write_descriptor(bytes, EMU_AMQP_DATA);
        emu_amqp_write_binary(bytes, zeros, cases[i].body_size);
        g_assert_cmpuint(amqp_peer_send(peer, link, bytes->data, bytes->len), ==, cases[i].outcome);
    }

    g_assert_cmpstr(amqp_peer_expect_detach(peer, link), ==, "amqp:link:message-size-exceeded");
    g_assert_cmpuint(stored(fixture), ==, 2);
    link = amqp_peer_sender(peer, EVENTS);
    g_assert_cmpuint(amqp_peer_send(peer, link, plain_message, sizeof plain_message), ==,
                     PN_ACCEPTED);
}

static void
test_telemetry_renews_credit(Fixture *fixture, gconstpointer data)
{
    g_autoptr(AmqpPeer) peer = log_in(fixture);
    pn_link_t *link = amqp_peer_sender(peer, EVENTS);
    pn_delivery_t *last = NULL;

    for (guint i = 0; i < 2500; i++) {
        while (pn_link_credit(link) == 0)
            (void)amqp_peer_run(peer);
        last = amqp_peer_post(peer, link, plain_message, sizeof plain_message);
    }

    g_assert_cmpuint(amqp_peer_outcome(peer, last), ==, PN_ACCEPTED);
    g_assert_cmpuint(stored(fixture), ==, 2500);
}

static void
test_telemetry_takes_settled_transfers(Fixture *fixture, gconstpointer data)
{
    g_autoptr(AmqpPeer) peer = log_in(fixture);
    pn_link_t *link = amqp_peer_sender(peer, EVENTS);

    for (guint i = 0; i < 3; i++)
        pn_delivery_settle(amqp_peer_post(peer, link, plain_message, sizeof plain_message));
    g_assert_cmpuint(amqp_peer_send(peer, link, plain_message, sizeof plain_message), ==,
                     PN_ACCEPTED);

    g_assert_cmpuint(stored(fixture), ==, 4);
}

static void
test_fault_cut_stores_nothing_of_a_batch(Fixture *fixture, gconstpointer data)
{
    g_autoptr(AmqpPeer) peer = log_in(fixture);
    g_autoptr(GByteArray) batch = batch_of(3, 10);
    pn_link_t *link = amqp_peer_sender(peer, EVENTS);
    const EmuFault cut = {.kind = EMU_FAULT_CUT_AFTER, .after = 2, .count = 1};
    (void)add_fault(fixture, &cut);
    peer->message_format = EMU_AMQP_FORMAT_BATCH;

    g_assert_cmpuint(amqp_peer_send(peer, link, batch->data, batch->len), ==, 0);

    amqp_peer_expect_end(peer);
    g_assert_cmpuint(stored(fixture), ==, 0);
    g_assert_cmpstr(identity(fixture, "d")->disconnect_reason, ==, "fault: cut");
}

static void
test_fault_cut_may_store(Fixture *fixture, gconstpointer data)
{
    g_autoptr(AmqpPeer) peer = log_in(fixture);
    pn_link_t *link = amqp_peer_sender(peer, EVENTS);
    const EmuFault cut = {.kind = EMU_FAULT_CUT_AFTER, .after = 1, .count = 1, .store = TRUE};
    (void)add_fault(fixture, &cut);
    pn_delivery_t *first = amqp_peer_post(peer, link, plain_message, sizeof plain_message);
    pn_delivery_t *second = amqp_peer_post(peer, link, plain_message, sizeof plain_message);

    amqp_peer_expect_end(peer);

    g_assert_cmpuint(pn_delivery_remote_state(first), ==, PN_ACCEPTED);
    g_assert_cmpuint(pn_delivery_remote_state(second), ==, 0);
    g_assert_cmpuint(stored(fixture), ==, 2);
}

static void
test_fault_rejects_in_words(Fixture *fixture, gconstpointer data)
{
    const struct {
        EmuFault fault;
        const char *condition;
    } cases[] = {
        {{.kind = EMU_FAULT_THROTTLE, .rate = 1}, "com.microsoft:device-container-throttled"},
        {{.kind = EMU_FAULT_QUOTA, .count = 1}, "amqp:resource-limit-exceeded"},
    };
    g_autoptr(AmqpPeer) peer = log_in(fixture);
    pn_link_t *link = amqp_peer_sender(peer, EVENTS);

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        guint id = add_fault(fixture, &cases[i].fault);
        pn_delivery_t *delivery = NULL;
        for (guint n = 0; n < 2 - i; n++)
            delivery = amqp_peer_post(peer, link, plain_message, sizeof plain_message);
        g_assert_cmpuint(amqp_peer_outcome(peer, delivery), ==, PN_REJECTED);
        assert_condition(delivery, cases[i].condition);
        (void)emu_faults_remove(emu_hub_faults(fixture->hub), id);
    }

    g_assert_cmpuint(amqp_peer_send(peer, link, plain_message, sizeof plain_message), ==,
                     PN_ACCEPTED);
}

/* A batch may be larger than the rate: it passes, and what follows waits for longer. */
static void
test_fault_throttles_by_the_batch(Fixture *fixture, gconstpointer data)
{
    g_autoptr(AmqpPeer) peer = log_in(fixture);
    g_autoptr(GByteArray) batch = batch_of(50, 10);
    pn_link_t *link = amqp_peer_sender(peer, EVENTS);
    const EmuFault throttle = {.kind = EMU_FAULT_THROTTLE, .rate = 40};
    (void)add_fault(fixture, &throttle);
    peer->message_format = EMU_AMQP_FORMAT_BATCH;

    g_assert_cmpuint(amqp_peer_send(peer, link, batch->data, batch->len), ==, PN_ACCEPTED);
    g_assert_cmpuint(amqp_peer_send(peer, link, batch->data, batch->len), ==, PN_REJECTED);

    g_assert_cmpuint(stored(fixture), ==, 50);
}

static void
test_fault_stalls_and_credit_with_it(Fixture *fixture, gconstpointer data)
{
    g_autoptr(AmqpPeer) peer = log_in(fixture);
    pn_link_t *link = amqp_peer_sender(peer, EVENTS);
    const EmuFault stall = {.kind = EMU_FAULT_STALL_ACKS};
    pn_delivery_t *last = NULL;
    guint id = add_fault(fixture, &stall);

    for (guint i = 0; i < 1000; i++)
        last = amqp_peer_post(peer, link, plain_message, sizeof plain_message);
    amqp_peer_settle_down(peer);
    g_assert_cmpint(pn_link_credit(link), ==, 0);
    g_assert_cmpuint(stored(fixture), ==, 1000);
    g_assert_false(pn_delivery_settled(last));

    (void)emu_faults_remove(emu_hub_faults(fixture->hub), id);
    g_assert_cmpuint(amqp_peer_outcome(peer, last), ==, PN_ACCEPTED);
    amqp_peer_settle_down(peer);
    g_assert_cmpint(pn_link_credit(link), ==, 1000);
}

static void
test_fault_delays(Fixture *fixture, gconstpointer data)
{
    g_autoptr(AmqpPeer) peer = log_in(fixture);
    pn_link_t *link = amqp_peer_sender(peer, EVENTS);
    const EmuFault delay = {.kind = EMU_FAULT_DELAY, .ms = 200};
    (void)add_fault(fixture, &delay);
    gint64 start_usec = g_get_monotonic_time();

    g_assert_cmpuint(amqp_peer_send(peer, link, plain_message, sizeof plain_message), ==,
                     PN_ACCEPTED);

    g_assert_cmpint(g_get_monotonic_time() - start_usec, >=, 200 * 1000);
}

static void
test_fault_refuses_logins(Fixture *fixture, gconstpointer data)
{
    g_autoptr(AmqpPeer) peer = amqp_peer_new(dial(fixture));
    g_autofree char *token = token_for(HOST "/devices/d", KEY, 3600);
    const EmuFault unavailable = {.kind = EMU_FAULT_REFUSE, .count = 1, .code = 3};
    const EmuFault unauthorized = {.kind = EMU_FAULT_REFUSE, .count = 1, .code = 5};
    amqp_peer_open(peer);

    (void)add_fault(fixture, &unavailable);
    g_assert_cmpint(amqp_peer_put_token(peer, HOST "/devices/d", token), ==, 503);
    (void)add_fault(fixture, &unauthorized);
    g_assert_cmpint(amqp_peer_put_token(peer, HOST "/devices/d", token), ==, 401);
    g_assert_cmpint(amqp_peer_put_token(peer, HOST "/devices/d", token), ==, 200);
    (void)add_fault(fixture, &unauthorized);
    g_assert_cmpint(amqp_peer_put_token(peer, HOST "/devices/d", token), ==, 200);
}

static void
test_fault_black_hole_swallows_and_gives_back(Fixture *fixture, gconstpointer data)
{
    g_autoptr(AmqpPeer) peer = log_in(fixture);
    pn_link_t *link = amqp_peer_sender(peer, EVENTS);
    const EmuFault hole = {.kind = EMU_FAULT_BLACK_HOLE, .device_id = (char *)"d"};
    guint id = add_fault(fixture, &hole);

    pn_delivery_t *delivery = amqp_peer_post(peer, link, plain_message, sizeof plain_message);
    amqp_peer_settle_down(peer);
    g_assert_cmpuint(stored(fixture), ==, 0);
    g_assert_false(peer->ended);

    (void)emu_faults_remove(emu_hub_faults(fixture->hub), id);
    g_assert_cmpuint(amqp_peer_outcome(peer, delivery), ==, PN_ACCEPTED);
}

static void
send_c2d(Fixture *fixture, const char *message_id, EmuAck ack)
{
    const EmuC2dNew message = {
        .device_id = "d",
        .generation_id = identity(fixture, "d")->generation_id,
        .message_id = message_id,
        .bag = "%24.cid=c%2F1&%24.uid=u&%24.ct=text%2Fplain&%24.ce=utf-8&k%20ey=v%C3%A9",
        .body = "down",
        .body_size = 4,
        .ack = ack,
        .expiry_usec = G_GINT64_CONSTANT(4102444800000000),
    };
    g_autoptr(GError) error = NULL;
    EmuC2dNew copy = message;

    copy.expiry_usec = emu_hub_now_usec(fixture->hub) + 3600 * (gint64)G_USEC_PER_SEC;
    g_assert_cmpuint(emu_c2d_send(emu_hub_c2d(fixture->hub), &copy, emu_hub_now_usec(fixture->hub),
                                  NULL, &error),
                     !=, 0);
    g_assert_no_error(error);
}

static EmuC2dState
state_of(Fixture *fixture, const char *message_id)
{
    g_autoptr(EmuC2dMessage) message = emu_c2d_find(emu_hub_c2d(fixture->hub), "d", message_id);

    return message->state;
}

static void
assert_field(const EmuAmqpMessage *message, EmuAmqpField field, const char *expected)
{
    EmuAmqpValue value;

    g_assert_true(emu_amqp_message_field(message, field, &value));
    g_autofree char *text = emu_amqp_to_text(&value);
    g_assert_cmpstr(text, ==, expected);
}

/* Source: protocol page, 3.6. */
static void
test_devicebound_carries_everything(Fixture *fixture, gconstpointer data)
{
    g_autoptr(AmqpPeer) peer = log_in(fixture);
    pn_link_t *link = amqp_peer_receiver(peer, DEVICEBOUND, 1);
    EmuAmqpMessage message;
    EmuAmqpValue key;
    EmuAmqpValue value;
    guint annotations = 0;
    send_c2d(fixture, "m1", EMU_ACK_FULL);

    pn_delivery_t *delivery = amqp_peer_next(peer, link);

    g_assert_null(emu_amqp_message_parse(peer->received->data, peer->received->len, &message));
    assert_field(&message, EMU_AMQP_MESSAGE_ID, "m1");
    assert_field(&message, EMU_AMQP_CORRELATION_ID, "c/1");
    assert_field(&message, EMU_AMQP_USER_ID, "u");
    assert_field(&message, EMU_AMQP_TO, "/devices/d/messages/deviceBound");
    assert_field(&message, EMU_AMQP_CONTENT_TYPE, "text/plain");
    assert_field(&message, EMU_AMQP_CONTENT_ENCODING, "utf-8");
    g_assert_true(emu_amqp_message_field(&message, EMU_AMQP_EXPIRY_TIME, &value));
    g_assert_true(emu_amqp_message_find(&message, "k ey", &value));
    g_assert_true(emu_amqp_text_equals(&value, "v\xc3\xa9"));
    g_assert_true(emu_amqp_message_find(&message, "iothub-ack", &value));
    g_assert_true(emu_amqp_text_equals(&value, "full"));
    g_assert_cmpmem(message.first_data.data, message.first_data.size, "down", 4);

    pn_delivery_tag_t tag = pn_delivery_tag(delivery);
    g_assert_cmpuint(tag.size, ==, 16);
    while (emu_amqp_next_entry(&message.annotations, &key, &value)) {
        annotations++;
        if (emu_amqp_text_equals(&key, "x-opt-lock-token"))
            g_assert_cmpmem(value.data, value.size, tag.start, tag.size);
        if (emu_amqp_text_equals(&key, "iothub-deliverycount"))
            g_assert_cmpuint(value.code, ==, 0x50);
    }
    g_assert_cmpuint(annotations, ==, 4);
    g_assert_cmpint(state_of(fixture, "m1"), ==, EMU_C2D_INVISIBLE);
}

static void
test_devicebound_settles_by_outcome(Fixture *fixture, gconstpointer data)
{
    const struct {
        guint64 outcome;
        EmuC2dState state;
    } cases[] = {
        {PN_ACCEPTED, EMU_C2D_COMPLETED},
        {PN_REJECTED, EMU_C2D_DEAD_LETTERED},
        {PN_RELEASED, EMU_C2D_ENQUEUED},
    };
    g_autoptr(AmqpPeer) peer = log_in(fixture);

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *id = g_strdup_printf("m%zu", i);
        pn_link_t *link = amqp_peer_receiver(peer, DEVICEBOUND, 1);
        send_c2d(fixture, id, EMU_ACK_NONE);
        pn_delivery_t *delivery = amqp_peer_next(peer, link);

        pn_delivery_update(delivery, cases[i].outcome);
        pn_delivery_settle(delivery);
        amqp_peer_settle_down(peer);

        g_assert_cmpint(state_of(fixture, id), ==, cases[i].state);
    }
}

static void
test_devicebound_brings_back_what_was_released(Fixture *fixture, gconstpointer data)
{
    static const guint64 outcomes[] = {PN_RELEASED, PN_MODIFIED};
    g_autoptr(AmqpPeer) peer = log_in(fixture);
    pn_link_t *link = amqp_peer_receiver(peer, DEVICEBOUND, 10);
    send_c2d(fixture, "m1", EMU_ACK_NONE);

    for (size_t i = 0; i < G_N_ELEMENTS(outcomes); i++) {
        pn_delivery_t *delivery = amqp_peer_next(peer, link);
        pn_delivery_update(delivery, outcomes[i]);
        pn_delivery_settle(delivery);
    }
    (void)amqp_peer_next(peer, link);

    g_autoptr(EmuC2dMessage) message = emu_c2d_find(emu_hub_c2d(fixture->hub), "d", "m1");
    g_assert_cmpuint(message->delivery_count, ==, 2);
    g_assert_cmpuint(message->deliveries, ==, 3);
}

static void
test_devicebound_respects_credit(Fixture *fixture, gconstpointer data)
{
    g_autoptr(AmqpPeer) peer = log_in(fixture);
    pn_link_t *link = amqp_peer_receiver(peer, DEVICEBOUND, 2);
    for (guint i = 0; i < 3; i++)
        send_c2d(fixture, NULL, EMU_ACK_NONE);

    (void)amqp_peer_next(peer, link);
    (void)amqp_peer_next(peer, link);
    g_assert_false(amqp_peer_has_next(peer, link));

    pn_link_flow(link, 1);
    (void)amqp_peer_next(peer, link);
}

static void
test_devicebound_settles_many_at_once(Fixture *fixture, gconstpointer data)
{
    g_autoptr(AmqpPeer) peer = log_in(fixture);
    pn_link_t *link = amqp_peer_receiver(peer, DEVICEBOUND, 50);
    pn_delivery_t *deliveries[20];
    for (guint i = 0; i < G_N_ELEMENTS(deliveries); i++)
        send_c2d(fixture, NULL, EMU_ACK_NONE);
    for (guint i = 0; i < G_N_ELEMENTS(deliveries); i++)
        deliveries[i] = amqp_peer_next(peer, link);

    /* Proton makes one disposition of them. */
    for (guint i = 0; i < G_N_ELEMENTS(deliveries); i++) {
        pn_delivery_update(deliveries[i], PN_ACCEPTED);
        pn_delivery_settle(deliveries[i]);
    }
    amqp_peer_settle_down(peer);

    g_assert_cmpuint(emu_c2d_count(emu_hub_c2d(fixture->hub), "d"), ==, 0);
}

static void
test_devicebound_tells_of_a_lost_lock(Fixture *fixture, gconstpointer data)
{
    g_autoptr(AmqpPeer) peer = log_in(fixture);
    pn_link_t *link = amqp_peer_receiver(peer, DEVICEBOUND, 1);
    send_c2d(fixture, "m1", EMU_ACK_NONE);
    pn_delivery_t *delivery = amqp_peer_next(peer, link);
    emu_c2d_expire(emu_hub_c2d(fixture->hub),
                   emu_hub_now_usec(fixture->hub) + 61 * (gint64)G_USEC_PER_SEC);

    pn_delivery_update(delivery, PN_ACCEPTED);

    g_assert_cmpuint(amqp_peer_outcome(peer, delivery), ==, PN_REJECTED);
    assert_condition(delivery, "com.microsoft:message-lock-lost");
    g_assert_cmpint(state_of(fixture, "m1"), ==, EMU_C2D_ENQUEUED);
}

static void
test_devicebound_keeps_the_lock_of_a_lost_link(Fixture *fixture, gconstpointer data)
{
    g_autoptr(AmqpPeer) peer = log_in(fixture);
    pn_link_t *link = amqp_peer_receiver(peer, DEVICEBOUND, 1);
    send_c2d(fixture, "m1", EMU_ACK_NONE);
    (void)amqp_peer_next(peer, link);

    pn_link_close(link);
    amqp_peer_settle_down(peer);

    g_assert_cmpint(state_of(fixture, "m1"), ==, EMU_C2D_INVISIBLE);
}

static void
test_devicebound_drains(Fixture *fixture, gconstpointer data)
{
    g_autoptr(AmqpPeer) peer = log_in(fixture);
    pn_link_t *link = amqp_peer_receiver(peer, DEVICEBOUND, 0);
    send_c2d(fixture, "m1", EMU_ACK_NONE);

    pn_link_drain(link, 5);
    (void)amqp_peer_next(peer, link);
    amqp_peer_settle_down(peer);

    g_assert_cmpint(pn_link_drained(link), ==, 4);
}

static void
test_end_is_told_when_the_hub_stops(Fixture *fixture, gconstpointer data)
{
    g_autoptr(AmqpPeer) peer = log_in(fixture);
    (void)amqp_peer_sender(peer, EVENTS);

    g_ptr_array_set_size(fixture->sessions, 0);

    amqp_peer_expect_end(peer);
    g_assert_cmpstr(pn_condition_get_name(pn_connection_remote_condition(peer->connection)), ==,
                    "amqp:connection:forced");
}

static void
test_end_follows_the_clients_close(Fixture *fixture, gconstpointer data)
{
    g_autoptr(AmqpPeer) peer = log_in(fixture);
    (void)amqp_peer_sender(peer, EVENTS);

    pn_connection_close(peer->connection);

    amqp_peer_expect_end(peer);
    g_assert_true((pn_connection_state(peer->connection) & PN_REMOTE_CLOSED) != 0);
    while (fixture->sessions->len > 0)
        (void)g_main_context_iteration(NULL, FALSE);
    g_assert_cmpstr(identity(fixture, "d")->disconnect_reason, ==, "client-disconnect");
}

static void
test_end_of_a_session_ends_its_links(Fixture *fixture, gconstpointer data)
{
    g_autoptr(AmqpPeer) peer = log_in(fixture);
    (void)amqp_peer_sender(peer, EVENTS);
    pn_session_t *first = peer->session;
    peer->session = pn_session(peer->connection);
    pn_session_open(peer->session);
    (void)amqp_peer_receiver(peer, DEVICEBOUND, 1);

    pn_session_close(first);
    amqp_peer_settle_down(peer);

    g_assert_nonnull(identity(fixture, "d")->link);
    send_c2d(fixture, "m1", EMU_ACK_NONE);
    pn_session_close(peer->session);
    amqp_peer_settle_down(peer);
    g_assert_null(identity(fixture, "d")->link);
}

int
main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*run)(Fixture *fixture, gconstpointer data);
    } tests[] = {
        {"sasl/answers-what-the-sdk-sends", test_sasl_answers_what_the_sdk_sends},
        {"sasl/takes-a-token-as-password", test_sasl_takes_a_token_as_password},
        {"sasl/wants-a-certificate-for-external", test_sasl_wants_a_certificate_for_external},
        {"open/refuses-other-protocols", test_open_refuses_other_protocols},
        {"open/tells-the-hubs-numbers", test_open_tells_the_hubs_numbers},
        {"open/sends-empty-frames-in-time", test_open_sends_empty_frames_in_time},
        {"cbs/judges-tokens", test_cbs_judges_tokens},
        {"cbs/echoes-the-type-of-the-id", test_cbs_echoes_the_type_of_the_id},
        {"cbs/takes-a-thousand-devices", test_cbs_takes_a_thousand_devices},
        {"cbs/prolongs-with-a-newer-token", test_cbs_prolongs_with_a_newer_token},
        {"token-end/detaches-its-device-alone", test_token_end_detaches_its_device_alone},
        {"attach/is-answered-in-kind", test_attach_is_answered_in_kind},
        {"attach/is-refused", test_attach_is_refused},
        {"attach/decodes-ids-when-that-helps", test_attach_decodes_ids_when_that_helps},
        {"attach/steals-from-an-older-connection", test_attach_steals_from_an_older_connection},
        {"attach/steals-from-itself", test_attach_steals_from_itself},
        {"attach/steals-across-protocols", test_attach_steals_across_protocols},
        {"link/ends-with-its-identity", test_link_ends_with_its_identity},
        {"link/leaves-the-connection-when-detached", test_link_leaves_the_connection_when_detached},
        {"drop/cuts-a-lone-device", test_drop_cuts_a_lone_device},
        {"drop/detaches-one-of-several", test_drop_detaches_one_of_several},
        {"drop/of-all-cuts-the-connection", test_drop_of_all_cuts_the_connection},
        {"telemetry/is-stored-before-it-is-accepted",
         test_telemetry_is_stored_before_it_is_accepted},
        {"telemetry/takes-batches", test_telemetry_takes_batches},
        {"telemetry/takes-a-batch-whole-or-not", test_telemetry_takes_a_batch_whole_or_not},
        {"telemetry/knows-the-sizes", test_telemetry_knows_the_sizes},
        {"telemetry/renews-credit", test_telemetry_renews_credit},
        {"telemetry/takes-settled-transfers", test_telemetry_takes_settled_transfers},
        {"fault/cut-stores-nothing-of-a-batch", test_fault_cut_stores_nothing_of_a_batch},
        {"fault/cut-may-store", test_fault_cut_may_store},
        {"fault/rejects-in-words", test_fault_rejects_in_words},
        {"fault/throttles-by-the-batch", test_fault_throttles_by_the_batch},
        {"fault/stalls-and-credit-with-it", test_fault_stalls_and_credit_with_it},
        {"fault/delays", test_fault_delays},
        {"fault/refuses-logins", test_fault_refuses_logins},
        {"fault/black-hole-swallows-and-gives-back", test_fault_black_hole_swallows_and_gives_back},
        {"devicebound/carries-everything", test_devicebound_carries_everything},
        {"devicebound/settles-by-outcome", test_devicebound_settles_by_outcome},
        {"devicebound/brings-back-what-was-released",
         test_devicebound_brings_back_what_was_released},
        {"devicebound/respects-credit", test_devicebound_respects_credit},
        {"devicebound/settles-many-at-once", test_devicebound_settles_many_at_once},
        {"devicebound/tells-of-a-lost-lock", test_devicebound_tells_of_a_lost_lock},
        {"devicebound/keeps-the-lock-of-a-lost-link",
         test_devicebound_keeps_the_lock_of_a_lost_link},
        {"devicebound/drains", test_devicebound_drains},
        {"end/is-told-when-the-hub-stops", test_end_is_told_when_the_hub_stops},
        {"end/follows-the-clients-close", test_end_follows_the_clients_close},
        {"end/of-a-session-ends-its-links", test_end_of_a_session_ends_its_links},
    };

    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(tests); i++) {
        g_autofree char *path = g_strconcat("/amqp-session/", tests[i].path, NULL);
        g_test_add(path, Fixture, NULL, set_up, tests[i].run, tear_down);
    }
    return g_test_run();
}
