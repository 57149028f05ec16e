/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/store-recover.h"
#include "daemon/store-view.h"

/*
 * Copies the rows of a damaged store to a new one, inside its transaction (which is committed now
 * and then).
 */
typedef struct {
    const char *path;      /* borrowed; of the damaged file */
    const SpokeView *view; /* borrowed; what a damaged log leaves; NULL if the log is sound */
    sqlite3 *from;         /* borrowed; NULL if it can't be opened at all */
    SpokeStore *to;        /* borrowed; the new one, in a transaction */
    guint64 id_limit;      /* ids from here on were never given out */

    /* Results */
    GArray *expected; /* borrowed, of SpokeStoreLoss: what each lane should hold; several may speak
                       * of one lane, then the first counts */
    guint64 n_saved;  /* messages of outboxes, */
    guint64 n_arrivals; /* and of inboxes */
    guint64 max_id;
    guint n_rows; /* rows of all kinds */
    guint n_gaps; /* stretches that could not be read */
} SpokeSalvage;

/* Errors are those of the new store. */
gboolean spoke_salvage_copy(SpokeSalvage *salvage, GError **error);
void spoke_salvage_expect(SpokeSalvage *salvage, guint identity, SpokeLane lane, gint64 messages,
                          gint64 bytes);
