/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* AMQP 1.0 types as bytes. Proton reads and writes the frames; what lies inside a message is read
 * here, in place, because nearly all of it is only looked at. Source: AMQP 1.0, part 1. */

/* What is not read yet. Borrowed bytes. */
typedef struct {
    const guint8 *data;
    size_t size;
} EmuAmqpReader;

/* Format codes that are asked for by name. */
enum {
    EMU_AMQP_DESCRIBED = 0x00,
    EMU_AMQP_NULL = 0x40,
    EMU_AMQP_UUID = 0x98,
};

/* One value where it lies: for a list or a map @data are the items. */
typedef struct {
    guint8 code;        /* its format code */
    guint32 count;      /* items of a list or map, 0 for others */
    const guint8 *data; /* borrowed */
    size_t size;
} EmuAmqpValue;

/* Takes the next value off; a described value is skipped to its end. FALSE: what is there is no
 * complete value. */
gboolean emu_amqp_read(EmuAmqpReader *reader, EmuAmqpValue *ret_value);

/* Takes a descriptor off, the numeric form. FALSE: something else is there. */
gboolean emu_amqp_read_descriptor(EmuAmqpReader *reader, guint64 *ret_code);

/* The items of a list, or the keys and values of a map. FALSE: it is neither. */
gboolean emu_amqp_list_items(const EmuAmqpValue *value, EmuAmqpReader *ret_items);
gboolean emu_amqp_map_items(const EmuAmqpValue *value, EmuAmqpReader *ret_items);

gboolean emu_amqp_is_binary(const EmuAmqpValue *value);

/* A string or a symbol. */
gboolean emu_amqp_is_text(const EmuAmqpValue *value);
gboolean emu_amqp_text_equals(const EmuAmqpValue *value, const char *text);

/* Any unsigned integer. */
gboolean emu_amqp_get_unsigned(const EmuAmqpValue *value, guint64 *ret_number);

/* Any signed integer, or a timestamp. */
gboolean emu_amqp_get_signed(const EmuAmqpValue *value, gint64 *ret_number);

/* Returns: (transfer full) (nullable): any scalar as text; NULL for null and for compounds. */
char *emu_amqp_to_text(const EmuAmqpValue *value);

void emu_amqp_write_null(GByteArray *out);
void emu_amqp_write_ubyte(GByteArray *out, guint8 number);
void emu_amqp_write_uint(GByteArray *out, guint32 number);
void emu_amqp_write_int(GByteArray *out, gint32 number);
void emu_amqp_write_ulong(GByteArray *out, guint64 number);
void emu_amqp_write_timestamp(GByteArray *out, gint64 unix_ms);
void emu_amqp_write_uuid(GByteArray *out, const guint8 uuid[16]);
void emu_amqp_write_string(GByteArray *out, const char *text);
void emu_amqp_write_symbol(GByteArray *out, const char *text);
void emu_amqp_write_binary(GByteArray *out, const void *data, size_t size);

/* A value as it was read, with its constructor. Not for lists and maps. */
void emu_amqp_write_value(GByteArray *out, const EmuAmqpValue *value);

/* The descriptor of a section. */
void emu_amqp_write_descriptor(GByteArray *out, guint8 code);

/* Brackets around the items of a list or map: begin, write them, end with how many there are.
 * begin returns what end needs. */
guint emu_amqp_begin_list(GByteArray *out);
guint emu_amqp_begin_map(GByteArray *out);
void emu_amqp_end(GByteArray *out, guint begun, guint32 count);
