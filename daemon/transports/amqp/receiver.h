/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/transports/amqp/line.h"

/*
 * One device's link for C2D. The hub may send as many messages as there is credit for; each stays
 * locked there until it is settled. Source: iot-hub-protocol.md, 3.6.
 */
typedef struct SpokeAmqpReceiver SpokeAmqpReceiver;
typedef struct SpokeAmqpArrival SpokeAmqpArrival;

/* The hub will send nothing more to this device. The receiver may be freed here. */
typedef void (*SpokeAmqpReceiverFailed)(SpokeCause cause, const char *detail, gpointer user_data);

/* Opens the link, without credit. @identity is borrowed and outlives the receiver. */
SpokeAmqpReceiver *spoke_amqp_receiver_new(SpokeAmqpLine *line, SpokeIdentity *identity,
                                           SpokeAmqpReceiverFailed failed, gpointer user_data);
/* The tokens of its messages mean nothing from then on. */
void spoke_amqp_receiver_free(SpokeAmqpReceiver *receiver);

/* Whether the hub has opened it, too. */
gboolean spoke_amqp_receiver_is_open(const SpokeAmqpReceiver *receiver);

/* Gives credit, or takes it back. What the hub has sent by then still arrives. */
void spoke_amqp_receiver_set_on(SpokeAmqpReceiver *receiver, gboolean on);

/* @token: of any receiver on @line; one that means nothing is ignored */
void spoke_amqp_receivers_settle(SpokeAmqpLine *line, gpointer token, SpokeVerdict verdict);
