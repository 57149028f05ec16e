/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/transports/amqp/line.h"

/*
 * One identity's link for telemetry, and the messages on their way over it. Messages wait until
 * the hub gives credit and the line has room; those that wait together leave together, in one
 * transfer of the hub's batch format. Source: iot-hub-protocol.md, 3.5.
 */
typedef struct SpokeAmqpSender SpokeAmqpSender;

typedef struct {
    void (*opened)(gpointer user_data);
    /* The hub will take nothing more from this identity. The sender may be freed here. */
    void (*failed)(SpokeCause cause, const char *detail, gpointer user_data);
} SpokeAmqpSenderEvents;

/* Opens the link. @identity is borrowed and outlives the sender. @tells_product: a kilobyte, so
 * only where no other link of the connection does */
SpokeAmqpSender *spoke_amqp_sender_new(SpokeAmqpLine *line, SpokeIdentity *identity,
                                       gboolean tells_product, const SpokeAmqpSenderEvents *events,
                                       gpointer user_data);
/* What is not settled is unknown. */
void spoke_amqp_sender_free(SpokeAmqpSender *sender);

void spoke_amqp_sender_send(SpokeAmqpSender *sender, const SpokeOutgoing *messages, guint n);

/* Hands what waits to the engine as far as there is room, one batch of each sender in turn. */
void spoke_amqp_senders_flush(SpokeAmqpLine *line);
