/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * SAS tokens end; messages don't care. The shortest lifetime the configuration takes makes the
 * daemon renew every few seconds.
 */
#include "tests/integration/harness.h"

#include <string.h>

#define RENEWALS 3

typedef struct {
    Harness *h;
    guint64 sent, answered, last_expiry;
    guint renewals;
} Load;

static void send_one(Load *load);

static void
on_sent(GObject *bus, GAsyncResult *result, gpointer user_data)
{
    Load *load = user_data;
    g_autoptr(GError) error = NULL;
    g_autoptr(GVariant) reply =
        g_dbus_connection_call_finish(G_DBUS_CONNECTION(bus), result, &error);

    g_assert_no_error(error);
    load->answered++;
    if (load->renewals < RENEWALS)
        send_one(load);
}

static void
send_one(Load *load)
{
    g_autofree char *text = g_strdup_printf("%" G_GUINT64_FORMAT, load->sent++);

    g_dbus_connection_call(harness_get_bus(load->h), HARNESS_BUS_NAME, HARNESS_SELF,
                           "org.spoked1.Device", "SendText",
                           g_variant_new_parsed("(%s, @a{ss} {}, @a{sv} {})", text), NULL,
                           G_DBUS_CALL_FLAGS_NO_AUTO_START, 30000, NULL, on_sent, load);
}

static gboolean
is_renewed_often_enough(Harness *h, gpointer user_data)
{
    Load *load = user_data;
    guint64 expiry = harness_counter(h, "TokenExpiry");

    if (expiry != 0 && expiry != load->last_expiry) {
        if (load->last_expiry != 0)
            load->renewals++;
        load->last_expiry = expiry;
    }
    return load->renewals >= RENEWALS;
}

static gboolean
all_answered(Harness *h, gpointer user_data)
{
    const Load *load = user_data;

    return load->answered == load->sent;
}

/* Each message arrives once and in order: nothing is lost, and renewal repeats nothing either. */
static void
test_renewal_under_load_loses_and_repeats_nothing(void)
{
    g_autoptr(Harness) h = harness_new();
    Load load = {.h = h};

    harness_configure(h, "[Hub]\nTokenLifetimeSec=65\n");
    harness_start_daemon(h);
    harness_wait_state(h, "connected");
    for (guint i = 0; i < 4; i++)
        send_one(&load);
    harness_wait(h, "the renewals", is_renewed_often_enough, &load);
    harness_wait(h, "the answers", all_answered, &load);
    harness_wait_counter(h, "QueuedMessages", 0);

    g_autoptr(JsonNode) stats = harness_hub(h, "GET", "/stats", NULL);
    JsonObject *object = json_node_get_object(stats);
    g_assert_cmpint(json_object_get_int_member(object, "messagesReceived"), ==, load.sent);
    g_assert_cmpint(json_object_get_int_member(object, "evicted"), ==, 0);
    g_autoptr(JsonArray) arrived = harness_arrived(h, 0);
    guint n = json_array_get_length(arrived);
    g_assert_cmpuint(n, >, 0);
    gint64 previous = -1;
    for (guint i = 0; i < n; i++) {
        JsonObject *message = json_array_get_object_element(arrived, i);
        gint64 number = g_ascii_strtoll(json_object_get_string_member(message, "body"), NULL, 10);
        if (previous >= 0)
            g_assert_cmpint(number, ==, previous + 1);
        previous = number;
    }
}

static void
test_wrong_key_is_named_and_mended_by_reload(void)
{
    g_autoptr(Harness) h = harness_new();
    g_autoptr(JsonNode) device = harness_hub(h, "GET", "/devices/" HARNESS_DEVICE_ID, NULL);
    const char *right =
        json_object_get_string_member(json_node_get_object(device), "connectionString");
    g_autofree char *wrong =
        g_strdup_printf("HostName=localhost;DeviceId=" HARNESS_DEVICE_ID ";SharedAccessKey="
                        "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=");
    const char *name;

    harness_set_connection_string(h, wrong);
    harness_start_daemon(h);
    gint64 deadline = g_get_monotonic_time() + HARNESS_WAIT_SEC * G_USEC_PER_SEC;
    for (;;) {
        g_autoptr(GVariant) value = harness_property(h, "LastError");
        g_variant_get(value, "(&s&s)", &name, NULL);
        if (g_str_equal(name, "AuthenticationFailed"))
            break;
        g_assert_cmpint(g_get_monotonic_time(), <, deadline);
    }

    harness_set_connection_string(h, right);
    g_autoptr(GError) error = NULL;
    g_autoptr(GVariant) reloaded = g_dbus_connection_call_sync(
        harness_get_bus(h), HARNESS_BUS_NAME, HARNESS_MANAGER, "org.spoked1.Manager", "Reload",
        NULL, NULL, G_DBUS_CALL_FLAGS_NONE, -1, NULL, &error);
    g_assert_no_error(error);
    harness_wait_state(h, "connected");

    g_autofree char *log = harness_read_daemon_log(h);
    g_assert_null(strstr(log, "MDEyMzQ1Njc4"));
    g_assert_null(strstr(log, strstr(right, "SharedAccessKey=")));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/token/renewal/under-load-loses-and-repeats-nothing",
                    test_renewal_under_load_loses_and_repeats_nothing);
    g_test_add_func("/token/wrong-key/is-named-and-mended-by-reload",
                    test_wrong_key_is_named_and_mended_by_reload);
    return g_test_run();
}
