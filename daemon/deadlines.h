/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/clock.h"

/*
 * Any number of deadlines over the one alarm that each clock has: a row per deadline says on which
 * clock it runs and what to do when it comes. The table is the owner's; its index is the deadline's
 * name.
 */
typedef struct SpokeDeadlines SpokeDeadlines;

typedef struct {
    SpokeClockKind clock;
    void (*run)(gpointer user_data); /* once; may set deadlines; may not free them */
} SpokeDeadline;

/* @clock: (transfer full). @rows: borrowed, outlives us. (transfer full) */
SpokeDeadlines *spoke_deadlines_new(SpokeClock *clock, const SpokeDeadline *rows, guint n_rows,
                                    gpointer user_data);
void spoke_deadlines_free(SpokeDeadlines *deadlines);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpokeDeadlines, spoke_deadlines_free)

gint64 spoke_deadlines_now(SpokeDeadlines *deadlines, SpokeClockKind kind);

/* On the row's clock; SPOKE_CLOCK_NEVER clears it. */
void spoke_deadlines_set(SpokeDeadlines *deadlines, guint row, gint64 at_usec);
void spoke_deadlines_set_in(SpokeDeadlines *deadlines, guint row, gint64 delay_usec);
void spoke_deadlines_clear(SpokeDeadlines *deadlines, guint row);
void spoke_deadlines_clear_all(SpokeDeadlines *deadlines);

/* SPOKE_CLOCK_NEVER when it is not set */
gint64 spoke_deadlines_get(SpokeDeadlines *deadlines, guint row);
