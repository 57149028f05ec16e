/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/delivery.h"

#include "tests/unit/delivery-fixture.h"

/*
 * Messages that the hub keeps locked until it is told what became of them: the handler's verdict
 * reaches it, in good time and once.
 */

#define HOLD_SEC (SPOKE_DELIVERY_HOLD_USEC / G_USEC_PER_SEC)

static void
test_complete_reaches_the_hub(Fixture *fixture, gconstpointer unused)
{
    fixture_handle(fixture, "alice", 1, "");
    fixture_hold(fixture, "a", 0);
    fixture_assert_said(fixture, "alice<a/1");
    fixture_assert_taken(fixture, "");

    g_assert_cmpint(fixture_settle_message(fixture, "alice", "a", SPOKE_SETTLE_COMPLETE), ==, -1);

    fixture_assert_taken(fixture, "a:accept");
    fixture_restart(fixture);
    g_assert_cmpuint(spoke_delivery_get_waiting(fixture->delivery), ==, 0);
}

static void
test_abandon_reaches_the_hub(Fixture *fixture, gconstpointer unused)
{
    fixture_handle(fixture, "alice", 1, "");
    fixture_hold(fixture, "a", 0);
    fixture_assert_said(fixture, "alice<a/1");

    g_assert_cmpint(fixture_settle_message(fixture, "alice", "a", SPOKE_SETTLE_ABANDON), ==, -1);

    fixture_assert_taken(fixture, "a:release");
    g_assert_cmpuint(spoke_delivery_get_waiting(fixture->delivery), ==, 0);
}

/* It is no repeat then: the hub has been asked to send it again. */
static void
test_abandoned_may_come_again(Fixture *fixture, gconstpointer unused)
{
    fixture_handle(fixture, "alice", 1, "");
    fixture_hold(fixture, "a", 0);
    fixture_assert_said(fixture, "alice<a/1");
    g_assert_cmpint(fixture_settle_message(fixture, "alice", "a", SPOKE_SETTLE_ABANDON), ==, -1);
    fixture_assert_taken(fixture, "a:release");

    fixture_hold(fixture, "a", 1);

    fixture_assert_said(fixture, "alice<a/2");
}

static void
test_reject_reaches_the_hub(Fixture *fixture, gconstpointer unused)
{
    fixture_handle(fixture, "alice", 1, "");
    fixture_hold(fixture, "a", 0);
    fixture_assert_said(fixture, "alice<a/1");

    g_assert_cmpint(fixture_settle_message(fixture, "alice", "a", SPOKE_SETTLE_REJECT), ==, -1);

    fixture_assert_taken(fixture, "a:reject");
    g_assert_cmpuint(spoke_delivery_get_dead_letters(fixture->delivery), ==, 0);
}

/* From then on the message is ours, and the queue's part is played here. */
static void
test_hub_does_not_wait_longer_than_half_its_lock(Fixture *fixture, gconstpointer unused)
{
    fixture_handle(fixture, "alice", 1, "");
    fixture_hold(fixture, "a", 0);
    fixture_assert_said(fixture, "alice<a/1");

    fixture_advance(fixture, HOLD_SEC - 1);
    fixture_assert_taken(fixture, "");
    fixture_advance(fixture, 1);
    fixture_assert_taken(fixture, "a:accept");

    g_assert_cmpint(fixture_settle_message(fixture, "alice", "a", SPOKE_SETTLE_ABANDON), ==, -1);
    fixture_assert_said(fixture, "alice<a/2");
    g_assert_cmpint(fixture_settle_message(fixture, "alice", "a", SPOKE_SETTLE_REJECT), ==, -1);
    g_assert_cmpuint(spoke_delivery_get_dead_letters(fixture->delivery), ==, 1);
    fixture_assert_taken(fixture, "");
}

static void
test_hub_does_not_wait_for_nobody(Fixture *fixture, gconstpointer unused)
{
    fixture_hold(fixture, "a", 0);

    fixture_assert_taken(fixture, "a:accept");
    fixture_restart(fixture);
    fixture_handle(fixture, "alice", 1, "");
    fixture_assert_said(fixture, "alice<a/1");
}

static void
test_observer_completes(Fixture *fixture, gconstpointer unused)
{
    fixture_observe(fixture, "olga", "");
    fixture_hold(fixture, "a", 0);

    fixture_assert_said(fixture, "olga~a");
    fixture_assert_taken(fixture, "a:accept");
}

static void
test_receive_completes(Fixture *fixture, gconstpointer unused)
{
    fixture_receive(fixture, "bob", 10, 0);
    fixture_hold(fixture, "a", 0);

    fixture_assert_said(fixture, "bob=a/1");
    fixture_assert_taken(fixture, "a:accept");
}

/* The connection was lost before the verdict: the hub asks again, and there is one message. */
static void
test_repeat_takes_the_place(Fixture *fixture, gconstpointer unused)
{
    fixture_handle(fixture, "alice", 1, "");
    fixture_hold(fixture, "a", 0);
    fixture_assert_said(fixture, "alice<a/1");

    fixture_hold(fixture, "a", 1);
    fixture_assert_said(fixture, "");
    fixture_assert_taken(fixture, "a:release"); /* to the token that means nothing any more */

    g_assert_cmpint(fixture_settle_message(fixture, "alice", "a", SPOKE_SETTLE_COMPLETE), ==, -1);
    fixture_assert_taken(fixture, "a:accept");
}

static void
test_repeat_of_a_completed_one_is_accepted(Fixture *fixture, gconstpointer unused)
{
    fixture_handle(fixture, "alice", 1, "");
    fixture_hold(fixture, "a", 0);
    fixture_assert_said(fixture, "alice<a/1");
    g_assert_cmpint(fixture_settle_message(fixture, "alice", "a", SPOKE_SETTLE_COMPLETE), ==, -1);
    fixture_assert_taken(fixture, "a:accept");

    fixture_hold(fixture, "a", 1);

    fixture_assert_taken(fixture, "a:accept");
    fixture_assert_said(fixture, "");
}

static void
on_settled(const GError *error, gpointer user_data)
{
}

/* "a" is handed to alice, and the hub waits. */
static void
hold_and_hand_out(Fixture *fixture)
{
    fixture_handle(fixture, "alice", 1, "");
    fixture_hold(fixture, "a", 0);
    fixture_assert_said(fixture, "alice<a/1");
}

/* It is on its way off the disk. */
static void
begin_to_reject(Fixture *fixture)
{
    g_assert_true(spoke_delivery_settle(fixture->delivery, "alice", "alice",
                                        fixture_get_id(fixture, "a"), SPOKE_SETTLE_REJECT,
                                        on_settled, NULL, NULL));
}

static void
test_lost_and_rejected_is_a_dead_letter_here(Fixture *fixture, gconstpointer unused)
{
    hold_and_hand_out(fixture);
    spoke_delivery_end_holds(fixture->delivery);
    fixture_assert_taken(fixture, "a:accept"); /* to a token that means nothing any more */

    g_assert_cmpint(fixture_settle_message(fixture, "alice", "a", SPOKE_SETTLE_REJECT), ==, -1);

    g_assert_cmpuint(spoke_delivery_get_dead_letters(fixture->delivery), ==, 1);
    fixture_hold(fixture, "a", 1);
    fixture_assert_taken(fixture, "a:accept");
    fixture_assert_said(fixture, "dead:a(rejected)");
}

static void
test_lost_and_abandoned_is_redelivered_here(Fixture *fixture, gconstpointer unused)
{
    hold_and_hand_out(fixture);
    spoke_delivery_end_holds(fixture->delivery);
    fixture_assert_taken(fixture, "a:accept");

    g_assert_cmpint(fixture_settle_message(fixture, "alice", "a", SPOKE_SETTLE_ABANDON), ==, -1);

    fixture_assert_said(fixture, "alice<a/2");
    fixture_assert_taken(fixture, "");
}

static void
test_lost_may_be_held_again(Fixture *fixture, gconstpointer unused)
{
    hold_and_hand_out(fixture);
    spoke_delivery_end_holds(fixture->delivery);
    fixture_assert_taken(fixture, "a:accept");

    fixture_hold(fixture, "a", 1);
    fixture_assert_taken(fixture, "");

    g_assert_cmpint(fixture_settle_message(fixture, "alice", "a", SPOKE_SETTLE_REJECT), ==, -1);
    fixture_assert_taken(fixture, "a:reject");
    g_assert_cmpuint(spoke_delivery_get_dead_letters(fixture->delivery), ==, 0);
}

static void
test_lost_on_its_way_to_the_disk_is_ours(Fixture *fixture, gconstpointer unused)
{
    fixture_handle(fixture, "alice", 1, "");
    fixture_hold(fixture, "a", 0);

    spoke_delivery_end_holds(fixture->delivery);

    fixture_assert_said(fixture, "alice<a/1");
    fixture_assert_taken(fixture, "a:accept");
    g_assert_cmpint(fixture_settle_message(fixture, "alice", "a", SPOKE_SETTLE_REJECT), ==, -1);
    fixture_assert_taken(fixture, "");
    g_assert_cmpuint(spoke_delivery_get_dead_letters(fixture->delivery), ==, 1);
}

/* The hub has not heard. */
static void
test_repeat_of_a_rejected_one_is_rejected(Fixture *fixture, gconstpointer unused)
{
    hold_and_hand_out(fixture);
    g_assert_cmpint(fixture_settle_message(fixture, "alice", "a", SPOKE_SETTLE_REJECT), ==, -1);
    fixture_assert_taken(fixture, "a:reject");

    for (guint i = 1; i <= 2; i++) {
        fixture_hold(fixture, "a", i);

        fixture_assert_taken(fixture, "a:reject");
        fixture_assert_said(fixture, "");
    }
}

static void
test_repeat_of_one_being_rejected_is_rejected(Fixture *fixture, gconstpointer unused)
{
    hold_and_hand_out(fixture);
    begin_to_reject(fixture);

    spoke_delivery_end_holds(fixture->delivery);
    fixture_hold(fixture, "a", 1);

    fixture_assert_taken(fixture, "a:reject a:reject");
    fixture_assert_said(fixture, "");
    g_assert_cmpuint(spoke_delivery_get_waiting(fixture->delivery), ==, 0);
}

/* Over MQTT it can't be told; handed out again, it can be rejected here. */
static void
test_rejected_is_new_where_no_verdict_is_taken(Fixture *fixture, gconstpointer unused)
{
    hold_and_hand_out(fixture);
    g_assert_cmpint(fixture_settle_message(fixture, "alice", "a", SPOKE_SETTLE_REJECT), ==, -1);
    fixture_assert_taken(fixture, "a:reject");

    fixture_send(fixture, "a", "", "");
    fixture_assert_said(fixture, "alice<a/1");
    fixture_assert_taken(fixture, "+a");

    g_assert_cmpint(fixture_settle_message(fixture, "alice", "a", SPOKE_SETTLE_COMPLETE), ==, -1);
    fixture_hold(fixture, "a", 1);
    fixture_assert_taken(fixture, "a:accept");
}

static void
test_being_rejected_is_new_where_no_verdict_is_taken(Fixture *fixture, gconstpointer unused)
{
    hold_and_hand_out(fixture);
    begin_to_reject(fixture);
    spoke_delivery_end_holds(fixture->delivery);

    fixture_send(fixture, "a", "", "");

    fixture_assert_said(fixture, "alice<a/1");
    fixture_assert_taken(fixture, "a:reject+a");
    g_assert_cmpuint(spoke_delivery_get_waiting(fixture->delivery), ==, 1);
}

static void
test_end_does_not_turn_a_verdict(Fixture *fixture, gconstpointer unused)
{
    hold_and_hand_out(fixture);
    begin_to_reject(fixture);

    fixture_stop(fixture);

    g_assert_cmpstr(fixture->taken->str, ==, "a:reject");
    g_string_truncate(fixture->taken, 0);
    fixture_start(fixture);
}

/* The verdict was lost with the daemon. */
static void
test_rejected_before_a_restart_is_handed_out_again(Fixture *fixture, gconstpointer unused)
{
    hold_and_hand_out(fixture);
    g_assert_cmpint(fixture_settle_message(fixture, "alice", "a", SPOKE_SETTLE_REJECT), ==, -1);
    fixture_assert_taken(fixture, "a:reject");

    fixture_restart(fixture);
    fixture_handle(fixture, "alice", 1, "");
    fixture_hold(fixture, "a", 1);

    fixture_assert_said(fixture, "alice<a/2");
    fixture_assert_taken(fixture, "");
}

static void
test_stop_accepts(Fixture *fixture, gconstpointer unused)
{
    fixture_handle(fixture, "alice", 1, "");
    fixture_hold(fixture, "a", 0);
    fixture_assert_said(fixture, "alice<a/1");

    spoke_delivery_stop(fixture->delivery);

    fixture_assert_taken(fixture, "a:accept");
}

static void
test_lock_over_is_redelivered_here(Fixture *fixture, gconstpointer unused)
{
    guint32 alice = fixture_handle(fixture, "alice", 1, "");

    fixture_hold(fixture, "a", 0);
    fixture_assert_said(fixture, "alice<a/1");
    fixture_handle(fixture, "bob", 1, "");
    g_assert_true(spoke_delivery_unsubscribe(fixture->delivery, "alice", alice, NULL));

    fixture_assert_said(fixture, "bob<a/2");
    g_assert_cmpint(fixture_settle_message(fixture, "bob", "a", SPOKE_SETTLE_COMPLETE), ==, -1);
    fixture_assert_taken(fixture, "a:accept");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    fixture_add("/delivery-hold/complete/reaches-the-hub", test_complete_reaches_the_hub);
    fixture_add("/delivery-hold/abandon/reaches-the-hub", test_abandon_reaches_the_hub);
    fixture_add("/delivery-hold/abandon/may-come-again", test_abandoned_may_come_again);
    fixture_add("/delivery-hold/reject/reaches-the-hub", test_reject_reaches_the_hub);
    fixture_add("/delivery-hold/time/no-longer-than-half-the-lock",
                test_hub_does_not_wait_longer_than_half_its_lock);
    fixture_add("/delivery-hold/nobody/is-not-waited-for", test_hub_does_not_wait_for_nobody);
    fixture_add("/delivery-hold/observer/completes", test_observer_completes);
    fixture_add("/delivery-hold/receive/completes", test_receive_completes);
    fixture_add("/delivery-hold/repeat/takes-the-place", test_repeat_takes_the_place);
    fixture_add("/delivery-hold/repeat/of-a-completed-one-is-accepted",
                test_repeat_of_a_completed_one_is_accepted);
    fixture_add("/delivery-hold/lost/rejected-is-a-dead-letter-here",
                test_lost_and_rejected_is_a_dead_letter_here);
    fixture_add("/delivery-hold/lost/abandoned-is-redelivered-here",
                test_lost_and_abandoned_is_redelivered_here);
    fixture_add("/delivery-hold/lost/may-be-held-again", test_lost_may_be_held_again);
    fixture_add("/delivery-hold/lost/on-its-way-to-the-disk-is-ours",
                test_lost_on_its_way_to_the_disk_is_ours);
    fixture_add("/delivery-hold/repeat/of-a-rejected-one-is-rejected",
                test_repeat_of_a_rejected_one_is_rejected);
    fixture_add("/delivery-hold/repeat/of-one-being-rejected-is-rejected",
                test_repeat_of_one_being_rejected_is_rejected);
    fixture_add("/delivery-hold/repeat/rejected-is-new-where-no-verdict-is-taken",
                test_rejected_is_new_where_no_verdict_is_taken);
    fixture_add("/delivery-hold/repeat/being-rejected-is-new-where-no-verdict-is-taken",
                test_being_rejected_is_new_where_no_verdict_is_taken);
    fixture_add("/delivery-hold/repeat/rejected-before-a-restart-is-handed-out-again",
                test_rejected_before_a_restart_is_handed_out_again);
    fixture_add("/delivery-hold/end/does-not-turn-a-verdict", test_end_does_not_turn_a_verdict);
    fixture_add("/delivery-hold/stop/accepts", test_stop_accepts);
    fixture_add("/delivery-hold/lock-over/is-redelivered-here", test_lock_over_is_redelivered_here);
    return g_test_run();
}
