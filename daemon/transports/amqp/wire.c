/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/transports/amqp/wire.h"

#include <string.h>

/*
 * The upper half of a constructor's byte says how a value is laid out, so one small table reads
 * them all, even those that are of no use here.
 */

/* Constructors. Source: AMQP 1.0, part 1.6. */
enum {
    CODE_DESCRIBED = 0x00,
    CODE_NULL = 0x40,
    CODE_TRUE = 0x41,
    CODE_FALSE = 0x42,
    CODE_UINT0 = 0x43,
    CODE_ULONG0 = 0x44,
    CODE_LIST0 = 0x45,
    CODE_UBYTE = 0x50,
    CODE_BYTE = 0x51,
    CODE_SMALL_UINT = 0x52,
    CODE_SMALL_ULONG = 0x53,
    CODE_SMALL_INT = 0x54,
    CODE_SMALL_LONG = 0x55,
    CODE_BOOLEAN = 0x56,
    CODE_USHORT = 0x60,
    CODE_SHORT = 0x61,
    CODE_UINT = 0x70,
    CODE_INT = 0x71,
    CODE_FLOAT = 0x72,
    CODE_CHAR = 0x73,
    CODE_ULONG = 0x80,
    CODE_LONG = 0x81,
    CODE_DOUBLE = 0x82,
    CODE_TIMESTAMP = 0x83,
    CODE_UUID = 0x98,
    CODE_BINARY8 = 0xa0,
    CODE_STRING8 = 0xa1,
    CODE_SYMBOL8 = 0xa3,
    CODE_BINARY32 = 0xb0,
    CODE_STRING32 = 0xb1,
    CODE_SYMBOL32 = 0xb3,
    CODE_LIST8 = 0xc0,
    CODE_MAP8 = 0xc1,
    CODE_LIST32 = 0xd0,
    CODE_MAP32 = 0xd1,
};

/* What follows a constructor, by its upper half: a number of bytes, or a size of so many bytes. */
typedef struct {
    gboolean is_known;
    guint8 fixed;
    guint8 size_bytes;
} Layout;

static const Layout layouts[16] = {
    [0x4] = {TRUE, 0, 0}, [0x5] = {TRUE, 1, 0},  [0x6] = {TRUE, 2, 0}, [0x7] = {TRUE, 4, 0},
    [0x8] = {TRUE, 8, 0}, [0x9] = {TRUE, 16, 0}, [0xa] = {TRUE, 0, 1}, [0xb] = {TRUE, 0, 4},
    [0xc] = {TRUE, 0, 1}, [0xd] = {TRUE, 0, 4},  [0xe] = {TRUE, 0, 1}, [0xf] = {TRUE, 0, 4},
};

static guint64
read_unsigned(const guint8 *data, gsize size)
{
    guint64 number = 0;

    for (gsize i = 0; i < size; i++)
        number = number << 8 | data[i];
    return number;
}

static gint64
read_signed(const guint8 *data, gsize size)
{
    switch (size) {
    case 1:
        return (gint8)data[0];
    case 2:
        return (gint16)read_unsigned(data, 2);
    case 4:
        return (gint32)read_unsigned(data, 4);
    default:
        return (gint64)read_unsigned(data, 8);
    }
}

static gboolean
read_plain(SpokeAmqpReader *reader, SpokeAmqpValue *ret_value)
{
    if (reader->at == reader->end)
        return FALSE;

    guint8 code = *reader->at++;
    const Layout *layout = &layouts[code >> 4];
    guint64 size = layout->fixed;
    gsize left = (gsize)(reader->end - reader->at);

    if (!layout->is_known || left < layout->size_bytes)
        return FALSE;
    if (layout->size_bytes > 0) {
        size = read_unsigned(reader->at, layout->size_bytes);
        reader->at += layout->size_bytes;
        left -= layout->size_bytes;
    }
    if (size > left)
        return FALSE;

    *ret_value = (SpokeAmqpValue){.code = code, .data = reader->at, .size = size};
    reader->at += size;
    return TRUE;
}

gboolean
spoke_amqp_read(SpokeAmqpReader *reader, SpokeAmqpValue *ret_value)
{
    while (reader->at < reader->end && *reader->at == CODE_DESCRIBED) {
        SpokeAmqpValue descriptor;

        reader->at++;
        if (!read_plain(reader, &descriptor))
            return FALSE;
    }
    return read_plain(reader, ret_value);
}

gboolean
spoke_amqp_read_described(SpokeAmqpReader *reader, guint64 *ret_descriptor,
                          SpokeAmqpValue *ret_value)
{
    SpokeAmqpValue descriptor;

    if (reader->at == reader->end || *reader->at++ != CODE_DESCRIBED ||
        !read_plain(reader, &descriptor))
        return FALSE;

    gboolean is_number = descriptor.code == CODE_SMALL_ULONG || descriptor.code == CODE_ULONG;

    *ret_descriptor = is_number ? read_unsigned(descriptor.data, descriptor.size) : 0;
    return spoke_amqp_read(reader, ret_value);
}

gboolean
spoke_amqp_enter(const SpokeAmqpValue *value, SpokeAmqpReader *ret_members)
{
    gsize count_bytes = 0;

    switch (value->code) {
    case CODE_LIST0:
        break;
    case CODE_LIST8:
    case CODE_MAP8:
        count_bytes = 1;
        break;
    case CODE_LIST32:
    case CODE_MAP32:
        count_bytes = 4;
        break;
    default:
        return FALSE;
    }
    if (value->size < count_bytes)
        return FALSE;

    /* The count says nothing that the size doesn't. */
    *ret_members =
        (SpokeAmqpReader){.at = value->data + count_bytes, .end = value->data + value->size};
    return TRUE;
}

gboolean
spoke_amqp_is_null(const SpokeAmqpValue *value)
{
    return value->code == CODE_NULL;
}

gboolean
spoke_amqp_get_number(const SpokeAmqpValue *value, gint64 *ret_number)
{
    guint64 number = 0;

    switch (value->code) {
    case CODE_UINT0:
    case CODE_ULONG0:
    case CODE_UBYTE:
    case CODE_SMALL_UINT:
    case CODE_SMALL_ULONG:
    case CODE_USHORT:
    case CODE_UINT:
    case CODE_ULONG:
        number = read_unsigned(value->data, value->size);
        if (number > G_MAXINT64)
            return FALSE;
        *ret_number = (gint64)number;
        return TRUE;
    case CODE_BYTE:
    case CODE_SMALL_INT:
    case CODE_SMALL_LONG:
    case CODE_SHORT:
    case CODE_INT:
    case CODE_LONG:
        *ret_number = read_signed(value->data, value->size);
        return TRUE;
    default:
        return FALSE;
    }
}

gboolean
spoke_amqp_get_time(const SpokeAmqpValue *value, gint64 *ret_usec)
{
    if (value->code != CODE_TIMESTAMP)
        return FALSE;

    return !__builtin_mul_overflow(read_signed(value->data, 8), (gint64)1000, ret_usec);
}

gboolean
spoke_amqp_get_bytes(const SpokeAmqpValue *value, const guint8 **ret_data, gsize *ret_size)
{
    switch (value->code) {
    case CODE_BINARY8:
    case CODE_BINARY32:
    case CODE_STRING8:
    case CODE_STRING32:
    case CODE_SYMBOL8:
    case CODE_SYMBOL32:
        *ret_data = value->data;
        *ret_size = value->size;
        return TRUE;
    default:
        return FALSE;
    }
}

static char *
uuid_to_text(const guint8 *data)
{
    GString *text = g_string_sized_new(36);

    for (guint i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            g_string_append_c(text, '-');
        g_string_append_printf(text, "%02x", data[i]);
    }
    return g_string_free(text, FALSE);
}

static char *
real_to_text(double number)
{
    char text[G_ASCII_DTOSTR_BUF_SIZE];

    return g_strdup(g_ascii_dtostr(text, sizeof text, number));
}

static char *
float_to_text(const SpokeAmqpValue *value)
{
    guint64 bits = read_unsigned(value->data, value->size);
    guint32 half = (guint32)bits;
    float single = 0;
    double number = 0;

    if (value->code == CODE_FLOAT) {
        memcpy(&single, &half, sizeof single);
        return real_to_text(single);
    }
    memcpy(&number, &bits, sizeof number);
    return real_to_text(number);
}

char *
spoke_amqp_to_text(const SpokeAmqpValue *value)
{
    const guint8 *data = NULL;
    gsize size = 0;
    gint64 number = 0;

    if (spoke_amqp_get_bytes(value, &data, &size))
        return g_utf8_make_valid((const char *)data, (gssize)size);
    if (spoke_amqp_get_number(value, &number))
        return g_strdup_printf("%" G_GINT64_FORMAT, number);

    switch (value->code) {
    case CODE_NULL:
        return g_strdup("");
    case CODE_TRUE:
        return g_strdup("true");
    case CODE_FALSE:
        return g_strdup("false");
    case CODE_BOOLEAN:
        return g_strdup(value->data[0] != 0 ? "true" : "false");
    case CODE_ULONG: /* too large for a gint64 */
        return g_strdup_printf("%" G_GUINT64_FORMAT, read_unsigned(value->data, 8));
    case CODE_TIMESTAMP:
        return g_strdup_printf("%" G_GINT64_FORMAT, read_signed(value->data, 8));
    case CODE_UUID:
        return uuid_to_text(value->data);
    case CODE_FLOAT:
    case CODE_DOUBLE:
        return float_to_text(value);
    default:
        return NULL;
    }
}

/* Writing */

static guint8 *
put_unsigned(guint8 *out, guint64 number, guint size)
{
    for (guint shift = size * 8; shift > 0; shift -= 8)
        *out++ = (guint8)(number >> (shift - 8));
    return out;
}

guint8 *
spoke_amqp_put_descriptor(guint8 *out, guint8 descriptor)
{
    *out++ = CODE_DESCRIBED;
    *out++ = CODE_SMALL_ULONG;
    *out++ = descriptor;
    return out;
}

guint8 *
spoke_amqp_put_null(guint8 *out)
{
    *out++ = CODE_NULL;
    return out;
}

guint8 *
spoke_amqp_put_ulong(guint8 *out, guint64 number)
{
    *out++ = CODE_ULONG;
    return put_unsigned(out, number, 8);
}

guint8 *
spoke_amqp_put_timestamp(guint8 *out, gint64 msec)
{
    *out++ = CODE_TIMESTAMP;
    return put_unsigned(out, (guint64)msec, 8);
}

static guint8 *
put_variable(guint8 *out, guint8 short_code, const void *data, gsize size)
{
    if (size <= G_MAXUINT8) {
        *out++ = short_code;
        *out++ = (guint8)size;
    } else {
        *out++ = short_code + (CODE_BINARY32 - CODE_BINARY8);
        out = put_unsigned(out, size, 4);
    }
    return size > 0 ? mempcpy(out, data, size) : out;
}

guint8 *
spoke_amqp_put_string(guint8 *out, const char *text)
{
    return put_variable(out, CODE_STRING8, text, strlen(text));
}

guint8 *
spoke_amqp_put_symbol(guint8 *out, const char *text)
{
    return put_variable(out, CODE_SYMBOL8, text, strlen(text));
}

guint8 *
spoke_amqp_put_binary(guint8 *out, const void *data, gsize size)
{
    return put_variable(out, CODE_BINARY8, data, size);
}

/* Puts the head before the contents and moves them up to it. */
static guint8 *
close_with(guint8 *out, guint8 *end, const guint8 *head, gsize head_size)
{
    guint8 *contents = out + SPOKE_AMQP_OVERHEAD;
    gsize size = (gsize)(end - contents);

    memcpy(out, head, head_size);
    memmove(out + head_size, contents, size);
    return out + head_size + size;
}

static guint8 *
close_compound(guint8 *out, guint8 *end, guint8 short_code, guint count)
{
    gsize size = (gsize)(end - out) - SPOKE_AMQP_OVERHEAD;
    guint8 head[SPOKE_AMQP_OVERHEAD];
    guint8 *at = head;

    if (size + 1 <= G_MAXUINT8 && count <= G_MAXUINT8) {
        *at++ = short_code;
        *at++ = (guint8)(size + 1);
        *at++ = (guint8)count;
    } else {
        *at++ = short_code + (CODE_LIST32 - CODE_LIST8);
        at = put_unsigned(at, size + 4, 4);
        at = put_unsigned(at, count, 4);
    }
    return close_with(out, end, head, (gsize)(at - head));
}

guint8 *
spoke_amqp_close_list(guint8 *out, guint8 *end, guint count)
{
    if (count == 0) {
        *out++ = CODE_LIST0;
        return out;
    }
    return close_compound(out, end, CODE_LIST8, count);
}

guint8 *
spoke_amqp_close_map(guint8 *out, guint8 *end, guint count)
{
    return close_compound(out, end, CODE_MAP8, count);
}

guint8 *
spoke_amqp_close_binary(guint8 *out, guint8 *end)
{
    gsize size = (gsize)(end - out) - SPOKE_AMQP_OVERHEAD;
    guint8 head[SPOKE_AMQP_OVERHEAD];
    guint8 *at = head;

    if (size <= G_MAXUINT8) {
        *at++ = CODE_BINARY8;
        *at++ = (guint8)size;
    } else {
        *at++ = CODE_BINARY32;
        at = put_unsigned(at, size, 4);
    }
    return close_with(out, end, head, (gsize)(at - head));
}
