/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/store.h"

/* The inbox's rows, inside a transaction. */

typedef struct {
    SpokeMessage *message; /* owned */
    gint64 received_usec;
    guint delivery_count;
    guint dead;
} SpokeStoreArrival;

gboolean spoke_store_insert_inbox(SpokeStore *store, guint identity,
                                  const SpokeStoreArrival *arrival, GError **error);
gboolean spoke_store_update_inbox(SpokeStore *store, guint identity, guint64 id,
                                  guint delivery_count, guint dead, GError **error);
gboolean spoke_store_delete_inbox(SpokeStore *store, guint identity, guint64 id, GError **error);
/* Reads some of the rows above *@after into @arrivals (of SpokeStoreArrival) and moves *@after on.
 * @damaged (of guint64) gets the ids of rows that make no sense. At the end nothing is added. */
gboolean spoke_store_read_inbox(SpokeStore *store, guint identity, guint64 *after, GArray *arrivals,
                                GArray *damaged, GError **error);
gboolean spoke_store_count_inbox(SpokeStore *store, guint identity, guint64 *ret_count,
                                 GError **error);

/* The row of SPOKE_STATEMENT_READ_INBOX; FALSE if it makes no sense. */
gboolean spoke_store_parse_inbox(sqlite3_stmt *row, SpokeStoreArrival *ret_arrival);
