/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "telemetry.h"

/* JSON written straight into a string, for what there may be a great many of. */

/* Appends @text, which need not be terminated but is valid UTF-8, as a JSON string. */
void emu_json_append_string(GString *out, const char *text, size_t size);

/**
 * emu_json_append_message:
 *
 * Appends a message as one JSON object without line breaks: who sent it, system properties under
 * the hub's names, application properties, and the body as text if it is UTF-8, else in base64.
 */
void emu_json_append_message(GString *out, const EmuMessage *message);

/* Returns: (transfer full): a wall-clock time as the API spells it, to the millisecond, in UTC. */
char *emu_time_to_text(gint64 usec);
