/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/*
 * AMQP 1.0 values, read and written byte by byte: the type system of the specification's part 1,
 * as much of it as messages need. Nothing is copied in reading and nothing trusted: whatever the
 * bytes are, a reader stays within them.
 */

/* Descriptors. Source: AMQP 1.0, part 3.2. */
#define SPOKE_AMQP_HEADER                 0x70
#define SPOKE_AMQP_DELIVERY_ANNOTATIONS   0x71
#define SPOKE_AMQP_MESSAGE_ANNOTATIONS    0x72
#define SPOKE_AMQP_PROPERTIES             0x73
#define SPOKE_AMQP_APPLICATION_PROPERTIES 0x74
#define SPOKE_AMQP_DATA                   0x75
#define SPOKE_AMQP_SEQUENCE               0x76
#define SPOKE_AMQP_VALUE                  0x77
#define SPOKE_AMQP_FOOTER                 0x78

typedef struct {
    const guint8 *at;
    const guint8 *end;
} SpokeAmqpReader;

typedef struct {
    guint8 code;        /* the constructor's: 0x40 null, 0xa1 a short string, … */
    const guint8 *data; /* borrowed from the reader; of a compound its count and members */
    gsize size;
} SpokeAmqpValue;

/* Reads one value; a descriptor before it is passed over. Returns: FALSE at the end, or when what
 * is left is not a whole value */
gboolean spoke_amqp_read(SpokeAmqpReader *reader, SpokeAmqpValue *ret_value);
/* Reads a descriptor and the value it describes: a section. @ret_descriptor is 0 for one that is
 * not a number. */
gboolean spoke_amqp_read_described(SpokeAmqpReader *reader, guint64 *ret_descriptor,
                                   SpokeAmqpValue *ret_value);
/* The members of a list or a map, one after the other. Returns: FALSE for other values */
gboolean spoke_amqp_enter(const SpokeAmqpValue *value, SpokeAmqpReader *ret_members);

gboolean spoke_amqp_is_null(const SpokeAmqpValue *value);
/* Any kind of whole number. */
gboolean spoke_amqp_get_number(const SpokeAmqpValue *value, gint64 *ret_number);
/* A timestamp; microseconds. FALSE for what no gint64 holds */
gboolean spoke_amqp_get_time(const SpokeAmqpValue *value, gint64 *ret_usec);
/* The bytes of a string, a symbol or a binary. */
gboolean spoke_amqp_get_bytes(const SpokeAmqpValue *value, const guint8 **ret_data,
                              gsize *ret_size);
/* Any value but a compound, for people and programs that know text only: numbers in decimal, a
 * uuid in its usual form, null empty; bytes that are not UTF-8, and NUL, become U+FFFD. Returns:
 * (transfer full) (nullable) */
char *spoke_amqp_to_text(const SpokeAmqpValue *value);

/*
 * Writing goes through a plain pointer: the caller has made room. What each may take is its
 * argument's size and SPOKE_AMQP_OVERHEAD.
 */
#define SPOKE_AMQP_OVERHEAD 16

guint8 *spoke_amqp_put_descriptor(guint8 *out, guint8 descriptor);
guint8 *spoke_amqp_put_null(guint8 *out);
guint8 *spoke_amqp_put_ulong(guint8 *out, guint64 number);
guint8 *spoke_amqp_put_timestamp(guint8 *out, gint64 msec);
guint8 *spoke_amqp_put_string(guint8 *out, const char *text);
guint8 *spoke_amqp_put_symbol(guint8 *out, const char *text);
guint8 *spoke_amqp_put_binary(guint8 *out, const void *data, gsize size);

/* A list, a map or a binary whose size is known only when it is written: leave SPOKE_AMQP_OVERHEAD
 * bytes at @out, write the contents, then close it. @end: after the contents. Return: the new end
 */
guint8 *spoke_amqp_close_list(guint8 *out, guint8 *end, guint count);
guint8 *spoke_amqp_close_map(guint8 *out, guint8 *end, guint count); /* keys and values */
guint8 *spoke_amqp_close_binary(guint8 *out, guint8 *end);
