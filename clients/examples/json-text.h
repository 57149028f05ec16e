/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <json-glib/json-glib.h>

/**
 * json_text_new:
 * @node: objects, arrays, strings, integers and doubles
 *
 * Returns: (transfer full): JSON on one line, numbers with 15 digits at most; null for a double
 * that JSON can't express
 */
char *json_text_new(JsonNode *node);
