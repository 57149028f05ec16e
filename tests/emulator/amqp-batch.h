/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "amqp-message.h"

/* One transfer's worth of messages, each where it lies. */
typedef struct {
    GArray *messages; /* owned; EmuAmqpMessage */
} EmuAmqpBatch;

EmuAmqpBatch *emu_amqp_batch_new(void);
void emu_amqp_batch_free(EmuAmqpBatch *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(EmuAmqpBatch, emu_amqp_batch_free)

/**
 * emu_amqp_batch_parse:
 * @format: of the transfer: EMU_AMQP_FORMAT_BATCH, or 0 for a single message
 *
 * Finds all messages of a transfer; they replace what @self held. @data has to live as long.
 *
 * Returns: NULL, or what is wrong with the transfer: then @self is empty.
 */
const char *emu_amqp_batch_parse(EmuAmqpBatch *self, guint32 format, const guint8 *data,
                                 size_t size);
