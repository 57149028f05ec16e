/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A batch is taken whole or not at all, because one disposition answers it: so all of it is
 * parsed before any of it is stored. */

#include "amqp-batch.h"

#include "amqp-frame.h"

EmuAmqpBatch *
emu_amqp_batch_new(void)
{
    EmuAmqpBatch *self = g_new0(EmuAmqpBatch, 1);

    self->messages = g_array_new(FALSE, FALSE, sizeof(EmuAmqpMessage));
    return self;
}

void
emu_amqp_batch_free(EmuAmqpBatch *self)
{
    if (self == NULL)
        return;

    g_array_unref(self->messages);
    g_free(self);
}

static const char *
add(EmuAmqpBatch *self, EmuAmqpReader data)
{
    EmuAmqpMessage message;
    const char *wrong = emu_amqp_message_parse(data.data, data.size, &message);

    if (wrong == NULL)
        g_array_append_val(self->messages, message);
    return wrong;
}

static const char *
add_entries(EmuAmqpBatch *self, EmuAmqpReader data)
{
    EmuAmqpMessage outer;
    EmuAmqpReader entry;
    const char *wrong = emu_amqp_message_parse(data.data, data.size, &outer);

    if (wrong == NULL && outer.data_count == 0)
        wrong = "Batch without a message in it";
    while (wrong == NULL && emu_amqp_next_data(&outer.sections, &entry))
        wrong = add(self, entry);
    return wrong;
}

const char *
emu_amqp_batch_parse(EmuAmqpBatch *self, guint32 format, const guint8 *data, size_t size)
{
    EmuAmqpReader all = {data, size};
    const char *wrong = NULL;

    g_array_set_size(self->messages, 0);
    if (format == EMU_AMQP_FORMAT_BATCH)
        wrong = add_entries(self, all);
    else if (format == 0)
        wrong = add(self, all);
    else
        wrong = "Unknown message format";
    if (wrong != NULL)
        g_array_set_size(self->messages, 0);
    return wrong;
}
