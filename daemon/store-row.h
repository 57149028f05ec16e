/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/store.h"

/*
 * What rows of outbox and inbox have in common: a place, and a message in three columns. Nothing
 * read back is believed: a disk may return anything, and a row that makes no sense is counted, not
 * crashed on.
 */

/* Rows of a lane with ids in @after < id <= @upto */
typedef struct {
    guint identity;
    SpokeLane lane;
    guint64 after;
    guint64 upto;
} SpokeStoreSpan;

/* As parameters 1 and 2 */
void spoke_store_bind_span(sqlite3_stmt *statement, const SpokeStoreSpan *span);
/* As three parameters from @index on. @message must outlive the step. */
void spoke_store_bind_contents(sqlite3_stmt *statement, int index, const SpokeMessage *message);

/* A text column, or NULL (transfer none); FALSE if it is something else. */
gboolean spoke_store_read_text(sqlite3_stmt *row, int column, const char **ret_text);
/* The three columns from @column on. (transfer full) (nullable): NULL if they make no sense */
SpokeMessage *spoke_store_parse_contents(sqlite3_stmt *row, int column);
