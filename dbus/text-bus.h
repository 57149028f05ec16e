/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "dbus/bus-types.h"

/*
 * Text that others wrote, the hub above all, on its way to the bus. sd-bus refuses to send what is
 * not UTF-8, and Unicode's 66 noncharacters as well (U+FDD0 to U+FDEF, and the last two of each
 * plane, such as U+FFFE); a reply or signal that holds one would never go out. Whatever does not
 * come from our own source passes through here.
 */

/* What there is instead of each of them: U+FFFD, the replacement character. */
#define SPOKE_TEXT_REPLACEMENT "\xef\xbf\xbd"

/* Whether sd-bus takes @text as it is. */
gboolean spoke_text_is_sendable(const char *text);

/* @text with everything replaced that sd-bus refuses. (transfer full) */
char *spoke_text_make_sendable(const char *text);

/* Appends @text as s, made sendable. Returns: a negative errno on failure */
int spoke_text_append(sd_bus_message *m, const char *text);
