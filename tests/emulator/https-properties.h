/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* Message properties as HTTPS carries them: headers, and the same names in a batch.
 * Source: protocol page, 4.1 to 4.3. */

/**
 * emu_https_add_property:
 * @name: of a header; its case does not matter but for the application's own
 *
 * Adds to @bag (see bag.h) what this header says of the message; most headers say nothing.
 */
void emu_https_add_property(GString *bag, const char *name, const char *value);

typedef void (*EmuHttpsHeaderFunc)(const char *name, const char *value, gpointer user_data);

/**
 * emu_https_list_headers:
 * @bag: of a message to a device
 *
 * Calls @func with a header for each property that a header can carry: the application's own names
 * have to be tokens, and no value may hold control characters.
 *
 * Returns: how many properties cannot go.
 */
guint emu_https_list_headers(const char *bag, EmuHttpsHeaderFunc func, gpointer user_data);
