/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/clock.h"

/*
 * A clock that a test moves by hand. Alarms ring on the way, each at its time.
 */
typedef struct {
    SpokeClock table;
    gint64 now_usec[SPOKE_N_CLOCKS];
    gint64 alarm_usec[SPOKE_N_CLOCKS];
} FakeClock;

/* Freed by its user, through the table. */
FakeClock *fake_clock_new(void);
/* Both clocks. @settle runs after each alarm, to let it have its effects. */
void fake_clock_advance(FakeClock *clock, gint64 usec, void (*settle)(gpointer), gpointer data);
/* As if somebody set the wall clock: forward rings what is due. */
void fake_clock_set_wall(FakeClock *clock, gint64 usec);
