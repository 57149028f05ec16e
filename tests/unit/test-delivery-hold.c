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
    fixture_add("/delivery-hold/stop/accepts", test_stop_accepts);
    fixture_add("/delivery-hold/lock-over/is-redelivered-here", test_lock_over_is_redelivered_here);
    return g_test_run();
}
