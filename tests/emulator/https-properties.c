/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* One table for both ways. Header names are written in lower case, because one SDK compares them
 * as text. */

#include "https-properties.h"

#include "bag.h"

#include <string.h>

#define APP_PREFIX "iothub-app-"

/* What else than letters and digits a token may hold. Source: RFC 9110, 5.6.2. */
#define TOKEN_PUNCTUATION "!#$%&'*+-.^_`|~"

static const struct {
    const char *key;
    const char *received;
    const char *sent; /* to devices; NULL: never */
} names[] = {
    {"$.mid", "iothub-messageid", "iothub-messageid"},
    {"$.cid", "iothub-correlationid", "iothub-correlationid"},
    {"$.uid", "iothub-userid", "iothub-userid"},
    {"$.to", "iothub-to", "iothub-to"},
    {"$.exp", "iothub-expiry", "iothub-expiry"},
    {"$.ct", "iothub-contenttype", "ContentType"},
    {"$.ce", "iothub-contentencoding", "ContentEncoding"},
    {"$.ifid", "iothub-interface-id", NULL},
    {"$.sub", "dt-subject", NULL},
    /* A header of its own it has not: SDKs send it as an app property. Source: azure-docs,
     * iot-hub-devguide-messages-construct.md, "iothub-creation-time-utc". */
    {"$.ctime", APP_PREFIX "iothub-creation-time-utc", NULL},
    {"iothub-ack", "iothub-ack", "iothub-ack"},
};

void
emu_https_add_property(GString *bag, const char *name, const char *value)
{
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        if (g_ascii_strcasecmp(names[i].received, name) == 0) {
            emu_bag_append(bag, names[i].key, value);
            return;
        }
    }
    if (g_ascii_strncasecmp(name, APP_PREFIX, strlen(APP_PREFIX)) == 0 &&
        name[strlen(APP_PREFIX)] != '\0')
        emu_bag_append(bag, name + strlen(APP_PREFIX), value);
}

/* Returns: (transfer full) (nullable): the header's name. */
static char *
header_of(const char *key)
{
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        if (g_str_equal(names[i].key, key))
            return g_strdup(names[i].sent);
    }
    if (emu_bag_system_name(key) != NULL || *key == '\0')
        return NULL;
    for (const char *c = key; *c != '\0'; c++) {
        if (!g_ascii_isalnum(*c) && strchr(TOKEN_PUNCTUATION, *c) == NULL)
            return NULL;
    }
    return g_strconcat(APP_PREFIX, key, NULL);
}

static gboolean
is_value(const char *text)
{
    for (const char *c = text; *c != '\0'; c++) {
        if (g_ascii_iscntrl(*c) && *c != '\t')
            return FALSE;
    }
    return TRUE;
}

guint
emu_https_list_headers(const char *bag, EmuHttpsHeaderFunc func, gpointer user_data)
{
    EmuBagReader reader;
    guint lost = 0;

    emu_bag_reader_init(&reader, bag, strlen(bag));
    while (TRUE) {
        g_auto(EmuProperty) property = {NULL, NULL};
        if (!emu_bag_reader_next(&reader, &property))
            return lost;
        g_autofree char *name = header_of(property.key);
        const char *value = property.value != NULL ? property.value : "";
        if (name != NULL && is_value(value))
            func(name, value, user_data);
        else
            lost++;
    }
}
