/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* The frames of RFC 6455, from the server's side: read what clients send, write what they get. */

typedef enum {
    EMU_WEBSOCKET_CONTINUATION = 0,
    EMU_WEBSOCKET_TEXT = 1,
    EMU_WEBSOCKET_BINARY = 2,
    EMU_WEBSOCKET_CLOSE = 8,
    EMU_WEBSOCKET_PING = 9,
    EMU_WEBSOCKET_PONG = 10,
} EmuWebsocketOpcode;

/* The longest header that we write: frames of up to 64 KiB - 1, not masked. */
#define EMU_WEBSOCKET_HEADER_MAX 4

/* What a frame of control may carry. Source: RFC 6455, 5.5. */
#define EMU_WEBSOCKET_CONTROL_MAX 125

typedef struct {
    EmuWebsocketOpcode opcode;
    gboolean final;
    guint8 mask[4];
    guint64 size; /* of what follows the header */
} EmuWebsocketHeader;

/**
 * emu_websocket_parse_header:
 * @ret_wrong: static text: what rule it breaks
 *
 * Returns: the size of the header; 0 when more bytes are needed; -1 for what no client may send: a
 * reserved bit or opcode, no mask, a length in more bytes than it needs, a large or split control
 * frame.
 */
int emu_websocket_parse_header(const guint8 *data, size_t size, EmuWebsocketHeader *ret_header,
                               const char **ret_wrong);

/**
 * emu_websocket_unmask:
 * @offset: where in the frame @data begins
 *
 * Copies from @data to @target, which may be the same, and takes the mask off.
 */
void emu_websocket_unmask(guint8 *target, const guint8 *data, size_t size, const guint8 mask[4],
                          guint64 offset);

/**
 * emu_websocket_write_header:
 * @target: room for EMU_WEBSOCKET_HEADER_MAX
 *
 * Returns: how many bytes the header of a whole message of @size bytes has.
 */
size_t emu_websocket_write_header(guint8 *target, EmuWebsocketOpcode opcode, guint16 size);
