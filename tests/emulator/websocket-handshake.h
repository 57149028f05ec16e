/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <libsoup/soup.h>

#include "session.h"

/* Whether a request asks for a WebSocket, whatever its path. */
gboolean emu_websocket_is_handshake(SoupServerMessage *message);

/**
 * emu_websocket_handshake:
 *
 * Judges a request for a WebSocket and makes the response, which switches protocols, declines all
 * extensions, and names the subprotocol as the client did. EMU_ERROR_ARGUMENT for a wrong path, no
 * subprotocol of the hub, or no proper handshake. Source: protocol page, 2.11 and 3.11.
 *
 * Returns: (transfer none) (nullable): what the WebSocket is going to carry.
 */
const EmuSessionKind *emu_websocket_handshake(SoupServerMessage *message, GError **error);
