/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/emulator/websocket-frame.h"
#include "tests/fuzz/fuzz.h"

/* Headers of frames, one after the other: each is shorter than what is there, and what it says fits
 * the rules. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    while (size > 0) {
        EmuWebsocketHeader header;
        const char *wrong = NULL;
        int n = emu_websocket_parse_header(data, size, &header, &wrong);
        if (n <= 0) {
            g_assert_cmpint(n == -1, ==, wrong != NULL);
            break;
        }

        g_assert_cmpuint((size_t)n, <=, size);
        g_assert_true(header.size < (guint64)1 << 63);
        if (header.opcode >= EMU_WEBSOCKET_CLOSE)
            g_assert_true(header.final && header.size <= EMU_WEBSOCKET_CONTROL_MAX);
        data += n;
        size -= (size_t)n;
        size_t skip = header.size < size ? (size_t)header.size : size;
        data += skip;
        size -= skip;
    }
    return 0;
}
