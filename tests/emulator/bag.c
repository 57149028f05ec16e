/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The property bag, read and written. Reading is lenient, because SDKs differ in what they
 * escape; writing is strict, because they differ in what they understand. */

#include "bag.h"

#include <string.h>

static const struct {
    const char *key;
    const char *name;
} system_names[] = {
    {"$.mid", "message-id"},
    {"$.cid", "correlation-id"},
    {"$.uid", "user-id"},
    {"$.to", "to"},
    {"$.ct", "content-type"},
    {"$.ce", "content-encoding"},
    {"$.exp", "absolute-expiry-time"},
    {"$.ctime", "iothub-creation-time-utc"},
    {"$.on", "iothub-outputname"},
    {"$.ifid", "iothub-interface-id"},
    {"$.sub", "dt-subject"},
    {"$.schema", "iothub-message-schema"},
    {"$.diagid", "Diagnostic-Id"},
    {"$.diagctx", "Correlation-Context"},
};

void
emu_property_clear(EmuProperty *property)
{
    g_clear_pointer(&property->key, g_free);
    g_clear_pointer(&property->value, g_free);
}

void
emu_bag_reader_init(EmuBagReader *reader, const char *bag, size_t size)
{
    *reader = (EmuBagReader){bag, size, size == 0};
}

/* One percent-encoded piece, decoded and made valid UTF-8 without a NUL in it. */
static char *
decode(const char *text, size_t size)
{
    g_autofree char *plain = g_malloc(size + 1);
    size_t n = 0;

    for (size_t i = 0; i < size; i++) {
        int high = text[i] == '%' && i + 2 < size ? g_ascii_xdigit_value(text[i + 1]) : -1;
        int low = high >= 0 ? g_ascii_xdigit_value(text[i + 2]) : -1;
        if (low >= 0 && (high | low) != 0) {
            plain[n++] = (char)(high << 4 | low);
            i += 2;
        } else {
            plain[n++] = text[i];
        }
    }
    plain[n] = '\0';
    if (g_utf8_validate_len(plain, n, NULL))
        return g_steal_pointer(&plain);
    return g_utf8_make_valid(plain, (gssize)n);
}

/* Takes the next stretch up to '&' off the reader. */
static gboolean
next_pair(EmuBagReader *reader, const char **ret_pair, size_t *ret_size)
{
    if (reader->done)
        return FALSE;

    const char *end = memchr(reader->text, '&', reader->size);
    size_t size = end != NULL ? (size_t)(end - reader->text) : reader->size;
    *ret_pair = reader->text;
    *ret_size = size;
    if (end == NULL) {
        reader->done = TRUE;
    } else {
        reader->text += size + 1;
        reader->size -= size + 1;
    }
    return TRUE;
}

gboolean
emu_bag_reader_next(EmuBagReader *reader, EmuProperty *ret_property)
{
    const char *pair = NULL;
    size_t size = 0;

    do {
        if (!next_pair(reader, &pair, &size))
            return FALSE;
    } while (size == 0);

    const char *equals = memchr(pair, '=', size);
    size_t key_size = equals != NULL ? (size_t)(equals - pair) : size;
    ret_property->key = decode(pair, key_size);
    ret_property->value = equals != NULL ? decode(equals + 1, size - key_size - 1) : NULL;
    return TRUE;
}

char *
emu_bag_find(const char *bag, size_t size, const char *key)
{
    EmuBagReader reader;
    const char *pair = NULL;
    size_t pair_size = 0;

    emu_bag_reader_init(&reader, bag, size);
    while (next_pair(&reader, &pair, &pair_size)) {
        const char *equals = memchr(pair, '=', pair_size);
        if (equals == NULL)
            continue;
        g_autofree char *found = decode(pair, (size_t)(equals - pair));
        if (g_str_equal(found, key))
            return decode(equals + 1, pair_size - (size_t)(equals - pair) - 1);
    }
    return NULL;
}

static void
append_encoded(GString *bag, const char *text, size_t size)
{
    static const char hex[] = "0123456789ABCDEF";

    for (const char *c = text; c < text + size; c++) {
        if (g_ascii_isalnum(*c) || memchr("-_.~", *c, 4) != NULL) {
            g_string_append_c(bag, *c);
        } else {
            const char escape[] = {'%', hex[(guchar)*c >> 4], hex[*c & 15]};
            g_string_append_len(bag, escape, sizeof escape);
        }
    }
}

void
emu_bag_append_sized(GString *bag, const char *key, size_t key_size, const char *value,
                     size_t value_size)
{
    if (bag->len > 0)
        g_string_append_c(bag, '&');
    append_encoded(bag, key, key_size);
    if (value == NULL)
        return;
    g_string_append_c(bag, '=');
    append_encoded(bag, value, value_size);
}

void
emu_bag_append(GString *bag, const char *key, const char *value)
{
    emu_bag_append_sized(bag, key, strlen(key), value, strlen(value));
}

size_t
emu_bag_size(const char *bag, size_t size)
{
    EmuBagReader reader;
    size_t sum = 0;

    emu_bag_reader_init(&reader, bag, size);
    while (TRUE) {
        g_auto(EmuProperty) property = {NULL, NULL};
        if (!emu_bag_reader_next(&reader, &property))
            return sum;
        if (emu_bag_system_name(property.key) == NULL)
            sum += strlen(property.key);
        if (property.value != NULL)
            sum += strlen(property.value);
    }
}

const char *
emu_bag_system_name(const char *key)
{
    if (!g_str_has_prefix(key, "$."))
        return NULL;

    for (size_t i = 0; i < G_N_ELEMENTS(system_names); i++) {
        if (g_str_equal(system_names[i].key, key))
            return system_names[i].name;
    }
    return key;
}
