/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Cloud-to-device messages from the hub's control API to applications on the bus: observers,
 * handlers, receivers, locks, dead letters, restarts.
 */
#include "tests/integration/harness.h"

#include <signal.h>

/* An application: its own connection and what it received. */
typedef struct {
    GDBusConnection *bus;
    GPtrArray *received; /* GVariant of each MessageReceived */
    guint32 subscription;
} App;

static void
on_received(GDBusConnection *bus, const char *sender, const char *path, const char *interface,
            const char *signal, GVariant *parameters, gpointer user_data)
{
    App *app = user_data;

    g_ptr_array_add(app->received, g_variant_ref(parameters));
}

static App *
app_new(Harness *h, const char *options)
{
    App *app = g_new0(App, 1);

    app->bus = harness_connect(h);
    app->received = g_ptr_array_new_with_free_func((GDestroyNotify)g_variant_unref);
    g_dbus_connection_signal_subscribe(app->bus, HARNESS_BUS_NAME, "org.spoked1.Device",
                                       "MessageReceived", NULL, NULL, G_DBUS_SIGNAL_FLAGS_NONE,
                                       on_received, app, NULL);
    if (options != NULL) {
        g_autofree char *parameters = g_strdup_printf("(%s,)", options);
        g_autoptr(GVariant) reply = harness_call(h, app->bus, "Subscribe", parameters);
        g_variant_get(reply, "(u)", &app->subscription);
    }
    return app;
}

/* Leaves the bus, as a crash would. */
static void
app_free(App *app)
{
    (void)g_dbus_connection_close_sync(app->bus, NULL, NULL);
    g_object_unref(app->bus);
    g_ptr_array_unref(app->received);
    g_free(app);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(App, app_free)

typedef struct {
    App *app;
    guint n;
} Expectation;

static gboolean
has_received(Harness *h, gpointer user_data)
{
    const Expectation *expectation = user_data;

    return expectation->app->received->len >= expectation->n;
}

/* Waits for the @n-th message, counted from 1. (transfer none) */
static GVariant *
nth(Harness *h, App *app, guint n)
{
    Expectation expectation = {app, n};

    harness_wait(h, "MessageReceived", has_received, &expectation);
    return g_ptr_array_index(app->received, n - 1);
}

static const char *
id_of(GVariant *received)
{
    const char *id;

    g_variant_get_child(received, 0, "&s", &id);
    return id;
}

static char *
body_of(GVariant *received)
{
    gsize size;
    g_autoptr(GVariant) body = g_variant_get_child_value(received, 1);
    const char *data = g_variant_get_fixed_array(body, &size, 1);

    return g_strndup(data, size);
}

static guint32
delivery_count_of(GVariant *received)
{
    g_autoptr(GVariant) system = g_variant_get_child_value(received, 3);
    guint32 count = 0;

    g_assert_true(g_variant_lookup(system, "delivery-count", "u", &count));
    return count;
}

static void
cloud_sends(Harness *h, const char *message_id, const char *extra)
{
    g_autofree char *body = g_strdup_printf("{\"body\":\"body of %s\",\"messageId\":\"%s\"%s}",
                                            message_id, message_id, extra);
    g_autoptr(JsonNode) answer =
        harness_hub(h, "POST", "/devices/" HARNESS_DEVICE_ID "/messages", body);
}

typedef struct {
    const char *message_id, *state;
} Fate;

static gboolean
fate_is(Harness *h, gpointer user_data)
{
    const Fate *fate = user_data;
    g_autofree char *path =
        g_strdup_printf("/devices/" HARNESS_DEVICE_ID "/messages/%s", fate->message_id);
    g_autoptr(JsonNode) message = harness_hub(h, "GET", path, NULL);

    return g_str_equal(json_object_get_string_member(json_node_get_object(message), "state"),
                       fate->state);
}

static void
wait_fate(Harness *h, const char *message_id, const char *state)
{
    Fate fate = {message_id, state};
    g_autofree char *what = g_strdup_printf("%s to be %s at the hub", message_id, state);

    harness_wait(h, what, fate_is, &fate);
}

static Harness *
connected_harness(const char *config)
{
    Harness *h = harness_new();

    harness_configure(h, config);
    harness_start_daemon(h);
    harness_wait_state(h, "connected");
    return h;
}

static void
settle(Harness *h, App *app, const char *how, GVariant *received)
{
    g_autoptr(GVariant) reply = harness_call(h, app->bus, how, "(%s,)", id_of(received));
}

static void
test_observer_gets_the_message_as_it_was_sent(void)
{
    g_autoptr(Harness) h = connected_harness("");
    g_autoptr(App) app = app_new(h, "@a{sv} {}");
    const char *text = NULL;

    cloud_sends(h, "m1",
                ",\"properties\":{\"k ey\":\"v/l=&ü\"},\"correlationId\":\"c\","
                "\"contentType\":\"text/plain\"");

    GVariant *received = nth(h, app, 1);
    g_autofree char *body = body_of(received);
    g_assert_cmpstr(body, ==, "body of m1");
    g_autoptr(GVariant) properties = g_variant_get_child_value(received, 2);
    g_assert_true(g_variant_lookup(properties, "k ey", "&s", &text));
    g_assert_cmpstr(text, ==, "v/l=&ü");
    g_autoptr(GVariant) system = g_variant_get_child_value(received, 3);
    g_assert_true(g_variant_lookup(system, "message-id", "&s", &text));
    g_assert_cmpstr(text, ==, "m1");
    g_assert_true(g_variant_lookup(system, "correlation-id", "&s", &text));
    g_assert_cmpstr(text, ==, "c");
    g_assert_true(g_variant_lookup(system, "content-type", "&s", &text));
    g_assert_cmpstr(text, ==, "text/plain");
    wait_fate(h, "m1", "Completed");
    harness_wait_counter(h, "WaitingMessages", 0);
}

static void
test_every_observer_gets_a_copy(void)
{
    g_autoptr(Harness) h = connected_harness("");
    g_autoptr(App) first = app_new(h, "{'mode': <'observe'>}");
    g_autoptr(App) second = app_new(h, "{'mode': <'observe'>}");

    cloud_sends(h, "m1", "");

    (void)nth(h, first, 1);
    (void)nth(h, second, 1);
}

static void
test_message_waits_for_a_listener_across_restarts(void)
{
    g_autoptr(Harness) h = connected_harness("");

    cloud_sends(h, "m1", "");
    wait_fate(h, "m1", "Completed");
    harness_kill_daemon(h, SIGKILL);
    harness_start_daemon(h);
    g_assert_cmpuint(harness_counter(h, "WaitingMessages"), ==, 1);
    g_autoptr(App) app = app_new(h, "{'mode': <'handle'>}");

    settle(h, app, "Complete", nth(h, app, 1));
    g_assert_cmpuint(harness_counter(h, "WaitingMessages"), ==, 0);
}

static void
test_one_handler_gets_each_message(void)
{
    g_autoptr(Harness) h = connected_harness("");
    g_autoptr(App) first = app_new(h, "{'mode': <'handle'>, 'credit': <@u 1>}");
    g_autoptr(App) second = app_new(h, "{'mode': <'handle'>, 'credit': <@u 1>}");

    cloud_sends(h, "m1", "");
    cloud_sends(h, "m2", "");

    (void)nth(h, first, 1);
    (void)nth(h, second, 1);
    g_assert_cmpstr(id_of(nth(h, first, 1)), !=, id_of(nth(h, second, 1)));
}

static void
test_a_second_complete_is_refused(void)
{
    g_autoptr(Harness) h = connected_harness("");
    g_autoptr(App) app = app_new(h, "{'mode': <'handle'>}");

    cloud_sends(h, "m1", "");
    GVariant *received = nth(h, app, 1);
    settle(h, app, "Complete", received);

    harness_refused(h, app->bus, "NoSuchMessage", "Complete", "(%s,)", id_of(received));
}

static void
test_somebody_elses_message_is_refused(void)
{
    g_autoptr(Harness) h = connected_harness("");
    g_autoptr(App) app = app_new(h, "{'mode': <'handle'>}");
    g_autoptr(App) stranger = app_new(h, NULL);

    cloud_sends(h, "m1", "");
    GVariant *received = nth(h, app, 1);

    harness_refused(h, stranger->bus, "NoSuchMessage", "Complete", "(%s,)", id_of(received));
    harness_refused(h, stranger->bus, "NoSuchSubscription", "Unsubscribe", "(%u,)",
                    app->subscription);
    settle(h, app, "Complete", received);
}

static void
test_abandoned_comes_again(void)
{
    g_autoptr(Harness) h = connected_harness("");
    g_autoptr(App) app = app_new(h, "{'mode': <'handle'>}");

    cloud_sends(h, "m1", "");
    settle(h, app, "Abandon", nth(h, app, 1));

    GVariant *again = nth(h, app, 2);
    g_assert_cmpuint(delivery_count_of(again), ==, 2);
    settle(h, app, "Complete", again);
}

static void
test_leaving_handler_passes_the_message_on(void)
{
    g_autoptr(Harness) h = connected_harness("");
    App *first = app_new(h, "{'mode': <'handle'>}");

    cloud_sends(h, "m1", "");
    (void)nth(h, first, 1);
    g_autoptr(App) second = app_new(h, "{'mode': <'handle'>}");
    app_free(first);

    settle(h, second, "Complete", nth(h, second, 1));
}

static void
test_lock_runs_out(void)
{
    g_autoptr(Harness) h = connected_harness("");
    g_autoptr(App) sleepy = app_new(h, "{'mode': <'handle'>, 'lock': <@t 1000>}");

    cloud_sends(h, "m1", "");
    (void)nth(h, sleepy, 1);
    g_autoptr(App) second = app_new(h, "{'mode': <'handle'>}");

    GVariant *received = nth(h, second, 1);
    harness_refused(h, sleepy->bus, "NoSuchMessage", "Complete", "(%s,)", id_of(received));
    settle(h, second, "Complete", received);
}

static void
test_unsubscribe_passes_the_message_on(void)
{
    g_autoptr(Harness) h = connected_harness("");
    g_autoptr(App) first = app_new(h, "{'mode': <'handle'>}");

    cloud_sends(h, "m1", "");
    (void)nth(h, first, 1);
    g_autoptr(App) second = app_new(h, "{'mode': <'handle'>}");
    g_autoptr(GVariant) reply =
        harness_call(h, first->bus, "Unsubscribe", "(%u,)", first->subscription);

    settle(h, second, "Complete", nth(h, second, 1));
}

static void
test_rejected_becomes_a_dead_letter(void)
{
    g_autoptr(Harness) h = connected_harness("");
    g_autoptr(App) app = app_new(h, "{'mode': <'handle'>}");

    cloud_sends(h, "m1", "");
    settle(h, app, "Reject", nth(h, app, 1));

    g_assert_cmpuint(harness_counter(h, "DeadLetters"), ==, 1);
    harness_kill_daemon(h, SIGKILL);
    harness_start_daemon(h);
    g_autoptr(GVariant) dead = harness_call(h, NULL, "Receive", "(@t 0, {'dead-letter': <true>})");
    g_autofree char *body = body_of(dead);
    g_assert_cmpstr(body, ==, "body of m1");
    g_assert_cmpuint(harness_counter(h, "DeadLetters"), ==, 0);
}

static void
test_handed_out_too_often_becomes_a_dead_letter(void)
{
    g_autoptr(Harness) h = connected_harness("[Inbox]\nMaxDeliveryCount=3\n");
    g_autoptr(App) app = app_new(h, "{'mode': <'handle'>}");

    cloud_sends(h, "m1", "");
    for (guint i = 1; i <= 3; i++)
        settle(h, app, "Abandon", nth(h, app, i));

    harness_wait_counter(h, "DeadLetters", 1);
    g_assert_cmpuint(app->received->len, ==, 3);
}

static void
test_delivery_count_survives_a_crash(void)
{
    g_autoptr(Harness) h = connected_harness("");
    App *poisoned = app_new(h, "{'mode': <'handle'>}");

    cloud_sends(h, "m1", "");
    (void)nth(h, poisoned, 1);
    harness_kill_daemon(h, SIGKILL);
    app_free(poisoned);
    harness_start_daemon(h);
    g_autoptr(App) app = app_new(h, "{'mode': <'handle'>}");

    g_assert_cmpuint(delivery_count_of(nth(h, app, 1)), ==, 2);
}

static void
test_filter_chooses(void)
{
    g_autoptr(Harness) h = connected_harness("");
    g_autoptr(App) kitchen = app_new(h, "{'mode': <'handle'>, 'filter': <{'room': 'kitchen'}>}");
    g_autoptr(App) cellar = app_new(h, "{'mode': <'handle'>, 'filter': <{'room': 'cellar'}>}");

    cloud_sends(h, "m1", ",\"properties\":{\"room\":\"cellar\"}");
    cloud_sends(h, "m2", ",\"properties\":{\"room\":\"kitchen\"}");

    g_autofree char *in_cellar = body_of(nth(h, cellar, 1));
    g_autofree char *in_kitchen = body_of(nth(h, kitchen, 1));
    g_assert_cmpstr(in_cellar, ==, "body of m1");
    g_assert_cmpstr(in_kitchen, ==, "body of m2");
}

static void
on_call_done(GObject *source, GAsyncResult *result, gpointer user_data)
{
    GVariant **reply = user_data;

    *reply = g_dbus_connection_call_finish(G_DBUS_CONNECTION(source), result, NULL);
}

static gboolean
is_set(Harness *h, gpointer reply)
{
    return *(GVariant **)reply != NULL;
}

static void
test_receive_waits_and_completes(void)
{
    g_autoptr(Harness) h = connected_harness("");
    g_autoptr(GVariant) reply = NULL;

    g_dbus_connection_call(harness_get_bus(h), HARNESS_BUS_NAME, HARNESS_SELF, "org.spoked1.Device",
                           "Receive", g_variant_new_parsed("(@t 60000, @a{sv} {})"), NULL,
                           G_DBUS_CALL_FLAGS_NONE, 70000, NULL, on_call_done, &reply);
    cloud_sends(h, "m1", "");

    harness_wait(h, "the answer to Receive", is_set, &reply);
    g_autofree char *body = body_of(reply);
    g_assert_cmpstr(body, ==, "body of m1");
    harness_wait_counter(h, "WaitingMessages", 0);
}

/* U+FFFE, U+FFFF and U+FDD0, which sd-bus does not send; hubs do. */
static void
test_noncharacters_keep_nothing_back(void)
{
    g_autoptr(Harness) h = connected_harness("");
    g_autoptr(App) app = app_new(h, "{'mode': <'handle'>}");
    const char *text = NULL;

    cloud_sends(h, "m1",
                ",\"properties\":{\"k\\uFFFF\":\"a\\uFFFEb\"},\"correlationId\":\"\\uFDD0\"");
    GVariant *received = nth(h, app, 1);
    g_autoptr(GVariant) properties = g_variant_get_child_value(received, 2);
    g_assert_true(g_variant_lookup(properties, "k\ufffd", "&s", &text));
    g_assert_cmpstr(text, ==, "a\ufffdb");
    g_autoptr(GVariant) system = g_variant_get_child_value(received, 3);
    g_assert_true(g_variant_lookup(system, "correlation-id", "&s", &text));
    g_assert_cmpstr(text, ==, "\ufffd");
    settle(h, app, "Complete", received);
    app_free(g_steal_pointer(&app));

    cloud_sends(h, "m2", ",\"properties\":{\"k\":\"a\\uFFFEb\"}");
    g_autoptr(GVariant) reply = harness_call(h, NULL, "Receive", "(@t 20000, @a{sv} {})");
    g_autofree char *body = body_of(reply);
    g_assert_cmpstr(body, ==, "body of m2");
}

static void
test_receive_times_out(void)
{
    g_autoptr(Harness) h = connected_harness("");

    harness_refused(h, NULL, "Timeout", "Receive", "(@t 50, @a{sv} {})");
}

static void
test_a_received_lock_outlives_the_caller(void)
{
    g_autoptr(Harness) h = connected_harness("");
    App *script = app_new(h, NULL);
    g_autoptr(App) next = app_new(h, NULL);

    cloud_sends(h, "m1", "");
    g_autoptr(GVariant) received =
        harness_call(h, script->bus, "Receive", "(@t 20000, {'lock': <@t 60000>})");
    app_free(script);

    settle(h, next, "Complete", received);
    g_assert_cmpuint(harness_counter(h, "WaitingMessages"), ==, 0);
}

static void
test_full_inbox_leaves_the_rest_at_the_hub(void)
{
    g_autoptr(Harness) h = connected_harness("[Inbox]\nMessagesMax=4\n");

    for (guint i = 0; i < 20; i++) {
        g_autofree char *id = g_strdup_printf("m%u", i);
        cloud_sends(h, id, "");
    }
    wait_fate(h, "m3", "Completed");
    g_autoptr(App) app = app_new(h, "{'mode': <'handle'>, 'credit': <@u 256>}");
    for (guint i = 1; i <= 20; i++)
        settle(h, app, "Complete", nth(h, app, i));

    for (guint i = 0; i < 20; i++) {
        g_autofree char *body = body_of(nth(h, app, i + 1));
        g_autofree char *expected = g_strdup_printf("body of m%u", i);
        g_assert_cmpstr(body, ==, expected);
    }
    wait_fate(h, "m19", "Completed");
}

static void
test_messages_sent_while_offline_come(void)
{
    g_autoptr(Harness) h = connected_harness("");

    g_assert_cmpint(harness_stop_daemon(h), ==, 0);
    cloud_sends(h, "m1", "");
    harness_start_daemon(h);
    g_autoptr(App) app = app_new(h, "{'mode': <'handle'>}");

    settle(h, app, "Complete", nth(h, app, 1));
    wait_fate(h, "m1", "Completed");
}

typedef struct {
    guint64 received;
    guint64 waiting;
} Counts;

static gboolean
counts_are(Harness *h, gpointer user_data)
{
    const Counts *counts = user_data;

    return harness_counter(h, "ReceivedMessages") == counts->received &&
           harness_counter(h, "WaitingMessages") >= counts->waiting;
}

/* What the bus keeps for a program that hangs counts against the daemon, until the bus listens to
 * the daemon no more: so there must be an end to it, and no message may be lost by it. */
static void
test_stopped_observer_is_not_flooded(void)
{
    g_autoptr(Harness) h = harness_new();
    g_autoptr(GError) error = NULL;
    g_autoptr(GSubprocessLauncher) launcher =
        g_subprocess_launcher_new(G_SUBPROCESS_FLAGS_STDOUT_SILENCE);
    g_autofree char *text = g_strnfill(60000, 'x');
    g_autofree char *body = g_strdup_printf("{\"body\":\"%s\"}", text);

    harness_start_daemon(h);
    harness_wait_state(h, "connected");
    g_subprocess_launcher_setenv(launcher, "DBUS_SYSTEM_BUS_ADDRESS", harness_get_bus_address(h),
                                 TRUE);
    g_autoptr(GSubprocess) observer = g_subprocess_launcher_spawn(
        launcher, &error, g_getenv("SPOKECTL"), "listen", "--json", NULL);
    g_assert_no_error(error);
    json_node_unref(harness_hub(h, "POST", "/devices/" HARNESS_DEVICE_ID "/messages", body));
    Counts counts = {.received = 1};
    harness_wait(h, "the first message", counts_are, &counts);
    harness_wait_counter(h, "WaitingMessages", 0);

    g_subprocess_send_signal(observer, SIGSTOP);
    for (guint i = 0; i < 45; i++)
        json_node_unref(harness_hub(h, "POST", "/devices/" HARNESS_DEVICE_ID "/messages", body));
    counts = (Counts){.received = 46, .waiting = 20};
    harness_wait(h, "messages to wait", counts_are, &counts);

    g_subprocess_send_signal(observer, SIGCONT);
    harness_wait_counter(h, "WaitingMessages", 0);
    g_subprocess_force_exit(observer);
}

/* A message that was handed out ten times is dead: so each run of a command may count once only,
 * however long it ran and rested. */
static void
test_a_command_is_run_once_a_delivery(void)
{
    g_autoptr(Harness) h = connected_harness("");
    g_autoptr(GError) error = NULL;
    g_autoptr(GSubprocessLauncher) launcher = g_subprocess_launcher_new(
        G_SUBPROCESS_FLAGS_STDOUT_PIPE | G_SUBPROCESS_FLAGS_STDERR_SILENCE);
    g_autofree char *counts = NULL;

    cloud_sends(h, "m1", "");
    g_subprocess_launcher_setenv(launcher, "DBUS_SYSTEM_BUS_ADDRESS", harness_get_bus_address(h),
                                 TRUE);
    g_autoptr(GSubprocess) listener = g_subprocess_launcher_spawn(
        launcher, &error, g_getenv("SPOKECTL"), "listen", "--count=1", "--lock=1s",
        "--retry-delay=2s", "--", "/bin/sh", "-c",
        "echo $SPOKE_DELIVERY_COUNT\n"
        "case $SPOKE_DELIVERY_COUNT in 1) exec sleep 60;; 2) exit 75;; *) exit 0;; esac",
        NULL);
    g_assert_no_error(error);

    g_assert_true(g_subprocess_communicate_utf8(listener, NULL, NULL, &counts, NULL, &error));
    g_assert_no_error(error);
    g_assert_cmpstr(counts, ==, "1\n2\n3\n");
    g_assert_true(g_subprocess_get_successful(listener));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/c2d/observe/message-as-it-was-sent",
                    test_observer_gets_the_message_as_it_was_sent);
    g_test_add_func("/c2d/observe/everyone-gets-a-copy", test_every_observer_gets_a_copy);
    g_test_add_func("/c2d/wait/across-restarts", test_message_waits_for_a_listener_across_restarts);
    g_test_add_func("/c2d/wait/sent-while-offline", test_messages_sent_while_offline_come);
    g_test_add_func("/c2d/handle/one-handler-each", test_one_handler_gets_each_message);
    g_test_add_func("/c2d/handle/second-complete-is-refused", test_a_second_complete_is_refused);
    g_test_add_func("/c2d/handle/somebody-elses-is-refused",
                    test_somebody_elses_message_is_refused);
    g_test_add_func("/c2d/handle/abandoned-comes-again", test_abandoned_comes_again);
    g_test_add_func("/c2d/handle/leaving-passes-on", test_leaving_handler_passes_the_message_on);
    g_test_add_func("/c2d/handle/unsubscribe-passes-on", test_unsubscribe_passes_the_message_on);
    g_test_add_func("/c2d/handle/lock-runs-out", test_lock_runs_out);
    g_test_add_func("/c2d/handle/filter-chooses", test_filter_chooses);
    g_test_add_func("/c2d/handle/delivery-count-survives-a-crash",
                    test_delivery_count_survives_a_crash);
    g_test_add_func("/c2d/handle/command-is-run-once-a-delivery",
                    test_a_command_is_run_once_a_delivery);
    g_test_add_func("/c2d/dead-letter/rejected", test_rejected_becomes_a_dead_letter);
    g_test_add_func("/c2d/dead-letter/handed-out-too-often",
                    test_handed_out_too_often_becomes_a_dead_letter);
    g_test_add_func("/c2d/receive/waits-and-completes", test_receive_waits_and_completes);
    g_test_add_func("/c2d/receive/noncharacters-keep-nothing-back",
                    test_noncharacters_keep_nothing_back);
    g_test_add_func("/c2d/receive/times-out", test_receive_times_out);
    g_test_add_func("/c2d/receive/lock-outlives-the-caller",
                    test_a_received_lock_outlives_the_caller);
    g_test_add_func("/c2d/full/rest-stays-at-the-hub", test_full_inbox_leaves_the_rest_at_the_hub);
    g_test_add_func("/c2d/observer/stopped-is-not-flooded", test_stopped_observer_is_not_flooded);
    return g_test_run();
}
