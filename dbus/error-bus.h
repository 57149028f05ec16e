/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/error.h"
#include "dbus/bus-types.h"

/* The public name of @code, "org.spoked1.Error.…" (static) */
const char *spoke_error_get_bus_name(SpokeError code);

/**
 * spoke_error_to_bus:
 * @error: of any domain; one that is not SPOKE_ERROR is logged and reaches the caller as Failed
 *   without its text, which may name files or hosts
 *
 * Returns: a negative errno, for a handler to return
 */
int spoke_error_to_bus(const GError *error, sd_bus_error *ret_error);

/* A piece of the caller's own input, fit for the text of an error: at most 64 bytes of it, without
 * control characters. @text: valid UTF-8. (transfer full) */
char *spoke_error_quote(const char *text);

/* Sets what every reader of arguments says of a message whose bytes contradict its own
 * description: INVALID_ARGUMENT. Returns: FALSE */
gboolean spoke_error_set_malformed(GError **error);
/* The same for text, which sd-bus gives for unreadable for more reasons. @what: begins a sentence
 */
gboolean spoke_error_set_bad_text(GError **error, const char *what);
