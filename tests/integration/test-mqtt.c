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
 * The MQTT module alone, as the daemon loads it, against iothub-emulator over TLS: what a
 * connection is told when it fails, and that a message from the hub is acknowledged when it is on
 * disk here and never before. One hub serves all tests; it listens on 127.0.0.2 as well, a name
 * that is not in its certificate.
 */

#define KEY       "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
#define OTHER_KEY "AAEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="

#define DEADLINE_USEC (20 * G_USEC_PER_SEC)

/* The hub */

typedef struct {
    char *directory;
    GPid pid;
    guint16 mqtt_port;
    char *control_port;
    char *ca_file;
} Hub;

static Hub hub;
static const SpokeTransportModule *module;

/* The hub is not what is tested: GIO's threads synchronise in ways a thread sanitizer can't see.
 * (transfer full) */
static char **
make_environment(void)
{
    return g_environ_setenv(g_get_environ(), "TSAN_OPTIONS", "report_bugs=0", TRUE);
}

static gint64
read_number(JsonObject *object, const char *name)
{
    return json_object_get_int_member(object, name);
}

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

    hub.mqtt_port = (guint16)read_number(object, "mqttPort");
    hub.control_port = g_strdup_printf("%" G_GINT64_FORMAT, read_number(object, "controlPort"));
    hub.ca_file = g_strdup(json_object_get_string_member(object, "caFile"));
}

static void
start_hub(void)
{
    hub.directory = g_dir_make_tmp("spoke-mqtt-XXXXXX", NULL);

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
                                "--listen",
                                "127.0.0.1",
                                "--listen",
                                "127.0.0.2",
                                "--device",
                                "dev1=" KEY,
                                "--ready-file",
                                ready,
                                NULL};
    g_auto(GStrv) environment = make_environment();
    g_autoptr(GError) error = NULL;

    g_spawn_async(NULL, (char **)argv, environment, G_SPAWN_DO_NOT_REAP_CHILD, NULL, NULL, &hub.pid,
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

/* "iothub-emulator ctl WORDS", NULL-terminated. (transfer full): what it prints, chomped */
static char *
ctl(const char *word, ...)
{
    g_autoptr(GPtrArray) argv = g_ptr_array_new();
    g_auto(GStrv) environment = make_environment();
    g_autoptr(GError) error = NULL;
    char *output = NULL;
    va_list words;
    int status = 0;

    g_ptr_array_add(argv, (char *)g_getenv("SPOKE_EMULATOR"));
    g_ptr_array_add(argv, (char *)"ctl");
    g_ptr_array_add(argv, (char *)"--control-port");
    g_ptr_array_add(argv, hub.control_port);
    va_start(words, word);
    for (; word != NULL; word = va_arg(words, const char *))
        g_ptr_array_add(argv, (char *)word);
    va_end(words);
    g_ptr_array_add(argv, NULL);
    g_spawn_sync(NULL, (char **)argv->pdata, environment, 0, NULL, NULL, &output, NULL, &status,
                 &error);
    g_assert_no_error(error);
    g_assert_true(g_spawn_check_wait_status(status, &error));
    return g_strchomp(output);
}

static void
do_ctl(const char *command, const char *word, const char *another)
{
    g_autofree char *output = ctl(command, word, another, NULL);
}

/* A transport */

typedef struct {
    SpokeTransport *transport; /* NULL once freed */
    SpokeIdentity *identity;
    SpokeEndpoint endpoint;
    const char *key;

    gboolean is_attached;
    gboolean is_closed;
    SpokeCause cause;
    char *detail;
    guint n_accepted;
    guint n_rejected;
    guint n_sent; /* of n_to_send */
    guint n_to_send;
    SpokeMessage *message; /* what send_all() sends */
    SpokeMessage *arrived; /* the last one */
    gpointer token;
    guint n_arrived;
} Fixture;

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
    Fixture *fixture = user_data;
    gsize size = 0;
    g_autofree guchar *bytes = g_base64_decode(fixture->key, &size);
    g_autoptr(SpokeSecret) key = spoke_secret_new(bytes, size);
    g_autofree char *resource =
        g_strdup_printf("%s/devices/%s", fixture->identity->hub, fixture->identity->device_id);
    g_autoptr(SpokeSecret) token =
        spoke_sas_sign(key, resource, g_get_real_time() / G_USEC_PER_SEC + 3600, NULL, NULL);

    module->attach(fixture->transport, fixture->identity, token);
}

static void
on_closed(SpokeCause cause, const char *detail, gpointer user_data)
{
    Fixture *fixture = user_data;

    g_assert_false(fixture->is_closed);
    fixture->is_closed = TRUE;
    fixture->cause = cause;
    fixture->detail = g_strdup(detail);
}

static void
on_attached(SpokeIdentity *identity, gpointer user_data)
{
    Fixture *fixture = user_data;

    g_assert_true(identity == fixture->identity);
    fixture->is_attached = TRUE;
}

static void
on_detached(SpokeIdentity *identity, SpokeCause cause, const char *detail, gint64 wait_usec,
            gpointer user_data)
{
    g_assert_not_reached();
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
wait_for(const gboolean *condition)
{
    wait_until((const guint *)condition, TRUE);
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
    wait_for(&fixture->is_attached);
    module->receive(fixture->transport, fixture->identity, TRUE);
}

static void
free_it(Fixture *fixture)
{
    module->free(g_steal_pointer(&fixture->transport));
}

static void
set_up(Fixture *fixture, gconstpointer unused)
{
    fixture->identity = spoke_identity_new("self", "localhost", "dev1", NULL);
    fixture->key = KEY;
    fixture->endpoint = (SpokeEndpoint){
        .host = "localhost",
        .port = hub.mqtt_port,
        .ca_file = hub.ca_file,
        .keepalive_sec = 180,
        .connect_timeout_sec = 20,
        .product = "spoked/test",
    };
}

static void
tear_down(Fixture *fixture, gconstpointer unused)
{
    if (fixture->transport != NULL)
        free_it(fixture);
    spoke_identity_unref(fixture->identity);
    g_clear_pointer(&fixture->message, spoke_message_unref);
    g_clear_pointer(&fixture->arrived, spoke_message_unref);
    g_free(fixture->detail);
    do_ctl("clear-faults", NULL, NULL);
    do_ctl("purge", "dev1", NULL);
}

static void
assert_fails(Fixture *fixture, SpokeCause cause, const char *detail)
{
    open_it(fixture);
    wait_for(&fixture->is_closed);

    g_assert_cmpstr(spoke_cause_to_string(fixture->cause), ==, spoke_cause_to_string(cause));
    g_assert_nonnull(strstr(fixture->detail, detail));
    g_assert_false(fixture->is_attached);
}

/* "Completed", "Invisible", … */
static void
assert_fate(const char *message_id, const char *state)
{
    g_autofree char *fate = ctl("--json", "fate", "dev1", message_id, NULL);
    g_autofree char *expected = g_strdup_printf("\"%s\"", state);

    if (strstr(fate, expected) == NULL)
        g_error("%s is not %s: %s", message_id, state, fate);
}

/* The hub hears of an acknowledgement a moment after we sent it. */
static void
wait_for_completion(const char *message_id)
{
    gint64 end_usec = g_get_monotonic_time() + DEADLINE_USEC;

    for (;;) {
        g_autofree char *fate = ctl("--json", "fate", "dev1", message_id, NULL);

        if (strstr(fate, "\"Completed\"") != NULL)
            return;
        g_assert_cmpint(g_get_monotonic_time(), <, end_usec);
        g_usleep(10000);
    }
}

/* Connecting */

static void
test_fails_without_address(Fixture *fixture, gconstpointer unused)
{
    fixture->endpoint.host = "no-such-host.invalid";

    assert_fails(fixture, SPOKE_CAUSE_DNS, "no-such-host.invalid");
}

static void
test_fails_on_closed_port(Fixture *fixture, gconstpointer unused)
{
    fixture->endpoint.port = 1;

    assert_fails(fixture, SPOKE_CAUSE_TCP_REFUSED, "Connection refused");
}

static void
test_fails_with_foreign_ca(Fixture *fixture, gconstpointer unused)
{
    fixture->endpoint.ca_file = NULL; /* the system's */

    assert_fails(fixture, SPOKE_CAUSE_CERTIFICATE, "issuer certificate");
}

static void
test_fails_with_wrong_name(Fixture *fixture, gconstpointer unused)
{
    fixture->endpoint.host = "127.0.0.2";

    assert_fails(fixture, SPOKE_CAUSE_CERTIFICATE, "not for host name 127.0.0.2");
}

static void
test_fails_without_ca_file(Fixture *fixture, gconstpointer unused)
{
    fixture->endpoint.ca_file = "/nonexistent/ca.pem";

    assert_fails(fixture, SPOKE_CAUSE_CERTIFICATE, "/nonexistent/ca.pem");
}

static void
test_fails_with_empty_ca_file(Fixture *fixture, gconstpointer unused)
{
    fixture->endpoint.ca_file = "/etc/passwd";

    assert_fails(fixture, SPOKE_CAUSE_CERTIFICATE, "holds no certificate");
}

static void
test_fails_with_wrong_key(Fixture *fixture, gconstpointer unused)
{
    fixture->key = OTHER_KEY;

    assert_fails(fixture, SPOKE_CAUSE_AUTHENTICATION_FAILED, "CONNACK 5");
}

static void
test_fails_when_unavailable(Fixture *fixture, gconstpointer unused)
{
    do_ctl("fault", "refuse", "code=3");

    assert_fails(fixture, SPOKE_CAUSE_UNAVAILABLE, "CONNACK 3");
}

static void
test_fails_without_tls(Fixture *fixture, gconstpointer unused)
{
    do_ctl("fault", "refuse-tcp", NULL);

    assert_fails(fixture, SPOKE_CAUSE_TLS, "");
}

static void
test_fails_on_silence(Fixture *fixture, gconstpointer unused)
{
    do_ctl("fault", "black-hole", NULL);
    fixture->endpoint.connect_timeout_sec = 1;

    assert_fails(fixture, SPOKE_CAUSE_TLS, "handshake");
}

static void
test_free_while_connecting(Fixture *fixture, gconstpointer unused)
{
    open_it(fixture);
    free_it(fixture);

    open_it(fixture); /* opened() comes, attach() is called */
    while (g_main_context_iteration(NULL, FALSE))
        ;
    free_it(fixture);
    connect_it(fixture);

    g_assert_false(fixture->is_closed);
}

static void
test_close_before_login(Fixture *fixture, gconstpointer unused)
{
    fixture->transport = module->create(&fixture->endpoint, &events, fixture);

    module->close(fixture->transport);
    wait_for(&fixture->is_closed);

    g_assert_cmpint(fixture->cause, ==, SPOKE_CAUSE_CLOSED);
}

static void
test_close_says_goodbye(Fixture *fixture, gconstpointer unused)
{
    connect_it(fixture);

    module->close(fixture->transport);
    wait_for(&fixture->is_closed);

    g_assert_cmpint(fixture->cause, ==, SPOKE_CAUSE_CLOSED);
    g_autofree char *device = ctl("--json", "device", "dev1", NULL);
    g_assert_nonnull(strstr(device, "\"client-disconnect\""));
}

/* Losing a connection */

static void
test_lost_when_dropped(Fixture *fixture, gconstpointer unused)
{
    connect_it(fixture);

    do_ctl("fault", "drop", NULL);
    wait_for(&fixture->is_closed);

    g_assert_cmpstr(spoke_cause_to_string(fixture->cause), ==, "ClosedByHub");
}

static void
test_lost_when_silent(Fixture *fixture, gconstpointer unused)
{
    fixture->endpoint.keepalive_sec = 1;
    connect_it(fixture);

    do_ctl("fault", "black-hole", NULL);
    wait_for(&fixture->is_closed);

    g_assert_cmpstr(spoke_cause_to_string(fixture->cause), ==, "KeepAlive");
}

/* Sending */

static void
test_send_many(Fixture *fixture, gconstpointer unused)
{
    g_autoptr(GByteArray) properties = g_byte_array_new();

    spoke_properties_append(properties, "k ey", "v&l=é/#+");
    fixture->message =
        spoke_message_new(NULL, 0, properties->data, properties->len, "temperature 23", 14);
    do_ctl("clear", NULL, NULL);
    fixture->n_to_send = 3000;
    connect_it(fixture);

    send_more(fixture);
    wait_until(&fixture->n_accepted, 3000);

    g_autofree char *last = ctl("--json", "messages", "--limit", "10000", NULL);
    g_assert_nonnull(strstr(last, "\"made-3000\""));
    g_assert_nonnull(strstr(last, "\"made-1\""));
    g_assert_nonnull(strstr(last, "\"v&l=é/#+\""));
    g_assert_nonnull(strstr(last, "\"temperature 23\""));
}

/* As large as a message may be: paho writes it in one go or stalls. */
static void
test_send_large(Fixture *fixture, gconstpointer unused)
{
    g_autofree char *body = g_malloc0(SPOKE_MESSAGE_BYTES_MAX - 100);

    fixture->message = spoke_message_new(NULL, 0, NULL, 0, body, SPOKE_MESSAGE_BYTES_MAX - 100);
    connect_it(fixture);

    for (guint i = 1; i <= 10; i++) {
        fixture->n_to_send = i;
        send_more(fixture);
        wait_until(&fixture->n_accepted, i);
    }
}

static void
test_send_what_cannot_be_sent(Fixture *fixture, gconstpointer unused)
{
    g_autoptr(GByteArray) properties = g_byte_array_new();
    g_autofree char *value = g_strnfill(30000, '%');

    spoke_properties_append(properties, "k", value);
    fixture->message = spoke_message_new(NULL, 0, properties->data, properties->len, NULL, 0);
    fixture->n_to_send = 1;
    connect_it(fixture);

    send_more(fixture);
    wait_until(&fixture->n_rejected, 1);

    g_assert_false(fixture->is_closed);
}

/* Receiving */

static const char *
find_property(SpokeMessage *message, const char *name)
{
    return spoke_properties_lookup(spoke_message_properties(message), message->properties_size,
                                   name);
}

static void
test_arrival_is_completed_when_settled(Fixture *fixture, gconstpointer unused)
{
    g_autofree char *id = ctl("send", "dev1", "set point 21", "--message-id", "a1", "--property",
                              "k ey=v&l=é", "--content-type", "text/plain", NULL);

    connect_it(fixture);
    wait_until(&fixture->n_arrived, 1);

    g_assert_cmpmem(spoke_message_body(fixture->arrived), fixture->arrived->body_size,
                    "set point 21", 12);
    g_assert_cmpstr(spoke_message_lookup_system(fixture->arrived, SPOKE_PROPERTY_MESSAGE_ID), ==,
                    "a1");
    g_assert_cmpstr(spoke_message_lookup_system(fixture->arrived, SPOKE_PROPERTY_CONTENT_TYPE), ==,
                    "text/plain");
    g_assert_cmpstr(find_property(fixture->arrived, "k ey"), ==, "v&l=é");
    assert_fate("a1", "Invisible");
    module->settle(fixture->transport, fixture->token, SPOKE_VERDICT_ACCEPT);
    wait_for_completion("a1");
}

/* Else nothing would come until the next connection, with nobody the wiser. */
static void
test_refused_subscription_ends_the_connection(Fixture *fixture, gconstpointer unused)
{
    do_ctl("fault", "refuse-subscribe", NULL);

    connect_it(fixture);
    wait_for(&fixture->is_closed);

    g_assert_cmpstr(spoke_cause_to_string(fixture->cause), ==, "Protocol");
    g_assert_nonnull(strstr(fixture->detail, "refuses the subscription"));
}

static void
test_arrival_one_by_one(Fixture *fixture, gconstpointer unused)
{
    for (guint i = 0; i < 5; i++)
        do_ctl("send", "dev1", "x");
    connect_it(fixture);

    for (guint i = 1; i <= 5; i++) {
        wait_until(&fixture->n_arrived, i);
        module->settle(fixture->transport, fixture->token, SPOKE_VERDICT_ACCEPT);
    }
}

/* Telemetry goes on once the message is dealt with. */
static void
test_arrival_among_telemetry(Fixture *fixture, gconstpointer unused)
{
    fixture->message = spoke_message_new(NULL, 0, NULL, 0, "x", 1);
    fixture->n_to_send = 2000;
    connect_it(fixture);
    do_ctl("send", "dev1", "x");

    wait_until(&fixture->n_arrived, 1);
    send_more(fixture);
    module->settle(fixture->transport, fixture->token, SPOKE_VERDICT_ACCEPT);

    wait_until(&fixture->n_accepted, 2000);
}

static void
test_arrival_released_is_not_completed(Fixture *fixture, gconstpointer unused)
{
    g_autofree char *id = ctl("send", "dev1", "x", "--message-id", "r1", NULL);

    connect_it(fixture);
    wait_until(&fixture->n_arrived, 1);
    module->settle(fixture->transport, fixture->token, SPOKE_VERDICT_RELEASE);
    wait_for(&fixture->is_closed);

    g_assert_cmpstr(spoke_cause_to_string(fixture->cause), ==, "Storage");
    assert_fate("r1", "Invisible");
}

static void
test_arrival_unsettled_at_close(Fixture *fixture, gconstpointer unused)
{
    g_autofree char *id = ctl("send", "dev1", "x", "--message-id", "c1", NULL);

    connect_it(fixture);
    wait_until(&fixture->n_arrived, 1);
    module->close(fixture->transport);
    wait_for(&fixture->is_closed);

    assert_fate("c1", "Invisible");
}

static void
test_arrival_unsettled_at_free(Fixture *fixture, gconstpointer unused)
{
    g_autofree char *id = ctl("send", "dev1", "x", "--message-id", "f1", NULL);

    connect_it(fixture);
    wait_until(&fixture->n_arrived, 1);
    free_it(fixture);
    fixture->is_attached = FALSE;
    connect_it(fixture); /* after the worker got rid of the first one */

    assert_fate("f1", "Invisible");
}

static void
test_receive_off_leaves_messages(Fixture *fixture, gconstpointer unused)
{
    connect_it(fixture);
    module->receive(fixture->transport, fixture->identity, FALSE);
    fixture->message = spoke_message_new(NULL, 0, NULL, 0, "x", 1);
    fixture->n_to_send = 1;
    send_more(fixture); /* is acknowledged after the unsubscription */
    wait_until(&fixture->n_accepted, 1);
    g_autofree char *id = ctl("send", "dev1", "x", "--message-id", "o1", NULL);
    fixture->n_to_send = 2;
    send_more(fixture);
    wait_until(&fixture->n_accepted, 2);

    g_assert_cmpuint(fixture->n_arrived, ==, 0);
    assert_fate("o1", "Enqueued");
    module->receive(fixture->transport, fixture->identity, TRUE);
    wait_until(&fixture->n_arrived, 1);
}

static void
add(const char *path, void (*test)(Fixture *, gconstpointer))
{
    g_test_add(path, Fixture, NULL, set_up, test, tear_down);
}

int
main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;

    g_test_init(&argc, &argv, NULL);
    module = spoke_module_load(g_getenv("SPOKE_TRANSPORT_DIR"), "mqtt", &error);
    g_assert_no_error(error);
    start_hub();
    add("/mqtt/fails/without-address", test_fails_without_address);
    add("/mqtt/fails/on-closed-port", test_fails_on_closed_port);
    add("/mqtt/fails/with-foreign-ca", test_fails_with_foreign_ca);
    add("/mqtt/fails/with-wrong-name", test_fails_with_wrong_name);
    add("/mqtt/fails/without-ca-file", test_fails_without_ca_file);
    add("/mqtt/fails/with-empty-ca-file", test_fails_with_empty_ca_file);
    add("/mqtt/fails/with-wrong-key", test_fails_with_wrong_key);
    add("/mqtt/fails/when-unavailable", test_fails_when_unavailable);
    add("/mqtt/fails/without-tls", test_fails_without_tls);
    add("/mqtt/fails/on-silence", test_fails_on_silence);
    add("/mqtt/free/while-connecting", test_free_while_connecting);
    add("/mqtt/close/before-login", test_close_before_login);
    add("/mqtt/close/says-goodbye", test_close_says_goodbye);
    add("/mqtt/lost/when-dropped", test_lost_when_dropped);
    add("/mqtt/lost/when-silent", test_lost_when_silent);
    add("/mqtt/send/many", test_send_many);
    add("/mqtt/send/large", test_send_large);
    add("/mqtt/send/what-cannot-be-sent", test_send_what_cannot_be_sent);
    add("/mqtt/arrival/is-completed-when-settled", test_arrival_is_completed_when_settled);
    add("/mqtt/arrival/refused-subscription-ends-the-connection",
        test_refused_subscription_ends_the_connection);
    add("/mqtt/arrival/one-by-one", test_arrival_one_by_one);
    add("/mqtt/arrival/among-telemetry", test_arrival_among_telemetry);
    add("/mqtt/arrival/released-is-not-completed", test_arrival_released_is_not_completed);
    add("/mqtt/arrival/unsettled-at-close", test_arrival_unsettled_at_close);
    add("/mqtt/arrival/unsettled-at-free", test_arrival_unsettled_at_free);
    add("/mqtt/receive/off-leaves-messages", test_receive_off_leaves_messages);

    int r = g_test_run();

    stop_hub();
    return r;
}
