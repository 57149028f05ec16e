/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dbus/properties-bus.h"

#include "daemon/properties.h"
#include "dbus/error-bus.h"
#include "dbus/text-bus.h"

#include <string.h>

/*
 * The limits are applied while reading, so that a message of many megabytes is refused before it
 * is copied. A dictionary holds each name once, but the bus does not see to it.
 */

/* Most messages have few properties: those are compared one by one, at no cost. */
#define FEW_NAMES 16

typedef struct {
    const char *few[FEW_NAMES]; /* borrowed from the bus message */
    guint n_few;
    GHashTable *many; /* owned, of the same; NULL while there are few */
} NameSet;

static void
name_set_clear(NameSet *set)
{
    g_clear_pointer(&set->many, g_hash_table_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(NameSet, name_set_clear)

/* FALSE if it was there already */
static gboolean
name_set_add(NameSet *set, const char *name)
{
    if (set->many != NULL)
        return g_hash_table_add(set->many, (gpointer)name);

    for (guint i = 0; i < set->n_few; i++) {
        if (strcmp(set->few[i], name) == 0)
            return FALSE;
    }
    if (set->n_few < FEW_NAMES) {
        set->few[set->n_few++] = name;
        return TRUE;
    }
    set->many = g_hash_table_new(g_str_hash, g_str_equal);
    for (guint i = 0; i < set->n_few; i++)
        g_hash_table_add(set->many, (gpointer)set->few[i]);
    return g_hash_table_add(set->many, (gpointer)name);
}

static gboolean
read_pair(sd_bus_message *m, const char **ret_name, const char **ret_value, GError **error)
{
    if (sd_bus_message_read_basic(m, 's', ret_name) < 0)
        return spoke_error_set_bad_text(error, "Name of a property");
    if (sd_bus_message_read_basic(m, 's', ret_value) < 0) {
        g_autofree char *quote = spoke_error_quote(*ret_name);
        g_autofree char *what = g_strdup_printf("Value of property \"%s\"", quote);
        return spoke_error_set_bad_text(error, what);
    }
    if (sd_bus_message_exit_container(m) < 0)
        return spoke_error_set_malformed(error);
    return TRUE;
}

gboolean
spoke_properties_read(sd_bus_message *m, GByteArray *list, guint count_max, size_t bytes_max,
                      GError **error)
{
    g_auto(NameSet) names = {.n_few = 0};
    const char *name = NULL;
    const char *value = NULL;
    size_t bytes = 0;
    int r;

    if (sd_bus_message_enter_container(m, 'a', "{ss}") < 0)
        return spoke_error_set_malformed(error);
    for (guint n = 1; (r = sd_bus_message_enter_container(m, 'e', "ss")) > 0; n++) {
        if (!read_pair(m, &name, &value, error))
            return FALSE;
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
        if (!name_set_add(&names, name)) {
            g_autofree char *quote = spoke_error_quote(name);
            g_set_error(error, SPOKE_ERROR, SPOKE_ERROR_INVALID_PROPERTY,
                        "Property \"%s\" is given twice", quote);
            return FALSE;
        }
        spoke_properties_append(list, name, value);
    }
    if (r < 0 || sd_bus_message_exit_container(m) < 0)
        return spoke_error_set_malformed(error);
    return TRUE;
}

static int
write_pair(sd_bus_message *m, const char *name, const char *value)
{
    int r = sd_bus_message_open_container(m, 'e', "ss");
    if (r >= 0)
        r = spoke_text_append(m, name);
    if (r >= 0)
        r = spoke_text_append(m, value);
    return r < 0 ? r : sd_bus_message_close_container(m);
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
        r = write_pair(m, name, value);
        if (r < 0)
            return r;
    }
    return sd_bus_message_close_container(m);
}
