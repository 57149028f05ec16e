/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/transports/amqp/decode.h"

#include "daemon/properties.h"
#include "daemon/transports/amqp/wire.h"
#include "daemon/utc.h"

#include <string.h>

/*
 * The body may be several data sections, which are one body in pieces, or one value that is text
 * or bytes. Of the header and the annotations only the delivery count has a place on this side,
 * which may stand in either.
 */

typedef struct {
    GByteArray *system;
    GByteArray *properties;
    GByteArray *body;
    gint64 delivery_count; /* as told in either place, or 0 */
} Parts;

/* The fields of the properties section, in their order; NULL: not told. Source: AMQP 1.0, part
 * 3.2.4. */
static const char *const field_names[] = {
    SPOKE_PROPERTY_MESSAGE_ID,
    SPOKE_PROPERTY_USER_ID,
    SPOKE_PROPERTY_TO,
    NULL, /* subject */
    NULL, /* reply-to */
    SPOKE_PROPERTY_CORRELATION_ID,
    SPOKE_PROPERTY_CONTENT_TYPE,
    SPOKE_PROPERTY_CONTENT_ENCODING,
    SPOKE_PROPERTY_EXPIRY,
    SPOKE_PROPERTY_CREATION_TIME,
};

static void
append_time(GByteArray *list, const char *name, gint64 usec)
{
    char digits[24];

    g_snprintf(digits, sizeof digits, "%" G_GINT64_FORMAT, usec);
    spoke_properties_append(list, name, digits);
}

static void
take_field(GByteArray *list, const char *name, const SpokeAmqpValue *value)
{
    gint64 usec = 0;
    gboolean is_time =
        g_str_equal(name, SPOKE_PROPERTY_EXPIRY) || g_str_equal(name, SPOKE_PROPERTY_CREATION_TIME);

    if (spoke_amqp_is_null(value))
        return;
    if (is_time) {
        if (spoke_amqp_get_time(value, &usec))
            append_time(list, name, usec);
        return;
    }

    g_autofree char *text = spoke_amqp_to_text(value);

    if (text != NULL)
        spoke_properties_append(list, name, text);
}

static void
take_properties(GByteArray *list, const SpokeAmqpValue *section)
{
    SpokeAmqpReader members;
    SpokeAmqpValue value;

    if (!spoke_amqp_enter(section, &members))
        return;
    for (guint i = 0; i < G_N_ELEMENTS(field_names) && spoke_amqp_read(&members, &value); i++)
        if (field_names[i] != NULL)
            take_field(list, field_names[i], &value);
}

/* Source: iot-hub-protocol.md, 3.5 and 3.6. */
static void
take_application_property(Parts *parts, const char *name, const char *value)
{
    gint64 usec = 0;

    if (g_str_equal(name, "iothub-ack"))
        spoke_properties_append(parts->system, SPOKE_PROPERTY_ACK, value);
    else if (!g_str_equal(name, "iothub-creation-time-utc"))
        spoke_properties_append(parts->properties, name, value);
    else if (spoke_utc_parse(value, &usec))
        append_time(parts->system, SPOKE_PROPERTY_CREATION_TIME, usec);
}

static void
take_application_properties(Parts *parts, const SpokeAmqpValue *section)
{
    SpokeAmqpReader members;
    SpokeAmqpValue key, value;

    if (!spoke_amqp_enter(section, &members))
        return;
    while (spoke_amqp_read(&members, &key) && spoke_amqp_read(&members, &value)) {
        g_autofree char *name = spoke_amqp_to_text(&key);
        g_autofree char *text = spoke_amqp_to_text(&value);

        if (name != NULL && *name != '\0' && text != NULL)
            take_application_property(parts, name, text);
    }
}

static void
take_body(GByteArray *body, const SpokeAmqpValue *section)
{
    const guint8 *data = NULL;
    gsize size = 0;

    if (spoke_amqp_get_bytes(section, &data, &size) && size > 0)
        g_byte_array_append(body, data, (guint)size);
}

static void
take_delivery_count(Parts *parts, const SpokeAmqpValue *value)
{
    gint64 count = 0;

    if (spoke_amqp_get_number(value, &count))
        parts->delivery_count = MAX(parts->delivery_count, count);
}

/* Its fifth field. Source: AMQP 1.0, part 3.2.1. */
static void
take_header(Parts *parts, const SpokeAmqpValue *section)
{
    SpokeAmqpReader members;
    SpokeAmqpValue value;

    if (!spoke_amqp_enter(section, &members))
        return;
    for (guint i = 0; i < 5; i++)
        if (!spoke_amqp_read(&members, &value))
            return;
    take_delivery_count(parts, &value);
}

/* Source: iot-hub-protocol.md, 3.6. */
static void
take_annotations(Parts *parts, const SpokeAmqpValue *section)
{
    SpokeAmqpReader members;
    SpokeAmqpValue key, value;

    if (!spoke_amqp_enter(section, &members))
        return;
    while (spoke_amqp_read(&members, &key) && spoke_amqp_read(&members, &value)) {
        g_autofree char *name = spoke_amqp_to_text(&key);

        if (g_strcmp0(name, "iothub-deliverycount") == 0)
            take_delivery_count(parts, &value);
    }
}

static void
take_section(Parts *parts, guint64 descriptor, const SpokeAmqpValue *section)
{
    switch (descriptor) {
    case SPOKE_AMQP_HEADER:
        take_header(parts, section);
        break;
    case SPOKE_AMQP_MESSAGE_ANNOTATIONS:
        take_annotations(parts, section);
        break;
    case SPOKE_AMQP_PROPERTIES:
        take_properties(parts->system, section);
        break;
    case SPOKE_AMQP_APPLICATION_PROPERTIES:
        take_application_properties(parts, section);
        break;
    case SPOKE_AMQP_DATA:
    case SPOKE_AMQP_VALUE:
        take_body(parts->body, section);
        break;
    }
}

SpokeMessage *
spoke_amqp_decode(const void *data, gsize size)
{
    g_autoptr(GByteArray) system = g_byte_array_new();
    g_autoptr(GByteArray) properties = g_byte_array_new();
    g_autoptr(GByteArray) body = g_byte_array_new();
    Parts parts = {.system = system, .properties = properties, .body = body};
    SpokeAmqpReader reader = {.at = data, .end = (const guint8 *)data + size};
    SpokeAmqpValue section;
    guint64 descriptor = 0;

    while (reader.at < reader.end) {
        if (!spoke_amqp_read_described(&reader, &descriptor, &section))
            return NULL;
        take_section(&parts, descriptor, &section);
    }

    SpokeMessage *message = spoke_message_new(system->data, system->len, properties->data,
                                              properties->len, body->data, body->len);

    message->delivery_count = (guint)CLAMP(parts.delivery_count, 0, G_MAXUINT16);
    return message;
}

static void
take_correlation_id(const SpokeAmqpValue *section, SpokeAmqpAnswer *answer)
{
    SpokeAmqpReader members;
    SpokeAmqpValue value;

    if (!spoke_amqp_enter(section, &members))
        return;
    for (guint i = 0; i < G_N_ELEMENTS(field_names) && spoke_amqp_read(&members, &value); i++)
        if (g_strcmp0(field_names[i], SPOKE_PROPERTY_CORRELATION_ID) == 0)
            (void)spoke_amqp_get_number(&value, &answer->correlation_id);
}

static void
take_status(const SpokeAmqpValue *section, SpokeAmqpAnswer *answer)
{
    SpokeAmqpReader members;
    SpokeAmqpValue key, value;

    if (!spoke_amqp_enter(section, &members))
        return;
    while (spoke_amqp_read(&members, &key) && spoke_amqp_read(&members, &value)) {
        g_autofree char *name = spoke_amqp_to_text(&key);

        if (g_strcmp0(name, "status-code") == 0) {
            (void)spoke_amqp_get_number(&value, &answer->status);
        } else if (g_strcmp0(name, "status-description") == 0) {
            g_free(answer->description);
            answer->description = spoke_amqp_to_text(&value);
        }
    }
}

gboolean
spoke_amqp_decode_answer(const void *data, gsize size, SpokeAmqpAnswer *ret_answer)
{
    g_auto(SpokeAmqpAnswer) answer = {.correlation_id = -1, .status = -1};
    SpokeAmqpReader reader = {.at = data, .end = (const guint8 *)data + size};
    SpokeAmqpValue section;
    guint64 descriptor = 0;

    while (reader.at < reader.end) {
        if (!spoke_amqp_read_described(&reader, &descriptor, &section))
            return FALSE;
        if (descriptor == SPOKE_AMQP_PROPERTIES)
            take_correlation_id(&section, &answer);
        else if (descriptor == SPOKE_AMQP_APPLICATION_PROPERTIES)
            take_status(&section, &answer);
    }
    *ret_answer = answer;
    answer.description = NULL;
    return TRUE;
}

void
spoke_amqp_answer_clear(SpokeAmqpAnswer *answer)
{
    g_clear_pointer(&answer->description, g_free);
}
