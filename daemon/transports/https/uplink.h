/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/transports/https/account.h"

/*
 * An identity's telemetry: what comes in within one round of the main loop, or while a request is
 * under way, goes in the next request together, in order, one request at a time. A batch that the
 * hub refuses is cut in half again and again until the bad message stands alone.
 */
SpokeUplink *spoke_uplink_new(SpokeAccount *account); /* @account owns it */
void spoke_uplink_free(SpokeUplink *uplink);
void spoke_uplink_stop(SpokeUplink *uplink); /* for good; forgets all messages */

void spoke_uplink_send(SpokeUplink *uplink, const SpokeOutgoing *messages, guint n);
gboolean spoke_uplink_is_busy(const SpokeUplink *uplink); /* a request is under way */
