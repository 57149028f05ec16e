/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/*
 * The property bag at the end of an MQTT topic: "name=value&…", percent-encoded UTF-8, system
 * properties under short names that start with "$.". Source: iot-hub-protocol.md, 2.5.
 *
 * Here it meets the packed lists of daemon/properties.h, in both directions and without any I/O.
 */

/**
 * spoke_bag_append:
 * @out: grows as needed and keeps its memory: reuse it
 * @system: packed list; names other than those of daemon/properties.h are left out, and so are
 *   times that no calendar has
 * @message_id: (nullable): goes in unless @system has one
 * @properties: packed list
 *
 * Appends the bag of one message. Everything outside A-Z a-z 0-9 - _ . ~ is encoded.
 */
void spoke_bag_append(GString *out, const void *system, size_t system_size, const char *message_id,
                      const void *properties, size_t properties_size);

/**
 * spoke_bag_parse:
 * @bag: @size bytes that came from outside; need not be valid in any way
 * @ret_system: packed list to append to
 * @ret_properties: likewise
 *
 * Takes a bag apart, leniently: a stray percent sign stays, a plus sign stays, a name without a
 * value has the empty value, bytes that are no UTF-8 (and NUL) become U+FFFD. System properties
 * without a name in daemon/properties.h, and those without a readable value, are left out.
 */
void spoke_bag_parse(const char *bag, size_t size, GByteArray *ret_system,
                     GByteArray *ret_properties);

/* Appends @text, percent-encoded in the same way. */
void spoke_bag_append_encoded(GString *out, const char *text);
