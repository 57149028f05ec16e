/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/**
 * spoke_duration_parse:
 * @text: a number with a unit, "ms", "s", "min" (or "m"), "h" or "d"; seconds without one
 *
 * Errors: G_OPTION_ERROR_BAD_VALUE.
 */
gboolean spoke_duration_parse(const char *text, guint64 *ret_msec, GError **error);

/* For people: "350 ms", "12 s", "3 min", "2 h 5 min", "4 d 3 h". (transfer full) */
char *spoke_duration_format(guint64 usec);
