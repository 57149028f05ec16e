/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/*
 * Time as deadlines need it: two clocks, each with one alarm. BOOT runs on through suspend and is
 * never set: for locks and time-outs. WALL is the world's time in microseconds since 1970: for
 * what the hub dates; when somebody sets the clock past an alarm, it rings.
 *
 * A table rather than functions, so that a test brings a clock that it moves by hand. All slots are
 * filled.
 */
typedef enum { SPOKE_CLOCK_BOOT, SPOKE_CLOCK_WALL, SPOKE_N_CLOCKS } SpokeClockKind;

typedef struct SpokeClock SpokeClock;

struct SpokeClock {
    gint64 (*now)(SpokeClock *self, SpokeClockKind kind);
    /* Sets or moves the one alarm; SPOKE_CLOCK_NEVER: none. Due already: comes at once, but not
     * from within. */
    void (*set_alarm)(SpokeClock *self, SpokeClockKind kind, gint64 at_usec);
    void (*free)(SpokeClock *self);

    /* Whose clock it is; filled in by the user. An alarm rings once. It may ring early or for
     * nothing: look at the time. */
    void (*due)(gpointer user_data);
    gpointer user_data;
};

#define SPOKE_CLOCK_NEVER G_MAXINT64

/* The machine's clocks, with alarms on the default main context. Asleep, it wakes nobody.
 * (transfer full) (nullable): free with its free(); fails without free descriptors */
SpokeClock *spoke_clock_new(GError **error) G_GNUC_WARN_UNUSED_RESULT;
