/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clients/spokectl/flags.h"

#include <string.h>

/* Options without a value, seen before GLib parses the line. */

static const char *
value_of(const char *argument, const char *name)
{
    if (!g_str_has_prefix(argument, "--") || !g_str_has_prefix(argument + 2, name))
        return NULL;
    argument += 2 + strlen(name);
    return *argument == '=' ? argument + 1 : NULL;
}

gboolean
spoke_flags_check(const GOptionEntry *entries, int argc, char **argv, GError **error)
{
    for (const GOptionEntry *entry = entries; entry != NULL && entry->long_name != NULL; entry++) {
        if (entry->arg != G_OPTION_ARG_NONE)
            continue;
        for (int i = 1; i < argc; i++) {
            const char *value = value_of(argv[i], entry->long_name);
            if (value == NULL)
                continue;
            g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                        "--%s takes no value, so not '%s'", entry->long_name, value);
            return FALSE;
        }
    }
    return TRUE;
}

gboolean
spoke_flags_has(const char *flag, int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (g_str_equal(argv[i], flag))
            return TRUE;
    return FALSE;
}
