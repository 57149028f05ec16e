/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/delivery.h"

#include "daemon/error.h"
#include "tests/unit/delivery-fixture.h"

/* What delivery does when the disk is slow, fails, or loses power at a chosen moment. The disk is a
 * fake (disk.h), all above it is real. */

#define RETRY_SEC 30

/* The main loop has nothing to do but wait for the disk. */
static void
assert_said_so_far(Fixture *fixture, const char *text)
{
    fixture_iterate();
    g_assert_cmpstr(fixture->said->str, ==, text);
    g_string_truncate(fixture->said, 0);
}

static void
assert_taken_so_far(Fixture *fixture, const char *text)
{
    fixture_iterate();
    g_assert_cmpstr(fixture->taken->str, ==, text);
    g_string_truncate(fixture->taken, 0);
}

static void
restart_without_power(Fixture *fixture)
{
    disk_lose_power(fixture->disk);
    fixture_restart(fixture);
    disk_hold(fixture->disk, FALSE);
    g_string_truncate(fixture->said, 0);
    g_string_truncate(fixture->taken, 0);
}

static void
on_settled(const GError *error, gpointer user_data)
{
    *(gint *)user_data = error == NULL ? -1 : error->code;
}

static void
settle_without_waiting(Fixture *fixture, const char *owner, const char *body, SpokeSettle settle,
                       gint *ret_code)
{
    g_autoptr(GError) error = NULL;

    *ret_code = G_MAXINT;
    spoke_delivery_settle(fixture->delivery, owner, owner, fixture_get_id(fixture, body), settle,
                          on_settled, ret_code, &error);
    g_assert_no_error(error);
    fixture_iterate();
}

static void
test_take_over_is_answered_by_commit(Fixture *fixture, gconstpointer data)
{
    fixture_observe(fixture, "olga", "");
    disk_hold(fixture->disk, TRUE);
    fixture_send(fixture, "a", "", "");
    fixture_send(fixture, "a", "", "");
    assert_taken_so_far(fixture, "");
    assert_said_so_far(fixture, "");
    g_assert_cmpuint(spoke_delivery_get_waiting(fixture->delivery), ==, 0);

    disk_commit(fixture->disk);

    assert_taken_so_far(fixture, "+a+a");
    assert_said_so_far(fixture, "olga~a");
    disk_hold(fixture->disk, FALSE);
}

static void
test_take_over_fails_and_pauses(Fixture *fixture, gconstpointer data)
{
    fixture_observe(fixture, "olga", "");
    disk_fail(fixture->disk, SPOKE_ERROR_QUEUE_FULL);
    fixture_take_over(fixture, "aa");
    g_assert_cmpstr(fixture->taken->str, ==, "-a-a");
    fixture_assert_said(fixture, "paused");
    fixture_advance(fixture, RETRY_SEC - 1);
    fixture_assert_said(fixture, "");

    disk_fail(fixture->disk, -1);
    fixture_advance(fixture, 1);
    fixture_assert_said(fixture, "resumed");
    fixture_take_over(fixture, "a");

    fixture_assert_said(fixture, "olga~a");
    g_assert_cmpuint(spoke_delivery_get_received(fixture->delivery), ==, 1);
}

static void
test_take_over_fails_without_id(Fixture *fixture, gconstpointer data)
{
    fixture_handle(fixture, "alice", 16, "");
    disk_refuse_ids(fixture->disk, TRUE);
    fixture_take_over(fixture, "ab");
    g_assert_cmpstr(fixture->taken->str, ==, "-a-b");
    g_assert_cmpuint(spoke_delivery_get_waiting(fixture->delivery), ==, 0);

    disk_refuse_ids(fixture->disk, FALSE);
    fixture_advance(fixture, RETRY_SEC);
    fixture_take_over(fixture, "ab");

    fixture_assert_said(fixture, "paused resumed alice<a/1 alice<b/1");
}

static void
test_hand_out_comes_after_count(Fixture *fixture, gconstpointer data)
{
    gint code;

    fixture_handle(fixture, "alice", 16, "");
    disk_hold(fixture->disk, TRUE);
    fixture_send(fixture, "a", "", "");
    disk_commit(fixture->disk);
    assert_taken_so_far(fixture, "+a");
    assert_said_so_far(fixture, "");

    disk_commit(fixture->disk);
    assert_said_so_far(fixture, "alice<a/1");
    g_assert_cmpuint(disk_get_count(fixture->disk, fixture_get_id(fixture, "a")), ==, 1);

    settle_without_waiting(fixture, "alice", "a", SPOKE_SETTLE_ABANDON, &code);
    g_assert_cmpint(code, ==, -1);
    assert_said_so_far(fixture, "");
    disk_commit(fixture->disk);
    assert_said_so_far(fixture, "alice<a/2");
    g_assert_cmpuint(disk_get_count(fixture->disk, fixture_get_id(fixture, "a")), ==, 2);
    disk_hold(fixture->disk, FALSE);
}

static void
test_hand_out_lost_with_power_costs_a_try(Fixture *fixture, gconstpointer data)
{
    fixture_handle(fixture, "alice", 16, "");
    fixture_take_over(fixture, "a");
    fixture_assert_said(fixture, "alice<a/1");

    restart_without_power(fixture);
    fixture_handle(fixture, "alice", 16, "");

    fixture_assert_said(fixture, "alice<a/2");
}

static void
test_hand_out_not_yet_counted_costs_none(Fixture *fixture, gconstpointer data)
{
    fixture_take_over(fixture, "a");
    disk_hold(fixture->disk, TRUE);
    fixture_handle(fixture, "alice", 16, "");
    assert_said_so_far(fixture, "");

    restart_without_power(fixture);
    fixture_handle(fixture, "alice", 16, "");

    fixture_assert_said(fixture, "alice<a/1");
}

/* Only as many counts are written ahead as there are hands free. */
static void
test_hand_out_ahead_keeps_within_credit(Fixture *fixture, gconstpointer data)
{
    fixture_handle(fixture, "alice", 1, "");
    fixture_take_over(fixture, "ab");
    fixture_assert_said(fixture, "alice<a/1");

    g_assert_cmpuint(disk_get_count(fixture->disk, fixture_get_id(fixture, "a")), ==, 1);
    g_assert_cmpuint(disk_get_count(fixture->disk, fixture_get_id(fixture, "b")), ==, 0);
}

static void
test_hand_out_waits_while_disk_fails(Fixture *fixture, gconstpointer data)
{
    fixture_take_over(fixture, "a");
    disk_fail(fixture->disk, SPOKE_ERROR_STORAGE_FAILED);
    fixture_handle(fixture, "alice", 16, "");
    fixture_assert_said(fixture, "paused");

    fixture_advance(fixture, RETRY_SEC);
    fixture_assert_said(fixture, "");
    disk_fail(fixture->disk, -1);
    fixture_advance(fixture, RETRY_SEC);

    fixture_assert_said(fixture, "alice<a/1 resumed");
}

static void
test_promise_passes_on_when_owner_leaves(Fixture *fixture, gconstpointer data)
{
    fixture_take_over(fixture, "a");
    disk_hold(fixture->disk, TRUE);
    fixture_handle(fixture, "alice", 16, "");
    assert_said_so_far(fixture, "");

    spoke_delivery_drop_owner(fixture->delivery, "alice");
    fixture_handle(fixture, "anna", 16, "");
    assert_said_so_far(fixture, "");
    disk_commit(fixture->disk);

    assert_said_so_far(fixture, "anna<a/1");
    g_assert_false(disk_commit(fixture->disk));
    disk_hold(fixture->disk, FALSE);
}

static void
test_promise_keeps_count_when_owner_leaves(Fixture *fixture, gconstpointer data)
{
    fixture_take_over(fixture, "a");
    disk_hold(fixture->disk, TRUE);
    fixture_handle(fixture, "alice", 16, "");
    fixture_iterate();
    spoke_delivery_drop_owner(fixture->delivery, "alice");
    disk_hold(fixture->disk, FALSE);
    fixture_assert_said(fixture, "");

    fixture_handle(fixture, "anna", 16, "");

    fixture_assert_said(fixture, "anna<a/1");
    g_assert_cmpuint(disk_get_count(fixture->disk, fixture_get_id(fixture, "a")), ==, 1);
}

static void
test_promise_to_receiver_ends_when_it_leaves(Fixture *fixture, gconstpointer data)
{
    fixture_take_over(fixture, "a");
    disk_hold(fixture->disk, TRUE);
    fixture_receive(fixture, "bob", 10, 5000);
    fixture_iterate();

    spoke_delivery_drop_owner(fixture->delivery, "bob");
    assert_said_so_far(fixture, "bob!Cancelled");
    disk_hold(fixture->disk, FALSE);
    fixture_handle(fixture, "alice", 16, "");

    fixture_assert_said(fixture, "alice<a/1");
}

static void
test_promise_ends_with_stop(Fixture *fixture, gconstpointer data)
{
    fixture_take_over(fixture, "ab");
    disk_hold(fixture->disk, TRUE);
    fixture_receive(fixture, "bob", 10, 5000);
    fixture_iterate();
    fixture_handle(fixture, "alice", 16, "");
    fixture_iterate();

    spoke_delivery_stop(fixture->delivery);
    disk_hold(fixture->disk, FALSE);

    fixture_assert_said(fixture, "bob!Shutdown");
}

static void
test_receive_is_answered_by_commit(Fixture *fixture, gconstpointer data)
{
    fixture_take_over(fixture, "a");
    disk_hold(fixture->disk, TRUE);
    fixture_receive(fixture, "bob", 0, 0);
    assert_said_so_far(fixture, "");

    disk_commit(fixture->disk);

    assert_said_so_far(fixture, "bob=a/1");
    disk_hold(fixture->disk, FALSE);
}

static void
test_receive_fails_and_keeps_message(Fixture *fixture, gconstpointer data)
{
    fixture_take_over(fixture, "a");
    disk_fail(fixture->disk, SPOKE_ERROR_STORAGE_FAILED);
    fixture_receive(fixture, "bob", 0, 0);
    fixture_assert_said(fixture, "bob!Disk paused");

    disk_fail(fixture->disk, -1);
    fixture_advance(fixture, RETRY_SEC);
    fixture_receive(fixture, "bob", 0, 0);

    fixture_assert_said(fixture, "resumed bob=a/1");
}

static void
test_receive_with_lock_fails_and_keeps_message(Fixture *fixture, gconstpointer data)
{
    fixture_take_over(fixture, "a");
    disk_fail(fixture->disk, SPOKE_ERROR_STORAGE_FAILED);
    fixture_receive(fixture, "bob", 0, 5000);
    fixture_assert_said(fixture, "bob!Disk paused");

    disk_fail(fixture->disk, -1);
    fixture_advance(fixture, RETRY_SEC);
    fixture_receive(fixture, "bob", 0, 5000);

    fixture_assert_said(fixture, "resumed bob<a/1");
}

static void
test_settle_is_answered_by_commit(Fixture *fixture, gconstpointer data)
{
    static const SpokeSettle ways[] = {SPOKE_SETTLE_COMPLETE, SPOKE_SETTLE_REJECT};
    gint code;

    fixture_handle(fixture, "alice", 16, "");
    for (guint i = 0; i < G_N_ELEMENTS(ways); i++) {
        const char body[] = {(char)('a' + i), '\0'};

        fixture_take_over(fixture, body);
        disk_hold(fixture->disk, TRUE);
        settle_without_waiting(fixture, "alice", body, ways[i], &code);
        g_assert_cmpint(code, ==, G_MAXINT);

        disk_commit(fixture->disk);

        g_assert_cmpint(code, ==, -1);
        disk_hold(fixture->disk, FALSE);
    }
}

static void
test_settle_lost_with_power_redelivers(Fixture *fixture, gconstpointer data)
{
    gint code;

    fixture_handle(fixture, "alice", 16, "");
    fixture_take_over(fixture, "a");
    disk_hold(fixture->disk, TRUE);
    settle_without_waiting(fixture, "alice", "a", SPOKE_SETTLE_COMPLETE, &code);

    restart_without_power(fixture);
    fixture_handle(fixture, "alice", 16, "");

    g_assert_cmpint(code, ==, SPOKE_ERROR_CANCELLED);
    fixture_assert_said(fixture, "alice<a/2");
}

static void
test_settle_fails_and_redelivers(Fixture *fixture, gconstpointer data)
{
    static const SpokeSettle ways[] = {SPOKE_SETTLE_COMPLETE, SPOKE_SETTLE_REJECT};

    fixture_handle(fixture, "alice", 16, "");
    fixture_take_over(fixture, "ab");
    fixture_assert_said(fixture, "alice<a/1 alice<b/1");
    for (guint i = 0; i < G_N_ELEMENTS(ways); i++) {
        const char body[] = {(char)('a' + i), '\0'};
        g_autofree char *again = g_strdup_printf("paused alice<%s/2 resumed", body);

        disk_fail(fixture->disk, SPOKE_ERROR_STORAGE_FAILED);
        g_assert_cmpint(fixture_settle_message(fixture, "alice", body, ways[i]), ==,
                        SPOKE_ERROR_STORAGE_FAILED);
        disk_fail(fixture->disk, -1);
        fixture_advance(fixture, RETRY_SEC);

        fixture_assert_said(fixture, again);
    }
    g_assert_cmpuint(spoke_delivery_get_waiting(fixture->delivery), ==, 2);
    g_assert_cmpuint(spoke_delivery_get_dead_letters(fixture->delivery), ==, 0);
}

static void
test_observed_leaves_when_disk_works_again(Fixture *fixture, gconstpointer data)
{
    fixture_take_over(fixture, "a");
    disk_fail(fixture->disk, SPOKE_ERROR_STORAGE_FAILED);
    fixture_observe(fixture, "olga", "");
    fixture_assert_said(fixture, "olga~a paused");
    g_assert_cmpuint(spoke_delivery_get_waiting(fixture->delivery), ==, 1);

    disk_fail(fixture->disk, -1);
    fixture_advance(fixture, RETRY_SEC);

    fixture_assert_said(fixture, "resumed");
    g_assert_cmpuint(spoke_delivery_get_waiting(fixture->delivery), ==, 0);
}

static void
test_observed_is_kept_until_copies_are_out(Fixture *fixture, gconstpointer data)
{
    fixture_take_over(fixture, "a");
    disk_hold(fixture->disk, TRUE);
    fixture_observe(fixture, "olga", "");
    assert_said_so_far(fixture, "olga~a");
    g_assert_true(disk_has(fixture->disk, fixture_get_id(fixture, "a")));

    restart_without_power(fixture);
    fixture_observe(fixture, "olga", "");

    fixture_assert_said(fixture, "olga~a");
    g_assert_false(disk_has(fixture->disk, fixture_get_id(fixture, "a")));
}

static void
test_expiry_is_retried(Fixture *fixture, gconstpointer data)
{
    fixture_send(fixture, "a", "", "expiry=1");
    fixture_iterate();
    disk_fail(fixture->disk, SPOKE_ERROR_STORAGE_FAILED);
    fixture_settle(fixture);
    g_string_truncate(fixture->said, 0);

    disk_fail(fixture->disk, -1);
    fixture_advance(fixture, RETRY_SEC);

    g_assert_cmpuint(spoke_delivery_get_dead_letters(fixture->delivery), ==, 1);
}

static void
test_free_answers_all(Fixture *fixture, gconstpointer data)
{
    gint code;

    fixture_handle(fixture, "alice", 1, "");
    fixture_take_over(fixture, "abc");
    fixture_assert_said(fixture, "alice<a/1");
    disk_hold(fixture->disk, TRUE);
    settle_without_waiting(fixture, "alice", "a", SPOKE_SETTLE_COMPLETE, &code);
    fixture_receive(fixture, "bob", 10, 0);
    fixture_receive(fixture, "ben", 10, 5000);
    fixture_iterate();
    fixture_send(fixture, "d", "", "");
    fixture_send(fixture, "d", "", "");

    restart_without_power(fixture);

    g_assert_cmpint(code, ==, SPOKE_ERROR_CANCELLED);
}

static void
test_new_fails_with_inbox(void)
{
    static const SpokeDeliveryOptions options = {.messages_max = 1};
    static const SpokeDeliveryEvents events = {NULL};
    Disk *disk = disk_new();
    g_autoptr(GError) error = NULL;

    disk_fail(disk, SPOKE_ERROR_STORAGE_FAILED);
    g_assert_null(spoke_delivery_new(disk_open_inbox(disk), &fake_clock_new()->table, &options,
                                     &events, NULL, &error));

    g_assert_error(error, SPOKE_ERROR, SPOKE_ERROR_STORAGE_FAILED);
    disk_free(disk);
}

/* The later one's count goes to the disk with it, the older one's only when a taker is found: it is
 * behind on the disk, and yet the first to be handed out. */
static void
test_order_does_not_depend_on_the_disk(Fixture *fixture, gconstpointer unused)
{
    fixture_take_over(fixture, "a");
    fixture_assert_said(fixture, "");
    disk_hold(fixture->disk, TRUE);
    fixture_handle(fixture, "alice", 2, "");
    fixture_send(fixture, "b", "", "");
    fixture_iterate();

    while (disk_commit(fixture->disk))
        fixture_iterate();
    disk_hold(fixture->disk, FALSE);

    fixture_assert_said(fixture, "alice<a/1 alice<b/1");
}

static const struct {
    const char *path;
    void (*function)(Fixture *fixture, gconstpointer data);
} tests[] = {
    {"/delivery-disk/order/does-not-depend-on-the-disk", test_order_does_not_depend_on_the_disk},
    {"/delivery-disk/take-over/is-answered-by-commit", test_take_over_is_answered_by_commit},
    {"/delivery-disk/take-over/fails-and-pauses", test_take_over_fails_and_pauses},
    {"/delivery-disk/take-over/fails-without-id", test_take_over_fails_without_id},
    {"/delivery-disk/hand-out/comes-after-count", test_hand_out_comes_after_count},
    {"/delivery-disk/hand-out/lost-with-power-costs-a-try",
     test_hand_out_lost_with_power_costs_a_try},
    {"/delivery-disk/hand-out/not-yet-counted-costs-none",
     test_hand_out_not_yet_counted_costs_none},
    {"/delivery-disk/hand-out/ahead-keeps-within-credit", test_hand_out_ahead_keeps_within_credit},
    {"/delivery-disk/hand-out/waits-while-disk-fails", test_hand_out_waits_while_disk_fails},
    {"/delivery-disk/promise/passes-on-when-owner-leaves",
     test_promise_passes_on_when_owner_leaves},
    {"/delivery-disk/promise/keeps-count-when-owner-leaves",
     test_promise_keeps_count_when_owner_leaves},
    {"/delivery-disk/promise/to-receiver-ends-when-it-leaves",
     test_promise_to_receiver_ends_when_it_leaves},
    {"/delivery-disk/promise/ends-with-stop", test_promise_ends_with_stop},
    {"/delivery-disk/receive/is-answered-by-commit", test_receive_is_answered_by_commit},
    {"/delivery-disk/receive/fails-and-keeps-message", test_receive_fails_and_keeps_message},
    {"/delivery-disk/receive/with-lock-fails-and-keeps-message",
     test_receive_with_lock_fails_and_keeps_message},
    {"/delivery-disk/settle/is-answered-by-commit", test_settle_is_answered_by_commit},
    {"/delivery-disk/settle/lost-with-power-redelivers", test_settle_lost_with_power_redelivers},
    {"/delivery-disk/settle/fails-and-redelivers", test_settle_fails_and_redelivers},
    {"/delivery-disk/observed/leaves-when-disk-works-again",
     test_observed_leaves_when_disk_works_again},
    {"/delivery-disk/observed/is-kept-until-copies-are-out",
     test_observed_is_kept_until_copies_are_out},
    {"/delivery-disk/expiry/is-retried", test_expiry_is_retried},
    {"/delivery-disk/free/answers-all", test_free_answers_all},
};

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (guint i = 0; i < G_N_ELEMENTS(tests); i++)
        fixture_add(tests[i].path, tests[i].function);
    g_test_add_func("/delivery-disk/new/fails-with-inbox", test_new_fails_with_inbox);
    return g_test_run();
}
