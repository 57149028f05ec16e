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

/* Where pages come from; @page: SPOKE_STORE_PAGE_BYTES. FALSE: there is no such page. */
typedef struct {
    gboolean (*read)(gpointer source, guint32 number, guint8 *page);
    gpointer source; /* borrowed */
} SpokePages;

typedef struct SpokeCarver SpokeCarver;

SpokeCarver *spoke_carver_new(SpokeCarveFunc func, gpointer user_data);
void spoke_carver_free(SpokeCarver *carver);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpokeCarver, spoke_carver_free)

/* Hands every row on @page, if it is a leaf, to the function; what overflows is on @pages. Returns
 * FALSE if the function stopped. */
gboolean spoke_carver_carve_page(SpokeCarver *carver, const SpokePages *pages, const guint8 *page);
/* The same for pages 2 to @n_pages, in no order of rows. */
gboolean spoke_carver_carve_all(SpokeCarver *carver, const SpokePages *pages, guint32 n_pages);
