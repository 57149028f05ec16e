/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dbus/text-bus.h"

/* Bytes that begin something else than a noncharacter are below this: the common ones cost no more
 * than a comparison. */
#define NONCHARACTER_BYTE_MIN 0xef

/* Source: The Unicode Standard, 23.7, Noncharacters. */
static gboolean
is_noncharacter(gunichar character)
{
    return (character & 0xfffe) == 0xfffe || (character >= 0xfdd0 && character <= 0xfdef);
}

/* The first one in @text, which is UTF-8; NULL if there is none. */
static const char *
find_noncharacter(const char *text)
{
    for (; *text != '\0'; text = g_utf8_next_char(text)) {
        if ((guchar)*text >= NONCHARACTER_BYTE_MIN && is_noncharacter(g_utf8_get_char(text)))
            return text;
    }
    return NULL;
}

gboolean
spoke_text_is_sendable(const char *text)
{
    return g_utf8_validate(text, -1, NULL) && find_noncharacter(text) == NULL;
}

char *
spoke_text_make_sendable(const char *text)
{
    g_autofree char *valid = g_utf8_make_valid(text, -1);
    const char *rest = valid;
    const char *found;
    GString *sendable = g_string_new(NULL);

    while ((found = find_noncharacter(rest)) != NULL) {
        g_string_append_len(sendable, rest, found - rest);
        g_string_append(sendable, SPOKE_TEXT_REPLACEMENT);
        rest = g_utf8_next_char(found);
    }
    g_string_append(sendable, rest);
    return g_string_free(sendable, FALSE);
}

int
spoke_text_append(sd_bus_message *m, const char *text)
{
    if (spoke_text_is_sendable(text))
        return sd_bus_message_append_basic(m, 's', text);

    g_autofree char *sendable = spoke_text_make_sendable(text);
    return sd_bus_message_append_basic(m, 's', sendable);
}
