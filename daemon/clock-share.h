/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/clock.h"

/*
 * One clock for many: each view is a SpokeClock with its own pair of alarms, and the one clock
 * below has its alarms set to the earliest of all. A thousand devices need two descriptors, not
 * two thousand. The clock below lives as long as a view or a reference does.
 */
typedef struct SpokeClockShare SpokeClockShare;

/* @clock: (transfer full). (transfer full) */
SpokeClockShare *spoke_clock_share_new(SpokeClock *clock);
SpokeClockShare *spoke_clock_share_ref(SpokeClockShare *share);
void spoke_clock_share_unref(SpokeClockShare *share);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpokeClockShare, spoke_clock_share_unref)

/* (transfer full): free with its free() */
SpokeClock *spoke_clock_share_view(SpokeClockShare *share);
