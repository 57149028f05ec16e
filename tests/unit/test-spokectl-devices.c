/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libspoke-fixture.h"

#include <fcntl.h>
#include <gio/gunixfdlist.h>
#include <glib/gstdio.h>
#include <pty.h>
#include <string.h>
#include <unistd.h>

/* The program itself, as a person runs it, with the fixture's service in the daemon's place. */

typedef struct {
    GSubprocess *process; /* owned */
    char *out;            /* owned; NULL until it has ended */
    char *err;            /* owned */
} Run;

static void
run_clear(Run *run)
{
    g_clear_object(&run->process);
    g_free(run->out);
    g_free(run->err);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Run, run_clear)

static void
on_ended(GObject *source, GAsyncResult *result, gpointer user_data)
{
    Run *run = user_data;
    g_autoptr(GError) error = NULL;

    g_subprocess_communicate_utf8_finish(run->process, result, &run->out, &run->err, &error);
    g_assert_no_error(error);
}

/* A file, not a pipe: who is told of a usage error does not read it. */
static int
open_input(const char *input)
{
    g_autofree char *path = NULL;
    g_autoptr(GError) error = NULL;
    int fd = g_file_open_tmp("spokectl-input-XXXXXX", &path, &error);

    g_assert_no_error(error);
    g_unlink(path);
    if (input != NULL)
        g_assert_cmpint(write(fd, input, strlen(input)), ==, (gssize)strlen(input));
    g_assert_cmpint(lseek(fd, 0, SEEK_SET), ==, 0);
    return fd;
}

/* @line: the arguments; @input: what comes on standard input */
static void
start(Run *run, const char *line, const char *input)
{
    g_autoptr(GSubprocessLauncher) launcher =
        g_subprocess_launcher_new(G_SUBPROCESS_FLAGS_STDOUT_PIPE | G_SUBPROCESS_FLAGS_STDERR_PIPE);
    g_autofree char *words = g_strconcat(SPOKECTL " ", line, NULL);
    g_auto(GStrv) argv = NULL;
    g_autoptr(GError) error = NULL;

    g_assert_true(g_shell_parse_argv(words, NULL, &argv, &error));
    g_subprocess_launcher_take_stdin_fd(launcher, open_input(input));
    run->process = g_subprocess_launcher_spawnv(launcher, (const char *const *)argv, &error);
    g_assert_no_error(error);
    g_subprocess_communicate_utf8_async(run->process, NULL, NULL, on_ended, run);
}

static void
expect_exit(Run *run, int status)
{
    fixture_wait_for(run->out != NULL);
    g_assert_cmpint(g_subprocess_get_exit_status(run->process), ==, status);
}

static void
answer(GDBusMethodInvocation *invocation, const char *parameters)
{
    g_dbus_method_invocation_return_value(invocation, g_variant_new_parsed(parameters));
}

static void
answer_list(Fixture *fixture)
{
    answer(fixture_take_call(fixture, "ListDevices"),
           "([('self', objectpath '/org/spoked1/device/self'), "
           "('boiler', '/org/spoked1/device/boiler'), ('pump', '/org/spoked1/device/pump'), "
           "('gone', '/org/spoked1/device/gone')],)");
}

/* Four devices are listed, of which one goes before it can be asked. */
static void
serve_fleet(Fixture *fixture)
{
    fixture_serve_device(fixture, "boiler");
    fixture_serve_device(fixture, "pump");
}

static void
test_devices_prints_a_table(Fixture *fixture, gconstpointer data)
{
    g_auto(Run) run = {0};

    serve_fleet(fixture);
    start(&run, "devices", NULL);
    answer_list(fixture);
    expect_exit(&run, 0);

    g_assert_cmpstr(
        run.out, ==,
        "NAME    DEVICE     STATE      TRANSPORT  QUEUED  LAST ERROR\n"
        "self    dev1/mod1  connected  mqtt            4  TcpRefused: Nobody listens\n"
        "boiler  dev1       offline    -           1,234  TcpRefused: Nobody listens\n"
        "pump    dev1       offline    -           1,234  TcpRefused: Nobody listens\n");
}

static void
test_devices_prints_json(Fixture *fixture, gconstpointer data)
{
    g_auto(Run) run = {0};

    serve_fleet(fixture);
    start(&run, "devices --json", NULL);
    answer_list(fixture);
    expect_exit(&run, 0);

    g_auto(GStrv) lines = g_strsplit(run.out, "\n", -1);
    g_assert_cmpuint(g_strv_length(lines), ==, 4); /* the last one is empty */
    g_assert_true(g_str_has_prefix(lines[1], "{\"name\":\"boiler\",\"deviceId\":\"dev1\","));
    g_assert_nonnull(strstr(lines[1], "\"state\":\"offline\""));
    g_assert_nonnull(strstr(lines[1], "\"queuedMessages\":1234"));
}

static void
test_devices_prints_names_alone(Fixture *fixture, gconstpointer data)
{
    g_auto(Run) run = {0};

    start(&run, "devices --names", NULL);
    answer_list(fixture);
    expect_exit(&run, 0);

    g_assert_cmpstr(run.out, ==, "self\nboiler\npump\ngone\n");
}

static void
test_devices_asks_a_thousand(Fixture *fixture, gconstpointer data)
{
    g_auto(Run) run = {0};
    GVariantBuilder builder;

    g_variant_builder_init(&builder, G_VARIANT_TYPE("a(so)"));
    for (guint i = 0; i < 1000; i++) {
        g_autofree char *name = g_strdup_printf("d%u", i);
        g_autofree char *path = g_strconcat("/org/spoked1/device/", name, NULL);

        fixture_serve_device(fixture, name);
        g_variant_builder_add(&builder, "(so)", name, path);
    }
    start(&run, "devices", NULL);
    g_dbus_method_invocation_return_value(fixture_take_call(fixture, "ListDevices"),
                                          g_variant_new("(a(so))", &builder));
    expect_exit(&run, 0);

    g_auto(GStrv) lines = g_strsplit(run.out, "\n", -1);
    g_assert_cmpuint(g_strv_length(lines), ==, 1002);
    g_assert_true(g_str_has_prefix(lines[1], "d0 "));
    g_assert_true(g_str_has_prefix(lines[1000], "d999 "));
}

static void
test_status_sums_up_the_others(Fixture *fixture, gconstpointer data)
{
    g_auto(Run) run = {0};

    serve_fleet(fixture);
    start(&run, "status", NULL);
    answer_list(fixture);
    expect_exit(&run, 0);

    g_assert_true(g_str_has_prefix(run.out, "self is device dev1, module mod1, of hub.example\n"));
    g_assert_true(
        g_str_has_suffix(run.out, "\n2 more devices: 2 offline; 'spokectl devices' lists them\n"));
}

static void
test_status_of_one_tells_of_no_other(Fixture *fixture, gconstpointer data)
{
    g_auto(Run) run = {0};

    serve_fleet(fixture);
    start(&run, "status --device boiler", NULL);
    expect_exit(&run, 0);

    g_assert_true(g_str_has_prefix(run.out, "boiler is device dev1 of hub.example\n"));
    g_assert_null(strstr(run.out, "more device"));
}

static void
test_status_names_a_device_that_is_not_there(Fixture *fixture, gconstpointer data)
{
    g_auto(Run) run = {0};

    start(&run, "status --device gone", NULL);
    expect_exit(&run, 1);

    g_assert_cmpstr(run.err, ==,
                    "spokectl: spoked knows no device 'gone'\n"
                    "'spokectl devices' lists the names there are.\n");
}

static void
test_send_goes_to_the_device(Fixture *fixture, gconstpointer data)
{
    g_auto(Run) run = {0};

    serve_fleet(fixture);
    start(&run, "send --device boiler hello", NULL);
    fixture_wait_for(!g_queue_is_empty(&fixture->calls));
    GDBusMethodInvocation *call = g_queue_pop_head(&fixture->calls);
    g_assert_cmpstr(g_dbus_method_invocation_get_object_path(call), ==,
                    "/org/spoked1/device/boiler");
    answer(call, "(uint64 1,)");
    expect_exit(&run, 0);
}

/* What the service finds at the descriptor. (transfer full) */
static char *
read_credential(GDBusMethodInvocation *invocation)
{
    GUnixFDList *list =
        g_dbus_message_get_unix_fd_list(g_dbus_method_invocation_get_message(invocation));
    char text[64] = "";
    int fd = g_unix_fd_list_get(list, 0, NULL);

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(read(fd, text, sizeof text - 1), >=, 0);
    close(fd);
    return g_strdup(text);
}

static void
test_add_takes_standard_input(Fixture *fixture, gconstpointer data)
{
    g_auto(Run) run = {0};

    start(&run, "add-device boiler", "HostName=secret\n");
    GDBusMethodInvocation *call = fixture_take_call_with(fixture, "AddDevice", "('boiler', {}, 0)");
    g_autofree char *credential = read_credential(call);
    answer(call, "(objectpath '/org/spoked1/device/boiler',)");
    expect_exit(&run, 0);

    g_assert_cmpstr(credential, ==, "HostName=secret\n");
    g_assert_cmpstr(run.out, ==, "");
    g_assert_cmpstr(run.err, ==, "");
}

static void
test_add_takes_a_file_and_options(Fixture *fixture, gconstpointer data)
{
    g_auto(Run) run = {0};
    g_autofree char *file = g_strdup("/tmp/spokectl-test-XXXXXX");
    int fd = g_mkstemp(file);
    g_autofree char *line = g_strconcat(
        "add-device boiler --connection-string-file ", file,
        " --certificate a.pem --private-key /b/../a.key --own-connection --users root,1001", NULL);
    g_autofree char *here = g_get_current_dir();
    g_autofree char *expected =
        g_strdup_printf("('boiler', {'certificate': <'%s/a.pem'>, 'private-key': <'/a.key'>, "
                        "'users': <'0 1001'>, 'own-connection': <true>}, 0)",
                        here);

    g_assert_cmpint(write(fd, "x509=true", 9), ==, 9);
    close(fd);
    start(&run, line, NULL);
    GDBusMethodInvocation *call = fixture_take_call_with(fixture, "AddDevice", expected);
    g_autofree char *credential = read_credential(call);
    answer(call, "(objectpath '/org/spoked1/device/boiler',)");
    expect_exit(&run, 0);
    g_unlink(file);

    g_assert_cmpstr(credential, ==, "x509=true");
}

static void
test_add_refuses_what_it_can_tell(Fixture *fixture, gconstpointer data)
{
    static const struct {
        const char *line;
        int status;
        const char *text;
    } cases[] = {
        {"add-device", 2, "Which device?"},
        {"add-device a b", 2, "one argument too many"},
        {"add-device a --certificate /a", 2, "go together"},
        {"add-device a --users nobody-of-this-name", 2, "no user 'nobody-of-this-name'"},
        {"add-device a --users ,", 2, "nobody is no choice"},
        {"add-device a -F /nonexistent/x", 1, "Can't open /nonexistent/x: No such file"},
        {"add-device a -F /tmp", 1, "Can't read /tmp: Is a directory"},
        {"add-device a -F /dev/zero", 1, "more than the 4096 bytes"},
        {"add-device a -F /dev/null", 1, "nothing in /dev/null"},
        {"add-device ''", 2, "can't be the name"},
        {"remove-device", 2, "Which device?"},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_auto(Run) run = {0};

        start(&run, cases[i].line, "x");
        expect_exit(&run, cases[i].status);
        g_test_message("%s", run.err);
        g_assert_nonnull(strstr(run.err, cases[i].text));
    }
    g_assert_true(g_queue_is_empty(&fixture->calls));
}

static void
test_add_takes_no_secret_from_a_terminal(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GSubprocessLauncher) launcher =
        g_subprocess_launcher_new(G_SUBPROCESS_FLAGS_STDERR_PIPE);
    g_autoptr(GError) error = NULL;
    g_auto(Run) run = {0};
    int master = -1, slave = -1;

    g_assert_cmpint(openpty(&master, &slave, NULL, NULL, NULL), ==, 0);
    g_subprocess_launcher_take_stdin_fd(launcher, slave);
    run.process = g_subprocess_launcher_spawn(launcher, &error, SPOKECTL, "add-device", "a", NULL);
    g_assert_no_error(error);
    g_assert_true(g_subprocess_communicate_utf8(run.process, NULL, NULL, NULL, &run.err, &error));
    close(master);

    g_assert_cmpint(g_subprocess_get_exit_status(run.process), ==, 1);
    g_assert_nonnull(strstr(run.err, "systemd-ask-password"));
}

static void
test_add_says_what_to_do(Fixture *fixture, gconstpointer data)
{
    g_auto(Run) run = {0};

    start(&run, "add-device boiler", "x");
    g_dbus_method_invocation_return_dbus_error(fixture_take_call(fixture, "AddDevice"),
                                               "org.spoked1.Error.DeviceExists",
                                               "There is a device with the name boiler already");
    expect_exit(&run, 1);

    g_assert_cmpstr(run.err, ==,
                    "spokectl: There is a device with the name boiler already\n"
                    "'spokectl devices' shows it; 'spokectl remove-device' takes off one that was "
                    "added.\n");
}

static void
test_remove_names_the_device(Fixture *fixture, gconstpointer data)
{
    g_auto(Run) run = {0};

    start(&run, "remove-device boiler", NULL);
    answer(fixture_take_call_with(fixture, "RemoveDevice", "('boiler',)"), "()");
    expect_exit(&run, 0);
}

static void
test_remove_says_what_is_not_there(Fixture *fixture, gconstpointer data)
{
    g_auto(Run) run = {0};

    start(&run, "remove-device boiler", NULL);
    g_dbus_method_invocation_return_dbus_error(fixture_take_call(fixture, "RemoveDevice"),
                                               "org.spoked1.Error.NoSuchDevice", "Text");
    expect_exit(&run, 1);

    g_assert_true(g_str_has_prefix(run.err, "spokectl: spoked knows no device 'boiler'\n"));
}

static void
test_check_now_asks_the_device(Fixture *fixture, gconstpointer data)
{
    g_auto(Run) run = {0};

    serve_fleet(fixture);
    start(&run, "-d pump check-now", NULL);
    GDBusMethodInvocation *call = fixture_take_call(fixture, "CheckNow");
    g_assert_cmpstr(g_dbus_method_invocation_get_object_path(call), ==, "/org/spoked1/device/pump");
    answer(call, "()");
    expect_exit(&run, 0);
}

static void
test_no_daemon_is_its_own_status(Fixture *fixture, gconstpointer data)
{
    static const char *const lines[] = {"devices", "status", "add-device a", "remove-device a",
                                        "check-now"};

    fixture_kill_service(fixture);
    for (gsize i = 0; i < G_N_ELEMENTS(lines); i++) {
        g_auto(Run) run = {0};

        start(&run, lines[i], "x");
        expect_exit(&run, 3);
        g_assert_true(g_str_has_prefix(run.err, "spokectl: spoked is not running\n"));
    }
}

#define ADD(path, test)                                                                            \
    g_test_add("/spokectl/" path, Fixture, NULL, fixture_set_up, test, fixture_tear_down)

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("devices/prints-a-table", test_devices_prints_a_table);
    ADD("devices/prints-json", test_devices_prints_json);
    ADD("devices/prints-names-alone", test_devices_prints_names_alone);
    ADD("devices/asks-a-thousand", test_devices_asks_a_thousand);
    ADD("status/sums-up-the-others", test_status_sums_up_the_others);
    ADD("status/of-one-tells-of-no-other", test_status_of_one_tells_of_no_other);
    ADD("status/names-a-device-that-is-not-there", test_status_names_a_device_that_is_not_there);
    ADD("send/goes-to-the-device", test_send_goes_to_the_device);
    ADD("add-device/takes-standard-input", test_add_takes_standard_input);
    ADD("add-device/takes-a-file-and-options", test_add_takes_a_file_and_options);
    ADD("add-device/refuses-what-it-can-tell", test_add_refuses_what_it_can_tell);
    ADD("add-device/takes-no-secret-from-a-terminal", test_add_takes_no_secret_from_a_terminal);
    ADD("add-device/says-what-to-do", test_add_says_what_to_do);
    ADD("remove-device/names-the-device", test_remove_names_the_device);
    ADD("remove-device/says-what-is-not-there", test_remove_says_what_is_not_there);
    ADD("check-now/asks-the-device", test_check_now_asks_the_device);
    ADD("no-daemon/is-its-own-status", test_no_daemon_is_its_own_status);
    return g_test_run();
}
