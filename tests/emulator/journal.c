/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The journal is read by tests that kill the hub: a line stands in the file before the sender
 * hears that its message was taken. write() without fsync is enough for that: it outlives the
 * process, and no one pulls the plug of a test. */

#include "journal.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINE_MAX_BYTES 4096

struct EmuJournal {
    int fd;
    off_t size;       /* of the file, whole lines only */
    GString *pending; /* owned */
};

static gboolean
fail(GError **error, const char *what)
{
    int code = errno;

    g_set_error(error, G_IO_ERROR, (int)g_io_error_from_errno(code), "%s: %s", what,
                g_strerror(code));
    return FALSE;
}

/* Finds the last whole line in the end of the file, cuts off what follows, reads its number. */
static gboolean
recover(EmuJournal *self, guint64 *ret_last, GError **error)
{
    char tail[2 * LINE_MAX_BYTES + 1];
    off_t from = MAX((off_t)0, self->size - 2 * LINE_MAX_BYTES);
    ssize_t n = pread(self->fd, tail, sizeof tail - 1, from);

    if (n < 0)
        return fail(error, "Reading the journal");

    char *end = n > 0 ? memrchr(tail, '\n', (size_t)n) : NULL;
    if (end == NULL && from > 0) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "Journal is not one of ours");
        return FALSE;
    }
    self->size = end != NULL ? from + (end - tail) + 1 : 0;
    if (ftruncate(self->fd, self->size) < 0)
        return fail(error, "Cutting the journal");
    *ret_last = 0;
    if (end == NULL)
        return TRUE;

    char *start = memrchr(tail, '\n', (size_t)(end - tail));
    *ret_last = g_ascii_strtoull(start != NULL ? start + 1 : tail, NULL, 10);
    return TRUE;
}

EmuJournal *
emu_journal_open(const char *file, guint64 *ret_last, GError **error)
{
    g_autoptr(EmuJournal) self = g_new0(EmuJournal, 1);
    struct stat st;

    self->pending = g_string_new(NULL);
    self->fd = open(file, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (self->fd < 0 || fstat(self->fd, &st) < 0) {
        fail(error, file);
        return NULL;
    }

    self->size = st.st_size;
    if (!recover(self, ret_last, error)) {
        g_prefix_error(error, "%s: ", file);
        return NULL;
    }
    return g_steal_pointer(&self);
}

void
emu_journal_free(EmuJournal *self)
{
    if (self == NULL)
        return;

    if (self->fd >= 0)
        close(self->fd);
    g_string_free(self->pending, TRUE);
    g_free(self);
}

/* The id as it is, but for what would break the line: control characters become %XX. */
static void
append_id(GString *line, const char *id)
{
    size_t limit = line->len + LINE_MAX_BYTES / 2;

    for (; *id != '\0' && line->len < limit; id++) {
        if (g_ascii_iscntrl(*id))
            g_string_append_printf(line, "%%%02X", (unsigned)(guchar)*id);
        else
            g_string_append_c(line, *id);
    }
}

static void
append_decimal(GString *line, guint64 number)
{
    char digits[20];
    size_t at = sizeof digits;

    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    g_string_append_len(line, digits + at, (gssize)(sizeof digits - at));
}

void
emu_journal_add(EmuJournal *self, guint64 sequence, const char *device_id, const char *message_id,
                size_t body_size)
{
    append_decimal(self->pending, sequence);
    g_string_append_c(self->pending, '\t');
    g_string_append(self->pending, device_id);
    g_string_append_c(self->pending, '\t');
    if (message_id != NULL)
        append_id(self->pending, message_id);
    g_string_append_c(self->pending, '\t');
    append_decimal(self->pending, body_size);
    g_string_append_c(self->pending, '\n');
}

gboolean
emu_journal_write(EmuJournal *self, GError **error)
{
    size_t done = 0;
    size_t size = self->pending->len;

    while (done < size) {
        ssize_t n = write(self->fd, self->pending->str + done, size - done);
        if (n >= 0) {
            done += (size_t)n;
        } else if (errno != EINTR) {
            fail(error, "Writing the journal");
            if (ftruncate(self->fd, self->size) < 0)
                g_warning("The journal could not be cut back: %s", g_strerror(errno));
            g_string_truncate(self->pending, 0);
            return FALSE;
        }
    }
    self->size += (off_t)size;
    g_string_truncate(self->pending, 0);
    return TRUE;
}
