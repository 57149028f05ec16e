/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "spool-fixture.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

/* Messages whose time is up leave by themselves, wherever they wait, though nobody takes any. */
#define SECOND ((gint64)G_USEC_PER_SEC)
#define MANY   3000 /* most of them are on disk alone */

static void
put_for(Fixture *fixture, const char *body, gint64 ttl_usec, SpokeDurability durability)
{
    g_autoptr(SpokeMessage) message = fixture_message(body, durability);

    message->ttl_usec = ttl_usec;
    g_assert_true(spoke_outbox_put(fixture->outbox, &message, 1, NULL, NULL, NULL));
}

/* "a0" to "aN" in one put; every @every'th has @ttl_usec, the others no end. */
static void
put_many_for(Fixture *fixture, guint n, guint every, gint64 ttl_usec)
{
    g_autoptr(GPtrArray) messages =
        g_ptr_array_new_with_free_func((GDestroyNotify)spoke_message_unref);

    for (guint i = 0; i < n; i++) {
        g_autofree char *body = g_strdup_printf("a%u", i);
        SpokeMessage *message = fixture_message(body, SPOKE_DURABILITY_SYNCED);
        message->ttl_usec = i % every == 0 ? ttl_usec : 0;
        g_ptr_array_add(messages, message);
    }
    g_assert_true(
        spoke_outbox_put(fixture->outbox, (SpokeMessage **)messages->pdata, n, NULL, NULL, NULL));
    fixture_settle_down(fixture);
}

static gboolean
is_emptied(Fixture *fixture)
{
    return fixture->n_empty > 0;
}

static void
wait_for_settled(Fixture *fixture, guint64 n)
{
    gint64 deadline_usec = g_get_monotonic_time() + 20 * SECOND;

    while (fixture->n_settled < n && g_get_monotonic_time() < deadline_usec)
        g_main_context_iteration(NULL, FALSE);
    g_assert_cmpuint(fixture->n_settled, ==, n);
    fixture_settle_down(fixture);
}

/* What is in the file, in the end */
static guint
count_rows(Fixture *fixture)
{
    g_autofree char *path = fixture_path(fixture, "spool.db");
    sqlite3_stmt *statement = NULL;
    sqlite3 *db = NULL;

    fixture_close(fixture);
    g_assert_cmpint(sqlite3_open(path, &db), ==, SQLITE_OK);
    g_assert_cmpint(sqlite3_prepare_v2(db, "SELECT count(*) FROM outbox", -1, &statement, NULL), ==,
                    SQLITE_OK);
    g_assert_cmpint(sqlite3_step(statement), ==, SQLITE_ROW);
    guint n = (guint)sqlite3_column_int(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return n;
}

static void
test_message_expires_at_its_time(void)
{
    static const SpokeDurability classes[] = {SPOKE_DURABILITY_SYNCED, SPOKE_DURABILITY_FLUSHED,
                                              SPOKE_DURABILITY_VOLATILE};

    for (guint i = 0; i < G_N_ELEMENTS(classes); i++) {
        g_auto(Fixture) fixture;
        fixture_init(&fixture);
        fixture_open(&fixture);
        put_for(&fixture, "a1", 10 * SECOND, classes[i]);
        fixture_settle_down(&fixture);

        fixture_advance(&fixture, 10 * SECOND - 1);
        g_assert_cmpuint(fixture.n_settled, ==, 0);
        fixture_advance(&fixture, 1);

        g_assert_true(g_str_has_suffix(fixture.settled->str, ":expired "));
        g_assert_cmpuint(fixture.n_settled, ==, 1);
        g_assert_cmpuint(spoke_outbox_get_messages(fixture.outbox), ==, 0);
        g_assert_cmpuint(spoke_outbox_get_bytes(fixture.outbox), ==, 0);
        g_assert_cmpuint(fixture.n_empty, ==, 1);
        g_assert_cmpint(fixture.alarm_usec, ==, SPOKE_CLOCK_NEVER);
        g_assert_cmpuint(count_rows(&fixture), ==, 0);
    }
}

static void
test_endless_message_sets_no_alarm(void)
{
    g_auto(Fixture) fixture;
    fixture_init(&fixture);
    fixture_open(&fixture);

    put_many_for(&fixture, MANY, 1, 0);

    g_assert_cmpint(fixture.alarm_usec, ==, SPOKE_CLOCK_NEVER);
}

static void
test_sent_message_leaves_no_alarm(void)
{
    g_auto(Fixture) fixture;
    fixture_init(&fixture);
    fixture_open(&fixture);
    put_for(&fixture, "a1", 10 * SECOND, SPOKE_DURABILITY_SYNCED);
    fixture_settle_down(&fixture);
    g_assert_cmpint(fixture.alarm_usec, ==, fixture.boottime_usec + 10 * SECOND);

    g_autofree char *names = fixture_send(&fixture, 1);
    fixture_settle_down(&fixture);

    g_assert_cmpint(fixture.alarm_usec, ==, SPOKE_CLOCK_NEVER);
}

static void
test_sent_history_leaves_no_alarm(void)
{
    g_auto(Fixture) fixture;
    fixture_init(&fixture);
    fixture_open(&fixture);
    put_many_for(&fixture, MANY, 1, 10 * SECOND);

    g_autofree char *names = fixture_send(&fixture, MANY);
    fixture_settle_down(&fixture);

    g_assert_cmpint(fixture.alarm_usec, ==, SPOKE_CLOCK_NEVER);
}

static void
test_history_expires_at_its_time(void)
{
    g_auto(Fixture) fixture;
    fixture_init(&fixture);
    fixture_open(&fixture);
    put_many_for(&fixture, MANY, 1, 10 * SECOND);

    fixture_advance(&fixture, 10 * SECOND);
    fixture_wait(&fixture, is_emptied);

    g_assert_cmpuint(fixture.n_settled, ==, MANY);
    g_assert_cmpuint(spoke_outbox_get_bytes(fixture.outbox), ==, 0);
    g_assert_cmpint(fixture.alarm_usec, ==, SPOKE_CLOCK_NEVER);
    g_assert_cmpuint(count_rows(&fixture), ==, 0);
}

/* One here and there in the middle of the history, and the order of the others */
static void
test_expired_leave_from_between_others(void)
{
    g_auto(Fixture) fixture;
    g_autoptr(GString) expected = g_string_new(NULL);
    fixture_init(&fixture);
    fixture_open(&fixture);
    put_many_for(&fixture, MANY, 7, 10 * SECOND);

    fixture_advance(&fixture, 10 * SECOND);
    wait_for_settled(&fixture, (MANY + 6) / 7);

    for (guint i = 0; i < MANY; i++) {
        if (i % 7 != 0)
            g_string_append_printf(expected, "%sa%u", expected->len > 0 ? " " : "", i);
    }
    guint left = MANY - (MANY + 6) / 7;
    g_assert_cmpuint(spoke_outbox_get_messages(fixture.outbox), ==, left);
    g_autofree char *names = fixture_send(&fixture, left);
    g_assert_cmpstr(names, ==, expected->str);
    fixture_settle_down(&fixture);
    g_assert_cmpuint(spoke_outbox_get_bytes(fixture.outbox), ==, 0);
}

static void
test_taken_message_does_not_expire(void)
{
    g_auto(Fixture) fixture;
    fixture_init(&fixture);
    fixture_open(&fixture);
    put_for(&fixture, "a1", 10 * SECOND, SPOKE_DURABILITY_SYNCED);
    g_autoptr(GPtrArray) messages = fixture_take(&fixture, 1);

    fixture_advance(&fixture, 20 * SECOND);
    g_assert_cmpuint(fixture.n_settled, ==, 0);
    spoke_outbox_give_back(fixture.outbox, (SpokeMessage **)messages->pdata, 1);
    fixture_settle_down(&fixture);
    fixture_advance(&fixture, SECOND);

    g_assert_true(g_str_has_suffix(fixture.settled->str, ":expired "));
}

static void
test_history_expires_after_a_restart(void)
{
    g_auto(Fixture) fixture;
    fixture_init(&fixture);
    fixture_open(&fixture);
    put_many_for(&fixture, MANY, 3, 10 * SECOND);
    fixture_reopen(&fixture);
    fixture_settle_down(&fixture);
    g_assert_cmpuint(fixture.n_settled, ==, 0);

    fixture_advance(&fixture, 10 * SECOND);
    wait_for_settled(&fixture, MANY / 3);

    g_assert_cmpuint(spoke_outbox_get_messages(fixture.outbox), ==, MANY - MANY / 3);
    g_assert_cmpuint(count_rows(&fixture), ==, MANY - MANY / 3);
}

static void
test_what_expired_while_off_leaves_at_the_start(void)
{
    g_auto(Fixture) fixture;
    fixture_init(&fixture);
    fixture_open(&fixture);
    put_many_for(&fixture, MANY, 3, 10 * SECOND);
    fixture_close(&fixture);
    fixture.boottime_usec += 20 * SECOND;

    fixture_open(&fixture);
    wait_for_settled(&fixture, MANY / 3);

    g_assert_cmpuint(spoke_outbox_get_messages(fixture.outbox), ==, MANY - MANY / 3);
}

static void
test_wall_clock_is_not_asked(void)
{
    g_auto(Fixture) fixture;
    fixture_init(&fixture);
    fixture_open(&fixture);
    put_for(&fixture, "a1", 10 * SECOND, SPOKE_DURABILITY_SYNCED);
    fixture_settle_down(&fixture);

    fixture.wall_usec += 1000 * SECOND;
    fixture_advance(&fixture, 9 * SECOND);

    g_assert_cmpuint(fixture.n_settled, ==, 0);
}

/* A thousand ends within a second don't wake the machine a thousand times. */
static void
test_many_ends_share_few_alarms(void)
{
    g_auto(Fixture) fixture;
    fixture_init(&fixture);
    fixture_open(&fixture);
    for (guint i = 0; i < 1000; i++)
        put_for(&fixture, "a1", 10 * SECOND + i * 1000, SPOKE_DURABILITY_SYNCED);
    fixture_settle_down(&fixture);

    fixture_advance(&fixture, 10 * SECOND);
    for (guint i = 0; i < 100; i++)
        fixture_advance(&fixture, SECOND / 50);
    fixture_wait(&fixture, is_emptied);

    g_assert_cmpuint(fixture.n_settled, ==, 1000);
    g_assert_cmpuint(fixture.n_alarms, <=, 6);
}

static void
test_later_put_moves_the_alarm_ahead(void)
{
    g_auto(Fixture) fixture;
    fixture_init(&fixture);
    fixture_open(&fixture);
    put_many_for(&fixture, MANY, 1, 100 * SECOND);

    put_for(&fixture, "b1", 10 * SECOND, SPOKE_DURABILITY_SYNCED);
    fixture_settle_down(&fixture);
    fixture_advance(&fixture, 10 * SECOND);
    fixture_settle_down(&fixture);

    g_assert_cmpuint(fixture.n_settled, ==, 1);
    g_assert_cmpuint(spoke_outbox_get_messages(fixture.outbox), ==, MANY);
}

/* With the machine's own clock: nothing but the alarm makes it happen. */
static void
count_settled(guint64 id, const char *notify, SpokeOutcome outcome, const char *detail,
              gpointer user_data)
{
    g_assert_cmpint(outcome, ==, SPOKE_OUTCOME_EXPIRED);
    (*(guint *)user_data)++;
}

static void
ignore(gpointer user_data)
{
}

static void
test_machine_clock_rings(void)
{
    static const SpokeOutboxEvents events = {ignore, count_settled, ignore};
    g_autofree char *directory = g_dir_make_tmp("spoke-test-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(directory, "spool.db", NULL);
    SpokeSpoolOptions options = {.directory = directory, .flush_window_usec = SECOND};
    SpokeOutboxOptions outbox_options = {.bytes_max = 1 << 20, .default_ttl_usec = SECOND / 5};
    guint n_settled = 0;
    SpokeSpool *spool = spoke_spool_open(&options, NULL);
    SpokeOutbox *outbox =
        spoke_outbox_open(spool, "self", &outbox_options, &events, &n_settled, NULL);
    g_autoptr(SpokeMessage) message = fixture_message("a1", SPOKE_DURABILITY_SYNCED);

    gint64 begin_usec = g_get_monotonic_time();
    g_assert_true(spoke_outbox_put(outbox, &message, 1, NULL, NULL, NULL));
    while (n_settled == 0)
        g_main_context_iteration(NULL, TRUE);

    g_assert_cmpint(g_get_monotonic_time() - begin_usec, >=, SECOND / 5);
    spoke_outbox_free(outbox);
    spoke_spool_free(spool);
    g_assert_cmpint(remove(path), ==, 0);
    g_assert_cmpint(remove(directory), ==, 0);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/outbox-expiry/message/expires-at-its-time", test_message_expires_at_its_time);
    g_test_add_func("/outbox-expiry/alarm/endless-message-sets-none",
                    test_endless_message_sets_no_alarm);
    g_test_add_func("/outbox-expiry/alarm/sent-message-leaves-none",
                    test_sent_message_leaves_no_alarm);
    g_test_add_func("/outbox-expiry/alarm/sent-history-leaves-none",
                    test_sent_history_leaves_no_alarm);
    g_test_add_func("/outbox-expiry/alarm/many-ends-share-few", test_many_ends_share_few_alarms);
    g_test_add_func("/outbox-expiry/alarm/later-put-moves-it-ahead",
                    test_later_put_moves_the_alarm_ahead);
    g_test_add_func("/outbox-expiry/alarm/machine-clock-rings", test_machine_clock_rings);
    g_test_add_func("/outbox-expiry/alarm/wall-clock-is-not-asked", test_wall_clock_is_not_asked);
    g_test_add_func("/outbox-expiry/history/expires-at-its-time", test_history_expires_at_its_time);
    g_test_add_func("/outbox-expiry/history/leaves-from-between-others",
                    test_expired_leave_from_between_others);
    g_test_add_func("/outbox-expiry/history/after-a-restart", test_history_expires_after_a_restart);
    g_test_add_func("/outbox-expiry/history/expired-while-off",
                    test_what_expired_while_off_leaves_at_the_start);
    g_test_add_func("/outbox-expiry/taken/does-not-expire", test_taken_message_does_not_expire);
    return g_test_run();
}
