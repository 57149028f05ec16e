/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <libsoup/soup.h>

/* How the HTTPS device API tells of errors. Source: protocol page, 4.5. */

/* How long a throttled device is asked to wait. */
#define EMU_HTTPS_RETRY_AFTER_SEC 10

/**
 * emu_https_answer_error:
 * @error: of EMU_ERROR; anything else is the server's fault
 * @now_usec: the hub's clock
 *
 * Sets status, headers and body of the response to @message.
 */
void emu_https_answer_error(SoupServerMessage *message, const GError *error, gint64 now_usec);

/* Sets the header `Date` to the hub's clock, which need not be the system's. */
void emu_https_answer_date(SoupServerMessage *message, gint64 now_usec);
