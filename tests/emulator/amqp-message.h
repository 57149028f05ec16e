/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "amqp-codec.h"

/* A message as it came: where its sections lie. Nothing is copied. Source: AMQP 1.0, part 3. */
typedef struct {
    EmuAmqpReader properties;  /* the items of the list; empty if there is none */
    EmuAmqpReader application; /* keys and values of application-properties */
    EmuAmqpReader annotations; /* keys and values of message-annotations */
    EmuAmqpReader first_data;  /* the bytes of the first data section */
    EmuAmqpReader sections;    /* the whole message, for emu_amqp_next_data() */
    guint data_count;
    EmuAmqpValue value; /* of amqp-value; code 0 if there is none */
} EmuAmqpMessage;

/* Fields of the properties section, by position. */
typedef enum {
    EMU_AMQP_MESSAGE_ID,
    EMU_AMQP_USER_ID,
    EMU_AMQP_TO,
    EMU_AMQP_SUBJECT,
    EMU_AMQP_REPLY_TO,
    EMU_AMQP_CORRELATION_ID,
    EMU_AMQP_CONTENT_TYPE,
    EMU_AMQP_CONTENT_ENCODING,
    EMU_AMQP_EXPIRY_TIME,
    EMU_AMQP_CREATION_TIME,
} EmuAmqpField;

/* Descriptors of sections. */
enum {
    EMU_AMQP_HEADER = 0x70,
    EMU_AMQP_DELIVERY_ANNOTATIONS = 0x71,
    EMU_AMQP_MESSAGE_ANNOTATIONS = 0x72,
    EMU_AMQP_PROPERTIES = 0x73,
    EMU_AMQP_APPLICATION_PROPERTIES = 0x74,
    EMU_AMQP_DATA = 0x75,
    EMU_AMQP_SEQUENCE = 0x76,
    EMU_AMQP_AMQP_VALUE = 0x77,
    EMU_AMQP_FOOTER = 0x78,
};

/**
 * emu_amqp_message_parse:
 *
 * Finds the sections, in whatever order they come: SDKs differ in it.
 *
 * Returns: NULL, or what is wrong with the message.
 */
const char *emu_amqp_message_parse(const guint8 *data, size_t size, EmuAmqpMessage *ret_message);

/* Takes the next data section off @sections, skipping others. FALSE when there is none. */
gboolean emu_amqp_next_data(EmuAmqpReader *sections, EmuAmqpReader *ret_data);

/**
 * emu_amqp_message_body:
 * @scratch: takes the body where it does not lie in one piece
 *
 * Returns: the body: all data sections, or the text or bytes of an amqp-value.
 */
EmuAmqpReader emu_amqp_message_body(const EmuAmqpMessage *message, GByteArray *scratch);

/* Looks up an application property. FALSE if it is not there. */
gboolean emu_amqp_message_find(const EmuAmqpMessage *message, const char *key,
                               EmuAmqpValue *ret_value);

/* Takes the next entry off a section that is a map; entries without a text as key are passed
 * over. FALSE at the end. */
gboolean emu_amqp_next_entry(EmuAmqpReader *entries, EmuAmqpValue *ret_key,
                             EmuAmqpValue *ret_value);

/* One field of the properties section. FALSE if it is null or not there. */
gboolean emu_amqp_message_field(const EmuAmqpMessage *message, EmuAmqpField field,
                                EmuAmqpValue *ret_value);
