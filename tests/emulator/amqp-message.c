/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Sections are told apart by their descriptors alone. A message of unknown sections is refused,
 * as is one whose section is not of its type: what is stored was understood. */

#include "amqp-message.h"

/* Takes one section off. FALSE: no section is there. */
static gboolean
next_section(EmuAmqpReader *reader, guint64 *ret_code, EmuAmqpValue *ret_value)
{
    return emu_amqp_read_descriptor(reader, ret_code) && emu_amqp_read(reader, ret_value);
}

static const char *
take_section(EmuAmqpMessage *message, guint64 code, const EmuAmqpValue *value)
{
    switch (code) {
    case EMU_AMQP_PROPERTIES:
        return emu_amqp_list_items(value, &message->properties) ? NULL : "Properties are no list";
    case EMU_AMQP_APPLICATION_PROPERTIES:
        return emu_amqp_map_items(value, &message->application)
                   ? NULL
                   : "Application properties are no map";
    case EMU_AMQP_MESSAGE_ANNOTATIONS:
        return emu_amqp_map_items(value, &message->annotations) ? NULL
                                                                : "Message annotations are no map";
    case EMU_AMQP_DATA:
        if (!emu_amqp_is_binary(value))
            return "Data is not binary";
        if (message->data_count++ == 0)
            message->first_data = (EmuAmqpReader){value->data, value->size};
        return NULL;
    case EMU_AMQP_AMQP_VALUE:
        message->value = *value;
        return NULL;
    case EMU_AMQP_HEADER:
    case EMU_AMQP_DELIVERY_ANNOTATIONS:
    case EMU_AMQP_SEQUENCE:
    case EMU_AMQP_FOOTER:
        return NULL;
    default:
        return "Unknown section";
    }
}

const char *
emu_amqp_message_parse(const guint8 *data, size_t size, EmuAmqpMessage *ret_message)
{
    EmuAmqpReader reader = {data, size};

    *ret_message = (EmuAmqpMessage){.sections = reader};
    while (reader.size > 0) {
        EmuAmqpValue value;
        guint64 code = 0;
        if (!next_section(&reader, &code, &value))
            return "Not a complete section";
        const char *wrong = take_section(ret_message, code, &value);
        if (wrong != NULL)
            return wrong;
    }
    return NULL;
}

gboolean
emu_amqp_next_data(EmuAmqpReader *sections, EmuAmqpReader *ret_data)
{
    EmuAmqpValue value;
    guint64 code = 0;

    while (next_section(sections, &code, &value)) {
        if (code == EMU_AMQP_DATA) {
            *ret_data = (EmuAmqpReader){value.data, value.size};
            return TRUE;
        }
    }
    return FALSE;
}

EmuAmqpReader
emu_amqp_message_body(const EmuAmqpMessage *message, GByteArray *scratch)
{
    EmuAmqpReader sections = message->sections;
    EmuAmqpReader piece;

    if (message->data_count == 1)
        return message->first_data;
    if (message->data_count == 0 &&
        (emu_amqp_is_text(&message->value) || emu_amqp_is_binary(&message->value)))
        return (EmuAmqpReader){message->value.data, message->value.size};

    g_byte_array_set_size(scratch, 0);
    while (emu_amqp_next_data(&sections, &piece))
        g_byte_array_append(scratch, piece.data, (guint)piece.size);
    return (EmuAmqpReader){scratch->data, scratch->len};
}

gboolean
emu_amqp_next_entry(EmuAmqpReader *entries, EmuAmqpValue *ret_key, EmuAmqpValue *ret_value)
{
    while (emu_amqp_read(entries, ret_key) && emu_amqp_read(entries, ret_value)) {
        if (emu_amqp_is_text(ret_key))
            return TRUE;
    }
    return FALSE;
}

gboolean
emu_amqp_message_find(const EmuAmqpMessage *message, const char *key, EmuAmqpValue *ret_value)
{
    EmuAmqpReader entries = message->application;
    EmuAmqpValue found;

    while (emu_amqp_next_entry(&entries, &found, ret_value)) {
        if (emu_amqp_text_equals(&found, key))
            return TRUE;
    }
    return FALSE;
}

gboolean
emu_amqp_message_field(const EmuAmqpMessage *message, EmuAmqpField field, EmuAmqpValue *ret_value)
{
    EmuAmqpReader items = message->properties;

    for (int i = 0; i <= (int)field; i++) {
        if (!emu_amqp_read(&items, ret_value))
            return FALSE;
    }
    return ret_value->code != EMU_AMQP_NULL;
}
