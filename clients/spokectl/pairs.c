/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clients/spokectl/pairs.h"

#include <string.h>

/* App properties and filters as they stand on the command line. */

SpokeProperty *
spoke_pairs_parse(char **pairs, gsize *ret_n, GError **error)
{
    gsize n = pairs != NULL ? g_strv_length(pairs) : 0;
    g_autofree SpokeProperty *properties = g_new0(SpokeProperty, n + 1);

    for (gsize i = 0; i < n; i++) {
        char *equals = strchr(pairs[i], '=');
        if (equals == NULL || equals == pairs[i]) {
            g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                        "'%s' is not of the form NAME=VALUE", pairs[i]);
            return NULL;
        }
        *equals = '\0';
        properties[i] = (SpokeProperty){.name = pairs[i], .value = equals + 1};
    }
    *ret_n = n;
    return g_steal_pointer(&properties);
}
