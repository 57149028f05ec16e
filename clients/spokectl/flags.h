/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/**
 * spoke_flags_check:
 * @entries: nullable
 *
 * GLib takes a value for an option that has none ("--wait=5") and drops it.
 *
 * Errors: G_OPTION_ERROR_BAD_VALUE.
 */
gboolean spoke_flags_check(const GOptionEntry *entries, int argc, char **argv, GError **error);

/* Whether the flag is given, even in a line that is refused for something else. */
gboolean spoke_flags_has(const char *flag, int argc, char **argv);
