/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Telemetry: what an application sends is what the hub has, byte by byte and name by name, in
 * order; and what is too large is refused at the door.
 */
#include "tests/integration/transport-suite.h"

#include <string.h>

/* What any protocol has some use for, or trouble with. */
#define HARD_NAME_1 "k ey"
#define HARD_NAME_2 "größe/%41&=?;"
#define HARD_NAME_3 "\"quoted\"'\\"
#define HARD_NAME_4 "Case-Matters"
#define HARD_NAME_5 "case-matters"

static const char *const hard[][2] = {
    {HARD_NAME_1, " v/l=&ü#+%?; "},
    {HARD_NAME_2, "%20+%zz"},
    {HARD_NAME_3, "\"a\", 'b' \\ {c}"},
    {HARD_NAME_4, "one"},
    {HARD_NAME_5, "two"},
    {"emoji\xf0\x9f\x8c\xa1", "\xe2\x82\xac\xf0\x9f\x94\xa5"},
    {"$name", "$value"},
    {"empty", ""},
    {"iothub-app-x", "iothub-messageid"},
    {"true", "null"},
};

/* Source: iot-hub-protocol.md, 7.1. */
#define MESSAGE_BYTES_MAX (256 * 1024)

static JsonObject *
nth_arrived(JsonArray *messages, guint i)
{
    g_assert_cmpuint(json_array_get_length(messages), >, i);
    return json_array_get_object_element(messages, i);
}

static void
assert_member(JsonObject *object, const char *name, const char *value)
{
    if (!json_object_has_member(object, name))
        g_error("%s did not arrive", name);
    g_assert_cmpstr(json_object_get_string_member(object, name), ==, value);
}

static GVariant *
make_hard_properties(void)
{
    GVariantBuilder builder;

    g_variant_builder_init(&builder, G_VARIANT_TYPE("a{ss}"));
    for (guint i = 0; i < G_N_ELEMENTS(hard); i++)
        g_variant_builder_add(&builder, "{ss}", hard[i][0], hard[i][1]);
    return g_variant_builder_end(&builder);
}

static void
assert_hard_properties(JsonObject *message)
{
    JsonObject *properties = json_object_get_object_member(message, "properties");

    for (guint i = 0; i < G_N_ELEMENTS(hard); i++)
        assert_member(properties, hard[i][0], hard[i][1]);
    g_assert_cmpuint(json_object_get_size(properties), >=, G_N_ELEMENTS(hard));
}

static void
assert_hard_system_properties(JsonObject *message, const char *message_id)
{
    JsonObject *system = json_object_get_object_member(message, "systemProperties");

    assert_member(system, "message-id", message_id);
    assert_member(system, "correlation-id", "c or/r=&ü");
    assert_member(system, "user-id", "ü ser%20");
    assert_member(system, "content-type", "application/json; charset=\"utf-8\"");
    assert_member(system, "content-encoding", "utf-8");
    assert_member(system, "iothub-creation-time-utc", "2026-01-02T03:04:05.678Z");
    assert_member(system, "iothub-connection-device-id", HARNESS_DEVICE_ID);
}

#define HARD_OPTIONS                                                                               \
    "'correlation-id': <'c or/r=&ü'>, 'user-id': <'ü ser%20'>, "                                 \
    "'content-type': <'application/json; charset=\"utf-8\"'>, 'content-encoding': <'utf-8'>, "     \
    "'creation-time': <@t 1767323045678000>"

/* Alone, and among others, for some protocols have another form for that. */
static void
test_properties_arrive_as_they_were(gconstpointer form)
{
    g_autoptr(Harness) h = transport_connected(form);

    g_autoptr(GVariant) alone =
        harness_call(h, NULL, "SendText",
                     "('{}', %*, {'message-id': <'a-Z:.+%_#*?!(),=@;$'>, " HARD_OPTIONS "})",
                     make_hard_properties());
    harness_wait_arrived(h, 1);
    g_autoptr(GVariant) several =
        harness_call(h, NULL, "SendBatch",
                     "([(b'{}', %*, {'message-id': <'2'>, " HARD_OPTIONS "}), "
                     "(b'{}', %*, {'message-id': <'3'>, " HARD_OPTIONS "})],)",
                     make_hard_properties(), make_hard_properties());
    harness_wait_arrived(h, 3);

    g_autoptr(JsonArray) messages = harness_arrived(h, 0);
    const char *const ids[] = {"a-Z:.+%_#*?!(),=@;$", "2", "3"};
    for (guint i = 0; i < G_N_ELEMENTS(ids); i++) {
        assert_hard_properties(nth_arrived(messages, i));
        assert_hard_system_properties(nth_arrived(messages, i), ids[i]);
    }
}

static void
test_message_without_id_gets_one(gconstpointer form)
{
    g_autoptr(Harness) h = transport_connected(form);

    transport_send(h, "x");
    harness_wait_arrived(h, 1);

    g_autoptr(JsonArray) messages = harness_arrived(h, 0);
    JsonObject *system =
        json_object_get_object_member(nth_arrived(messages, 0), "systemProperties");
    g_assert_true(json_object_has_member(system, "message-id"));
}

static void
test_bodies_arrive_as_they_were(gconstpointer form)
{
    g_autoptr(Harness) h = transport_connected(form);
    guint8 bytes[256];

    for (guint i = 0; i < sizeof bytes; i++)
        bytes[i] = (guint8)(255 - i);
    g_autofree char *base64 = g_base64_encode(bytes, sizeof bytes);
    GVariant *body = g_variant_new_fixed_array(G_VARIANT_TYPE_BYTE, bytes, sizeof bytes, 1);
    g_autoptr(GVariant) binary = harness_call(h, NULL, "Send", "(%*, @a{ss} {}, @a{sv} {})", body);
    g_autoptr(GVariant) empty = harness_call(h, NULL, "Send", "(@ay [], @a{ss} {}, @a{sv} {})");
    transport_send(h, "{\"ü\": \"\\\"\xf0\x9f\x8c\xa1\"}");
    harness_wait_arrived(h, 3);

    g_autoptr(JsonArray) messages = harness_arrived(h, 0);
    assert_member(nth_arrived(messages, 0), "bodyBase64", base64);
    g_assert_cmpint(json_object_get_int_member(nth_arrived(messages, 1), "bodySize"), ==, 0);
    assert_member(nth_arrived(messages, 2), "body", "{\"ü\": \"\\\"\xf0\x9f\x8c\xa1\"}");
}

static void
test_largest_arrives_and_one_byte_more_is_refused(gconstpointer form)
{
    g_autoptr(Harness) h = transport_connected(form);
    /* "id", "k" and "v" count too. */
    g_autofree char *largest = g_strnfill(MESSAGE_BYTES_MAX - 4, 'x');
    g_autofree char *larger = g_strnfill(MESSAGE_BYTES_MAX - 3, 'x');

    harness_refused(h, NULL, "TooLarge", "SendText", "(%s, {'k': 'v'}, {'message-id': <'id'>})",
                    larger);
    g_autoptr(GVariant) reply =
        harness_call(h, NULL, "SendText", "(%s, {'k': 'v'}, {'message-id': <'id'>})", largest);
    transport_send(h, "after it");
    harness_wait_arrived(h, 2);

    g_autoptr(JsonArray) messages = harness_arrived(h, 0);
    g_assert_cmpint(json_object_get_int_member(nth_arrived(messages, 0), "bodySize"), ==,
                    MESSAGE_BYTES_MAX - 4);
    harness_wait_counter(h, "QueuedMessages", 0);
    g_assert_cmpuint(harness_counter(h, "SentMessages"), ==, 2);
}

static void
test_batch_of_100_keeps_its_order(gconstpointer form)
{
    g_autoptr(Harness) h = transport_connected(form);

    transport_send_numbered(h, 0, 100);
    transport_wait_numbered(h, 100, TRUE);
    transport_send_numbered(h, 100, 1900);
    transport_wait_numbered(h, 2000, TRUE);

    harness_wait_counter(h, "QueuedMessages", 0);
    g_assert_cmpuint(harness_counter(h, "SentMessages"), ==, 2000);
}

/* More than a frame, a request or a batch of any protocol takes, in sizes that don't fit. */
static void
test_large_ones_among_small_ones(gconstpointer form)
{
    g_autoptr(Harness) h = transport_connected(form);
    GVariantBuilder batch;

    g_variant_builder_init(&batch, G_VARIANT_TYPE("a(aya{ss}a{sv})"));
    for (guint i = 0; i < 40; i++) {
        g_autofree char *filler = g_strnfill(i % 3 == 0 ? 100000 : 10, ' ');
        g_autofree char *text = g_strdup_printf("%u%s", i, filler);
        g_variant_builder_add_parsed(&batch, "(%*, @a{ss} {}, @a{sv} {})", transport_bytes(text));
    }
    g_autoptr(GVariant) reply =
        harness_call(h, NULL, "SendBatch", "(%*,)", g_variant_builder_end(&batch));

    transport_wait_numbered(h, 40, TRUE);
}

static void
test_backlog_of_a_time_offline_arrives_in_order(gconstpointer form)
{
    g_autoptr(Harness) h = transport_house(form);

    harness_kill_hub(h, SIGKILL);
    harness_start_daemon(h);
    transport_send_numbered(h, 0, 1000);
    transport_restart(h);
    g_assert_cmpuint(harness_counter(h, "QueuedMessages"), ==, 1000);
    transport_send_numbered(h, 1000, 1);
    harness_start_hub(h);
    transport_restart(h);

    harness_wait_counter(h, "QueuedMessages", 0);
    g_assert_cmpint(transport_stat(h, "messagesReceived"), ==, 1001);
}

static gboolean
is_settled(Harness *h, gpointer settled)
{
    return *(guint *)settled > 0;
}

static void
on_settled(GDBusConnection *bus, const char *sender, const char *path, const char *interface,
           const char *signal, GVariant *parameters, gpointer user_data)
{
    const char *outcome;

    g_variant_get(parameters, "(t&s&s)", NULL, &outcome, NULL);
    g_assert_cmpstr(outcome, ==, "accepted");
    ++*(guint *)user_data;
}

static void
test_sender_is_told(gconstpointer form)
{
    g_autoptr(Harness) h = transport_connected(form);
    guint settled = 0;

    g_dbus_connection_signal_subscribe(harness_get_bus(h), HARNESS_BUS_NAME, "org.spoked1.Device",
                                       "Settled", NULL, NULL, G_DBUS_SIGNAL_FLAGS_NONE, on_settled,
                                       &settled, NULL);
    g_autoptr(GVariant) reply =
        harness_call(h, NULL, "SendText", "('x', @a{ss} {}, {'notify': <true>})");

    harness_wait(h, "Settled", is_settled, &settled);
}

void
transport_add_messages(const Form *form)
{
    transport_add(form, "messages/properties-arrive-as-they-were",
                  test_properties_arrive_as_they_were);
    transport_add(form, "messages/one-without-id-gets-one", test_message_without_id_gets_one);
    transport_add(form, "messages/bodies-arrive-as-they-were", test_bodies_arrive_as_they_were);
    transport_add(form, "messages/largest-arrives-and-one-byte-more-is-refused",
                  test_largest_arrives_and_one_byte_more_is_refused);
    transport_add(form, "messages/batch-of-100-keeps-its-order", test_batch_of_100_keeps_its_order);
    transport_add(form, "messages/large-ones-among-small-ones", test_large_ones_among_small_ones);
    transport_add(form, "messages/backlog-of-a-time-offline-arrives-in-order",
                  test_backlog_of_a_time_offline_arrives_in_order);
    transport_add(form, "messages/sender-is-told", test_sender_is_told);
}
