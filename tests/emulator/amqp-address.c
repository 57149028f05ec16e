/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Addresses by their segments: `devices/{d}`, perhaps `modules/{m}`, and one of a few endings. */

#include "amqp-address.h"

#include <string.h>

static const struct {
    const char *ending;
    EmuAmqpNode node;
} endings[] = {
    {"messages/events", EMU_AMQP_NODE_EVENTS},
    {"messages/devicebound", EMU_AMQP_NODE_DEVICEBOUND},
    {"methods/devicebound", EMU_AMQP_NODE_METHODS},
    {"twin", EMU_AMQP_NODE_TWIN},
};

void
emu_amqp_address_clear(EmuAmqpAddress *address)
{
    g_clear_pointer(&address->host, g_free);
    g_clear_pointer(&address->device_id, g_free);
    g_clear_pointer(&address->module_id, g_free);
}

/* Takes `word/{id}` off the path. */
static char *
take_id(const char **path, const char *word)
{
    size_t size = strlen(word);

    if (g_ascii_strncasecmp(*path, word, size) != 0 || (*path)[size] != '/')
        return NULL;
    const char *id = *path + size + 1;
    const char *end = strchrnul(id, '/');
    if (end == id)
        return NULL;
    *path = *end == '/' ? end + 1 : end;
    return g_strndup(id, (size_t)(end - id));
}

static gboolean
find_ending(const char *rest, EmuAmqpNode *ret_node)
{
    for (size_t i = 0; i < G_N_ELEMENTS(endings); i++) {
        if (g_ascii_strcasecmp(rest, endings[i].ending) == 0) {
            *ret_node = endings[i].node;
            return TRUE;
        }
    }
    return FALSE;
}

/* @path without its leading slash. Returns what follows the ids, NULL if there are none. */
static const char *
take_ids(const char *path, EmuAmqpAddress *address)
{
    address->device_id = take_id(&path, "devices");
    if (address->device_id == NULL)
        return NULL;
    address->module_id = take_id(&path, "modules");
    return path;
}

/* The path behind scheme and authority; the path itself where there are none. */
static const char *
skip_host(const char *text, char **ret_host)
{
    if (*text == '/')
        return text + 1;
    if (g_ascii_strncasecmp(text, "amqps://", 8) != 0)
        return NULL;

    const char *path = strchr(text + 8, '/');
    if (path == NULL || memchr(text + 8, ':', (size_t)(path - text - 8)) != NULL)
        return NULL;
    *ret_host = g_strndup(text + 8, (size_t)(path - text - 8));
    return path + 1;
}

gboolean
emu_amqp_address_parse(const char *text, EmuAmqpAddress *ret_address)
{
    g_auto(EmuAmqpAddress) address = {.node = EMU_AMQP_NODE_CBS};

    if (!g_str_equal(text, "$cbs")) {
        const char *path = skip_host(text, &address.host);
        const char *rest = path != NULL ? take_ids(path, &address) : NULL;
        if (rest == NULL || !find_ending(rest, &address.node))
            return FALSE;
    }
    *ret_address = address;
    address = (EmuAmqpAddress){0};
    return TRUE;
}

gboolean
emu_amqp_audience_parse(const char *text, EmuAmqpAddress *ret_address)
{
    g_auto(EmuAmqpAddress) address = {.node = EMU_AMQP_NODE_IDENTITY};
    g_autofree char *decoded = strchr(text, '/') == NULL ? g_uri_unescape_string(text, NULL) : NULL;
    const char *plain = decoded != NULL ? decoded : text;
    const char *slash = strchr(plain, '/');

    if (slash == NULL)
        return FALSE;
    address.host = g_strndup(plain, (size_t)(slash - plain));
    const char *rest = take_ids(slash + 1, &address);
    if (rest == NULL || *rest != '\0')
        return FALSE;
    *ret_address = address;
    address = (EmuAmqpAddress){0};
    return TRUE;
}

EmuIdentity *
emu_amqp_address_find(const EmuAmqpAddress *address, EmuRegistry *registry)
{
    EmuIdentity *identity = emu_registry_find(registry, address->device_id, address->module_id);

    if (identity != NULL)
        return identity;
    g_autofree char *device_id = g_uri_unescape_string(address->device_id, NULL);
    g_autofree char *module_id = g_uri_unescape_string(address->module_id, NULL);
    if (device_id == NULL || (module_id == NULL) != (address->module_id == NULL))
        return NULL;
    return emu_registry_find(registry, device_id, module_id);
}
