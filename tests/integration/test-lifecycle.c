/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Starting, stopping, reloading, and the hub coming and going.
 */
#include "tests/integration/harness.h"

#include <signal.h>
#include <string.h>

#define BATCH 1000

/* Sends @n messages "PREFIX-NUMBER" as batches. */
static void
send_numbered(Harness *h, const char *prefix, guint n)
{
    for (guint sent = 0; sent < n; sent += BATCH) {
        GVariantBuilder batch;

        g_variant_builder_init(&batch, G_VARIANT_TYPE("a(aya{ss}a{sv})"));
        for (guint i = sent; i < MIN(sent + BATCH, n); i++) {
            g_autofree char *id = g_strdup_printf("%s-%u", prefix, i);
            g_variant_builder_add_parsed(&batch, "(b'x', {'n': %s}, {'message-id': <%s>})", id, id);
        }
        g_autoptr(GVariant) reply = harness_call(h, NULL, "SendBatch", "(%@a(aya{ss}a{sv}),)",
                                                 g_variant_builder_end(&batch));
    }
}

/* The message-ids of the hub's journal that begin with @prefix, repeats left out, in order of
 * arrival. */
static GPtrArray *
journal_ids(Harness *h, const char *prefix)
{
    g_autofree char *path = harness_get_hub_journal(h);
    g_autofree char *text = NULL;
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
    GPtrArray *ids = g_ptr_array_new_with_free_func(g_free);

    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line != NULL; line++) {
        g_auto(GStrv) columns = g_strsplit(*line, "\t", -1);
        if (g_strv_length(columns) < 4 || !g_str_has_prefix(columns[2], prefix) ||
            g_hash_table_contains(seen, columns[2]))
            continue;
        char *id = g_strdup(columns[2]);
        g_ptr_array_add(ids, id);
        g_hash_table_add(seen, id);
    }
    return ids;
}

static void
assert_numbered(GPtrArray *ids, const char *prefix, guint n)
{
    g_assert_cmpuint(ids->len, ==, n);
    for (guint i = 0; i < n; i++) {
        g_autofree char *expected = g_strdup_printf("%s-%u", prefix, i);
        if (!g_str_equal(g_ptr_array_index(ids, i), expected))
            for (guint j = i > 5 ? i - 5 : 0; j < MIN(i + 300, n); j++)
                g_printerr("%u: %s\n", j, (char *)g_ptr_array_index(ids, j));
        g_assert_cmpstr(g_ptr_array_index(ids, i), ==, expected);
    }
}

static void
test_restart_with_a_long_queue_loses_nothing(void)
{
    const guint n = 100000;
    g_autoptr(Harness) h = harness_new();

    harness_kill_hub(h, SIGKILL);
    harness_start_daemon(h);
    send_numbered(h, "q", n);
    harness_kill_daemon(h, SIGKILL);
    harness_start_daemon(h);
    g_assert_cmpuint(harness_counter(h, "QueuedMessages"), ==, n);

    harness_start_hub(h);
    harness_wait_counter(h, "QueuedMessages", 0);
    g_autoptr(GPtrArray) ids = journal_ids(h, "q-");
    assert_numbered(ids, "q", n);
}

static void
test_hub_away_for_a_while_keeps_the_order(void)
{
    g_autoptr(Harness) h = harness_new();

    harness_start_daemon(h);
    harness_wait_state(h, "connected");
    send_numbered(h, "a", 3 * BATCH);
    harness_kill_hub(h, SIGKILL);
    harness_wait_state(h, "offline");
    send_numbered(h, "b", 5 * BATCH);
    harness_start_hub(h);
    harness_wait_counter(h, "QueuedMessages", 0);

    g_autoptr(GPtrArray) before = journal_ids(h, "a-");
    g_autoptr(GPtrArray) after = journal_ids(h, "b-");
    assert_numbered(before, "a", 3 * BATCH);
    assert_numbered(after, "b", 5 * BATCH);
}

static void
test_stop_drains_the_queue(void)
{
    g_autoptr(Harness) h = harness_new();

    harness_start_daemon(h);
    harness_wait_state(h, "connected");
    send_numbered(h, "s", 5 * BATCH);

    g_assert_cmpint(harness_stop_daemon(h), ==, 0);

    g_autoptr(GPtrArray) ids = journal_ids(h, "s-");
    assert_numbered(ids, "s", 5 * BATCH);
}

static void
test_stop_without_hub_ends_in_time_and_keeps_all(void)
{
    g_autoptr(Harness) h = harness_new();

    harness_configure(h, "[Daemon]\nShutdownTimeoutSec=2\n");
    harness_kill_hub(h, SIGKILL);
    harness_start_daemon(h);
    send_numbered(h, "s", BATCH);

    gint64 began = g_get_monotonic_time();
    g_assert_cmpint(harness_stop_daemon(h), ==, 0);
    g_assert_cmpint(g_get_monotonic_time() - began, <, 10 * G_USEC_PER_SEC);

    harness_start_daemon(h);
    g_assert_cmpuint(harness_counter(h, "QueuedMessages"), ==, BATCH);
}

static void
test_flushed_messages_survive_a_stop(void)
{
    g_autoptr(Harness) h = harness_new();

    harness_configure(h, "[Spool]\nFlushWindowSec=60\n[Daemon]\nShutdownTimeoutSec=1\n");
    harness_kill_hub(h, SIGKILL);
    harness_start_daemon(h);
    g_autoptr(GVariant) reply =
        harness_call(h, NULL, "SendText", "('x', @a{ss} {}, {'durability': <'flushed'>})");
    g_assert_cmpint(harness_stop_daemon(h), ==, 0);

    harness_start_daemon(h);
    g_assert_cmpuint(harness_counter(h, "QueuedMessages"), ==, 1);
}

static void
test_volatile_messages_are_sent(void)
{
    g_autoptr(Harness) h = harness_new();

    harness_start_daemon(h);
    harness_wait_state(h, "connected");
    g_autoptr(GVariant) reply =
        harness_call(h, NULL, "SendText", "('x', @a{ss} {}, {'durability': <'volatile'>})");

    harness_wait_arrived(h, 1);
    harness_wait_counter(h, "QueuedMessages", 0);
}

static void
test_faulty_config_is_named_at_start(void)
{
    g_autoptr(Harness) h = harness_new();
    g_autofree char *log = NULL;

    harness_configure(h, "[Spool]\nBytesMax=plenty\n");

    g_assert_cmpint(harness_run_daemon(h, &log), ==, 78);
    g_assert_nonnull(strstr(log, "spoked.conf:9"));
    g_assert_nonnull(strstr(log, "BytesMax"));
}

static char *
reload(Harness *h, const char **ret_name)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GVariant) reply = g_dbus_connection_call_sync(
        harness_get_bus(h), HARNESS_BUS_NAME, HARNESS_MANAGER, "org.spoked1.Manager", "Reload",
        NULL, NULL, G_DBUS_CALL_FLAGS_NONE, -1, NULL, &error);

    if (error == NULL)
        return NULL;
    g_autofree char *name = g_dbus_error_get_remote_error(error);
    *ret_name = g_intern_string(name);
    return g_strdup(error->message);
}

static void
test_faulty_reload_changes_nothing(void)
{
    g_autoptr(Harness) h = harness_new();
    const char *name = NULL;

    harness_start_daemon(h);
    harness_wait_state(h, "connected");
    harness_configure(h, "[Spool]\nBytesMax=1M\nColour=red\n");

    g_autofree char *text = reload(h, &name);

    g_assert_cmpstr(name, ==, "org.spoked1.Error.InvalidConfig");
    g_assert_nonnull(strstr(text, "spoked.conf:10"));
    g_assert_nonnull(strstr(text, "Colour"));
    g_assert_cmpuint(harness_counter(h, "QueueBytesMax"), ==, 256 * 1024 * 1024);
}

static void
test_reload_takes_effect_and_keeps_the_line(void)
{
    g_autoptr(Harness) h = harness_new();
    const char *name = NULL;

    harness_start_daemon(h);
    harness_wait_state(h, "connected");
    guint64 since = harness_counter(h, "ConnectedSince");
    harness_configure(h, "[Spool]\nBytesMax=1M\n");

    g_autofree char *text = reload(h, &name);

    g_assert_cmpstr(text, ==, NULL);
    g_assert_cmpuint(harness_counter(h, "QueueBytesMax"), ==, 1024 * 1024);
    g_assert_cmpuint(harness_counter(h, "ConnectedSince"), ==, since);
}

/* As it was at the start: the variables are kept out of the sight of libraries. */
static void
test_reload_knows_the_environment(void)
{
    g_autoptr(Harness) h = harness_new();
    const char *name = NULL;

    harness_set_daemon_env(h, "https_proxy", "gopher://nowhere");
    harness_configure(h, "[Proxy]\nUseEnvironment=no\n");
    harness_start_daemon(h);
    harness_configure(h, "");

    g_autofree char *text = reload(h, &name);

    g_assert_cmpstr(name, ==, "org.spoked1.Error.InvalidConfig");
    g_assert_nonnull(strstr(text, "https_proxy"));
}

static gboolean
bytes_max_is_one_mega(Harness *h, gpointer user_data)
{
    return harness_counter(h, "QueueBytesMax") == 1024 * 1024;
}

static void
test_sighup_reloads(void)
{
    g_autoptr(Harness) h = harness_new();

    harness_start_daemon(h);
    harness_configure(h, "[Spool]\nBytesMax=1M\n");

    g_assert_cmpint(kill(harness_get_daemon_pid(h), SIGHUP), ==, 0);

    harness_wait(h, "the new limit", bytes_max_is_one_mega, NULL);
}

/* The name on the bus comes just before the main loop. */
static void
test_early_sighup_is_survived(void)
{
    g_autoptr(Harness) h = harness_new();

    for (guint i = 0; i < 10; i++) {
        harness_start_daemon(h);
        g_assert_cmpint(kill(harness_get_daemon_pid(h), SIGHUP), ==, 0);

        g_assert_cmpuint(harness_counter(h, "QueuedMessages"), ==, 0); /* the loop runs */
        g_assert_cmpint(harness_stop_daemon(h), ==, 0);
    }
}

static gboolean
last_error_is(Harness *h, gpointer name)
{
    g_autoptr(GVariant) value = harness_property(h, "LastError");
    const char *actual;
    const char *text;

    g_variant_get(value, "(&s&s)", &actual, &text);
    return g_str_equal(actual, name) && strchr(text, ' ') != NULL;
}

static void
test_each_failure_has_its_cause(void)
{
    g_autoptr(Harness) h = harness_new();

    g_autoptr(JsonNode) fault =
        harness_hub(h, "POST", "/faults", "{\"kind\":\"refuse\",\"code\":3,\"count\":0}");
    harness_start_daemon(h);
    harness_wait(h, "CONNACK 3", last_error_is, (gpointer) "Unavailable");
    g_autoptr(JsonNode) cleared = harness_hub(h, "DELETE", "/faults", NULL);
    harness_kill_hub(h, SIGKILL);
    harness_wait(h, "a refused port", last_error_is, (gpointer) "TcpRefused");
}

static void
test_a_client_with_our_identity_is_noticed(void)
{
    g_autoptr(Harness) h = harness_new();

    harness_start_daemon(h);
    harness_wait_state(h, "connected");
    for (guint i = 0; i < 4; i++) {
        harness_wait_state(h, "connected");
        g_autoptr(JsonNode) dropped = harness_hub(h, "POST", "/faults", "{\"kind\":\"drop\"}");
        harness_wait_state(h, "offline");
    }

    harness_wait(h, "the suspicion", last_error_is, (gpointer) "Evicted");
}

static void
test_cut_and_stalled_connections_lose_nothing(void)
{
    g_autoptr(Harness) h = harness_new();

    g_autoptr(JsonNode) cut =
        harness_hub(h, "POST", "/faults", "{\"kind\":\"cut-after\",\"after\":500,\"count\":3}");
    harness_start_daemon(h);
    harness_wait_state(h, "connected");
    send_numbered(h, "c", 4 * BATCH);

    harness_wait_counter(h, "QueuedMessages", 0);
    g_autoptr(GPtrArray) ids = journal_ids(h, "c-");
    assert_numbered(ids, "c", 4 * BATCH);
}

/* How many connections to the bus the daemon has. */
static guint
count_daemon_names(Harness *h)
{
    GDBusConnection *bus = harness_get_bus(h);
    g_autoptr(GError) error = NULL;
    guint n = 0;
    g_autoptr(GVariant) reply = g_dbus_connection_call_sync(
        bus, "org.freedesktop.DBus", "/", "org.freedesktop.DBus", "ListNames", NULL,
        G_VARIANT_TYPE("(as)"), G_DBUS_CALL_FLAGS_NONE, -1, NULL, &error);
    g_assert_no_error(error);
    g_autofree const char **names = NULL;

    g_variant_get(reply, "(^a&s)", &names);
    for (guint i = 0; names[i] != NULL; i++) {
        guint32 pid = 0;
        g_autoptr(GVariant) answer = g_dbus_connection_call_sync(
            bus, "org.freedesktop.DBus", "/", "org.freedesktop.DBus", "GetConnectionUnixProcessID",
            g_variant_new("(s)", names[i]), NULL, G_DBUS_CALL_FLAGS_NONE, -1, NULL, NULL);
        if (answer == NULL) /* it has just left */
            continue;
        g_variant_get(answer, "(u)", &pid);
        n += names[i][0] == ':' && pid == (guint32)harness_get_daemon_pid(h);
    }
    return n;
}

static GVariant *
get_networkmanager_property(GDBusConnection *bus, const char *sender, const char *path,
                            const char *interface, const char *property, GError **error,
                            gpointer user_data)
{
    return g_variant_new_uint32(4); /* full connectivity */
}

/* As much of it as GIO looks at. (transfer full): its connection */
static GDBusConnection *
start_networkmanager(Harness *h)
{
    static const char xml[] = "<node><interface name='org.freedesktop.NetworkManager'>"
                              "<property name='Connectivity' type='u' access='read'/>"
                              "</interface></node>";
    static const GDBusInterfaceVTable vtable = {.get_property = get_networkmanager_property};
    GDBusConnection *bus = harness_connect(h);
    g_autoptr(GError) error = NULL;
    g_autoptr(GDBusNodeInfo) info = g_dbus_node_info_new_for_xml(xml, &error);

    g_assert_no_error(error);
    g_assert_cmpuint(g_dbus_connection_register_object(bus, "/org/freedesktop/NetworkManager",
                                                       info->interfaces[0], &vtable, NULL, NULL,
                                                       &error),
                     !=, 0);
    g_autoptr(GVariant) reply = g_dbus_connection_call_sync(
        bus, "org.freedesktop.DBus", "/", "org.freedesktop.DBus", "RequestName",
        g_variant_new("(su)", "org.freedesktop.NetworkManager", 4), NULL, G_DBUS_CALL_FLAGS_NONE,
        -1, NULL, &error);
    g_assert_no_error(error);
    return bus;
}

/* GIO would open one more, ask over it while all else waits, and end us with it. */
static void
test_networkmanager_is_not_asked(void)
{
    g_autoptr(Harness) h = harness_new();
    g_autoptr(GDBusConnection) manager = start_networkmanager(h);

    harness_start_daemon(h);
    harness_wait_state(h, "connected");

    g_assert_cmpuint(count_daemon_names(h), ==, 1);
}

static void
test_a_second_daemon_is_refused(void)
{
    g_autoptr(Harness) h = harness_new();
    g_autofree char *config = g_build_filename(harness_get_dir(h), "spoked.conf", NULL);
    g_autofree char *state = g_build_filename(harness_get_dir(h), "state", NULL);
    g_autofree char *text = NULL;
    g_autoptr(GError) error = NULL;

    harness_start_daemon(h);
    g_autoptr(GSubprocessLauncher) launcher =
        g_subprocess_launcher_new(G_SUBPROCESS_FLAGS_STDERR_PIPE);
    g_subprocess_launcher_setenv(launcher, "DBUS_SYSTEM_BUS_ADDRESS", harness_get_bus_address(h),
                                 TRUE);
    g_autoptr(GSubprocess) second = g_subprocess_launcher_spawn(
        launcher, &error, g_getenv("SPOKED"), "--config", config, "--state-dir", state, NULL);
    g_assert_no_error(error);

    g_assert_true(g_subprocess_communicate_utf8(second, NULL, NULL, NULL, &text, &error));
    g_assert_cmpint(g_subprocess_get_exit_status(second), !=, 0);
    g_assert_nonnull(strstr(text, state));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/lifecycle/restart/long-queue-loses-nothing",
                    test_restart_with_a_long_queue_loses_nothing);
    g_test_add_func("/lifecycle/hub-away/keeps-the-order",
                    test_hub_away_for_a_while_keeps_the_order);
    g_test_add_func("/lifecycle/stop/drains-the-queue", test_stop_drains_the_queue);
    g_test_add_func("/lifecycle/stop/without-hub-ends-in-time",
                    test_stop_without_hub_ends_in_time_and_keeps_all);
    g_test_add_func("/lifecycle/stop/flushed-survive", test_flushed_messages_survive_a_stop);
    g_test_add_func("/lifecycle/volatile/is-sent", test_volatile_messages_are_sent);
    g_test_add_func("/lifecycle/config/fault-is-named-at-start",
                    test_faulty_config_is_named_at_start);
    g_test_add_func("/lifecycle/reload/fault-changes-nothing", test_faulty_reload_changes_nothing);
    g_test_add_func("/lifecycle/reload/takes-effect", test_reload_takes_effect_and_keeps_the_line);
    g_test_add_func("/lifecycle/reload/knows-the-environment", test_reload_knows_the_environment);
    g_test_add_func("/lifecycle/reload/by-sighup", test_sighup_reloads);
    g_test_add_func("/lifecycle/reload/early-sighup-is-survived", test_early_sighup_is_survived);
    g_test_add_func("/lifecycle/cause/each-failure-has-its-own", test_each_failure_has_its_cause);
    g_test_add_func("/lifecycle/cause/evicted", test_a_client_with_our_identity_is_noticed);
    g_test_add_func("/lifecycle/faults/cut-loses-nothing",
                    test_cut_and_stalled_connections_lose_nothing);
    g_test_add_func("/lifecycle/networkmanager/is-not-asked", test_networkmanager_is_not_asked);
    g_test_add_func("/lifecycle/second-daemon/is-refused", test_a_second_daemon_is_refused);
    return g_test_run();
}
