/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/transports/amqp/format.h"

#include "daemon/transports/amqp/encode.h"

#include <string.h>

/* Source: AMQP 1.0, parts 2.2 and 2.3. */
#define HEADER_SIZE 8

/* Up to the message-format of a transfer with our tag: frame header, descriptor, list head, handle,
 * delivery-id, tag, format. */
#define HEAD_SIZE_MAX (HEADER_SIZE + 3 + 9 + 5 + 5 + 2 + SPOKE_AMQP_BATCH_TAG_SIZE + 1)

static guint32
read_be32(const guint8 *data)
{
    return (guint32)data[0] << 24 | (guint32)data[1] << 16 | (guint32)data[2] << 8 | data[3];
}

/* A uint: 43, 52 and one byte, or 70 and four. */
static const guint8 *
skip_uint(const guint8 *at)
{
    return at + (*at == 0x43 ? 1 : *at == 0x52 ? 2 : 5);
}

/* @frame: HEAD_SIZE_MAX bytes of it at least */
static void
patch_transfer(guint8 *frame)
{
    static const guint8 transfer[] = {0x00, 0x53, 0x14};
    const guint8 *performative = frame + frame[4] * 4; /* the header's own size, in words */

    if (frame[4] != HEADER_SIZE / 4 || frame[5] != 0 ||
        memcmp(performative, transfer, sizeof transfer) != 0)
        return;

    const guint8 *list = performative + sizeof transfer;
    guint8 *tag = (guint8 *)skip_uint(skip_uint(list + (*list == 0xc0 ? 3 : 9)));
    const guint8 format[] = {0x70, SPOKE_AMQP_FORMAT_BATCH >> 24,
                             SPOKE_AMQP_FORMAT_BATCH >> 16 & 0xff,
                             SPOKE_AMQP_FORMAT_BATCH >> 8 & 0xff, SPOKE_AMQP_FORMAT_BATCH & 0xff};

    if (tag[0] != 0xa0 || tag[1] != SPOKE_AMQP_BATCH_TAG_SIZE ||
        tag[2 + SPOKE_AMQP_BATCH_TAG_SIZE] != 0x43)
        return;
    tag[1] = SPOKE_AMQP_TAG_SIZE;
    memcpy(tag + 2 + SPOKE_AMQP_TAG_SIZE, format, sizeof format);
}

gsize
spoke_amqp_format_patch(SpokeAmqpFormat *format, guint8 *data, gsize size)
{
    gsize at = 0;

    for (;;) {
        gsize step = MIN(format->frame_left, size - at);

        at += step;
        format->frame_left -= step;
        if (size - at < HEADER_SIZE)
            return at;

        gboolean is_greeting = memcmp(data + at, "AMQP", 4) == 0;
        gsize frame_size = is_greeting ? HEADER_SIZE : read_be32(data + at);

        if (size - at < MIN(frame_size, HEAD_SIZE_MAX))
            return at;
        if (frame_size >= HEAD_SIZE_MAX)
            patch_transfer(data + at);
        format->frame_left = MAX(frame_size, HEADER_SIZE);
    }
}
