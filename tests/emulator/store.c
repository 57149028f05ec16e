/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* One SQLite file, its schema, and a cache of prepared statements. What the tables mean is the
 * business of the modules that own them: registry, c2d, mqtt-session. Statements that cannot fail
 * but for a broken disk end the program rather than let the hub run on with a state it has not
 * kept. */

#include "store.h"

#include "error.h"

struct EmuStore {
    sqlite3 *db;            /* owned */
    GHashTable *statements; /* owned; sql (static) → sqlite3_stmt (owned) */
};

/* What leads from each version of the schema to the next; the first makes an empty file one. */
static const char *const steps[] = {
    "CREATE TABLE identities ("
    " device_id TEXT NOT NULL, module_id TEXT NOT NULL DEFAULT '', generation_id TEXT NOT NULL,"
    " status TEXT NOT NULL, primary_key TEXT NOT NULL, secondary_key TEXT NOT NULL,"
    " PRIMARY KEY (device_id, module_id)) WITHOUT ROWID;"
    "CREATE TABLE policies (name TEXT PRIMARY KEY, rights INTEGER NOT NULL,"
    " primary_key TEXT NOT NULL, secondary_key TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE sessions (device_id TEXT NOT NULL, module_id TEXT NOT NULL DEFAULT '',"
    " filters TEXT NOT NULL, PRIMARY KEY (device_id, module_id)) WITHOUT ROWID;"
    "CREATE TABLE c2d (sequence INTEGER PRIMARY KEY, device_id TEXT NOT NULL,"
    " message_id TEXT NOT NULL, state INTEGER NOT NULL, delivery_count INTEGER NOT NULL,"
    " deliveries INTEGER NOT NULL, enqueued_usec INTEGER NOT NULL, expiry_usec INTEGER NOT NULL,"
    " deadline_usec INTEGER, generation_id TEXT NOT NULL, ack INTEGER NOT NULL, bag TEXT NOT NULL,"
    " body BLOB NOT NULL, reason TEXT, completed_usec INTEGER, finished INTEGER);"
    "CREATE INDEX c2d_by_device ON c2d (device_id, state, sequence);"
    "CREATE INDEX c2d_by_deadline ON c2d (deadline_usec) WHERE deadline_usec IS NOT NULL;"
    "CREATE INDEX c2d_by_finished ON c2d (finished) WHERE finished IS NOT NULL;"
    "CREATE TABLE feedback (number INTEGER PRIMARY KEY AUTOINCREMENT, message_id TEXT NOT NULL,"
    " time_usec INTEGER NOT NULL, status TEXT NOT NULL, device_id TEXT NOT NULL,"
    " generation_id TEXT NOT NULL);"
    "CREATE TABLE numbers (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
    "PRAGMA user_version = 1;",

    "ALTER TABLE identities ADD COLUMN authentication TEXT NOT NULL DEFAULT 'sas';"
    "ALTER TABLE identities ADD COLUMN primary_thumbprint TEXT;"
    "ALTER TABLE identities ADD COLUMN secondary_thumbprint TEXT;"
    "CREATE TABLE authorities (thumbprint TEXT PRIMARY KEY, pem TEXT NOT NULL) WITHOUT ROWID;"
    "PRAGMA user_version = 2;",
};

static gboolean
run(EmuStore *self, const char *sql, GError **error)
{
    int r = sqlite3_exec(self->db, sql, NULL, NULL, NULL);
    if (r == SQLITE_OK)
        return TRUE;
    if (r == SQLITE_BUSY) {
        g_set_error(error, EMU_ERROR, EMU_ERROR_SERVER, "Another emulator is using it");
        return FALSE;
    }

    g_set_error(error, EMU_ERROR, EMU_ERROR_SERVER, "Database: %s", sqlite3_errmsg(self->db));
    return FALSE;
}

static int
schema_version(EmuStore *self)
{
    sqlite3_stmt *statement = emu_store_prepare(self, "PRAGMA user_version");
    int version = sqlite3_step(statement) == SQLITE_ROW ? sqlite3_column_int(statement, 0) : -1;

    sqlite3_reset(statement);
    return version;
}

static gboolean
ensure_schema(EmuStore *self, GError **error)
{
    int newest = (int)G_N_ELEMENTS(steps);
    int version = schema_version(self);

    if (version < 0 || version > newest) {
        g_set_error(error, EMU_ERROR, EMU_ERROR_SERVER,
                    "Database has schema %d, this emulator knows %d", version, newest);
        return FALSE;
    }
    for (int i = version; i < newest; i++) {
        emu_store_begin(self);
        if (!run(self, steps[i], error) || !emu_store_commit(self, error))
            return FALSE;
    }
    return TRUE;
}

EmuStore *
emu_store_open(const char *file, GError **error)
{
    g_autoptr(EmuStore) self = g_new0(EmuStore, 1);

    self->statements =
        g_hash_table_new_full(NULL, NULL, NULL, (GDestroyNotify)(void *)sqlite3_finalize);
    if (sqlite3_open(file, &self->db) != SQLITE_OK) {
        g_set_error(error, EMU_ERROR, EMU_ERROR_SERVER, "Database %s: %s", file,
                    sqlite3_errmsg(self->db));
        return NULL;
    }

    /* One emulator per state directory: the lock is held from the first write to the end. */
    if (!run(self,
             "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL;"
             "PRAGMA synchronous = OFF;",
             error) ||
        !ensure_schema(self, error)) {
        g_prefix_error(error, "%s: ", file);
        return NULL;
    }
    return g_steal_pointer(&self);
}

void
emu_store_free(EmuStore *self)
{
    if (self == NULL)
        return;

    g_hash_table_unref(self->statements);
    sqlite3_close(self->db);
    g_free(self);
}

sqlite3_stmt *
emu_store_prepare(EmuStore *self, const char *sql)
{
    sqlite3_stmt *statement = g_hash_table_lookup(self->statements, sql);

    if (statement == NULL) {
        if (sqlite3_prepare_v3(self->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL) !=
            SQLITE_OK)
            g_error("Database: %s: %s", sql, sqlite3_errmsg(self->db));
        g_hash_table_insert(self->statements, (gpointer)sql, statement);
    }
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return statement;
}

gboolean
emu_store_finish(EmuStore *self, sqlite3_stmt *statement, GError **error)
{
    int r = sqlite3_step(statement);

    while (r == SQLITE_ROW)
        r = sqlite3_step(statement);
    if (r != SQLITE_DONE)
        g_set_error(error, EMU_ERROR, EMU_ERROR_SERVER, "Database: %s", sqlite3_errmsg(self->db));
    sqlite3_reset(statement);
    return r == SQLITE_DONE;
}

void
emu_store_begin(EmuStore *self)
{
    g_autoptr(GError) error = NULL;

    if (!run(self, "BEGIN", &error))
        g_error("%s", error->message);
}

gboolean
emu_store_commit(EmuStore *self, GError **error)
{
    if (run(self, "COMMIT", error))
        return TRUE;

    (void)run(self, "ROLLBACK", NULL);
    return FALSE;
}

gint64
emu_store_next_number(EmuStore *self, const char *name)
{
    sqlite3_stmt *statement =
        emu_store_prepare(self, "INSERT INTO numbers VALUES (?1, 1)"
                                " ON CONFLICT (name) DO UPDATE SET value = value + 1"
                                " RETURNING value");

    emu_bind_text(statement, 1, name);
    if (sqlite3_step(statement) != SQLITE_ROW)
        g_error("Database: %s", sqlite3_errmsg(self->db));
    gint64 value = sqlite3_column_int64(statement, 0);
    sqlite3_reset(statement);
    return value;
}

void
emu_bind_text(sqlite3_stmt *statement, int index, const char *text)
{
    sqlite3_bind_text(statement, index, text, -1, SQLITE_TRANSIENT);
}

char *
emu_column_text(sqlite3_stmt *statement, int column)
{
    return g_strdup((const char *)sqlite3_column_text(statement, column));
}
