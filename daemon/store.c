/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/store.h"

#include "daemon/store-room.h"
#include "daemon/store-schema.h"
#include "daemon/store-wal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

/*
 * What a transaction carries along is written by the commit itself: the tallies of identities that
 * changed, and now and then a mark of the clock. In memory each has what was last committed beside
 * it, for a rollback.
 */
#define MARK_INTERVAL_USEC (10 * G_USEC_PER_SEC)
#define ROOM_PAGES_MIN     64   /* what has_room() asks for */
#define FLOW_BOUND_STEP    1024 /* ids; a flow's mark is stored once for that many */

typedef struct {
    SpokeFlowMarks *bounds; /* borrowed, an identity's */
    guint mark;
} TouchedFlow;

struct SpokeStore {
    sqlite3 *db; /* owned */
    SpokeStoreRoom room;
    sqlite3_stmt *statements[SPOKE_N_STATEMENTS];
    const SpokeSpoolClock *clock; /* borrowed; NULL until set */

    SpokeStoreMeta meta;
    SpokeStoreMeta committed_meta;
    GPtrArray *identities; /* owned */
    GHashTable *by_key;    /* owned; of identities */
    GHashTable *by_name;   /* owned; of identities, the key inside them */
    GArray *touched_flows; /* of TouchedFlow, in this transaction */
    gint64 changes_at_begin;
    gboolean is_meta_changed;
    guint64 last_id; /* the greatest that was given out, as far as rows tell */
    guint generation;
};

G_DEFINE_QUARK(spoke_store_error, spoke_store_error)

static void
identity_free(gpointer data)
{
    SpokeStoreIdentity *identity = data;

    for (guint lane = 0; lane < SPOKE_N_LANES; lane++)
        spoke_flow_marks_clear(&identity->flow_bounds[lane]);
    g_free(identity->name);
    g_free(identity);
}

static gboolean
fail_with(int number, const char *path, GError **error)
{
    SpokeStoreError code =
        number == ENOSPC || number == EDQUOT ? SPOKE_STORE_ERROR_FULL : SPOKE_STORE_ERROR_FAILED;

    g_set_error(error, SPOKE_STORE_ERROR, code, "Can't open %s: %s", path, g_strerror(number));
    return FALSE;
}

/* Opens @path with SQLite, ready for its first statement. */
static gboolean
connect_to(const char *path, sqlite3 **ret_db, GError **error)
{
    int result = sqlite3_open_v2(
        path, ret_db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
    if (result == SQLITE_OK)
        result = spoke_schema_configure(*ret_db);
    if (result == SQLITE_ERROR) /* a file format that SQLite does not know */
        result = SQLITE_CORRUPT;
    return result == SQLITE_OK || spoke_schema_fail(*ret_db, result, error);
}

static gboolean
use_log(sqlite3 *db, GError **error)
{
    sqlite3_stmt *statement = NULL;

    int result = sqlite3_prepare_v2(db, "PRAGMA journal_mode=WAL", -1, &statement, NULL);
    if (result == SQLITE_OK)
        result = sqlite3_step(statement);
    gboolean is_wal = result == SQLITE_ROW &&
                      g_strcmp0((const char *)sqlite3_column_text(statement, 0), "wal") == 0;
    if (!is_wal)
        (void)spoke_schema_fail(db, result == SQLITE_ROW ? SQLITE_IOERR : result, error);
    sqlite3_finalize(statement);
    return is_wal;
}

/* A missing table or column shows here, for every statement names what it needs. */
static gboolean
prepare_statements(SpokeStore *store, GError **error)
{
    for (guint i = 0; i < SPOKE_N_STATEMENTS; i++) {
        int result = sqlite3_prepare_v3(store->db, spoke_statements[i], -1,
                                        SQLITE_PREPARE_PERSISTENT, &store->statements[i], NULL);
        if (result == SQLITE_ERROR)
            result = SQLITE_CORRUPT;
        if (result != SQLITE_OK)
            return spoke_schema_fail(store->db, result, error);
    }
    return TRUE;
}

/* @identity: (transfer full) */
static void
add_identity(SpokeStore *store, SpokeStoreIdentity *identity)
{
    g_ptr_array_add(store->identities, identity);
    g_hash_table_insert(store->by_key, GUINT_TO_POINTER(identity->key), identity);
    if (identity->name != NULL) /* in a damaged file it may be missing */
        g_hash_table_insert(store->by_name, identity->name, identity);
}

static gboolean
read_identities(SpokeStore *store, GError **error)
{
    sqlite3_stmt *row = NULL;
    gboolean is_sound = TRUE;

    int result = sqlite3_prepare_v2(store->db, "SELECT * FROM identities", -1, &row, NULL);
    if (result == SQLITE_OK)
        result = sqlite3_step(row);
    for (; result == SQLITE_ROW && is_sound; result = sqlite3_step(row)) {
        const char *name = (const char *)sqlite3_column_text(row, 1);
        gint64 key = sqlite3_column_int64(row, 0);

        is_sound = name != NULL && key >= 1 && key <= SPOKE_IDENTITIES_MAX;
        SpokeStoreIdentity *identity = g_new0(SpokeStoreIdentity, 1);
        identity->key = (guint)key;
        identity->name = g_strdup(name);
        identity->is_stored = TRUE;
        for (guint lane = 0; lane < SPOKE_N_LANES; lane++) {
            identity->lanes[lane].messages = (guint64)sqlite3_column_int64(row, 2 + 2 * (int)lane);
            identity->lanes[lane].bytes = (guint64)sqlite3_column_int64(row, 3 + 2 * (int)lane);
            identity->committed[lane] = identity->lanes[lane];
        }
        add_identity(store, identity);
    }
    if (result != SQLITE_DONE || !is_sound)
        (void)spoke_schema_fail(store->db, is_sound ? result : SQLITE_CORRUPT, error);
    sqlite3_finalize(row);
    return result == SQLITE_DONE && is_sound;
}

/* Looks at one end of a lane, which walks down an edge of the tree. */
static gboolean
read_end(SpokeStore *store, SpokeStatement which, guint identity, SpokeLane lane, guint64 *ret_id,
         GError **error)
{
    g_autoptr(GError) local_error = NULL;

    sqlite3_stmt *row = spoke_store_get_statement(store, which);
    sqlite3_bind_int64(row, 1, spoke_place(identity, lane, 0));
    sqlite3_bind_int64(row, 2, spoke_place(identity, lane, SPOKE_ID_MAX));
    *ret_id =
        spoke_store_next_row(store, row, &local_error) && sqlite3_column_type(row, 0) != SQLITE_NULL
            ? spoke_place_id(sqlite3_column_int64(row, 0))
            : 0;
    sqlite3_reset(row);
    if (local_error == NULL)
        return TRUE;
    g_propagate_error(error, g_steal_pointer(&local_error));
    return FALSE;
}

gboolean
spoke_store_read_ends(SpokeStore *store, guint identity, SpokeLane lane, guint64 *ret_first,
                      guint64 *ret_last, GError **error)
{
    return read_end(store, SPOKE_STATEMENT_FIRST_OUTBOX, identity, lane, ret_first, error) &&
           read_end(store, SPOKE_STATEMENT_LAST_OUTBOX, identity, lane, ret_last, error);
}

/* Cheap, however long the queue. Tallies that say "some" where there is nothing, or the reverse,
 * show that file and log don't belong together; an id that was never given out, that a page was
 * overwritten. */
static gboolean
check_lane(SpokeStore *store, const SpokeStoreIdentity *identity, SpokeLane lane, GError **error)
{
    guint64 first_id = 0;
    guint64 last_id = 0;
    if (!spoke_store_read_ends(store, identity->key, lane, &first_id, &last_id, error))
        return FALSE;
    if ((first_id > 0) == (identity->lanes[lane].messages > 0) && last_id < store->meta.next_id)
        return TRUE;
    g_set_error_literal(error, SPOKE_STORE_ERROR, SPOKE_STORE_ERROR_DAMAGED,
                        "its tallies don't match its rows");
    return FALSE;
}

static gboolean
check_lanes(SpokeStore *store, GError **error)
{
    for (guint i = 0; i < store->identities->len; i++) {
        for (SpokeLane lane = 0; lane < SPOKE_N_LANES; lane++) {
            if (!check_lane(store, store->identities->pdata[i], lane, error))
                return FALSE;
        }
    }
    return TRUE;
}

static gboolean
load(SpokeStore *store, GError **error)
{
    return spoke_schema_check(store->db, error) && use_log(store->db, error) &&
           prepare_statements(store, error) &&
           spoke_schema_read_meta(store->db, &store->meta, error) &&
           read_identities(store, error) && check_lanes(store, error);
}

SpokeStore *
spoke_store_open(const char *path, GError **error)
{
    if (access(path, R_OK | W_OK) < 0) {
        (void)fail_with(errno, path, error);
        return NULL;
    }

    if (spoke_wal_is_damaged(path)) { /* asked before SQLite drops what it can't read */
        g_set_error(error, SPOKE_STORE_ERROR, SPOKE_STORE_ERROR_DAMAGED,
                    "Can't use %s: its log is damaged", path);
        return NULL;
    }
    g_autoptr(SpokeStore) store = g_new0(SpokeStore, 1);
    store->room.fd = -1;
    store->identities = g_ptr_array_new_with_free_func(identity_free);
    store->by_key = g_hash_table_new(NULL, NULL);
    store->by_name = g_hash_table_new(g_str_hash, g_str_equal);
    store->touched_flows = g_array_new(FALSE, FALSE, sizeof(TouchedFlow));
    if (!connect_to(path, &store->db, error) || !load(store, error)) {
        g_prefix_error(error, "Can't use %s: ", path);
        return NULL;
    }
    store->committed_meta = store->meta;
    store->last_id = store->meta.next_id - 1;
    spoke_store_room_init(&store->room, store->db, path);
    return g_steal_pointer(&store);
}

void
spoke_store_close(SpokeStore *store)
{
    if (store == NULL)
        return;

    for (guint i = 0; i < SPOKE_N_STATEMENTS; i++)
        sqlite3_finalize(store->statements[i]);
    sqlite3_close(store->db);
    spoke_store_room_clear(&store->room);
    g_array_unref(store->touched_flows);
    g_hash_table_unref(store->by_key);
    g_hash_table_unref(store->by_name);
    g_ptr_array_unref(store->identities);
    g_free(store);
}

void
spoke_store_abandon(SpokeStore *store)
{
    (void)sqlite3_db_config(store->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    spoke_store_close(store);
}

void
spoke_store_meta_init(SpokeStoreMeta *meta)
{
    guint64 random = 0;

    *meta = (SpokeStoreMeta){.next_id = 1};
    if (getrandom(&random, sizeof random, 0) != sizeof random)
        g_error("The kernel gives no random numbers");
    (void)g_snprintf(meta->spool_id, sizeof meta->spool_id, "%016" G_GINT64_MODIFIER "x", random);
}

static void
remove_files(const char *path)
{
    static const char *const suffixes[] = {"", "-wal", "-shm", "-journal"};

    for (guint i = 0; i < G_N_ELEMENTS(suffixes); i++) {
        g_autofree char *file = g_strconcat(path, suffixes[i], NULL);
        (void)unlink(file);
    }
}

gboolean
spoke_store_create(const char *path, const SpokeStoreMeta *meta, GError **error)
{
    sqlite3 *db = NULL;

    remove_files(path);
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail_with(errno, path, error);

    gboolean is_made = connect_to(path, &db, error);
    if (is_made) {
        int result = spoke_schema_create(db, meta);
        is_made = result == SQLITE_OK || spoke_schema_fail(db, result, error);
    }
    is_made = is_made && use_log(db, error);
    sqlite3_close(db);
    close(fd);
    if (!is_made)
        g_prefix_error(error, "Can't make %s: ", path);
    return is_made;
}

void
spoke_store_set_clock(SpokeStore *store, const SpokeSpoolClock *clock)
{
    store->clock = clock;
}

const SpokeStoreMeta *
spoke_store_get_meta(SpokeStore *store)
{
    return &store->meta;
}

sqlite3_stmt *
spoke_store_get_statement(SpokeStore *store, SpokeStatement which)
{
    return store->statements[which];
}

gboolean
spoke_store_run(SpokeStore *store, sqlite3_stmt *statement, GError **error)
{
    int result = sqlite3_step(statement);
    if (result != SQLITE_DONE && result != SQLITE_ROW)
        (void)spoke_schema_fail(store->db, result, error);
    sqlite3_reset(statement);
    return result == SQLITE_DONE || result == SQLITE_ROW;
}

gboolean
spoke_store_next_row(SpokeStore *store, sqlite3_stmt *statement, GError **error)
{
    int result = sqlite3_step(statement);
    /* A row that says that it is too big for SQLite was never written. */
    if (result == SQLITE_TOOBIG)
        result = SQLITE_CORRUPT;
    if (result != SQLITE_ROW && result != SQLITE_DONE)
        (void)spoke_schema_fail(store->db, result, error);
    return result == SQLITE_ROW;
}

gboolean
spoke_store_next_place(SpokeStore *store, sqlite3_stmt *statement, gint64 *place, GError **error)
{
    if (!spoke_store_next_row(store, statement, error))
        return FALSE;

    gint64 next = sqlite3_column_int64(statement, 0);
    if (next <= *place) {
        g_set_error_literal(error, SPOKE_STORE_ERROR, SPOKE_STORE_ERROR_DAMAGED,
                            "its rows are out of order");
        return FALSE;
    }
    *place = next;
    return TRUE;
}

gint
spoke_store_get_changes(SpokeStore *store)
{
    return sqlite3_changes(store->db);
}

gboolean
spoke_store_begin(SpokeStore *store, GError **error)
{
    store->changes_at_begin = sqlite3_total_changes(store->db);
    return spoke_store_run(store, store->statements[SPOKE_STATEMENT_BEGIN], error);
}

static gboolean
save_meta(SpokeStore *store, GError **error)
{
    sqlite3_stmt *statement = store->statements[SPOKE_STATEMENT_SAVE_META];
    const SpokeStoreMeta *meta = &store->meta;

    sqlite3_bind_text(statement, 1, meta->spool_id, -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 2, (gint64)meta->next_id);
    sqlite3_bind_int64(statement, 3, meta->mark.spool_usec);
    sqlite3_bind_int64(statement, 4, meta->mark.boottime_usec);
    sqlite3_bind_int64(statement, 5, meta->mark.wall_usec);
    sqlite3_bind_text(statement, 6, meta->mark.boot_id, -1, SQLITE_STATIC);
    return spoke_store_run(store, statement, error);
}

static gboolean
save_identity(SpokeStore *store, const SpokeStoreIdentity *identity, GError **error)
{
    sqlite3_stmt *statement = store->statements[SPOKE_STATEMENT_SAVE_IDENTITY];

    sqlite3_bind_int64(statement, 1, identity->key);
    sqlite3_bind_text(statement, 2, identity->name, -1, SQLITE_STATIC);
    for (int lane = 0; lane < SPOKE_N_LANES; lane++) {
        sqlite3_bind_int64(statement, 3 + 2 * lane, (gint64)identity->lanes[lane].messages);
        sqlite3_bind_int64(statement, 4 + 2 * lane, (gint64)identity->lanes[lane].bytes);
    }
    return spoke_store_run(store, statement, error);
}

static gboolean
is_changed(const SpokeStoreIdentity *identity)
{
    return !identity->is_stored ||
           memcmp(identity->lanes, identity->committed, sizeof identity->lanes) != 0;
}

static gboolean
save_identities(SpokeStore *store, GError **error)
{
    for (guint i = 0; i < store->identities->len; i++) {
        const SpokeStoreIdentity *identity = store->identities->pdata[i];
        if (is_changed(identity) && !save_identity(store, identity, error))
            return FALSE;
    }
    return TRUE;
}

/* The clock is stored along with other things, never for its own sake. */
static gboolean
save_mark(SpokeStore *store, GError **error)
{
    if (store->clock == NULL)
        return !store->is_meta_changed || save_meta(store, error);

    gint64 age_usec = spoke_spool_clock_now(store->clock) - store->meta.mark.spool_usec;
    if (!store->is_meta_changed && age_usec >= 0 && age_usec < MARK_INTERVAL_USEC)
        return TRUE;
    spoke_spool_clock_mark(store->clock, &store->meta.mark);
    return save_meta(store, error);
}

/* What the pragma of @which says. */
static guint64
read_count(SpokeStore *store, SpokeStatement which)
{
    sqlite3_stmt *statement = store->statements[which];

    guint64 count =
        sqlite3_step(statement) == SQLITE_ROW ? (guint64)sqlite3_column_int64(statement, 0) : 0;
    sqlite3_reset(statement);
    return count;
}

static gboolean
reserve(SpokeStore *store, guint64 pages, GError **error)
{
    if (spoke_store_room_reserve(&store->room, pages))
        return TRUE;
    g_set_error_literal(error, SPOKE_STORE_ERROR, SPOKE_STORE_ERROR_FULL, "the disk is full");
    return FALSE;
}

gboolean
spoke_store_commit(SpokeStore *store, GError **error)
{
    if (!save_identities(store, error))
        return FALSE;
    gboolean is_written = sqlite3_total_changes(store->db) != store->changes_at_begin;
    if ((is_written || store->is_meta_changed) &&
        (!save_mark(store, error) ||
         !reserve(store, read_count(store, SPOKE_STATEMENT_PAGE_COUNT), error)))
        return FALSE;
    if (!spoke_store_run(store, store->statements[SPOKE_STATEMENT_COMMIT], error))
        return FALSE;

    store->is_meta_changed = FALSE;
    store->committed_meta = store->meta;
    g_array_set_size(store->touched_flows, 0);
    for (guint i = 0; i < store->identities->len; i++) {
        SpokeStoreIdentity *identity = store->identities->pdata[i];
        memcpy(identity->committed, identity->lanes, sizeof identity->committed);
        identity->is_stored = TRUE;
    }
    return TRUE;
}

void
spoke_store_rollback(SpokeStore *store)
{
    for (guint i = 0; i < SPOKE_N_STATEMENTS; i++)
        sqlite3_reset(store->statements[i]);
    /* SQLite may have rolled back by itself. */
    if (!sqlite3_get_autocommit(store->db))
        (void)spoke_store_run(store, store->statements[SPOKE_STATEMENT_ROLLBACK], NULL);

    store->meta = store->committed_meta;
    store->is_meta_changed = FALSE;
    for (guint i = 0; i < store->touched_flows->len; i++) {
        const TouchedFlow *touched = &g_array_index(store->touched_flows, TouchedFlow, i);
        spoke_flow_marks_set(touched->bounds, touched->mark, 0);
    }
    g_array_set_size(store->touched_flows, 0);
    for (guint i = 0; i < store->identities->len; i++) {
        SpokeStoreIdentity *identity = store->identities->pdata[i];
        memcpy(identity->lanes, identity->committed, sizeof identity->lanes);
    }
}

guint
spoke_store_get_generation(SpokeStore *store)
{
    return store->generation;
}

void
spoke_store_set_generation(SpokeStore *store, guint generation)
{
    store->generation = generation;
}

void
spoke_store_set_meta(SpokeStore *store, const SpokeStoreMeta *meta)
{
    store->meta = *meta;
    store->is_meta_changed = TRUE;
}

GPtrArray *
spoke_store_get_identities(SpokeStore *store)
{
    return store->identities;
}

SpokeStoreIdentity *
spoke_store_find_identity(SpokeStore *store, guint key)
{
    return g_hash_table_lookup(store->by_key, GUINT_TO_POINTER(key));
}

static guint
find_free_key(SpokeStore *store)
{
    guint key = store->identities->len + 1; /* unless there are gaps */

    if (key <= SPOKE_IDENTITIES_MAX && spoke_store_find_identity(store, key) == NULL)
        return key;
    key = 1;
    while (key <= SPOKE_IDENTITIES_MAX && spoke_store_find_identity(store, key) != NULL)
        key++;
    return key;
}

/* With one identity in all, its rows can only be those of the one now asked for. */
static SpokeStoreIdentity *
adopt_nameless(SpokeStore *store, const char *name)
{
    SpokeStoreIdentity *only = store->identities->len == 1 ? store->identities->pdata[0] : NULL;
    if (only == NULL || !g_str_has_prefix(only->name, SPOKE_NAMELESS_PREFIX))
        return NULL;

    g_hash_table_remove(store->by_name, only->name);
    g_free(only->name);
    only->name = g_strdup(name);
    only->is_stored = FALSE;
    g_hash_table_insert(store->by_name, only->name, only);
    return only;
}

static SpokeStoreIdentity *
find_named(SpokeStore *store, const char *name)
{
    SpokeStoreIdentity *identity = g_hash_table_lookup(store->by_name, name);

    return identity != NULL ? identity : adopt_nameless(store, name);
}

SpokeStoreIdentity *
spoke_store_ensure_identity(SpokeStore *store, const char *name, guint key, GError **error)
{
    SpokeStoreIdentity *identity = find_named(store, name);
    if (identity != NULL)
        return identity;

    if (key == 0)
        key = find_free_key(store);
    if (key > SPOKE_IDENTITIES_MAX) {
        g_set_error(error, SPOKE_STORE_ERROR, SPOKE_STORE_ERROR_FAILED,
                    "a spool holds at most %d identities", SPOKE_IDENTITIES_MAX);
        return NULL;
    }
    identity = g_new0(SpokeStoreIdentity, 1);
    identity->key = key;
    identity->name = g_strdup(name);
    add_identity(store, identity);
    return identity;
}

void
spoke_store_note_id(SpokeStore *store, guint64 id)
{
    store->last_id = MAX(store->last_id, id);
}

guint64
spoke_store_get_last_id(SpokeStore *store)
{
    return store->last_id;
}

gboolean
spoke_store_note_flow(SpokeStore *store, SpokeStoreIdentity *identity, SpokeLane lane, guint mark,
                      guint64 id, GError **error)
{
    SpokeFlowMarks *bounds = &identity->flow_bounds[lane];
    if (id <= spoke_flow_marks_get(bounds, mark))
        return TRUE;

    guint64 last_id = (id / FLOW_BOUND_STEP + 1) * FLOW_BOUND_STEP;
    sqlite3_stmt *statement = store->statements[SPOKE_STATEMENT_SAVE_FLOW];
    sqlite3_bind_int64(statement, 1, spoke_place(identity->key, lane, mark));
    sqlite3_bind_int64(statement, 2, (gint64)last_id);
    if (!spoke_store_run(store, statement, error))
        return FALSE;
    TouchedFlow touched = {bounds, mark};
    g_array_append_val(store->touched_flows, touched);
    spoke_flow_marks_set(bounds, mark, last_id);
    return TRUE;
}

void
spoke_store_tidy(SpokeStore *store, gboolean is_idle)
{
    if (spoke_store_room_is_log_full(&store->room))
        spoke_store_room_empty_log(&store->room);
    if (!is_idle || !spoke_store_room_is_file_large(&store->room))
        return;

    guint64 free_pages = read_count(store, SPOKE_STATEMENT_FREE_COUNT);
    guint64 used_pages = read_count(store, SPOKE_STATEMENT_PAGE_COUNT) - free_pages;
    spoke_store_room_shrink(&store->room, used_pages, free_pages);
}

void
spoke_store_make_room(SpokeStore *store)
{
    spoke_store_room_empty_log(&store->room);
}

gboolean
spoke_store_has_room(SpokeStore *store)
{
    return read_count(store, SPOKE_STATEMENT_FREE_COUNT) >= ROOM_PAGES_MIN ||
           reserve(store, read_count(store, SPOKE_STATEMENT_PAGE_COUNT) + ROOM_PAGES_MIN, NULL);
}
