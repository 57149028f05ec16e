/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* IoT Hub's topics: told apart by fixed prefix, never by splitting at '/', because clients put
 * raw slashes into property bags and device ids may hold almost anything. */

#include "topic.h"

#include "error.h"

#include <string.h>

#define TWIN_GET      "$iothub/twin/GET/?"
#define TWIN_REPORTED "$iothub/twin/PATCH/properties/reported/?"
#define TWIN_RESULT   "$iothub/twin/res/#"
#define TWIN_DESIRED  "$iothub/twin/PATCH/properties/desired/#"
#define METHOD_ANSWER "$iothub/methods/res/"
#define METHODS       "$iothub/methods/POST/"

void
emu_username_clear(EmuUsername *username)
{
    g_clear_pointer(&username->host, g_free);
    g_clear_pointer(&username->device_id, g_free);
    g_clear_pointer(&username->module_id, g_free);
    g_clear_pointer(&username->model_id, g_free);
}

/* Cuts the query off @path and returns it, or NULL. The '?' counts only behind the last "/": ids
 * may contain one. Old clients leave it out. */
static char *
cut_query(char *path)
{
    char *mark = g_strrstr(path, "/?");
    if (mark != NULL) {
        *mark = '\0';
        return mark + 2;
    }

    mark = strrchr(path, '/');
    if (mark == NULL || !g_str_has_prefix(mark + 1, "api-version="))
        return NULL;
    *mark = '\0';
    return mark + 1;
}

static char *
query_value(const char *query, const char *key)
{
    g_auto(GStrv) pairs = g_strsplit(query, "&", -1);

    for (size_t i = 0; pairs[i] != NULL; i++) {
        char *equals = strchr(pairs[i], '=');
        if (equals == NULL)
            continue;
        *equals = '\0';
        if (g_str_equal(pairs[i], key)) {
            char *decoded = g_uri_unescape_string(equals + 1, NULL);
            return decoded != NULL ? decoded : g_strdup(equals + 1);
        }
    }
    return NULL;
}

gboolean
emu_username_parse(const char *text, size_t size, EmuUsername *ret_username, GError **error)
{
    g_autofree char *path = g_strndup(text, size);
    const char *query = cut_query(path);
    g_auto(GStrv) parts = g_strsplit(path, "/", -1);
    guint n = g_strv_length(parts);

    if (n > 2 && *parts[n - 1] == '\0')
        n--;
    gboolean right = n == 2 || n == 3;
    for (guint i = 0; right && i < n; i++)
        right = *parts[i] != '\0';
    if (!right) {
        g_set_error(error, EMU_ERROR, EMU_ERROR_ARGUMENT,
                    "Username is not {host}/{device}[/{module}]/?api-version=…");
        return FALSE;
    }

    *ret_username = (EmuUsername){
        .host = g_strdup(parts[0]),
        .device_id = g_strdup(parts[1]),
        .module_id = n == 3 ? g_strdup(parts[2]) : NULL,
        .model_id = query != NULL ? query_value(query, "model-id") : NULL,
    };
    return TRUE;
}

char *
emu_topic_telemetry_prefix(const char *device_id, const char *module_id)
{
    if (module_id == NULL)
        return g_strdup_printf("devices/%s/messages/events", device_id);
    return g_strdup_printf("devices/%s/modules/%s/messages/events", device_id, module_id);
}

static gboolean
has_prefix(const char *topic, size_t size, const char *prefix, size_t prefix_size)
{
    return size >= prefix_size && memcmp(topic, prefix, prefix_size) == 0;
}

EmuTopicKind
emu_topic_classify(const char *topic, size_t size, const char *telemetry_prefix, size_t prefix_size,
                   const char **ret_rest, size_t *ret_rest_size)
{
    static const struct {
        const char *prefix;
        EmuTopicKind kind;
    } others[] = {
        {TWIN_GET, EMU_TOPIC_TWIN_GET},
        {TWIN_REPORTED, EMU_TOPIC_TWIN_REPORTED},
        {METHOD_ANSWER, EMU_TOPIC_METHOD_ANSWER},
    };

    if (has_prefix(topic, size, telemetry_prefix, prefix_size) &&
        (size == prefix_size || topic[prefix_size] == '/')) {
        const char *rest = topic + MIN(size, prefix_size + 1);
        size_t rest_size = size - (size_t)(rest - topic);
        if (rest_size > 0 && rest[rest_size - 1] == '/')
            rest_size--;
        *ret_rest = rest;
        *ret_rest_size = rest_size;
        return EMU_TOPIC_TELEMETRY;
    }

    for (size_t i = 0; i < G_N_ELEMENTS(others); i++) {
        size_t n = strlen(others[i].prefix);
        if (has_prefix(topic, size, others[i].prefix, n)) {
            *ret_rest = topic + n;
            *ret_rest_size = size - n;
            return others[i].kind;
        }
    }
    return EMU_TOPIC_UNKNOWN;
}

EmuFilter
emu_topic_filter_kind(const char *filter, const char *device_id, const char *module_id)
{
    if (g_str_equal(filter, TWIN_RESULT))
        return EMU_FILTER_TWIN_RESULT;
    if (g_str_equal(filter, TWIN_DESIRED))
        return EMU_FILTER_TWIN_DESIRED;
    if (g_str_has_prefix(filter, METHODS) && strlen(filter) > strlen(METHODS))
        return EMU_FILTER_METHODS;

    if (module_id == NULL) {
        g_autofree char *devicebound =
            g_strdup_printf("devices/%s/messages/devicebound/#", device_id);
        return g_str_equal(filter, devicebound) ? EMU_FILTER_DEVICEBOUND : EMU_FILTER_UNKNOWN;
    }

    g_autofree char *module = g_strdup_printf("devices/%s/modules/%s/", device_id, module_id);
    if (g_str_has_prefix(filter, module) && (g_str_equal(filter + strlen(module), "#") ||
                                             g_str_equal(filter + strlen(module), "inputs/#")))
        return EMU_FILTER_INPUTS;
    return EMU_FILTER_UNKNOWN;
}

char *
emu_topic_devicebound(const char *device_id, const char *bag)
{
    return g_strdup_printf("devices/%s/messages/devicebound/%s", device_id, bag);
}

char *
emu_topic_request_id(const char *query, size_t size)
{
    g_autofree char *text = g_strndup(query, size);
    g_auto(GStrv) pairs = g_strsplit(text, "&", -1);

    for (size_t i = 0; pairs[i] != NULL; i++) {
        if (g_str_has_prefix(pairs[i], "$rid="))
            return g_strdup(pairs[i] + strlen("$rid="));
    }
    return NULL;
}
