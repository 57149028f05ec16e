/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "clients/libspoke/spoke.h"

/* How spokectl ends; public, see spokectl(1). */
typedef enum {
    SPOKE_EXIT_OK = 0,
    SPOKE_EXIT_FAILURE = 1,
    SPOKE_EXIT_USAGE = 2,
    SPOKE_EXIT_UNREACHABLE = 3, /* no daemon, no bus */
    SPOKE_EXIT_TIMEOUT = 4,
    SPOKE_EXIT_REJECTED = 5, /* this and the next two: a message the hub will never have */
    SPOKE_EXIT_EXPIRED = 6,
    SPOKE_EXIT_DROPPED = 7,
} SpokeExit;

/* @error: a negative errno of libspoke's */
SpokeExit spoke_advice_get_exit(int error);
SpokeExit spoke_advice_get_outcome_exit(SpokeOutcome outcome);
/* What to do about it, one sentence; NULL where the error's own text says all. @bus_address: of the
 * environment, nullable. (transfer none) */
const char *spoke_advice_get_text(int error, const char *bus_address);
