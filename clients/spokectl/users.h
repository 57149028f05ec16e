/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/**
 * spoke_users_parse:
 * @text: user names and ids, with commas or spaces between: "alice,1001"
 *
 * Returns: (transfer full): ids in decimal with spaces between, as AddDevice wants them; NULL
 */
char *spoke_users_parse(const char *text, GError **error);
