/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/store-salvage.h"

#include "daemon/store-carve.h"
#include "daemon/store-inbox.h"
#include "daemon/store-outbox.h"
#include "daemon/store-relics.h"
#include "daemon/store-schema.h"

/*
 * Rows are read in the order of their places until SQLite meets a page it can't use, or one that
 * leads back; then the nearest place behind it that can be read is looked for, and reading goes on
 * there. It never goes back, so it comes to an end whatever the tree looks like. What lies in
 * the gaps is then looked for on the leaves themselves, in case only the tree above them is gone.
 *
 * If it is the log that is damaged no row's absence means that it is not there: all leaves are
 * looked at, and images that were replaced. Of a row that is on several, a whole one's comes first.
 */
#define ROWS_A_TRANSACTION 1000

/* Places from..to, both included, that could not be read. */
typedef struct {
    gint64 from;
    gint64 to;
} Gap;

typedef gboolean (*RowFunc)(SpokeSalvage *salvage, sqlite3_stmt *row, GError **error);

static gboolean
can_read_at(sqlite3_stmt *row, gint64 place)
{
    sqlite3_bind_int64(row, 1, place);
    int result = sqlite3_step(row);
    gboolean is_behind = result == SQLITE_ROW && sqlite3_column_int64(row, 0) < place;
    sqlite3_reset(row);
    return (result == SQLITE_ROW && !is_behind) || result == SQLITE_DONE;
}

/* The nearest place after @place, which can't be read, that can; -1 if there is none. */
static gint64
find_readable(sqlite3_stmt *row, gint64 place)
{
    gint64 bad = place;
    gint64 good = -1;

    for (gint64 step = 1; good < 0; step *= 2) {
        if (place > G_MAXINT64 - step || step > G_MAXINT64 / 2)
            return -1;
        if (can_read_at(row, place + step))
            good = place + step;
        else
            bad = place + step;
    }
    while (good - bad > 1) {
        gint64 middle = bad + (good - bad) / 2;
        if (can_read_at(row, middle))
            good = middle;
        else
            bad = middle;
    }
    return good;
}

/* Keeps the new store's transactions small. */
static gboolean
count_row(SpokeSalvage *salvage, GError **error)
{
    salvage->n_rows++;
    if (salvage->n_rows % ROWS_A_TRANSACTION != 0)
        return TRUE;
    if (!spoke_store_commit(salvage->to, error))
        return FALSE;
    spoke_store_tidy(salvage->to, FALSE);
    return spoke_store_begin(salvage->to, error);
}

static void
note_gap(SpokeSalvage *salvage, GArray *gaps, gint64 from, gint64 to)
{
    Gap gap = {from, to};

    salvage->n_gaps++;
    g_array_append_val(gaps, gap);
}

/* Hands each row that @sql (whose parameters are the first and last place) can read to @func, and
 * notes where it can't. Errors are those of the new store. */
static gboolean
walk(SpokeSalvage *salvage, const char *sql, RowFunc func, GArray *gaps, GError **error)
{
    sqlite3_stmt *row = NULL;
    gboolean is_fine = TRUE;
    gint64 place = 0;
    gint64 gap_from = -1; /* what follows is not known to be all, up to the next row; -1: it is */
    int result = SQLITE_ERROR;

    if (salvage->from == NULL ||
        sqlite3_prepare_v2(salvage->from, sql, -1, &row, NULL) != SQLITE_OK) {
        note_gap(salvage, gaps, 0, G_MAXINT64);
        return TRUE;
    }
    sqlite3_bind_int64(row, 2, G_MAXINT64);
    while (is_fine && place >= 0 && result != SQLITE_DONE) {
        sqlite3_bind_int64(row, 1, place);
        while (is_fine && (result = sqlite3_step(row)) == SQLITE_ROW) {
            gint64 found = sqlite3_column_int64(row, 0);
            if (found < place) {
                result = SQLITE_CORRUPT;
                break;
            }
            if (gap_from >= 0)
                note_gap(salvage, gaps, gap_from, found - 1);
            gap_from = -1;
            place = MIN(found, G_MAXINT64 - 1) + 1;
            is_fine = func(salvage, row, error) && count_row(salvage, error);
        }
        sqlite3_reset(row);
        if (is_fine && result != SQLITE_DONE) {
            gap_from = gap_from >= 0 ? gap_from : place;
            place = find_readable(row, place);
        }
    }
    sqlite3_finalize(row);
    /* A tree that was damaged before may well say too early that there is no more. */
    if (gap_from >= 0 || gaps->len > 0)
        note_gap(salvage, gaps, gap_from >= 0 ? gap_from : place, G_MAXINT64);
    return is_fine;
}

static gint64
place_of(sqlite3_stmt *row)
{
    return sqlite3_column_int64(row, 0);
}

/* The identity that a row belongs to, be its name known or not. */
static SpokeStoreIdentity *
identity_of(SpokeSalvage *salvage, sqlite3_stmt *row, GError **error)
{
    guint key = spoke_place_identity(place_of(row));
    SpokeStoreIdentity *identity = spoke_store_find_identity(salvage->to, key);
    if (identity != NULL)
        return identity;

    g_autofree char *name = g_strdup_printf(SPOKE_NAMELESS_PREFIX "%u", key);
    return spoke_store_ensure_identity(salvage->to, name, key, error);
}

void
spoke_salvage_expect(SpokeSalvage *salvage, guint identity, SpokeLane lane, gint64 messages,
                     gint64 bytes)
{
    SpokeStoreLoss loss = {identity, lane, messages, bytes};

    g_array_append_val(salvage->expected, loss);
}

static gboolean
copy_identity(SpokeSalvage *salvage, sqlite3_stmt *row, GError **error)
{
    const char *name = (const char *)sqlite3_column_text(row, 1);
    gint64 key = sqlite3_column_int64(row, 0);

    if (name == NULL || key < 1 || key > SPOKE_IDENTITIES_MAX)
        return TRUE;
    for (int lane = 0; lane < SPOKE_N_LANES; lane++)
        spoke_salvage_expect(salvage, (guint)key, (SpokeLane)lane,
                             sqlite3_column_int64(row, 2 + 2 * lane),
                             sqlite3_column_int64(row, 3 + 2 * lane));
    return spoke_store_ensure_identity(salvage->to, name, (guint)key, error) != NULL;
}

/* Whether a row can have been written by us at this place. */
static gboolean
is_plausible(const SpokeSalvage *salvage, sqlite3_stmt *row)
{
    gint64 place = place_of(row);
    guint64 id = place > 0 ? spoke_place_id(place) : 0;

    return id > 0 && id < salvage->id_limit && spoke_place_identity(place) > 0;
}

static gboolean
copy_outbox_row(SpokeSalvage *salvage, sqlite3_stmt *row, GError **error)
{
    g_autoptr(SpokeMessage) message = spoke_store_parse_outbox(row);
    gboolean is_inserted = FALSE;
    if (message == NULL || !is_plausible(salvage, row))
        return TRUE;
    SpokeStoreIdentity *identity = identity_of(salvage, row, error);
    if (identity == NULL ||
        !spoke_store_insert_outbox(salvage->to, identity, message, &is_inserted, error))
        return FALSE;
    salvage->n_saved += is_inserted ? 1 : 0;
    salvage->max_id = MAX(salvage->max_id, message->id);
    return TRUE;
}

static gboolean
copy_inbox_row(SpokeSalvage *salvage, sqlite3_stmt *row, GError **error)
{
    SpokeStoreArrival arrival = {0};
    if (!spoke_store_parse_inbox(row, &arrival))
        return TRUE;

    g_autoptr(SpokeMessage) message = arrival.message;
    if (!is_plausible(salvage, row))
        return TRUE;
    SpokeStoreIdentity *identity = identity_of(salvage, row, error);
    if (identity == NULL || !spoke_store_insert_inbox(salvage->to, identity->key, &arrival, error))
        return FALSE;
    salvage->n_arrivals += (guint)spoke_store_get_changes(salvage->to);
    salvage->max_id = MAX(salvage->max_id, message->id);
    return TRUE;
}

/* Looking at the leaves */

typedef struct {
    SpokeSalvage *salvage;
    GArray *gaps[2]; /* of outbox and inbox */
    GError *error;
} Carving;

static gboolean
is_in_gap(const GArray *gaps, gint64 place)
{
    for (guint i = 0; i < gaps->len; i++) {
        const Gap *gap = &g_array_index(gaps, Gap, i);
        if (place >= gap->from && place <= gap->to)
            return TRUE;
    }
    return FALSE;
}

static gboolean
copy_carved(Carving *carving, gboolean is_inbox, sqlite3_stmt *row)
{
    RowFunc copy = is_inbox ? copy_inbox_row : copy_outbox_row;

    return copy(carving->salvage, row, &carving->error) &&
           count_row(carving->salvage, &carving->error);
}

static gboolean
on_carved(gboolean is_inbox, sqlite3_stmt *row, gpointer user_data)
{
    Carving *carving = user_data;

    return !is_in_gap(carving->gaps[is_inbox ? 1 : 0], place_of(row)) ||
           copy_carved(carving, is_inbox, row);
}

static gboolean
read_view(gpointer source, guint32 number, guint8 *page)
{
    return spoke_view_read(source, number, page);
}

static gboolean
carve_leaves(Carving *carving, const SpokeView *view, SpokeCarveFunc func)
{
    g_autoptr(SpokeCarver) carver = spoke_carver_new(func, carving);
    const SpokePages pages = {read_view, (gpointer)view};

    return spoke_carver_carve_all(carver, &pages, view->n_pages);
}

static gboolean
carve_gaps(SpokeSalvage *salvage, GArray *outbox_gaps, GArray *inbox_gaps, GError **error)
{
    Carving carving = {.salvage = salvage, .gaps = {outbox_gaps, inbox_gaps}};
    g_auto(SpokeView) view;

    /* The leaves as the log left them; what was removed since must not come back. */
    if (salvage->from != NULL)
        (void)sqlite3_wal_checkpoint_v2(salvage->from, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    spoke_view_init(&view, salvage->path, NULL);
    if (carve_leaves(&carving, &view, on_carved))
        return TRUE;
    g_propagate_error(error, carving.error);
    return FALSE;
}

/* An outbox's rows never change: one from a whole image is as good as the last, and better than
 * one that may have been hit. */
static gboolean
on_whole_relic(gboolean is_inbox, sqlite3_stmt *row, gpointer user_data)
{
    return is_inbox || copy_carved(user_data, is_inbox, row);
}

static gboolean
on_any(gboolean is_inbox, sqlite3_stmt *row, gpointer user_data)
{
    return copy_carved(user_data, is_inbox, row);
}

static gboolean
carve_whole_relics(SpokeSalvage *salvage, GError **error)
{
    Carving carving = {.salvage = salvage};

    if (salvage->view == NULL || spoke_relics_carve(salvage->view, TRUE, on_whole_relic, &carving))
        return TRUE;
    g_propagate_error(error, carving.error);
    return FALSE;
}

static gboolean
carve_view(SpokeSalvage *salvage, GError **error)
{
    Carving carving = {.salvage = salvage};

    if (carve_leaves(&carving, salvage->view, on_any) &&
        spoke_relics_carve(salvage->view, FALSE, on_any, &carving))
        return TRUE;
    g_propagate_error(error, carving.error);
    return FALSE;
}

static gboolean
carve(SpokeSalvage *salvage, GArray *outbox_gaps, GArray *inbox_gaps, GError **error)
{
    if (salvage->view != NULL)
        return carve_view(salvage, error);
    return outbox_gaps->len + inbox_gaps->len == 0 ||
           carve_gaps(salvage, outbox_gaps, inbox_gaps, error);
}

gboolean
spoke_salvage_copy(SpokeSalvage *salvage, GError **error)
{
    g_autoptr(GArray) identity_gaps = g_array_new(FALSE, FALSE, sizeof(Gap));
    g_autoptr(GArray) outbox_gaps = g_array_new(FALSE, FALSE, sizeof(Gap));
    g_autoptr(GArray) inbox_gaps = g_array_new(FALSE, FALSE, sizeof(Gap));

    return walk(salvage, "SELECT * FROM identities WHERE key BETWEEN ?1 AND ?2", copy_identity,
                identity_gaps, error) &&
           carve_whole_relics(salvage, error) &&
           walk(salvage, spoke_statements[SPOKE_STATEMENT_READ_OUTBOX], copy_outbox_row,
                outbox_gaps, error) &&
           walk(salvage, spoke_statements[SPOKE_STATEMENT_READ_INBOX], copy_inbox_row, inbox_gaps,
                error) &&
           carve(salvage, outbox_gaps, inbox_gaps, error);
}
