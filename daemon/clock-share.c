/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/clock-share.h"

/*
 * The alarms of each kind stand in a sequence, earliest first. A view that rings is taken out
 * before its owner hears of it, so it may set its alarm anew, or be freed, from within.
 */
typedef struct {
    SpokeClock table;
    SpokeClockShare *share; /* owned */
    gint64 at_usec[SPOKE_N_CLOCKS];
    GSequenceIter *places[SPOKE_N_CLOCKS]; /* borrowed; NULL: no alarm */
} View;

struct SpokeClockShare {
    guint ref_count;
    SpokeClock *clock;                 /* owned */
    GSequence *alarms[SPOKE_N_CLOCKS]; /* owned; of View, borrowed */
    gint64 armed_usec[SPOKE_N_CLOCKS]; /* as the clock below has it */
};

static gint
compare_kind(SpokeClockKind kind, const View *a, const View *b)
{
    if (a->at_usec[kind] != b->at_usec[kind])
        return a->at_usec[kind] < b->at_usec[kind] ? -1 : 1;
    return 0;
}

static gint
compare_boot(gconstpointer a, gconstpointer b, gpointer unused)
{
    return compare_kind(SPOKE_CLOCK_BOOT, a, b);
}

static gint
compare_wall(gconstpointer a, gconstpointer b, gpointer unused)
{
    return compare_kind(SPOKE_CLOCK_WALL, a, b);
}

static const GCompareDataFunc compares[SPOKE_N_CLOCKS] = {
    [SPOKE_CLOCK_BOOT] = compare_boot,
    [SPOKE_CLOCK_WALL] = compare_wall,
};

static View *
peek_first(SpokeClockShare *share, SpokeClockKind kind)
{
    GSequenceIter *first = g_sequence_get_begin_iter(share->alarms[kind]);

    return g_sequence_iter_is_end(first) ? NULL : g_sequence_get(first);
}

static void
arm(SpokeClockShare *share, SpokeClockKind kind)
{
    const View *first = peek_first(share, kind);
    gint64 at_usec = first != NULL ? first->at_usec[kind] : SPOKE_CLOCK_NEVER;

    if (at_usec == share->armed_usec[kind])
        return;
    share->armed_usec[kind] = at_usec;
    share->clock->set_alarm(share->clock, kind, at_usec);
}

static void
take_out(View *view, SpokeClockKind kind)
{
    if (view->places[kind] != NULL)
        g_sequence_remove(view->places[kind]);
    view->places[kind] = NULL;
}

/* Those that are due by now, and not those that are set from within. */
static void
ring(SpokeClockShare *share, SpokeClockKind kind)
{
    gint64 now_usec = share->clock->now(share->clock, kind);
    guint n = (guint)g_sequence_get_length(share->alarms[kind]);
    View *view;

    share->armed_usec[kind] = SPOKE_CLOCK_NEVER;
    while (n-- > 0 && (view = peek_first(share, kind)) != NULL && view->at_usec[kind] <= now_usec) {
        take_out(view, kind);
        view->table.due(view->table.user_data);
    }
    arm(share, kind);
}

static void
on_due(gpointer user_data)
{
    SpokeClockShare *share = spoke_clock_share_ref(user_data);

    for (SpokeClockKind kind = 0; kind < SPOKE_N_CLOCKS; kind++)
        ring(share, kind);
    spoke_clock_share_unref(share);
}

static gint64
view_now(SpokeClock *self, SpokeClockKind kind)
{
    SpokeClock *clock = ((View *)self)->share->clock;

    return clock->now(clock, kind);
}

static void
view_set_alarm(SpokeClock *self, SpokeClockKind kind, gint64 at_usec)
{
    View *view = (View *)self;
    SpokeClockShare *share = view->share;

    take_out(view, kind);
    view->at_usec[kind] = at_usec;
    if (at_usec != SPOKE_CLOCK_NEVER)
        view->places[kind] =
            g_sequence_insert_sorted(share->alarms[kind], view, compares[kind], NULL);
    arm(share, kind);
}

static void
view_free(SpokeClock *self)
{
    View *view = (View *)self;

    for (SpokeClockKind kind = 0; kind < SPOKE_N_CLOCKS; kind++) {
        take_out(view, kind);
        arm(view->share, kind);
    }
    spoke_clock_share_unref(view->share);
    g_free(view);
}

SpokeClockShare *
spoke_clock_share_new(SpokeClock *clock)
{
    SpokeClockShare *share = g_new0(SpokeClockShare, 1);

    share->ref_count = 1;
    share->clock = clock;
    for (SpokeClockKind kind = 0; kind < SPOKE_N_CLOCKS; kind++) {
        share->alarms[kind] = g_sequence_new(NULL);
        share->armed_usec[kind] = SPOKE_CLOCK_NEVER;
    }
    clock->due = on_due;
    clock->user_data = share;
    return share;
}

SpokeClockShare *
spoke_clock_share_ref(SpokeClockShare *share)
{
    share->ref_count++;
    return share;
}

void
spoke_clock_share_unref(SpokeClockShare *share)
{
    if (share == NULL || --share->ref_count > 0)
        return;

    share->clock->free(share->clock);
    for (SpokeClockKind kind = 0; kind < SPOKE_N_CLOCKS; kind++)
        g_sequence_free(share->alarms[kind]);
    g_free(share);
}

SpokeClock *
spoke_clock_share_view(SpokeClockShare *share)
{
    View *view = g_new0(View, 1);

    view->table.now = view_now;
    view->table.set_alarm = view_set_alarm;
    view->table.free = view_free;
    view->share = spoke_clock_share_ref(share);
    return &view->table;
}
