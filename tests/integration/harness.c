/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/integration/harness.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <libsoup/soup.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>

struct Harness {
    char *dir;         /* owned */
    char *state_dir;   /* owned */
    char *extra;       /* owned; more configuration */
    char *transport;   /* owned */
    GStrv environment; /* owned; of the daemon */
    char *address;     /* owned; of the bus */
    GSubprocess *bus;
    GSubprocess *hub;    /* owned; NULL while killed */
    GSubprocess *daemon; /* owned; NULL while not running */
    GDBusConnection *connection;
    SoupSession *session;
    guint mqtt_port, amqp_port, https_port, control_port;
};

static const char *
program(const char *variable)
{
    const char *path = g_getenv(variable);

    if (path == NULL)
        g_error("%s is not set: run this test through meson", variable);
    return path;
}

static char *
in_dir(Harness *h, const char *name)
{
    return g_build_filename(h->dir, name, NULL);
}

static void
print_log(Harness *h, const char *name)
{
    g_autofree char *path = in_dir(h, name);
    g_autofree char *text = NULL;
    gsize size = 0;

    if (!g_file_get_contents(path, &text, &size, NULL) || size == 0)
        return;
    g_printerr("--- %s\n%s", name, size > 20000 ? text + size - 20000 : text);
}

void
harness_fail(Harness *h, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *text = g_strdup_vprintf(format, arguments);
    va_end(arguments);

    print_log(h, "bus.log");
    print_log(h, "hub.log");
    print_log(h, "spoked.log");
    g_printerr("--- folder: %s\n", h->dir);
    if (h->daemon != NULL)
        g_subprocess_force_exit(h->daemon);
    if (h->hub != NULL)
        g_subprocess_force_exit(h->hub);
    g_subprocess_force_exit(h->bus);
    g_error("%s", text);
}

/* In the child: whatever becomes of the test, its programs end with it. */
static void
die_with_parent(gpointer user_data)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static GSubprocess *
spawn(Harness *h, const char *log, GStrv environment, const char *const *argv)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GSubprocessLauncher) launcher = g_subprocess_launcher_new(G_SUBPROCESS_FLAGS_NONE);
    g_autofree char *path = in_dir(h, log);

    /* Appended to, not replaced: a killed program's last words matter. */
    int fd = g_open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    g_subprocess_launcher_take_stdout_fd(launcher, fd);
    g_subprocess_launcher_take_stderr_fd(launcher, dup(fd));
    g_subprocess_launcher_set_child_setup(launcher, die_with_parent, NULL, NULL);
    if (environment != NULL)
        g_subprocess_launcher_set_environ(launcher, environment);
    GSubprocess *process = g_subprocess_launcher_spawnv(launcher, argv, &error);
    if (process == NULL)
        harness_fail(h, "%s: %s", argv[0], error->message);
    return process;
}

/* Waits for the end of a program that has been told to. */
static int
reap(Harness *h, GSubprocess **process)
{
    g_autoptr(GSubprocess) ended = g_steal_pointer(process);
    g_autoptr(GError) error = NULL;

    if (!g_subprocess_wait(ended, NULL, &error))
        harness_fail(h, "%s", error->message);
    return g_subprocess_get_if_exited(ended) ? g_subprocess_get_exit_status(ended) : -1;
}

static gboolean
on_tick(gpointer ticked)
{
    *(gboolean *)ticked = TRUE;
    return G_SOURCE_CONTINUE;
}

void
harness_wait(Harness *h, const char *what, HarnessCheck check, gpointer user_data)
{
    gint64 deadline = g_get_monotonic_time() + HARNESS_WAIT_SEC * G_USEC_PER_SEC;
    gboolean ticked = FALSE;
    guint source = g_timeout_add(10, on_tick, &ticked);

    while (!check(h, user_data)) {
        if (g_get_monotonic_time() > deadline)
            harness_fail(h, "%s did not happen in %d seconds", what, HARNESS_WAIT_SEC);
        g_main_context_iteration(NULL, TRUE);
    }
    g_source_remove(source);
}

static gboolean
bus_answers(Harness *h, gpointer user_data)
{
    h->connection =
        g_dbus_connection_new_for_address_sync(h->address,
                                               G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT |
                                                   G_DBUS_CONNECTION_FLAGS_MESSAGE_BUS_CONNECTION,
                                               NULL, NULL, NULL);
    return h->connection != NULL;
}

static gboolean
file_exists(Harness *h, gpointer path)
{
    return g_file_test(path, G_FILE_TEST_EXISTS);
}

static void
start_bus(Harness *h)
{
    g_autofree char *config = in_dir(h, "bus.conf");
    g_autofree char *socket = in_dir(h, "bus");
    g_autofree char *argument = g_strdup_printf("--config-file=%s", config);
    /* The installed policy decides who gets in, as on the system bus; that allows 128 unanswered
     * calls of one program, too few for the benchmarks. */
    g_autofree char *text = g_strdup_printf(
        "<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN\"\n"
        " \"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">\n"
        "<busconfig><type>system</type><listen>unix:path=%s</listen><auth>EXTERNAL</auth>\n"
        "<policy context=\"default\"><allow user=\"*\"/><deny own=\"*\"/>\n"
        "<deny send_type=\"method_call\"/><allow send_type=\"signal\"/>\n"
        "<allow send_requested_reply=\"true\" send_type=\"method_return\"/>\n"
        "<allow send_requested_reply=\"true\" send_type=\"error\"/>\n"
        "<allow receive_type=\"method_call\"/><allow receive_type=\"method_return\"/>\n"
        "<allow receive_type=\"error\"/><allow receive_type=\"signal\"/>\n"
        "<allow own=\"org.freedesktop.NetworkManager\"/>\n"
        "<allow send_destination=\"org.freedesktop.NetworkManager\"/>\n"
        "<allow send_destination=\"org.freedesktop.DBus\"/></policy>\n"
        "<limit name=\"max_replies_per_connection\">1024</limit>\n"
        "<include>%s</include></busconfig>\n",
        socket, program("SPOKE_BUS_POLICY"));

    if (!g_file_set_contents(config, text, -1, NULL))
        harness_fail(h, "cannot write %s", config);
    h->bus = spawn(
        h, "bus.log", NULL,
        (const char *[]){"dbus-daemon", "--nofork", "--nopidfile", "--nosyslog", argument, NULL});
    h->address = g_strdup_printf("unix:path=%s", socket);
    harness_wait(h, "the bus", bus_answers, NULL);
}

GDBusConnection *
harness_connect(Harness *h)
{
    g_autoptr(GError) error = NULL;
    GDBusConnection *connection =
        g_dbus_connection_new_for_address_sync(h->address,
                                               G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT |
                                                   G_DBUS_CONNECTION_FLAGS_MESSAGE_BUS_CONNECTION,
                                               NULL, NULL, &error);

    if (connection == NULL)
        harness_fail(h, "%s", error->message);
    return connection;
}

void
harness_start_hub(Harness *h)
{
    g_autofree char *state = in_dir(h, "hub");
    g_autofree char *ready = in_dir(h, "hub.ready");
    g_autofree char *journal = harness_get_hub_journal(h);
    /* After the first start the ports stay, as a hub's do. */
    g_autofree char *mqtt = g_strdup_printf("%u", h->mqtt_port);
    g_autofree char *amqp = g_strdup_printf("%u", h->amqp_port);
    g_autofree char *https = g_strdup_printf("%u", h->https_port);
    g_autofree char *control = g_strdup_printf("%u", h->control_port);
    g_autoptr(JsonParser) parser = json_parser_new();

    (void)g_unlink(ready);
    h->hub = spawn(h, "hub.log", NULL,
                   (const char *[]){program("SPOKE_EMULATOR"),
                                    "--state-dir",
                                    state,
                                    "--device",
                                    HARNESS_DEVICE_ID,
                                    "--mqtt-port",
                                    mqtt,
                                    "--amqp-port",
                                    amqp,
                                    "--https-port",
                                    https,
                                    "--control-port",
                                    control,
                                    "--ready-file",
                                    ready,
                                    "--journal",
                                    journal,
                                    "--lock-timeout",
                                    "2",
                                    NULL});
    harness_wait(h, "the hub's start", file_exists, ready);
    if (!json_parser_load_from_file(parser, ready, NULL))
        harness_fail(h, "%s is not JSON", ready);
    JsonObject *object = json_node_get_object(json_parser_get_root(parser));
    h->mqtt_port = json_object_get_int_member(object, "mqttPort");
    h->amqp_port = json_object_get_int_member(object, "amqpPort");
    h->https_port = json_object_get_int_member(object, "httpsPort");
    h->control_port = json_object_get_int_member(object, "controlPort");
}

void
harness_kill_hub(Harness *h, int number)
{
    g_subprocess_send_signal(h->hub, number);
    (void)reap(h, &h->hub);
}

guint
harness_get_hub_port(Harness *h)
{
    if (g_str_equal(h->transport, "mqtt"))
        return h->mqtt_port;
    return g_str_equal(h->transport, "amqp") ? h->amqp_port : h->https_port;
}

char *
harness_get_hub_journal(Harness *h)
{
    return in_dir(h, "hub.journal");
}

static JsonNode *
ask_hub(Harness *h, const char *method, const char *path, const char *body, guint *ret_status)
{
    g_autofree char *uri = g_strdup_printf("http://127.0.0.1:%u%s", h->control_port, path);
    g_autoptr(SoupMessage) message = soup_message_new(method, uri);
    g_autoptr(JsonParser) parser = json_parser_new();
    g_autoptr(GError) error = NULL;

    if (body != NULL) {
        g_autoptr(GBytes) bytes = g_bytes_new(body, strlen(body));
        soup_message_set_request_body_from_bytes(message, "application/json", bytes);
    }
    g_autoptr(GBytes) answer = soup_session_send_and_read(h->session, message, NULL, &error);
    if (answer == NULL)
        harness_fail(h, "%s %s: %s", method, path, error->message);
    *ret_status = soup_message_get_status(message);
    gsize size;
    const char *text = g_bytes_get_data(answer, &size);
    if (size > 0 && !json_parser_load_from_data(parser, text, size, NULL))
        harness_fail(h, "%s %s: answer is not JSON", method, path);
    return size > 0 ? json_parser_steal_root(parser) : json_node_new(JSON_NODE_NULL);
}

JsonNode *
harness_hub(Harness *h, const char *method, const char *path, const char *body)
{
    guint status;
    JsonNode *answer = ask_hub(h, method, path, body, &status);

    if (status / 100 != 2) {
        g_autofree char *text = json_to_string(answer, FALSE);
        harness_fail(h, "%s %s: %u %s", method, path, status, text);
    }
    return answer;
}

guint
harness_hub_status(Harness *h, const char *method, const char *path, const char *body)
{
    guint status;

    json_node_unref(ask_hub(h, method, path, body, &status));
    return status;
}

Harness *
harness_new(void)
{
    g_autoptr(GError) error = NULL;
    Harness *h = g_new0(Harness, 1);

    h->dir = g_dir_make_tmp("spoke-test-XXXXXX", &error);
    if (h->dir == NULL)
        g_error("%s", error->message);
    /* The unprivileged user of the access tests must reach the bus's socket. */
    (void)g_chmod(h->dir, 0755);
    h->state_dir = in_dir(h, "state");
    (void)g_mkdir(h->state_dir, 0700);
    h->environment = g_get_environ();
    h->session = soup_session_new();
    h->transport = g_strdup("mqtt");
    start_bus(h);
    h->environment = g_environ_setenv(h->environment, "DBUS_SYSTEM_BUS_ADDRESS", h->address, TRUE);
    harness_start_hub(h);
    g_autoptr(JsonNode) device = harness_hub(h, "GET", "/devices/" HARNESS_DEVICE_ID, NULL);
    harness_set_connection_string(
        h, json_object_get_string_member(json_node_get_object(device), "connectionString"));
    harness_configure(h, "");
    return h;
}

static void
end(GSubprocess **process)
{
    g_autoptr(GSubprocess) ended = g_steal_pointer(process);

    if (ended == NULL)
        return;
    g_subprocess_send_signal(ended, SIGTERM);
    (void)g_subprocess_wait(ended, NULL, NULL);
}

static void
remove_tree(const char *path)
{
    g_autoptr(GSubprocess) rm = g_subprocess_new(G_SUBPROCESS_FLAGS_NONE, NULL, "rm", "-rf",
                                                 "--one-file-system", path, NULL);

    (void)g_subprocess_wait(rm, NULL, NULL);
}

void
harness_free(Harness *h)
{
    if (h == NULL)
        return;
    end(&h->daemon);
    end(&h->hub);
    g_clear_object(&h->connection);
    end(&h->bus);
    g_clear_object(&h->session);
    if (h->dir != NULL)
        remove_tree(h->dir);
    g_strfreev(h->environment);
    g_free(h->address);
    g_free(h->extra);
    g_free(h->transport);
    g_free(h->state_dir);
    g_free(h->dir);
    g_free(h);
}

const char *
harness_get_dir(Harness *h)
{
    return h->dir;
}

GDBusConnection *
harness_get_bus(Harness *h)
{
    return h->connection;
}

const char *
harness_get_bus_address(Harness *h)
{
    return h->address;
}

void
harness_set_connection_string(Harness *h, const char *text)
{
    g_autofree char *path = in_dir(h, "connection-string");

    if (!g_file_set_contents_full(path, text, -1, G_FILE_SET_CONTENTS_CONSISTENT, 0600, NULL))
        harness_fail(h, "cannot write %s", path);
}

static void
write_config(Harness *h)
{
    g_autofree char *path = in_dir(h, "spoked.conf");
    g_autofree char *config = g_strdup_printf(
        "[Hub]\nConnectionStringFile=%s/connection-string\nCAFile=%s/hub/ca.pem\nTransport=%s\n"
        "MqttPort=%u\nAmqpPort=%u\nHttpsPort=%u\n%s\n",
        h->dir, h->dir, h->transport, h->mqtt_port, h->amqp_port, h->https_port, h->extra);

    if (!g_file_set_contents(path, config, -1, NULL))
        harness_fail(h, "cannot write %s", path);
}

void
harness_configure(Harness *h, const char *text)
{
    g_free(h->extra);
    h->extra = g_strdup(text);
    write_config(h);
}

void
harness_set_transport(Harness *h, const char *name)
{
    g_free(h->transport);
    h->transport = g_strdup(name);
    write_config(h);
}

void
harness_set_state_dir(Harness *h, const char *path)
{
    g_free(h->state_dir);
    h->state_dir = g_strdup(path);
}

void
harness_set_daemon_env(Harness *h, const char *name, const char *value)
{
    h->environment = g_environ_setenv(h->environment, name, value, TRUE);
}

static GSubprocess *
spawn_daemon(Harness *h)
{
    g_autofree char *config = in_dir(h, "spoked.conf");

    return spawn(h, "spoked.log", h->environment,
                 (const char *[]){program("SPOKED"), "--config", config, "--state-dir",
                                  h->state_dir, "--transport-dir", program("SPOKE_TRANSPORT_DIR"),
                                  NULL});
}

static gboolean
daemon_serves(Harness *h, gpointer user_data)
{
    g_autoptr(GVariant) reply = g_dbus_connection_call_sync(
        h->connection, "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus",
        "NameHasOwner", g_variant_new("(s)", HARNESS_BUS_NAME), G_VARIANT_TYPE("(b)"),
        G_DBUS_CALL_FLAGS_NONE, -1, NULL, NULL);
    gboolean owned = FALSE;

    if (g_subprocess_get_identifier(h->daemon) == NULL)
        harness_fail(h, "spoked ended at its start");
    if (reply != NULL)
        g_variant_get(reply, "(b)", &owned);
    return owned;
}

void
harness_start_daemon(Harness *h)
{
    g_assert_null(h->daemon);
    h->daemon = spawn_daemon(h);
    harness_wait(h, "the daemon's start", daemon_serves, NULL);
}

int
harness_run_daemon(Harness *h, char **ret_log)
{
    g_autofree char *log = in_dir(h, "spoked.log");

    (void)g_unlink(log);
    h->daemon = spawn_daemon(h);
    int status = reap(h, &h->daemon);
    if (ret_log != NULL)
        *ret_log = harness_read_daemon_log(h);
    return status;
}

void
harness_kill_daemon(Harness *h, int number)
{
    g_subprocess_send_signal(h->daemon, number);
    (void)reap(h, &h->daemon);
}

int
harness_stop_daemon(Harness *h)
{
    g_subprocess_send_signal(h->daemon, SIGTERM);
    int status = reap(h, &h->daemon);
    if (status != 0)
        print_log(h, "spoked.log"); /* a sanitizer's report is there */
    return status;
}

GPid
harness_get_daemon_pid(Harness *h)
{
    const char *id = h->daemon != NULL ? g_subprocess_get_identifier(h->daemon) : NULL;

    return id != NULL ? atoi(id) : 0;
}

char *
harness_read_daemon_log(Harness *h)
{
    g_autofree char *path = in_dir(h, "spoked.log");
    char *text = NULL;

    return g_file_get_contents(path, &text, NULL, NULL) ? text : g_strdup("");
}

static GVariant *
call(Harness *h, GDBusConnection *bus, const char *method, GVariant *parameters, GError **error)
{
    return g_dbus_connection_call_sync(bus != NULL ? bus : h->connection, HARNESS_BUS_NAME,
                                       HARNESS_SELF, "org.spoked1.Device", method, parameters, NULL,
                                       G_DBUS_CALL_FLAGS_NO_AUTO_START, HARNESS_WAIT_SEC * 1000,
                                       NULL, error);
}

static GVariant *
parse_parameters(const char *format, va_list *arguments)
{
    return format != NULL ? g_variant_new_parsed_va(format, arguments) : NULL;
}

GVariant *
harness_call(Harness *h, GDBusConnection *bus, const char *method, const char *parameters, ...)
{
    g_autoptr(GError) error = NULL;
    va_list arguments;
    va_start(arguments, parameters);
    GVariant *reply = call(h, bus, method, parse_parameters(parameters, &arguments), &error);
    va_end(arguments);

    if (reply == NULL)
        harness_fail(h, "%s: %s", method, error->message);
    return reply;
}

void
harness_refused(Harness *h, GDBusConnection *bus, const char *name, const char *method,
                const char *parameters, ...)
{
    g_autoptr(GError) error = NULL;
    va_list arguments;
    va_start(arguments, parameters);
    g_autoptr(GVariant) reply =
        call(h, bus, method, parse_parameters(parameters, &arguments), &error);
    va_end(arguments);

    if (reply != NULL)
        harness_fail(h, "%s %s was not refused", method, parameters != NULL ? parameters : "");
    g_autofree char *remote = g_dbus_error_get_remote_error(error);
    g_autofree char *expected = g_strdup_printf("org.spoked1.Error.%s", name);
    if (g_strcmp0(remote, expected) != 0)
        harness_fail(h, "%s %s: expected %s, got %s", method, parameters, expected, error->message);
    g_dbus_error_strip_remote_error(error);
    if (strlen(error->message) < 10 || strchr(error->message, ' ') == NULL)
        harness_fail(h, "%s: \"%s\" is not a sentence that helps", method, error->message);
}

GVariant *
harness_property(Harness *h, const char *name)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GVariant) reply = g_dbus_connection_call_sync(
        h->connection, HARNESS_BUS_NAME, HARNESS_SELF, "org.freedesktop.DBus.Properties", "Get",
        g_variant_new("(ss)", "org.spoked1.Device", name), G_VARIANT_TYPE("(v)"),
        G_DBUS_CALL_FLAGS_NO_AUTO_START, HARNESS_WAIT_SEC * 1000, NULL, &error);
    GVariant *value = NULL;

    if (reply == NULL)
        harness_fail(h, "property %s: %s", name, error->message);
    g_variant_get(reply, "(v)", &value);
    return value;
}

guint64
harness_counter(Harness *h, const char *name)
{
    g_autoptr(GVariant) value = harness_property(h, name);

    return g_variant_get_uint64(value);
}

static gboolean
state_is(Harness *h, gpointer state)
{
    g_autoptr(GVariant) value = harness_property(h, "State");

    return g_str_equal(g_variant_get_string(value, NULL), state);
}

void
harness_wait_state(Harness *h, const char *state)
{
    g_autofree char *what = g_strdup_printf("state %s", state);

    harness_wait(h, what, state_is, (gpointer)state);
}

typedef struct {
    const char *property;
    guint64 value;
} Counter;

static gboolean
counter_is(Harness *h, gpointer user_data)
{
    const Counter *counter = user_data;

    return harness_counter(h, counter->property) == counter->value;
}

void
harness_wait_counter(Harness *h, const char *property, guint64 value)
{
    Counter counter = {property, value};
    g_autofree char *what = g_strdup_printf("%s=%" G_GUINT64_FORMAT, property, value);

    harness_wait(h, what, counter_is, &counter);
}

static gboolean
have_arrived(Harness *h, gpointer n)
{
    g_autoptr(JsonNode) stats = harness_hub(h, "GET", "/stats", NULL);

    return (guint64)json_object_get_int_member(json_node_get_object(stats), "messagesReceived") >=
           *(guint64 *)n;
}

void
harness_wait_arrived(Harness *h, guint64 n)
{
    g_autofree char *what = g_strdup_printf("arrival of %" G_GUINT64_FORMAT " messages", n);

    harness_wait(h, what, have_arrived, &n);
}

JsonArray *
harness_arrived(Harness *h, guint64 since)
{
    g_autofree char *path =
        g_strdup_printf("/messages?since=%" G_GUINT64_FORMAT "&limit=10000", since);
    g_autoptr(JsonNode) messages = harness_hub(h, "GET", path, NULL);

    return json_array_ref(json_node_get_array(messages));
}
