/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/deadlines.h"

/* A move of an alarm is a system call: it is made only when the earliest deadline has changed. */
struct SpokeDeadlines {
    SpokeClock *clock;         /* owned */
    const SpokeDeadline *rows; /* borrowed */
    guint n_rows;
    gpointer user_data;
    gint64 *at_usec;                    /* owned; by row */
    gint64 alarms_usec[SPOKE_N_CLOCKS]; /* as the clock has them */
};

static void
arm(SpokeDeadlines *deadlines)
{
    gint64 first_usec[SPOKE_N_CLOCKS] = {SPOKE_CLOCK_NEVER, SPOKE_CLOCK_NEVER};

    for (guint row = 0; row < deadlines->n_rows; row++) {
        SpokeClockKind kind = deadlines->rows[row].clock;

        first_usec[kind] = MIN(first_usec[kind], deadlines->at_usec[row]);
    }
    for (SpokeClockKind kind = 0; kind < SPOKE_N_CLOCKS; kind++) {
        if (first_usec[kind] == deadlines->alarms_usec[kind])
            continue;
        deadlines->alarms_usec[kind] = first_usec[kind];
        deadlines->clock->set_alarm(deadlines->clock, kind, first_usec[kind]);
    }
}

static gboolean
is_due(SpokeDeadlines *deadlines, guint row)
{
    return deadlines->at_usec[row] <= spoke_deadlines_now(deadlines, deadlines->rows[row].clock);
}

static void
on_due(gpointer user_data)
{
    SpokeDeadlines *deadlines = user_data;

    /* The clock does not say which alarm rang: what is past has. */
    for (SpokeClockKind kind = 0; kind < SPOKE_N_CLOCKS; kind++)
        if (deadlines->alarms_usec[kind] <= spoke_deadlines_now(deadlines, kind))
            deadlines->alarms_usec[kind] = SPOKE_CLOCK_NEVER;
    for (guint row = 0; row < deadlines->n_rows; row++) {
        if (!is_due(deadlines, row))
            continue;
        deadlines->at_usec[row] = SPOKE_CLOCK_NEVER;
        deadlines->rows[row].run(deadlines->user_data);
    }
    arm(deadlines);
}

SpokeDeadlines *
spoke_deadlines_new(SpokeClock *clock, const SpokeDeadline *rows, guint n_rows, gpointer user_data)
{
    SpokeDeadlines *deadlines = g_new0(SpokeDeadlines, 1);

    deadlines->clock = clock;
    deadlines->rows = rows;
    deadlines->n_rows = n_rows;
    deadlines->user_data = user_data;
    deadlines->at_usec = g_new(gint64, n_rows);
    for (guint row = 0; row < n_rows; row++)
        deadlines->at_usec[row] = SPOKE_CLOCK_NEVER;
    for (SpokeClockKind kind = 0; kind < SPOKE_N_CLOCKS; kind++)
        deadlines->alarms_usec[kind] = SPOKE_CLOCK_NEVER;
    clock->due = on_due;
    clock->user_data = deadlines;
    return deadlines;
}

void
spoke_deadlines_free(SpokeDeadlines *deadlines)
{
    if (deadlines == NULL)
        return;

    deadlines->clock->free(deadlines->clock);
    g_free(deadlines->at_usec);
    g_free(deadlines);
}

gint64
spoke_deadlines_now(SpokeDeadlines *deadlines, SpokeClockKind kind)
{
    return deadlines->clock->now(deadlines->clock, kind);
}

void
spoke_deadlines_set(SpokeDeadlines *deadlines, guint row, gint64 at_usec)
{
    g_return_if_fail(row < deadlines->n_rows);

    deadlines->at_usec[row] = at_usec;
    arm(deadlines);
}

void
spoke_deadlines_set_in(SpokeDeadlines *deadlines, guint row, gint64 delay_usec)
{
    g_return_if_fail(row < deadlines->n_rows);

    spoke_deadlines_set(deadlines, row,
                        spoke_deadlines_now(deadlines, deadlines->rows[row].clock) + delay_usec);
}

void
spoke_deadlines_clear(SpokeDeadlines *deadlines, guint row)
{
    spoke_deadlines_set(deadlines, row, SPOKE_CLOCK_NEVER);
}

void
spoke_deadlines_clear_all(SpokeDeadlines *deadlines)
{
    for (guint row = 0; row < deadlines->n_rows; row++)
        deadlines->at_usec[row] = SPOKE_CLOCK_NEVER;
    arm(deadlines);
}

gint64
spoke_deadlines_get(SpokeDeadlines *deadlines, guint row)
{
    g_return_val_if_fail(row < deadlines->n_rows, SPOKE_CLOCK_NEVER);

    return deadlines->at_usec[row];
}
