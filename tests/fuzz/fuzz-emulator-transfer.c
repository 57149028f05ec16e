/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/emulator/amqp-bag.h"
#include "tests/emulator/amqp-batch.h"
#include "tests/emulator/amqp-frame.h"
#include "tests/emulator/bag.h"
#include "tests/fuzz/fuzz.h"

/* What a client sends to the emulator inside a transfer, behind a byte that says in which format:
 * all messages found lie in it, and what they become is readable and not much larger. The same
 * bytes also stand for a stream of frames. */

static void
check_inside(EmuAmqpReader whole, EmuAmqpReader part)
{
    if (part.size > 0)
        g_assert_true(part.data >= whole.data && part.size <= whole.size &&
                      part.data + part.size <= whole.data + whole.size);
}

static void
check_message(const EmuAmqpMessage *message)
{
    g_autoptr(GString) bag = g_string_new(NULL);
    g_autoptr(GByteArray) scratch = g_byte_array_new();
    EmuAmqpReader body = emu_amqp_message_body(message, scratch);
    EmuBagReader reader;

    check_inside(message->sections, message->properties);
    check_inside(message->sections, message->application);
    check_inside(message->sections, message->annotations);
    check_inside(message->sections, message->first_data);
    g_assert_cmpuint(body.size, <=, message->sections.size);

    emu_amqp_to_bag(message, bag);

    /* The emulator looks at the exact size of large messages only. */
    g_assert_cmpuint(body.size + emu_bag_size(bag->str, bag->len), <=, 4 * message->sections.size);
    emu_bag_reader_init(&reader, bag->str, bag->len);
    while (TRUE) {
        g_auto(EmuProperty) property = {NULL, NULL};
        if (!emu_bag_reader_next(&reader, &property))
            return;
        g_assert_true(g_utf8_validate(property.key, -1, NULL));
        g_assert_true(property.value == NULL || g_utf8_validate(property.value, -1, NULL));
    }
}

static void
check_frames(const uint8_t *data, size_t size)
{
    EmuAmqpFrame frame;
    size_t unit = 0;

    while ((unit = emu_amqp_frame_next(data, size, &frame)) > 0) {
        g_assert_cmpuint(unit, <=, size);
        data += unit;
        size -= unit;
    }
    g_assert_cmpuint(size, <, EMU_AMQP_FRAME_MAX);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(EmuAmqpBatch) batch = emu_amqp_batch_new();

    if (size == 0)
        return 0;
    guint32 format = data[0] == 0 ? 0 : EMU_AMQP_FORMAT_BATCH;
    const char *wrong = emu_amqp_batch_parse(batch, format, data + 1, size - 1);
    if (wrong != NULL)
        g_assert_cmpuint(batch->messages->len, ==, 0);
    for (guint i = 0; i < batch->messages->len; i++) {
        const EmuAmqpMessage *message = &g_array_index(batch->messages, EmuAmqpMessage, i);
        check_inside((EmuAmqpReader){data, size}, message->sections);
        check_message(message);
    }
    check_frames(data + 1, size - 1);
    return 0;
}
