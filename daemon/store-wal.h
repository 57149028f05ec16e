/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/*
 * SQLite's log (the file NAME-wal), read by ourselves. SQLite takes it up to the first frame whose
 * checksum is wrong and drops the rest without a word, for that is how it tells where a crash cut
 * off the last transaction. But where a commit comes behind the bad frame, what is dropped was
 * promised to be kept.
 */

/* One page as a transaction left it. */
typedef struct {
    guint32 page; /* its number; 0: not known. Can be wrong if the frame is not whole */
    guint32
        other_page;  /* what it is if the frame's head was hit and the rest was not; 0: can't be */
    guint32 n_pages; /* of the file, if the frame ends a transaction; else 0 */
    gboolean is_whole;    /* it is what was written */
    gboolean is_doubtful; /* its transaction has a frame that is not whole */
} SpokeWalFrame;

typedef struct {
    int fd;          /* owned */
    GArray *frames;  /* owned, of SpokeWalFrame */
    guint committed; /* so many of them; what follows was never finished, or its end is lost */
    guint32 n_pages; /* of the file as of the last commit */
} SpokeWal;

/**
 * spoke_wal_is_damaged:
 * @path: of the database
 *
 * Whether the database's log has committed transactions behind a bad frame. Reads the log once, if
 * there is one. A log that was torn by a crash or a power cut is not damaged.
 */
gboolean spoke_wal_is_damaged(const char *path);

/* Reads a damaged log. (transfer full) (nullable): NULL if it is not damaged */
SpokeWal *spoke_wal_read(const char *path);
void spoke_wal_free(SpokeWal *wal);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpokeWal, spoke_wal_free)

/* The page in frame number @frame, from 0. @page: SPOKE_STORE_PAGE_BYTES */
gboolean spoke_wal_read_page(const SpokeWal *wal, guint frame, guint8 *page);

/**
 * spoke_wal_write:
 * @wal: where the pages come from
 * @path: of the database whose log is made
 * @frames: (element-type guint): numbers of frames, each of another page; not empty
 *
 * Makes a sound log of one transaction. It is not synced.
 */
gboolean spoke_wal_write(const SpokeWal *wal, const char *path, const GArray *frames);
