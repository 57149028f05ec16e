/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The upper half of a format code says how wide a value is, so that skipping needs no table of
 * types. Nothing here trusts a length before it has compared it with what is there. */

#include "amqp-codec.h"

#include <string.h>

/* How deep a descriptor may be described itself. */
#define DESCRIPTOR_DEPTH_MAX 4

enum {
    TRUE_CODE = 0x41,
    FALSE_CODE = 0x42,
    UINT_ZERO = 0x43,
    ULONG_ZERO = 0x44,
    EMPTY_LIST = 0x45,
    UBYTE = 0x50,
    BYTE = 0x51,
    SMALL_UINT = 0x52,
    SMALL_ULONG = 0x53,
    SMALL_INT = 0x54,
    SMALL_LONG = 0x55,
    BOOLEAN = 0x56,
    USHORT = 0x60,
    SHORT = 0x61,
    UINT = 0x70,
    INT = 0x71,
    FLOAT = 0x72,
    CHAR = 0x73,
    ULONG = 0x80,
    LONG = 0x81,
    DOUBLE = 0x82,
    TIMESTAMP = 0x83,
    BINARY8 = 0xa0,
    STRING8 = 0xa1,
    SYMBOL8 = 0xa3,
    BINARY32 = 0xb0,
    STRING32 = 0xb1,
    SYMBOL32 = 0xb3,
    LIST8 = 0xc0,
    MAP8 = 0xc1,
    LIST32 = 0xd0,
    MAP32 = 0xd1,
};

static guint64
read_big_endian(const guint8 *data, size_t size)
{
    guint64 number = 0;

    for (size_t i = 0; i < size; i++)
        number = number << 8 | data[i];
    return number;
}

/* Takes @size bytes off as one number. */
static gboolean
take_number(EmuAmqpReader *reader, size_t size, guint64 *ret_number)
{
    if (reader->size < size)
        return FALSE;
    *ret_number = read_big_endian(reader->data, size);
    reader->data += size;
    reader->size -= size;
    return TRUE;
}

/* How many bytes follow the constructor, and for compounds how many items they are. */
static gboolean
take_size(EmuAmqpReader *reader, guint8 code, guint64 *ret_size, guint64 *ret_count)
{
    static const guint8 fixed[] = {[4] = 0, [5] = 1, [6] = 2, [7] = 4, [8] = 8, [9] = 16};
    guint8 width = code >> 4;

    *ret_count = 0;
    if (width >= 4 && width <= 9) {
        *ret_size = fixed[width];
        return TRUE;
    }
    if (width < 0xa)
        return FALSE;

    size_t number_size = width % 2 == 0 ? 1 : 4;
    if (!take_number(reader, number_size, ret_size))
        return FALSE;
    if (width <= 0xb)
        return TRUE;
    if (*ret_size < number_size || !take_number(reader, number_size, ret_count))
        return FALSE;
    *ret_size -= number_size;
    return TRUE;
}

static gboolean
read_plain(EmuAmqpReader *reader, guint8 code, EmuAmqpValue *ret_value)
{
    guint64 size = 0;
    guint64 count = 0;

    if (!take_size(reader, code, &size, &count) || size > reader->size)
        return FALSE;
    *ret_value = (EmuAmqpValue){code, (guint32)count, reader->data, (size_t)size};
    reader->data += size;
    reader->size -= (size_t)size;
    return TRUE;
}

static gboolean
read_nested(EmuAmqpReader *reader, EmuAmqpValue *ret_value, guint depth)
{
    guint64 code = 0;

    if (depth > DESCRIPTOR_DEPTH_MAX || !take_number(reader, 1, &code))
        return FALSE;
    if (code != EMU_AMQP_DESCRIBED)
        return read_plain(reader, (guint8)code, ret_value);

    EmuAmqpValue part;
    if (!read_nested(reader, &part, depth + 1) || !read_nested(reader, &part, depth + 1))
        return FALSE;
    *ret_value = (EmuAmqpValue){EMU_AMQP_DESCRIBED, 0, part.data, part.size};
    return TRUE;
}

gboolean
emu_amqp_read(EmuAmqpReader *reader, EmuAmqpValue *ret_value)
{
    return read_nested(reader, ret_value, 0);
}

gboolean
emu_amqp_read_descriptor(EmuAmqpReader *reader, guint64 *ret_code)
{
    EmuAmqpReader rest = *reader;
    EmuAmqpValue value;
    guint64 constructor = 0;

    if (!take_number(&rest, 1, &constructor) || constructor != EMU_AMQP_DESCRIBED ||
        !emu_amqp_read(&rest, &value) || !emu_amqp_get_unsigned(&value, ret_code))
        return FALSE;
    *reader = rest;
    return TRUE;
}

gboolean
emu_amqp_list_items(const EmuAmqpValue *value, EmuAmqpReader *ret_items)
{
    if (value->code != LIST8 && value->code != LIST32 && value->code != EMPTY_LIST)
        return FALSE;
    *ret_items = (EmuAmqpReader){value->data, value->size};
    return TRUE;
}

gboolean
emu_amqp_map_items(const EmuAmqpValue *value, EmuAmqpReader *ret_items)
{
    if (value->code != MAP8 && value->code != MAP32)
        return FALSE;
    *ret_items = (EmuAmqpReader){value->data, value->size};
    return TRUE;
}

gboolean
emu_amqp_is_binary(const EmuAmqpValue *value)
{
    return value->code == BINARY8 || value->code == BINARY32;
}

gboolean
emu_amqp_is_text(const EmuAmqpValue *value)
{
    return value->code == STRING8 || value->code == STRING32 || value->code == SYMBOL8 ||
           value->code == SYMBOL32;
}

gboolean
emu_amqp_text_equals(const EmuAmqpValue *value, const char *text)
{
    return emu_amqp_is_text(value) && value->size == strlen(text) &&
           memcmp(value->data, text, value->size) == 0;
}

gboolean
emu_amqp_get_unsigned(const EmuAmqpValue *value, guint64 *ret_number)
{
    switch (value->code) {
    case UINT_ZERO:
    case ULONG_ZERO:
    case UBYTE:
    case SMALL_UINT:
    case SMALL_ULONG:
    case USHORT:
    case UINT:
    case ULONG:
        *ret_number = read_big_endian(value->data, value->size);
        return TRUE;
    default:
        return FALSE;
    }
}

gboolean
emu_amqp_get_signed(const EmuAmqpValue *value, gint64 *ret_number)
{
    guint64 number = read_big_endian(value->data, MIN(value->size, 8));

    switch (value->code) {
    case BYTE:
    case SMALL_INT:
    case SMALL_LONG:
        *ret_number = (gint8)number;
        return TRUE;
    case SHORT:
        *ret_number = (gint16)number;
        return TRUE;
    case INT:
        *ret_number = (gint32)number;
        return TRUE;
    case LONG:
    case TIMESTAMP:
        *ret_number = (gint64)number;
        return TRUE;
    default:
        return FALSE;
    }
}

static char *
uuid_to_text(const guint8 *u)
{
    return g_strdup_printf("%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
                           u[0], u[1], u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11],
                           u[12], u[13], u[14], u[15]);
}

static char *
real_to_text(const EmuAmqpValue *value)
{
    char text[G_ASCII_DTOSTR_BUF_SIZE];
    guint64 bits = read_big_endian(value->data, value->size);
    double number = 0;

    if (value->code == DOUBLE) {
        memcpy(&number, &bits, sizeof number);
    } else {
        guint32 half = (guint32)bits;
        float single = 0;
        memcpy(&single, &half, sizeof single);
        number = (double)single;
    }
    return g_strdup(
        g_ascii_formatd(text, sizeof text, value->code == DOUBLE ? "%.17g" : "%.9g", number));
}

char *
emu_amqp_to_text(const EmuAmqpValue *value)
{
    guint64 positive = 0;
    gint64 number = 0;

    if (emu_amqp_is_text(value) || emu_amqp_is_binary(value))
        return g_strndup((const char *)value->data, value->size);
    if (emu_amqp_get_unsigned(value, &positive))
        return g_strdup_printf("%" G_GUINT64_FORMAT, positive);
    if (emu_amqp_get_signed(value, &number))
        return g_strdup_printf("%" G_GINT64_FORMAT, number);

    switch (value->code) {
    case EMU_AMQP_UUID:
        return uuid_to_text(value->data);
    case TRUE_CODE:
        return g_strdup("true");
    case FALSE_CODE:
        return g_strdup("false");
    case BOOLEAN:
        return g_strdup(value->data[0] != 0 ? "true" : "false");
    case FLOAT:
    case DOUBLE:
        return real_to_text(value);
    case CHAR: {
        gunichar character = (gunichar)read_big_endian(value->data, 4);
        return g_unichar_validate(character) ? g_ucs4_to_utf8(&character, 1, NULL, NULL, NULL)
                                             : NULL;
    }
    default:
        return NULL;
    }
}

static void
write_byte(GByteArray *out, guint8 byte)
{
    g_byte_array_append(out, &byte, 1);
}

static void
write_big_endian(GByteArray *out, guint64 number, guint size)
{
    for (guint i = size; i-- > 0;)
        write_byte(out, (guint8)(number >> (8 * i)));
}

/* A constructor with a length in one byte or in four. */
static void
write_variable(GByteArray *out, guint8 short_code, const void *data, size_t size)
{
    if (size <= G_MAXUINT8) {
        write_byte(out, short_code);
        write_byte(out, (guint8)size);
    } else {
        write_byte(out, short_code + 0x10);
        write_big_endian(out, size, 4);
    }
    if (size > 0)
        g_byte_array_append(out, data, (guint)size);
}

void
emu_amqp_write_null(GByteArray *out)
{
    write_byte(out, EMU_AMQP_NULL);
}

void
emu_amqp_write_ubyte(GByteArray *out, guint8 number)
{
    write_byte(out, UBYTE);
    write_byte(out, number);
}

void
emu_amqp_write_uint(GByteArray *out, guint32 number)
{
    write_byte(out, UINT);
    write_big_endian(out, number, 4);
}

void
emu_amqp_write_int(GByteArray *out, gint32 number)
{
    write_byte(out, INT);
    write_big_endian(out, (guint32)number, 4);
}

void
emu_amqp_write_ulong(GByteArray *out, guint64 number)
{
    write_byte(out, ULONG);
    write_big_endian(out, number, 8);
}

void
emu_amqp_write_timestamp(GByteArray *out, gint64 unix_ms)
{
    write_byte(out, TIMESTAMP);
    write_big_endian(out, (guint64)unix_ms, 8);
}

void
emu_amqp_write_uuid(GByteArray *out, const guint8 uuid[16])
{
    write_byte(out, EMU_AMQP_UUID);
    g_byte_array_append(out, uuid, 16);
}

void
emu_amqp_write_string(GByteArray *out, const char *text)
{
    write_variable(out, STRING8, text, strlen(text));
}

void
emu_amqp_write_symbol(GByteArray *out, const char *text)
{
    write_variable(out, SYMBOL8, text, strlen(text));
}

void
emu_amqp_write_binary(GByteArray *out, const void *data, size_t size)
{
    write_variable(out, BINARY8, data, size);
}

void
emu_amqp_write_value(GByteArray *out, const EmuAmqpValue *value)
{
    if (value->code >> 4 >= 0xa) {
        write_variable(out, value->code >> 4 == 0xa ? value->code : value->code - 0x10, value->data,
                       value->size);
        return;
    }
    write_byte(out, value->code);
    g_byte_array_append(out, value->data, (guint)value->size);
}

void
emu_amqp_write_descriptor(GByteArray *out, guint8 code)
{
    const guint8 descriptor[] = {EMU_AMQP_DESCRIBED, SMALL_ULONG, code};

    g_byte_array_append(out, descriptor, sizeof descriptor);
}

/* Room for size and count, to be filled in at the end. */
static guint
begin(GByteArray *out, guint8 code)
{
    write_byte(out, code);
    write_big_endian(out, 0, 8);
    return out->len;
}

guint
emu_amqp_begin_list(GByteArray *out)
{
    return begin(out, LIST32);
}

guint
emu_amqp_begin_map(GByteArray *out)
{
    return begin(out, MAP32);
}

void
emu_amqp_end(GByteArray *out, guint begun, guint32 count)
{
    guint32 size = GUINT32_TO_BE(out->len - begun + 4);
    guint32 items = GUINT32_TO_BE(count);

    memcpy(out->data + begun - 8, &size, 4);
    memcpy(out->data + begun - 4, &items, 4);
}
