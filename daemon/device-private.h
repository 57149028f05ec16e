/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/connection-private.h"
#include "daemon/device.h"

/* What a test replaces: the connection's parts, and the clock of delivery. spoke_device_new() takes
 * the machine's own. @clock: (transfer full) */
SpokeDevice *spoke_device_new_from(SpokeSpool *spool, const char *name, const SpokeConfig *config,
                                   const char *transport_dir, const SpokeConnectionParts *parts,
                                   SpokeClock *clock, GError **error) G_GNUC_WARN_UNUSED_RESULT;
