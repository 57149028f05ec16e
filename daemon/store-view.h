/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/store-wal.h"

/*
 * A damaged store's pages as its log leaves them: the newest image of each, be it whole or not, for
 * what can't be checked is mostly as it was. Only of the small tables, whose one row rules all
 * others, it is the newest whole image.
 */
typedef struct {
    int fd;               /* owned; of the database file; -1: it can't be read */
    const SpokeWal *wal;  /* borrowed; NULL: it's the file alone that counts */
    guint32 n_pages;      /* greatest number of a page */
    guint32 n_file_pages; /* pages of the file */
    guint n_certain;      /* frames from here on are all whole */
    GHashTable *newest;   /* owned; page to frame + 1 */
} SpokeView;

void spoke_view_init(SpokeView *view, const char *path, const SpokeWal *wal);
void spoke_view_clear(SpokeView *view);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(SpokeView, spoke_view_clear)

/* @page: SPOKE_STORE_PAGE_BYTES. FALSE: there is no such page. */
gboolean spoke_view_read(const SpokeView *view, guint32 number, guint8 *page);
/* The same as of the transaction that frame @frame belongs to; -1: as the file has it. */
gboolean spoke_view_read_at(const SpokeView *view, gint frame, guint32 number, guint8 *page);

/* Whether the view of a page is the last that was written. */
gboolean spoke_view_is_certain(const SpokeView *view, guint32 number);

/**
 * spoke_view_publish:
 * @path: of the damaged file, on the same file system as @as
 * @as: a free name
 *
 * Makes the view a database that SQLite can open, without a copy of the file: @as is another name
 * for it, with a log of its own. Writing to it writes to the damaged file.
 *
 * Returns: FALSE if that's not possible; then there is nothing at @as
 */
gboolean spoke_view_publish(const SpokeView *view, const char *path, const char *as);
void spoke_view_unpublish(const char *as);
