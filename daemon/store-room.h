/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <sqlite3.h>

/*
 * Room on the disk for a store's file and its log (SQLite's WAL).
 *
 * A queue that fills its disk must still be able to shrink, and shrinking writes too. So before a
 * transaction is committed the blocks that the file will need for it are reserved: moving the log
 * into the file then never asks for more, and the log's own room, reserved when the store is
 * opened, is free again. What is reserved lies beyond the end of the files, unseen by SQLite. A
 * file system that can't reserve is taken as it is.
 */
#define SPOKE_STORE_PAGE_BYTES 4096

typedef struct {
    sqlite3 *db; /* borrowed */
    int fd;      /* the file; -1 before _init(). Closing it would drop SQLite's locks on it */
    guint64 reserved_pages; /* G_MAXUINT64: can't reserve */
    int log_pages;          /* as of the last commit */
} SpokeStoreRoom;

void spoke_store_room_init(SpokeStoreRoom *room, sqlite3 *db, const char *path);
void spoke_store_room_clear(SpokeStoreRoom *room); /* after sqlite3_close() */

/* Makes sure the file can grow to @pages. FALSE: the disk is full. */
gboolean spoke_store_room_reserve(SpokeStoreRoom *room, guint64 pages);

gboolean spoke_store_room_is_log_full(const SpokeStoreRoom *room);
/* Moves the log into the file and starts it anew. Milliseconds. */
void spoke_store_room_empty_log(SpokeStoreRoom *room);

gboolean spoke_store_room_is_file_large(const SpokeStoreRoom *room);
/* When all but little of a large file is free, writes that little anew and gives the disk back the
 * rest. Milliseconds. */
void spoke_store_room_shrink(SpokeStoreRoom *room, guint64 used_pages, guint64 free_pages);
