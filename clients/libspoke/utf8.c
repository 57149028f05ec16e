/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clients/libspoke/utf8.h"

#include <stdint.h>

/* The well-formed sequences. Source: The Unicode Standard, table 3-7. */
static const struct {
    uint8_t first_min;
    uint8_t first_max;
    uint8_t second_min;
    uint8_t second_max;
    unsigned length;
} sequences[] = {
    {0x01, 0x7f, 0x00, 0x00, 1}, {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
    {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
    {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
};

/* Returns: length of the sequence at @text, which ends with a NUL; 0 if it is ill-formed */
static unsigned
measure_sequence(const uint8_t *text)
{
    for (unsigned i = 0; i < sizeof sequences / sizeof sequences[0]; i++) {
        if (text[0] < sequences[i].first_min || text[0] > sequences[i].first_max)
            continue;
        if (sequences[i].length > 1 &&
            (text[1] < sequences[i].second_min || text[1] > sequences[i].second_max))
            return 0;
        for (unsigned j = 2; j < sequences[i].length; j++)
            if (text[j] < 0x80 || text[j] > 0xbf)
                return 0;
        return sequences[i].length;
    }
    return 0;
}

bool
spoke_utf8_is_valid(const char *text)
{
    const uint8_t *p = (const uint8_t *)text;

    while (*p != '\0') {
        unsigned length = *p < 0x80 ? 1 : measure_sequence(p);
        if (length == 0)
            return false;
        p += length;
    }
    return true;
}
