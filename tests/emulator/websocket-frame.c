/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Source of all numbers: RFC 6455, section 5.2. */

#include "websocket-frame.h"

#include <string.h>

#define FINAL          0x80
#define RESERVED       0x70
#define OPCODE         0x0f
#define MASKED         0x80
#define LENGTH         0x7f
#define LENGTH_16      126
#define LENGTH_64      127
#define MASK_BYTES     4
#define HEADER_MIN     2
#define FIRST_CONTROL  EMU_WEBSOCKET_CLOSE
#define SIGNIFICANT_64 ((guint64)1 << 63)

static gboolean
is_opcode(guint opcode)
{
    return opcode <= EMU_WEBSOCKET_BINARY ||
           (opcode >= EMU_WEBSOCKET_CLOSE && opcode <= EMU_WEBSOCKET_PONG);
}

/* The length in the @n bytes behind the first two. */
static guint64
read_length(const guint8 *data, size_t n)
{
    guint64 length = 0;

    for (size_t i = 0; i < n; i++)
        length = length << 8 | data[i];
    return length;
}

static const char *
check_header(const EmuWebsocketHeader *header, size_t length_bytes)
{
    if ((length_bytes == 2 && header->size < LENGTH_16) ||
        (length_bytes == 8 && (header->size <= G_MAXUINT16 || header->size >= SIGNIFICANT_64)))
        return "A length that is not in its shortest form";
    if (header->opcode < FIRST_CONTROL)
        return NULL;
    if (!header->final)
        return "A control frame in pieces";
    return header->size > EMU_WEBSOCKET_CONTROL_MAX ? "A control frame over 125 bytes" : NULL;
}

int
emu_websocket_parse_header(const guint8 *data, size_t size, EmuWebsocketHeader *ret_header,
                           const char **ret_wrong)
{
    if (size < HEADER_MIN)
        return 0;

    *ret_wrong = NULL;
    if ((data[0] & RESERVED) != 0 || !is_opcode(data[0] & OPCODE))
        *ret_wrong = "A reserved bit or opcode";
    else if ((data[1] & MASKED) == 0)
        *ret_wrong = "A frame without a mask";
    if (*ret_wrong != NULL)
        return -1;

    size_t length_bytes = (data[1] & LENGTH) == LENGTH_16   ? 2
                          : (data[1] & LENGTH) == LENGTH_64 ? 8
                                                            : 0;
    size_t header_size = HEADER_MIN + length_bytes + MASK_BYTES;
    if (size < header_size)
        return 0;
    *ret_header = (EmuWebsocketHeader){
        .opcode = (EmuWebsocketOpcode)(data[0] & OPCODE),
        .final = (data[0] & FINAL) != 0,
        .size = length_bytes > 0 ? read_length(data + HEADER_MIN, length_bytes)
                                 : (guint64)(data[1] & LENGTH),
    };
    memcpy(ret_header->mask, data + HEADER_MIN + length_bytes, MASK_BYTES);
    *ret_wrong = check_header(ret_header, length_bytes);
    return *ret_wrong == NULL ? (int)header_size : -1;
}

void
emu_websocket_unmask(guint8 *target, const guint8 *data, size_t size, const guint8 mask[4],
                     guint64 offset)
{
    for (size_t i = 0; i < size; i++)
        target[i] = data[i] ^ mask[(offset + i) % MASK_BYTES];
}

size_t
emu_websocket_write_header(guint8 *target, EmuWebsocketOpcode opcode, guint16 size)
{
    target[0] = (guint8)(FINAL | opcode);
    if (size < LENGTH_16) {
        target[1] = (guint8)size;
        return 2;
    }
    target[1] = LENGTH_16;
    target[2] = (guint8)(size >> 8);
    target[3] = (guint8)size;
    return 4;
}
