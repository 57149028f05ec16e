/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/cause.h"
#include "daemon/secret.h"
#include "daemon/transports/amqp/engine.h"

/*
 * Claims-based security: one pair of links on which the tokens of all identities are put, many at
 * a time. Source: iot-hub-protocol.md, 3.3.
 */
typedef struct SpokeAmqpCbs SpokeAmqpCbs;

typedef struct {
    /* @who's token was taken (SPOKE_CAUSE_NONE) or not. */
    void (*answered)(gpointer who, SpokeCause cause, const char *detail, gpointer user_data);
    /* No token can be put any more on this connection. */
    void (*failed)(SpokeCause cause, const char *detail, gpointer user_data);
} SpokeAmqpCbsEvents;

/* @product: of the client, told to the hub */
SpokeAmqpCbs *spoke_amqp_cbs_new(SpokeAmqpEngine *engine, const char *product,
                                 const SpokeAmqpCbsEvents *events, gpointer user_data);
void spoke_amqp_cbs_free(SpokeAmqpCbs *cbs);

/* An earlier request of @who that is not answered is forgotten. */
void spoke_amqp_cbs_put(SpokeAmqpCbs *cbs, const char *audience, SpokeSecret *token, gpointer who);
void spoke_amqp_cbs_forget(SpokeAmqpCbs *cbs, gpointer who);
