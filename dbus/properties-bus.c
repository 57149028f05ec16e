/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dbus/properties-bus.h"

#include "daemon/properties.h"
#include "dbus/error-bus.h"

#include <string.h>

/*
 * The limits are applied while reading, so that a message of many megabytes is refused before it
 * is copied.
 */

static int
read_pair(sd_bus_message *m, const char **ret_name, const char **ret_value)
{
    int r = sd_bus_message_read_basic(m, 's', ret_name);
    if (r < 0)
        return r;
    r = sd_bus_message_read_basic(m, 's', ret_value);
    if (r < 0)
        return r;
    return sd_bus_message_exit_container(m);
}

gboolean
spoke_properties_read(sd_bus_message *m, GByteArray *list, guint count_max, size_t bytes_max,
                      GError **error)
{
    const char *name = NULL;
    const char *value = NULL;
    size_t bytes = 0;
    int r;

    if (sd_bus_message_enter_container(m, 'a', "{ss}") < 0)
        return spoke_error_set_malformed(error);
    for (guint n = 1; (r = sd_bus_message_enter_container(m, 'e', "ss")) > 0; n++) {
        if (read_pair(m, &name, &value) < 0)
            return spoke_error_set_malformed(error);
        bytes += strlen(name) + strlen(value);
        if (n > count_max) {
            g_set_error(error, SPOKE_ERROR, SPOKE_ERROR_INVALID_PROPERTY,
                        "There are more than %u properties, which is the limit", count_max);
            return FALSE;
        }
        if (bytes > bytes_max) {
            g_set_error(error, SPOKE_ERROR, SPOKE_ERROR_TOO_LARGE,
                        "Properties of more than %zu bytes are over the limit", bytes_max);
            return FALSE;
        }
        spoke_properties_append(list, name, value);
    }
    if (r < 0 || sd_bus_message_exit_container(m) < 0)
        return spoke_error_set_malformed(error);
    return TRUE;
}

int
spoke_properties_write(sd_bus_message *m, const void *list, size_t size)
{
    SpokePropertiesIter iter;
    const char *name = NULL;
    const char *value = NULL;

    int r = sd_bus_message_open_container(m, 'a', "{ss}");
    if (r < 0)
        return r;
    spoke_properties_iter_init(&iter, list, size);
    while (spoke_properties_iter_next(&iter, &name, &value)) {
        r = sd_bus_message_append(m, "{ss}", name, value);
        if (r < 0)
            return r;
    }
    return sd_bus_message_close_container(m);
}
