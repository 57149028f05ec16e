/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/*
 * A packed list of properties: name NUL value NUL, name NUL value NUL, … in the order given. This
 * one form is parsed from the bus, stored in the spool and read by the transports, so that a
 * message is laid out once. Names and values are valid UTF-8.
 *
 * System properties travel in a list of their own, by the names below (values always text; times
 * are decimal microseconds since 1970 in UTC).
 */
#define SPOKE_PROPERTY_MESSAGE_ID       "message-id"
#define SPOKE_PROPERTY_CORRELATION_ID   "correlation-id"
#define SPOKE_PROPERTY_USER_ID          "user-id"
#define SPOKE_PROPERTY_TO               "to"
#define SPOKE_PROPERTY_CONTENT_TYPE     "content-type"
#define SPOKE_PROPERTY_CONTENT_ENCODING "content-encoding"
#define SPOKE_PROPERTY_CREATION_TIME    "creation-time"
#define SPOKE_PROPERTY_EXPIRY           "expiry"
#define SPOKE_PROPERTY_ACK              "ack"

typedef struct {
    const char *next; /* borrowed from the list */
    const char *end;
} SpokePropertiesIter;

/* Appends one property. Neither string is checked; neither may be NULL. */
void spoke_properties_append(GByteArray *list, const char *name, const char *value);

/* @list may be NULL when @size is 0. The list outlives the iterator and what it returns. */
void spoke_properties_iter_init(SpokePropertiesIter *iter, const void *list, size_t size);
gboolean spoke_properties_iter_next(SpokePropertiesIter *iter, const char **ret_name,
                                    const char **ret_value);

/* Returns: (transfer none) (nullable): the first value with that name */
const char *spoke_properties_lookup(const void *list, size_t size, const char *name);

/* Whether @list (from disk) is complete pairs of NUL-terminated UTF-8. */
gboolean spoke_properties_is_valid(const void *list, size_t size);
