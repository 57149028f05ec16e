/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <libsoup/soup.h>

typedef struct EmuTelemetry EmuTelemetry;

typedef enum {
    EMU_FEED_ARRAY,  /* what is there now, as one JSON array */
    EMU_FEED_FOLLOW, /* one object a line, and it goes on */
} EmuFeedMode;

/**
 * emu_feed_start:
 * @since: the last sequence number not wanted
 * @limit: with EMU_FEED_ARRAY, how many at most
 *
 * Answers @message with what arrived, piece by piece as the client reads. Frees itself at the
 * end of the response. A follower that is slower than the ring is told: {"missed":n}.
 */
void emu_feed_start(EmuTelemetry *telemetry, SoupServerMessage *message, EmuFeedMode mode,
                    const char *device_id, guint64 since, guint64 limit);
