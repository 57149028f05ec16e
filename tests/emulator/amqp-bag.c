/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Where AMQP has a place of its own for a property, the bag has a key that starts with "$.". */

#include "amqp-bag.h"

#include "bag.h"
#include "json-text.h"

#include <string.h>

/* The end of the year 9999. */
#define TIME_MAX_MS G_GINT64_CONSTANT(253402300799999)

static const struct {
    EmuAmqpField field;
    const char *key;
} fields[] = {
    {EMU_AMQP_MESSAGE_ID, "$.mid"},  {EMU_AMQP_CORRELATION_ID, "$.cid"},
    {EMU_AMQP_USER_ID, "$.uid"},     {EMU_AMQP_TO, "$.to"},
    {EMU_AMQP_CONTENT_TYPE, "$.ct"}, {EMU_AMQP_CONTENT_ENCODING, "$.ce"},
    {EMU_AMQP_EXPIRY_TIME, "$.exp"}, {EMU_AMQP_CREATION_TIME, "$.ctime"},
};

/* Names in application-properties and message-annotations that the hub takes for its own. */
typedef struct {
    const char *name;
    const char *key;
} SystemName;

static const SystemName application_names[] = {
    {"iothub-creation-time-utc", "$.ctime"},
    {"iothub-outputname", "$.on"},
    {"iothub-message-schema", "$.schema"},
    {NULL, NULL},
};

static const SystemName annotation_names[] = {
    {"iothub-interface-id", "$.ifid"},
    {"dt-subject", "$.sub"},
    {"Diagnostic-Id", "$.diagid"},
    {"Correlation-Context", "$.diagctx"},
    {NULL, NULL},
};

/* Text goes as it lies there, anything else spelled out. */
static void
append(GString *bag, const char *key, size_t key_size, const EmuAmqpValue *value)
{
    if (emu_amqp_is_text(value) || emu_amqp_is_binary(value)) {
        emu_bag_append_sized(bag, key, key_size, (const char *)value->data, value->size);
        return;
    }
    g_autofree char *text = emu_amqp_to_text(value);
    emu_bag_append_sized(bag, key, key_size, text, text != NULL ? strlen(text) : 0);
}

static void
append_time(GString *bag, const char *key, const EmuAmqpValue *value)
{
    gint64 unix_ms = 0;

    if (!emu_amqp_get_signed(value, &unix_ms) || unix_ms < 0 || unix_ms > TIME_MAX_MS)
        return;
    g_autofree char *text = emu_time_to_text(unix_ms * 1000);
    emu_bag_append(bag, key, text);
}

static void
append_fields(GString *bag, const EmuAmqpMessage *message)
{
    for (size_t i = 0; i < G_N_ELEMENTS(fields); i++) {
        EmuAmqpValue value;
        if (!emu_amqp_message_field(message, fields[i].field, &value))
            continue;
        if (fields[i].field >= EMU_AMQP_EXPIRY_TIME)
            append_time(bag, fields[i].key, &value);
        else
            append(bag, fields[i].key, strlen(fields[i].key), &value);
    }
}

static const char *
find_key(const SystemName *names, const EmuAmqpValue *name)
{
    for (; names->name != NULL; names++) {
        if (emu_amqp_text_equals(name, names->name))
            return names->key;
    }
    return NULL;
}

static void
append_application(GString *bag, const EmuAmqpMessage *message)
{
    EmuAmqpReader entries = message->application;
    EmuAmqpValue name;
    EmuAmqpValue value;

    while (emu_amqp_next_entry(&entries, &name, &value)) {
        const char *key = find_key(application_names, &name);
        if (key != NULL)
            append(bag, key, strlen(key), &value);
        else
            append(bag, (const char *)name.data, name.size, &value);
    }
}

/* Annotations that are not known are dropped: they speak to the next hop, which is us. */
static void
append_annotations(GString *bag, const EmuAmqpMessage *message)
{
    EmuAmqpReader entries = message->annotations;
    EmuAmqpValue name;
    EmuAmqpValue value;

    while (emu_amqp_next_entry(&entries, &name, &value)) {
        const char *key = find_key(annotation_names, &name);
        if (key != NULL)
            append(bag, key, strlen(key), &value);
    }
}

void
emu_amqp_to_bag(const EmuAmqpMessage *message, GString *bag)
{
    if (message->properties.size > 0)
        append_fields(bag, message);
    append_application(bag, message);
    append_annotations(bag, message);
}
