/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/store-schema.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/*
 * A new table or column means a new SCHEMA_VERSION and a step that makes it from the one before;
 * there has been only one so far. It holds the other way round too: a version with the tables of
 * another is a number that was damaged. The order of the CREATE statements is part of the format:
 * store-recover.c relies on it to rebuild a lost first page.
 */
#define SCHEMA_VERSION   1
#define APPLICATION_ID   0x73706f6b /* "spok": what file(1) and we know the file by */
#define VERSION_MAX      1000       /* nobody will get that far */
#define TEXT_OF(number)  TEXT_OF_(number)
#define TEXT_OF_(number) #number

/* secure_delete: a message that is gone is gone; store-carve.c relies on it. locking_mode: one
 * process alone, and no shared-memory file to run out of room. */
static const char configuration[] = "PRAGMA locking_mode=EXCLUSIVE;"
                                    "PRAGMA page_size=4096;"
                                    "PRAGMA cache_size=-768;"
                                    "PRAGMA synchronous=FULL;"
                                    "PRAGMA temp_store=MEMORY;"
                                    "PRAGMA secure_delete=ON;"
                                    "PRAGMA cell_size_check=ON;"
                                    "PRAGMA trusted_schema=OFF;"
                                    "PRAGMA wal_autocheckpoint=0;";

static const char tables[] =
    "CREATE TABLE meta(one INTEGER PRIMARY KEY, spool_id TEXT, next_id INTEGER, clock INTEGER,"
    " boottime INTEGER, wall INTEGER, boot_id TEXT);"
    "CREATE TABLE identities(key INTEGER PRIMARY KEY, name TEXT, urgent_messages INTEGER,"
    " urgent_bytes INTEGER, normal_messages INTEGER, normal_bytes INTEGER);"
    /* place: identity, lane and mark; no row of the mark's flows has an id above last_id */
    "CREATE TABLE flows(place INTEGER PRIMARY KEY, last_id INTEGER);"
    "CREATE TABLE outbox(place INTEGER PRIMARY KEY, expiry INTEGER, flow INTEGER, app TEXT,"
    " notify TEXT, system BLOB, properties BLOB, body BLOB);"
    "CREATE TABLE inbox(place INTEGER PRIMARY KEY, received INTEGER, expiry INTEGER,"
    " delivery_count INTEGER, dead INTEGER, system BLOB, properties BLOB, body BLOB);"
    "PRAGMA application_id=" TEXT_OF(APPLICATION_ID) ";"
                                                     "PRAGMA user_version=" TEXT_OF(
                                                         SCHEMA_VERSION) ";";

const char *const spoke_statements[SPOKE_N_STATEMENTS] = {
    [SPOKE_STATEMENT_BEGIN] = "BEGIN IMMEDIATE",
    [SPOKE_STATEMENT_COMMIT] = "COMMIT",
    [SPOKE_STATEMENT_ROLLBACK] = "ROLLBACK",
    [SPOKE_STATEMENT_PAGE_COUNT] = "PRAGMA page_count",
    [SPOKE_STATEMENT_FREE_COUNT] = "PRAGMA freelist_count",
    [SPOKE_STATEMENT_SAVE_META] = "INSERT OR REPLACE INTO meta VALUES(1, ?1, ?2, ?3, ?4, ?5, ?6)",
    [SPOKE_STATEMENT_SAVE_IDENTITY] =
        "INSERT OR REPLACE INTO identities VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
    [SPOKE_STATEMENT_SAVE_FLOW] = "INSERT OR REPLACE INTO flows VALUES(?1, ?2)",
    [SPOKE_STATEMENT_READ_FLOWS] =
        "SELECT place, last_id FROM flows WHERE place BETWEEN ?1 AND ?2 AND last_id >= ?3",
    [SPOKE_STATEMENT_DROP_FLOWS] =
        "DELETE FROM flows WHERE place BETWEEN ?1 AND ?2 AND last_id < ?3",
    [SPOKE_STATEMENT_INSERT_OUTBOX] =
        "INSERT OR IGNORE INTO outbox VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    [SPOKE_STATEMENT_DELETE_OUTBOX] = "DELETE FROM outbox WHERE place=?1",
    [SPOKE_STATEMENT_DELETE_OUTBOX_RANGE] = "DELETE FROM outbox WHERE place BETWEEN ?1 AND ?2",
    [SPOKE_STATEMENT_READ_OUTBOX] = "SELECT place, expiry, flow, app, notify, system, properties,"
                                    " body FROM outbox WHERE place BETWEEN ?1 AND ?2"
                                    " ORDER BY place",
    [SPOKE_STATEMENT_MEASURE_OUTBOX] =
        "SELECT place, notify, ifnull(length(system), 0) + ifnull(length(properties), 0) +"
        " ifnull(length(body), 0), expiry FROM outbox WHERE place BETWEEN ?1 AND ?2"
        " ORDER BY place",
    [SPOKE_STATEMENT_FIRST_OUTBOX] = "SELECT min(place) FROM outbox WHERE place BETWEEN ?1 AND ?2",
    [SPOKE_STATEMENT_LAST_OUTBOX] = "SELECT max(place) FROM outbox WHERE place BETWEEN ?1 AND ?2",
    [SPOKE_STATEMENT_INSERT_INBOX] =
        "INSERT OR IGNORE INTO inbox VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    [SPOKE_STATEMENT_UPDATE_INBOX] = "UPDATE inbox SET delivery_count=?2, dead=?3 WHERE place=?1",
    [SPOKE_STATEMENT_DELETE_INBOX] = "DELETE FROM inbox WHERE place=?1",
    [SPOKE_STATEMENT_READ_INBOX] = "SELECT place, received, expiry, delivery_count, dead, system,"
                                   " properties, body FROM inbox WHERE place BETWEEN ?1 AND ?2"
                                   " ORDER BY place",
    [SPOKE_STATEMENT_COUNT_INBOX] = "SELECT count(*) FROM inbox WHERE place BETWEEN ?1 AND ?2",
};

gboolean
spoke_schema_fail(sqlite3 *db, int result, GError **error)
{
    SpokeStoreError code = SPOKE_STORE_ERROR_FAILED;
    int system_error = sqlite3_system_errno(db);

    switch (result & 0xff) {
    case SQLITE_FULL:
        code = SPOKE_STORE_ERROR_FULL;
        break;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        code = SPOKE_STORE_ERROR_DAMAGED;
        break;
    case SQLITE_IOERR:
        if (system_error == ENOSPC || system_error == EDQUOT)
            code = SPOKE_STORE_ERROR_FULL;
        break;
    case SQLITE_BUSY:
        g_set_error_literal(error, SPOKE_STORE_ERROR, code, "another process has it open");
        return FALSE;
    default:
        break;
    }
    if ((result & 0xff) == SQLITE_IOERR && system_error != 0)
        g_set_error(error, SPOKE_STORE_ERROR, code, "%s (%s)", sqlite3_errmsg(db),
                    g_strerror(system_error));
    else
        g_set_error_literal(error, SPOKE_STORE_ERROR, code, sqlite3_errmsg(db));
    return FALSE;
}

int
spoke_schema_configure(sqlite3 *db)
{
    return sqlite3_exec(db, configuration, NULL, NULL, NULL);
}

int
spoke_schema_create(sqlite3 *db, const SpokeStoreMeta *meta)
{
    char *row = sqlite3_mprintf("INSERT INTO meta VALUES(1, %Q, %lld, %lld, %lld, %lld, %Q);",
                                meta->spool_id, (sqlite3_int64)meta->next_id, meta->mark.spool_usec,
                                meta->mark.boottime_usec, meta->mark.wall_usec, meta->mark.boot_id);
    g_autofree char *all = g_strconcat("BEGIN EXCLUSIVE;", tables, row, "COMMIT;", NULL);
    sqlite3_free(row);

    return sqlite3_exec(db, all, NULL, NULL, NULL);
}

/* The one number that @pragma returns. */
static gboolean
read_number(sqlite3 *db, const char *pragma, gint64 *ret_number, GError **error)
{
    sqlite3_stmt *statement = NULL;

    int result = sqlite3_prepare_v2(db, pragma, -1, &statement, NULL);
    if (result == SQLITE_OK)
        result = sqlite3_step(statement);
    if (result == SQLITE_ROW)
        *ret_number = sqlite3_column_int64(statement, 0);
    else
        (void)spoke_schema_fail(db, result, error);
    sqlite3_finalize(statement);
    return result == SQLITE_ROW;
}

/* A format that is for reading only, in a file that can be written. Source: sqlite.org/fileformat2,
 * 1.3.3, "File format version numbers". */
static gboolean
is_made_read_only(sqlite3 *db)
{
    return sqlite3_db_readonly(db, "main") == 1 &&
           access(sqlite3_db_filename(db, "main"), R_OK | W_OK) == 0;
}

/* Whether the tables are those that we make, to the letter, or can't be read at all. */
static gboolean
has_our_tables(sqlite3 *db)
{
    sqlite3_stmt *row = NULL;
    const char *rest = tables;

    int result = sqlite3_prepare_v2(db, "SELECT sql || ';' FROM sqlite_master ORDER BY rowid", -1,
                                    &row, NULL);
    while (row != NULL && (result = sqlite3_step(row)) == SQLITE_ROW) {
        const char *sql = (const char *)sqlite3_column_text(row, 0);
        if (sql == NULL || !g_str_has_prefix(rest, sql))
            break;
        rest += strlen(sql);
    }
    sqlite3_finalize(row);
    return result == SQLITE_DONE ? g_str_has_prefix(rest, "PRAGMA") : result != SQLITE_ROW;
}

/* A newer version's tables differ from ours; a number that a disk made up leaves them as they are.
 */
static gboolean
is_possible(sqlite3 *db, gint64 version)
{
    return version >= 1 && version <= VERSION_MAX &&
           (version == SCHEMA_VERSION || !has_our_tables(db));
}

gboolean
spoke_schema_check(sqlite3 *db, GError **error)
{
    gint64 application = 0;
    gint64 version = 0;

    if (!read_number(db, "PRAGMA application_id", &application, error) ||
        !read_number(db, "PRAGMA user_version", &version, error))
        return FALSE;
    if (application != APPLICATION_ID || !is_possible(db, version) || is_made_read_only(db)) {
        g_set_error(error, SPOKE_STORE_ERROR, SPOKE_STORE_ERROR_DAMAGED, "it is not a spool");
        return FALSE;
    }
    if (version > SCHEMA_VERSION) {
        g_set_error(error, SPOKE_STORE_ERROR, SPOKE_STORE_ERROR_FAILED,
                    "it was written by a newer version: its schema is %" G_GINT64_FORMAT
                    ", and this program knows up to %d",
                    version, SCHEMA_VERSION);
        return FALSE;
    }
    return TRUE;
}

static gboolean
is_hex(const char *text)
{
    while (g_ascii_isxdigit(*text))
        text++;
    return *text == '\0';
}

static gboolean
parse_meta(sqlite3_stmt *row, SpokeStoreMeta *ret_meta)
{
    const char *spool_id = (const char *)sqlite3_column_text(row, 0);
    const char *boot_id = (const char *)sqlite3_column_text(row, 5);
    gint64 next_id = sqlite3_column_int64(row, 1);

    if (spool_id == NULL || boot_id == NULL || next_id < 1 || (guint64)next_id > SPOKE_ID_MAX ||
        sqlite3_column_bytes(row, 0) != SPOKE_SPOOL_ID_SIZE - 1 || !is_hex(spool_id))
        return FALSE;
    *ret_meta = (SpokeStoreMeta){
        .next_id = (guint64)next_id,
        .mark = {.spool_usec = sqlite3_column_int64(row, 2),
                 .boottime_usec = sqlite3_column_int64(row, 3),
                 .wall_usec = sqlite3_column_int64(row, 4)},
    };
    (void)g_strlcpy(ret_meta->spool_id, spool_id, sizeof ret_meta->spool_id);
    (void)g_strlcpy(ret_meta->mark.boot_id, boot_id, sizeof ret_meta->mark.boot_id);
    return TRUE;
}

gboolean
spoke_schema_read_meta(sqlite3 *db, SpokeStoreMeta *ret_meta, GError **error)
{
    sqlite3_stmt *row = NULL;

    int result = sqlite3_prepare_v2(db,
                                    "SELECT spool_id, next_id, clock, boottime, wall, boot_id"
                                    " FROM meta WHERE one=1",
                                    -1, &row, NULL);
    if (result == SQLITE_OK)
        result = sqlite3_step(row);
    gboolean is_read = result == SQLITE_ROW && parse_meta(row, ret_meta);
    if (result != SQLITE_ROW && result != SQLITE_DONE)
        (void)spoke_schema_fail(db, result, error);
    else if (!is_read)
        g_set_error_literal(error, SPOKE_STORE_ERROR, SPOKE_STORE_ERROR_DAMAGED,
                            "its table \"meta\" makes no sense");
    sqlite3_finalize(row);
    return is_read;
}
