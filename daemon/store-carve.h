/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <sqlite3.h>

/*
 * Rows without the tree above them: if an inner page of a table is destroyed SQLite can't reach
 * what hangs below, but the leaves are there, and each says what it is. Deleted rows are no
 * danger: secure_delete wipes them (store-schema.c).
 */

/* @row: a statement that has the columns of outbox or inbox. FALSE stops. */
typedef gboolean (*SpokeCarveFunc)(gboolean is_inbox, sqlite3_stmt *row, gpointer user_data);

/* Hands every row on a leaf of the file at @path to @func, in no order. Returns FALSE if @func
 * stopped. */
gboolean spoke_store_carve(const char *path, SpokeCarveFunc func, gpointer user_data);
