/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/transports/https/headers.h"

#include "daemon/properties.h"
#include "daemon/utc.h"

#include <stdio.h>
#include <string.h>

typedef enum { VALUE_TEXT, VALUE_TIME } ValueKind;

#define SYSTEM_PREFIX "iothub-"
#define APP_PREFIX    "iothub-app-"

/*
 * Up, with the prefix before it. The hub keeps the creation time among the app properties, whatever
 * the protocol, and in a batch it is to be sent as one. Source: iot-hub-protocol.md, 4.1; keys of a
 * batch: azure-iot-sdk-csharp, HttpTransportHandler.cs; creation time: azure-docs,
 * iot-hub-devguide-messages-construct.md.
 */
static const struct {
    const char *property;
    const char *prefix;
    const char *name;
    ValueKind kind;
} up[] = {
    {SPOKE_PROPERTY_MESSAGE_ID, SYSTEM_PREFIX, "messageid", VALUE_TEXT},
    {SPOKE_PROPERTY_CORRELATION_ID, SYSTEM_PREFIX, "correlationid", VALUE_TEXT},
    {SPOKE_PROPERTY_USER_ID, SYSTEM_PREFIX, "userid", VALUE_TEXT},
    {SPOKE_PROPERTY_CONTENT_TYPE, SYSTEM_PREFIX, "contenttype", VALUE_TEXT},
    {SPOKE_PROPERTY_CONTENT_ENCODING, SYSTEM_PREFIX, "contentencoding", VALUE_TEXT},
    {SPOKE_PROPERTY_CREATION_TIME, APP_PREFIX, "iothub-creation-time-utc", VALUE_TIME},
    {SPOKE_PROPERTY_EXPIRY, SYSTEM_PREFIX, "expiry", VALUE_TIME},
    {SPOKE_PROPERTY_ACK, SYSTEM_PREFIX, "ack", VALUE_TEXT},
};

/* Down, whole names. Source: iot-hub-protocol.md, 4.3. */
static const struct {
    const char *header;
    const char *property;
    ValueKind kind;
} down[] = {
    {"iothub-messageid", SPOKE_PROPERTY_MESSAGE_ID, VALUE_TEXT},
    {"iothub-correlationid", SPOKE_PROPERTY_CORRELATION_ID, VALUE_TEXT},
    {"iothub-userid", SPOKE_PROPERTY_USER_ID, VALUE_TEXT},
    {"iothub-to", SPOKE_PROPERTY_TO, VALUE_TEXT},
    {"iothub-ack", SPOKE_PROPERTY_ACK, VALUE_TEXT},
    {"iothub-expiry", SPOKE_PROPERTY_EXPIRY, VALUE_TIME},
    {"ContentType", SPOKE_PROPERTY_CONTENT_TYPE, VALUE_TEXT},
    {"iothub-contenttype", SPOKE_PROPERTY_CONTENT_TYPE, VALUE_TEXT},
    {"ContentEncoding", SPOKE_PROPERTY_CONTENT_ENCODING, VALUE_TEXT},
    {"iothub-contentencoding", SPOKE_PROPERTY_CONTENT_ENCODING, VALUE_TEXT},
    {"iothub-creation-time-utc", SPOKE_PROPERTY_CREATION_TIME, VALUE_TIME},
    {"iothub-app-iothub-creation-time-utc", SPOKE_PROPERTY_CREATION_TIME, VALUE_TIME},
};

/* Up */

static void
visit_system(const char *property, const char *value, SpokeHeadersFunc func, gpointer user_data)
{
    char time[SPOKE_UTC_SIZE];
    gint64 usec = 0;
    size_t i = 0;

    while (i < G_N_ELEMENTS(up) && strcmp(up[i].property, property) != 0)
        i++;
    if (i == G_N_ELEMENTS(up))
        return;
    if (up[i].kind == VALUE_TIME) {
        if (!g_ascii_string_to_signed(value, 10, G_MININT64, G_MAXINT64, &usec, NULL) ||
            !spoke_utc_format(usec, time))
            return;
        value = time;
    }
    func(up[i].prefix, up[i].name, value, user_data);
}

void
spoke_headers_foreach(const SpokeMessage *message, const char *message_id, SpokeHeadersFunc func,
                      gpointer user_data)
{
    const char *name = NULL, *value = NULL;
    SpokePropertiesIter iter;

    if (message_id != NULL &&
        spoke_message_lookup_system(message, SPOKE_PROPERTY_MESSAGE_ID) == NULL)
        visit_system(SPOKE_PROPERTY_MESSAGE_ID, message_id, func, user_data);
    spoke_properties_iter_init(&iter, spoke_message_system(message), message->system_size);
    while (spoke_properties_iter_next(&iter, &name, &value))
        visit_system(name, value, func, user_data);
    spoke_properties_iter_init(&iter, spoke_message_properties(message), message->properties_size);
    while (spoke_properties_iter_next(&iter, &name, &value))
        func(APP_PREFIX, name, value, user_data);
}

/* Source: RFC 9110, 5.6.2. */
static gboolean
is_token(const char *text)
{
    if (*text == '\0')
        return FALSE;
    for (; *text != '\0'; text++)
        if (!g_ascii_isalnum(*text) && strchr("!#$%&'*+-.^_`|~", *text) == NULL)
            return FALSE;
    return TRUE;
}

static gboolean
is_plain_value(const char *text)
{
    size_t size = strlen(text);

    if (size == 0 || text[0] == ' ' || text[size - 1] == ' ')
        return FALSE;
    for (; *text != '\0'; text++)
        if (!g_ascii_isprint(*text))
            return FALSE;
    return TRUE;
}

typedef struct {
    GPtrArray *lines;
    size_t bytes;
    gboolean is_possible;
} Format;

static gboolean
has_name(GPtrArray *lines, const char *key, size_t size)
{
    for (guint i = 0; i < lines->len; i++) {
        const char *line = g_ptr_array_index(lines, i);

        if (g_ascii_strncasecmp(line, key, size) == 0 && line[size] == ':')
            return TRUE;
    }
    return FALSE;
}

static void
add_line(const char *prefix, const char *name, const char *value, gpointer user_data)
{
    Format *format = user_data;

    if (!format->is_possible)
        return;
    format->bytes += strlen(prefix) + strlen(name) + strlen(value) + strlen(": \r\n");
    if (!is_token(name) || !is_plain_value(value) || format->bytes > SPOKE_HEADERS_BYTES_MAX ||
        format->lines->len == SPOKE_HEADERS_MAX) {
        format->is_possible = FALSE;
        return;
    }

    g_autofree char *line = g_strconcat(prefix, name, ": ", value, NULL);

    if (has_name(format->lines, line, strlen(prefix) + strlen(name)))
        format->is_possible = FALSE;
    else
        g_ptr_array_add(format->lines, g_steal_pointer(&line));
}

GPtrArray *
spoke_headers_format(const SpokeMessage *message, const char *message_id)
{
    g_autoptr(GPtrArray) lines = g_ptr_array_new_with_free_func(g_free);
    Format format = {.lines = lines, .is_possible = TRUE};

    spoke_headers_foreach(message, message_id, add_line, &format);
    return format.is_possible ? g_steal_pointer(&lines) : NULL;
}

/* Down */

/* As .NET writes a time where nobody says how: "7/9/2030 1:05:09 PM", always UTC. */
static gboolean
parse_dotnet_time(const char *text, gint64 *ret_usec)
{
    int month = 0, day = 0, year = 0, hour = 0, minute = 0, second = 0, length = 0;
    char iso[32];

    if (sscanf(text, "%2d/%2d/%4d %2d:%2d:%2d%n", &month, &day, &year, &hour, &minute, &second,
               &length) != 6)
        return FALSE;

    gboolean is_pm = strcmp(text + length, " PM") == 0;

    if (is_pm || strcmp(text + length, " AM") == 0)
        hour = hour % 12 + (is_pm ? 12 : 0);
    else if (text[length] != '\0')
        return FALSE;
    g_snprintf(iso, sizeof iso, "%04d-%02d-%02dT%02d:%02d:%02dZ", year, month, day, hour, minute,
               second);
    return spoke_utc_parse(iso, ret_usec);
}

static void
append_system(GByteArray *system, const char *property, ValueKind kind, const char *value)
{
    gint64 usec = 0;

    if (spoke_properties_lookup(system->data, system->len, property) != NULL)
        return; /* under its other name */
    if (kind == VALUE_TEXT) {
        spoke_properties_append(system, property, value);
    } else if (spoke_utc_parse(value, &usec) || parse_dotnet_time(value, &usec)) {
        char number[24];

        g_snprintf(number, sizeof number, "%" G_GINT64_FORMAT, usec);
        spoke_properties_append(system, property, number);
    }
}

void
spoke_headers_parse(const char *name, const char *value, GByteArray *system, GByteArray *properties)
{
    g_autofree char *valid_name = g_utf8_make_valid(name, -1);
    g_autofree char *valid = g_utf8_make_valid(value, -1);

    for (size_t i = 0; i < G_N_ELEMENTS(down); i++) {
        if (g_ascii_strcasecmp(name, down[i].header) == 0) {
            append_system(system, down[i].property, down[i].kind, valid);
            return;
        }
    }
    if (g_ascii_strncasecmp(name, APP_PREFIX, strlen(APP_PREFIX)) == 0)
        spoke_properties_append(properties, valid_name + strlen(APP_PREFIX), valid);
}
