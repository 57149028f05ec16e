/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libspoke-fixture.h"

#include "clients/spokectl/client-source.h"

#include <string.h>

#define DEVICE_PATH "/org/spoked1/device/self"
#define GONE_PATH   "/org/spoked1/device/gone"

gboolean
fixture_tick(gpointer user_data)
{
    return G_SOURCE_CONTINUE;
}

static GDBusInterfaceInfo *
load_interface(const char *name)
{
    g_autofree char *file = g_strconcat(SPOKE_SOURCE_DIR, "/dbus/", name, ".xml", NULL);
    g_autofree char *xml = NULL;
    g_autoptr(GError) error = NULL;

    g_file_get_contents(file, &xml, NULL, &error);
    g_assert_no_error(error);
    g_autoptr(GDBusNodeInfo) node = g_dbus_node_info_new_for_xml(xml, &error);
    g_assert_no_error(error);
    return g_dbus_interface_info_ref(node->interfaces[0]);
}

static void
on_call(GDBusConnection *connection, const char *sender, const char *path, const char *interface,
        const char *method, GVariant *parameters, GDBusMethodInvocation *invocation,
        gpointer user_data)
{
    Fixture *fixture = user_data;

    g_queue_push_tail(&fixture->calls, g_object_ref(invocation));
}

/* What a device that fixture_serve_device() added has to say for itself. */
static const char *
get_other_value(const char *property)
{
    static const struct {
        const char *name;
        const char *value;
    } values[] = {
        {"State", "'offline'"},
        {"Transport", "''"},
        {"ModuleId", "''"},
        {"Capabilities", "@as []"},
        {"QueuedMessages", "uint64 1234"},
        {"CertificateExpiry", "uint64 0"},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(values); i++)
        if (g_str_equal(values[i].name, property))
            return values[i].value;
    return NULL;
}

static GVariant *
on_get(GDBusConnection *connection, const char *sender, const char *path, const char *interface,
       const char *property, GError **error, gpointer user_data)
{
    static const struct {
        const char *name;
        const char *value;
    } values[] = {
        {"DeviceId", "'dev1'"},
        {"ModuleId", "'mod1'"},
        {"Hub", "'hub.example'"},
        {"State", "'connected'"},
        {"Transport", "'mqtt'"},
        {"Capabilities", "['push', 'settle']"},
        {"LastError", "('TcpRefused', 'Nobody listens')"},
        {"ConnectedSince", "uint64 1"},
        {"NextAttempt", "uint64 2"},
        {"TokenExpiry", "uint64 3"},
        {"CertificateExpiry", "uint64 12"},
        {"ReceivePaused", "true"},
        {"QueuedMessages", "uint64 4"},
        {"QueuedBytes", "uint64 5"},
        {"QueueBytesMax", "uint64 6"},
        {"InFlightMessages", "uint64 7"},
        {"WaitingMessages", "uint64 8"},
        {"DeadLetters", "uint64 9"},
        {"SentMessages", "uint64 10"},
        {"ReceivedMessages", "uint64 11"},
    };

    const char *other = g_str_equal(path, DEVICE_PATH) ? NULL : get_other_value(property);

    if (g_str_equal(property, "Name"))
        return g_variant_ref_sink(g_variant_new_string(strrchr(path, '/') + 1));
    if (other != NULL)
        return g_variant_ref_sink(g_variant_new_parsed(other));
    for (gsize i = 0; i < G_N_ELEMENTS(values); i++)
        if (g_str_equal(values[i].name, property))
            return g_variant_ref_sink(g_variant_new_parsed(values[i].value));
    g_assert_not_reached();
}

static void
serve(Fixture *fixture, const char *path, const char *name)
{
    static const GDBusInterfaceVTable vtable = {.method_call = on_call, .get_property = on_get};
    GDBusInterfaceInfo *interface = load_interface(name);
    g_autoptr(GError) error = NULL;

    g_dbus_connection_register_object(fixture->connection, path, interface, &vtable, fixture, NULL,
                                      &error);
    g_assert_no_error(error);
    g_dbus_interface_info_unref(interface);
}

void
fixture_serve_device(Fixture *fixture, const char *name)
{
    g_autofree char *path = g_strconcat("/org/spoked1/device/", name, NULL);

    serve(fixture, path, "org.spoked1.Device");
}

GDBusConnection *
fixture_connect(Fixture *fixture)
{
    g_autoptr(GError) error = NULL;
    GDBusConnection *connection =
        g_dbus_connection_new_for_address_sync(g_test_dbus_get_bus_address(fixture->bus),
                                               G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT |
                                                   G_DBUS_CONNECTION_FLAGS_MESSAGE_BUS_CONNECTION,
                                               NULL, NULL, &error);

    g_assert_no_error(error);
    return connection;
}

/* Runs on GDBus's thread. Of an object that is not there, the daemon's library says so; GDBus
 * speaks of a method. */
static GDBusMessage *
on_message(GDBusConnection *connection, GDBusMessage *message, gboolean incoming,
           gpointer user_data)
{
    if (!incoming || g_strcmp0(g_dbus_message_get_path(message), GONE_PATH) != 0)
        return message;

    g_autoptr(GDBusMessage) reply = g_dbus_message_new_method_error_literal(
        message, "org.freedesktop.DBus.Error.UnknownObject", "Unknown object");
    g_dbus_connection_send_message(connection, reply, G_DBUS_SEND_MESSAGE_FLAGS_NONE, NULL, NULL);
    g_object_unref(message);
    return NULL;
}

void
fixture_start_service(Fixture *fixture)
{
    g_autoptr(GError) error = NULL;

    fixture->connection = fixture_connect(fixture);
    g_dbus_connection_add_filter(fixture->connection, on_message, NULL, NULL);
    serve(fixture, DEVICE_PATH, "org.spoked1.Device");
    serve(fixture, "/org/spoked1", "org.spoked1.Manager");
    g_autoptr(GVariant) reply = g_dbus_connection_call_sync(
        fixture->connection, "org.freedesktop.DBus", "/org/freedesktop/DBus",
        "org.freedesktop.DBus", "RequestName", g_variant_new("(su)", "org.spoked1", 0), NULL, 0, -1,
        NULL, &error);
    g_assert_no_error(error);
}

static void
drop_calls(Fixture *fixture)
{
    g_queue_clear_full(&fixture->calls, g_object_unref);
}

void
fixture_kill_service(Fixture *fixture)
{
    g_autoptr(GError) error = NULL;

    drop_calls(fixture);
    g_dbus_connection_close_sync(fixture->connection, NULL, &error);
    g_assert_no_error(error);
    g_clear_object(&fixture->connection);
}

static void
on_lost(gpointer user_data)
{
    Fixture *fixture = user_data;

    fixture->client_source = 0;
    fixture->lost = TRUE;
}

void
fixture_set_up(Fixture *fixture, gconstpointer data)
{
    fixture->bus = g_test_dbus_new(G_TEST_DBUS_NONE);
    g_test_dbus_up(fixture->bus);
    g_setenv("DBUS_SYSTEM_BUS_ADDRESS", g_test_dbus_get_bus_address(fixture->bus), TRUE);
    g_queue_init(&fixture->calls);
    fixture_start_service(fixture);
    g_assert_cmpint(spoke_client_open(NULL, &fixture->client), ==, 0);
    fixture->client_source = spoke_client_source_attach(fixture->client, on_lost, fixture);
}

void
fixture_tear_down(Fixture *fixture, gconstpointer data)
{
    g_clear_handle_id(&fixture->client_source, g_source_remove);
    g_clear_pointer(&fixture->client, spoke_client_free);
    drop_calls(fixture);
    if (fixture->connection != NULL)
        fixture_kill_service(fixture);
    g_test_dbus_down(fixture->bus);
    g_object_unref(fixture->bus);
}

GDBusMethodInvocation *
fixture_take_call(Fixture *fixture, const char *method)
{
    fixture_wait_for(!g_queue_is_empty(&fixture->calls));
    GDBusMethodInvocation *invocation = g_queue_pop_head(&fixture->calls);
    g_assert_cmpstr(g_dbus_method_invocation_get_method_name(invocation), ==, method);
    return invocation;
}

GDBusMethodInvocation *
fixture_take_call_with(Fixture *fixture, const char *method, const char *parameters)
{
    GDBusMethodInvocation *invocation = fixture_take_call(fixture, method);
    g_autofree char *text =
        g_variant_print(g_dbus_method_invocation_get_parameters(invocation), FALSE);

    g_assert_cmpstr(text, ==, parameters);
    return invocation;
}

void
fixture_emit(Fixture *fixture, GDBusConnection *from, const char *to, const char *signal,
             GVariant *parameters)
{
    g_autoptr(GError) error = NULL;

    g_dbus_connection_emit_signal(from, to, DEVICE_PATH, "org.spoked1.Device", signal, parameters,
                                  &error);
    g_assert_no_error(error);
}

static void
on_devices(SpokeClient *client, const char *const *names, size_t n, const SpokeFailure *failure,
           void *user_data)
{
    *(gboolean *)user_data = TRUE;
}

/* A call there and back: the bus keeps the order of what one connection sends to another. */
void
fixture_settle_down(Fixture *fixture)
{
    gboolean answered = FALSE;

    g_assert_cmpint(spoke_client_list_devices(fixture->client, on_devices, &answered), ==, 0);
    GDBusMethodInvocation *call = fixture_take_call(fixture, "ListDevices");
    g_dbus_method_invocation_return_value(call, g_variant_new_parsed("(@a(so) [],)"));
    fixture_wait_for(answered);
}
