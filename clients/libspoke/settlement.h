/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "clients/libspoke/client.h"

/* Messages the daemon has accepted and whose fate somebody wants to know. */

/* @durability: what the message was sent with */
int spoke_settlement_await(SpokeClient *client, uint64_t id, SpokeDurability durability,
                           SpokeSettledFunc settled, void *user_data);
/* The daemon has gone: ends those of messages that may not be on disk as UNKNOWN. */
void spoke_settlement_end_frail(SpokeClient *client);
/* Ends all of them as UNKNOWN. */
void spoke_settlement_end_all(SpokeClient *client);
