/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/cause.h"

/*
 * How long to wait after a failure, of a connection or of one identity on it: the pace of the
 * cause, save that the first refusal is answered at once, because it may be the token's fault and a
 * fresh one helps. Source: iot-hub-protocol.md, 7.5. A login is no end of refusals: a hub may take
 * the token and then refuse the first thing that is asked with it.
 */
typedef struct {
    SpokeRetry retry;
    guint refusals; /* AUTHENTICATION_FAILED, in a row */
} SpokePatience;

/* Counts a failure. @random: 0 <= random < 1. Returns: microseconds to wait */
gint64 spoke_patience_next(SpokePatience *patience, SpokeCause cause, double random);
/* Something was done for us: what was refused before is not any more. */
void spoke_patience_note_served(SpokePatience *patience);
/* It has lasted, or somebody has changed something that may help. */
void spoke_patience_reset(SpokePatience *patience);
