/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "session.h"

/* The server's end of a WebSocket connection as a stream of bytes: where one message ends and the
 * next begins means nothing to the protocols that use it. Both streams are pollable and meant to be
 * used without blocking; only closing blocks. Source: RFC 6455; protocol page, 2.11 and 3.11. */

#define EMU_TYPE_WEBSOCKET_STREAM (emu_websocket_stream_get_type())
G_DECLARE_FINAL_TYPE(EmuWebsocketStream, emu_websocket_stream, EMU, WEBSOCKET_STREAM, GIOStream)

/**
 * emu_websocket_stream_new:
 * @base: what the handshake left; both its streams are pollable
 *
 * Pings are answered and the end of the connection that a client asks for is confirmed; then it
 * reads as the end of the stream. What a client may not send reads as an error.
 *
 * Who got a short write goes on with the rest of the same bytes.
 */
GIOStream *emu_websocket_stream_new(GIOStream *base);
/* What is written consists of whole packets, and none begins in the middle of a frame. */
void emu_websocket_stream_set_packets(EmuWebsocketStream *self, EmuPacketSize packet_size);
