/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * C2D: what the cloud sends is what the application gets, and what the application says of it
 * becomes of it. Where the protocol can settle, the hub's own account says so; where it can't, the
 * hub has it completed and the daemon's account says the rest.
 */
#include "tests/integration/transport-suite.h"

#include <signal.h>

#define HANDLE "{'mode': <'handle'>}"

static void
cloud_sends(Harness *h, const char *message_id, const char *members)
{
    transport_cloud_sends(h, HARNESS_DEVICE_ID, message_id, members);
}

static void
wait_fate(Harness *h, const char *message_id, const char *state)
{
    transport_wait_fate(h, HARNESS_DEVICE_ID, message_id, state);
}

static guint32
get_delivery_count(GVariant *received)
{
    g_autoptr(GVariant) system = g_variant_get_child_value(received, 3);
    guint32 count = 0;

    g_assert_true(g_variant_lookup(system, "delivery-count", "u", &count));
    return count;
}

static void
assert_property(GVariant *received, const char *name, const char *value)
{
    g_autoptr(GVariant) properties = g_variant_get_child_value(received, 2);
    const char *text = NULL;

    if (!g_variant_lookup(properties, name, "&s", &text))
        g_error("%s did not arrive", name);
    g_assert_cmpstr(text, ==, value);
}

static void
test_everything_arrives_as_it_was_sent(gconstpointer data)
{
    const Form *form = data;
    g_autoptr(Harness) h = transport_connected(form);
    g_autoptr(Listener) listener = transport_listen(h, NULL, HANDLE);

    cloud_sends(h, "m1",
                ",\"properties\":{\"key\":\" v/l=&?#+%20; \",\"Case\":\"1\",\"case-2\":\"\"},"
                "\"correlationId\":\"c/=&\",\"userId\":\"u%\","
                "\"contentType\":\"text/plain; charset=utf-8\",\"contentEncoding\":\"utf-8\","
                "\"ack\":\"full\",\"expirySec\":600");

    GVariant *received = listener_wait(h, listener, 1);
    g_autofree char *body = listener_body(received);
    g_assert_cmpstr(body, ==, "body of m1");
    assert_property(received, "key", form->trims ? "v/l=&?#+%20;" : " v/l=&?#+%20; ");
    assert_property(received, "Case", "1");
    assert_property(received, "case-2", "");
    g_assert_cmpstr(listener_system(received, "message-id"), ==, "m1");
    g_assert_cmpstr(listener_system(received, "correlation-id"), ==, "c/=&");
    g_assert_cmpstr(listener_system(received, "user-id"), ==, "u%");
    g_assert_cmpstr(listener_system(received, "content-type"), ==, "text/plain; charset=utf-8");
    g_assert_cmpstr(listener_system(received, "content-encoding"), ==, "utf-8");
    g_assert_cmpstr(listener_system(received, "ack"), ==, "full");
    g_assert_cmpstr(listener_system(received, "to"), ==,
                    "/devices/" HARNESS_DEVICE_ID "/messages/deviceBound");
    g_autoptr(GVariant) system = g_variant_get_child_value(received, 3);
    guint64 expiry = 0;
    g_assert_true(g_variant_lookup(system, "expiry", "t", &expiry));
    g_assert_cmpuint(expiry, >, (guint64)g_get_real_time());
}

static void
test_letters_of_all_alphabets_arrive(gconstpointer form)
{
    g_autoptr(Harness) h = transport_connected(form);
    g_autoptr(Listener) listener = transport_listen(h, NULL, HANDLE);

    cloud_sends(
        h, "m1",
        ",\"properties\":{\"value\":\"gr\u00f6\u00dfe \u20ac\"},\"correlationId\":\"\u00fc\"");

    GVariant *received = listener_wait(h, listener, 1);
    assert_property(received, "value", "gr\u00f6\u00dfe \u20ac");
    g_assert_cmpstr(listener_system(received, "correlation-id"), ==, "\u00fc");
}

static void
test_completed_is_completed_at_the_hub(gconstpointer form)
{
    g_autoptr(Harness) h = transport_connected(form);
    g_autoptr(Listener) listener = transport_listen(h, NULL, HANDLE);

    cloud_sends(h, "m1", "");
    listener_settle(h, listener, "Complete", listener_wait(h, listener, 1));

    wait_fate(h, "m1", "Completed");
    g_assert_cmpint(transport_fate_number(h, "m1", "deliveries"), ==, 1);
    g_assert_cmpuint(harness_counter(h, "WaitingMessages"), ==, 0);
}

static void
test_abandoned_comes_again(gconstpointer data)
{
    const Form *form = data;
    g_autoptr(Harness) h = transport_connected(form);
    g_autoptr(Listener) listener = transport_listen(h, NULL, HANDLE);

    cloud_sends(h, "m1", "");
    GVariant *first = listener_wait(h, listener, 1);
    g_assert_cmpuint(get_delivery_count(first), ==, 1);
    listener_settle(h, listener, "Abandon", first);
    GVariant *second = listener_wait(h, listener, 2);
    g_assert_cmpuint(get_delivery_count(second), ==, 2);
    listener_settle(h, listener, "Complete", second);

    wait_fate(h, "m1", "Completed");
    g_assert_cmpint(transport_fate_number(h, "m1", "deliveries"), ==, form->settles ? 2 : 1);
}

static void
test_rejected_is_a_dead_letter(gconstpointer data)
{
    const Form *form = data;
    g_autoptr(Harness) h = transport_connected(form);
    g_autoptr(Listener) listener = transport_listen(h, NULL, HANDLE);

    cloud_sends(h, "m1", "");
    listener_settle(h, listener, "Reject", listener_wait(h, listener, 1));

    wait_fate(h, "m1", form->settles ? "DeadLettered" : "Completed");
    g_assert_cmpuint(harness_counter(h, "DeadLetters"), ==, form->settles ? 0 : 1);
    g_assert_cmpuint(harness_counter(h, "WaitingMessages"), ==, 0);
}

static gboolean
is_rejection_known(Harness *h, gpointer unused)
{
    g_autoptr(JsonNode) message =
        harness_hub(h, "GET", "/devices/" HARNESS_DEVICE_ID "/messages/m1", NULL);
    const char *state = json_object_get_string_member(json_node_get_object(message), "state");

    return g_str_equal(state, "DeadLettered") ||
           (g_str_equal(state, "Completed") && harness_counter(h, "DeadLetters") == 1);
}

/* Whoever of the two has the message then: to the sender it must not look dealt with unless the
 * daemon has it. */
static void
test_rejected_as_the_connection_is_lost(gconstpointer form)
{
    g_autoptr(Harness) h = transport_connected(form);
    g_autoptr(Listener) listener = transport_listen(h, NULL, HANDLE);

    cloud_sends(h, "m1", "");
    GVariant *received = listener_wait(h, listener, 1);
    transport_fault(h, "{\"kind\": \"drop\"}");
    listener_settle(h, listener, "Reject", received);

    harness_wait(h, "the rejection to be known", is_rejection_known, NULL);
    harness_wait_counter(h, "WaitingMessages", 0);
    g_assert_cmpuint(listener->received->len, ==, 1);
}

static void
test_rejected_without_a_connection(gconstpointer form)
{
    g_autoptr(Harness) h = transport_connected(form);
    g_autoptr(Listener) listener = transport_listen(h, NULL, HANDLE);

    cloud_sends(h, "m1", "");
    GVariant *received = listener_wait(h, listener, 1);
    harness_kill_hub(h, SIGKILL);
    harness_wait_state(h, "offline");
    listener_settle(h, listener, "Reject", received);

    g_assert_cmpuint(harness_counter(h, "DeadLetters"), ==, 1);
    g_assert_cmpuint(harness_counter(h, "WaitingMessages"), ==, 0);
}

static void
check_now(Harness *h)
{
    g_autoptr(GVariant) reply = harness_call(h, NULL, "CheckNow", NULL);
}

/* The hub's lock of two seconds is over: it does not take the verdict, and what it sends again is
 * known to be rejected. Nothing is polled for unasked, or the verdict would come just in time. */
static void
test_rejected_after_the_hubs_lock(gconstpointer form)
{
    g_autoptr(Harness) h = transport_house(form);

    harness_configure(h, "");
    harness_start_daemon(h);
    harness_wait_state(h, "connected");
    g_autoptr(Listener) listener = transport_listen(h, NULL, HANDLE);
    cloud_sends(h, "m1", "");
    check_now(h);
    GVariant *received = listener_wait(h, listener, 1);
    transport_pass(2100);
    listener_settle(h, listener, "Reject", received);
    check_now(h);

    harness_wait(h, "the rejection to be known", is_rejection_known, NULL);
    g_assert_cmpuint(listener->received->len, ==, 1);
}

/* Ten times at either. */
static void
test_abandoned_too_often_is_a_dead_letter(gconstpointer data)
{
    const Form *form = data;
    g_autoptr(Harness) h = transport_connected(form);
    g_autoptr(Listener) listener = transport_listen(h, NULL, HANDLE);

    cloud_sends(h, "m1", "");
    for (guint i = 1; i <= 10; i++)
        listener_settle(h, listener, "Abandon", listener_wait(h, listener, i));

    wait_fate(h, "m1", form->settles ? "DeadLettered" : "Completed");
    harness_wait_counter(h, "WaitingMessages", 0);
    g_assert_cmpuint(harness_counter(h, "DeadLetters"), ==, form->settles ? 0 : 1);
    g_assert_cmpuint(listener->received->len, ==, 10);
}

/* The application's lock, not the hub's. */
static void
test_lock_runs_out_and_the_next_gets_it(gconstpointer form)
{
    g_autoptr(Harness) h = transport_connected(form);
    g_autoptr(Listener) sleepy =
        transport_listen(h, NULL, "{'mode': <'handle'>, 'lock': <@t 1000>}");

    cloud_sends(h, "m1", "");
    GVariant *late = listener_wait(h, sleepy, 1);
    g_autoptr(Listener) second = transport_listen(h, NULL, HANDLE);
    GVariant *received = listener_wait(h, second, 1);
    const char *id;

    g_variant_get_child(late, 0, "&s", &id);
    harness_refused(h, sleepy->bus, "NoSuchMessage", "Complete", "(%s,)", id);
    listener_settle(h, second, "Complete", received);
    wait_fate(h, "m1", "Completed");
}

/* The hub's lock of two seconds is over before the handler is: it comes again, and is known. */
static void
test_handler_slower_than_the_hub_gets_it_once(gconstpointer form)
{
    g_autoptr(Harness) h = transport_connected(form);
    g_autoptr(Listener) listener = transport_listen(h, NULL, HANDLE);

    cloud_sends(h, "m1", "");
    GVariant *received = listener_wait(h, listener, 1);
    transport_pass(3500);
    listener_settle(h, listener, "Complete", received);

    wait_fate(h, "m1", "Completed");
    cloud_sends(h, "m2", "");
    (void)listener_wait(h, listener, 2);
    g_assert_cmpstr(listener_system(listener->received->pdata[1], "message-id"), ==, "m2");
}

static void
test_expired_is_not_handed_out(gconstpointer data)
{
    const Form *form = data;
    g_autoptr(Harness) h = transport_house(form);

    cloud_sends(h, "m1", ",\"expirySec\":1");
    transport_pass(1200);
    harness_start_daemon(h);
    harness_wait_state(h, "connected");
    g_autoptr(Listener) listener = transport_listen(h, NULL, HANDLE);
    cloud_sends(h, "m2", "");

    (void)listener_wait(h, listener, 1);
    g_assert_cmpstr(listener_system(listener->received->pdata[0], "message-id"), ==, "m2");
    wait_fate(h, "m1", "DeadLettered");
}

/* Taken over, and then nobody came. */
static void
test_expires_while_it_waits(gconstpointer form)
{
    g_autoptr(Harness) h = transport_connected(form);

    cloud_sends(h, "m1", ",\"expirySec\":2");
    harness_wait_counter(h, "WaitingMessages", 1);
    harness_wait_counter(h, "WaitingMessages", 0);
    g_autoptr(Listener) listener = transport_listen(h, NULL, HANDLE);
    cloud_sends(h, "m2", "");

    (void)listener_wait(h, listener, 1);
    g_assert_cmpstr(listener_system(listener->received->pdata[0], "message-id"), ==, "m2");
}

static void
test_waits_for_a_listener_over_a_crash(gconstpointer form)
{
    g_autoptr(Harness) h = transport_connected(form);

    cloud_sends(h, "m1", "");
    harness_wait_counter(h, "WaitingMessages", 1);
    transport_restart(h);
    harness_wait_state(h, "connected");
    g_assert_cmpuint(harness_counter(h, "WaitingMessages"), ==, 1);
    g_autoptr(Listener) listener = transport_listen(h, NULL, HANDLE);
    listener_settle(h, listener, "Complete", listener_wait(h, listener, 1));

    wait_fate(h, "m1", "Completed");
    harness_wait_counter(h, "WaitingMessages", 0);
}

static void
test_observers_complete_it(gconstpointer form)
{
    g_autoptr(Harness) h = transport_connected(form);
    g_autoptr(Listener) first = transport_listen(h, NULL, "@a{sv} {}");
    g_autoptr(Listener) second = transport_listen(h, NULL, "@a{sv} {}");

    cloud_sends(h, "m1", "");

    (void)listener_wait(h, first, 1);
    (void)listener_wait(h, second, 1);
    wait_fate(h, "m1", "Completed");
}

/* The hub's whole queue. */
static void
test_fifty_arrive_in_order(gconstpointer form)
{
    g_autoptr(Harness) h = transport_house(form);

    for (guint i = 0; i < 50; i++) {
        g_autofree char *id = g_strdup_printf("m%u", i);
        cloud_sends(h, id, "");
    }
    harness_start_daemon(h);
    g_autoptr(Listener) listener =
        transport_listen(h, NULL, "{'mode': <'handle'>, 'credit': <@u 64>}");
    for (guint i = 0; i < 50; i++) {
        g_autofree char *id = g_strdup_printf("m%u", i);
        GVariant *received = listener_wait(h, listener, i + 1);
        g_assert_cmpstr(listener_system(received, "message-id"), ==, id);
        listener_settle(h, listener, "Complete", received);
    }

    wait_fate(h, "m49", "Completed");
}

static void
test_64_kilobytes_arrive(gconstpointer form)
{
    g_autoptr(Harness) h = transport_connected(form);
    g_autoptr(Listener) listener = transport_listen(h, NULL, HANDLE);
    g_autofree char *large = g_strnfill(65000, 'x');
    g_autofree char *request = g_strdup_printf("{\"body\":\"%s\",\"messageId\":\"m1\"}", large);

    json_node_unref(harness_hub(h, "POST", "/devices/" HARNESS_DEVICE_ID "/messages", request));

    g_autofree char *body = listener_body(listener_wait(h, listener, 1));
    g_assert_cmpstr(body, ==, large);
}

/* The default interval is 25 minutes: without CheckNow nothing would come. */
static void
test_check_now_asks_where_nothing_is_pushed(gconstpointer data)
{
    const Form *form = data;
    g_autoptr(Harness) h = transport_house(form);

    harness_configure(h, "");
    harness_start_daemon(h);
    harness_wait_state(h, "connected");
    g_autoptr(Listener) listener = transport_listen(h, NULL, HANDLE);
    transport_send(h, "x");
    harness_wait_counter(h, "SentMessages", 1); /* it has asked for the first time, too */
    transport_pass(500);
    cloud_sends(h, "m1", "");
    if (!form->pushes) {
        transport_pass(500);
        wait_fate(h, "m1", "Enqueued");
        g_autoptr(GVariant) reply = harness_call(h, NULL, "CheckNow", NULL);
    }

    listener_settle(h, listener, "Complete", listener_wait(h, listener, 1));
    wait_fate(h, "m1", "Completed");
}

static void
test_capabilities_tell(gconstpointer data)
{
    const Form *form = data;
    g_autoptr(Harness) h = transport_connected(form);
    g_autoptr(GVariant) value = harness_property(h, "Capabilities");
    g_autofree const char **names = g_variant_get_strv(value, NULL);
    g_autoptr(GVariant) transport = harness_property(h, "Transport");

    g_assert_cmpint(g_strv_contains(names, "push"), ==, form->pushes);
    g_assert_cmpint(g_strv_contains(names, "settle"), ==, form->settles);
    g_assert_cmpint(g_strv_contains(names, "multiplex"), ==, form->multiplexes);
    g_assert_cmpstr(g_variant_get_string(transport, NULL), ==, form->name);
}

void
transport_add_c2d(const Form *form)
{
    transport_add(form, "c2d/everything-arrives-as-it-was-sent",
                  test_everything_arrives_as_it_was_sent);
    transport_add(form, "c2d/letters-of-all-alphabets-arrive",
                  test_letters_of_all_alphabets_arrive);
    transport_add(form, "c2d/completed-is-completed-at-the-hub",
                  test_completed_is_completed_at_the_hub);
    transport_add(form, "c2d/abandoned-comes-again", test_abandoned_comes_again);
    transport_add(form, "c2d/rejected-is-a-dead-letter", test_rejected_is_a_dead_letter);
    transport_add(form, "c2d/rejected-as-the-connection-is-lost",
                  test_rejected_as_the_connection_is_lost);
    transport_add(form, "c2d/rejected-without-a-connection", test_rejected_without_a_connection);
    transport_add(form, "c2d/rejected-after-the-hubs-lock", test_rejected_after_the_hubs_lock);
    transport_add(form, "c2d/abandoned-too-often-is-a-dead-letter",
                  test_abandoned_too_often_is_a_dead_letter);
    transport_add(form, "c2d/lock-runs-out-and-the-next-gets-it",
                  test_lock_runs_out_and_the_next_gets_it);
    transport_add(form, "c2d/handler-slower-than-the-hub-gets-it-once",
                  test_handler_slower_than_the_hub_gets_it_once);
    transport_add(form, "c2d/expired-is-not-handed-out", test_expired_is_not_handed_out);
    transport_add(form, "c2d/expires-while-it-waits", test_expires_while_it_waits);
    transport_add(form, "c2d/waits-for-a-listener-over-a-crash",
                  test_waits_for_a_listener_over_a_crash);
    transport_add(form, "c2d/observers-complete-it", test_observers_complete_it);
    transport_add(form, "c2d/fifty-arrive-in-order", test_fifty_arrive_in_order);
    transport_add(form, "c2d/64-kilobytes-arrive", test_64_kilobytes_arrive);
    transport_add(form, "c2d/check-now-asks-where-nothing-is-pushed",
                  test_check_now_asks_where_nothing_is_pushed);
    transport_add(form, "c2d/capabilities-tell", test_capabilities_tell);
}
