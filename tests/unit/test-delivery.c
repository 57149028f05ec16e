/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/delivery.h"

#include "daemon/error.h"
#include "daemon/filter.h"
#include "daemon/recent.h"
#include "tests/unit/delivery-fixture.h"

/* The rules of dbus/org.spoked1.Device.xml and daemon/delivery.h, one by one, on the real spool and
 * a clock moved by hand. delivery-fixture.h explains the texts that are compared. */

#define LOCK_SEC  (SPOKE_LOCK_MSEC_DEFAULT / 1000)
#define HOUR_USEC (3600 * (gint64)G_USEC_PER_SEC)

/* Taking over */

static void
test_take_over_survives_restart(Fixture *fixture, gconstpointer data)
{
    fixture_take_over(fixture, "ab");
    fixture_assert_taken(fixture, "+a+b");

    fixture_restart(fixture);

    g_assert_cmpuint(spoke_delivery_get_waiting(fixture->delivery), ==, 2);
    fixture_handle(fixture, "alice", 16, "");
    fixture_assert_said(fixture, "alice<a/1 alice<b/1");
}

static void
test_take_over_stores_repeat_once(Fixture *fixture, gconstpointer data)
{
    fixture_take_over(fixture, "aa");
    fixture_take_over(fixture, "a");

    fixture_assert_taken(fixture, "+a+a+a");
    g_assert_cmpuint(spoke_delivery_get_waiting(fixture->delivery), ==, 1);
    g_assert_cmpuint(spoke_delivery_get_received(fixture->delivery), ==, 1);
}

static void
test_take_over_knows_completed_repeat(Fixture *fixture, gconstpointer data)
{
    fixture_handle(fixture, "alice", 16, "");
    fixture_take_over(fixture, "a");
    fixture_settle_message(fixture, "alice", "a", SPOKE_SETTLE_COMPLETE);

    fixture_take_over(fixture, "a");

    fixture_assert_said(fixture, "alice<a/1");
    fixture_assert_taken(fixture, "+a+a");
    g_assert_cmpuint(spoke_delivery_get_waiting(fixture->delivery), ==, 0);
}

static void
test_take_over_knows_dead_repeat(Fixture *fixture, gconstpointer data)
{
    fixture_handle(fixture, "alice", 16, "");
    fixture_take_over(fixture, "a");
    fixture_settle_message(fixture, "alice", "a", SPOKE_SETTLE_REJECT);

    fixture_take_over(fixture, "a");

    fixture_assert_said(fixture, "alice<a/1 dead:a(rejected)");
    fixture_assert_taken(fixture, "+a+a");
}

static void
test_take_over_knows_repeat_after_restart(Fixture *fixture, gconstpointer data)
{
    fixture_take_over(fixture, "a");
    fixture_restart(fixture);

    fixture_take_over(fixture, "a");

    g_assert_cmpuint(spoke_delivery_get_waiting(fixture->delivery), ==, 1);
}

/* A sender that counts its message-ids from 1 each time it starts must not lose messages. */
static void
test_take_over_stores_other_contents_under_same_id(Fixture *fixture, gconstpointer data)
{
    fixture_send(fixture, "a", "on=yes", "");
    fixture_send(fixture, "a", "on=no", "");
    fixture_settle(fixture);

    g_assert_cmpuint(spoke_delivery_get_waiting(fixture->delivery), ==, 2);
}

static void
on_ignored(const GError *error, gpointer user_data)
{
}

static void
test_take_over_stores_all_without_id(Fixture *fixture, gconstpointer data)
{
    for (guint i = 0; i < 2; i++) {
        g_autoptr(SpokeMessage) message = spoke_message_new(NULL, 0, NULL, 0, "a", 1);

        spoke_delivery_take_over(fixture->delivery, message, on_ignored, NULL);
    }
    fixture_settle(fixture);

    g_assert_cmpuint(spoke_delivery_get_waiting(fixture->delivery), ==, 2);
}

static void
test_take_over_forgets_old_repeats(Fixture *fixture, gconstpointer data)
{
    fixture->options.messages_max = 1000;
    spoke_delivery_set_options(fixture->delivery, &fixture->options);
    fixture_observe(fixture, "olga", "");
    for (guint i = 0; i <= SPOKE_RECENT_MAX; i++) {
        g_autofree char *body = g_strdup_printf("%u", i);

        fixture_send(fixture, body, "", "");
    }
    g_free(fixture_take_said(fixture));

    fixture_send(fixture, "0", "", "");
    fixture_send(fixture, "1", "", "");

    fixture_assert_said(fixture, "olga~0");
}

static void
test_take_over_refuses_beyond_slack(Fixture *fixture, gconstpointer data)
{
    fixture->options.messages_max = 1;
    spoke_delivery_set_options(fixture->delivery, &fixture->options);
    for (guint i = 0; i < 1 + SPOKE_DELIVERY_SLACK_MESSAGES; i++) {
        g_autofree char *body = g_strdup_printf("%u", i);

        fixture_send(fixture, body, "", "");
    }
    fixture_settle(fixture);
    g_string_truncate(fixture->taken, 0);

    fixture_take_over(fixture, "z");

    fixture_assert_taken(fixture, "-z");
}

/* Observers */

static void
test_observe_gives_each_a_copy(Fixture *fixture, gconstpointer data)
{
    fixture_observe(fixture, "olga", "");
    fixture_observe(fixture, "otto", "");

    fixture_take_over(fixture, "ab");

    fixture_assert_said(fixture, "olga~a otto~a olga~b otto~b");
}

static void
test_observe_completes_without_handler(Fixture *fixture, gconstpointer data)
{
    fixture_observe(fixture, "olga", "");

    fixture_take_over(fixture, "a");

    g_assert_cmpuint(spoke_delivery_get_waiting(fixture->delivery), ==, 0);
    fixture_restart(fixture);
    g_assert_cmpuint(spoke_delivery_get_waiting(fixture->delivery), ==, 0);
}

static void
test_observe_first_to_come_gets_what_waited(Fixture *fixture, gconstpointer data)
{
    fixture_take_over(fixture, "ab");
    g_free(fixture_take_said(fixture));

    fixture_observe(fixture, "olga", "");
    fixture_observe(fixture, "otto", "");
    fixture_assert_said(fixture, "olga~a otto~a olga~b otto~b");

    fixture_observe(fixture, "oskar", "");
    fixture_assert_said(fixture, "");
}

static void
test_observe_leaves_message_to_handler(Fixture *fixture, gconstpointer data)
{
    fixture_observe(fixture, "olga", "");
    fixture_handle(fixture, "alice", 16, "");

    fixture_take_over(fixture, "a");

    fixture_assert_said(fixture, "olga~a alice<a/1");
    g_assert_cmpuint(spoke_delivery_get_waiting(fixture->delivery), ==, 1);
}

/* A handler that is restarted must find its message again, whoever looks on meanwhile. */
static void
test_observe_does_not_take_from_absent_handler(Fixture *fixture, gconstpointer data)
{
    fixture_observe(fixture, "olga", "");
    fixture_handle(fixture, "alice", 1, "");
    fixture_take_over(fixture, "ab");
    g_free(fixture_take_said(fixture));

    spoke_delivery_drop_owner(fixture->delivery, "alice");
    fixture_assert_said(fixture, "");
    fixture_handle(fixture, "alice", 16, "");

    fixture_assert_said(fixture, "alice<a/2 alice<b/1");
}

static void
test_observe_late_gets_no_copy_of_handled(Fixture *fixture, gconstpointer data)
{
    fixture_handle(fixture, "alice", 1, "");
    fixture_take_over(fixture, "ab");
    g_free(fixture_take_said(fixture));

    fixture_observe(fixture, "olga", "");
    fixture_settle_message(fixture, "alice", "a", SPOKE_SETTLE_ABANDON);

    fixture_assert_said(fixture, "alice<a/2");
}

static void
test_observe_gets_no_second_copy_on_redelivery(Fixture *fixture, gconstpointer data)
{
    fixture_observe(fixture, "olga", "");
    fixture_handle(fixture, "alice", 1, "");
    fixture_take_over(fixture, "a");
    g_free(fixture_take_said(fixture));

    fixture_settle_message(fixture, "alice", "a", SPOKE_SETTLE_ABANDON);

    fixture_assert_said(fixture, "alice<a/2");
}

static void
test_observe_does_not_take_handed_out_after_restart(Fixture *fixture, gconstpointer data)
{
    fixture_handle(fixture, "alice", 1, "");
    fixture_take_over(fixture, "ab");
    fixture_restart(fixture);
    g_free(fixture_take_said(fixture));

    fixture_observe(fixture, "olga", "");

    fixture_assert_said(fixture, "olga~b");
    g_assert_cmpuint(spoke_delivery_get_waiting(fixture->delivery), ==, 1);
}

static void
test_observe_filters(Fixture *fixture, gconstpointer data)
{
    fixture_observe(fixture, "olga", "room=hall");

    fixture_send(fixture, "a", "room=hall", "");
    fixture_send(fixture, "b", "room=attic", "");
    fixture_send(fixture, "c", "", "");

    fixture_assert_said(fixture, "olga~a");
    g_assert_cmpuint(spoke_delivery_get_waiting(fixture->delivery), ==, 2);
}

static void
test_observe_completes_what_no_handler_wants(Fixture *fixture, gconstpointer data)
{
    fixture_observe(fixture, "olga", "");
    fixture_handle(fixture, "alice", 16, "room=hall");

    fixture_send(fixture, "a", "room=attic", "");

    fixture_assert_said(fixture, "olga~a");
    g_assert_cmpuint(spoke_delivery_get_waiting(fixture->delivery), ==, 0);
}

static void
test_observe_leaves_message_to_busy_handler(Fixture *fixture, gconstpointer data)
{
    fixture_handle(fixture, "alice", 1, "");
    fixture_take_over(fixture, "a");
    fixture_observe(fixture, "olga", "");
    g_free(fixture_take_said(fixture));

    fixture_take_over(fixture, "b");

    fixture_assert_said(fixture, "olga~b");
    g_assert_cmpuint(spoke_delivery_get_waiting(fixture->delivery), ==, 2);
}

static void
test_observe_leaves_message_to_receiver(Fixture *fixture, gconstpointer data)
{
    fixture_observe(fixture, "olga", "");
    fixture_receive(fixture, "bob", 10, 0);
    fixture_settle(fixture);

    fixture_take_over(fixture, "a");
    fixture_take_over(fixture, "b");

    fixture_assert_said(fixture, "olga~a bob=a/1 olga~b");
    g_assert_cmpuint(spoke_delivery_get_waiting(fixture->delivery), ==, 0);
}

static void
test_observe_stops_with_unsubscribe(Fixture *fixture, gconstpointer data)
{
    guint32 number = fixture_observe(fixture, "olga", "");
    g_autoptr(GError) error = NULL;

    g_assert_true(spoke_delivery_unsubscribe(fixture->delivery, "olga", number, &error));
    fixture_take_over(fixture, "a");

    fixture_assert_said(fixture, "");
    g_assert_cmpuint(spoke_delivery_get_waiting(fixture->delivery), ==, 1);
}

/* Handlers */

static void
test_handle_takes_turns(Fixture *fixture, gconstpointer data)
{
    fixture_handle(fixture, "alice", 16, "");
    fixture_handle(fixture, "anna", 16, "");
    fixture_handle(fixture, "adam", 16, "");

    fixture_take_over(fixture, "abcd");

    fixture_assert_said(fixture, "alice<a/1 anna<b/1 adam<c/1 alice<d/1");
}

static void
test_handle_keeps_within_credit(Fixture *fixture, gconstpointer data)
{
    fixture_handle(fixture, "alice", 2, "");
    fixture_take_over(fixture, "abc");
    fixture_assert_said(fixture, "alice<a/1 alice<b/1");

    fixture_settle_message(fixture, "alice", "b", SPOKE_SETTLE_COMPLETE);

    fixture_assert_said(fixture, "alice<c/1");
}

static void
test_handle_passes_over_busy(Fixture *fixture, gconstpointer data)
{
    fixture_handle(fixture, "alice", 1, "");
    fixture_handle(fixture, "anna", 16, "");

    fixture_take_over(fixture, "abc");

    fixture_assert_said(fixture, "alice<a/1 anna<b/1 anna<c/1");
}

static void
test_handle_filters(Fixture *fixture, gconstpointer data)
{
    fixture_handle(fixture, "alice", 16, "room=hall");
    fixture_handle(fixture, "anna", 16, "room=attic");

    fixture_send(fixture, "a", "room=attic", "");
    fixture_send(fixture, "b", "room=hall", "");
    fixture_send(fixture, "c", "room=cellar", "");

    fixture_assert_said(fixture, "anna<a/1 alice<b/1");
}

static void
test_handle_serves_oldest_first(Fixture *fixture, gconstpointer data)
{
    fixture_take_over(fixture, "abc");
    fixture_handle(fixture, "alice", 1, "");
    fixture_settle(fixture);

    fixture_settle_message(fixture, "alice", "a", SPOKE_SETTLE_COMPLETE);
    fixture_settle_message(fixture, "alice", "b", SPOKE_SETTLE_COMPLETE);

    fixture_assert_said(fixture, "alice<a/1 alice<b/1 alice<c/1");
}

static void
test_handle_redelivers_when_lock_ends(Fixture *fixture, gconstpointer data)
{
    fixture_handle(fixture, "alice", 16, "");
    fixture_take_over(fixture, "a");
    fixture_handle(fixture, "anna", 16, "");
    fixture_advance(fixture, LOCK_SEC - 1);
    fixture_assert_said(fixture, "alice<a/1");

    fixture_advance(fixture, 1);

    fixture_assert_said(fixture, "anna<a/2");
}

static void
test_handle_redelivers_to_only_handler(Fixture *fixture, gconstpointer data)
{
    fixture_handle(fixture, "alice", 16, "");
    fixture_take_over(fixture, "a");

    fixture_advance(fixture, LOCK_SEC);

    fixture_assert_said(fixture, "alice<a/1 alice<a/2");
}

static void
test_handle_redelivers_when_owner_leaves(Fixture *fixture, gconstpointer data)
{
    fixture_handle(fixture, "alice", 16, "");
    fixture_take_over(fixture, "ab");
    fixture_handle(fixture, "anna", 16, "");

    spoke_delivery_drop_owner(fixture->delivery, "alice");

    fixture_assert_said(fixture, "alice<a/1 alice<b/1 anna<a/2 anna<b/2");
}

static void
test_handle_redelivers_on_unsubscribe(Fixture *fixture, gconstpointer data)
{
    guint32 number = fixture_handle(fixture, "alice", 16, "");

    fixture_take_over(fixture, "a");
    fixture_handle(fixture, "anna", 16, "");
    g_assert_true(spoke_delivery_unsubscribe(fixture->delivery, "alice", number, NULL));

    fixture_assert_said(fixture, "alice<a/1 anna<a/2");
}

static void
test_handle_forgets_locks_at_restart(Fixture *fixture, gconstpointer data)
{
    fixture_handle(fixture, "alice", 16, "");
    fixture_take_over(fixture, "a");
    fixture_restart(fixture);

    fixture_handle(fixture, "anna", 16, "");

    fixture_assert_said(fixture, "alice<a/1 anna<a/2");
}

static void
test_handle_ends_with_dead_letter(Fixture *fixture, gconstpointer data)
{
    fixture->options.delivery_count_max = 3;
    spoke_delivery_set_options(fixture->delivery, &fixture->options);
    fixture_handle(fixture, "alice", 16, "");
    fixture_take_over(fixture, "a");

    for (guint i = 0; i < 3; i++)
        g_assert_cmpint(fixture_settle_message(fixture, "alice", "a", SPOKE_SETTLE_ABANDON), ==,
                        -1);

    fixture_assert_said(fixture, "alice<a/1 alice<a/2 alice<a/3 dead:a(delivery-count)");
    g_assert_cmpuint(spoke_delivery_get_waiting(fixture->delivery), ==, 0);
    g_assert_cmpuint(spoke_delivery_get_dead_letters(fixture->delivery), ==, 1);
}

/* The handler takes the whole daemon down each time, and the count outlives it. */
static void
test_handle_counts_across_restarts(Fixture *fixture, gconstpointer data)
{
    fixture->options.delivery_count_max = 3;
    fixture_take_over(fixture, "a");

    for (guint i = 0; i < 4; i++) {
        fixture_restart(fixture);
        fixture_handle(fixture, "alice", 16, "");
        fixture_settle(fixture);
    }

    fixture_assert_said(fixture, "alice<a/1 alice<a/2 alice<a/3 dead:a(delivery-count)");
}

/* Settling */

static void
test_settle_completes_once(Fixture *fixture, gconstpointer data)
{
    fixture_handle(fixture, "alice", 16, "");
    fixture_take_over(fixture, "a");

    g_assert_cmpint(fixture_settle_message(fixture, "alice", "a", SPOKE_SETTLE_COMPLETE), ==, -1);
    g_assert_cmpint(fixture_settle_message(fixture, "alice", "a", SPOKE_SETTLE_COMPLETE), ==,
                    SPOKE_ERROR_NO_SUCH_MESSAGE);

    fixture_restart(fixture);
    g_assert_cmpuint(spoke_delivery_get_waiting(fixture->delivery), ==, 0);
}

static void
test_settle_refuses_second_at_once(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    fixture_handle(fixture, "alice", 16, "");
    fixture_take_over(fixture, "a");

    guint64 id = fixture_get_id(fixture, "a");

    g_assert_true(spoke_delivery_settle(fixture->delivery, "alice", "0", id, SPOKE_SETTLE_COMPLETE,
                                        on_ignored, NULL, NULL));
    g_assert_false(spoke_delivery_settle(fixture->delivery, "alice", "0", id, SPOKE_SETTLE_ABANDON,
                                         on_ignored, NULL, &error));

    g_assert_error(error, SPOKE_ERROR, SPOKE_ERROR_NO_SUCH_MESSAGE);
    fixture_assert_said(fixture, "alice<a/1");
}

static void
test_settle_refuses_others(Fixture *fixture, gconstpointer data)
{
    fixture_handle(fixture, "alice", 16, "");
    fixture_observe(fixture, "olga", "");
    fixture_take_over(fixture, "a");

    g_assert_cmpint(fixture_settle_message(fixture, "olga", "a", SPOKE_SETTLE_COMPLETE), ==,
                    SPOKE_ERROR_NO_SUCH_MESSAGE);
    g_assert_cmpint(fixture_settle_message(fixture, "alice", "a", SPOKE_SETTLE_COMPLETE), ==, -1);
}

static void
test_settle_refuses_after_lock(Fixture *fixture, gconstpointer data)
{
    fixture_handle(fixture, "alice", 16, "");
    fixture_take_over(fixture, "a");
    fixture_handle(fixture, "anna", 16, "");
    fixture_advance(fixture, LOCK_SEC);

    g_assert_cmpint(fixture_settle_message(fixture, "alice", "a", SPOKE_SETTLE_COMPLETE), ==,
                    SPOKE_ERROR_NO_SUCH_MESSAGE);
    g_assert_cmpint(fixture_settle_message(fixture, "anna", "a", SPOKE_SETTLE_COMPLETE), ==, -1);
}

static void
test_settle_refuses_unknown(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    g_assert_false(spoke_delivery_settle(fixture->delivery, "alice", "0", 12345,
                                         SPOKE_SETTLE_COMPLETE, on_ignored, NULL, &error));

    g_assert_error(error, SPOKE_ERROR, SPOKE_ERROR_NO_SUCH_MESSAGE);
    g_assert_true(g_str_has_prefix(error->message, "No message \"12345\" is locked"));
}

/* Even when it would be the turn of the one that gave it back. */
static void
test_settle_abandons_to_another(Fixture *fixture, gconstpointer data)
{
    fixture_handle(fixture, "alice", 1, "");
    fixture_handle(fixture, "anna", 1, "");
    fixture_take_over(fixture, "ab");
    fixture_settle_message(fixture, "anna", "b", SPOKE_SETTLE_COMPLETE);

    g_assert_cmpint(fixture_settle_message(fixture, "alice", "a", SPOKE_SETTLE_ABANDON), ==, -1);

    fixture_assert_said(fixture, "alice<a/1 anna<b/1 anna<a/2");
}

static void
test_settle_abandons_to_same_if_others_are_busy(Fixture *fixture, gconstpointer data)
{
    fixture_handle(fixture, "alice", 1, "");
    fixture_handle(fixture, "anna", 1, "");
    fixture_take_over(fixture, "ab");

    g_assert_cmpint(fixture_settle_message(fixture, "alice", "a", SPOKE_SETTLE_ABANDON), ==, -1);

    fixture_assert_said(fixture, "alice<a/1 anna<b/1 alice<a/2");
}

static void
test_settle_abandons_to_old_place(Fixture *fixture, gconstpointer data)
{
    fixture_handle(fixture, "alice", 1, "");
    fixture_take_over(fixture, "abc");

    g_assert_cmpint(fixture_settle_message(fixture, "alice", "a", SPOKE_SETTLE_ABANDON), ==, -1);

    fixture_assert_said(fixture, "alice<a/1 alice<a/2");
}

static void
test_settle_rejects_to_dead_letters(Fixture *fixture, gconstpointer data)
{
    fixture_handle(fixture, "alice", 16, "");
    fixture_take_over(fixture, "a");

    g_assert_cmpint(fixture_settle_message(fixture, "alice", "a", SPOKE_SETTLE_REJECT), ==, -1);
    fixture_restart(fixture);
    fixture_handle(fixture, "anna", 16, "");

    fixture_assert_said(fixture, "alice<a/1 dead:a(rejected)");
    g_assert_cmpuint(spoke_delivery_get_dead_letters(fixture->delivery), ==, 1);
}

/* Receive */

static void
test_receive_takes_what_is_there(Fixture *fixture, gconstpointer data)
{
    fixture_take_over(fixture, "ab");

    fixture_receive(fixture, "bob", 0, 0);

    fixture_assert_said(fixture, "bob=a/1");
    g_assert_cmpuint(spoke_delivery_get_waiting(fixture->delivery), ==, 1);
    fixture_restart(fixture);
    g_assert_cmpuint(spoke_delivery_get_waiting(fixture->delivery), ==, 1);
}

static void
test_receive_waits(Fixture *fixture, gconstpointer data)
{
    fixture_receive(fixture, "bob", 10, 0);
    fixture_advance(fixture, 9);

    fixture_take_over(fixture, "a");

    fixture_assert_said(fixture, "bob=a/1");
}

static void
test_receive_times_out(Fixture *fixture, gconstpointer data)
{
    fixture_receive(fixture, "bob", 10, 0);
    fixture_advance(fixture, 9);
    fixture_assert_said(fixture, "");

    fixture_advance(fixture, 1);

    fixture_assert_said(fixture, "bob!Timeout");
}

static void
test_receive_does_not_wait_with_0(Fixture *fixture, gconstpointer data)
{
    fixture_receive(fixture, "bob", 0, 0);

    fixture_assert_said(fixture, "bob!Timeout");
}

static void
test_receive_may_wait_for_ever(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    fixture_receive(fixture, "bob", G_MAXINT64 / G_USEC_PER_SEC, 0);
    fixture_advance(fixture, 365 * 24 * 3600);
    fixture_assert_said(fixture, "");

    fixture_take_over(fixture, "a");

    fixture_assert_said(fixture, "bob=a/1");
}

static void
test_receive_serves_in_order(Fixture *fixture, gconstpointer data)
{
    fixture_receive(fixture, "bob", 10, 0);
    fixture_receive(fixture, "ben", 10, 0);

    fixture_take_over(fixture, "ab");

    fixture_assert_said(fixture, "bob=a/1 ben=b/1");
}

static void
test_receive_comes_after_handlers(Fixture *fixture, gconstpointer data)
{
    fixture_receive(fixture, "bob", 10, 0);
    fixture_handle(fixture, "alice", 1, "");
    fixture_settle(fixture);

    fixture_take_over(fixture, "a");
    fixture_take_over(fixture, "b");

    fixture_assert_said(fixture, "alice<a/1 bob=b/1");
}

static void
on_received_nothing(const SpokeDelivered *delivered, const GError *error, gpointer user_data)
{
    if (error != NULL)
        ++*(guint *)user_data;
}

static void
test_receive_filters(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GBytes) filter = fixture_pack("room=hall");
    guint refused = 0;

    fixture_send(fixture, "a", "room=attic", "");
    fixture_settle(fixture);
    g_assert_true(spoke_delivery_receive(fixture->delivery, "bob", "bob", 0, filter, 0, FALSE,
                                         on_received_nothing, &refused, NULL));
    fixture_settle(fixture);

    g_assert_cmpuint(refused, ==, 1);
}

static void
test_receive_locks_to_user(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    fixture_take_over(fixture, "a");
    fixture_receive(fixture, "bob", 0, 5000);
    fixture_assert_said(fixture, "bob<a/1");
    spoke_delivery_drop_owner(fixture->delivery, "bob");

    guint64 id = fixture_get_id(fixture, "a");

    g_assert_false(spoke_delivery_settle(fixture->delivery, "bob", "eve", id, SPOKE_SETTLE_COMPLETE,
                                         on_ignored, NULL, &error));
    g_assert_error(error, SPOKE_ERROR, SPOKE_ERROR_NO_SUCH_MESSAGE);
    g_assert_true(spoke_delivery_settle(fixture->delivery, "bob's other shell", "bob", id,
                                        SPOKE_SETTLE_COMPLETE, on_ignored, NULL, NULL));
}

static void
test_receive_lock_ends(Fixture *fixture, gconstpointer data)
{
    fixture_take_over(fixture, "a");
    fixture_receive(fixture, "bob", 0, 5000);
    fixture_advance(fixture, 5);
    fixture_receive(fixture, "ben", 0, 5000);

    fixture_assert_said(fixture, "bob<a/1 ben<a/2");
    g_assert_cmpint(fixture_settle_message(fixture, "bob", "a", SPOKE_SETTLE_COMPLETE), ==,
                    SPOKE_ERROR_NO_SUCH_MESSAGE);
}

static void
test_receive_ends_when_owner_leaves(Fixture *fixture, gconstpointer data)
{
    fixture_receive(fixture, "bob", 10, 0);
    fixture_receive(fixture, "ben", 10, 0);
    fixture_settle(fixture);

    spoke_delivery_drop_owner(fixture->delivery, "bob");
    fixture_take_over(fixture, "a");

    fixture_assert_said(fixture, "bob!Cancelled ben=a/1");
}

static void
test_receive_limits_waiting(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    guint refused = 0;

    for (guint i = 0; i < SPOKE_RECEIVERS_MAX; i++)
        g_assert_true(spoke_delivery_receive(fixture->delivery, "bob", "bob", G_USEC_PER_SEC, NULL,
                                             0, FALSE, on_received_nothing, &refused, NULL));

    g_assert_false(spoke_delivery_receive(fixture->delivery, "bob", "bob", G_USEC_PER_SEC, NULL, 0,
                                          FALSE, on_received_nothing, &refused, &error));

    g_assert_error(error, SPOKE_ERROR, SPOKE_ERROR_LIMIT_REACHED);
    fixture_advance(fixture, 1);
    g_assert_cmpuint(refused, ==, SPOKE_RECEIVERS_MAX);
}

static void
test_receive_takes_dead_letter(Fixture *fixture, gconstpointer data)
{
    fixture_handle(fixture, "alice", 16, "");
    fixture_take_over(fixture, "ab");
    fixture_settle_message(fixture, "alice", "b", SPOKE_SETTLE_REJECT);
    fixture_settle_message(fixture, "alice", "a", SPOKE_SETTLE_REJECT);
    g_free(fixture_take_said(fixture));

    fixture_receive_dead(fixture, "bob", 0);
    fixture_receive_dead(fixture, "ben", 0);
    fixture_receive_dead(fixture, "bert", 0);

    fixture_assert_said(fixture, "bert!Timeout bob=b/1(rejected) ben=a/1(rejected)");
    fixture_restart(fixture);
    g_assert_cmpuint(spoke_delivery_get_dead_letters(fixture->delivery), ==, 0);
}

static void
test_receive_of_dead_leaves_living(Fixture *fixture, gconstpointer data)
{
    fixture_receive_dead(fixture, "bob", 10);
    fixture_take_over(fixture, "a");
    fixture_receive(fixture, "ben", 10, 0);
    fixture_settle(fixture);
    fixture_advance(fixture, 10);

    fixture_assert_said(fixture, "ben=a/1 bob!Timeout");
}

/* Dead letters, expiry */

static char *
expiry_in(Fixture *fixture, gint64 sec)
{
    return g_strdup_printf("expiry=%" G_GINT64_FORMAT,
                           fixture->clock->now_usec[SPOKE_CLOCK_WALL] + sec * G_USEC_PER_SEC);
}

static void
test_expiry_buries_waiting(Fixture *fixture, gconstpointer data)
{
    g_autofree char *expiry = expiry_in(fixture, 10);

    fixture_send(fixture, "a", "", expiry);
    fixture_advance(fixture, 9);
    fixture_assert_said(fixture, "");

    fixture_advance(fixture, 1);

    fixture_assert_said(fixture, "dead:a(expired)");
    fixture_receive_dead(fixture, "bob", 0);
    fixture_assert_said(fixture, "bob=a/0(expired)");
}

static void
test_expiry_waits_for_lock(Fixture *fixture, gconstpointer data)
{
    g_autofree char *expiry = expiry_in(fixture, 10);

    fixture_handle(fixture, "alice", 16, "");
    fixture_send(fixture, "a", "", expiry);
    fixture_send(fixture, "b", "", expiry);
    fixture_advance(fixture, 20);

    g_assert_cmpint(fixture_settle_message(fixture, "alice", "a", SPOKE_SETTLE_COMPLETE), ==, -1);
    g_assert_cmpint(fixture_settle_message(fixture, "alice", "b", SPOKE_SETTLE_ABANDON), ==, -1);

    fixture_assert_said(fixture, "alice<a/1 alice<b/1 dead:b(expired)");
}

static void
test_expiry_follows_set_clock(Fixture *fixture, gconstpointer data)
{
    g_autofree char *expiry = expiry_in(fixture, 1000);

    fixture_send(fixture, "a", "", expiry);
    fixture_settle(fixture);
    fake_clock_set_wall(fixture->clock, fixture->clock->now_usec[SPOKE_CLOCK_WALL] - HOUR_USEC);
    fixture_advance(fixture, 1000);
    fixture_assert_said(fixture, "");

    fake_clock_set_wall(fixture->clock, fixture->clock->now_usec[SPOKE_CLOCK_WALL] + HOUR_USEC);

    fixture_assert_said(fixture, "dead:a(expired)");
}

static void
test_expiry_ignores_nonsense(Fixture *fixture, gconstpointer data)
{
    fixture_send(fixture, "a", "", "expiry=soon");
    fixture_advance(fixture, 3600);

    fixture_assert_said(fixture, "");
}

static void
test_dead_letters_oldest_go(Fixture *fixture, gconstpointer data)
{
    fixture->options.dead_letters_max = 2;
    spoke_delivery_set_options(fixture->delivery, &fixture->options);
    fixture_handle(fixture, "alice", 16, "");
    fixture_take_over(fixture, "abc");
    fixture_settle_message(fixture, "alice", "b", SPOKE_SETTLE_REJECT);
    fixture_settle_message(fixture, "alice", "a", SPOKE_SETTLE_REJECT);
    fixture_settle_message(fixture, "alice", "c", SPOKE_SETTLE_REJECT);
    g_free(fixture_take_said(fixture));

    fixture_restart(fixture);

    g_assert_cmpuint(spoke_delivery_get_dead_letters(fixture->delivery), ==, 2);
    fixture_receive_dead(fixture, "bob", 0);
    fixture_receive_dead(fixture, "ben", 0);
    fixture_assert_said(fixture, "bob=a/1(rejected) ben=c/1(rejected)");
}

static void
test_dead_letters_may_be_unwanted(Fixture *fixture, gconstpointer data)
{
    fixture->options.dead_letters_max = 0;
    spoke_delivery_set_options(fixture->delivery, &fixture->options);
    fixture_handle(fixture, "alice", 16, "");
    fixture_take_over(fixture, "a");

    g_assert_cmpint(fixture_settle_message(fixture, "alice", "a", SPOKE_SETTLE_REJECT), ==, -1);

    fixture_assert_said(fixture, "alice<a/1 dead:a(rejected)");
    fixture_restart(fixture);
    g_assert_cmpuint(spoke_delivery_get_dead_letters(fixture->delivery), ==, 0);
}

static void
test_dead_letters_keep_within_bytes(Fixture *fixture, gconstpointer data)
{
    fixture->options.bytes_max = 400; /* two messages of some 140 bytes */
    spoke_delivery_set_options(fixture->delivery, &fixture->options);
    fixture_handle(fixture, "alice", 16, "");
    for (const char *body = "a\0b\0c\0d\0"; *body != '\0'; body += 2) {
        fixture_take_over(fixture, body);
        fixture_settle_message(fixture, "alice", body, SPOKE_SETTLE_REJECT);
    }

    g_assert_cmpuint(spoke_delivery_get_dead_letters(fixture->delivery), ==, 2);
}

/* Pausing */

static void
test_pause_at_limit_and_resume_below(Fixture *fixture, gconstpointer data)
{
    fixture->options.messages_max = 8;
    spoke_delivery_set_options(fixture->delivery, &fixture->options);
    fixture_take_over(fixture, "abcdefg");
    fixture_assert_said(fixture, "");

    fixture_take_over(fixture, "h");
    fixture_assert_said(fixture, "full");
    fixture_receive(fixture, "bob", 0, 0);
    fixture_assert_said(fixture, "bob=a/1");
    fixture_receive(fixture, "bob", 0, 0);
    fixture_assert_said(fixture, "bob=b/1 resumed");

    g_assert_cmpint(spoke_delivery_get_pause(fixture->delivery), ==, SPOKE_PAUSE_NOT);
}

static void
test_pause_at_bytes(Fixture *fixture, gconstpointer data)
{
    fixture->options.bytes_max = 400;
    spoke_delivery_set_options(fixture->delivery, &fixture->options);

    fixture_take_over(fixture, "abc");

    fixture_assert_said(fixture, "full");
}

static void
test_pause_from_start(Fixture *fixture, gconstpointer data)
{
    fixture_take_over(fixture, "abcd");
    fixture->options.messages_max = 4;

    fixture_restart(fixture);

    g_assert_cmpint(spoke_delivery_get_pause(fixture->delivery), ==, SPOKE_PAUSE_FULL);
    fixture_assert_said(fixture, "");
}

/* Who does not keep up */

static void
test_slow_observer_is_not_there(Fixture *fixture, gconstpointer data)
{
    fixture_observe(fixture, "olga", "");
    spoke_delivery_set_slow(fixture->delivery, "olga", TRUE);
    fixture_take_over(fixture, "ab");
    fixture_assert_said(fixture, "");
    g_assert_cmpuint(spoke_delivery_get_waiting(fixture->delivery), ==, 2);

    spoke_delivery_set_slow(fixture->delivery, "olga", FALSE);

    fixture_assert_said(fixture, "olga~a olga~b");
    g_assert_cmpuint(spoke_delivery_get_waiting(fixture->delivery), ==, 0);
}

static void
test_slow_handler_is_busy(Fixture *fixture, gconstpointer data)
{
    fixture_handle(fixture, "alice", 4, "");
    fixture_observe(fixture, "olga", "");
    spoke_delivery_set_slow(fixture->delivery, "alice", TRUE);

    fixture_take_over(fixture, "a");
    fixture_assert_said(fixture, "olga~a");
    fixture_receive(fixture, "bob", 0, 0);
    fixture_assert_said(fixture, "bob=a/1");
    fixture_take_over(fixture, "b");
    spoke_delivery_set_slow(fixture->delivery, "alice", FALSE);

    fixture_assert_said(fixture, "olga~b alice<b/1");
}

/* Limits, stopping, idling */

static void
test_subscribe_limits_owner(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    for (guint i = 0; i < SPOKE_SUBSCRIPTIONS_PER_OWNER_MAX; i++)
        fixture_observe(fixture, "olga", "");

    g_assert_cmpuint(spoke_delivery_subscribe(fixture->delivery, "olga", SPOKE_SUBSCRIBE_OBSERVE,
                                              NULL, 0, 0, &error),
                     ==, 0);
    g_assert_error(error, SPOKE_ERROR, SPOKE_ERROR_LIMIT_REACHED);
    fixture_observe(fixture, "otto", "");
}

static void
test_subscribe_limits_filter(Fixture *fixture, gconstpointer data)
{
    g_autofree char *filler = g_strnfill(SPOKE_FILTER_BYTES_MAX, 'x');
    g_autofree char *property = g_strconcat("a=", filler, NULL);
    g_autoptr(GBytes) filter = fixture_pack(property);
    g_autoptr(GError) error = NULL;

    g_assert_cmpuint(spoke_delivery_subscribe(fixture->delivery, "olga", SPOKE_SUBSCRIBE_OBSERVE,
                                              filter, 0, 0, &error),
                     ==, 0);
    g_assert_error(error, SPOKE_ERROR, SPOKE_ERROR_INVALID_OPTION);
}

static void
test_unsubscribe_refuses_others(Fixture *fixture, gconstpointer data)
{
    guint32 number = fixture_observe(fixture, "olga", "");
    g_autoptr(GError) error = NULL;

    g_assert_false(spoke_delivery_unsubscribe(fixture->delivery, "eve", number, &error));
    g_assert_error(error, SPOKE_ERROR, SPOKE_ERROR_NO_SUCH_SUBSCRIPTION);
    g_assert_true(spoke_delivery_unsubscribe(fixture->delivery, "olga", number, NULL));
    g_assert_false(spoke_delivery_unsubscribe(fixture->delivery, "olga", number, NULL));
}

static void
test_stop_hands_nothing_out(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    fixture_handle(fixture, "alice", 1, "");
    fixture_take_over(fixture, "a");
    fixture_receive_dead(fixture, "bob", 10);
    fixture_settle(fixture);

    spoke_delivery_stop(fixture->delivery);
    fixture_take_over(fixture, "b");

    fixture_assert_said(fixture, "alice<a/1 bob!Shutdown");
    g_assert_cmpint(fixture_settle_message(fixture, "alice", "a", SPOKE_SETTLE_COMPLETE), ==, -1);
    g_assert_cmpuint(spoke_delivery_subscribe(fixture->delivery, "anna", SPOKE_SUBSCRIBE_OBSERVE,
                                              NULL, 0, 0, &error),
                     ==, 0);
    g_assert_error(error, SPOKE_ERROR, SPOKE_ERROR_SHUTDOWN);
    fixture_restart(fixture);
    fixture_handle(fixture, "alice", 1, "");
    fixture_assert_said(fixture, "alice<b/1");
}

static void
test_free_answers_receivers(Fixture *fixture, gconstpointer data)
{
    fixture_receive(fixture, "bob", 10, 0);
    fixture_receive(fixture, "ben", 10, 5000);

    fixture_restart(fixture);

    fixture_assert_said(fixture, "bob!Shutdown ben!Shutdown");
}

static void
test_idle_sets_no_alarm(Fixture *fixture, gconstpointer data)
{
    fixture_observe(fixture, "olga", "");
    fixture_handle(fixture, "alice", 16, "");
    fixture_take_over(fixture, "a");
    fixture_settle_message(fixture, "alice", "a", SPOKE_SETTLE_COMPLETE);

    fixture_settle(fixture);

    g_assert_cmpint(fixture->clock->alarm_usec[SPOKE_CLOCK_BOOT], ==, SPOKE_CLOCK_NEVER);
    g_assert_cmpint(fixture->clock->alarm_usec[SPOKE_CLOCK_WALL], ==, SPOKE_CLOCK_NEVER);
    g_assert_false(g_main_context_pending(NULL));
}

static const struct {
    const char *path;
    void (*function)(Fixture *fixture, gconstpointer data);
} tests[] = {
    {"/delivery/take-over/survives-restart", test_take_over_survives_restart},
    {"/delivery/take-over/stores-repeat-once", test_take_over_stores_repeat_once},
    {"/delivery/take-over/knows-completed-repeat", test_take_over_knows_completed_repeat},
    {"/delivery/take-over/knows-dead-repeat", test_take_over_knows_dead_repeat},
    {"/delivery/take-over/knows-repeat-after-restart", test_take_over_knows_repeat_after_restart},
    {"/delivery/take-over/stores-other-contents-under-same-id",
     test_take_over_stores_other_contents_under_same_id},
    {"/delivery/take-over/stores-all-without-id", test_take_over_stores_all_without_id},
    {"/delivery/take-over/forgets-old-repeats", test_take_over_forgets_old_repeats},
    {"/delivery/take-over/refuses-beyond-slack", test_take_over_refuses_beyond_slack},
    {"/delivery/observe/gives-each-a-copy", test_observe_gives_each_a_copy},
    {"/delivery/observe/completes-without-handler", test_observe_completes_without_handler},
    {"/delivery/observe/first-to-come-gets-what-waited",
     test_observe_first_to_come_gets_what_waited},
    {"/delivery/observe/leaves-message-to-handler", test_observe_leaves_message_to_handler},
    {"/delivery/observe/does-not-take-from-absent-handler",
     test_observe_does_not_take_from_absent_handler},
    {"/delivery/observe/late-gets-no-copy-of-handled", test_observe_late_gets_no_copy_of_handled},
    {"/delivery/observe/gets-no-second-copy-on-redelivery",
     test_observe_gets_no_second_copy_on_redelivery},
    {"/delivery/observe/does-not-take-handed-out-after-restart",
     test_observe_does_not_take_handed_out_after_restart},
    {"/delivery/observe/filters", test_observe_filters},
    {"/delivery/observe/completes-what-no-handler-wants",
     test_observe_completes_what_no_handler_wants},
    {"/delivery/observe/leaves-message-to-busy-handler",
     test_observe_leaves_message_to_busy_handler},
    {"/delivery/observe/leaves-message-to-receiver", test_observe_leaves_message_to_receiver},
    {"/delivery/observe/stops-with-unsubscribe", test_observe_stops_with_unsubscribe},
    {"/delivery/handle/takes-turns", test_handle_takes_turns},
    {"/delivery/handle/keeps-within-credit", test_handle_keeps_within_credit},
    {"/delivery/handle/passes-over-busy", test_handle_passes_over_busy},
    {"/delivery/handle/filters", test_handle_filters},
    {"/delivery/handle/serves-oldest-first", test_handle_serves_oldest_first},
    {"/delivery/handle/redelivers-when-lock-ends", test_handle_redelivers_when_lock_ends},
    {"/delivery/handle/redelivers-to-only-handler", test_handle_redelivers_to_only_handler},
    {"/delivery/handle/redelivers-when-owner-leaves", test_handle_redelivers_when_owner_leaves},
    {"/delivery/handle/redelivers-on-unsubscribe", test_handle_redelivers_on_unsubscribe},
    {"/delivery/handle/forgets-locks-at-restart", test_handle_forgets_locks_at_restart},
    {"/delivery/handle/ends-with-dead-letter", test_handle_ends_with_dead_letter},
    {"/delivery/handle/counts-across-restarts", test_handle_counts_across_restarts},
    {"/delivery/settle/completes-once", test_settle_completes_once},
    {"/delivery/settle/refuses-second-at-once", test_settle_refuses_second_at_once},
    {"/delivery/settle/refuses-others", test_settle_refuses_others},
    {"/delivery/settle/refuses-after-lock", test_settle_refuses_after_lock},
    {"/delivery/settle/refuses-unknown", test_settle_refuses_unknown},
    {"/delivery/settle/abandons-to-another", test_settle_abandons_to_another},
    {"/delivery/settle/abandons-to-same-if-others-are-busy",
     test_settle_abandons_to_same_if_others_are_busy},
    {"/delivery/settle/abandons-to-old-place", test_settle_abandons_to_old_place},
    {"/delivery/settle/rejects-to-dead-letters", test_settle_rejects_to_dead_letters},
    {"/delivery/receive/takes-what-is-there", test_receive_takes_what_is_there},
    {"/delivery/receive/waits", test_receive_waits},
    {"/delivery/receive/times-out", test_receive_times_out},
    {"/delivery/receive/does-not-wait-with-0", test_receive_does_not_wait_with_0},
    {"/delivery/receive/may-wait-for-ever", test_receive_may_wait_for_ever},
    {"/delivery/receive/serves-in-order", test_receive_serves_in_order},
    {"/delivery/receive/comes-after-handlers", test_receive_comes_after_handlers},
    {"/delivery/receive/filters", test_receive_filters},
    {"/delivery/receive/locks-to-user", test_receive_locks_to_user},
    {"/delivery/receive/lock-ends", test_receive_lock_ends},
    {"/delivery/receive/ends-when-owner-leaves", test_receive_ends_when_owner_leaves},
    {"/delivery/receive/limits-waiting", test_receive_limits_waiting},
    {"/delivery/receive/takes-dead-letter", test_receive_takes_dead_letter},
    {"/delivery/receive/of-dead-leaves-living", test_receive_of_dead_leaves_living},
    {"/delivery/expiry/buries-waiting", test_expiry_buries_waiting},
    {"/delivery/expiry/waits-for-lock", test_expiry_waits_for_lock},
    {"/delivery/expiry/follows-set-clock", test_expiry_follows_set_clock},
    {"/delivery/expiry/ignores-nonsense", test_expiry_ignores_nonsense},
    {"/delivery/dead-letters/oldest-go", test_dead_letters_oldest_go},
    {"/delivery/dead-letters/may-be-unwanted", test_dead_letters_may_be_unwanted},
    {"/delivery/dead-letters/keep-within-bytes", test_dead_letters_keep_within_bytes},
    {"/delivery/pause/at-limit-and-resume-below", test_pause_at_limit_and_resume_below},
    {"/delivery/pause/at-bytes", test_pause_at_bytes},
    {"/delivery/pause/from-start", test_pause_from_start},
    {"/delivery/subscribe/limits-owner", test_subscribe_limits_owner},
    {"/delivery/subscribe/limits-filter", test_subscribe_limits_filter},
    {"/delivery/unsubscribe/refuses-others", test_unsubscribe_refuses_others},
    {"/delivery/stop/hands-nothing-out", test_stop_hands_nothing_out},
    {"/delivery/free/answers-receivers", test_free_answers_receivers},
    {"/delivery/idle/sets-no-alarm", test_idle_sets_no_alarm},
    {"/delivery/slow/observer-is-not-there", test_slow_observer_is_not_there},
    {"/delivery/slow/handler-is-busy", test_slow_handler_is_busy},
};

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (guint i = 0; i < G_N_ELEMENTS(tests); i++)
        fixture_add(tests[i].path, tests[i].function);
    return g_test_run();
}
