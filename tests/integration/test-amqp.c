/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib/gstdio.h>
#include <gnutls/x509.h>
#include <json-glib/json-glib.h>
#include <string.h>
#include <sys/wait.h>

#include <gio/gio.h>

#include "daemon/module.h"
#include "daemon/properties.h"
#include "daemon/sas.h"

/*
 * The AMQP module alone, as the daemon loads it, against iothub-emulator over TLS, in both its
 * forms: what a connection and an identity are told when they fail, what becomes of messages both
 * ways, and many identities on one connection. One hub serves all tests; it listens on 127.0.0.2
 * as well, a name that is not in its certificate.
 */

#define KEY       "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
#define OTHER_KEY "AAEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="

#define N_MANY 200

#define DEADLINE_USEC (20 * G_USEC_PER_SEC)

/* The hub */

typedef struct {
    char *directory;
    GPid pid;
    guint16 amqp_port;
    guint16 https_port;
    char *control_port;
    char *ca_file;
    char *certificate_file; /* of the device "cert1", with its key */
} Hub;

static Hub hub;
static const SpokeTransportModule *module; /* the form that is tested now */

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

    hub.amqp_port = (guint16)read_number(object, "amqpPort");
    hub.https_port = (guint16)read_number(object, "httpsPort");
    hub.control_port = g_strdup_printf("%" G_GINT64_FORMAT, read_number(object, "controlPort"));
    hub.ca_file = g_strdup(json_object_get_string_member(object, "caFile"));
}

/* A certificate signed by its own key, as a device makes one. (transfer full): its thumbprint */
static char *
make_certificate(void)
{
    gnutls_x509_privkey_t key = NULL;
    gnutls_x509_crt_t certificate = NULL;
    gnutls_datum_t key_pem = {0}, certificate_pem = {0};
    guint8 thumbprint[32];
    size_t size = sizeof thumbprint;
    time_t now = time(NULL);

    gnutls_x509_privkey_init(&key);
    gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA,
                                 GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
    gnutls_x509_crt_init(&certificate);
    gnutls_x509_crt_set_version(certificate, 3);
    gnutls_x509_crt_set_serial(certificate, "\1", 1);
    gnutls_x509_crt_set_dn_by_oid(certificate, GNUTLS_OID_X520_COMMON_NAME, 0, "cert1", 5);
    gnutls_x509_crt_set_activation_time(certificate, now - 60);
    gnutls_x509_crt_set_expiration_time(certificate, now + 3600);
    gnutls_x509_crt_set_key(certificate, key);
    g_assert_cmpint(gnutls_x509_crt_sign2(certificate, certificate, key, GNUTLS_DIG_SHA256, 0), ==,
                    0);
    gnutls_x509_crt_export2(certificate, GNUTLS_X509_FMT_PEM, &certificate_pem);
    gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, &key_pem);
    gnutls_x509_crt_get_fingerprint(certificate, GNUTLS_DIG_SHA256, thumbprint, &size);

    g_autofree char *pem = g_strdup_printf("%s%s", certificate_pem.data, key_pem.data);

    hub.certificate_file = g_build_filename(hub.directory, "cert1.pem", NULL);
    g_assert_true(g_file_set_contents(hub.certificate_file, pem, -1, NULL));
    gnutls_free(certificate_pem.data);
    gnutls_free(key_pem.data);
    gnutls_x509_crt_deinit(certificate);
    gnutls_x509_privkey_deinit(key);

    GString *hex = g_string_new(NULL);

    for (guint i = 0; i < size; i++)
        g_string_append_printf(hex, "%02X", thumbprint[i]);
    return g_string_free(hex, FALSE);
}

/* dev1 with a module, dev2, and the gateway's. */
static void
write_devices(void)
{
    g_autofree char *path = g_build_filename(hub.directory, "devices", NULL);
    g_autoptr(GString) text = g_string_new(
        "[{\"deviceId\":\"dev1\",\"primaryKey\":\"" KEY "\",\"modules\":[{\"moduleId\":"
        "\"mod1\",\"primaryKey\":\"" KEY "\"}]},{\"deviceId\":\"dev2\",\"primaryKey\":\"" KEY
        "\"},{\"deviceId\":\"g%41\",\"primaryKey\":\"" KEY
        "\"},{\"deviceId\":\"hA\",\"primaryKey\":\"" KEY "\"}");

    for (guint i = 0; i < N_MANY; i++)
        g_string_append_printf(text, ",{\"deviceId\":\"many-%u\",\"primaryKey\":\"" KEY "\"}", i);
    g_string_append(text, "]");
    g_assert_true(g_file_set_contents(path, text->str, -1, NULL));
}

static void
start_hub(void)
{
    hub.directory = g_dir_make_tmp("spoke-amqp-XXXXXX", NULL);
    write_devices();

    g_autofree char *ready = g_build_filename(hub.directory, "ready", NULL);
    g_autofree char *devices = g_build_filename(hub.directory, "devices", NULL);
    g_autofree char *thumbprint = make_certificate();
    g_autofree char *with_certificate = g_strconcat("cert1;x509=", thumbprint, NULL);
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
                                with_certificate,
                                "--devices",
                                devices,
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
    g_free(hub.certificate_file);
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

/* A transport and the identities on it */

typedef struct {
    SpokeIdentity *identity;
    const char *key;
    gboolean stays_out; /* not attached by on_opened() */

    guint n_attached;
    guint n_detached;
    SpokeCause cause;
    char *detail;
    SpokeMessage *arrived; /* the last one */
    gpointer token;
    guint n_arrived;
} Person;

typedef struct {
    SpokeTransport *transport; /* NULL once freed */
    SpokeEndpoint endpoint;
    Person self;
    Person others[N_MANY];
    guint n_others;

    gboolean is_opened;
    gboolean is_closed;
    SpokeCause cause;
    char *detail;
    guint n_attached; /* in all */
    guint n_accepted;
    guint n_rejected;
    char *rejected_detail; /* of the last one */
    guint n_released;
    guint n_sent; /* of n_to_send */
    guint n_to_send;
    SpokeMessage *message; /* what send_more() sends */
} Fixture;

static Person *
find_person(Fixture *fixture, SpokeIdentity *identity)
{
    if (identity == fixture->self.identity)
        return &fixture->self;
    for (guint i = 0; i < fixture->n_others; i++)
        if (fixture->others[i].identity == identity)
            return &fixture->others[i];
    g_assert_not_reached();
}

static Person *
add_other(Fixture *fixture, const char *device_id, const char *module_id)
{
    Person *other = &fixture->others[fixture->n_others++];

    *other = (Person){
        .identity = spoke_identity_new(device_id, "localhost", device_id, module_id),
        .key = KEY,
    };
    return other;
}

static void
send_more(Fixture *fixture)
{
    while (fixture->n_sent < fixture->n_to_send &&
           fixture->n_sent - fixture->n_accepted - fixture->n_rejected < module->window) {
        g_autofree char *id = g_strdup_printf("made-%u", ++fixture->n_sent);
        const SpokeOutgoing outgoing = {.message = fixture->message, .message_id = id};

        module->send(fixture->transport, fixture->self.identity, &outgoing, 1);
    }
}

static void
attach(Fixture *fixture, Person *person)
{
    const SpokeIdentity *identity = person->identity;
    gsize size = 0;
    g_autofree guchar *bytes = g_base64_decode(person->key, &size);
    g_autoptr(SpokeSecret) key = spoke_secret_new(bytes, size);
    g_autofree char *resource =
        identity->module_id != NULL
            ? g_strdup_printf("%s/devices/%s/modules/%s", identity->hub, identity->device_id,
                              identity->module_id)
            : g_strdup_printf("%s/devices/%s", identity->hub, identity->device_id);
    g_autoptr(SpokeSecret) token =
        spoke_sas_sign(key, resource, g_get_real_time() / G_USEC_PER_SEC + 3600, NULL, NULL);

    module->attach(fixture->transport, person->identity, token);
}

static void
on_opened(gpointer user_data)
{
    Fixture *fixture = user_data;

    fixture->is_opened = TRUE;
    if (fixture->endpoint.certificate_file != NULL)
        module->attach(fixture->transport, fixture->self.identity, NULL);
    else if (!fixture->self.stays_out)
        attach(fixture, &fixture->self);
    for (guint i = 0; i < fixture->n_others; i++)
        if (!fixture->others[i].stays_out)
            attach(fixture, &fixture->others[i]);
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

    find_person(fixture, identity)->n_attached++;
    fixture->n_attached++;
}

static void
on_detached(SpokeIdentity *identity, SpokeCause cause, const char *detail, gint64 wait_usec,
            gpointer user_data)
{
    Person *person = find_person(user_data, identity);

    person->n_detached++;
    person->cause = cause;
    g_free(person->detail);
    person->detail = g_strdup(detail);
}

static void
on_settled(SpokeIdentity *identity, const SpokeSettlement *settlements, guint n, gpointer user_data)
{
    Fixture *fixture = user_data;

    for (guint i = 0; i < n; i++) {
        if (settlements[i].verdict == SPOKE_VERDICT_ACCEPT) {
            fixture->n_accepted++;
        } else if (settlements[i].verdict == SPOKE_VERDICT_RELEASE) {
            fixture->n_released++;
        } else {
            fixture->n_rejected++;
            g_free(fixture->rejected_detail);
            fixture->rejected_detail = g_strdup(settlements[i].detail);
        }
    }
    if (fixture->transport != NULL)
        send_more(fixture);
}

static void
on_arrived(SpokeIdentity *identity, SpokeMessage *message, gpointer token, gpointer user_data)
{
    Person *person = find_person(user_data, identity);

    g_clear_pointer(&person->arrived, spoke_message_unref);
    person->arrived = spoke_message_ref(message);
    person->token = token;
    person->n_arrived++;
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
    wait_until(&fixture->self.n_attached, 1);
}

static void
connect_to_receive(Fixture *fixture)
{
    connect_it(fixture);
    module->receive(fixture->transport, fixture->self.identity, TRUE);
}

static void
free_it(Fixture *fixture)
{
    module->free(g_steal_pointer(&fixture->transport));
}

/* What has been asked for reaches the hub: a message sent then is taken. */
static void
go_there_and_back(Fixture *fixture)
{
    if (fixture->message == NULL)
        fixture->message = spoke_message_new(NULL, 0, NULL, 0, "x", 1);
    fixture->n_to_send++;
    send_more(fixture);
    wait_until(&fixture->n_accepted, fixture->n_to_send);
}

static void
set_up(Fixture *fixture, gconstpointer form)
{
    module = form;
    fixture->self.identity = spoke_identity_new("self", "localhost", "dev1", NULL);
    fixture->self.key = KEY;
    fixture->endpoint = (SpokeEndpoint){
        .host = "localhost",
        .port = g_str_equal(module->name, "amqp") ? hub.amqp_port : hub.https_port,
        .ca_file = hub.ca_file,
        .keepalive_sec = 180,
        .connect_timeout_sec = 20,
        .product = "spoked/test",
    };
}

static void
person_clear(Person *person)
{
    spoke_identity_unref(person->identity);
    g_clear_pointer(&person->arrived, spoke_message_unref);
    g_free(person->detail);
}

static void
tear_down(Fixture *fixture, gconstpointer unused)
{
    do_ctl("clear-faults", NULL, NULL);
    if (fixture->transport != NULL)
        free_it(fixture);
    while (g_main_context_iteration(NULL, FALSE))
        ;
    person_clear(&fixture->self);
    for (guint i = 0; i < fixture->n_others; i++)
        person_clear(&fixture->others[i]);
    g_clear_pointer(&fixture->message, spoke_message_unref);
    g_free(fixture->detail);
    g_free(fixture->rejected_detail);
    do_ctl("purge", "dev1", NULL);
}

static void
assert_cause(SpokeCause cause, const char *detail, SpokeCause expected, const char *part)
{
    g_assert_cmpstr(spoke_cause_to_string(cause), ==, spoke_cause_to_string(expected));
    g_assert_nonnull(detail);
    if (strstr(detail, part) == NULL)
        g_error("\"%s\" does not say \"%s\"", detail, part);
}

static void
assert_fails(Fixture *fixture, SpokeCause cause, const char *detail)
{
    open_it(fixture);
    wait_for(&fixture->is_closed);

    assert_cause(fixture->cause, fixture->detail, cause, detail);
    g_assert_false(fixture->is_opened);
}

static void
assert_stays_out(Fixture *fixture, Person *person, SpokeCause cause, const char *detail)
{
    wait_until(&person->n_detached, 1);

    assert_cause(person->cause, person->detail, cause, detail);
    g_assert_cmpuint(person->n_attached, ==, 0);
    g_assert_false(fixture->is_closed);
}

/* "Completed", "Invisible", … The hub hears of a settlement a moment after we sent it. */
static void
wait_for_fate(const char *message_id, const char *state)
{
    gint64 end_usec = g_get_monotonic_time() + DEADLINE_USEC;
    g_autofree char *expected = g_strdup_printf("\"%s\"", state);

    for (;;) {
        g_autofree char *fate = ctl("--json", "fate", "dev1", message_id, NULL);

        if (strstr(fate, expected) != NULL)
            return;
        if (g_get_monotonic_time() > end_usec)
            g_error("%s is not %s: %s", message_id, state, fate);
        g_main_context_iteration(NULL, FALSE);
        g_usleep(10000);
    }
}

/* A proxy in this program: it tunnels, if it is told the right password, and counts. */

typedef struct {
    GSocketService *service;
    guint16 port;
    guint n_tunnels;
    const char *answer; /* in place of a tunnel */
} Proxy;

static Proxy proxy;

#define PROXY_LOGIN "Proxy-Authorization: Basic YW5uOmbDvHI6ZQ==\r\n" /* ann, für:e */

typedef struct {
    GSocketConnection *from;
    GSocketConnection *to;
} Way;

/* Until @from is through, which @to is told. */
static gpointer
carry(gpointer data)
{
    const Way *way = data;

    g_output_stream_splice(g_io_stream_get_output_stream(G_IO_STREAM(way->to)),
                           g_io_stream_get_input_stream(G_IO_STREAM(way->from)),
                           G_OUTPUT_STREAM_SPLICE_NONE, NULL, NULL);
    g_socket_shutdown(g_socket_connection_get_socket(way->to), TRUE, TRUE, NULL);
    g_socket_shutdown(g_socket_connection_get_socket(way->from), TRUE, TRUE, NULL);
    return NULL;
}

static void
say(GSocketConnection *client, const char *answer)
{
    g_output_stream_write_all(g_io_stream_get_output_stream(G_IO_STREAM(client)), answer,
                              strlen(answer), NULL, NULL, NULL);
}

/* FALSE: it hung up */
static gboolean
read_request(GSocketConnection *client, char *request, gsize size)
{
    GInputStream *input = g_io_stream_get_input_stream(G_IO_STREAM(client));
    gsize used = 0;

    for (request[0] = '\0'; strstr(request, "\r\n\r\n") == NULL; request[used] = '\0') {
        gssize n = g_input_stream_read(input, request + used, size - 1 - used, NULL, NULL);

        if (n <= 0)
            return FALSE;
        used += (gsize)n;
    }
    return TRUE;
}

/* On a thread of its own. */
static gboolean
on_proxy_client(GThreadedSocketService *service, GSocketConnection *client, GObject *source,
                gpointer unused)
{
    g_autoptr(GSocketClient) socket_client = g_socket_client_new();
    const char *answer = g_atomic_pointer_get(&proxy.answer);
    char request[2048];
    char host[256];

    if (!read_request(client, request, sizeof request))
        return TRUE;
    if (answer == NULL && strstr(request, PROXY_LOGIN) == NULL)
        answer = "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n";
    if (answer != NULL) {
        say(client, answer);
        return TRUE;
    }

    g_assert_cmpint(sscanf(request, "CONNECT %255s HTTP/1.1\r\n", host), ==, 1);
    g_socket_client_set_enable_proxy(socket_client, FALSE);
    g_autoptr(GSocketConnection) target =
        g_socket_client_connect_to_host(socket_client, host, 0, NULL, NULL);
    Way up = {client, target};
    Way down = {target, client};

    g_assert_nonnull(target);
    say(client, "HTTP/1.1 200 OK\r\nVia: test\r\n\r\n");
    g_atomic_int_inc(&proxy.n_tunnels);
    GThread *thread = g_thread_new("down", carry, &down);
    carry(&up);
    g_thread_join(thread);
    return TRUE;
}

static void
start_proxy(void)
{
    proxy.service = g_threaded_socket_service_new(8);
    proxy.port = g_socket_listener_add_any_inet_port(G_SOCKET_LISTENER(proxy.service), NULL, NULL);
    g_signal_connect(proxy.service, "run", G_CALLBACK(on_proxy_client), NULL);
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
test_fails_with_bad_client_certificate(Fixture *fixture, gconstpointer unused)
{
    fixture->endpoint.certificate_file = "/etc/passwd";
    fixture->endpoint.key_file = "/etc/passwd";

    assert_fails(fixture, SPOKE_CAUSE_CREDENTIALS, "/etc/passwd");
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

    open_it(fixture);
    wait_for(&fixture->is_closed);

    g_assert_true(fixture->cause == SPOKE_CAUSE_TLS || fixture->cause == SPOKE_CAUSE_PROTOCOL);
    g_assert_nonnull(strstr(fixture->detail, "within 1 seconds"));
}

static void
test_fails_on_other_protocol(Fixture *fixture, gconstpointer unused)
{
    gboolean is_native = fixture->endpoint.port == hub.amqp_port;

    fixture->endpoint.port = is_native ? hub.https_port : hub.amqp_port;

    open_it(fixture);
    wait_for(&fixture->is_closed);

    /* The HTTP server doesn't say a word to what is not HTTP. */
    g_assert_true(fixture->cause == SPOKE_CAUSE_PROTOCOL ||
                  (is_native && fixture->cause == SPOKE_CAUSE_CLOSED_BY_HUB));
    g_assert_nonnull(fixture->detail);
}

static void
test_free_while_connecting(Fixture *fixture, gconstpointer unused)
{
    for (guint turns = 0; turns < 200; turns += 1 + turns / 8) {
        open_it(fixture);
        for (guint i = 0; i < turns; i++)
            g_main_context_iteration(NULL, FALSE);
        free_it(fixture);
    }
    fixture->self.n_attached = 0;
    connect_it(fixture);

    g_assert_false(fixture->is_closed);
}

static void
test_close_before_open(Fixture *fixture, gconstpointer unused)
{
    fixture->transport = module->create(&fixture->endpoint, &events, fixture);

    module->close(fixture->transport);
    wait_for(&fixture->is_closed);

    g_assert_cmpint(fixture->cause, ==, SPOKE_CAUSE_CLOSED);
}

static void
test_close_while_connecting(Fixture *fixture, gconstpointer unused)
{
    open_it(fixture);

    module->close(fixture->transport);
    wait_for(&fixture->is_closed);

    g_assert_cmpint(fixture->cause, ==, SPOKE_CAUSE_CLOSED);
    g_assert_false(fixture->is_opened);
}

static void
test_close_says_goodbye(Fixture *fixture, gconstpointer unused)
{
    connect_it(fixture);
    go_there_and_back(fixture);

    module->close(fixture->transport);
    wait_for(&fixture->is_closed);

    g_assert_cmpint(fixture->cause, ==, SPOKE_CAUSE_CLOSED);
    g_autofree char *device = ctl("--json", "device", "dev1", NULL);
    g_assert_nonnull(strstr(device, "\"client-detach\""));
}

static void
test_close_does_not_wait_for_ever(Fixture *fixture, gconstpointer unused)
{
    connect_it(fixture);
    do_ctl("fault", "black-hole", NULL);
    gint64 start_usec = g_get_monotonic_time();

    module->close(fixture->transport);
    wait_for(&fixture->is_closed);

    g_assert_cmpint(fixture->cause, ==, SPOKE_CAUSE_CLOSED);
    g_assert_cmpint(g_get_monotonic_time() - start_usec, <, 5 * G_USEC_PER_SEC);
}

/* Losing a connection */

static void
test_lost_when_dropped(Fixture *fixture, gconstpointer unused)
{
    connect_it(fixture);
    go_there_and_back(fixture);

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

static void
test_lives_by_heartbeats(Fixture *fixture, gconstpointer unused)
{
    gint64 end_usec = g_get_monotonic_time() + 5 * G_USEC_PER_SEC;
    guint tick = g_timeout_add(100, on_tick, NULL);

    fixture->endpoint.keepalive_sec = 1;
    connect_it(fixture);
    while (g_get_monotonic_time() < end_usec)
        g_main_context_iteration(NULL, TRUE);
    g_source_remove(tick);

    g_assert_false(fixture->is_closed);
    go_there_and_back(fixture);
}

/* Through a proxy */

static void
set_proxy(Fixture *fixture, SpokeProxy *through, const char *password)
{
    *through = (SpokeProxy){.host = "127.0.0.1", .port = proxy.port};
    if (password != NULL) {
        through->user = "ann";
        through->password = spoke_secret_new(password, strlen(password));
    }
    fixture->endpoint.proxy = through;
    proxy.n_tunnels = 0;
    g_atomic_pointer_set(&proxy.answer, NULL);
}

static void
test_proxy_carries_all(Fixture *fixture, gconstpointer unused)
{
    SpokeProxy through;

    set_proxy(fixture, &through, "für:e");
    connect_it(fixture);
    go_there_and_back(fixture);

    g_assert_cmpuint(proxy.n_tunnels, ==, 1);
    spoke_secret_unref(through.password);
}

static void
test_proxy_wants_password(Fixture *fixture, gconstpointer unused)
{
    SpokeProxy through;

    set_proxy(fixture, &through, NULL);

    assert_fails(fixture, SPOKE_CAUSE_PROXY, "status 407: it wants a user and password");
}

static void
test_proxy_cannot(Fixture *fixture, gconstpointer unused)
{
    SpokeProxy through;

    set_proxy(fixture, &through, NULL);
    g_atomic_pointer_set(&proxy.answer, "HTTP/1.0 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n");

    assert_fails(fixture, SPOKE_CAUSE_PROXY, "answered CONNECT with status 502");
}

static void
test_proxy_talks_nonsense(Fixture *fixture, gconstpointer unused)
{
    SpokeProxy through;

    set_proxy(fixture, &through, NULL);
    g_atomic_pointer_set(&proxy.answer, "220 mail ESMTP\r\n\r\n");

    assert_fails(fixture, SPOKE_CAUSE_PROXY, "not HTTP");
}

static void
test_proxy_is_away(Fixture *fixture, gconstpointer unused)
{
    SpokeProxy through;

    set_proxy(fixture, &through, NULL);
    through.port = 1;

    assert_fails(fixture, SPOKE_CAUSE_PROXY, "Connection refused");
}

/* What the machine's environment says is not for us to follow: see main(). */
static void
test_proxy_of_environment_is_ignored(Fixture *fixture, gconstpointer unused)
{
    connect_it(fixture);

    go_there_and_back(fixture);
}

/* With a certificate */

static void
set_certificate(Fixture *fixture)
{
    spoke_identity_unref(fixture->self.identity);
    fixture->self.identity = spoke_identity_new("self", "localhost", "cert1", NULL);
    fixture->endpoint.certificate_file = hub.certificate_file;
    fixture->endpoint.key_file = hub.certificate_file;
}

static void
test_certificate_logs_in(Fixture *fixture, gconstpointer unused)
{
    set_certificate(fixture);
    connect_to_receive(fixture);

    go_there_and_back(fixture);
    do_ctl("send", "cert1", "x");
    wait_until(&fixture->self.n_arrived, 1);
    module->settle(fixture->transport, fixture->self.token, SPOKE_VERDICT_ACCEPT);
    go_there_and_back(fixture);
}

static void
test_certificate_is_for_one(Fixture *fixture, gconstpointer unused)
{
    set_certificate(fixture);
    connect_it(fixture);
    Person *other = add_other(fixture, "dev1", NULL);

    attach(fixture, other);

    assert_stays_out(fixture, other, SPOKE_CAUSE_UNSUPPORTED, "one identity only");
    go_there_and_back(fixture);
}

static void
test_certificate_of_another(Fixture *fixture, gconstpointer unused)
{
    fixture->endpoint.certificate_file = hub.certificate_file;
    fixture->endpoint.key_file = hub.certificate_file;
    open_it(fixture);

    assert_stays_out(fixture, &fixture->self, SPOKE_CAUSE_AUTHENTICATION_FAILED, "");
}

/* Identities */

static void
test_attach_with_wrong_key(Fixture *fixture, gconstpointer unused)
{
    fixture->self.key = OTHER_KEY;
    Person *other = add_other(fixture, "dev2", NULL);
    open_it(fixture);

    assert_stays_out(fixture, &fixture->self, SPOKE_CAUSE_AUTHENTICATION_FAILED, "401");

    wait_until(&other->n_attached, 1);
    g_assert_cmpuint(other->n_detached, ==, 0);
}

static void
test_attach_with_hard_id(Fixture *fixture, gconstpointer unused)
{
    spoke_identity_unref(fixture->self.identity);
    fixture->self.identity = spoke_identity_new("self", "localhost", "g%41", NULL);
    connect_to_receive(fixture);

    go_there_and_back(fixture);
    do_ctl("send", "g%41", "x");
    wait_until(&fixture->self.n_arrived, 1);
    module->settle(fixture->transport, fixture->self.token, SPOKE_VERDICT_ACCEPT);
    go_there_and_back(fixture);
}

/* There is one called "hA". */
static void
test_attach_is_not_taken_for_another(Fixture *fixture, gconstpointer unused)
{
    spoke_identity_unref(fixture->self.identity);
    fixture->self.identity = spoke_identity_new("self", "localhost", "h%41", NULL);
    open_it(fixture);

    wait_until(&fixture->self.n_detached, 1);
    g_assert_cmpuint(fixture->self.n_attached, ==, 0);
}

static void
test_attach_unknown_device(Fixture *fixture, gconstpointer unused)
{
    fixture->self.stays_out = TRUE;
    Person *other = add_other(fixture, "nobody", NULL);
    open_it(fixture);

    wait_until(&other->n_detached, 1);

    g_assert_true(other->cause == SPOKE_CAUSE_NOT_FOUND ||
                  other->cause == SPOKE_CAUSE_AUTHENTICATION_FAILED);
}

static void
test_attach_disabled_device(Fixture *fixture, gconstpointer unused)
{
    g_autofree char *disabled = ctl("set-device", "dev1", "--status", "disabled", NULL);
    open_it(fixture);

    wait_until(&fixture->self.n_detached, 1);

    assert_cause(fixture->self.cause, fixture->self.detail, SPOKE_CAUSE_NOT_FOUND, "disabled");
    g_assert_false(fixture->is_closed);
    g_autofree char *enabled = ctl("set-device", "dev1", "--status", "enabled", NULL);
    attach(fixture, &fixture->self);
    wait_until(&fixture->self.n_attached, 1);
}

static void
test_attach_without_any_credential(Fixture *fixture, gconstpointer unused)
{
    connect_it(fixture);
    Person *other = add_other(fixture, "dev2", NULL);

    module->attach(fixture->transport, other->identity, NULL);

    assert_stays_out(fixture, other, SPOKE_CAUSE_UNSUPPORTED, "neither a token nor a certificate");
}

static void
test_attach_again_renews(Fixture *fixture, gconstpointer unused)
{
    connect_to_receive(fixture);
    go_there_and_back(fixture);
    do_ctl("send", "dev1", "x");
    wait_until(&fixture->self.n_arrived, 1);

    attach(fixture, &fixture->self);
    wait_until(&fixture->self.n_attached, 2);

    module->settle(fixture->transport, fixture->self.token, SPOKE_VERDICT_ACCEPT);
    go_there_and_back(fixture);
    g_assert_cmpuint(fixture->self.n_detached, ==, 0);
}

static void
test_attach_again_with_wrong_key(Fixture *fixture, gconstpointer unused)
{
    connect_it(fixture);
    go_there_and_back(fixture);

    fixture->self.key = OTHER_KEY;
    attach(fixture, &fixture->self);
    wait_until(&fixture->self.n_detached, 1);

    assert_cause(fixture->self.cause, fixture->self.detail, SPOKE_CAUSE_AUTHENTICATION_FAILED,
                 "401");
    g_assert_false(fixture->is_closed);
}

static void
test_attach_module(Fixture *fixture, gconstpointer unused)
{
    fixture->self.stays_out = TRUE;
    Person *other = add_other(fixture, "dev1", "mod1");
    const SpokeOutgoing outgoing = {.message_id = "from-mod1"};
    do_ctl("clear", NULL, NULL);
    open_it(fixture);
    wait_until(&other->n_attached, 1);

    fixture->message = spoke_message_new(NULL, 0, NULL, 0, "x", 1);
    SpokeOutgoing copy = outgoing;
    copy.message = fixture->message;
    module->send(fixture->transport, other->identity, &copy, 1);
    module->receive(fixture->transport, other->identity, TRUE); /* does nothing */
    wait_until(&fixture->n_accepted, 1);

    g_autofree char *messages = ctl("--json", "messages", NULL);
    g_assert_nonnull(strstr(messages, "\"mod1\""));
    g_assert_nonnull(strstr(messages, "\"from-mod1\""));
    g_assert_cmpuint(other->n_detached, ==, 0);
}

static void
test_attach_many(Fixture *fixture, gconstpointer unused)
{
    char name[16];

    for (guint i = 0; i < N_MANY; i++) {
        g_snprintf(name, sizeof name, "many-%u", i);
        (void)add_other(fixture, name, NULL);
    }
    open_it(fixture);

    wait_until(&fixture->n_attached, N_MANY + 1);

    fixture->message = spoke_message_new(NULL, 0, NULL, 0, "x", 1);
    SpokeOutgoing outgoing = {.message = fixture->message, .message_id = "m"};
    for (guint i = 0; i < N_MANY; i++) {
        module->receive(fixture->transport, fixture->others[i].identity, TRUE);
        module->send(fixture->transport, fixture->others[i].identity, &outgoing, 1);
    }
    wait_until(&fixture->n_accepted, N_MANY);
    do_ctl("send", "many-77", "x");
    wait_until(&fixture->others[77].n_arrived, 1);
    module->settle(fixture->transport, fixture->others[77].token, SPOKE_VERDICT_ACCEPT);
}

static void
test_detach_leaves_others(Fixture *fixture, gconstpointer unused)
{
    Person *other = add_other(fixture, "dev2", NULL);
    connect_to_receive(fixture);
    wait_until(&other->n_attached, 1);
    SpokeMessage *message = spoke_message_new(NULL, 0, NULL, 0, "x", 1);
    const SpokeOutgoing outgoing = {.message = message};
    module->send(fixture->transport, other->identity, &outgoing, 1);
    wait_until(&fixture->n_accepted, 1);
    fixture->n_accepted = 0;

    module->detach(fixture->transport, other->identity);
    g_assert_cmpuint(other->n_detached, ==, 0);
    wait_until(&other->n_detached, 1);

    g_assert_cmpint(other->cause, ==, SPOKE_CAUSE_CLOSED);
    go_there_and_back(fixture);
    attach(fixture, other);
    wait_until(&other->n_attached, 2);
    module->send(fixture->transport, other->identity, &outgoing, 1);
    wait_until(&fixture->n_accepted, 2);
    spoke_message_unref(message);
}

static void
test_detach_while_attaching(Fixture *fixture, gconstpointer unused)
{
    open_it(fixture);
    wait_for(&fixture->is_opened);

    module->detach(fixture->transport, fixture->self.identity);
    wait_until(&fixture->self.n_detached, 1);

    fixture->self.n_attached = 0; /* it may have been faster */
    attach(fixture, &fixture->self);
    wait_until(&fixture->self.n_attached, 1);
}

static void
test_stolen_by_another(Fixture *fixture, gconstpointer unused)
{
    Fixture second = {0};

    connect_it(fixture);
    go_there_and_back(fixture);
    set_up(&second, module);
    connect_it(&second);
    go_there_and_back(&second);
    wait_until(&fixture->self.n_detached, 1);

    assert_cause(fixture->self.cause, fixture->self.detail, SPOKE_CAUSE_EVICTED, "stolen");
    g_assert_false(fixture->is_closed);
    tear_down(&second, NULL);
}

/* Sending */

static void
test_send_many(Fixture *fixture, gconstpointer unused)
{
    g_autoptr(GByteArray) properties = g_byte_array_new();
    g_autoptr(GByteArray) system = g_byte_array_new();

    spoke_properties_append(system, SPOKE_PROPERTY_CORRELATION_ID, "c/ä");
    spoke_properties_append(system, SPOKE_PROPERTY_CONTENT_TYPE, "text/plain");
    spoke_properties_append(properties, "k ey", "v&l=é/#+");
    fixture->message = spoke_message_new(system->data, system->len, properties->data,
                                         properties->len, "temperature 23", 14);
    do_ctl("clear", NULL, NULL);
    fixture->n_to_send = 20000;
    connect_it(fixture);

    send_more(fixture);
    wait_until(&fixture->n_accepted, 20000);

    g_autofree char *all = ctl("--json", "messages", "--limit", "10000", NULL);
    g_assert_nonnull(strstr(all, "\"made-20000\""));
    g_assert_nonnull(strstr(all, "\"made-10001\""));
    g_assert_nonnull(strstr(all, "\"v&l=é/#+\""));
    g_assert_nonnull(strstr(all, "\"c/ä\""));
    g_assert_nonnull(strstr(all, "\"text/plain\""));
    g_assert_nonnull(strstr(all, "\"temperature 23\""));
}

static void
test_send_large(Fixture *fixture, gconstpointer unused)
{
    g_autofree char *body = g_malloc0(SPOKE_MESSAGE_BYTES_MAX - 100);

    fixture->message = spoke_message_new(NULL, 0, NULL, 0, body, SPOKE_MESSAGE_BYTES_MAX - 100);
    fixture->n_to_send = 20;
    connect_it(fixture);

    send_more(fixture);
    wait_until(&fixture->n_accepted, 20);
}

/* The hub's limit; what stands around it is taken. */
static void
test_send_too_large(Fixture *fixture, gconstpointer unused)
{
    g_autofree char *body = g_malloc0(SPOKE_MESSAGE_BYTES_MAX + 1);
    g_autoptr(SpokeMessage) small = spoke_message_new(NULL, 0, NULL, 0, "x", 1);
    g_autoptr(SpokeMessage) large =
        spoke_message_new(NULL, 0, NULL, 0, body, SPOKE_MESSAGE_BYTES_MAX + 1);
    const SpokeOutgoing outgoing[] = {{.message = small}, {.message = large}, {.message = small}};
    connect_it(fixture);

    module->send(fixture->transport, fixture->self.identity, outgoing, 3);
    wait_until(&fixture->n_rejected, 1);
    wait_until(&fixture->n_accepted, 2);

    g_assert_nonnull(strstr(fixture->rejected_detail, "message-size-exceeded"));
    g_assert_cmpuint(fixture->self.n_detached, ==, 0);
}

static void
test_send_what_cannot_be_sent(Fixture *fixture, gconstpointer unused)
{
    g_autoptr(GByteArray) system = g_byte_array_new();
    spoke_properties_append(system, SPOKE_PROPERTY_CONTENT_TYPE, "té/xt");
    g_autoptr(SpokeMessage) bad = spoke_message_new(system->data, system->len, NULL, 0, "x", 1);
    g_autoptr(SpokeMessage) good = spoke_message_new(NULL, 0, NULL, 0, "x", 1);
    const SpokeOutgoing outgoing[] = {{.message = good}, {.message = bad}, {.message = good}};
    connect_it(fixture);

    module->send(fixture->transport, fixture->self.identity, outgoing, 3);
    wait_until(&fixture->n_rejected, 1);
    wait_until(&fixture->n_accepted, 2);

    g_assert_nonnull(strstr(fixture->rejected_detail, "content-type"));
}

static void
test_send_throttled(Fixture *fixture, gconstpointer unused)
{
    fixture->message = spoke_message_new(NULL, 0, NULL, 0, "x", 1);
    connect_it(fixture);
    do_ctl("fault", "throttle", "rate=1");
    fixture->n_to_send = 500; /* may pass as one */
    send_more(fixture);
    wait_until(&fixture->n_accepted, 500);

    fixture->n_to_send = 1000;
    send_more(fixture);
    wait_until(&fixture->self.n_detached, 1);

    assert_cause(fixture->self.cause, fixture->self.detail, SPOKE_CAUSE_THROTTLED, "throttled");
    g_assert_cmpuint(fixture->n_rejected, ==, 0);
    g_assert_false(fixture->is_closed);
}

static void
test_send_over_quota(Fixture *fixture, gconstpointer unused)
{
    fixture->message = spoke_message_new(NULL, 0, NULL, 0, "x", 1);
    fixture->n_to_send = 1;
    connect_it(fixture);
    do_ctl("fault", "quota", NULL);

    send_more(fixture);
    wait_until(&fixture->self.n_detached, 1);

    assert_cause(fixture->self.cause, fixture->self.detail, SPOKE_CAUSE_QUOTA_EXCEEDED, "");
    g_assert_cmpuint(fixture->n_rejected, ==, 0);
}

static void
test_send_then_free(Fixture *fixture, gconstpointer unused)
{
    fixture->message = spoke_message_new(NULL, 0, NULL, 0, "x", 1);
    fixture->n_to_send = 2000;
    connect_it(fixture);
    send_more(fixture);
    for (guint i = 0; i < 3; i++)
        g_main_context_iteration(NULL, FALSE);

    free_it(fixture);

    g_assert_cmpint(g_atomic_int_get(&fixture->message->ref_count), ==, 1);
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
    Person *self = &fixture->self;

    connect_to_receive(fixture);
    wait_until(&self->n_arrived, 1);

    g_assert_cmpmem(spoke_message_body(self->arrived), self->arrived->body_size, "set point 21",
                    12);
    g_assert_cmpstr(spoke_message_lookup_system(self->arrived, SPOKE_PROPERTY_MESSAGE_ID), ==,
                    "a1");
    g_assert_cmpstr(spoke_message_lookup_system(self->arrived, SPOKE_PROPERTY_CONTENT_TYPE), ==,
                    "text/plain");
    g_assert_cmpstr(find_property(self->arrived, "k ey"), ==, "v&l=é");
    wait_for_fate("a1", "Invisible");
    module->settle(fixture->transport, self->token, SPOKE_VERDICT_ACCEPT);
    go_there_and_back(fixture);
    wait_for_fate("a1", "Completed");
}

static void
test_arrival_is_dead_lettered_when_rejected(Fixture *fixture, gconstpointer unused)
{
    g_autofree char *id = ctl("send", "dev1", "x", "--message-id", "j1", NULL);

    connect_to_receive(fixture);
    wait_until(&fixture->self.n_arrived, 1);
    module->settle(fixture->transport, fixture->self.token, SPOKE_VERDICT_REJECT);
    go_there_and_back(fixture);

    wait_for_fate("j1", "DeadLettered");
}

static void
test_arrival_comes_again_when_released(Fixture *fixture, gconstpointer unused)
{
    g_autofree char *id = ctl("send", "dev1", "x", "--message-id", "r1", NULL);

    connect_to_receive(fixture);
    wait_until(&fixture->self.n_arrived, 1);
    module->settle(fixture->transport, fixture->self.token, SPOKE_VERDICT_RELEASE);
    wait_until(&fixture->self.n_arrived, 2);

    module->settle(fixture->transport, fixture->self.token, SPOKE_VERDICT_ACCEPT);
    go_there_and_back(fixture);
    wait_for_fate("r1", "Completed");
}

static void
test_arrival_among_telemetry(Fixture *fixture, gconstpointer unused)
{
    fixture->message = spoke_message_new(NULL, 0, NULL, 0, "x", 1);
    fixture->n_to_send = 5000;
    connect_to_receive(fixture);
    do_ctl("send", "dev1", "x");

    wait_until(&fixture->self.n_arrived, 1);
    send_more(fixture);
    module->settle(fixture->transport, fixture->self.token, SPOKE_VERDICT_ACCEPT);

    wait_until(&fixture->n_accepted, 5000);
}

static void
test_arrival_credit_is_bounded(Fixture *fixture, gconstpointer unused)
{
    for (guint i = 0; i < 40; i++)
        do_ctl("send", "dev1", "x");

    connect_to_receive(fixture);
    wait_until(&fixture->self.n_arrived, 16);
    go_there_and_back(fixture);

    g_assert_cmpuint(fixture->self.n_arrived, ==, 16);
    for (guint i = 17; i <= 40; i++) {
        module->settle(fixture->transport, fixture->self.token, SPOKE_VERDICT_ACCEPT);
        wait_until(&fixture->self.n_arrived, i);
    }
}

static void
test_arrival_settled_after_detach(Fixture *fixture, gconstpointer unused)
{
    do_ctl("send", "dev1", "x");
    connect_to_receive(fixture);
    wait_until(&fixture->self.n_arrived, 1);

    module->detach(fixture->transport, fixture->self.identity);
    wait_until(&fixture->self.n_detached, 1);
    module->settle(fixture->transport, fixture->self.token, SPOKE_VERDICT_ACCEPT);

    attach(fixture, &fixture->self);
    wait_until(&fixture->self.n_attached, 2);
}

static void
test_receive_off_leaves_messages(Fixture *fixture, gconstpointer unused)
{
    connect_to_receive(fixture);
    do_ctl("send", "dev1", "x");
    wait_until(&fixture->self.n_arrived, 1);
    module->receive(fixture->transport, fixture->self.identity, FALSE);
    go_there_and_back(fixture);
    g_autofree char *id = ctl("send", "dev1", "x", "--message-id", "o1", NULL);
    module->settle(fixture->transport, fixture->self.token, SPOKE_VERDICT_ACCEPT);
    go_there_and_back(fixture);

    g_assert_cmpuint(fixture->self.n_arrived, ==, 1);
    wait_for_fate("o1", "Enqueued");
    module->receive(fixture->transport, fixture->self.identity, TRUE);
    wait_until(&fixture->self.n_arrived, 2);
    module->settle(fixture->transport, fixture->self.token, SPOKE_VERDICT_ACCEPT);
    go_there_and_back(fixture);
    wait_for_fate("o1", "Completed");
}

static const struct {
    const char *path;
    void (*test)(Fixture *, gconstpointer);
} tests[] = {
    {"fails/without-address", test_fails_without_address},
    {"fails/on-closed-port", test_fails_on_closed_port},
    {"fails/with-foreign-ca", test_fails_with_foreign_ca},
    {"fails/with-wrong-name", test_fails_with_wrong_name},
    {"fails/without-ca-file", test_fails_without_ca_file},
    {"fails/with-empty-ca-file", test_fails_with_empty_ca_file},
    {"fails/with-bad-client-certificate", test_fails_with_bad_client_certificate},
    {"fails/without-tls", test_fails_without_tls},
    {"fails/on-silence", test_fails_on_silence},
    {"fails/on-other-protocol", test_fails_on_other_protocol},
    {"free/while-connecting", test_free_while_connecting},
    {"close/before-open", test_close_before_open},
    {"close/while-connecting", test_close_while_connecting},
    {"close/says-goodbye", test_close_says_goodbye},
    {"close/does-not-wait-for-ever", test_close_does_not_wait_for_ever},
    {"lost/when-dropped", test_lost_when_dropped},
    {"lost/when-silent", test_lost_when_silent},
    {"lives/by-heartbeats", test_lives_by_heartbeats},
    {"proxy/carries-all", test_proxy_carries_all},
    {"proxy/wants-password", test_proxy_wants_password},
    {"proxy/cannot", test_proxy_cannot},
    {"proxy/talks-nonsense", test_proxy_talks_nonsense},
    {"proxy/is-away", test_proxy_is_away},
    {"proxy/of-environment-is-ignored", test_proxy_of_environment_is_ignored},
    {"certificate/logs-in", test_certificate_logs_in},
    {"certificate/is-for-one", test_certificate_is_for_one},
    {"certificate/of-another", test_certificate_of_another},
    {"attach/with-wrong-key", test_attach_with_wrong_key},
    {"attach/unknown-device", test_attach_unknown_device},
    {"attach/with-hard-id", test_attach_with_hard_id},
    {"attach/is-not-taken-for-another", test_attach_is_not_taken_for_another},
    {"attach/disabled-device", test_attach_disabled_device},
    {"attach/without-any-credential", test_attach_without_any_credential},
    {"attach/again-renews", test_attach_again_renews},
    {"attach/again-with-wrong-key", test_attach_again_with_wrong_key},
    {"attach/module", test_attach_module},
    {"attach/many", test_attach_many},
    {"detach/leaves-others", test_detach_leaves_others},
    {"detach/while-attaching", test_detach_while_attaching},
    {"stolen/by-another", test_stolen_by_another},
    {"send/many", test_send_many},
    {"send/large", test_send_large},
    {"send/too-large", test_send_too_large},
    {"send/what-cannot-be-sent", test_send_what_cannot_be_sent},
    {"send/throttled", test_send_throttled},
    {"send/over-quota", test_send_over_quota},
    {"send/then-free", test_send_then_free},
    {"arrival/is-completed-when-settled", test_arrival_is_completed_when_settled},
    {"arrival/is-dead-lettered-when-rejected", test_arrival_is_dead_lettered_when_rejected},
    {"arrival/comes-again-when-released", test_arrival_comes_again_when_released},
    {"arrival/among-telemetry", test_arrival_among_telemetry},
    {"arrival/credit-is-bounded", test_arrival_credit_is_bounded},
    {"arrival/settled-after-detach", test_arrival_settled_after_detach},
    {"receive/off-leaves-messages", test_receive_off_leaves_messages},
};

static void
add_tests(const SpokeTransportModule *form)
{
    for (guint i = 0; i < G_N_ELEMENTS(tests); i++) {
        g_autofree char *path = g_strdup_printf("/%s/%s", form->name, tests[i].path);

        g_test_add(path, Fixture, form, set_up, tests[i].test, tear_down);
    }
}

static void
add_form(const char *name)
{
    g_autoptr(GError) error = NULL;
    const SpokeTransportModule *form =
        spoke_module_load(g_getenv("SPOKE_TRANSPORT_DIR"), name, &error);

    g_assert_no_error(error);
    add_tests(form);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    /* A proxy that nobody has: none may be used but what the endpoint says. */
    g_setenv("http_proxy", "http://127.0.0.1:1", TRUE);
    g_setenv("https_proxy", "http://127.0.0.1:1", TRUE);
    g_setenv("all_proxy", "http://127.0.0.1:1", TRUE);
    start_hub();
    start_proxy();
    add_form("amqp");
    add_form("amqp-ws");

    int r = g_test_run();

    g_object_unref(proxy.service);
    stop_hub();
    return r;
}
