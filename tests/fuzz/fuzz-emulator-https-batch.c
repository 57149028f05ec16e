/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/emulator/bag.h"
#include "tests/emulator/error.h"
#include "tests/emulator/https-batch.h"
#include "tests/emulator/telemetry.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

/* A batch of the HTTPS head: all of it or nothing, and what a request of the largest size holds is
 * no message that is too large. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GError) error = NULL;

    if (size > EMU_MESSAGE_BYTES_MAX)
        return 0;
    g_autoptr(GPtrArray) messages = emu_https_batch_parse((const char *)data, size, &error);
    if (messages == NULL) {
        g_assert_error(error, EMU_ERROR, EMU_ERROR_ARGUMENT);
        return 0;
    }

    g_assert_no_error(error);
    for (guint i = 0; i < messages->len; i++) {
        const EmuHttpsMessage *message = g_ptr_array_index(messages, i);
        size_t bytes =
            g_bytes_get_size(message->body) + emu_bag_size(message->bag, strlen(message->bag));
        g_assert_cmpuint(bytes, <=, EMU_MESSAGE_BYTES_MAX);
    }
    return 0;
}
