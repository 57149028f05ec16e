/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clients/spokectl/credential.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The daemon takes no more, and a pipe holds it without a reader. */
#define BYTES_MAX 4096

static void
set_error(GError **error, const char *what, const char *name)
{
    int number = errno;

    g_set_error(error, G_IO_ERROR, (int)g_io_error_from_errno(number), "Can't %s %s: %s", what,
                name, g_strerror(number));
}

/* Returns: bytes, BYTES_MAX + 1 if there are more; -1 */
static ssize_t
read_all(int fd, char *text)
{
    size_t size = 0;

    while (size <= BYTES_MAX) {
        ssize_t n = read(fd, text + size, BYTES_MAX + 1 - size);

        if (n == 0)
            break;
        if (n < 0 && errno != EINTR)
            return -1;
        if (n > 0)
            size += (size_t)n;
    }
    return (ssize_t)size;
}

/* Returns: the end to read from, of a pipe that holds @text; -1 */
static int
fill_pipe(const char *text, size_t size)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return -1;

    ssize_t n = write(ends[1], text, size);
    (void)close(ends[1]);
    if (n == (ssize_t)size)
        return ends[0];
    (void)close(ends[0]);
    return -1;
}

static int
take_over(int fd, const char *name, GError **error)
{
    char text[BYTES_MAX + 1];
    ssize_t size = read_all(fd, text);
    int copy = -1;

    if (size < 0) {
        set_error(error, "read", name);
    } else if (size > BYTES_MAX) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                    "%s has more than the %d bytes of a connection string", name, BYTES_MAX);
    } else if (size == 0) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "There is nothing in %s", name);
    } else {
        copy = fill_pipe(text, (size_t)size);
        if (copy < 0)
            set_error(error, "pass on", name);
    }
    explicit_bzero(text, sizeof text);
    return copy;
}

static int
take_input(GError **error)
{
    if (!isatty(STDIN_FILENO))
        return take_over(STDIN_FILENO, "standard input", error);
    g_set_error_literal(error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
                        "The connection string is a secret and is not typed here: name a file, or "
                        "put 'systemd-ask-password |' in front");
    return -1;
}

int
spoke_credential_open(const char *file, GError **error)
{
    struct stat status;

    if (file == NULL || g_str_equal(file, "-"))
        return take_input(error);

    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        set_error(error, "open", file);
        return -1;
    }
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode))
        return fd;

    int copy = take_over(fd, file, error);
    (void)close(fd);
    return copy;
}
