/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/expiries.h"
#include "daemon/store-row.h"

/*
 * The outbox's rows, inside a transaction. Whoever changes a row changes its lane's tally; here
 * that is one place.
 */

/* Names a row of an outbox and says what it counts. */
typedef struct {
    guint64 id;
    guint32 cost;
    SpokeLane lane;
} SpokeStoreRow;

/* @ret_inserted: FALSE if the row was there already */
gboolean spoke_store_insert_outbox(SpokeStore *store, SpokeStoreIdentity *identity,
                                   const SpokeMessage *message, gboolean *ret_inserted,
                                   GError **error);
/* @ret_deleted: FALSE if there was none */
gboolean spoke_store_delete_outbox(SpokeStore *store, SpokeStoreIdentity *identity,
                                   const SpokeStoreRow *row, gboolean *ret_deleted, GError **error);

/* The first rows of a span */
#define SPOKE_STORE_PAGE_ROWS  256
#define SPOKE_STORE_PAGE_COSTS (256 * 1024)
typedef struct {
    GPtrArray *messages; /* owned, of SpokeMessage */
    GArray *damaged;     /* owned, of SpokeStoreRow: rows that make no sense */
    guint64 last_id;     /* all rows up to here were looked at */
} SpokeStorePage;

void spoke_store_page_init(SpokeStorePage *page);
void spoke_store_page_clear(SpokeStorePage *page);
/* Empties @page first. @costs_max: the row that passes it is the last one */
gboolean spoke_store_read_page(SpokeStore *store, const SpokeStoreSpan *span, guint64 costs_max,
                               SpokeStorePage *page, GError **error);

/* Rows dropped, oldest first. */
typedef struct {
    SpokeTally tally;
    GPtrArray *notify;  /* owned, of char *: of the rows that had one, */
    GArray *notify_ids; /* owned, of guint64: and their ids */
    guint64 last_id;    /* all rows up to here are gone or were spared */
} SpokeStoreDrop;

void spoke_store_drop_init(SpokeStoreDrop *drop);
void spoke_store_drop_clear(SpokeStoreDrop *drop);
/* Empties @drop first. @spare: (element-type guint64): ids to leave, ascending */
gboolean spoke_store_drop_oldest(SpokeStore *store, const SpokeStoreSpan *span, guint64 bytes,
                                 guint rows_max, GArray *spare, SpokeStoreDrop *drop,
                                 GError **error);

/* Rows whose time is up */
typedef struct {
    GArray *rows;      /* owned, of SpokeStoreRow */
    GPtrArray *notify; /* owned, of char *, each nullable: theirs */
    guint64 last_id;   /* all rows up to here were looked at */
    gint64 next_usec;  /* when the first of the others expires; SPOKE_EXPIRY_NEVER */
} SpokeStoreExpired;

void spoke_store_expired_init(SpokeStoreExpired *expired);
void spoke_store_expired_clear(SpokeStoreExpired *expired);
/* Empties @expired first. Looks at the first @rows_max rows of @span. */
gboolean spoke_store_find_expired(SpokeStore *store, const SpokeStoreSpan *span, gint64 now_usec,
                                  guint rows_max, SpokeStoreExpired *expired, GError **error);

/* Fills @marks (empty) with the last id a flow of each mark may have; forgets marks below
 * @first_id. */
gboolean spoke_store_read_flows(SpokeStore *store, guint identity, SpokeLane lane, guint64 first_id,
                                SpokeFlowMarks *marks, GError **error);

/* The message in a row of SPOKE_STATEMENT_READ_OUTBOX. (transfer full) (nullable): NULL if it makes
 * no sense */
SpokeMessage *spoke_store_parse_outbox(sqlite3_stmt *row);
