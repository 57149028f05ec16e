/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/store-outbox.h"

#include "daemon/store-schema.h"

SpokeMessage *
spoke_store_parse_outbox(sqlite3_stmt *row)
{
    gint64 place = sqlite3_column_int64(row, 0);
    const char *app = NULL;
    const char *notify = NULL;
    if (place < 0 || !spoke_store_read_text(row, 3, &app) ||
        !spoke_store_read_text(row, 4, &notify))
        return NULL;
    SpokeMessage *message = spoke_store_parse_contents(row, 5);
    if (message == NULL)
        return NULL;

    message->id = spoke_place_id(place);
    message->lane = spoke_place_lane(place);
    message->expiry_usec = sqlite3_column_int64(row, 1);
    message->flow = (guint64)sqlite3_column_int64(row, 2);
    message->app = app != NULL ? g_ref_string_new(app) : NULL;
    message->notify = g_strdup(notify);
    return message;
}

gboolean
spoke_store_insert_outbox(SpokeStore *store, SpokeStoreIdentity *identity,
                          const SpokeMessage *message, gboolean *ret_inserted, GError **error)
{
    sqlite3_stmt *statement = spoke_store_get_statement(store, SPOKE_STATEMENT_INSERT_OUTBOX);

    sqlite3_bind_int64(statement, 1, spoke_place(identity->key, message->lane, message->id));
    sqlite3_bind_int64(statement, 2, message->expiry_usec);
    sqlite3_bind_int64(statement, 3, (gint64)message->flow);
    sqlite3_bind_text(statement, 4, message->app, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 5, message->notify, -1, SQLITE_STATIC);
    spoke_store_bind_contents(statement, 6, message);
    if (!spoke_store_run(store, statement, error))
        return FALSE;

    spoke_store_note_id(store, message->id);
    *ret_inserted = spoke_store_get_changes(store) > 0;
    if (!*ret_inserted)
        return TRUE;
    identity->lanes[message->lane].messages++;
    identity->lanes[message->lane].bytes += spoke_message_cost(message);
    return spoke_store_note_flow(store, identity, message->lane, spoke_flow_mark(message->flow),
                                 message->id, error);
}

static void
count_off(SpokeStoreIdentity *identity, SpokeLane lane, const SpokeTally *gone)
{
    SpokeTally *tally = &identity->lanes[lane];

    tally->messages -= MIN(gone->messages, tally->messages);
    tally->bytes -= MIN(gone->bytes, tally->bytes);
}

gboolean
spoke_store_delete_outbox(SpokeStore *store, SpokeStoreIdentity *identity, const SpokeStoreRow *row,
                          gboolean *ret_deleted, GError **error)
{
    sqlite3_stmt *statement = spoke_store_get_statement(store, SPOKE_STATEMENT_DELETE_OUTBOX);

    sqlite3_bind_int64(statement, 1, spoke_place(identity->key, row->lane, row->id));
    if (!spoke_store_run(store, statement, error))
        return FALSE;
    *ret_deleted = spoke_store_get_changes(store) > 0;
    if (*ret_deleted)
        count_off(identity, row->lane, &(SpokeTally){1, row->cost});
    return TRUE;
}

static void
unref_message(gpointer data)
{
    spoke_message_unref(data);
}

void
spoke_store_page_init(SpokeStorePage *page)
{
    page->messages = g_ptr_array_new_with_free_func(unref_message);
    page->damaged = g_array_new(FALSE, FALSE, sizeof(SpokeStoreRow));
    page->last_id = 0;
}

void
spoke_store_page_clear(SpokeStorePage *page)
{
    g_clear_pointer(&page->messages, g_ptr_array_unref);
    g_clear_pointer(&page->damaged, g_array_unref);
}

/* What a row that can't be parsed counts: by the sizes, which is all there is to go by. */
static guint32
measure_damaged(sqlite3_stmt *row)
{
    gint64 size = 0;

    for (int column = 5; column < 8; column++)
        size += sqlite3_column_bytes(row, column);
    return (guint32)size + SPOKE_MESSAGE_HEAD_COST;
}

/* Adds the row to the page. Returns what it counts. */
static guint32
add_to_page(SpokeStorePage *page, sqlite3_stmt *row)
{
    gint64 place = sqlite3_column_int64(row, 0);

    page->last_id = spoke_place_id(place);
    SpokeMessage *message = spoke_store_parse_outbox(row);
    if (message != NULL) {
        g_ptr_array_add(page->messages, message);
        return (guint32)spoke_message_cost(message);
    }
    SpokeStoreRow damaged = {page->last_id, measure_damaged(row), spoke_place_lane(place)};
    g_array_append_val(page->damaged, damaged);
    return damaged.cost;
}

gboolean
spoke_store_read_page(SpokeStore *store, const SpokeStoreSpan *span, guint64 costs_max,
                      SpokeStorePage *page, GError **error)
{
    g_autoptr(GError) local_error = NULL;
    guint64 costs = 0;
    guint n_rows = 0;
    gboolean is_row = TRUE;

    spoke_store_page_clear(page);
    spoke_store_page_init(page);
    sqlite3_stmt *row = spoke_store_get_statement(store, SPOKE_STATEMENT_READ_OUTBOX);
    gint64 place = spoke_place(span->identity, span->lane, span->after);
    spoke_store_bind_span(row, span);
    while (n_rows < SPOKE_STORE_PAGE_ROWS && costs < costs_max &&
           (is_row = spoke_store_next_place(store, row, &place, &local_error))) {
        costs += add_to_page(page, row);
        n_rows++;
    }
    sqlite3_reset(row);
    if (local_error != NULL) {
        g_propagate_error(error, g_steal_pointer(&local_error));
        return FALSE;
    }
    if (!is_row)
        page->last_id = span->upto;
    return TRUE;
}

void
spoke_store_drop_init(SpokeStoreDrop *drop)
{
    *drop = (SpokeStoreDrop){
        .notify = g_ptr_array_new_with_free_func(g_free),
        .notify_ids = g_array_new(FALSE, FALSE, sizeof(guint64)),
    };
}

void
spoke_store_drop_clear(SpokeStoreDrop *drop)
{
    g_clear_pointer(&drop->notify, g_ptr_array_unref);
    g_clear_pointer(&drop->notify_ids, g_array_unref);
}

/* What a row of SPOKE_STATEMENT_MEASURE_OUTBOX counts */
static guint32
measure_row(sqlite3_stmt *row)
{
    return (guint32)sqlite3_column_int64(row, 2) + SPOKE_MESSAGE_HEAD_COST;
}

/* Counts the row that is to be dropped. */
static void
add_to_drop(SpokeStoreDrop *drop, sqlite3_stmt *row, guint64 id)
{
    const char *notify = NULL;

    drop->tally.messages++;
    drop->tally.bytes += measure_row(row);
    if (spoke_store_read_text(row, 1, &notify) && notify != NULL) {
        g_ptr_array_add(drop->notify, g_strdup(notify));
        g_array_append_val(drop->notify_ids, id);
    }
}

/* Looks for what to drop: counts it in @drop, and notes in @ends where each unbroken run of ids
 * between spared ones ends. */
static gboolean
choose_oldest(SpokeStore *store, const SpokeStoreSpan *span, guint64 bytes, guint rows_max,
              GArray *spare, SpokeStoreDrop *drop, GError **error)
{
    g_autoptr(GError) local_error = NULL;
    guint next_spared = 0;
    gboolean is_row = TRUE;

    sqlite3_stmt *row = spoke_store_get_statement(store, SPOKE_STATEMENT_MEASURE_OUTBOX);
    gint64 place = spoke_place(span->identity, span->lane, span->after);
    spoke_store_bind_span(row, span);
    drop->last_id = span->after;
    while (drop->tally.messages < rows_max && drop->tally.bytes < bytes &&
           (is_row = spoke_store_next_place(store, row, &place, &local_error))) {
        guint64 id = spoke_place_id(place);
        while (next_spared < spare->len && g_array_index(spare, guint64, next_spared) < id)
            next_spared++;
        if (next_spared == spare->len || g_array_index(spare, guint64, next_spared) != id)
            add_to_drop(drop, row, id);
        drop->last_id = id;
    }
    sqlite3_reset(row);
    if (local_error != NULL) {
        g_propagate_error(error, g_steal_pointer(&local_error));
        return FALSE;
    }
    if (!is_row)
        drop->last_id = span->upto;
    return TRUE;
}

static gboolean
delete_range(SpokeStore *store, const SpokeStoreSpan *span, GError **error)
{
    if (span->upto <= span->after)
        return TRUE;
    sqlite3_stmt *statement = spoke_store_get_statement(store, SPOKE_STATEMENT_DELETE_OUTBOX_RANGE);
    spoke_store_bind_span(statement, span);
    return spoke_store_run(store, statement, error);
}

gboolean
spoke_store_drop_oldest(SpokeStore *store, const SpokeStoreSpan *span, guint64 bytes,
                        guint rows_max, GArray *spare, SpokeStoreDrop *drop, GError **error)
{
    spoke_store_drop_clear(drop);
    spoke_store_drop_init(drop);
    SpokeStoreIdentity *identity = spoke_store_find_identity(store, span->identity);
    if (!choose_oldest(store, span, bytes, rows_max, spare, drop, error))
        return FALSE;

    SpokeStoreSpan run = *span;
    for (guint i = 0; i < spare->len; i++) {
        guint64 spared = g_array_index(spare, guint64, i);
        if (spared <= run.after || spared > drop->last_id)
            continue;
        run.upto = spared - 1;
        if (!delete_range(store, &run, error))
            return FALSE;
        run.after = spared;
    }
    run.upto = drop->last_id;
    if (!delete_range(store, &run, error))
        return FALSE;
    count_off(identity, span->lane, &drop->tally);
    return TRUE;
}

void
spoke_store_expired_init(SpokeStoreExpired *expired)
{
    *expired = (SpokeStoreExpired){
        .rows = g_array_new(FALSE, FALSE, sizeof(SpokeStoreRow)),
        .notify = g_ptr_array_new_with_free_func(g_free),
        .next_usec = SPOKE_EXPIRY_NEVER,
    };
}

void
spoke_store_expired_clear(SpokeStoreExpired *expired)
{
    g_clear_pointer(&expired->rows, g_array_unref);
    g_clear_pointer(&expired->notify, g_ptr_array_unref);
}

static void
add_if_expired(SpokeStoreExpired *expired, sqlite3_stmt *row, gint64 now_usec)
{
    gint64 place = sqlite3_column_int64(row, 0);
    gint64 expiry_usec = sqlite3_column_int64(row, 3);
    SpokeStoreRow entry = {spoke_place_id(place), measure_row(row), spoke_place_lane(place)};
    const char *notify = NULL;

    expired->last_id = entry.id;
    if (expiry_usec <= 0)
        return;
    if (expiry_usec > now_usec) {
        expired->next_usec = MIN(expired->next_usec, expiry_usec);
        return;
    }
    (void)spoke_store_read_text(row, 1, &notify);
    g_array_append_val(expired->rows, entry);
    g_ptr_array_add(expired->notify, g_strdup(notify));
}

gboolean
spoke_store_find_expired(SpokeStore *store, const SpokeStoreSpan *span, gint64 now_usec,
                         guint rows_max, SpokeStoreExpired *expired, GError **error)
{
    g_autoptr(GError) local_error = NULL;
    gboolean is_row = TRUE;

    spoke_store_expired_clear(expired);
    spoke_store_expired_init(expired);
    sqlite3_stmt *row = spoke_store_get_statement(store, SPOKE_STATEMENT_MEASURE_OUTBOX);
    gint64 place = spoke_place(span->identity, span->lane, span->after);
    spoke_store_bind_span(row, span);
    for (guint n = 0;
         n < rows_max && (is_row = spoke_store_next_place(store, row, &place, &local_error)); n++)
        add_if_expired(expired, row, now_usec);
    sqlite3_reset(row);
    if (local_error != NULL) {
        g_propagate_error(error, g_steal_pointer(&local_error));
        return FALSE;
    }
    if (!is_row)
        expired->last_id = span->upto;
    return TRUE;
}

static void
bind_marks(sqlite3_stmt *statement, guint identity, SpokeLane lane, guint64 first_id)
{
    sqlite3_bind_int64(statement, 1, spoke_place(identity, lane, 0));
    sqlite3_bind_int64(statement, 2, spoke_place(identity, lane, SPOKE_FLOW_MARKS - 1));
    sqlite3_bind_int64(statement, 3, (gint64)first_id);
}

gboolean
spoke_store_read_flows(SpokeStore *store, guint identity, SpokeLane lane, guint64 first_id,
                       SpokeFlowMarks *marks, GError **error)
{
    g_autoptr(GError) local_error = NULL;

    sqlite3_stmt *row = spoke_store_get_statement(store, SPOKE_STATEMENT_READ_FLOWS);
    gint64 place = spoke_place(identity, lane, 0) - 1;
    bind_marks(row, identity, lane, first_id);
    while (spoke_store_next_place(store, row, &place, &local_error)) {
        spoke_flow_marks_set(marks, (guint)spoke_place_id(place),
                             (guint64)sqlite3_column_int64(row, 1));
    }
    sqlite3_reset(row);
    if (local_error != NULL) {
        g_propagate_error(error, g_steal_pointer(&local_error));
        return FALSE;
    }
    sqlite3_stmt *statement = spoke_store_get_statement(store, SPOKE_STATEMENT_DROP_FLOWS);
    bind_marks(statement, identity, lane, first_id);
    return spoke_store_run(store, statement, error);
}
