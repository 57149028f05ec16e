/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Many devices on one connection, or the word that this transport carries one.
 */
#include "tests/integration/transport-suite.h"

#include "tests/integration/transport-relay.h"

#include <gio/gunixfdlist.h>
#include <glib-unix.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

/* Where requests are no connection, they share a pool of some. */
#define POOL_CONNECTIONS 6

static const char *const more_than_a_pool[] = {"one",  "two", "three", "four",
                                               "five", "six", "seven", NULL};

#define PATH_OF(name) "/org/spoked1/device/" name

static char *
create_device(Harness *h, const char *device_id)
{
    g_autofree char *path = g_strdup_printf("/devices/%s", device_id);
    g_autoptr(JsonNode) device = harness_hub(h, "PUT", path, NULL);

    return g_strdup(
        json_object_get_string_member(json_node_get_object(device), "connectionString"));
}

/* [Device] sections of those names, which are device ids too. */
static void
configure_devices(Harness *h, const char *const *names, const char *more)
{
    g_autoptr(GString) text = g_string_new(more);

    for (; *names != NULL; names++) {
        g_autofree char *connection_string = create_device(h, *names);
        g_string_append_printf(text, "[Device %s]\nConnectionString=%s\n", *names,
                               connection_string);
    }
    transport_configure(h, text->str);
}

/* AddDevice with a pipe. Returns: FALSE with @error */
static gboolean
add_device(Harness *h, const char *name, const char *connection_string, GError **error)
{
    int ends[2];

    g_assert_true(g_unix_open_pipe(ends, FD_CLOEXEC, NULL));
    g_assert_cmpint(write(ends[1], connection_string, strlen(connection_string)), ==,
                    strlen(connection_string));
    (void)close(ends[1]);
    g_autoptr(GUnixFDList) fds = g_unix_fd_list_new_from_array(ends, 1);
    g_autoptr(GVariant) reply = g_dbus_connection_call_with_unix_fd_list_sync(
        harness_get_bus(h), HARNESS_BUS_NAME, HARNESS_MANAGER, "org.spoked1.Manager", "AddDevice",
        g_variant_new_parsed("(%s, @a{sv} {}, @h 0)", name), G_VARIANT_TYPE("(o)"),
        G_DBUS_CALL_FLAGS_NONE, -1, fds, NULL, NULL, error);

    return reply != NULL;
}

typedef struct {
    const char *path, *name;
    const char *text; /* or, if NULL: */
    guint64 number;
} Expected;

static gboolean
is_as_expected(Harness *h, gpointer user_data)
{
    const Expected *expected = user_data;
    g_autoptr(GVariant) value = transport_property(h, expected->path, expected->name);

    return expected->text != NULL ? g_str_equal(g_variant_get_string(value, NULL), expected->text)
                                  : g_variant_get_uint64(value) == expected->number;
}

static void
wait_text(Harness *h, const char *path, const char *name, const char *text)
{
    Expected expected = {.path = path, .name = name, .text = text};
    g_autofree char *what = g_strdup_printf("%s: %s %s", path, name, text);

    harness_wait(h, what, is_as_expected, &expected);
}

static void
wait_number(Harness *h, const char *path, const char *name, guint64 number)
{
    Expected expected = {.path = path, .name = name, .number = number};
    g_autofree char *what = g_strdup_printf("%s: %s", path, name);

    harness_wait(h, what, is_as_expected, &expected);
}

static void
send_as(Harness *h, const char *path, const char *body)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GVariant) reply = g_dbus_connection_call_sync(
        harness_get_bus(h), HARNESS_BUS_NAME, path, "org.spoked1.Device", "SendText",
        g_variant_new_parsed("(%s, @a{ss} {}, @a{sv} {})", body), NULL, G_DBUS_CALL_FLAGS_NONE, -1,
        NULL, &error);

    g_assert_no_error(error);
}

/* Up and down by the device's own object, under the device's own name. */
static void
assert_works(Harness *h, const char *name)
{
    g_autofree char *path = g_strdup_printf(PATH_OF("%s"), name);
    const char *device_id = g_str_equal(name, "self") ? HARNESS_DEVICE_ID : name;
    g_autofree char *query = g_strdup_printf("/messages?device=%s", device_id);
    g_autoptr(Listener) listener = transport_listen(h, path, "{'mode': <'handle'>}");
    g_autoptr(GError) error = NULL;
    const char *id;

    wait_text(h, path, "State", "connected");
    send_as(h, path, name);
    wait_number(h, path, "SentMessages", 1);
    g_autoptr(JsonNode) arrived = harness_hub(h, "GET", query, NULL);
    g_assert_cmpuint(json_array_get_length(json_node_get_array(arrived)), ==, 1);

    transport_cloud_sends(h, device_id, "down", "");
    g_variant_get_child(listener_wait(h, listener, 1), 0, "&s", &id);
    g_autoptr(GVariant) reply = g_dbus_connection_call_sync(
        listener->bus, HARNESS_BUS_NAME, path, "org.spoked1.Device", "Complete",
        g_variant_new("(s)", id), NULL, G_DBUS_CALL_FLAGS_NONE, -1, NULL, &error);
    g_assert_no_error(error);
    transport_wait_fate(h, device_id, "down", "Completed");
    g_assert_cmpuint(listener->received->len, ==, 1);
}

static void
test_devices_share_a_connection(gconstpointer data)
{
    const Form *form = data;
    g_autoptr(Harness) h = transport_house(form);
    g_autoptr(Relay) relay = relay_new("127.0.0.1", (guint16)harness_get_hub_port(h));
    g_autofree char *port =
        g_strdup_printf("[Hub]\n%s=%u\n", form->port_key, relay_get_port(relay));
    g_autoptr(GError) error = NULL;

    configure_devices(h, more_than_a_pool, port);
    harness_start_daemon(h);
    g_autofree char *connection_string = create_device(h, "added");
    (void)add_device(h, "added", connection_string, &error);
    g_assert_no_error(error);

    for (const char *const *name = more_than_a_pool; *name != NULL; name++) {
        g_autofree char *path = g_strdup_printf(PATH_OF("%s"), *name);
        send_as(h, path, "x");
        wait_number(h, path, "SentMessages", 1);
    }
    assert_works(h, "self");
    assert_works(h, "added");
    g_assert_cmpuint(relay_get_connections(relay), <=, form->is_link ? 1 : POOL_CONNECTIONS);
    harness_kill_daemon(h, SIGKILL); /* before its line goes */
}

/* One with a key that isn't its own, and one that the hub blocks while it is connected. */
static void
test_trouble_of_one_is_not_that_of_others(gconstpointer form)
{
    g_autoptr(Harness) h = transport_house(form);
    g_autoptr(GError) error = NULL;

    configure_devices(h, (const char *[]){"good", "blocked", NULL}, "");
    json_node_unref(harness_hub(h, "PUT", "/devices/bad", NULL));
    harness_start_daemon(h);
    wait_text(h, PATH_OF("good"), "State", "connected");
    wait_text(h, PATH_OF("blocked"), "State", "connected");
    gint64 accepted = transport_stat(h, "connectionsAccepted");
    (void)add_device(h, "bad",
                     "HostName=localhost;DeviceId=bad;SharedAccessKey="
                     "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
                     &error);
    g_assert_no_error(error);
    json_node_unref(harness_hub(h, "PUT", "/devices/blocked", "{\"status\": \"disabled\"}"));
    send_as(h, PATH_OF("bad"), "x");
    send_as(h, PATH_OF("blocked"), "x");
    transport_wait_error(h, PATH_OF("bad"), "AuthenticationFailed");
    transport_wait_error(h, PATH_OF("blocked"), ((const Form *)form)->disabled_device);

    assert_works(h, "good");
    assert_works(h, "self");
    wait_number(h, PATH_OF("bad"), "QueuedMessages", 1);
    wait_number(h, PATH_OF("blocked"), "QueuedMessages", 1);
    g_assert_cmpint(transport_stat(h, "connectionsAccepted"), ==, accepted);
}

static void
test_second_device_is_refused(gconstpointer form)
{
    g_autoptr(Harness) h = transport_house(form);
    g_autoptr(GError) error = NULL;

    configure_devices(h, (const char *[]){"one", NULL}, "");
    harness_start_daemon(h);
    transport_wait_error(h, PATH_OF("one"), "Unsupported");
    send_as(h, PATH_OF("one"), "x");
    g_autofree char *connection_string = create_device(h, "added");
    gboolean is_added = add_device(h, "added", connection_string, &error);

    g_assert_false(is_added);
    g_autofree char *name = g_dbus_error_get_remote_error(error);
    g_assert_cmpstr(name, ==, "org.spoked1.Error.NotSupported");
    g_assert_nonnull(strstr(error->message, "amqp"));
    g_assert_nonnull(strstr(error->message, "https"));
    assert_works(h, "self");
    wait_number(h, PATH_OF("one"), "QueuedMessages", 1);
}

void
transport_add_gateway(const Form *form)
{
    if (form->multiplexes) {
        transport_add(form, "gateway/devices-share-a-connection", test_devices_share_a_connection);
        transport_add(form, "gateway/trouble-of-one-is-not-that-of-others",
                      test_trouble_of_one_is_not_that_of_others);
    } else {
        transport_add(form, "gateway/second-device-is-refused", test_second_device_is_refused);
    }
}
