/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <sqlite3.h>

/**
 * spoke_damaged_open:
 * @path: of the damaged file
 * @like: path of a sound store
 *
 * Opens a damaged store as far as it can be opened, its first page mended if it must be. Closing it
 * leaves its log as it is.
 *
 * Returns: (transfer full) (nullable): close with sqlite3_close()
 */
sqlite3 *spoke_damaged_open(const char *path, const char *like);
