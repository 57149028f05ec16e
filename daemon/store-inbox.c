/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/store-inbox.h"

#include "daemon/store-row.h"
#include "daemon/store-schema.h"

#define READ_ROWS 32

/* C2D has no lanes. */
#define INBOX_LANE SPOKE_LANE_URGENT

gboolean
spoke_store_parse_inbox(sqlite3_stmt *row, SpokeStoreArrival *ret_arrival)
{
    gint64 place = sqlite3_column_int64(row, 0);
    gint64 delivery_count = sqlite3_column_int64(row, 3);
    gint64 dead = sqlite3_column_int64(row, 4);
    if (place < 0 || delivery_count < 0 || delivery_count > G_MAXINT || dead < 0 || dead > 255)
        return FALSE;
    SpokeMessage *message = spoke_store_parse_contents(row, 5);
    if (message == NULL)
        return FALSE;

    message->id = spoke_place_id(place);
    message->expiry_usec = sqlite3_column_int64(row, 2);
    *ret_arrival = (SpokeStoreArrival){
        .message = message,
        .received_usec = sqlite3_column_int64(row, 1),
        .delivery_count = (guint)delivery_count,
        .dead = (guint)dead,
    };
    return TRUE;
}

gboolean
spoke_store_insert_inbox(SpokeStore *store, guint identity, const SpokeStoreArrival *arrival,
                         GError **error)
{
    sqlite3_stmt *statement = spoke_store_get_statement(store, SPOKE_STATEMENT_INSERT_INBOX);
    const SpokeMessage *message = arrival->message;

    sqlite3_bind_int64(statement, 1, spoke_place(identity, INBOX_LANE, message->id));
    sqlite3_bind_int64(statement, 2, arrival->received_usec);
    sqlite3_bind_int64(statement, 3, message->expiry_usec);
    sqlite3_bind_int64(statement, 4, arrival->delivery_count);
    sqlite3_bind_int64(statement, 5, arrival->dead);
    spoke_store_bind_contents(statement, 6, message);
    spoke_store_note_id(store, message->id);
    return spoke_store_run(store, statement, error);
}

gboolean
spoke_store_update_inbox(SpokeStore *store, guint identity, guint64 id, guint delivery_count,
                         guint dead, GError **error)
{
    sqlite3_stmt *statement = spoke_store_get_statement(store, SPOKE_STATEMENT_UPDATE_INBOX);

    sqlite3_bind_int64(statement, 1, spoke_place(identity, INBOX_LANE, id));
    sqlite3_bind_int64(statement, 2, delivery_count);
    sqlite3_bind_int64(statement, 3, dead);
    return spoke_store_run(store, statement, error);
}

gboolean
spoke_store_delete_inbox(SpokeStore *store, guint identity, guint64 id, GError **error)
{
    sqlite3_stmt *statement = spoke_store_get_statement(store, SPOKE_STATEMENT_DELETE_INBOX);

    sqlite3_bind_int64(statement, 1, spoke_place(identity, INBOX_LANE, id));
    return spoke_store_run(store, statement, error);
}

gboolean
spoke_store_read_inbox(SpokeStore *store, guint identity, guint64 *after, GArray *arrivals,
                       GArray *damaged, GError **error)
{
    g_autoptr(GError) local_error = NULL;

    sqlite3_stmt *row = spoke_store_get_statement(store, SPOKE_STATEMENT_READ_INBOX);
    gint64 place = spoke_place(identity, INBOX_LANE, *after);
    spoke_store_bind_span(row, &(SpokeStoreSpan){identity, INBOX_LANE, *after, SPOKE_ID_MAX});
    for (guint i = 0; i < READ_ROWS && spoke_store_next_place(store, row, &place, &local_error);
         i++) {
        SpokeStoreArrival arrival = {0};
        *after = spoke_place_id(place);
        if (spoke_store_parse_inbox(row, &arrival))
            g_array_append_val(arrivals, arrival);
        else
            g_array_append_val(damaged, *after);
    }
    sqlite3_reset(row);
    if (local_error == NULL)
        return TRUE;
    g_propagate_error(error, g_steal_pointer(&local_error));
    return FALSE;
}

gboolean
spoke_store_count_inbox(SpokeStore *store, guint identity, guint64 *ret_count, GError **error)
{
    sqlite3_stmt *row = spoke_store_get_statement(store, SPOKE_STATEMENT_COUNT_INBOX);

    spoke_store_bind_span(row, &(SpokeStoreSpan){identity, INBOX_LANE, 0, SPOKE_ID_MAX});
    gboolean is_read = spoke_store_next_row(store, row, error);
    if (is_read)
        *ret_count = (guint64)sqlite3_column_int64(row, 0);
    sqlite3_reset(row);
    return is_read;
}
