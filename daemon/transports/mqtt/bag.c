/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/transports/mqtt/bag.h"

#include "daemon/properties.h"
#include "daemon/utc.h"

#include <string.h>

/*
 * Encoding runs once per message sent, so it makes room for the worst case first and then writes
 * through a plain pointer.
 */

typedef enum { VALUE_TEXT, VALUE_TIME } ValueKind;

/* Source: iot-hub-protocol.md, 2.5. Encoded, since "$" is outside the unreserved set. */
typedef struct {
    const char *name; /* in daemon/properties.h */
    const char *key;  /* on the wire, decoded */
    ValueKind kind;
} SystemProperty;

static const SystemProperty system_properties[] = {
    {SPOKE_PROPERTY_MESSAGE_ID, "$.mid", VALUE_TEXT},
    {SPOKE_PROPERTY_CORRELATION_ID, "$.cid", VALUE_TEXT},
    {SPOKE_PROPERTY_USER_ID, "$.uid", VALUE_TEXT},
    {SPOKE_PROPERTY_TO, "$.to", VALUE_TEXT},
    {SPOKE_PROPERTY_CONTENT_TYPE, "$.ct", VALUE_TEXT},
    {SPOKE_PROPERTY_CONTENT_ENCODING, "$.ce", VALUE_TEXT},
    {SPOKE_PROPERTY_CREATION_TIME, "$.ctime", VALUE_TIME},
    {SPOKE_PROPERTY_EXPIRY, "$.exp", VALUE_TIME},
    {SPOKE_PROPERTY_ACK, "iothub-ack", VALUE_TEXT},
};

/* Also written so. Source: iot-hub-protocol.md, 2.5, "also seen as". */
static const SystemProperty aliases[] = {
    {SPOKE_PROPERTY_CREATION_TIME, "iothub-creation-time-utc", VALUE_TIME},
};

/* Every byte may become three; a time becomes longer than its digits by less than this. */
#define ENCODED_BYTES_MAX(size) ((size)*3)
#define KEYS_BYTES_MAX          512

static const char hex_digits[] = "0123456789ABCDEF";

static inline gboolean
is_unreserved(guchar byte)
{
    return g_ascii_isalnum(byte) || byte == '-' || byte == '_' || byte == '.' || byte == '~';
}

static char *
put_encoded(char *out, const char *text)
{
    for (const guchar *byte = (const guchar *)text; *byte != '\0'; byte++) {
        if (is_unreserved(*byte)) {
            *out++ = (char)*byte;
        } else {
            *out++ = '%';
            *out++ = hex_digits[*byte >> 4];
            *out++ = hex_digits[*byte & 0xf];
        }
    }
    return out;
}

static const SystemProperty *
find_by_name(const char *name)
{
    for (size_t i = 0; i < G_N_ELEMENTS(system_properties); i++)
        if (strcmp(system_properties[i].name, name) == 0)
            return &system_properties[i];
    return NULL;
}

static const SystemProperty *
find_by_key(const char *key)
{
    for (size_t i = 0; i < G_N_ELEMENTS(system_properties); i++)
        if (strcmp(system_properties[i].key, key) == 0)
            return &system_properties[i];
    for (size_t i = 0; i < G_N_ELEMENTS(aliases); i++)
        if (strcmp(aliases[i].key, key) == 0)
            return &aliases[i];
    return NULL;
}

static char *
put_pair(char *out, const char *start, const char *key, const char *value)
{
    if (out != start)
        *out++ = '&';
    out = put_encoded(out, key);
    *out++ = '=';
    return put_encoded(out, value);
}

static char *
put_system(char *out, const char *start, const char *name, const char *value)
{
    const SystemProperty *property = find_by_name(name);
    char time[SPOKE_UTC_SIZE];
    gint64 usec = 0;

    if (property == NULL)
        return out;
    if (property->kind == VALUE_TEXT)
        return put_pair(out, start, property->key, value);
    if (!g_ascii_string_to_signed(value, 10, G_MININT64, G_MAXINT64, &usec, NULL) ||
        !spoke_utc_format(usec, time))
        return out;
    return put_pair(out, start, property->key, time);
}

void
spoke_bag_append(GString *out, const void *system, size_t system_size, const char *message_id,
                 const void *properties, size_t properties_size)
{
    size_t offset = out->len;
    size_t id_size = message_id != NULL ? strlen(message_id) : 0;
    const char *name = NULL, *value = NULL;
    SpokePropertiesIter iter;

    g_string_set_size(out, offset + KEYS_BYTES_MAX +
                               ENCODED_BYTES_MAX(system_size + id_size + properties_size));

    char *start = out->str + offset;
    char *end = start;

    if (message_id != NULL &&
        spoke_properties_lookup(system, system_size, SPOKE_PROPERTY_MESSAGE_ID) == NULL)
        end = put_system(end, start, SPOKE_PROPERTY_MESSAGE_ID, message_id);
    spoke_properties_iter_init(&iter, system, system_size);
    while (spoke_properties_iter_next(&iter, &name, &value))
        end = put_system(end, start, name, value);
    spoke_properties_iter_init(&iter, properties, properties_size);
    while (spoke_properties_iter_next(&iter, &name, &value))
        end = put_pair(end, start, name, value);
    g_string_truncate(out, offset + (size_t)(end - start));
}

void
spoke_bag_append_encoded(GString *out, const char *text)
{
    size_t offset = out->len;

    g_string_set_size(out, offset + ENCODED_BYTES_MAX(strlen(text)));

    char *start = out->str + offset;

    g_string_truncate(out, offset + (size_t)(put_encoded(start, text) - start));
}

/* Percent-decodes into text that is valid UTF-8. (transfer full) */
static char *
decode(const char *data, size_t size)
{
    g_autofree char *decoded = g_malloc(size + 1);
    char *out = decoded;

    for (size_t i = 0; i < size; i++) {
        if (data[i] == '%' && i + 2 < size && g_ascii_isxdigit(data[i + 1]) &&
            g_ascii_isxdigit(data[i + 2])) {
            *out++ =
                (char)(g_ascii_xdigit_value(data[i + 1]) << 4 | g_ascii_xdigit_value(data[i + 2]));
            i += 2;
        } else {
            *out++ = data[i];
        }
    }

    /* A NUL would end a packed string early: g_utf8_make_valid() replaces it with the rest. */
    return g_utf8_make_valid(decoded, out - decoded);
}

static void
take_system(GByteArray *list, const SystemProperty *property, const char *value)
{
    gint64 usec = 0;

    if (property->kind == VALUE_TEXT) {
        spoke_properties_append(list, property->name, value);
    } else if (spoke_utc_parse(value, &usec)) {
        char digits[24];

        g_snprintf(digits, sizeof digits, "%" G_GINT64_FORMAT, usec);
        spoke_properties_append(list, property->name, digits);
    }
}

static void
take_pair(const char *pair, size_t size, GByteArray *system, GByteArray *properties)
{
    const char *equals = memchr(pair, '=', size);
    size_t key_size = equals != NULL ? (size_t)(equals - pair) : size;
    g_autofree char *key = decode(pair, key_size);
    g_autofree char *value =
        equals != NULL ? decode(equals + 1, size - key_size - 1) : g_strdup("");
    const SystemProperty *property = find_by_key(key);

    if (property != NULL)
        take_system(system, property, value);
    else if (!g_str_has_prefix(key, "$.") && *key != '\0')
        spoke_properties_append(properties, key, value);
}

void
spoke_bag_parse(const char *bag, size_t size, GByteArray *ret_system, GByteArray *ret_properties)
{
    const char *end = bag + size;

    while (bag < end) {
        const char *separator = memchr(bag, '&', (size_t)(end - bag));
        const char *pair_end = separator != NULL ? separator : end;

        if (pair_end > bag)
            take_pair(bag, (size_t)(pair_end - bag), ret_system, ret_properties);
        bag = pair_end + 1;
    }
}
