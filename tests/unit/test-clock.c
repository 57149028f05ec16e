/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/clock.h"

/* The machine's clocks; the only test of deadlines that really waits, for milliseconds. */

typedef struct {
    SpokeClock *clock;
    guint rang;
} Fixture;

static void
on_due(gpointer user_data)
{
    ((Fixture *)user_data)->rang++;
}

static void
set_up(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    fixture->clock = spoke_clock_new(&error);
    g_assert_no_error(error);
    fixture->clock->due = on_due;
    fixture->clock->user_data = fixture;
}

static void
tear_down(Fixture *fixture, gconstpointer data)
{
    fixture->clock->free(fixture->clock);
    g_assert_false(g_main_context_pending(NULL));
}

static gint64
now_on(Fixture *fixture, SpokeClockKind kind)
{
    return fixture->clock->now(fixture->clock, kind);
}

static void
set_alarm_in(Fixture *fixture, SpokeClockKind kind, gint64 usec)
{
    fixture->clock->set_alarm(fixture->clock, kind, now_on(fixture, kind) + usec);
}

static void
test_alarm_rings_once_at_its_time(Fixture *fixture, gconstpointer data)
{
    for (guint kind = 0; kind < SPOKE_N_CLOCKS; kind++) {
        gint64 start_usec = now_on(fixture, kind);

        fixture->rang = 0;
        fixture->clock->set_alarm(fixture->clock, kind, start_usec + 20000);
        while (fixture->rang == 0)
            g_main_context_iteration(NULL, TRUE);

        g_assert_cmpint(now_on(fixture, kind), >=, start_usec + 20000);
        g_main_context_iteration(NULL, FALSE);
        g_assert_cmpuint(fixture->rang, ==, 1);
    }
}

static void
test_alarm_in_past_rings_from_loop(Fixture *fixture, gconstpointer data)
{
    for (guint kind = 0; kind < SPOKE_N_CLOCKS; kind++) {
        fixture->rang = 0;
        fixture->clock->set_alarm(fixture->clock, kind, -5);
        g_assert_cmpuint(fixture->rang, ==, 0);

        while (fixture->rang == 0)
            g_main_context_iteration(NULL, TRUE);
    }
}

static void
test_alarm_moves(Fixture *fixture, gconstpointer data)
{
    for (guint kind = 0; kind < SPOKE_N_CLOCKS; kind++) {
        fixture->clock->set_alarm(fixture->clock, kind, 1);
        set_alarm_in(fixture, kind, 3600 * (gint64)G_USEC_PER_SEC);
    }
    while (g_main_context_iteration(NULL, FALSE))
        ;

    g_assert_cmpuint(fixture->rang, ==, 0);
}

static void
test_alarm_never_disarms(Fixture *fixture, gconstpointer data)
{
    for (guint kind = 0; kind < SPOKE_N_CLOCKS; kind++) {
        fixture->clock->set_alarm(fixture->clock, kind, 1);
        fixture->clock->set_alarm(fixture->clock, kind, SPOKE_CLOCK_NEVER);
    }
    while (g_main_context_iteration(NULL, FALSE))
        ;

    g_assert_cmpuint(fixture->rang, ==, 0);
}

static void
test_now_is_what_it_says(Fixture *fixture, gconstpointer data)
{
    g_assert_cmpint(ABS(now_on(fixture, SPOKE_CLOCK_WALL) - g_get_real_time()), <, G_USEC_PER_SEC);
    /* BOOTTIME is ahead of MONOTONIC by the time spent asleep. */
    g_assert_cmpint(now_on(fixture, SPOKE_CLOCK_BOOT), >, g_get_monotonic_time() - G_USEC_PER_SEC);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add("/clock/alarm/rings-once-at-its-time", Fixture, NULL, set_up,
               test_alarm_rings_once_at_its_time, tear_down);
    g_test_add("/clock/alarm/in-past-rings-from-loop", Fixture, NULL, set_up,
               test_alarm_in_past_rings_from_loop, tear_down);
    g_test_add("/clock/alarm/moves", Fixture, NULL, set_up, test_alarm_moves, tear_down);
    g_test_add("/clock/alarm/never-disarms", Fixture, NULL, set_up, test_alarm_never_disarms,
               tear_down);
    g_test_add("/clock/now/is-what-it-says", Fixture, NULL, set_up, test_now_is_what_it_says,
               tear_down);
    return g_test_run();
}
