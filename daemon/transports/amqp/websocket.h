/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/transport.h"
#include "daemon/transports/amqp/stream.h"

/*
 * AMQP in a WebSocket: "GET /$iothub/websocket" with the subprotocol AMQPWSB10, then binary frames
 * that carry the same bytes as the native form. Source: iot-hub-protocol.md, 3.11. The upgrade is
 * ours, since it happens on a connection that may have come through a proxy; the frames are
 * libsoup's.
 */

/* Asks for the upgrade. @tls: just connected. @callback: once */
void spoke_websocket_upgrade_async(GIOStream *tls, const SpokeEndpoint *endpoint,
                                   GCancellable *cancellable, GAsyncReadyCallback callback,
                                   gpointer user_data);
/* @ret_cause: set on failure. Returns: (transfer full) (nullable) */
SpokeAmqpStream *spoke_websocket_upgrade_finish(GIOStream *tls, GAsyncResult *result,
                                                SpokeCause *ret_cause, GError **error);
