/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/*
 * Times on the wire: ISO 8601 in UTC, "2030-01-01T00:00:00.000Z", against microseconds since 1970.
 * Plain arithmetic on the proleptic Gregorian calendar; no allocation, no time zone data.
 */

/* "9999-12-31T23:59:59.999999Z" and the NUL. */
#define SPOKE_UTC_SIZE 28

/* Milliseconds, or microseconds where they matter. Returns: FALSE outside the years 1 to 9999 */
gboolean spoke_utc_format(gint64 usec, char *ret_text);

/* Takes seconds with or without a fraction (of any length, cut after microseconds), "Z", an offset
 * ("+01:00") or nothing, which means UTC. Returns: FALSE for anything else */
gboolean spoke_utc_parse(const char *text, gint64 *ret_usec);
