/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/clock-share.h"

#include "tests/unit/fake-clock.h"

/* Many views of one clock. */

#define SEC ((gint64)G_USEC_PER_SEC)
#define N   3

typedef struct {
    FakeClock *clock;
    SpokeClockShare *share;
    SpokeClock *views[N];
    guint n_rings[N];
} Fixture;

typedef struct {
    Fixture *fixture;
    guint index;
} Owner;

static Owner owners[N];

static void
on_due(gpointer user_data)
{
    const Owner *owner = user_data;

    owner->fixture->n_rings[owner->index]++;
}

static void
set_up(Fixture *fixture, gconstpointer unused)
{
    fixture->clock = fake_clock_new();
    fixture->share = spoke_clock_share_new(&fixture->clock->table);
    for (guint i = 0; i < N; i++) {
        owners[i] = (Owner){fixture, i};
        fixture->views[i] = spoke_clock_share_view(fixture->share);
        fixture->views[i]->due = on_due;
        fixture->views[i]->user_data = &owners[i];
    }
}

static void
tear_down(Fixture *fixture, gconstpointer unused)
{
    for (guint i = 0; i < N; i++)
        if (fixture->views[i] != NULL)
            fixture->views[i]->free(fixture->views[i]);
    spoke_clock_share_unref(fixture->share);
}

static void
settle_nothing(gpointer unused)
{
}

static void
set(Fixture *fixture, guint i, SpokeClockKind kind, gint64 in_usec)
{
    SpokeClock *view = fixture->views[i];

    view->set_alarm(view, kind, view->now(view, kind) + in_usec);
}

static void
advance(Fixture *fixture, gint64 usec)
{
    fake_clock_advance(fixture->clock, usec, settle_nothing, NULL);
}

static void
test_each_rings_at_its_time(Fixture *fixture, gconstpointer unused)
{
    set(fixture, 0, SPOKE_CLOCK_BOOT, 3 * SEC);
    set(fixture, 1, SPOKE_CLOCK_BOOT, 1 * SEC);
    set(fixture, 2, SPOKE_CLOCK_WALL, 2 * SEC);

    advance(fixture, SEC);
    g_assert_cmpuint(fixture->n_rings[1], ==, 1);
    g_assert_cmpuint(fixture->n_rings[0] + fixture->n_rings[2], ==, 0);
    advance(fixture, SEC);
    g_assert_cmpuint(fixture->n_rings[2], ==, 1);
    advance(fixture, SEC);
    g_assert_cmpuint(fixture->n_rings[0], ==, 1);
    advance(fixture, 100 * SEC);
    g_assert_cmpuint(fixture->n_rings[0] + fixture->n_rings[1] + fixture->n_rings[2], ==, 3);
    g_assert_cmpint(fixture->clock->alarm_usec[SPOKE_CLOCK_BOOT], ==, SPOKE_CLOCK_NEVER);
}

static void
test_alarm_moves(Fixture *fixture, gconstpointer unused)
{
    set(fixture, 0, SPOKE_CLOCK_BOOT, SEC);
    set(fixture, 0, SPOKE_CLOCK_BOOT, 3 * SEC);
    set(fixture, 1, SPOKE_CLOCK_BOOT, 2 * SEC);
    fixture->views[1]->set_alarm(fixture->views[1], SPOKE_CLOCK_BOOT, SPOKE_CLOCK_NEVER);

    advance(fixture, 3 * SEC - 1);
    g_assert_cmpuint(fixture->n_rings[0] + fixture->n_rings[1], ==, 0);
    advance(fixture, 1);
    g_assert_cmpuint(fixture->n_rings[0], ==, 1);
}

static void
on_due_set_again(gpointer user_data)
{
    const Owner *owner = user_data;

    owner->fixture->n_rings[owner->index]++;
    if (owner->fixture->n_rings[owner->index] < 3)
        set(owner->fixture, owner->index, SPOKE_CLOCK_BOOT, SEC);
}

static void
test_alarm_may_be_set_from_within(Fixture *fixture, gconstpointer unused)
{
    fixture->views[0]->due = on_due_set_again;
    set(fixture, 0, SPOKE_CLOCK_BOOT, SEC);

    advance(fixture, 10 * SEC);

    g_assert_cmpuint(fixture->n_rings[0], ==, 3);
}

static void
on_due_free(gpointer user_data)
{
    const Owner *owner = user_data;
    SpokeClock *view = g_steal_pointer(&owner->fixture->views[owner->index]);

    owner->fixture->n_rings[owner->index]++;
    view->free(view);
}

static void
test_view_may_be_freed_from_within(Fixture *fixture, gconstpointer unused)
{
    fixture->views[0]->due = on_due_free;
    set(fixture, 0, SPOKE_CLOCK_BOOT, SEC);
    set(fixture, 0, SPOKE_CLOCK_WALL, 5 * SEC);
    set(fixture, 1, SPOKE_CLOCK_BOOT, SEC);

    advance(fixture, 10 * SEC);

    g_assert_cmpuint(fixture->n_rings[0], ==, 1);
    g_assert_cmpuint(fixture->n_rings[1], ==, 1);
}

static void
test_freed_view_takes_its_alarm_along(Fixture *fixture, gconstpointer unused)
{
    set(fixture, 0, SPOKE_CLOCK_WALL, SEC);
    fixture->views[0]->free(g_steal_pointer(&fixture->views[0]));

    g_assert_cmpint(fixture->clock->alarm_usec[SPOKE_CLOCK_WALL], ==, SPOKE_CLOCK_NEVER);
}

static void
add(const char *path, void (*test)(Fixture *, gconstpointer))
{
    g_test_add(path, Fixture, NULL, set_up, test, tear_down);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add("/clock-share/each-rings-at-its-time", test_each_rings_at_its_time);
    add("/clock-share/alarm-moves", test_alarm_moves);
    add("/clock-share/alarm-may-be-set-from-within", test_alarm_may_be_set_from_within);
    add("/clock-share/view-may-be-freed-from-within", test_view_may_be_freed_from_within);
    add("/clock-share/freed-view-takes-its-alarm-along", test_freed_view_takes_its_alarm_along);
    return g_test_run();
}
