/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/*
 * The spool's clock: microseconds that advance with CLOCK_BOOTTIME and never go back, so that no
 * step of the wall clock expires or revives a message. A mark stored in the database carries it
 * over a restart: within one boot by CLOCK_BOOTTIME, over a reboot by the wall clock, as far as
 * that can be believed. Started once, then read from any thread.
 */
#define SPOKE_BOOT_ID_SIZE 37

/* Where time comes from; a test brings its own. Both functions are called from any thread. */
typedef struct {
    gint64 (*boottime)(gpointer user_data);
    gint64 (*wall)(gpointer user_data); /* microseconds since 1970 */
    char boot_id[SPOKE_BOOT_ID_SIZE];   /* "" when not known */
    gpointer user_data;
} SpokeTimeSource;

/* All clocks at one moment. spool_usec 0: there is none. */
typedef struct {
    gint64 spool_usec;
    gint64 boottime_usec;
    gint64 wall_usec;
    char boot_id[SPOKE_BOOT_ID_SIZE];
} SpokeClockMark;

typedef struct {
    SpokeTimeSource source;
    gint64 offset_usec; /* what is added to CLOCK_BOOTTIME */
} SpokeSpoolClock;

/* The machine's own clocks. */
void spoke_time_source_init(SpokeTimeSource *source);

void spoke_spool_clock_start(SpokeSpoolClock *clock, const SpokeTimeSource *source,
                             const SpokeClockMark *mark);
gint64 spoke_spool_clock_now(const SpokeSpoolClock *clock);
void spoke_spool_clock_mark(const SpokeSpoolClock *clock, SpokeClockMark *ret_mark);
