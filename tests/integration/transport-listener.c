/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Both ends of C2D: the cloud that sends and follows a message's fate, and the application that
 * listens and settles.
 */
#include "tests/integration/transport-suite.h"

static void
on_received(GDBusConnection *bus, const char *sender, const char *path, const char *interface,
            const char *signal, GVariant *parameters, gpointer user_data)
{
    Listener *listener = user_data;

    g_ptr_array_add(listener->received, g_variant_ref(parameters));
}

Listener *
transport_listen(Harness *h, const char *path, const char *options)
{
    Listener *listener = g_new0(Listener, 1);
    g_autoptr(GError) error = NULL;

    listener->bus = harness_connect(h);
    listener->received = g_ptr_array_new_with_free_func((GDestroyNotify)g_variant_unref);
    path = path != NULL ? path : HARNESS_SELF;
    g_dbus_connection_signal_subscribe(listener->bus, HARNESS_BUS_NAME, "org.spoked1.Device",
                                       "MessageReceived", path, NULL, G_DBUS_SIGNAL_FLAGS_NONE,
                                       on_received, listener, NULL);
    g_autofree char *parameters = g_strdup_printf("(%s,)", options);
    g_autoptr(GVariant) reply = g_dbus_connection_call_sync(
        listener->bus, HARNESS_BUS_NAME, path, "org.spoked1.Device", "Subscribe",
        g_variant_new_parsed(parameters), NULL, G_DBUS_CALL_FLAGS_NONE, -1, NULL, &error);
    g_assert_no_error(error);
    return listener;
}

void
listener_free(Listener *listener)
{
    (void)g_dbus_connection_close_sync(listener->bus, NULL, NULL);
    g_object_unref(listener->bus);
    g_ptr_array_unref(listener->received);
    g_free(listener);
}

typedef struct {
    Listener *listener;
    guint n;
} Expectation;

static gboolean
has_received(Harness *h, gpointer user_data)
{
    const Expectation *expectation = user_data;

    return expectation->listener->received->len >= expectation->n;
}

GVariant *
listener_wait(Harness *h, Listener *listener, guint n)
{
    Expectation expectation = {listener, n};
    g_autofree char *what = g_strdup_printf("MessageReceived number %u", n);

    harness_wait(h, what, has_received, &expectation);
    return g_ptr_array_index(listener->received, n - 1);
}

char *
listener_body(GVariant *received)
{
    gsize size;
    g_autoptr(GVariant) body = g_variant_get_child_value(received, 1);
    const char *data = g_variant_get_fixed_array(body, &size, 1);

    return g_strndup(data, size);
}

const char *
listener_system(GVariant *received, const char *name)
{
    g_autoptr(GVariant) system = g_variant_get_child_value(received, 3);
    const char *value = NULL;

    if (!g_variant_lookup(system, name, "&s", &value))
        g_error("%s did not arrive", name);
    return value; /* lives as long as @received does */
}

void
listener_settle(Harness *h, Listener *listener, const char *how, GVariant *received)
{
    const char *id;

    g_variant_get_child(received, 0, "&s", &id);
    g_autoptr(GVariant) reply = harness_call(h, listener->bus, how, "(%s,)", id);
}

void
transport_cloud_sends(Harness *h, const char *device_id, const char *message_id,
                      const char *members)
{
    g_autofree char *path = g_strdup_printf("/devices/%s/messages", device_id);
    g_autofree char *body = g_strdup_printf("{\"body\":\"body of %s\",\"messageId\":\"%s\"%s}",
                                            message_id, message_id, members);
    g_autoptr(JsonNode) answer = harness_hub(h, "POST", path, body);
}

typedef struct {
    const char *device_id, *message_id, *state;
} Fate;

static JsonNode *
ask_fate(Harness *h, const char *device_id, const char *message_id)
{
    g_autofree char *path = g_strdup_printf("/devices/%s/messages/%s", device_id, message_id);

    return harness_hub(h, "GET", path, NULL);
}

static gboolean
fate_is(Harness *h, gpointer user_data)
{
    const Fate *fate = user_data;
    g_autoptr(JsonNode) message = ask_fate(h, fate->device_id, fate->message_id);

    return g_str_equal(json_object_get_string_member(json_node_get_object(message), "state"),
                       fate->state);
}

void
transport_wait_fate(Harness *h, const char *device_id, const char *message_id, const char *state)
{
    Fate fate = {device_id, message_id, state};
    g_autofree char *what = g_strdup_printf("%s to be %s at the hub", message_id, state);

    harness_wait(h, what, fate_is, &fate);
}

gint64
transport_fate_number(Harness *h, const char *message_id, const char *member)
{
    g_autoptr(JsonNode) message = ask_fate(h, HARNESS_DEVICE_ID, message_id);

    return json_object_get_int_member(json_node_get_object(message), member);
}
