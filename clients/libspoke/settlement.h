/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "clients/libspoke/client.h"

/* Messages the daemon has accepted and whose fate somebody wants to know. */

int spoke_settlement_await(SpokeClient *client, uint64_t id, SpokeSettledFunc settled,
                           void *user_data);
/* Ends all of them as UNKNOWN. */
void spoke_settlement_end_all(SpokeClient *client);
