/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/spool-clock.h"

#include <string.h>

/* The spool's clock over restarts, reboots and all that a wall clock can do. */

#define SEC  G_GINT64_CONSTANT(1000000)
#define DAY  (86400 * SEC)
#define WALL (G_GINT64_CONSTANT(1800000000) * SEC)

static gint64 boottime_usec;
static gint64 wall_usec;

static gint64
read_boottime(gpointer user_data)
{
    return boottime_usec;
}

static gint64
read_wall(gpointer user_data)
{
    return wall_usec;
}

static SpokeTimeSource
source_of(const char *boot_id)
{
    SpokeTimeSource source = {.boottime = read_boottime, .wall = read_wall};

    (void)g_strlcpy(source.boot_id, boot_id, sizeof source.boot_id);
    return source;
}

/* A mark made at spool time 500 s in boot "one". */
static SpokeClockMark
make_mark(void)
{
    SpokeClockMark mark = {
        .spool_usec = 500 * SEC, .boottime_usec = 100 * SEC, .wall_usec = WALL, .boot_id = "one"};

    return mark;
}

/* What the clock says when it goes on from the mark. */
static gint64
go_on(const char *boot_id, gint64 boottime, gint64 wall)
{
    SpokeTimeSource source = source_of(boot_id);
    SpokeClockMark mark = make_mark();
    SpokeSpoolClock clock;

    boottime_usec = boottime;
    wall_usec = wall;
    spoke_spool_clock_start(&clock, &source, &mark);
    return spoke_spool_clock_now(&clock);
}

static void
test_new_starts_above_zero(void)
{
    SpokeTimeSource source = source_of("one");
    SpokeClockMark mark = {0};
    SpokeSpoolClock clock;
    boottime_usec = 7 * SEC;

    spoke_spool_clock_start(&clock, &source, &mark);
    gint64 first = spoke_spool_clock_now(&clock);
    boottime_usec += 3 * SEC;

    g_assert_cmpint(first, >, 0);
    g_assert_cmpint(spoke_spool_clock_now(&clock), ==, first + 3 * SEC);
}

static void
test_restart_in_same_boot_ignores_wall(void)
{
    g_assert_cmpint(go_on("one", 130 * SEC, WALL + 30 * SEC), ==, 530 * SEC);
    g_assert_cmpint(go_on("one", 130 * SEC, WALL + 300 * DAY), ==, 530 * SEC);
    g_assert_cmpint(go_on("one", 130 * SEC, 0), ==, 530 * SEC);
}

static void
test_reboot_follows_plausible_wall(void)
{
    g_assert_cmpint(go_on("two", 5 * SEC, WALL + 60 * SEC), ==, 560 * SEC);
    g_assert_cmpint(go_on("two", 5 * SEC, WALL + 30 * DAY), ==, 500 * SEC + 30 * DAY);
}

static void
test_reboot_does_not_believe_odd_wall(void)
{
    g_assert_cmpint(go_on("two", 5 * SEC, 0), ==, 500 * SEC);                 /* not set */
    g_assert_cmpint(go_on("two", 5 * SEC, WALL - DAY), ==, 500 * SEC);        /* went back */
    g_assert_cmpint(go_on("two", 5 * SEC, WALL + 3650 * DAY), ==, 500 * SEC); /* ten years */
}

static void
test_reboot_does_not_believe_unset_mark(void)
{
    SpokeTimeSource source = source_of("two");
    SpokeClockMark mark = make_mark();
    SpokeSpoolClock clock;
    mark.wall_usec = 100 * SEC; /* 1970 */
    wall_usec = WALL;

    spoke_spool_clock_start(&clock, &source, &mark);

    g_assert_cmpint(spoke_spool_clock_now(&clock), ==, 500 * SEC);
}

static void
test_unknown_boots_differ(void)
{
    SpokeTimeSource source = source_of("");
    SpokeClockMark mark = make_mark();
    SpokeSpoolClock clock;
    mark.boot_id[0] = '\0';
    boottime_usec = 2 * SEC;
    wall_usec = WALL + 60 * SEC;

    spoke_spool_clock_start(&clock, &source, &mark);

    g_assert_cmpint(spoke_spool_clock_now(&clock), ==, 560 * SEC);
}

static void
test_mark_goes_round(void)
{
    SpokeTimeSource source = source_of("one");
    SpokeClockMark mark = make_mark();
    SpokeSpoolClock clock;
    SpokeClockMark next;
    boottime_usec = 160 * SEC;
    wall_usec = WALL + 61 * SEC;

    spoke_spool_clock_start(&clock, &source, &mark);
    spoke_spool_clock_mark(&clock, &next);

    g_assert_cmpint(next.spool_usec, ==, 560 * SEC);
    g_assert_cmpint(next.boottime_usec, ==, 160 * SEC);
    g_assert_cmpint(next.wall_usec, ==, WALL + 61 * SEC);
    g_assert_cmpstr(next.boot_id, ==, "one");
}

static void
test_machine_has_all_clocks(void)
{
    SpokeTimeSource source;

    spoke_time_source_init(&source);

    g_assert_cmpint(source.boottime(source.user_data), >, 0);
    g_assert_cmpint(source.wall(source.user_data), >, 0);
    g_assert_cmpuint(strlen(source.boot_id), ==, SPOKE_BOOT_ID_SIZE - 1);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/spool-clock/new/starts-above-zero", test_new_starts_above_zero);
    g_test_add_func("/spool-clock/restart/in-same-boot-ignores-wall",
                    test_restart_in_same_boot_ignores_wall);
    g_test_add_func("/spool-clock/reboot/follows-plausible-wall",
                    test_reboot_follows_plausible_wall);
    g_test_add_func("/spool-clock/reboot/does-not-believe-odd-wall",
                    test_reboot_does_not_believe_odd_wall);
    g_test_add_func("/spool-clock/reboot/does-not-believe-unset-mark",
                    test_reboot_does_not_believe_unset_mark);
    g_test_add_func("/spool-clock/reboot/unknown-boots-differ", test_unknown_boots_differ);
    g_test_add_func("/spool-clock/mark/goes-round", test_mark_goes_round);
    g_test_add_func("/spool-clock/machine/has-all-clocks", test_machine_has_all_clocks);
    return g_test_run();
}
