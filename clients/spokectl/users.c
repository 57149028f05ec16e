/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clients/spokectl/users.h"

#include <pwd.h>

static gboolean
add_user(GString *ids, const char *word, GError **error)
{
    guint64 id = 0;

    if (!g_ascii_string_to_unsigned(word, 10, 0, G_MAXUINT32 - 1, &id, NULL)) {
        const struct passwd *user = getpwnam(word);

        if (user == NULL) {
            g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "There is no user '%s'",
                        word);
            return FALSE;
        }
        id = user->pw_uid;
    }
    g_string_append_printf(ids, "%s%" G_GUINT64_FORMAT, ids->len > 0 ? " " : "", id);
    return TRUE;
}

char *
spoke_users_parse(const char *text, GError **error)
{
    g_auto(GStrv) words = g_strsplit_set(text, " ,", -1);
    g_autoptr(GString) ids = g_string_new(NULL);

    for (char **word = words; *word != NULL; word++)
        if (**word != '\0' && !add_user(ids, *word, error))
            return NULL;
    if (ids->len == 0) {
        g_set_error_literal(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                            "'root' leaves a device to root alone; nobody is no choice");
        return NULL;
    }
    return g_strdup(ids->str);
}
