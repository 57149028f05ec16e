/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/store-recover.h"

#include "daemon/store-inbox.h"
#include "daemon/store-outbox.h"
#include "daemon/store-room.h"
#include "daemon/store-schema.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * Rows are read in the order of their places until SQLite meets a page it can't use; then the
 * nearest place behind it that can be read is looked for, and reading goes on there. If the first
 * page is gone, with the header and the list of tables, a new store's first page stands in for it:
 * tables are always made in the same order, so they lie in the same pages.
 */
#define ROWS_A_TRANSACTION 1000
#define NEW_SUFFIX         ".new"
#define ID_LEAP            (G_GUINT64_CONSTANT(1) << 32) /* if the next id was lost */

typedef struct {
    const char *path;     /* of the damaged file */
    const char *new_path; /* of its successor */
    sqlite3 *from;        /* owned; the damaged file, NULL if it can't be opened at all */
    SpokeStore *to;       /* owned; its successor */

    /* From the store while it was open, or from the file */
    SpokeStoreMeta meta;
    gboolean is_meta_known;
    guint generation;
    GPtrArray *names; /* owned, of char *: of the identities below */
    GArray *keys;     /* owned, of guint */
    GArray *expected; /* owned, of SpokeStoreLoss: what each lane should hold */

    SpokeStoreDamage *damage;
    guint stretches; /* unreadable ones */
    guint n_rows;    /* copied */
    guint n_arrivals;
    guint64 max_id;
} Salvage;

typedef gboolean (*RowFunc)(Salvage *salvage, sqlite3_stmt *row, GError **error);

void
spoke_store_damage_clear(SpokeStoreDamage *damage)
{
    g_clear_pointer(&damage->set_aside, g_free);
    g_clear_pointer(&damage->losses, g_array_unref);
}

static gboolean
can_read_at(sqlite3_stmt *row, gint64 place)
{
    sqlite3_bind_int64(row, 1, place);
    int result = sqlite3_step(row);
    sqlite3_reset(row);
    return result == SQLITE_ROW || result == SQLITE_DONE;
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
count_row(Salvage *salvage, GError **error)
{
    salvage->n_rows++;
    if (salvage->n_rows % ROWS_A_TRANSACTION != 0)
        return TRUE;
    if (!spoke_store_commit(salvage->to, error))
        return FALSE;
    spoke_store_tidy(salvage->to, FALSE);
    return spoke_store_begin(salvage->to, error);
}

/* Hands each row that @sql (whose parameters are the first and last place) can read to @func.
 * Errors are those of the new store. */
static gboolean
walk(Salvage *salvage, const char *sql, RowFunc func, GError **error)
{
    sqlite3_stmt *row = NULL;
    gboolean is_fine = TRUE;
    gint64 place = 0;
    int result = SQLITE_ERROR;

    if (sqlite3_prepare_v2(salvage->from, sql, -1, &row, NULL) != SQLITE_OK) {
        salvage->stretches++;
        return TRUE;
    }
    sqlite3_bind_int64(row, 2, G_MAXINT64);
    while (is_fine && place >= 0 && result != SQLITE_DONE) {
        sqlite3_bind_int64(row, 1, place);
        while (is_fine && (result = sqlite3_step(row)) == SQLITE_ROW) {
            place = MIN(sqlite3_column_int64(row, 0), G_MAXINT64 - 1) + 1;
            is_fine = func(salvage, row, error) && count_row(salvage, error);
        }
        sqlite3_reset(row);
        if (is_fine && result != SQLITE_DONE) {
            salvage->stretches++;
            place = find_readable(row, place);
        }
    }
    sqlite3_finalize(row);
    return is_fine;
}

static gint64
place_of(sqlite3_stmt *row)
{
    return sqlite3_column_int64(row, 0);
}

/* The identity that a row belongs to, be its name known or not. */
static SpokeStoreIdentity *
identity_of(Salvage *salvage, sqlite3_stmt *row, GError **error)
{
    guint key = spoke_place_identity(place_of(row));
    SpokeStoreIdentity *identity = spoke_store_find_identity(salvage->to, key);
    if (identity != NULL)
        return identity;

    g_autofree char *name = g_strdup_printf(SPOKE_NAMELESS_PREFIX "%u", key);
    return spoke_store_ensure_identity(salvage->to, name, key, error);
}

static void
expect(Salvage *salvage, guint identity, SpokeLane lane, gint64 messages, gint64 bytes)
{
    SpokeStoreLoss loss = {identity, lane, messages, bytes};

    g_array_append_val(salvage->expected, loss);
}

static gboolean
copy_identity(Salvage *salvage, sqlite3_stmt *row, GError **error)
{
    const char *name = (const char *)sqlite3_column_text(row, 1);
    gint64 key = sqlite3_column_int64(row, 0);

    if (name == NULL || key < 1 || key > SPOKE_IDENTITIES_MAX)
        return TRUE;
    for (int lane = 0; lane < SPOKE_N_LANES; lane++)
        expect(salvage, (guint)key, (SpokeLane)lane, sqlite3_column_int64(row, 2 + 2 * lane),
               sqlite3_column_int64(row, 3 + 2 * lane));
    return spoke_store_ensure_identity(salvage->to, name, (guint)key, error) != NULL;
}

static gboolean
copy_outbox_row(Salvage *salvage, sqlite3_stmt *row, GError **error)
{
    g_autoptr(SpokeMessage) message = spoke_store_parse_outbox(row);
    gboolean is_inserted = FALSE;
    if (message == NULL || message->id == 0 || spoke_place_identity(place_of(row)) == 0)
        return TRUE;
    SpokeStoreIdentity *identity = identity_of(salvage, row, error);
    if (identity == NULL ||
        !spoke_store_insert_outbox(salvage->to, identity, message, &is_inserted, error))
        return FALSE;
    salvage->damage->saved += is_inserted ? 1 : 0;
    salvage->max_id = MAX(salvage->max_id, message->id);
    return TRUE;
}

static gboolean
copy_inbox_row(Salvage *salvage, sqlite3_stmt *row, GError **error)
{
    SpokeStoreArrival arrival = {0};
    if (!spoke_store_parse_inbox(row, &arrival))
        return TRUE;

    g_autoptr(SpokeMessage) message = arrival.message;
    if (message->id == 0 || spoke_place_identity(place_of(row)) == 0)
        return TRUE;
    SpokeStoreIdentity *identity = identity_of(salvage, row, error);
    if (identity == NULL || !spoke_store_insert_inbox(salvage->to, identity->key, &arrival, error))
        return FALSE;
    salvage->n_arrivals++;
    salvage->max_id = MAX(salvage->max_id, message->id);
    return TRUE;
}

/* What was known of the queue while the store was open is better than what its file says. */
static void
note_known(Salvage *salvage, SpokeStore *damaged)
{
    GPtrArray *identities = spoke_store_get_identities(damaged);

    salvage->meta = *spoke_store_get_meta(damaged);
    salvage->is_meta_known = TRUE;
    salvage->generation = spoke_store_get_generation(damaged) + 1;
    for (guint i = 0; i < identities->len; i++) {
        const SpokeStoreIdentity *identity = identities->pdata[i];
        g_ptr_array_add(salvage->names, g_strdup(identity->name));
        g_array_append_val(salvage->keys, identity->key);
        for (SpokeLane lane = 0; lane < SPOKE_N_LANES; lane++)
            expect(salvage, identity->key, lane, (gint64)identity->committed[lane].messages,
                   (gint64)identity->committed[lane].bytes);
    }
}

/* Compares what is there with what was expected; of two expectations for a lane the first counts.
 */
static void
count_losses(Salvage *salvage)
{
    SpokeStoreDamage *damage = salvage->damage;
    g_autoptr(GHashTable) seen = g_hash_table_new(NULL, NULL);
    guint64 expected = 0;

    for (guint i = 0; i < salvage->expected->len; i++) {
        SpokeStoreLoss loss = g_array_index(salvage->expected, SpokeStoreLoss, i);
        if (!g_hash_table_add(seen, GUINT_TO_POINTER(loss.identity << 1 | loss.lane)))
            continue;
        expected += (guint64)MAX(loss.messages, 0);
        SpokeStoreIdentity *identity = spoke_store_find_identity(salvage->to, loss.identity);
        if (identity != NULL) {
            loss.messages -= (gint64)identity->lanes[loss.lane].messages;
            loss.bytes -= (gint64)identity->lanes[loss.lane].bytes;
        }
        g_array_append_val(damage->losses, loss);
    }
    damage->lost = expected > damage->saved ? expected - damage->saved : 0;
    if (expected == 0)
        damage->lost = salvage->stretches; /* at least a message each, for all one knows */
    damage->saved += salvage->n_arrivals;
}

static gboolean
open_damaged(const char *path, sqlite3 **ret_db)
{
    static const char settings[] = "PRAGMA locking_mode=EXCLUSIVE; PRAGMA cell_size_check=ON;"
                                   /* reads a file that is shorter than it says */
                                   "PRAGMA writable_schema=ON;";

    if (sqlite3_open_v2(path, ret_db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) !=
        SQLITE_OK)
        return FALSE;
    (void)sqlite3_db_config(*ret_db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    return sqlite3_exec(*ret_db, settings, NULL, NULL, NULL) == SQLITE_OK;
}

/* Whether the list of tables is there. */
static gboolean
has_tables(sqlite3 *db)
{
    sqlite3_stmt *row = NULL;
    gboolean has = TRUE;

    for (guint i = SPOKE_STATEMENT_READ_FLOWS; i < SPOKE_N_STATEMENTS && has; i++) {
        has = sqlite3_prepare_v2(db, spoke_statements[i], -1, &row, NULL) == SQLITE_OK;
        sqlite3_finalize(row);
    }
    return has && spoke_schema_check(db, NULL);
}

static void
put_number(guint8 *page, guint offset, guint32 number)
{
    guint32 big_endian = GUINT32_TO_BE(number);

    memcpy(page + offset, &big_endian, sizeof big_endian);
}

/* Source: sqlite.org/fileformat2.html, 1.3: the database header */
static void
adapt_header(guint8 *page, guint32 n_pages)
{
    enum { CHANGE_COUNTER = 24, PAGE_COUNT = 28, FREE_FIRST = 32, FREE_COUNT = 36, VALID_FOR = 92 };

    put_number(page, CHANGE_COUNTER, 1);
    put_number(page, VALID_FOR, 1);
    put_number(page, PAGE_COUNT, n_pages);
    put_number(page, FREE_FIRST, 0);
    put_number(page, FREE_COUNT, 0);
}

/* Writes the first page of @like over that of @path. */
static gboolean
replace_first_page(const char *path, const char *like)
{
    guint8 page[SPOKE_STORE_PAGE_BYTES];
    struct stat status;

    int from = open(like, O_RDONLY | O_CLOEXEC);
    gboolean is_read = from >= 0 && pread(from, page, sizeof page, 0) == sizeof page;
    if (from >= 0)
        close(from);
    int to = is_read ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (to < 0)
        return FALSE;

    gboolean is_written = fstat(to, &status) == 0;
    if (is_written) {
        guint64 n_pages = MAX((guint64)status.st_size / sizeof page, 1);
        adapt_header(page, (guint32)n_pages);
        is_written = pwrite(to, page, sizeof page, 0) == sizeof page;
    }
    close(to);
    return is_written;
}

/* Opens the damaged file, mended at its beginning if it must be. */
static void
open_source(Salvage *salvage)
{
    if (open_damaged(salvage->path, &salvage->from) && has_tables(salvage->from))
        return;
    g_clear_pointer(&salvage->from, sqlite3_close);
    if (!replace_first_page(salvage->path, salvage->new_path) ||
        !open_damaged(salvage->path, &salvage->from))
        g_clear_pointer(&salvage->from, sqlite3_close);
}

static gboolean
add_known_identities(Salvage *salvage, GError **error)
{
    for (guint i = 0; i < salvage->names->len; i++) {
        guint key = g_array_index(salvage->keys, guint, i);
        if (spoke_store_ensure_identity(salvage->to, salvage->names->pdata[i], key, error) == NULL)
            return FALSE;
    }
    return TRUE;
}

static gboolean
copy_tables(Salvage *salvage, GError **error)
{
    if (!salvage->is_meta_known && spoke_schema_read_meta(salvage->from, &salvage->meta, NULL))
        salvage->is_meta_known = TRUE;
    return walk(salvage, "SELECT * FROM identities WHERE key BETWEEN ?1 AND ?2", copy_identity,
                error) &&
           walk(salvage, spoke_statements[SPOKE_STATEMENT_READ_OUTBOX], copy_outbox_row, error) &&
           walk(salvage, spoke_statements[SPOKE_STATEMENT_READ_INBOX], copy_inbox_row, error);
}

/* Fills the new store with what is known, and with rows if @with_rows. */
static gboolean
fill(Salvage *salvage, gboolean with_rows, GError **error)
{
    if (!spoke_store_begin(salvage->to, error) || !add_known_identities(salvage, error) ||
        (with_rows && salvage->from != NULL && !copy_tables(salvage, error)))
        return FALSE;
    if (salvage->max_id >= salvage->meta.next_id || !salvage->is_meta_known)
        salvage->meta.next_id = MIN(salvage->max_id + ID_LEAP, SPOKE_ID_MAX);
    spoke_store_set_meta(salvage->to, &salvage->meta);
    return spoke_store_commit(salvage->to, error);
}

/* Makes the new file. */
static gboolean
salvage_rows(Salvage *salvage, gboolean with_rows, GError **error)
{
    salvage->damage->saved = 0;
    salvage->n_arrivals = 0;
    if (!spoke_store_create(salvage->new_path, &salvage->meta, error))
        return FALSE;
    if (with_rows)
        open_source(salvage);
    salvage->to = spoke_store_open(salvage->new_path, error);
    gboolean is_filled = salvage->to != NULL && fill(salvage, with_rows, error);
    if (is_filled)
        count_losses(salvage);
    g_clear_pointer(&salvage->from, sqlite3_close);
    g_clear_pointer(&salvage->to, spoke_store_close);
    return is_filled;
}

static void
sync_directory(const char *path)
{
    g_autofree char *directory = g_path_get_dirname(path);

    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return;
    (void)fsync(fd);
    close(fd);
}

static gboolean
move(const char *from, const char *to, GError **error)
{
    if (rename(from, to) == 0)
        return TRUE;
    g_set_error(error, SPOKE_STORE_ERROR, SPOKE_STORE_ERROR_FAILED, "Can't rename %s to %s: %s",
                from, to, g_strerror(errno));
    return FALSE;
}

/* Moves the damaged file and its log to a name that is free, and the new one to its place. */
static gboolean
replace_file(Salvage *salvage, GError **error)
{
    g_autofree char *log_path = g_strconcat(salvage->path, "-wal", NULL);
    g_autofree char *aside = NULL;

    for (guint n = 1; aside == NULL || access(aside, F_OK) == 0; n++) {
        g_free(aside);
        aside = g_strdup_printf("%s.corrupt-%u", salvage->path, n);
    }
    g_autofree char *log_aside = g_strconcat(aside, "-wal", NULL);
    (void)rename(log_path, log_aside); /* there may be none */
    if (!move(salvage->path, aside, error) || !move(salvage->new_path, salvage->path, error))
        return FALSE;
    sync_directory(salvage->path);
    salvage->damage->set_aside = g_steal_pointer(&aside);
    return TRUE;
}

SpokeStore *
spoke_store_recover(const char *path, SpokeStore *damaged, SpokeStoreDamage *ret_damage,
                    GError **error)
{
    g_autofree char *new_path = g_strconcat(path, NEW_SUFFIX, NULL);
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GArray) keys = g_array_new(FALSE, FALSE, sizeof(guint));
    g_autoptr(GArray) expected = g_array_new(FALSE, FALSE, sizeof(SpokeStoreLoss));
    g_autoptr(GError) local_error = NULL;
    Salvage salvage = {.path = path,
                       .new_path = new_path,
                       .names = names,
                       .keys = keys,
                       .expected = expected,
                       .damage = ret_damage};

    *ret_damage = (SpokeStoreDamage){.losses = g_array_new(FALSE, FALSE, sizeof(SpokeStoreLoss))};
    spoke_store_meta_init(&salvage.meta);
    if (damaged != NULL) {
        note_known(&salvage, damaged);
        spoke_store_abandon(damaged);
    }
    gboolean is_made = salvage_rows(&salvage, TRUE, &local_error);
    if (g_error_matches(local_error, SPOKE_STORE_ERROR, SPOKE_STORE_ERROR_FULL))
        is_made = salvage_rows(&salvage, FALSE, error);
    else if (!is_made)
        g_propagate_error(error, g_steal_pointer(&local_error));
    if (!is_made || !replace_file(&salvage, error))
        return NULL;

    SpokeStore *store = spoke_store_open(path, error);
    if (store != NULL)
        spoke_store_set_generation(store, salvage.generation);
    return store;
}

gboolean
spoke_store_ensure(const char *path, GError **error)
{
    g_autofree char *new_path = g_strconcat(path, NEW_SUFFIX, NULL);
    SpokeStoreMeta meta;

    if (access(path, F_OK) == 0)
        return TRUE;
    g_autoptr(SpokeStore) finished =
        access(new_path, F_OK) == 0 ? spoke_store_open(new_path, NULL) : NULL;
    spoke_store_meta_init(&meta);
    if (finished == NULL && !spoke_store_create(new_path, &meta, error))
        return FALSE;
    g_clear_pointer(&finished, spoke_store_close);
    if (!move(new_path, path, error))
        return FALSE;
    sync_directory(path);
    return TRUE;
}
