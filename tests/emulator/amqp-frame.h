/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <sys/types.h>

/* The largest frame that is taken. Source: protocol page, 3.2. */
#define EMU_AMQP_FRAME_MAX 65536

/* The format of a batch: a body of data sections, each a whole message. Source: protocol page,
 * 3.5. */
#define EMU_AMQP_FORMAT_BATCH 0x80013700U

typedef struct {
    gboolean is_transfer;
    guint32 message_format; /* of a transfer; 0 where it has none */
} EmuAmqpFrame;

/**
 * emu_amqp_frame_next:
 *
 * Looks at the first unit of @data, which is a protocol header or a frame. Proton keeps the
 * message format of a transfer to itself, and that is what tells a batch from a message.
 *
 * Returns: the unit's size, 0 while it is not all there. What is no unit at all is a unit of
 * everything there: Proton will say what is wrong with it.
 */
size_t emu_amqp_frame_next(const guint8 *data, size_t size, EmuAmqpFrame *ret_frame);
