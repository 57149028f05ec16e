/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/store-damaged.h"

#include "daemon/store-room.h"
#include "daemon/store-schema.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * If the first page is gone, with the header and the list of tables, a new store's first page
 * stands in for it: tables are always made in the same order, so they lie in the same pages.
 */

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

sqlite3 *
spoke_damaged_open(const char *path, const char *like)
{
    sqlite3 *db = NULL;

    if (open_damaged(path, &db) && has_tables(db))
        return db;
    g_clear_pointer(&db, sqlite3_close);
    if (replace_first_page(path, like) && open_damaged(path, &db))
        return db;
    sqlite3_close(db);
    return NULL;
}
