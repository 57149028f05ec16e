/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "clients/libspoke/spoke.h"

#include <systemd/sd-bus.h>

/* Dictionaries between bus messages and structs. */

/* Result of appending text that is not NULL: sd-bus answers EINVAL to what is not UTF-8. */
int spoke_wire_text_result(int r);

/* Appends an entry to an a{sv}; nothing for a @value that is NULL. Errors: EILSEQ */
int spoke_wire_append_text(sd_bus_message *m, const char *key, const char *value);

/* Adds the size of names and values to @size. Errors: EINVAL */
int spoke_wire_check_properties(const SpokeProperty *properties, size_t n, size_t *size);
int spoke_wire_append_properties(sd_bus_message *m, const SpokeProperty *properties, size_t n);
/* Appends an entry "filter" to an a{sv}. */
int spoke_wire_append_filter(sd_bus_message *m, const SpokeProperty *properties, size_t n);
/* @ret_properties: (transfer container): for free(); the strings are borrowed from @m */
int spoke_wire_read_properties(sd_bus_message *m, SpokeProperty **ret_properties, size_t *ret_n);

/* How one entry of an a{sv} gets into a struct. Single strings are borrowed from the message. */
typedef struct {
    const char *key;
    /* "s", "t", "u" or "b"; "as" for a list that the caller owns, also after an error; "(ss)" for
     * two strings that lie side by side */
    const char *signature;
    size_t offset;
} SpokeField;

/* Reads an a{sv} into @base; entries that no field names, or of other types, are skipped. */
int spoke_wire_read_fields(sd_bus_message *m, const SpokeField *fields, size_t n, void *base);
