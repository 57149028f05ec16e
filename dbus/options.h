/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "dbus/bus-types.h"

/*
 * Options of a method: the a{sv} at the end of its arguments, read by a table of the options there
 * are. An option that is not in the table, is given twice, or has another type or a value out of
 * range is an error; an integer of another width is taken as long as its value fits.
 */
typedef enum {
    SPOKE_OPTION_TEXT,       /* s */
    SPOKE_OPTION_NUMBER,     /* t */
    SPOKE_OPTION_FLAG,       /* b */
    SPOKE_OPTION_CHOICE,     /* s, one of choices */
    SPOKE_OPTION_PROPERTIES, /* a{ss} */
} SpokeOptionType;

typedef struct {
    const char *name;
    SpokeOptionType type;
    guint64 min;                /* number: least value; text: bytes; properties: how many */
    guint64 max;                /* the greatest of the same */
    const char *const *choices; /* NULL-terminated */
} SpokeOption;

typedef struct {
    gboolean is_set;
    const char *text; /* borrowed from the bus message */
    guint64 number;   /* number; index of the choice */
    gboolean flag;
    GBytes *properties; /* owned: packed list */
} SpokeOptionValue;

/* Bytes of the names and values of a SPOKE_OPTION_PROPERTIES */
#define SPOKE_OPTION_PROPERTIES_BYTES_MAX 4096

/**
 * spoke_options_read:
 * @options: (array length=n): the table
 * @values: (array length=n): one for each of @options, all zero; on error to be cleared, too
 *
 * Reads the options that begin at the read position of @m.
 *
 * Errors: SPOKE_ERROR_UNKNOWN_OPTION, SPOKE_ERROR_INVALID_OPTION, SPOKE_ERROR_INVALID_ARGUMENT
 */
gboolean spoke_options_read(sd_bus_message *m, const SpokeOption *options, guint n,
                            SpokeOptionValue *values, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void spoke_options_clear(SpokeOptionValue *values, guint n);
