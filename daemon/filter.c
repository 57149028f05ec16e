/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/filter.h"

#include "daemon/error.h"
#include "daemon/properties.h"

gboolean
spoke_filter_matches(GBytes *filter, const SpokeMessage *message)
{
    SpokePropertiesIter iter;
    const char *name, *wanted;
    size_t size = 0;

    if (filter == NULL)
        return TRUE;

    const void *list = g_bytes_get_data(filter, &size);

    spoke_properties_iter_init(&iter, list, size);
    while (spoke_properties_iter_next(&iter, &name, &wanted)) {
        const char *value = spoke_properties_lookup(spoke_message_properties(message),
                                                    message->properties_size, name);

        if (value == NULL || !g_str_equal(value, wanted))
            return FALSE;
    }
    return TRUE;
}

gboolean
spoke_filter_check(GBytes *filter, GError **error)
{
    if (filter == NULL || g_bytes_get_size(filter) <= SPOKE_FILTER_BYTES_MAX)
        return TRUE;

    g_set_error(error, SPOKE_ERROR, SPOKE_ERROR_INVALID_OPTION,
                "Filter of %" G_GSIZE_FORMAT " bytes is over the limit of %d",
                g_bytes_get_size(filter), SPOKE_FILTER_BYTES_MAX);
    return FALSE;
}
