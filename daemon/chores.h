/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/clock.h"

/*
 * What parts of one owner have to do later, once: soon, or at a time. One source of the main loop
 * serves them all; while nothing is scheduled no timer runs.
 */
#define SPOKE_CHORE_NEVER G_MAXINT64

typedef struct {
    void (*run)(gpointer user_data);
    gpointer user_data;
    gint64 due_usec; /* SPOKE_CHORE_NEVER at first; the owner only reads it */
} SpokeChore;

typedef struct SpokeChores SpokeChores;

/* On the default main context and CLOCK_MONOTONIC. */
SpokeChores *spoke_chores_new(void);
/* On SPOKE_CLOCK_BOOT of @clock (transfer full), for what must not be late after a suspend. */
SpokeChores *spoke_chores_new_on(SpokeClock *clock);
void spoke_chores_free(SpokeChores *chores);

/* @due_usec: on the clock; 0: soon, from the main loop. If it was to run earlier, it stays so.
 */
void spoke_chores_schedule(SpokeChores *chores, SpokeChore *chore, gint64 due_usec);
void spoke_chores_cancel(SpokeChores *chores, SpokeChore *chore);

/* Between the two the main loop is not woken for what is scheduled; the second runs what is due. */
void spoke_chores_hold(SpokeChores *chores);
void spoke_chores_run_due(SpokeChores *chores);
