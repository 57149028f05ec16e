/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/bench/sections.h"

#include "tests/bench/measure.h"

#include <gio/gunixfdlist.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/*
 * A gateway over AMQP: the machine's own device and 999 of [Device …] on one connection, which is
 * all that one can carry. What a device costs is the difference to a daemon with its own alone.
 */

#define DEVICES_MAX 1000 /* on one connection. Source: iot-hub-protocol.md, 4.3 */
#define MESSAGES    60000

#define HELD_BACK_DEVICES 200
#define HELD_BACK_BATCHES 4
#define HELD_BACK_BATCH   250

/* Counts the devices that have said they are connected. */
typedef struct {
    GHashTable *connected; /* owned; object paths */
    guint wanted;
} Count;

static void
on_properties_changed(GDBusConnection *bus, const char *sender, const char *path,
                      const char *interface, const char *signal, GVariant *parameters,
                      gpointer user_data)
{
    Count *count = user_data;
    g_autoptr(GVariant) changed = g_variant_get_child_value(parameters, 1);
    const char *state = NULL;

    if (!g_variant_lookup(changed, "State", "&s", &state))
        return;
    if (g_str_equal(state, "connected"))
        g_hash_table_add(count->connected, g_strdup(path));
    else
        g_hash_table_remove(count->connected, path);
}

static gboolean
all_are_connected(Harness *h, gpointer user_data)
{
    const Count *count = user_data;

    return g_hash_table_size(count->connected) >= count->wanted;
}

/* Makes the device at the hub and writes its connection string beside. */
static void
make_device(Harness *h, guint number, GString *config)
{
    g_autofree char *path = g_strdup_printf("/devices/d%u", number);
    g_autofree char *file = g_strdup_printf("%s/connection-string-%u", harness_get_dir(h), number);

    json_node_unref(harness_hub(h, "PUT", path, "{}"));
    g_autoptr(JsonNode) device = harness_hub(h, "GET", path, NULL);
    if (!g_file_set_contents_full(
            file, json_object_get_string_member(json_node_get_object(device), "connectionString"),
            -1, G_FILE_SET_CONTENTS_NONE, 0600, NULL))
        harness_fail(h, "cannot write %s", file);
    if (config != NULL)
        g_string_append_printf(config, "[Device d%u]\nConnectionStringFile=%s\n", number, file);
}

/* Returns: seconds from the start until all of @n are connected */
static double
start_with(Harness *h, guint n)
{
    Count count = {g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL), n};
    guint id = g_dbus_connection_signal_subscribe(
        harness_get_bus(h), HARNESS_BUS_NAME, "org.freedesktop.DBus.Properties",
        "PropertiesChanged", NULL, "org.spoked1.Device", G_DBUS_SIGNAL_FLAGS_NONE,
        on_properties_changed, &count, NULL);
    gint64 began = g_get_monotonic_time();

    harness_start_daemon(h);
    harness_wait(h, "all devices connected", all_are_connected, &count);
    double seconds = (double)(g_get_monotonic_time() - began) / 1e6;
    g_dbus_connection_signal_unsubscribe(harness_get_bus(h), id);
    g_hash_table_unref(count.connected);
    return seconds;
}

/* TCP connections to the hub's port. */
static guint
count_connections(Harness *h)
{
    static const char *const tables[] = {"/proc/net/tcp", "/proc/net/tcp6"};
    g_autofree char *wanted = g_strdup_printf(":%04X 01 ", harness_get_hub_port(h));
    guint n = 0;

    for (guint i = 0; i < G_N_ELEMENTS(tables); i++) {
        g_autofree char *text = NULL;
        if (!g_file_get_contents(tables[i], &text, NULL, NULL))
            continue;
        /* The remote address and the state; the hub's own ends have the port before it. */
        for (const char *at = text; (at = strstr(at, wanted)) != NULL; at++)
            n++;
    }
    return n;
}

static long
private_dirty_kib(Harness *h)
{
    g_usleep(2 * G_USEC_PER_SEC); /* being idle takes time */
    return measure_memory_kib(harness_get_daemon_pid(h), "Private_Dirty:");
}

static void
add_device(Harness *h, guint number)
{
    g_autofree char *name = g_strdup_printf("d%u", number);
    g_autofree char *file = g_strdup_printf("%s/connection-string-%u", harness_get_dir(h), number);
    g_autofree char *text = NULL;
    g_autoptr(GUnixFDList) fds = g_unix_fd_list_new();
    g_autoptr(GError) error = NULL;
    int ends[2];

    if (!g_file_get_contents(file, &text, NULL, NULL) || pipe(ends) < 0 ||
        write(ends[1], text, strlen(text)) < 0)
        harness_fail(h, "cannot pass %s", file);
    close(ends[1]);
    (void)g_unix_fd_list_append(fds, ends[0], NULL);
    close(ends[0]);
    g_autoptr(GVariant) reply = g_dbus_connection_call_with_unix_fd_list_sync(
        harness_get_bus(h), HARNESS_BUS_NAME, HARNESS_MANAGER, "org.spoked1.Manager", "AddDevice",
        g_variant_new_parsed("(%s, @a{sv} {}, handle 0)", name), G_VARIANT_TYPE("(o)"),
        G_DBUS_CALL_FLAGS_NONE, -1, fds, NULL, NULL, &error);
    if (reply == NULL)
        harness_fail(h, "AddDevice: %s", error->message);
}

static gboolean
second_connection_is_open(Harness *h, gpointer user_data)
{
    return count_connections(h) == 2;
}

static void
print_load(Harness *h, guint devices)
{
    double answered = 1, acknowledged = 1;
    double cpu_usec = measure_cpu_usec(harness_get_daemon_pid(h));
    g_autofree char *text = measure_load(h, "fleet", devices, MESSAGES);

    (void)sscanf(text, "%*u %lf %lf", &answered, &acknowledged);
    g_print("Each of %u sending in turn, 200 bytes, 256 pipelined: %.0f/s accepted, %.0f/s "
            "acknowledged, %.1f us CPU/message\n",
            devices, MESSAGES / answered, MESSAGES / acknowledged,
            (measure_cpu_usec(harness_get_daemon_pid(h)) - cpu_usec) / MESSAGES);
}

/* A megabyte for each of [Device …]. */
static void
fill_queue(Harness *h, guint number)
{
    g_autofree char *path = g_strdup_printf("/org/spoked1/device/d%u", number);
    static const guint8 body[1000] = "";

    for (guint i = 0; i < HELD_BACK_BATCHES; i++) {
        g_autoptr(GVariantBuilder) batch = g_variant_builder_new(G_VARIANT_TYPE("a(aya{ss}a{sv})"));
        g_autoptr(GError) error = NULL;

        for (guint n = 0; n < HELD_BACK_BATCH; n++)
            g_variant_builder_add_parsed(
                batch, "(%*, @a{ss} {}, @a{sv} {})",
                g_variant_new_fixed_array(G_VARIANT_TYPE_BYTE, body, sizeof body, 1));
        g_autoptr(GVariant) reply = g_dbus_connection_call_sync(
            harness_get_bus(h), HARNESS_BUS_NAME, path, "org.spoked1.Device", "SendBatch",
            g_variant_new("(@a(aya{ss}a{sv}))", g_variant_builder_end(batch)),
            G_VARIANT_TYPE("(at)"), G_DBUS_CALL_FLAGS_NONE, -1, NULL, &error);
        if (reply == NULL)
            harness_fail(h, "SendBatch: %s", error->message);
    }
}

static void
measure_held_back(const char *transport)
{
    g_autoptr(Harness) h = harness_new();
    g_autoptr(GString) config = g_string_new(NULL);

    harness_set_transport(h, transport);
    for (guint number = 1; number <= HELD_BACK_DEVICES; number++)
        make_device(h, number, config);
    harness_configure(h, config->str);
    (void)start_with(h, HELD_BACK_DEVICES + 1);
    long idle_kib = measure_memory_kib(harness_get_daemon_pid(h), "Rss:");

    json_node_unref(harness_hub(h, "POST", "/faults", "{\"kind\": \"stall-acks\"}"));
    for (guint number = 1; number <= HELD_BACK_DEVICES; number++)
        fill_queue(h, number);
    long fresh_kib = measure_memory_kib(harness_get_daemon_pid(h), "Rss:");
    (void)harness_stop_daemon(h);
    (void)start_with(h, HELD_BACK_DEVICES + 1);
    g_usleep(5 * G_USEC_PER_SEC); /* until all is read that will be */
    long old_kib = measure_memory_kib(harness_get_daemon_pid(h), "Rss:");

    g_print("%-8s RSS %ld KiB idle, %ld KiB sending, %ld KiB sending after a restart\n", transport,
            idle_kib, fresh_kib, old_kib);
}

void
section_held_back(void)
{
    g_print("\n%d devices with 1 MB each on one connection, and a hub that acknowledges nothing\n",
            HELD_BACK_DEVICES);
    measure_held_back("amqp");
    measure_held_back("https");
}

void
section_devices(void)
{
    g_autoptr(Harness) h = harness_new();
    g_autoptr(GString) config = g_string_new(NULL);

    harness_set_transport(h, "amqp");
    for (guint number = 1; number <= DEVICES_MAX; number++)
        make_device(h, number, number < DEVICES_MAX ? config : NULL);

    double one_sec = start_with(h, 1);
    long one_kib = private_dirty_kib(h);
    (void)harness_stop_daemon(h);

    harness_configure(h, config->str);
    double all_sec = start_with(h, DEVICES_MAX);
    guint connections = count_connections(h);
    long all_kib = private_dirty_kib(h);
    g_print("\nDevices on one AMQP connection\n");
    g_print("Start until connected: 1 device %.2f s, %d devices %.2f s, on %u connection(s)\n",
            one_sec, DEVICES_MAX, all_sec, connections);
    g_print("Private dirty, idle: %ld KiB with 1, %ld KiB with %d = %.2f KiB a device\n", one_kib,
            all_kib, DEVICES_MAX, (double)(all_kib - one_kib) / (DEVICES_MAX - 1));
    print_load(h, 1);
    print_load(h, DEVICES_MAX - 1);
    long after_kib = private_dirty_kib(h);
    g_print("Private dirty, idle again: %ld KiB = %.2f KiB a device\n", after_kib,
            (double)(after_kib - one_kib) / (DEVICES_MAX - 1));

    gint64 began = g_get_monotonic_time();
    add_device(h, DEVICES_MAX);
    harness_wait(h, "a second connection", second_connection_is_open, NULL);
    g_print("One more opens a second connection, in %.2f s\n",
            (double)(g_get_monotonic_time() - began) / 1e6);
}
