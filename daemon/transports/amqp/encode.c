/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/transports/amqp/encode.h"

#include "daemon/properties.h"
#include "daemon/transports/amqp/wire.h"
#include "daemon/utc.h"

#include <string.h>

/*
 * Runs once per message sent, so it makes room for the worst case first and then writes through a
 * plain pointer; nothing is allocated for a message.
 */

/* Fields of the properties section. Source: AMQP 1.0, part 3.2.4. */
enum {
    FIELD_MESSAGE_ID,
    FIELD_USER_ID,
    FIELD_TO,
    FIELD_SUBJECT,
    FIELD_REPLY_TO,
    FIELD_CORRELATION_ID,
    FIELD_CONTENT_TYPE,
    FIELD_CONTENT_ENCODING,
    FIELD_EXPIRY,
    N_FIELDS,
};

/* Those that have no field travel as application properties. Source: iot-hub-protocol.md, 3.5. */
#define KEY_CREATION_TIME "iothub-creation-time-utc"
#define KEY_ACK           "iothub-ack"

typedef struct {
    const char *fields[N_FIELDS]; /* borrowed from the message; NULL without */
    const char *creation_time;
    const char *ack;
} System;

/* Heads of sections and maps, fixed names, times. */
#define SECTIONS_BYTES_MAX 512
/* The head of a name and its value. */
#define PAIR_BYTES_MAX 10

static int
find_field(const char *name)
{
    static const struct {
        const char *name;
        int field;
    } fields[] = {
        {SPOKE_PROPERTY_MESSAGE_ID, FIELD_MESSAGE_ID},
        {SPOKE_PROPERTY_USER_ID, FIELD_USER_ID},
        {SPOKE_PROPERTY_TO, FIELD_TO},
        {SPOKE_PROPERTY_CORRELATION_ID, FIELD_CORRELATION_ID},
        {SPOKE_PROPERTY_CONTENT_TYPE, FIELD_CONTENT_TYPE},
        {SPOKE_PROPERTY_CONTENT_ENCODING, FIELD_CONTENT_ENCODING},
        {SPOKE_PROPERTY_EXPIRY, FIELD_EXPIRY},
    };

    for (guint i = 0; i < G_N_ELEMENTS(fields); i++)
        if (strcmp(fields[i].name, name) == 0)
            return fields[i].field;
    return -1;
}

static void
read_system(const SpokeMessage *message, const char *message_id, System *ret_system)
{
    SpokePropertiesIter iter;
    const char *name = NULL, *value = NULL;

    *ret_system = (System){.fields[FIELD_MESSAGE_ID] = message_id};
    spoke_properties_iter_init(&iter, spoke_message_system(message), message->system_size);
    while (spoke_properties_iter_next(&iter, &name, &value)) {
        int field = find_field(name);

        if (field >= 0)
            ret_system->fields[field] = value;
        else if (strcmp(name, SPOKE_PROPERTY_CREATION_TIME) == 0)
            ret_system->creation_time = value;
        else if (strcmp(name, SPOKE_PROPERTY_ACK) == 0)
            ret_system->ack = value;
    }
}

static guint8 *
put_field(guint8 *out, guint field, const char *value)
{
    gint64 usec = 0;

    if (value == NULL)
        return spoke_amqp_put_null(out);

    switch (field) {
    case FIELD_USER_ID:
        return spoke_amqp_put_binary(out, value, strlen(value));
    case FIELD_CONTENT_TYPE:
    case FIELD_CONTENT_ENCODING:
        return spoke_amqp_put_symbol(out, value);
    case FIELD_EXPIRY:
        return g_ascii_string_to_signed(value, 10, G_MININT64, G_MAXINT64, &usec, NULL)
                   ? spoke_amqp_put_timestamp(out, usec / 1000)
                   : spoke_amqp_put_null(out);
    default:
        return spoke_amqp_put_string(out, value);
    }
}

static guint8 *
put_properties(guint8 *out, const System *system)
{
    guint n = N_FIELDS;

    while (n > 0 && system->fields[n - 1] == NULL)
        n--;
    if (n == 0)
        return out;
    out = spoke_amqp_put_descriptor(out, SPOKE_AMQP_PROPERTIES);

    guint8 *end = out + SPOKE_AMQP_OVERHEAD;

    for (guint i = 0; i < n; i++)
        end = put_field(end, i, system->fields[i]);
    return spoke_amqp_close_list(out, end, n);
}

static guint8 *
put_pair(guint8 *out, const char *name, const char *value, guint *count)
{
    *count += 2;
    return spoke_amqp_put_string(spoke_amqp_put_string(out, name), value);
}

static guint8 *
put_creation_time(guint8 *out, const char *value, guint *count)
{
    char time[SPOKE_UTC_SIZE];
    gint64 usec = 0;

    if (!g_ascii_string_to_signed(value, 10, G_MININT64, G_MAXINT64, &usec, NULL) ||
        !spoke_utc_format(usec, time))
        return out;
    return put_pair(out, KEY_CREATION_TIME, time, count);
}

static guint8 *
put_application_properties(guint8 *out, const SpokeMessage *message, const System *system)
{
    SpokePropertiesIter iter;
    const char *name = NULL, *value = NULL;
    guint count = 0;

    if (message->properties_size == 0 && system->creation_time == NULL && system->ack == NULL)
        return out;

    guint8 *map = spoke_amqp_put_descriptor(out, SPOKE_AMQP_APPLICATION_PROPERTIES);
    guint8 *end = map + SPOKE_AMQP_OVERHEAD;

    spoke_properties_iter_init(&iter, spoke_message_properties(message), message->properties_size);
    while (spoke_properties_iter_next(&iter, &name, &value))
        end = put_pair(end, name, value, &count);
    if (system->creation_time != NULL)
        end = put_creation_time(end, system->creation_time, &count);
    if (system->ack != NULL)
        end = put_pair(end, KEY_ACK, system->ack, &count);
    return count > 0 ? spoke_amqp_close_map(map, end, count) : out;
}

static guint8 *
put_message(guint8 *out, const SpokeMessage *message, const char *message_id)
{
    System system;

    read_system(message, message_id, &system);
    out = put_properties(out, &system);
    out = put_application_properties(out, message, &system);
    out = spoke_amqp_put_descriptor(out, SPOKE_AMQP_DATA);
    return spoke_amqp_put_binary(out, spoke_message_body(message), message->body_size);
}

const char *
spoke_amqp_find_fault(const SpokeMessage *message)
{
    const char *type = spoke_message_lookup_system(message, SPOKE_PROPERTY_CONTENT_TYPE);
    const char *encoding = spoke_message_lookup_system(message, SPOKE_PROPERTY_CONTENT_ENCODING);

    if (type != NULL && !g_str_is_ascii(type))
        return "content-type is not ASCII, which AMQP can't carry";
    if (encoding != NULL && !g_str_is_ascii(encoding))
        return "content-encoding is not ASCII, which AMQP can't carry";
    return NULL;
}

gsize
spoke_amqp_encoded_max(const SpokeMessage *message, const char *message_id)
{
    gsize id_size = message_id != NULL ? strlen(message_id) : 0;
    /* A packed pair has two bytes at least, so this is the most pairs there can be. But the usual
     * few are long: count them by their NULs. */
    gsize n = 0;
    const char *data = spoke_message_system(message);
    const char *end = data + message->system_size + message->properties_size;

    while (data < end && (data = memchr(data, '\0', (gsize)(end - data))) != NULL) {
        data++;
        n++;
    }
    return SECTIONS_BYTES_MAX + id_size + message->system_size + message->properties_size +
           n * PAIR_BYTES_MAX / 2 + message->body_size;
}

void
spoke_amqp_encode(GByteArray *out, const SpokeMessage *message, const char *message_id)
{
    guint size = out->len;

    g_byte_array_set_size(out, size + (guint)spoke_amqp_encoded_max(message, message_id));

    guint8 *end = put_message(out->data + size, message, message_id);

    g_byte_array_set_size(out, (guint)(end - out->data));
}

void
spoke_amqp_encode_entry(GByteArray *out, const SpokeMessage *message, const char *message_id)
{
    guint size = out->len;

    g_byte_array_set_size(out, size + (guint)spoke_amqp_encoded_max(message, message_id));

    guint8 *entry = spoke_amqp_put_descriptor(out->data + size, SPOKE_AMQP_DATA);
    guint8 *end = put_message(entry + SPOKE_AMQP_OVERHEAD, message, message_id);

    end = spoke_amqp_close_binary(entry, end);
    g_byte_array_set_size(out, (guint)(end - out->data));
}

void
spoke_amqp_encode_put_token(GByteArray *out, guint64 message_id, const char *audience,
                            const char *token)
{
    guint size = out->len;
    guint count = 0;

    g_byte_array_set_size(out,
                          size + SECTIONS_BYTES_MAX + (guint)(strlen(audience) + strlen(token)));

    guint8 *list = spoke_amqp_put_descriptor(out->data + size, SPOKE_AMQP_PROPERTIES);
    guint8 *end = spoke_amqp_put_ulong(list + SPOKE_AMQP_OVERHEAD, message_id);

    end = spoke_amqp_put_null(end); /* user-id */
    end = spoke_amqp_put_string(end, "$cbs");
    end = spoke_amqp_put_null(end); /* subject */
    end = spoke_amqp_put_string(end, "cbs");
    end = spoke_amqp_close_list(list, end, FIELD_REPLY_TO + 1);

    guint8 *map = spoke_amqp_put_descriptor(end, SPOKE_AMQP_APPLICATION_PROPERTIES);

    end = put_pair(map + SPOKE_AMQP_OVERHEAD, "operation", "put-token", &count);
    end = put_pair(end, "type", "servicebus.windows.net:sastoken", &count);
    end = put_pair(end, "name", audience, &count);
    end = spoke_amqp_close_map(map, end, count);

    end = spoke_amqp_put_descriptor(end, SPOKE_AMQP_VALUE);
    end = spoke_amqp_put_string(end, token);
    g_byte_array_set_size(out, (guint)(end - out->data));
}
