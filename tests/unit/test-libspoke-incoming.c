/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clients/libspoke/spoke.h"

#include "libspoke-fixture.h"

#include <errno.h>
#include <string.h>

typedef struct {
    SpokeClient *client;
    GString *messages; /* owned; "ID:BODY " each */
    guint n_subscribed;
    guint n_answers;
    int error;
    char *printed; /* owned; everything of the last message */
} Heard;

static void
heard_clear(Heard *heard)
{
    g_string_free(heard->messages, TRUE);
    g_free(heard->printed);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Heard, heard_clear)

static char *
print_message(const SpokeIncoming *message)
{
    GString *text = g_string_new(NULL);

    g_string_append_printf(text, "%s %s %s %s %s %s %s %s %s", message->message_id,
                           message->correlation_id, message->user_id, message->to,
                           message->content_type, message->content_encoding, message->ack,
                           message->dead_letter != NULL ? message->dead_letter : "-",
                           message->mode == SPOKE_MODE_HANDLE ? "handle" : "observe");
    g_string_append_printf(text, " %d %d %d %d %u", (int)message->creation_time_usec,
                           (int)message->expiry_usec, (int)message->received_time_usec,
                           (int)message->lock_msec, message->delivery_count);
    for (gsize i = 0; i < message->n_properties; i++)
        g_string_append_printf(text, " %s=%s", message->properties[i].name,
                               message->properties[i].value);
    return g_string_free(text, FALSE);
}

static void
on_incoming(SpokeClient *client, const SpokeIncoming *message, void *user_data)
{
    Heard *heard = user_data;

    g_assert_cmpuint(strlen(message->body), ==, message->body_size);
    g_string_append_printf(heard->messages, "%s:%s ", message->id, (const char *)message->body);
    g_free(heard->printed);
    heard->printed = print_message(message);
}

static void
on_subscribed(SpokeClient *client, const SpokeFailure *failure, void *user_data)
{
    Heard *heard = user_data;

    heard->n_subscribed++;
    heard->error = failure != NULL ? failure->error : 0;
}

static void
on_received(SpokeClient *client, const SpokeIncoming *message, const SpokeFailure *failure,
            void *user_data)
{
    Heard *heard = user_data;

    heard->n_answers++;
    heard->error = failure != NULL ? failure->error : 0;
    if (message != NULL)
        on_incoming(client, message, heard);
}

static void
on_done(SpokeClient *client, const SpokeFailure *failure, void *user_data)
{
    Heard *heard = user_data;

    heard->n_answers++;
    heard->error = failure != NULL ? failure->error : 0;
}

static void
answer(GDBusMethodInvocation *call, const char *text)
{
    g_dbus_method_invocation_return_value(call, g_variant_new_parsed(text));
}

static void
emit_message(Fixture *fixture, const char *id, guint subscription)
{
    const guint8 body[] = {'h', 'i'};
    GVariantBuilder system;

    g_variant_builder_init(&system, G_VARIANT_TYPE("a{sv}"));
    g_variant_builder_add(&system, "{sv}", "subscription", g_variant_new_uint32(subscription));
    fixture_emit(fixture, fixture->connection, NULL, "MessageReceived",
                 g_variant_new("(s@ay@a{ss}a{sv})", id,
                               g_variant_new_fixed_array(G_VARIANT_TYPE_BYTE, body, 2, 1),
                               g_variant_new_parsed("@a{ss} {}"), &system));
}

static SpokeSubscription *
subscribe(Fixture *fixture, Heard *heard)
{
    SpokeSubscription *subscription = NULL;

    g_assert_cmpint(spoke_client_subscribe(fixture->client, NULL, on_incoming, on_subscribed, heard,
                                           &subscription),
                    ==, 0);
    return subscription;
}

static void
test_subscribe_passes_options(Fixture *fixture, gconstpointer data)
{
    g_auto(Heard) heard = {.messages = g_string_new(NULL)};
    const SpokeProperty filter[] = {{"a", "b"}};
    const SpokeSubscribeOptions options = {
        SPOKE_SUBSCRIBE_OPTIONS_INIT,
        .mode = SPOKE_MODE_HANDLE,
        .filter = filter,
        .n_filter = 1,
        .lock_msec = 5000,
        .credit = 3,
    };

    g_assert_cmpint(
        spoke_client_subscribe(fixture->client, &options, on_incoming, on_subscribed, &heard, NULL),
        ==, 0);
    answer(fixture_take_call_with(fixture, "Subscribe",
                                  "({'mode': <'handle'>, 'filter': <{'a': 'b'}>, 'lock': "
                                  "<uint64 5000>, 'credit': <uint32 3>},)"),
           "(uint32 1,)");
    fixture_wait_for(heard.n_subscribed > 0);

    g_assert_cmpint(heard.error, ==, 0);
}

static void
test_subscribe_hands_out_by_number(Fixture *fixture, gconstpointer data)
{
    g_auto(Heard) first = {.messages = g_string_new(NULL)};
    g_auto(Heard) second = {.messages = g_string_new(NULL)};

    (void)subscribe(fixture, &first);
    (void)subscribe(fixture, &second);
    answer(fixture_take_call(fixture, "Subscribe"), "(uint32 1,)");
    answer(fixture_take_call(fixture, "Subscribe"), "(uint32 2,)");
    fixture_wait_for(second.n_subscribed > 0);
    emit_message(fixture, "a", 1);
    emit_message(fixture, "b", 2);
    emit_message(fixture, "c", 3);
    emit_message(fixture, "d", 1);
    fixture_settle_down(fixture);

    g_assert_cmpstr(first.messages->str, ==, "a:hi d:hi ");
    g_assert_cmpstr(second.messages->str, ==, "b:hi ");
}

static void
test_subscribe_keeps_messages_that_come_first(Fixture *fixture, gconstpointer data)
{
    g_auto(Heard) heard = {.messages = g_string_new(NULL)};

    (void)subscribe(fixture, &heard);
    GDBusMethodInvocation *call = fixture_take_call(fixture, "Subscribe");
    emit_message(fixture, "a", 7);
    emit_message(fixture, "b", 8);
    emit_message(fixture, "c", 7);
    fixture_settle_down(fixture);
    g_assert_cmpstr(heard.messages->str, ==, "");
    answer(call, "(uint32 7,)");
    fixture_wait_for(heard.n_subscribed > 0);
    fixture_settle_down(fixture);

    g_assert_cmpstr(heard.messages->str, ==, "a:hi c:hi ");
}

static void
test_subscribe_is_renewed_after_restart(Fixture *fixture, gconstpointer data)
{
    g_auto(Heard) heard = {.messages = g_string_new(NULL)};

    (void)subscribe(fixture, &heard);
    answer(fixture_take_call(fixture, "Subscribe"), "(uint32 1,)");
    fixture_wait_for(heard.n_subscribed == 1);
    fixture_kill_service(fixture);
    fixture_start_service(fixture);
    GDBusMethodInvocation *call = fixture_take_call(fixture, "Subscribe");
    emit_message(fixture, "old", 1);
    answer(call, "(uint32 2,)");
    fixture_wait_for(heard.n_subscribed == 2);
    emit_message(fixture, "new", 2);
    fixture_settle_down(fixture);

    g_assert_cmpstr(heard.messages->str, ==, "new:hi ");
}

static void
test_subscribe_waits_for_daemon(Fixture *fixture, gconstpointer data)
{
    g_auto(Heard) heard = {.messages = g_string_new(NULL)};

    fixture_kill_service(fixture);
    (void)subscribe(fixture, &heard);
    fixture_wait_for(heard.n_subscribed == 1);
    g_assert_cmpint(heard.error, ==, -EHOSTUNREACH);
    fixture_start_service(fixture);
    answer(fixture_take_call(fixture, "Subscribe"), "(uint32 1,)");
    fixture_wait_for(heard.n_subscribed == 2);

    g_assert_cmpint(heard.error, ==, 0);
}

static void
test_unsubscribe_ends_it(Fixture *fixture, gconstpointer data)
{
    g_auto(Heard) heard = {.messages = g_string_new(NULL)};
    SpokeSubscription *subscription = subscribe(fixture, &heard);

    answer(fixture_take_call(fixture, "Subscribe"), "(uint32 4,)");
    fixture_wait_for(heard.n_subscribed > 0);
    spoke_client_unsubscribe(fixture->client, subscription);
    GDBusMethodInvocation *call = fixture_take_call_with(fixture, "Unsubscribe", "(4,)");
    emit_message(fixture, "a", 4);
    g_dbus_method_invocation_return_value(call, NULL);
    fixture_settle_down(fixture);

    g_assert_cmpstr(heard.messages->str, ==, "");
}

static void
test_unsubscribe_ends_one_that_is_under_way(Fixture *fixture, gconstpointer data)
{
    g_auto(Heard) heard = {.messages = g_string_new(NULL)};
    SpokeSubscription *subscription = subscribe(fixture, &heard);
    GDBusMethodInvocation *call = fixture_take_call(fixture, "Subscribe");

    spoke_client_unsubscribe(fixture->client, subscription);
    answer(call, "(uint32 4,)");
    g_dbus_method_invocation_return_value(fixture_take_call_with(fixture, "Unsubscribe", "(4,)"),
                                          NULL);
    fixture_settle_down(fixture);

    g_assert_cmpuint(heard.n_subscribed, ==, 0);
}

static void
test_receive_reads_all_fields(Fixture *fixture, gconstpointer data)
{
    g_auto(Heard) heard = {.messages = g_string_new(NULL)};
    const SpokeReceiveOptions options = {SPOKE_RECEIVE_OPTIONS_INIT, .lock_msec = 2000};

    g_assert_cmpint(spoke_client_receive(fixture->client, &options, 1000, on_received, &heard), ==,
                    0);
    answer(fixture_take_call_with(fixture, "Receive", "(1000, {'lock': <uint64 2000>})"),
           "('9', @ay [0x78], {'p': 'q', 'r': ''}, {'message-id': <'m'>, 'correlation-id': <'c'>, "
           "'user-id': <'u'>, 'to': <'t'>, 'content-type': <'ct'>, 'content-encoding': <'ce'>, "
           "'ack': <'full'>, 'creation-time': <uint64 1>, 'expiry': <uint64 2>, "
           "'received-time': <uint64 3>, 'lock': <uint64 4>, 'delivery-count': <uint32 5>, "
           "'mode': <'handle'>, 'later': <['unknown']>, 'dead-letter': <'expired'>})");
    fixture_wait_for(heard.n_answers > 0);

    g_assert_cmpstr(heard.messages->str, ==, "9:x ");
    g_assert_cmpstr(heard.printed, ==, "m c u t ct ce full expired handle 1 2 3 4 5 p=q r=");
}

static void
test_receive_reports_timeout(Fixture *fixture, gconstpointer data)
{
    g_auto(Heard) heard = {.messages = g_string_new(NULL)};

    g_assert_cmpint(spoke_client_receive(fixture->client, NULL, 0, on_received, &heard), ==, 0);
    g_dbus_method_invocation_return_dbus_error(
        fixture_take_call_with(fixture, "Receive", "(0, {})"), "org.spoked1.Error.Timeout", "None");
    fixture_wait_for(heard.n_answers > 0);

    g_assert_cmpint(heard.error, ==, -ETIMEDOUT);
}

static void
test_settle_calls_the_verdict(Fixture *fixture, gconstpointer data)
{
    static const char *const methods[] = {"Complete", "Abandon", "Reject"};
    g_auto(Heard) heard = {.messages = g_string_new(NULL)};

    for (guint i = 0; i < G_N_ELEMENTS(methods); i++) {
        g_assert_cmpint(spoke_client_settle(fixture->client, "5", (SpokeVerdict)i, on_done, &heard),
                        ==, 0);
        g_dbus_method_invocation_return_value(fixture_take_call_with(fixture, methods[i], "('5',)"),
                                              NULL);
        fixture_wait_for(heard.n_answers == i + 1);
        g_assert_cmpint(heard.error, ==, 0);
    }
}

#define ADD(path, test)                                                                            \
    g_test_add("/libspoke/" path, Fixture, NULL, fixture_set_up, test, fixture_tear_down)

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("subscribe/passes-options", test_subscribe_passes_options);
    ADD("subscribe/hands-out-by-number", test_subscribe_hands_out_by_number);
    ADD("subscribe/keeps-messages-that-come-first", test_subscribe_keeps_messages_that_come_first);
    ADD("subscribe/is-renewed-after-restart", test_subscribe_is_renewed_after_restart);
    ADD("subscribe/waits-for-daemon", test_subscribe_waits_for_daemon);
    ADD("unsubscribe/ends-it", test_unsubscribe_ends_it);
    ADD("unsubscribe/ends-one-that-is-under-way", test_unsubscribe_ends_one_that_is_under_way);
    ADD("receive/reads-all-fields", test_receive_reads_all_fields);
    ADD("receive/reports-timeout", test_receive_reports_timeout);
    ADD("settle/calls-the-verdict", test_settle_calls_the_verdict);
    return g_test_run();
}
