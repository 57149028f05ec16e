/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/store.h"

/*
 * The tables, their version, and how a row's key is made. The key of outbox and inbox, "place",
 * is identity, lane and id in one integer: rows of a lane lie together in the order they are
 * sent, without an index beside the table.
 */
#define SPOKE_PLACE_ID_BITS  46
#define SPOKE_ID_MAX         ((G_GUINT64_CONSTANT(1) << SPOKE_PLACE_ID_BITS) - 1)
#define SPOKE_IDENTITIES_MAX 65535

/* The pages that tables begin on, in the order in which they are made */
enum { SPOKE_PAGE_SCHEMA = 1, SPOKE_PAGE_META, SPOKE_PAGE_IDENTITIES, SPOKE_PAGE_FLOWS };

static inline gint64
spoke_place(guint identity, SpokeLane lane, guint64 id)
{
    return ((gint64)identity << (SPOKE_PLACE_ID_BITS + 1)) | ((gint64)lane << SPOKE_PLACE_ID_BITS) |
           (gint64)id;
}

static inline guint
spoke_place_identity(gint64 place)
{
    return (guint)(place >> (SPOKE_PLACE_ID_BITS + 1));
}

static inline SpokeLane
spoke_place_lane(gint64 place)
{
    return (SpokeLane)(place >> SPOKE_PLACE_ID_BITS & 1);
}

static inline guint64
spoke_place_id(gint64 place)
{
    return (guint64)place & SPOKE_ID_MAX;
}

/* Texts of all statements, by SpokeStatement */
extern const char *const spoke_statements[SPOKE_N_STATEMENTS];

/* What a connection needs before its first statement; the one it is allowed to fail at is a file
 * that is no database. */
int spoke_schema_configure(sqlite3 *db);
/* Makes the tables in an empty database. */
int spoke_schema_create(sqlite3 *db, const SpokeStoreMeta *meta);
/* Errors: FAILED for a newer schema, DAMAGED for anything that is not ours, and for a version that
 * the tables belie */
gboolean spoke_schema_check(sqlite3 *db, GError **error);
/* Reads the row of "meta". */
gboolean spoke_schema_read_meta(sqlite3 *db, SpokeStoreMeta *ret_meta, GError **error);
/* Sets @error from SQLite's result. Returns FALSE. */
gboolean spoke_schema_fail(sqlite3 *db, int result, GError **error);
