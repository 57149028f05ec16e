/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/*
 * When to try again: exponential back-off with full jitter. Pure: time and chance are arguments.
 * Base 1 s, doubling, cap 60 s; slow causes (refused, evicted, throttled) base 10 s, cap 5 min.
 * Source of the figures: iot-hub-protocol.md, 7.4. A connection that lived 60 s resets it.
 */
typedef enum { SPOKE_PACE_NORMAL, SPOKE_PACE_SLOW } SpokePace;

typedef struct {
    guint failures; /* in a row */
} SpokeRetry;

void spoke_retry_reset(SpokeRetry *retry);

/* Counts a failure. @random: 0 <= random < 1. Returns: microseconds to wait. The very first retry
 * after a connection that had lived is short (full jitter over the base). */
gint64 spoke_retry_next(SpokeRetry *retry, SpokePace pace, double random);

/* A number 0 <= n < 1 from the kernel's random source (getrandom), so a fleet that boots
 * together does not come back in step. */
double spoke_retry_random(void);
