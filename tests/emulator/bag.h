/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* A property bag: `key=value` joined by '&', percent-encoded UTF-8. It is the form in which MQTT
 * carries properties, and the compact form in which the emulator keeps them, whatever protocol
 * brought them. Keys that start with "$." are system properties. Source: protocol page, 2.5. */

typedef struct {
    const char *text; /* borrowed: what is not read yet */
    size_t size;
    gboolean done;
} EmuBagReader;

typedef struct {
    char *key;   /* owned, decoded, valid UTF-8 */
    char *value; /* owned; NULL when the bag had the key alone */
} EmuProperty;

void emu_property_clear(EmuProperty *property);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(EmuProperty, emu_property_clear)

void emu_bag_reader_init(EmuBagReader *reader, const char *bag, size_t size);

/**
 * emu_bag_reader_next:
 *
 * Decodes one property: leniently, so that a stray '%' stays as it is, and '+' is '+'. What is
 * not UTF-8 after that is made valid. Returns FALSE at the end.
 */
gboolean emu_bag_reader_next(EmuBagReader *reader, EmuProperty *ret_property);

/**
 * emu_bag_find:
 *
 * Returns: (transfer full) (nullable): the decoded value of the first property of that key.
 */
char *emu_bag_find(const char *bag, size_t size, const char *key);

/**
 * emu_bag_append:
 *
 * Adds one property at the end of @bag, everything outside `A-Z a-z 0-9 - _ . ~` encoded.
 */
void emu_bag_append(GString *bag, const char *key, const char *value);

/* The same for pieces of a message. @value may be NULL: then the key stands alone. */
void emu_bag_append_sized(GString *bag, const char *key, size_t key_size, const char *value,
                          size_t value_size);

/**
 * emu_bag_size:
 *
 * Returns: what the properties count towards the message size: the values of system properties,
 * names and values of the others. Source: protocol page, 7.1.
 */
size_t emu_bag_size(const char *bag, size_t size);

/**
 * emu_bag_system_name:
 * @key: a decoded key
 *
 * Returns: the name under which the hub stores this key: "message-id" for "$.mid"; for an unknown
 * "$." key the key itself; NULL for a property of the application's own.
 */
const char *emu_bag_system_name(const char *key);
