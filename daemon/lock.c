/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/lock.h"

#include "daemon/error.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

/*
 * The file holds the pid of who has the lock, for the error text alone: it is never removed, and
 * what an older daemon left in it means nothing.
 */
#define LOCK_FILE "lock"

static void
set_failed(GError **error, const char *what, const char *path, int errsv)
{
    g_set_error(error, SPOKE_ERROR, SPOKE_ERROR_FAILED, "%s %s: %s", what, path, g_strerror(errsv));
}

static void
set_busy(GError **error, const char *directory, int fd)
{
    char pid[16] = "";

    ssize_t n = pread(fd, pid, sizeof pid - 1, 0);
    g_strchomp(pid);
    g_set_error(error, SPOKE_ERROR, SPOKE_ERROR_FAILED,
                "State directory %s is in use by another spoked%s%s%s: stop that one, or give this "
                "one a directory of its own (--state-dir)",
                directory, n > 0 ? " (process " : "", n > 0 ? pid : "", n > 0 ? ")" : "");
}

/* Best effort: the lock is what counts. */
static void
write_pid(int fd)
{
    g_autofree char *pid = g_strdup_printf("%d\n", getpid());

    if (ftruncate(fd, 0) == 0) {
        ssize_t n = pwrite(fd, pid, strlen(pid), 0);
        (void)n;
    }
}

int
spoke_lock_take(const char *directory, gboolean *ret_busy, GError **error)
{
    g_autofree char *path = g_build_filename(directory, LOCK_FILE, NULL);

    *ret_busy = FALSE;
    if (g_mkdir_with_parents(directory, 0700) < 0) {
        set_failed(error, "Can't make state directory", directory, errno);
        return -1;
    }
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        set_failed(error, "Can't write to state directory: can't open", path, errno);
        return -1;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        *ret_busy = errno == EWOULDBLOCK;
        if (*ret_busy)
            set_busy(error, directory, fd);
        else
            set_failed(error, "Can't lock", path, errno);
        (void)close(fd);
        return -1;
    }
    write_pid(fd);
    return fd;
}
