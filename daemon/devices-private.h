/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/connection-private.h"
#include "daemon/devices.h"

/* For tests: with a clock and lines of theirs, both (transfer full), also on error. */
SpokeDevices *spoke_devices_new_from(SpokeSpool *spool, const SpokeConfig *config,
                                     const char *transport_dir, SpokeClockShare *clock,
                                     SpokeLines *lines, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Lines whose connections are made of these parts; the clock in them is NULL, each gets a view. */
SpokeLines *spoke_lines_new_from(SpokeClockShare *clock, const SpokeConnectionParts *parts);
