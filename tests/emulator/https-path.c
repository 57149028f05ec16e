/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Paths are matched with patterns in which '*' stands for an id. */

#include "https-path.h"

#include "error.h"

#define WEBSOCKET "/$iothub/websocket"

/* In which member of EmuHttpsPath each '*' goes: first, second. */
static const struct {
    EmuHttpsEndpoint endpoint;
    const char *pattern;
    size_t members[2];
} patterns[] = {
    {EMU_HTTPS_EVENTS, "devices/*/messages/events", {G_STRUCT_OFFSET(EmuHttpsPath, device_id)}},
    {EMU_HTTPS_EVENTS,
     "devices/*/modules/*/messages/events",
     {G_STRUCT_OFFSET(EmuHttpsPath, device_id), G_STRUCT_OFFSET(EmuHttpsPath, module_id)}},
    {EMU_HTTPS_DEVICEBOUND,
     "devices/*/messages/devicebound",
     {G_STRUCT_OFFSET(EmuHttpsPath, device_id)}},
    {EMU_HTTPS_LOCK,
     "devices/*/messages/devicebound/*",
     {G_STRUCT_OFFSET(EmuHttpsPath, device_id), G_STRUCT_OFFSET(EmuHttpsPath, lock)}},
    {EMU_HTTPS_ABANDON,
     "devices/*/messages/devicebound/*/abandon",
     {G_STRUCT_OFFSET(EmuHttpsPath, device_id), G_STRUCT_OFFSET(EmuHttpsPath, lock)}},
};

static const char *const methods[] = {
    [EMU_HTTPS_EVENTS] = "POST",
    [EMU_HTTPS_DEVICEBOUND] = "GET",
    [EMU_HTTPS_LOCK] = "DELETE",
    [EMU_HTTPS_ABANDON] = "POST",
};
G_STATIC_ASSERT(G_N_ELEMENTS(methods) == EMU_N_HTTPS_ENDPOINTS);

void
emu_https_path_clear(EmuHttpsPath *path)
{
    g_clear_pointer(&path->device_id, g_free);
    g_clear_pointer(&path->module_id, g_free);
    g_clear_pointer(&path->lock, g_free);
}

/* The parts between slashes, decoded; NULL if one cannot be. */
static char **
split(const char *text)
{
    g_auto(GStrv) parts = g_strsplit(text + (*text == '/' ? 1 : 0), "/", -1);
    guint n = g_strv_length(parts);

    for (guint i = 0; i < n; i++) {
        char *decoded = g_uri_unescape_string(parts[i], NULL);
        if (decoded == NULL || !g_utf8_validate(decoded, -1, NULL)) {
            g_free(decoded);
            return NULL;
        }
        g_free(parts[i]);
        parts[i] = decoded;
    }
    if (n > 1 && *parts[n - 1] == '\0')
        g_clear_pointer(&parts[n - 1], g_free);
    return g_steal_pointer(&parts);
}

static gboolean
matches(const char *pattern, char **parts)
{
    g_auto(GStrv) wanted = g_strsplit(pattern, "/", -1);

    for (size_t i = 0; wanted[i] != NULL || parts[i] != NULL; i++) {
        if (wanted[i] == NULL || parts[i] == NULL)
            return FALSE;
        if (g_str_equal(wanted[i], "*") ? *parts[i] == '\0'
                                        : g_ascii_strcasecmp(wanted[i], parts[i]) != 0)
            return FALSE;
    }
    return TRUE;
}

static void
take_members(size_t row, char **parts, EmuHttpsPath *ret_path)
{
    g_auto(GStrv) wanted = g_strsplit(patterns[row].pattern, "/", -1);
    size_t n = 0;

    ret_path->endpoint = patterns[row].endpoint;
    for (size_t i = 0; wanted[i] != NULL; i++) {
        if (g_str_equal(wanted[i], "*"))
            G_STRUCT_MEMBER(char *, ret_path, patterns[row].members[n++]) = g_strdup(parts[i]);
    }
}

gboolean
emu_https_path_parse(const char *text, EmuHttpsPath *ret_path, GError **error)
{
    g_auto(GStrv) parts = split(text);

    if (parts == NULL) {
        g_set_error(error, EMU_ERROR, EMU_ERROR_ARGUMENT, "The path is not validly encoded");
        return FALSE;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(patterns); i++) {
        if (matches(patterns[i].pattern, parts)) {
            take_members(i, parts, ret_path);
            return TRUE;
        }
    }
    g_set_error(error, EMU_ERROR, EMU_ERROR_NOT_FOUND, "The hub has no such path");
    return FALSE;
}

gboolean
emu_https_path_is_websocket(const char *text)
{
    g_autofree char *decoded = g_uri_unescape_string(text, NULL);

    return decoded != NULL && g_ascii_strcasecmp(decoded, WEBSOCKET) == 0;
}

const char *
emu_https_endpoint_method(EmuHttpsEndpoint endpoint)
{
    return methods[endpoint];
}
