/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Telemetry through the real bus, the real daemon and the hub: what is sent is what arrives, and
 * bad input gets its own error and changes nothing.
 */
#include "tests/integration/harness.h"

#include <signal.h>
#include <string.h>

#define TEXT_MAX 262144

static Harness *
connected_harness(void)
{
    Harness *h = harness_new();

    harness_start_daemon(h);
    harness_wait_state(h, "connected");
    return h;
}

/* The one message that has arrived. (transfer full) */
static JsonObject *
only_arrival(Harness *h)
{
    harness_wait_arrived(h, 1);
    g_autoptr(JsonArray) arrived = harness_arrived(h, 0);

    g_assert_cmpuint(json_array_get_length(arrived), ==, 1);
    return json_object_ref(json_array_get_object_element(arrived, 0));
}

static const char *
property(JsonObject *message, const char *name)
{
    return json_object_get_string_member_with_default(
        json_object_get_object_member(message, "properties"), name, NULL);
}

static const char *
system_property(JsonObject *message, const char *name)
{
    return json_object_get_string_member_with_default(
        json_object_get_object_member(message, "systemProperties"), name, NULL);
}

static void
test_text_arrives_as_it_was_sent(void)
{
    g_autoptr(Harness) h = connected_harness();

    g_autoptr(GVariant) reply =
        harness_call(h, NULL, "SendText", "('grüß dich', {'room': 'kitchen'}, @a{sv} {})");

    g_autoptr(JsonObject) message = only_arrival(h);
    g_assert_cmpstr(json_object_get_string_member(message, "body"), ==, "grüß dich");
    g_assert_cmpstr(property(message, "room"), ==, "kitchen");
    g_assert_cmpstr(json_object_get_string_member(message, "deviceId"), ==, HARNESS_DEVICE_ID);
    harness_wait_counter(h, "QueuedMessages", 0);
    g_assert_cmpuint(harness_counter(h, "SentMessages"), ==, 1);
}

static void
test_bytes_arrive_as_they_were_sent(void)
{
    g_autoptr(Harness) h = connected_harness();

    g_autoptr(GVariant) reply =
        harness_call(h, NULL, "Send", "([byte 0, 255, 10, 200], @a{ss} {}, @a{sv} {})");

    g_autoptr(JsonObject) message = only_arrival(h);
    g_assert_cmpstr(json_object_get_string_member(message, "bodyBase64"), ==, "AP8KyA==");
}

static char *
list_bodies(Harness *h, const char *query)
{
    g_autofree char *path = g_strconcat("/messages?", query, NULL);
    g_autoptr(JsonNode) answer = harness_hub(h, "GET", path, NULL);
    JsonArray *messages = json_node_get_array(answer);
    GString *bodies = g_string_new(NULL);

    for (guint i = 0; i < json_array_get_length(messages); i++) {
        JsonObject *message = json_array_get_object_element(messages, i);
        g_string_append(bodies, json_object_get_string_member(message, "body"));
    }
    return g_string_free(bodies, FALSE);
}

static void
test_hub_lists_the_newest(void)
{
    g_autoptr(Harness) h = connected_harness();

    for (char body[] = "a"; *body <= 'e'; ++*body) {
        g_autoptr(GVariant) reply =
            harness_call(h, NULL, "SendText", "(%s, @a{ss} {}, @a{sv} {})", body);
    }
    harness_wait_arrived(h, 5);

    g_autofree char *newest = list_bodies(h, "limit=2");
    g_assert_cmpstr(newest, ==, "de");
    g_autofree char *of_device = list_bodies(h, "limit=2&device=" HARNESS_DEVICE_ID);
    g_assert_cmpstr(of_device, ==, "de");
    g_autofree char *of_nobody = list_bodies(h, "limit=2&device=nobody");
    g_assert_cmpstr(of_nobody, ==, "");
    g_autofree char *more = list_bodies(h, "limit=9");
    g_assert_cmpstr(more, ==, "abcde");
    g_autofree char *none = list_bodies(h, "limit=0");
    g_assert_cmpstr(none, ==, "");
    g_autofree char *since = list_bodies(h, "since=1&limit=2");
    g_assert_cmpstr(since, ==, "bc");
    g_autofree char *all = list_bodies(h, "since=0");
    g_assert_cmpstr(all, ==, "abcde");
}

static void
test_all_system_properties_arrive(void)
{
    g_autoptr(Harness) h = connected_harness();

    /* Integers of another width than the documented one are as good. */
    g_autoptr(GVariant) reply = harness_call(
        h, NULL, "SendText",
        "('{}', @a{ss} {}, {'message-id': <'m-1'>, 'correlation-id': <'c/2'>, 'user-id': <'ü'>,"
        " 'content-type': <'application/json'>, 'content-encoding': <'utf-8'>,"
        " 'creation-time': <@t 1893456000000000>, 'expiry': <@x 4102444800000000>})");

    g_autoptr(JsonObject) message = only_arrival(h);
    g_assert_cmpstr(system_property(message, "message-id"), ==, "m-1");
    g_assert_cmpstr(system_property(message, "correlation-id"), ==, "c/2");
    g_assert_cmpstr(system_property(message, "user-id"), ==, "ü");
    g_assert_cmpstr(system_property(message, "content-type"), ==, "application/json");
    g_assert_cmpstr(system_property(message, "content-encoding"), ==, "utf-8");
}

static void
test_hard_characters_arrive(void)
{
    static const char *const hard[] = {"k ey",    "a/b",  "#",       "+",   "&=%",
                                       "%24.mid", "é漢🚀", "~'()*!;", "$to", "mid"};
    g_autoptr(Harness) h = connected_harness();
    GVariantBuilder properties;

    g_variant_builder_init(&properties, G_VARIANT_TYPE("a{ss}"));
    for (guint i = 0; i < G_N_ELEMENTS(hard); i++)
        g_variant_builder_add(&properties, "{ss}", hard[i], hard[G_N_ELEMENTS(hard) - 1 - i]);
    g_variant_builder_add(&properties, "{ss}", "empty", "");

    g_autoptr(GVariant) reply = harness_call(h, NULL, "SendText", "('x', %@a{ss}, @a{sv} {})",
                                             g_variant_builder_end(&properties));

    g_autoptr(JsonObject) message = only_arrival(h);
    for (guint i = 0; i < G_N_ELEMENTS(hard); i++)
        g_assert_cmpstr(property(message, hard[i]), ==, hard[G_N_ELEMENTS(hard) - 1 - i]);
    g_assert_cmpstr(property(message, "empty"), ==, "");
    g_assert_cmpuint(json_object_get_size(json_object_get_object_member(message, "properties")), ==,
                     G_N_ELEMENTS(hard) + 1);
}

static void
test_a_message_without_id_gets_one(void)
{
    g_autoptr(Harness) h = connected_harness();

    g_autoptr(GVariant) reply = harness_call(h, NULL, "SendText", "('x', @a{ss} {}, @a{sv} {})");

    g_autoptr(JsonObject) message = only_arrival(h);
    g_assert_cmpuint(strlen(system_property(message, "message-id")), >, 8);
}

static void
test_batch_arrives_in_order(void)
{
    g_autoptr(Harness) h = connected_harness();

    g_autoptr(GVariant) reply =
        harness_call(h, NULL, "SendBatch",
                     "([(b'a', @a{ss} {}, @a{sv} {}), (b'b', {'n': '2'}, {'message-id': <'two'>}),"
                     " (b'c', {}, {})],)");

    g_autoptr(GVariant) ids = g_variant_get_child_value(reply, 0);
    g_assert_cmpuint(g_variant_n_children(ids), ==, 3);
    harness_wait_arrived(h, 3);
    g_autoptr(JsonArray) arrived = harness_arrived(h, 0);
    JsonObject *second = json_array_get_object_element(arrived, 1);
    g_assert_cmpstr(property(second, "n"), ==, "2");
    g_assert_cmpstr(system_property(second, "message-id"), ==, "two");
}

static char *
text_of(gsize size)
{
    char *text = g_malloc(size + 1);

    memset(text, 'x', size);
    text[size] = '\0';
    return text;
}

static void
test_largest_message_arrives(void)
{
    g_autoptr(Harness) h = connected_harness();
    g_autofree char *text = text_of(TEXT_MAX - 2);

    g_autoptr(GVariant) reply =
        harness_call(h, NULL, "SendText", "(%s, {'a': 'b'}, {'message-id': <'i'>})", text + 1);

    g_autoptr(JsonObject) message = only_arrival(h);
    g_assert_cmpint(json_object_get_int_member(message, "bodySize"), ==, TEXT_MAX - 3);
}

/* It gets a message-id on its way, which counts at the hub. */
static void
test_largest_message_without_id_arrives(void)
{
    g_autoptr(Harness) h = connected_harness();
    g_autofree char *text = text_of(TEXT_MAX);
    guint size = TEXT_MAX;

    harness_refused(h, NULL, "TooLarge", "SendText", "(%s, @a{ss} {}, @a{sv} {})", text);
    text[size -= 37] = '\0';
    g_autoptr(GVariant) reply =
        harness_call(h, NULL, "SendText", "(%s, @a{ss} {}, @a{sv} {})", text);

    g_autoptr(JsonObject) message = only_arrival(h);
    g_assert_cmpint(json_object_get_int_member(message, "bodySize"), ==, size);
}

/* A call that has to be refused, by error name and in GVariant's text form. */
typedef struct {
    const char *error;
    const char *method;
    const char *parameters;
} Refusal;

static const Refusal refusals[] = {
    {"UnknownOption", "SendText", "('x', @a{ss} {}, {'colour': <'red'>})"},
    {"InvalidOption", "SendText", "('x', @a{ss} {}, {'ttl': <@x -1>})"},
    {"InvalidOption", "SendText", "('x', @a{ss} {}, {'ttl': <@t 0>})"},
    {"InvalidOption", "SendText", "('x', @a{ss} {}, {'ttl': <'soon'>})"},
    {"InvalidOption", "SendText", "('x', @a{ss} {}, {'ttl': <[1, 2]>})"},
    {"InvalidOption", "SendText", "('x', @a{ss} {}, {'message-id': <''>})"},
    {"InvalidOption", "SendText", "('x', @a{ss} {}, {'message-id': <'a b'>})"},
    {"InvalidOption", "SendText", "('x', @a{ss} {}, {'message-id': <@t 5>})"},
    {"InvalidOption", "SendText", "('x', @a{ss} {}, {'content-type': <''>})"},
    {"InvalidOption", "SendText", "('x', @a{ss} {}, {'content-type': <'a\\nb'>})"},
    {"InvalidOption", "SendText", "('x', @a{ss} {}, {'priority': <'high'>})"},
    {"InvalidOption", "SendText", "('x', @a{ss} {}, {'durability': <'forever'>})"},
    {"InvalidOption", "SendText", "('x', @a{ss} {}, {'notify': <'yes'>})"},
    {"InvalidProperty", "SendText", "('x', {'': 'v'}, @a{sv} {})"},
    {"InvalidProperty", "SendText", "('x', {'$.mid': 'v'}, @a{sv} {})"},
    {"InvalidProperty", "SendText", "('x', {'a\\u0001b': 'v'}, @a{sv} {})"},
    {"InvalidProperty", "SendText", "('x', {'a': 'v\\u007f'}, @a{sv} {})"},
    {"InvalidArgument", "SendBatch", "(@a(aya{ss}a{sv}) [],)"},
    {"UnknownOption", "SendBatch",
     "([(b'a', @a{ss} {}, @a{sv} {}), (b'b', {}, {'colour': <'red'>})],)"},
    {"UnknownOption", "Subscribe", "({'colour': <'red'>},)"},
    {"InvalidOption", "Subscribe", "({'mode': <'steal'>},)"},
    {"InvalidOption", "Subscribe", "({'mode': <'handle'>, 'lock': <@t 5>},)"},
    {"InvalidOption", "Subscribe", "({'mode': <'handle'>, 'credit': <@u 0>},)"},
    {"InvalidOption", "Subscribe", "({'filter': <'room'>},)"},
    {"NoSuchSubscription", "Unsubscribe", "(@u 4711,)"},
    {"UnknownOption", "Receive", "(@t 0, {'colour': <'red'>})"},
    {"InvalidOption", "Receive", "(@t 0, {'lock': <@t 1000>, 'dead-letter': <true>})"},
    {"Timeout", "Receive", "(@t 0, @a{sv} {})"},
    {"NoSuchMessage", "Complete", "('4711',)"},
    {"NoSuchMessage", "Abandon", "('not a number',)"},
    {"NoSuchMessage", "Reject", "('',)"},
};

static void
test_bad_input_is_refused(void)
{
    g_autoptr(Harness) h = connected_harness();

    for (guint i = 0; i < G_N_ELEMENTS(refusals); i++)
        harness_refused(h, NULL, refusals[i].error, refusals[i].method, refusals[i].parameters);

    g_assert_cmpuint(harness_counter(h, "QueuedMessages"), ==, 0);
    g_assert_cmpuint(harness_counter(h, "SentMessages"), ==, 0);
}

static void
test_too_large_is_refused(void)
{
    g_autoptr(Harness) h = connected_harness();
    g_autofree char *text = text_of(TEXT_MAX + 1);
    g_autofree char *exact = text_of(TEXT_MAX);

    harness_refused(h, NULL, "TooLarge", "SendText", "(%s, @a{ss} {}, @a{sv} {})", text);
    harness_refused(h, NULL, "TooLarge", "SendText", "(%s, {'a': ''}, @a{sv} {})", exact);

    g_assert_cmpuint(harness_counter(h, "QueuedMessages"), ==, 0);
}

static GVariant *
many_properties(guint n, guint name_size)
{
    GVariantBuilder properties;

    g_variant_builder_init(&properties, G_VARIANT_TYPE("a{ss}"));
    for (guint i = 0; i < n; i++) {
        g_autofree char *name = g_strdup_printf("%0*u", name_size, i);
        g_variant_builder_add(&properties, "{ss}", name, "v");
    }
    return g_variant_builder_end(&properties);
}

static void
test_thousands_of_properties_are_refused(void)
{
    g_autoptr(Harness) h = connected_harness();

    harness_refused(h, NULL, "InvalidProperty", "SendText", "('x', %@a{ss}, @a{sv} {})",
                    many_properties(5000, 4));
    harness_refused(h, NULL, "InvalidProperty", "SendText", "('x', %@a{ss}, @a{sv} {})",
                    many_properties(1, 257));
    harness_refused(h, NULL, "TooLarge", "SendText", "('x', %@a{ss}, @a{sv} {})",
                    many_properties(300, 250));

    g_assert_cmpuint(harness_counter(h, "QueuedMessages"), ==, 0);
}

/* GDBus sends them, sd-bus does not take them. */
static void
test_noncharacters_are_named(void)
{
    static const struct {
        const char *parameters, *part;
    } cases[] = {
        {"('a\xef\xbf\xbe', @a{ss} {}, @a{sv} {})", "Body can't be read"},
        {"('a', {'k\xef\xbf\xbf': 'v'}, @a{sv} {})", "Name of a property can't be read"},
        {"('a', {'k': '\xef\xb7\x90'}, @a{sv} {})", "Value of property \"k\" can't be read"},
        {"('a', @a{ss} {}, {'user-id': <'\xef\xbf\xbe'>})", "Option user-id can't be read"},
        {"('a', @a{ss} {}, {'\xef\xbf\xbe': <'x'>})", "Name of an option can't be read"},
    };
    g_autoptr(Harness) h = harness_new();

    harness_start_daemon(h);
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(GVariant) reply = g_dbus_connection_call_sync(
            harness_get_bus(h), HARNESS_BUS_NAME, HARNESS_SELF, "org.spoked1.Device", "SendText",
            g_variant_new_parsed(cases[i].parameters), NULL, G_DBUS_CALL_FLAGS_NONE, -1, NULL,
            &error);
        g_assert_null(reply);
        g_autofree char *name = g_dbus_error_get_remote_error(error);
        g_assert_cmpstr(name, ==, "org.spoked1.Error.InvalidArgument");
        g_assert_nonnull(strstr(error->message, cases[i].part));
        g_assert_nonnull(strstr(error->message, "noncharacter"));
    }
    g_assert_cmpuint(harness_counter(h, "QueuedMessages"), ==, 0);
}

static void
test_wrong_signature_is_refused(void)
{
    g_autoptr(Harness) h = connected_harness();
    g_autoptr(GError) error = NULL;

    g_autoptr(GVariant) reply = g_dbus_connection_call_sync(
        harness_get_bus(h), HARNESS_BUS_NAME, HARNESS_SELF, "org.spoked1.Device", "SendText",
        g_variant_new("(i)", 5), NULL, G_DBUS_CALL_FLAGS_NONE, -1, NULL, &error);

    g_assert_error(error, G_DBUS_ERROR, G_DBUS_ERROR_INVALID_ARGS);
}

static void
test_unknown_device_is_refused(void)
{
    g_autoptr(Harness) h = connected_harness();
    g_autoptr(GError) error = NULL;

    g_autoptr(GVariant) reply = g_dbus_connection_call_sync(
        harness_get_bus(h), HARNESS_BUS_NAME, HARNESS_MANAGER, "org.spoked1.Manager", "GetDevice",
        g_variant_new("(s)", "nobody"), NULL, G_DBUS_CALL_FLAGS_NONE, -1, NULL, &error);

    g_autofree char *name = g_dbus_error_get_remote_error(error);
    g_assert_cmpstr(name, ==, "org.spoked1.Error.NoSuchDevice");
}

static void
test_full_queue_refuses_and_recovers(void)
{
    g_autoptr(Harness) h = harness_new();
    g_autofree char *text = text_of(100000);
    guint n = 0;

    harness_configure(h, "[Spool]\nBytesMax=1M\n");
    harness_kill_hub(h, SIGKILL);
    harness_start_daemon(h);
    for (; n < 10; n++) {
        g_autoptr(GVariant) reply =
            harness_call(h, NULL, "SendText", "(%s, @a{ss} {}, @a{sv} {})", text);
    }

    harness_refused(h, NULL, "QueueFull", "SendText", "(%s, @a{ss} {}, @a{sv} {})", text);

    g_assert_cmpuint(harness_counter(h, "QueuedMessages"), ==, n);
    harness_start_hub(h);
    harness_wait_counter(h, "QueuedMessages", 0);
    g_autoptr(GVariant) reply =
        harness_call(h, NULL, "SendText", "(%s, @a{ss} {}, @a{sv} {})", text);
}

typedef struct {
    guint64 id;
    char *outcome;
} Settled;

static void
on_settled(GDBusConnection *bus, const char *sender, const char *path, const char *interface,
           const char *signal, GVariant *parameters, gpointer user_data)
{
    Settled *settled = user_data;

    g_free(settled->outcome);
    g_variant_get(parameters, "(ts&s)", &settled->id, &settled->outcome, NULL);
}

static gboolean
is_settled(Harness *h, gpointer settled)
{
    return ((Settled *)settled)->outcome != NULL;
}

static guint
watch_settled(GDBusConnection *bus, Settled *settled)
{
    return g_dbus_connection_signal_subscribe(bus, HARNESS_BUS_NAME, "org.spoked1.Device",
                                              "Settled", NULL, NULL, G_DBUS_SIGNAL_FLAGS_NONE,
                                              on_settled, settled, NULL);
}

static void
test_settled_comes_to_the_sender_alone(void)
{
    g_autoptr(Harness) h = connected_harness();
    g_autoptr(GDBusConnection) other = harness_connect(h);
    Settled mine = {0}, others = {0};

    watch_settled(harness_get_bus(h), &mine);
    watch_settled(other, &others);
    g_autoptr(GVariant) reply =
        harness_call(h, NULL, "SendText", "('x', @a{ss} {}, {'notify': <true>})");

    harness_wait(h, "Settled", is_settled, &mine);
    g_assert_cmpstr(mine.outcome, ==, "accepted");
    g_autoptr(GVariant) id = g_variant_get_child_value(reply, 0);
    g_assert_cmpuint(mine.id, ==, g_variant_get_uint64(id));
    g_assert_null(others.outcome);
    g_free(mine.outcome);
}

static void
test_settled_comes_after_a_restart_too(void)
{
    g_autoptr(Harness) h = harness_new();
    Settled settled = {0};

    harness_kill_hub(h, SIGKILL);
    harness_start_daemon(h);
    watch_settled(harness_get_bus(h), &settled);
    g_autoptr(GVariant) reply =
        harness_call(h, NULL, "SendText", "('x', @a{ss} {}, {'notify': <true>})");
    harness_kill_daemon(h, SIGKILL);
    harness_start_hub(h);
    harness_start_daemon(h);

    harness_wait(h, "Settled", is_settled, &settled);
    g_assert_cmpstr(settled.outcome, ==, "accepted");
    g_free(settled.outcome);
}

/* @fault: what keeps the hub from having it */
static void
assert_stop_drops_volatile(Harness *h, const char *fault)
{
    Settled settled = {0};

    if (fault != NULL) {
        g_autoptr(JsonNode) answer = harness_hub(h, "POST", "/faults", fault);
    }
    watch_settled(harness_get_bus(h), &settled);
    g_autoptr(GVariant) reply = harness_call(
        h, NULL, "SendText", "('x', @a{ss} {}, {'notify': <true>, 'durability': <'volatile'>})");
    if (fault != NULL)
        harness_wait_arrived(h, 1);
    g_assert_cmpint(harness_stop_daemon(h), ==, 0);

    harness_wait(h, "Settled", is_settled, &settled);
    g_assert_cmpstr(settled.outcome, ==, "dropped");
    g_free(settled.outcome);
}

static void
test_settled_says_what_a_stop_drops(void)
{
    g_autoptr(Harness) h = harness_new();

    harness_kill_hub(h, SIGKILL);
    harness_configure(h, "[Daemon]\nShutdownTimeoutSec=1\n");
    harness_start_daemon(h);

    assert_stop_drops_volatile(h, NULL);
}

static void
test_settled_says_what_a_stop_drops_in_flight(void)
{
    g_autoptr(Harness) h = harness_new();

    harness_configure(h, "[Daemon]\nShutdownTimeoutSec=1\n");
    harness_start_daemon(h);
    harness_wait_state(h, "connected");

    assert_stop_drops_volatile(h, "{\"kind\": \"stall-acks\"}");
}

/* More than a sender may leave unread of Settled. Source: dbus/org.spoked1.Device.xml. */
#define SETTLED_UNREAD_MAX 65536

static gboolean
log_says(Harness *h, gpointer text)
{
    g_autofree char *log = harness_read_daemon_log(h);

    return strstr(log, text) != NULL;
}

/* What the bus keeps for a program that hangs counts against the daemon; its messages reach the hub
 * all the same. */
static void
test_a_stopped_sender_is_not_flooded(void)
{
    g_autoptr(Harness) h = harness_new();
    g_autoptr(GError) error = NULL;
    g_autoptr(GSubprocessLauncher) launcher =
        g_subprocess_launcher_new(G_SUBPROCESS_FLAGS_STDERR_SILENCE);
    g_autofree char *lines = g_build_filename(harness_get_dir(h), "lines", NULL);
    g_autofree char *text = g_strnfill(2 * (SETTLED_UNREAD_MAX + 5000), '\n');

    harness_kill_hub(h, SIGKILL);
    harness_start_daemon(h);
    g_subprocess_launcher_setenv(launcher, "DBUS_SYSTEM_BUS_ADDRESS", harness_get_bus_address(h),
                                 TRUE);
    for (char *line = text; *line != '\0'; line += 2)
        *line = 'x';
    g_assert_true(g_file_set_contents(lines, text, -1, NULL));
    g_autoptr(GSubprocess) sender = g_subprocess_launcher_spawn(
        launcher, &error, g_getenv("SPOKECTL"), "send", "--wait", "--lines", "--file", lines, NULL);
    g_assert_no_error(error);
    harness_wait_counter(h, "QueuedMessages", SETTLED_UNREAD_MAX + 5000);
    g_subprocess_send_signal(sender, SIGSTOP);
    harness_start_hub(h);

    harness_wait_counter(h, "QueuedMessages", 0);
    harness_wait(h, "the sender to be found slow", log_says,
                 (gpointer) "does not read what became of its messages");
    g_subprocess_send_signal(sender, SIGCONT);
    harness_wait(h, "the sender to catch up", log_says,
                 (gpointer) "reads again what becomes of its messages");
    g_subprocess_force_exit(sender);
}

static void
test_an_expired_message_is_not_sent(void)
{
    g_autoptr(Harness) h = harness_new();
    Settled settled = {0};

    harness_kill_hub(h, SIGKILL);
    harness_start_daemon(h);
    watch_settled(harness_get_bus(h), &settled);
    g_autoptr(GVariant) first =
        harness_call(h, NULL, "SendText", "('old', @a{ss} {}, {'notify': <true>, 'ttl': <@t 1>})");
    g_autoptr(GVariant) second = harness_call(h, NULL, "SendText", "('new', @a{ss} {}, @a{sv} {})");
    harness_start_hub(h);

    harness_wait(h, "Settled", is_settled, &settled);
    g_assert_cmpstr(settled.outcome, ==, "expired");
    g_autoptr(JsonObject) message = only_arrival(h);
    g_assert_cmpstr(json_object_get_string_member(message, "body"), ==, "new");
    g_free(settled.outcome);
}

static void
test_a_message_expires_while_the_hub_is_away(void)
{
    g_autoptr(Harness) h = harness_new();
    Settled settled = {0};

    harness_kill_hub(h, SIGKILL);
    harness_start_daemon(h);
    watch_settled(harness_get_bus(h), &settled);
    gint64 begin_usec = g_get_monotonic_time();
    g_autoptr(GVariant) reply = harness_call(
        h, NULL, "SendText", "('old', @a{ss} {}, {'notify': <true>, 'ttl': <@t 500>})");
    harness_wait(h, "Settled", is_settled, &settled);
    gint64 took_usec = g_get_monotonic_time() - begin_usec;

    g_assert_cmpstr(settled.outcome, ==, "expired");
    g_assert_cmpint(took_usec, >=, 500 * 1000);
    g_assert_cmpint(took_usec, <, 1500 * 1000 + G_USEC_PER_SEC); /* one for a slow machine */
    g_assert_cmpuint(harness_counter(h, "QueuedMessages"), ==, 0);
    g_assert_cmpuint(harness_counter(h, "QueuedBytes"), ==, 0);
    g_free(settled.outcome);
}

static void
test_what_can_never_fit_is_too_large(void)
{
    g_autoptr(Harness) h = harness_new();
    g_autofree char *text = text_of(70000);

    harness_configure(h, "[Spool]\nBytesMax=64K\n");
    harness_start_daemon(h);

    harness_refused(h, NULL, "TooLarge", "SendText", "(%s, @a{ss} {}, @a{sv} {})", text);
    harness_refused(h, NULL, "InvalidProperty", "SendText",
                    "('x', {'room': '1', 'room': '2'}, @a{sv} {})");
}

static void
test_urgent_overtakes_the_backlog(void)
{
    g_autoptr(Harness) h = harness_new();

    harness_kill_hub(h, SIGKILL);
    harness_start_daemon(h);
    for (guint i = 0; i < 5; i++) {
        g_autoptr(GVariant) reply =
            harness_call(h, NULL, "SendText", "('n', @a{ss} {}, @a{sv} {})");
    }
    g_autoptr(GVariant) urgent =
        harness_call(h, NULL, "SendText", "('u', @a{ss} {}, {'priority': <'urgent'>})");
    harness_start_hub(h);

    harness_wait_arrived(h, 6);
    g_autoptr(JsonArray) arrived = harness_arrived(h, 0);
    JsonObject *first = json_array_get_object_element(arrived, 0);
    g_assert_cmpstr(json_object_get_string_member(first, "body"), ==, "u");
}

static void
test_flush_tells_what_remains(void)
{
    g_autoptr(Harness) h = connected_harness();
    guint64 remaining;

    g_autoptr(GVariant) sent = harness_call(h, NULL, "SendText", "('x', @a{ss} {}, @a{sv} {})");
    g_autoptr(GVariant) flushed = harness_call(h, NULL, "Flush", "(@t 30000,)");
    g_variant_get(flushed, "(t)", &remaining);
    g_assert_cmpuint(remaining, ==, 0);

    harness_kill_hub(h, SIGKILL);
    harness_wait_state(h, "offline");
    g_autoptr(GVariant) again = harness_call(h, NULL, "SendText", "('x', @a{ss} {}, @a{sv} {})");
    g_autoptr(GVariant) timed = harness_call(h, NULL, "Flush", "(@t 50,)");
    g_variant_get(timed, "(t)", &remaining);
    g_assert_cmpuint(remaining, ==, 1);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/send/text/arrives-as-it-was-sent", test_text_arrives_as_it_was_sent);
    g_test_add_func("/send/bytes/arrive-as-they-were-sent", test_bytes_arrive_as_they_were_sent);
    g_test_add_func("/send/system-properties/all-arrive", test_all_system_properties_arrive);
    g_test_add_func("/send/properties/hard-characters-arrive", test_hard_characters_arrive);
    g_test_add_func("/send/message-id/is-made-when-missing", test_a_message_without_id_gets_one);
    g_test_add_func("/send/batch/arrives-in-order", test_batch_arrives_in_order);
    g_test_add_func("/send/size/largest-arrives", test_largest_message_arrives);
    g_test_add_func("/send/largest/without-id-arrives", test_largest_message_without_id_arrives);
    g_test_add_func("/send/size/too-large-is-refused", test_too_large_is_refused);
    g_test_add_func("/send/bad-input/is-refused", test_bad_input_is_refused);
    g_test_add_func("/send/bad-input/thousands-of-properties",
                    test_thousands_of_properties_are_refused);
    g_test_add_func("/send/bad-input/noncharacters-are-named", test_noncharacters_are_named);
    g_test_add_func("/send/bad-input/wrong-signature", test_wrong_signature_is_refused);
    g_test_add_func("/send/bad-input/unknown-device", test_unknown_device_is_refused);
    g_test_add_func("/send/full/refuses-and-recovers", test_full_queue_refuses_and_recovers);
    g_test_add_func("/send/settled/comes-to-the-sender-alone",
                    test_settled_comes_to_the_sender_alone);
    g_test_add_func("/send/settled/comes-after-a-restart", test_settled_comes_after_a_restart_too);
    g_test_add_func("/send/settled/says-what-a-stop-drops", test_settled_says_what_a_stop_drops);
    g_test_add_func("/send/settled/says-what-a-stop-drops-in-flight",
                    test_settled_says_what_a_stop_drops_in_flight);
    g_test_add_func("/send/settled/stopped-sender-is-not-flooded",
                    test_a_stopped_sender_is_not_flooded);
    g_test_add_func("/send/ttl/expired-is-not-sent", test_an_expired_message_is_not_sent);
    g_test_add_func("/send/ttl/expires-while-the-hub-is-away",
                    test_a_message_expires_while_the_hub_is_away);
    g_test_add_func("/send/full/what-can-never-fit-is-too-large",
                    test_what_can_never_fit_is_too_large);
    g_test_add_func("/send/urgent/overtakes-the-backlog", test_urgent_overtakes_the_backlog);
    g_test_add_func("/send/flush/tells-what-remains", test_flush_tells_what_remains);
    g_test_add_func("/send/hub/lists-the-newest", test_hub_lists_the_newest);
    return g_test_run();
}
