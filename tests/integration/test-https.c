/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib/gstdio.h>
#include <json-glib/json-glib.h>
#include <string.h>
#include <sys/wait.h>

#include <gio/gio.h>

#include "daemon/module.h"
#include "daemon/properties.h"
#include "daemon/sas.h"

/*
 * The HTTPS module alone, as the daemon loads it, against iothub-emulator: what it sends arrives
 * whole and in order, what the hub sends is settled there, and the hub's own rules end in the right
 * causes. What no hub of this kind says is in test-https-answers.c. One hub serves all tests.
 */

#define KEY       "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
#define OTHER_KEY "AAEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="

#define DEADLINE_USEC (20 * G_USEC_PER_SEC)

/* The hub */

static struct {
    char *directory;
    GPid pid;
    guint16 https_port;
    char *control_port;
    char *ca_file;
} hub;

static const SpokeTransportModule *module;

static void
wait_for_ready(const char *ready)
{
    g_autoptr(JsonParser) parser = json_parser_new();
    gint64 end_usec = g_get_monotonic_time() + DEADLINE_USEC;

    while (!g_file_test(ready, G_FILE_TEST_EXISTS)) {
        g_assert_cmpint(g_get_monotonic_time(), <, end_usec);
        g_usleep(10000);
    }
    g_assert_true(json_parser_load_from_file(parser, ready, NULL));

    JsonObject *object = json_node_get_object(json_parser_get_root(parser));

    hub.https_port = (guint16)json_object_get_int_member(object, "httpsPort");
    hub.control_port =
        g_strdup_printf("%" G_GINT64_FORMAT, json_object_get_int_member(object, "controlPort"));
    hub.ca_file = g_strdup(json_object_get_string_member(object, "caFile"));
}

static void
start_hub(void)
{
    hub.directory = g_dir_make_tmp("spoke-https-XXXXXX", NULL);

    g_autofree char *ready = g_build_filename(hub.directory, "ready", NULL);
    const char *const argv[] = {g_getenv("SPOKE_EMULATOR"),
                                "--quiet",
                                "--state-dir",
                                hub.directory,
                                "--mqtt-port",
                                "0",
                                "--amqp-port",
                                "0",
                                "--https-port",
                                "0",
                                "--control-port",
                                "0",
                                "--device",
                                "dev1=" KEY,
                                "--ready-file",
                                ready,
                                NULL};
    g_autoptr(GError) error = NULL;

    g_spawn_async(NULL, (char **)argv, NULL, G_SPAWN_DO_NOT_REAP_CHILD, NULL, NULL, &hub.pid,
                  &error);
    g_assert_no_error(error);
    wait_for_ready(ready);
}

static void
stop_hub(void)
{
    kill(hub.pid, SIGTERM);
    g_assert_cmpint(waitpid(hub.pid, NULL, 0), ==, hub.pid);

    g_autoptr(GDir) directory = g_dir_open(hub.directory, 0, NULL);

    for (const char *name = g_dir_read_name(directory); name; name = g_dir_read_name(directory)) {
        g_autofree char *path = g_build_filename(hub.directory, name, NULL);

        g_unlink(path);
    }
    g_rmdir(hub.directory);
    g_free(hub.directory);
    g_free(hub.control_port);
    g_free(hub.ca_file);
}

/* "iothub-emulator ctl --json WORDS", NULL-terminated. (transfer full): what it prints, chomped */
static char *
ctl(const char *word, ...)
{
    g_autoptr(GPtrArray) argv = g_ptr_array_new();
    g_autoptr(GError) error = NULL;
    char *output = NULL;
    va_list words;
    int status = 0;

    g_ptr_array_add(argv, (char *)g_getenv("SPOKE_EMULATOR"));
    g_ptr_array_add(argv, (char *)"ctl");
    g_ptr_array_add(argv, (char *)"--json");
    g_ptr_array_add(argv, (char *)"--control-port");
    g_ptr_array_add(argv, hub.control_port);
    va_start(words, word);
    for (; word != NULL; word = va_arg(words, const char *))
        g_ptr_array_add(argv, (char *)word);
    va_end(words);
    g_ptr_array_add(argv, NULL);
    g_spawn_sync(NULL, (char **)argv->pdata, NULL, 0, NULL, NULL, &output, NULL, &status, &error);
    g_assert_no_error(error);
    g_assert_true(g_spawn_check_wait_status(status, &error));
    return g_strchomp(output);
}

static void
do_ctl(const char *command, const char *word, const char *another)
{
    g_autofree char *output = ctl(command, word, another, NULL);
}

/* (transfer full): the messages that arrived, in order */
static JsonArray *
get_messages(void)
{
    g_autofree char *text = ctl("messages", "--limit", "10000", NULL);
    g_autoptr(JsonNode) root = json_from_string(text, NULL);

    g_assert_nonnull(root);
    return json_array_ref(
        JSON_NODE_HOLDS_ARRAY(root)
            ? json_node_get_array(root)
            : json_object_get_array_member(json_node_get_object(root), "messages"));
}

/* A transport */

typedef struct {
    SpokeTransport *transport; /* NULL once freed */
    SpokeIdentity *identity;
    SpokeEndpoint endpoint;
    const char *key; /* NULL: a certificate instead */

    guint n_opened;
    guint n_attached;
    guint n_detached;
    guint n_closed;
    SpokeCause cause;
    char *detail;
    gint64 wait_usec;
    guint n_accepted;
    guint n_rejected;
    guint n_sent; /* of n_to_send */
    guint n_to_send;
    SpokeMessage *message; /* what send_more() sends */
    SpokeMessage *arrived; /* the last one */
    gpointer token;
    guint n_arrived;
} Fixture;

/* (transfer full) (nullable) */
static SpokeSecret *
make_token(Fixture *fixture)
{
    gsize size = 0;

    if (fixture->key == NULL)
        return NULL;

    g_autofree guchar *bytes = g_base64_decode(fixture->key, &size);
    g_autoptr(SpokeSecret) key = spoke_secret_new(bytes, size);
    g_autofree char *resource =
        g_strdup_printf("%s/devices/%s", fixture->identity->hub, fixture->identity->device_id);

    return spoke_sas_sign(key, resource, g_get_real_time() / G_USEC_PER_SEC + 3600, NULL, NULL);
}

static void
send_more(Fixture *fixture)
{
    while (fixture->n_sent < fixture->n_to_send &&
           fixture->n_sent - fixture->n_accepted - fixture->n_rejected < module->window) {
        g_autofree char *id = g_strdup_printf("made-%u", ++fixture->n_sent);
        const SpokeOutgoing outgoing = {.message = fixture->message, .message_id = id};

        module->send(fixture->transport, fixture->identity, &outgoing, 1);
    }
}

static void
on_opened(gpointer user_data)
{
    ((Fixture *)user_data)->n_opened++;
}

static void
note_end(Fixture *fixture, SpokeCause cause, const char *detail)
{
    g_test_message("%s: %s", spoke_cause_to_string(cause), detail);
    fixture->cause = cause;
    g_free(fixture->detail);
    fixture->detail = g_strdup(detail);
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

    for (guint i = 0; i < n; i++) {
        if (settlements[i].verdict == SPOKE_VERDICT_ACCEPT)
            fixture->n_accepted++;
        else
            fixture->n_rejected++;
    }
    send_more(fixture);
}

static void
on_arrived(SpokeIdentity *identity, SpokeMessage *message, gpointer token, gpointer user_data)
{
    Fixture *fixture = user_data;

    g_clear_pointer(&fixture->arrived, spoke_message_unref);
    fixture->arrived = spoke_message_ref(message);
    fixture->token = token;
    fixture->n_arrived++;
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
ask_in(Fixture *fixture)
{
    g_autoptr(SpokeSecret) token = make_token(fixture);

    module->attach(fixture->transport, fixture->identity, token);
}

static void
attach_it(Fixture *fixture)
{
    guint n_attached = fixture->n_attached;

    ask_in(fixture);
    wait_until(&fixture->n_attached, n_attached + 1);
    module->receive(fixture->transport, fixture->identity, TRUE);
}

static void
open_it(Fixture *fixture)
{
    fixture->transport = module->create(&fixture->endpoint, &events, fixture);
    module->open(fixture->transport);
    wait_until(&fixture->n_opened, 1);
}

static void
connect_it(Fixture *fixture)
{
    open_it(fixture);
    attach_it(fixture);
}

static void
set_message(Fixture *fixture, GByteArray *system, GByteArray *properties)
{
    g_clear_pointer(&fixture->message, spoke_message_unref);
    fixture->message =
        spoke_message_new(system->data, system->len, properties->data, properties->len,
                          "{\"temperature\": 23}", strlen("{\"temperature\": 23}"));
}

static void
send_it(Fixture *fixture, guint n)
{
    fixture->n_to_send += n;
    send_more(fixture);
}

static void
set_up(Fixture *fixture, gconstpointer unused)
{
    g_autoptr(GByteArray) system = g_byte_array_new();
    g_autoptr(GByteArray) properties = g_byte_array_new();

    spoke_properties_append(properties, "room", "kitchen");
    set_message(fixture, system, properties);
    fixture->identity = spoke_identity_new("self", "localhost", "dev1", NULL);
    fixture->key = KEY;
    fixture->endpoint = (SpokeEndpoint){
        .host = "localhost",
        .port = hub.https_port,
        .ca_file = hub.ca_file,
        .connect_timeout_sec = 20,
        .product = "spoked/test",
    };
    do_ctl("clear", NULL, NULL);
}

static void
tear_down(Fixture *fixture, gconstpointer unused)
{
    if (fixture->transport != NULL)
        module->free(fixture->transport);
    spoke_identity_unref(fixture->identity);
    g_clear_pointer(&fixture->message, spoke_message_unref);
    g_clear_pointer(&fixture->arrived, spoke_message_unref);
    g_free(fixture->detail);
    do_ctl("clear-faults", NULL, NULL);
    do_ctl("purge", "dev1", NULL);
}

static void
assert_cause(Fixture *fixture, SpokeCause cause)
{
    g_assert_cmpstr(spoke_cause_to_string(fixture->cause), ==, spoke_cause_to_string(cause));
}

static void
assert_not_let_in(Fixture *fixture, SpokeCause cause)
{
    open_it(fixture);
    ask_in(fixture);
    wait_until(&fixture->n_detached, 1);

    assert_cause(fixture, cause);
    g_assert_cmpuint(fixture->n_attached, ==, 0);
    g_assert_cmpuint(fixture->n_closed, ==, 0);
}

/* "Completed", "Enqueued", … once that is what became of it */
static void
wait_for_fate(const char *message_id, const char *state)
{
    gint64 end_usec = g_get_monotonic_time() + DEADLINE_USEC;
    g_autofree char *expected = g_strdup_printf("\"%s\"", state);

    for (;;) {
        g_autofree char *fate = ctl("fate", "dev1", message_id, NULL);

        if (strstr(fate, expected) != NULL)
            return;
        if (g_get_monotonic_time() >= end_usec)
            g_error("%s is not %s: %s", message_id, state, fate);
        g_main_context_iteration(NULL, FALSE);
        g_usleep(10000);
    }
}

/* Sending */

static void
test_send_many_in_order(Fixture *fixture, gconstpointer unused)
{
    connect_it(fixture);
    send_it(fixture, 5000);
    wait_until(&fixture->n_accepted, 5000);

    g_autoptr(JsonArray) messages = get_messages();
    g_assert_cmpuint(json_array_get_length(messages), ==, 5000);
    for (guint i = 0; i < 5000; i++) {
        g_autofree char *id = g_strdup_printf("\"made-%u\"", i + 1);
        g_autofree char *text = json_to_string(json_array_get_element(messages, i), FALSE);

        g_assert_nonnull(strstr(text, id));
        g_assert_nonnull(strstr(text, "kitchen"));
    }
}

/* What the emulator shows of message @n, its number and time aside. (transfer full) */
static char *
describe(guint n)
{
    g_autoptr(JsonArray) messages = get_messages();

    g_assert_cmpuint(json_array_get_length(messages), >, n);
    return json_to_string(json_array_get_element(messages, n), FALSE);
}

static void
assert_shown(guint n, const char *const *parts)
{
    g_autofree char *text = describe(n);

    for (; *parts != NULL; parts++)
        if (strstr(text, *parts) == NULL)
            g_error("Message %u lacks %s: %s", n, *parts, text);
}

/* One alone, as headers, and some together, as a batch. */
static void
test_send_every_system_property(Fixture *fixture, gconstpointer unused)
{
    static const char *const parts[] = {
        "\"m-1\"", "\"c-1\"", "\"u-1\"", "\"utf-8\"", "text/plain; x", "2030-01-01T00:00:00.000Z",
        "kitchen", NULL};
    g_autoptr(GByteArray) system = g_byte_array_new();
    g_autoptr(GByteArray) properties = g_byte_array_new();

    spoke_properties_append(system, SPOKE_PROPERTY_MESSAGE_ID, "m-1");
    spoke_properties_append(system, SPOKE_PROPERTY_CORRELATION_ID, "c-1");
    spoke_properties_append(system, SPOKE_PROPERTY_USER_ID, "u-1");
    spoke_properties_append(system, SPOKE_PROPERTY_CONTENT_TYPE, "text/plain; x");
    spoke_properties_append(system, SPOKE_PROPERTY_CONTENT_ENCODING, "utf-8");
    spoke_properties_append(system, SPOKE_PROPERTY_CREATION_TIME, "1893456000000000");
    spoke_properties_append(properties, "room", "kitchen");
    set_message(fixture, system, properties);
    connect_it(fixture);
    send_it(fixture, 1);
    wait_until(&fixture->n_accepted, 1);
    send_it(fixture, 2);
    wait_until(&fixture->n_accepted, 3);

    for (guint i = 0; i < 3; i++)
        assert_shown(i, parts);
}

static void
test_send_hard_characters(Fixture *fixture, gconstpointer unused)
{
    static const char *const parts[] = {"\"k ey\xc3\xa9:\"", "\"v&l=\xc3\xa9/#+%\"", NULL};
    g_autoptr(GByteArray) system = g_byte_array_new();
    g_autoptr(GByteArray) properties = g_byte_array_new();

    spoke_properties_append(properties, "k ey\xc3\xa9:", "v&l=\xc3\xa9/#+%");
    set_message(fixture, system, properties);
    connect_it(fixture);
    send_it(fixture, 1);
    wait_until(&fixture->n_accepted, 1);
    send_it(fixture, 2);
    wait_until(&fixture->n_accepted, 3);

    for (guint i = 0; i < 3; i++)
        assert_shown(i, parts);
}

static void
test_send_with_certificate(Fixture *fixture, gconstpointer unused)
{
    g_autofree char *made = ctl("make-certificate", "x509-dev", "--out", hub.directory, NULL);
    g_autofree char *certificate = g_build_filename(hub.directory, "x509-dev.pem", NULL);
    g_autofree char *key = g_build_filename(hub.directory, "x509-dev-key.pem", NULL);

    spoke_identity_unref(fixture->identity);
    fixture->identity = spoke_identity_new("self", "localhost", "x509-dev", NULL);
    fixture->key = NULL;
    fixture->endpoint.certificate_file = certificate;
    fixture->endpoint.key_file = key;
    connect_it(fixture);
    send_it(fixture, 3);
    wait_until(&fixture->n_accepted, 3);

    g_assert_cmpuint(fixture->n_detached, ==, 0);
}

static void
test_send_after_renewal(Fixture *fixture, gconstpointer unused)
{
    connect_it(fixture);
    send_it(fixture, 2000);
    attach_it(fixture);
    wait_until(&fixture->n_accepted, 2000);

    g_assert_cmpuint(fixture->n_detached + fixture->n_closed, ==, 0);
}

/* Refusals */

static void
test_wrong_key(Fixture *fixture, gconstpointer unused)
{
    fixture->key = OTHER_KEY;

    assert_not_let_in(fixture, SPOKE_CAUSE_AUTHENTICATION_FAILED);
}

static void
test_unknown_device(Fixture *fixture, gconstpointer unused)
{
    spoke_identity_unref(fixture->identity);
    fixture->identity = spoke_identity_new("self", "localhost", "nobody", NULL);

    assert_not_let_in(fixture, SPOKE_CAUSE_NOT_FOUND);
}

static void
test_wrong_clock(Fixture *fixture, gconstpointer unused)
{
    do_ctl("fault", "clock-skew", "sec=86400");

    assert_not_let_in(fixture, SPOKE_CAUSE_CLOCK);
}

static void
test_throttled(Fixture *fixture, gconstpointer unused)
{
    do_ctl("fault", "throttle", "rate=10");
    connect_it(fixture);
    send_it(fixture, 2000);
    wait_until(&fixture->n_detached, 1);

    assert_cause(fixture, SPOKE_CAUSE_THROTTLED);
    g_assert_cmpint(fixture->wait_usec, >, 0);
}

static void
test_cut(Fixture *fixture, gconstpointer unused)
{
    /* Once would not do: it is asked once more on a fresh connection. */
    g_autofree char *fault = ctl("fault", "cut-after", "after=0", "count=9", NULL);

    connect_it(fixture);
    send_it(fixture, 1);
    wait_until(&fixture->n_closed, 1);

    assert_cause(fixture, SPOKE_CAUSE_CLOSED_BY_HUB);
}

/* Receiving */

static void
receive_one(Fixture *fixture, const char *id)
{
    g_autofree char *sent = ctl("send", "dev1", "do it", "--message-id", id, "--property", "k=v w",
                                "--content-type", "text/plain", "--ack", "full", NULL);
    guint n = fixture->n_arrived + 1;

    module->poll(fixture->transport, fixture->identity);
    wait_until(&fixture->n_arrived, n);
}

static const char *
look_up(Fixture *fixture, const char *name)
{
    return spoke_message_lookup_system(fixture->arrived, name);
}

static void
test_receive_whole(Fixture *fixture, gconstpointer unused)
{
    connect_it(fixture);
    receive_one(fixture, "whole");

    g_assert_cmpmem(spoke_message_body(fixture->arrived), fixture->arrived->body_size, "do it", 5);
    g_assert_cmpstr(look_up(fixture, SPOKE_PROPERTY_MESSAGE_ID), ==, "whole");
    g_assert_cmpstr(look_up(fixture, SPOKE_PROPERTY_CONTENT_TYPE), ==, "text/plain");
    g_assert_cmpstr(look_up(fixture, SPOKE_PROPERTY_ACK), ==, "full");
    g_assert_cmpstr(look_up(fixture, SPOKE_PROPERTY_TO), ==, "/devices/dev1/messages/deviceBound");
    g_assert_cmpstr(spoke_properties_lookup(spoke_message_properties(fixture->arrived),
                                            fixture->arrived->properties_size, "k"),
                    ==, "v w");
    module->settle(fixture->transport, fixture->token, SPOKE_VERDICT_ACCEPT);
    wait_for_fate("whole", "Completed");
}

static void
test_receive_and_reject(Fixture *fixture, gconstpointer unused)
{
    connect_it(fixture);
    receive_one(fixture, "reject");
    wait_for_fate("reject", "Invisible");
    module->settle(fixture->transport, fixture->token, SPOKE_VERDICT_REJECT);

    wait_for_fate("reject", "DeadLettered");
}

static void
test_receive_and_release(Fixture *fixture, gconstpointer unused)
{
    connect_it(fixture);
    receive_one(fixture, "again");
    module->settle(fixture->transport, fixture->token, SPOKE_VERDICT_RELEASE);
    wait_for_fate("again", "Enqueued");

    module->poll(fixture->transport, fixture->identity);
    wait_until(&fixture->n_arrived, 2);
    module->settle(fixture->transport, fixture->token, SPOKE_VERDICT_ACCEPT);
    wait_for_fate("again", "Completed");
}

static void
test_verdict_outlives_close(Fixture *fixture, gconstpointer unused)
{
    connect_it(fixture);
    receive_one(fixture, "last");
    module->settle(fixture->transport, fixture->token, SPOKE_VERDICT_ACCEPT);
    module->close(fixture->transport);
    wait_until(&fixture->n_closed, 1);

    assert_cause(fixture, SPOKE_CAUSE_CLOSED);
    wait_for_fate("last", "Completed");
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
    module = spoke_module_load(g_getenv("SPOKE_TRANSPORT_DIR"), "https", &error);
    g_assert_no_error(error);
    start_hub();

    add("send/many-in-order", test_send_many_in_order);
    add("send/every-system-property", test_send_every_system_property);
    add("send/hard-characters", test_send_hard_characters);
    add("send/with-certificate", test_send_with_certificate);
    add("send/after-renewal", test_send_after_renewal);
    add("refused/wrong-key", test_wrong_key);
    add("refused/unknown-device", test_unknown_device);
    add("refused/wrong-clock", test_wrong_clock);
    add("refused/throttled", test_throttled);
    add("refused/cut", test_cut);
    add("receive/whole", test_receive_whole);
    add("receive/and-reject", test_receive_and_reject);
    add("receive/and-release", test_receive_and_release);
    add("receive/verdict-outlives-close", test_verdict_outlives_close);

    int status = g_test_run();
    stop_hub();
    return status;
}
