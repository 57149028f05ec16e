/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The little of frames that has to be seen before Proton takes them. Source: AMQP 1.0, part 2,
 * sections 2.3 and 2.7.5. */

#include "amqp-frame.h"

#include "amqp-codec.h"

#include <string.h>

#define HEADER_BYTES 8
#define TYPE_AMQP    0
#define TRANSFER     0x14
#define FORMAT_FIELD 3 /* behind handle, delivery-id and delivery-tag */

static void
look_at_transfer(const guint8 *data, size_t size, EmuAmqpFrame *frame)
{
    EmuAmqpReader reader = {data, size};
    EmuAmqpReader fields = {NULL, 0};
    EmuAmqpValue value;
    guint64 code = 0;
    guint64 format = 0;

    if (!emu_amqp_read_descriptor(&reader, &code) || code != TRANSFER)
        return;
    frame->is_transfer = TRUE;
    if (!emu_amqp_read(&reader, &value) || !emu_amqp_list_items(&value, &fields))
        return;
    for (guint i = 0; i <= FORMAT_FIELD; i++) {
        if (!emu_amqp_read(&fields, &value))
            return;
    }
    if (emu_amqp_get_unsigned(&value, &format))
        frame->message_format = (guint32)format;
}

size_t
emu_amqp_frame_next(const guint8 *data, size_t size, EmuAmqpFrame *ret_frame)
{
    *ret_frame = (EmuAmqpFrame){FALSE, 0};
    if (size < HEADER_BYTES)
        return 0;
    if (memcmp(data, "AMQP", 4) == 0)
        return HEADER_BYTES;

    size_t frame_size =
        (size_t)data[0] << 24 | (size_t)data[1] << 16 | (size_t)data[2] << 8 | (size_t)data[3];
    size_t offset = (size_t)data[4] * 4;
    if (frame_size < HEADER_BYTES || frame_size > EMU_AMQP_FRAME_MAX || offset < HEADER_BYTES ||
        offset > frame_size)
        return size;
    if (frame_size > size)
        return 0;
    if (data[5] == TYPE_AMQP)
        look_at_transfer(data + offset, frame_size - offset, ret_frame);
    return frame_size;
}
