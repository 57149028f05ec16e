/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/store-room.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOG_PAGES_MAX         1000
#define LOG_RESERVE_BYTES     ((off_t)2 * LOG_PAGES_MAX * SPOKE_STORE_PAGE_BYTES)
#define RESERVE_STEP_PAGES    256
#define LARGE_FILE_PAGES      4096 /* 16 MiB: smaller files are left alone */
#define SHRINK_USED_PAGES_MAX 256  /* 1 MiB is written anew in a few milliseconds */

static int
on_commit(void *user_data, sqlite3 *db, const char *schema, int log_pages)
{
    SpokeStoreRoom *room = user_data;

    room->log_pages = log_pages;
    return SQLITE_OK;
}

/* The file's size in whole pages. */
static guint64
measure_file(const SpokeStoreRoom *room)
{
    struct stat status;

    return fstat(room->fd, &status) == 0 ? (guint64)status.st_size / SPOKE_STORE_PAGE_BYTES : 0;
}

/* Not being able to is no error: a disk that fills up then needs help from outside. */
static void
reserve_log(const char *path)
{
    g_autofree char *log_path = g_strconcat(path, "-wal", NULL);

    int fd = open(log_path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return;
    (void)fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, LOG_RESERVE_BYTES);
    close(fd);
}

void
spoke_store_room_init(SpokeStoreRoom *room, sqlite3 *db, const char *path)
{
    room->db = db;
    room->log_pages = 0;
    room->fd = open(path, O_RDWR | O_CLOEXEC);
    room->reserved_pages = room->fd >= 0 ? measure_file(room) : G_MAXUINT64;
    sqlite3_wal_hook(db, on_commit, room);
    reserve_log(path);
}

void
spoke_store_room_clear(SpokeStoreRoom *room)
{
    if (room->fd >= 0)
        close(g_steal_fd(&room->fd));
}

static int
reserve_file(int fd, guint64 pages)
{
    off_t bytes = (off_t)(pages * SPOKE_STORE_PAGE_BYTES);

    return fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, bytes) == 0 ? 0 : errno;
}

gboolean
spoke_store_room_reserve(SpokeStoreRoom *room, guint64 pages)
{
    if (pages <= room->reserved_pages)
        return TRUE;

    guint64 wanted = (pages / RESERVE_STEP_PAGES + 1) * RESERVE_STEP_PAGES;
    int result = reserve_file(room->fd, wanted);
    if (result == ENOSPC || result == EDQUOT) {
        wanted = pages; /* the last bit */
        result = reserve_file(room->fd, wanted);
    }
    if (result == ENOSPC || result == EDQUOT)
        return FALSE;
    room->reserved_pages = result == 0 ? wanted : G_MAXUINT64;
    return TRUE;
}

gboolean
spoke_store_room_is_log_full(const SpokeStoreRoom *room)
{
    return room->log_pages >= LOG_PAGES_MAX;
}

void
spoke_store_room_empty_log(SpokeStoreRoom *room)
{
    int log_pages = 0;
    int moved_pages = 0;

    int result = sqlite3_wal_checkpoint_v2(room->db, "main", SQLITE_CHECKPOINT_PASSIVE, &log_pages,
                                           &moved_pages);
    if (result == SQLITE_OK && log_pages == moved_pages)
        room->log_pages = 0;
}

gboolean
spoke_store_room_is_file_large(const SpokeStoreRoom *room)
{
    return room->fd >= 0 && measure_file(room) >= LARGE_FILE_PAGES;
}

void
spoke_store_room_shrink(SpokeStoreRoom *room, guint64 used_pages, guint64 free_pages)
{
    if (used_pages + free_pages < LARGE_FILE_PAGES || used_pages > SHRINK_USED_PAGES_MAX ||
        sqlite3_exec(room->db, "VACUUM", NULL, NULL, NULL) != SQLITE_OK)
        return;

    spoke_store_room_empty_log(room);
    if (room->reserved_pages != G_MAXUINT64)
        room->reserved_pages = measure_file(room);
}
