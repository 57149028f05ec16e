/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/flow-marks.h"
#include "daemon/message.h"
#include "daemon/spool-clock.h"

#include <sqlite3.h>

/*
 * The spool's SQLite file: connection, prepared statements, transactions, and what every
 * transaction carries along (tallies, marks of the clock, room on the disk). One thread at a time
 * uses it: main at start-up, then the spool's writer thread. What rows hold is store-rows.h, the
 * tables are store-schema.h.
 */
typedef struct SpokeStore SpokeStore;

#define SPOKE_STORE_ERROR spoke_store_error_quark()

typedef enum {
    SPOKE_STORE_ERROR_FULL,    /* no room on the disk */
    SPOKE_STORE_ERROR_DAMAGED, /* the file does not hold what we wrote */
    SPOKE_STORE_ERROR_FAILED,  /* anything else: I/O, permission, another process, newer schema */
} SpokeStoreError;

GQuark spoke_store_error_quark(void);

typedef struct {
    guint64 messages;
    guint64 bytes; /* sum of spoke_message_cost() */
} SpokeTally;

typedef struct {
    guint key;  /* 1 to SPOKE_IDENTITIES_MAX */
    char *name; /* owned */
    SpokeTally lanes[SPOKE_N_LANES];

    /* The store's own */
    SpokeTally committed[SPOKE_N_LANES];
    gboolean is_stored;
    SpokeFlowMarks flow_bounds[SPOKE_N_LANES]; /* what the table "flows" says, as far as known */
} SpokeStoreIdentity;

/* The one row of the table "meta" */
#define SPOKE_SPOOL_ID_SIZE 17
typedef struct {
    char spool_id[SPOKE_SPOOL_ID_SIZE]; /* 16 hex digits */
    guint64 next_id;                    /* neither it nor a greater id was ever given out; what
                                         * is given out is below what is committed here */
    SpokeClockMark mark;
} SpokeStoreMeta;

/* For a new spool: a random id, no messages, no time */
void spoke_store_meta_init(SpokeStoreMeta *meta);

typedef enum {
    SPOKE_STATEMENT_BEGIN,
    SPOKE_STATEMENT_COMMIT,
    SPOKE_STATEMENT_ROLLBACK,
    SPOKE_STATEMENT_PAGE_COUNT,
    SPOKE_STATEMENT_FREE_COUNT,
    SPOKE_STATEMENT_SAVE_META,
    SPOKE_STATEMENT_SAVE_IDENTITY,
    SPOKE_STATEMENT_SAVE_FLOW,
    SPOKE_STATEMENT_READ_FLOWS,
    SPOKE_STATEMENT_DROP_FLOWS,
    SPOKE_STATEMENT_INSERT_OUTBOX,
    SPOKE_STATEMENT_DELETE_OUTBOX,
    SPOKE_STATEMENT_DELETE_OUTBOX_RANGE,
    SPOKE_STATEMENT_READ_OUTBOX,
    SPOKE_STATEMENT_MEASURE_OUTBOX,
    SPOKE_STATEMENT_FIRST_OUTBOX,
    SPOKE_STATEMENT_LAST_OUTBOX,
    SPOKE_STATEMENT_INSERT_INBOX,
    SPOKE_STATEMENT_UPDATE_INBOX,
    SPOKE_STATEMENT_DELETE_INBOX,
    SPOKE_STATEMENT_READ_INBOX,
    SPOKE_STATEMENT_COUNT_INBOX,
    SPOKE_N_STATEMENTS,
} SpokeStatement;

/**
 * spoke_store_open:
 * @path: an existing file
 *
 * Opens and checks what can be checked without reading it all.
 *
 * Errors: SPOKE_STORE_ERROR
 *
 * Returns: (transfer full) (nullable): close with spoke_store_close()
 */
SpokeStore *spoke_store_open(const char *path, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Makes @path anew, empty but for @meta. What is there already is removed. */
gboolean spoke_store_create(const char *path, const SpokeStoreMeta *meta,
                            GError **error) G_GNUC_WARN_UNUSED_RESULT;
void spoke_store_close(SpokeStore *store);
/* Closes a damaged one as it is: file and log are left alone. */
void spoke_store_abandon(SpokeStore *store);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpokeStore, spoke_store_close)

/* From now on a commit stores marks of @clock (borrowed, outlives us). */
void spoke_store_set_clock(SpokeStore *store, const SpokeSpoolClock *clock);

const SpokeStoreMeta *spoke_store_get_meta(SpokeStore *store);
/* How many damaged files in a row this one replaces since the start of the program. */
guint spoke_store_get_generation(SpokeStore *store);
void spoke_store_set_generation(SpokeStore *store, guint generation);
/* In the present transaction */
void spoke_store_set_meta(SpokeStore *store, const SpokeStoreMeta *meta);

/* All functions below may be called only between _begin() and _commit() or _rollback(), except
 * where nothing is written. After a failed _commit() call _rollback(). */
gboolean spoke_store_begin(SpokeStore *store, GError **error);
gboolean spoke_store_commit(SpokeStore *store, GError **error);
void spoke_store_rollback(SpokeStore *store);

/* Rows whose identity's name was lost belong to one named with this prefix and their key. */
#define SPOKE_NAMELESS_PREFIX "?"

/* (element-type SpokeStoreIdentity) (transfer none) */
GPtrArray *spoke_store_get_identities(SpokeStore *store);
SpokeStoreIdentity *spoke_store_find_identity(SpokeStore *store, guint key);
/* Finds an identity by its name, or makes one; a lone nameless one is taken to be it. @key 0: any
 * that is free. (transfer none) (nullable) */
SpokeStoreIdentity *spoke_store_ensure_identity(SpokeStore *store, const char *name, guint key,
                                                GError **error);

/* Notes an id that was given out, so that a damaged row with a greater one is known for what it is.
 */
void spoke_store_note_id(SpokeStore *store, guint64 id);
guint64 spoke_store_get_last_id(SpokeStore *store);
/* Notes that a row of this flow mark has the id @id. */
gboolean spoke_store_note_flow(SpokeStore *store, SpokeStoreIdentity *identity, SpokeLane lane,
                               guint mark, guint64 id, GError **error);

/* First and last id in a lane; both 0 when it is empty. */
gboolean spoke_store_read_ends(SpokeStore *store, guint identity, SpokeLane lane,
                               guint64 *ret_first, guint64 *ret_last, GError **error);

/* A prepared statement, reset and ready to be bound. */
sqlite3_stmt *spoke_store_get_statement(SpokeStore *store, SpokeStatement which);
/* Steps a statement that returns no rows, and resets it. */
gboolean spoke_store_run(SpokeStore *store, sqlite3_stmt *statement, GError **error);
/* Steps one that does: TRUE for a row; FALSE when there is none, or @error is set. Reset it after
 * the last row. */
gboolean spoke_store_next_row(SpokeStore *store, sqlite3_stmt *statement, GError **error);
/* The same for one that returns rows in the order of their places, the first column. @place:
 * (inout): the one before; at first one below all that are asked for. A tree that is damaged can
 * lead to any page, even back to where it came from: a place that does not rise is DAMAGED. */
gboolean spoke_store_next_place(SpokeStore *store, sqlite3_stmt *statement, gint64 *place,
                                GError **error);
/* Rows changed by the last statement. */
gint spoke_store_get_changes(SpokeStore *store);

/* Moves what is committed from the log into the file when there is enough of it, and gives the
 * disk back what an emptied queue took. Takes milliseconds; nobody's answer should wait for it.
 * @is_idle: nothing else is waiting. */
void spoke_store_tidy(SpokeStore *store, gboolean is_idle);
/* After SPOKE_STORE_ERROR_FULL: makes the log's room available again. */
void spoke_store_make_room(SpokeStore *store);
/* Whether there is room for a fair number of messages. */
gboolean spoke_store_has_room(SpokeStore *store);
