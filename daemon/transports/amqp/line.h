/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/transport.h"
#include "daemon/transports/amqp/engine.h"

/*
 * What all identities on one connection share: the engine, what is under way, and the way to the
 * daemon. The daemon may free the transport while it is told something; is_silent then keeps the
 * rest from it.
 */
typedef struct {
    SpokeAmqpEngine *engine; /* borrowed; NULL before there is a stream */
    const SpokeTransportEvents *events;
    gpointer user_data;
    const char *product; /* borrowed: com.microsoft:client-version */
    guint n_calls;       /* to the daemon, that have not returned */
    gboolean is_silent;

    GQueue ready;          /* of SpokeAmqpSender, borrowed: they may send something now */
    gsize unsettled_bytes; /* of all senders */
    guint batch_max;       /* messages; less after the hub said that it was too much */
    GByteArray *scratch;   /* owned; empty between uses */

    GHashTable *arrivals; /* owned; token → SpokeAmqpArrival, borrowed from its receiver */
    gsize n_arrivals;     /* names the last one */
} SpokeAmqpLine;

void spoke_amqp_line_init(SpokeAmqpLine *line, const SpokeTransportEvents *events,
                          gpointer user_data, const char *product);
void spoke_amqp_line_clear(SpokeAmqpLine *line);

void spoke_amqp_line_opened(SpokeAmqpLine *line);
void spoke_amqp_line_closed(SpokeAmqpLine *line, SpokeCause cause, const char *detail);
void spoke_amqp_line_attached(SpokeAmqpLine *line, SpokeIdentity *identity);
void spoke_amqp_line_detached(SpokeAmqpLine *line, SpokeIdentity *identity, SpokeCause cause,
                              const char *detail);
void spoke_amqp_line_settled(SpokeAmqpLine *line, SpokeIdentity *identity,
                             const SpokeSettlement *settlements, guint n);
void spoke_amqp_line_arrived(SpokeAmqpLine *line, SpokeIdentity *identity, SpokeMessage *message,
                             gpointer token);
