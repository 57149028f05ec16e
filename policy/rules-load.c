/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/rules-load.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SUFFIX     ".policy"
#define FIRST_FILE "default" SUFFIX

static gboolean
fail(const char *path, const char *why, GError **error)
{
    g_autofree char *shown = g_filename_display_name(path);

    g_set_error(error, SPOKE_RULES_ERROR, SPOKE_RULES_ERROR_INVALID, "%s: %s", shown, why);
    return FALSE;
}

/* One byte over the limit is read too, so that whoever checks it can see that it is over. */
static gboolean
read_descriptor(int fd, const char *path, GString *text, GError **error)
{
    struct stat st;
    char chunk[4096];

    if (fstat(fd, &st) < 0)
        return fail(path, g_strerror(errno), error);
    if (!S_ISREG(st.st_mode))
        return fail(path, "not a regular file", error);

    while (text->len <= SPOKE_RULES_FILE_BYTES_MAX) {
        ssize_t n = read(fd, chunk, sizeof chunk);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail(path, g_strerror(errno), error);
        if (n == 0)
            break;
        g_string_append_len(text, chunk, n);
    }
    return TRUE;
}

gboolean
spoke_rules_load_file(SpokeRulesDraft *draft, const char *path, GError **error)
{
    g_autoptr(GString) text = g_string_new(NULL);
    /* Not waiting for a writer, should it be a FIFO. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

    if (fd < 0)
        return fail(path, g_strerror(errno), error);

    gboolean is_read = read_descriptor(fd, path, text, error);
    (void)close(fd);
    return is_read && spoke_rules_draft_read(draft, path, text->str, text->len, error);
}

static int
compare_names(gconstpointer a, gconstpointer b)
{
    const char *a_name = *(const char *const *)a, *b_name = *(const char *const *)b;
    gboolean a_first = g_str_equal(a_name, FIRST_FILE), b_first = g_str_equal(b_name, FIRST_FILE);

    return a_first != b_first ? b_first - a_first : strcmp(a_name, b_name);
}

/* (transfer full) (nullable) */
static GPtrArray *
list_files(const char *directory, GError **error)
{
    g_autoptr(GError) local_error = NULL;
    g_autoptr(GDir) dir = g_dir_open(directory, 0, &local_error);
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    const char *name = NULL;

    if (dir == NULL && !g_error_matches(local_error, G_FILE_ERROR, G_FILE_ERROR_NOENT)) {
        fail(directory, local_error->message, error);
        return NULL;
    }
    while (dir != NULL && (name = g_dir_read_name(dir)) != NULL)
        if (*name != '.' && g_str_has_suffix(name, SUFFIX))
            g_ptr_array_add(names, g_strdup(name));
    g_ptr_array_sort(names, compare_names);
    return g_steal_pointer(&names);
}

gboolean
spoke_rules_load_directory(SpokeRulesDraft *draft, const char *directory, guint *ret_n,
                           GError **error)
{
    g_autoptr(GPtrArray) names = list_files(directory, error);

    if (names == NULL)
        return FALSE;
    for (guint i = 0; i < names->len; i++) {
        g_autofree char *path = g_build_filename(directory, g_ptr_array_index(names, i), NULL);

        if (!spoke_rules_load_file(draft, path, error))
            return FALSE;
    }
    *ret_n = names->len;
    return TRUE;
}
