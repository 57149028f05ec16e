/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/transport.h"
#include "daemon/transports/amqp/failure.h"

/*
 * From an endpoint to a TLS connection: the name, TCP, the proxy's tunnel if there is a proxy, TLS
 * with the peer's certificate verified. The system's own proxy settings play no part.
 */
typedef struct SpokeAmqpConnect SpokeAmqpConnect;

/* Once, never within a call of ours, and not after _free(). @stream: (transfer none): NULL on
 * failure */
typedef void (*SpokeAmqpConnectFunc)(GIOStream *stream, SpokeCause cause, const char *detail,
                                     gpointer user_data);

/* @endpoint is borrowed and outlives the result. */
SpokeAmqpConnect *spoke_amqp_connect_new(const SpokeEndpoint *endpoint, SpokeAmqpConnectFunc done,
                                         gpointer user_data);
void spoke_amqp_connect_free(SpokeAmqpConnect *connect); /* gives it up */

SpokeAmqpStage spoke_amqp_connect_get_stage(SpokeAmqpConnect *connect);
/* The TCP connection. (transfer none) (nullable): NULL before it stands */
GSocket *spoke_amqp_connect_get_socket(SpokeAmqpConnect *connect);
