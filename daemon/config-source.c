/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/config-source.h"

#include "daemon/config-draft.h"

#include <string.h>
#include <unistd.h>

static gboolean
check_access(const SpokeConfigText *text, const char *path, GError **error)
{
    if ((text->mode & 077) != 0)
        return spoke_config_fail(
            error, "%s: other users can read or change it (mode %04o); run `chmod 600 %s`", path,
            (guint)text->mode, path);
    if (text->owner != 0 && text->owner != geteuid())
        return spoke_config_fail(error,
                                 "%s: it belongs to user %u; it must belong to root or to %s, the "
                                 "user the daemon runs as",
                                 path, (guint)text->owner, g_get_user_name());
    return TRUE;
}

static SpokeConfigText *
read_text(const char *path, size_t bytes_max, gboolean is_file, GError **error)
{
    g_autoptr(GError) why = NULL;
    g_autoptr(SpokeConfigText) text = spoke_config_text_read(path, bytes_max, &why);

    if (text == NULL && is_file && g_error_matches(why, G_FILE_ERROR, G_FILE_ERROR_ACCES)) {
        spoke_config_fail(error, "%s: %s; run `chown %s: %s`", path, why->message,
                          g_get_user_name(), path);
        return NULL;
    }
    if (text == NULL) {
        spoke_config_fail(error, "%s: %s", path, why->message);
        return NULL;
    }
    if (is_file && !check_access(text, path, error))
        return NULL;
    if (strlen(text->text) != text->size) {
        spoke_config_fail(error, "%s: there is a NUL byte in it", path);
        return NULL;
    }
    return g_steal_pointer(&text);
}

SpokeConfigText *
spoke_config_source_read_file(const char *path, size_t bytes_max, GError **error)
{
    return read_text(path, bytes_max, TRUE, error);
}

SpokeConfigText *
spoke_config_source_read_credential(const char *path, size_t bytes_max, GError **error)
{
    return read_text(path, bytes_max, FALSE, error);
}

char *
spoke_config_source_find_credential(const char *directory, const char *name, GError **error)
{
    if (directory != NULL)
        return g_build_filename(directory, name, NULL);

    spoke_config_fail(error,
                      "the daemon was started without credentials; give its unit "
                      "LoadCredential=%s:PATH (systemctl edit spoked)",
                      name);
    return NULL;
}
