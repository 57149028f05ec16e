/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/*
 * Proton's engine writes message-format 0 into each transfer and has no way to be told another
 * (seen in 0.37), but the hub knows a batch by its format. So the bytes on their way out are looked
 * through: what is a batch is sent under a delivery tag of SPOKE_AMQP_BATCH_TAG_SIZE bytes, and in
 * its transfer the second half of the tag makes room for the format. The frame keeps its size, and
 * the peer sees a tag of four bytes.
 */
#define SPOKE_AMQP_TAG_SIZE       4
#define SPOKE_AMQP_BATCH_TAG_SIZE 8

typedef struct {
    gsize frame_left; /* bytes of the frame begun that are yet to come */
} SpokeAmqpFormat;

/* Works on @data in place. Returns: how many of its bytes are fit to leave; the rest is the
 * beginning of a frame and has to come again, with more behind it */
gsize spoke_amqp_format_patch(SpokeAmqpFormat *format, guint8 *data, gsize size);
