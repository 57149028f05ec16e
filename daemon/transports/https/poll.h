/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/transports/https/account.h"

/*
 * An identity's C2D messages: asked for one by one until the hub has none, as long as the daemon
 * wants them and no more than SPOKE_POLL_HELD_MAX wait to be settled.
 */
#define SPOKE_POLL_HELD_MAX 16

SpokePoll *spoke_poll_new(SpokeAccount *account); /* @account owns it */
void spoke_poll_free(SpokePoll *poll);
void spoke_poll_stop(SpokePoll *poll); /* for good */

void spoke_poll_receive(SpokePoll *poll, gboolean on);
void spoke_poll_ask(SpokePoll *poll);
/* @lock: as it came with the message */
void spoke_poll_settle(SpokePoll *poll, const char *lock, SpokeVerdict verdict);
gboolean spoke_poll_is_busy(const SpokePoll *poll); /* a request is under way */
