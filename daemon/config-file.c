/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/config-file.h"

#include "daemon/error.h"
#include "daemon/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * A file is read into one buffer, cut up in place and wiped: a connection string that stands in it
 * leaves no copies. Nothing of a line that can't be understood is quoted, because it may well be
 * the second half of one.
 */

static gboolean
fail(GError **error, const char *what)
{
    g_set_error_literal(error, SPOKE_ERROR, SPOKE_ERROR_INVALID_CONFIG, what);
    return FALSE;
}

static gboolean
fail_errno(GError **error, int saved_errno)
{
    if (saved_errno == ENOENT)
        g_set_error_literal(error, G_FILE_ERROR, G_FILE_ERROR_NOENT, "there is no such file");
    else if (saved_errno == EACCES)
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_ACCES,
                    "not readable by %s, the user the daemon runs as", g_get_user_name());
    else
        g_set_error(error, SPOKE_ERROR, SPOKE_ERROR_INVALID_CONFIG, "not readable: %s",
                    g_strerror(saved_errno));
    return FALSE;
}

static SpokeConfigText *
text_alloc(size_t capacity)
{
    SpokeConfigText *text = g_new0(SpokeConfigText, 1);

    text->capacity = capacity + 1;
    text->text = g_malloc(text->capacity);
    return text;
}

/* There is room for one byte more than the file had: if that comes, it is being written. */
static gboolean
read_all(int fd, SpokeConfigText *text, GError **error)
{
    while (text->size < text->capacity) {
        ssize_t n = read(fd, text->text + text->size, text->capacity - text->size);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail_errno(error, errno);
        if (n == 0)
            break;
        text->size += (size_t)n;
    }
    if (text->size == text->capacity)
        return fail(error, "it changed while it was read");

    text->text[text->size] = '\0';
    return TRUE;
}

static SpokeConfigText *
read_descriptor(int fd, size_t bytes_max, GError **error)
{
    struct stat st;

    if (fstat(fd, &st) < 0) {
        fail_errno(error, errno);
        return NULL;
    }
    if (!S_ISREG(st.st_mode)) {
        fail(error, "not a regular file");
        return NULL;
    }

    if ((guint64)st.st_size > bytes_max) {
        g_set_error(error, SPOKE_ERROR, SPOKE_ERROR_INVALID_CONFIG,
                    "larger than the limit of %zu bytes", bytes_max);
        return NULL;
    }

    g_autoptr(SpokeConfigText) text = text_alloc((size_t)st.st_size);
    text->mode = st.st_mode & 07777;
    text->owner = st.st_uid;
    if (!read_all(fd, text, error))
        return NULL;
    return g_steal_pointer(&text);
}

SpokeConfigText *
spoke_config_text_read(const char *path, size_t bytes_max, GError **error)
{
    /* Not waiting for a writer, should it be a FIFO. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

    if (fd < 0) {
        fail_errno(error, errno);
        return NULL;
    }

    SpokeConfigText *text = read_descriptor(fd, bytes_max, error);
    (void)close(fd);
    return text;
}

SpokeConfigText *
spoke_config_text_new(const void *data, size_t size)
{
    SpokeConfigText *text = text_alloc(size);

    if (size > 0)
        memcpy(text->text, data, size);
    text->text[size] = '\0';
    text->size = size;
    return text;
}

void
spoke_config_text_free(SpokeConfigText *text)
{
    if (text == NULL)
        return;

    spoke_secret_wipe(text->text, text->capacity);
    g_free(text->text);
    g_free(text);
}

/* "[Name]" gives the name; NULL if it is none. */
static char *
parse_section(char *line)
{
    char *end = strchr(line, ']');

    if (end == NULL || end[1] != '\0' || end == line + 1)
        return NULL;

    *end = '\0';
    return line + 1;
}

static gboolean
walk_line(char *line, guint number, char **section, SpokeConfigKeyFunc func, gpointer user_data,
          GError **error)
{
    line = g_strstrip(line);
    if (*line == '\0' || *line == '#' || *line == ';')
        return TRUE;

    if (*line == '[') {
        *section = parse_section(line);
        if (*section == NULL)
            return fail(error, "a section is written [Name], alone on its line");
        return func(number, *section, NULL, NULL, user_data, error);
    }

    char *equals = strchr(line, '=');
    if (equals == NULL || equals == line)
        return fail(error, "neither a [Section] nor a Key=Value nor a # comment");
    if (*section == NULL)
        return fail(error, "a key before the first [Section]");

    *equals = '\0';
    return func(number, *section, g_strchomp(line), g_strchug(equals + 1), user_data, error);
}

gboolean
spoke_config_text_walk(SpokeConfigText *text, SpokeConfigKeyFunc func, gpointer user_data,
                       guint *ret_line, GError **error)
{
    static const char byte_order_mark[] = "\xef\xbb\xbf";
    char *rest = text->text, *end = text->text + text->size, *section = NULL;

    if (g_str_has_prefix(rest, byte_order_mark))
        rest += strlen(byte_order_mark);

    for (guint number = 1; rest < end; number++) {
        char *line = rest, *newline = memchr(rest, '\n', (size_t)(end - rest));
        size_t size = (size_t)((newline != NULL ? newline : end) - line);

        rest = line + size + (newline != NULL);
        line[size] = '\0';
        *ret_line = number;
        if (!g_utf8_validate(line, (gssize)size, NULL))
            return fail(error, "not text in UTF-8");
        if (!walk_line(line, number, &section, func, user_data, error))
            return FALSE;
    }
    return TRUE;
}
