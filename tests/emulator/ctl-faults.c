/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The commands about faults, and the counters. */

#include "ctl-command.h"
#include "ctl-print.h"

#include <stdio.h>
#include <string.h>

static void
add_text_member(JsonObject *object, const char *name, const char *value)
{
    guint64 magnitude = 0;
    const char *digits = value[0] == '-' ? value + 1 : value;

    if (strcmp(name, "device") == 0)
        json_object_set_string_member(object, name, value);
    else if (g_ascii_string_to_unsigned(digits, 10, 0, G_MAXINT64, &magnitude, NULL))
        json_object_set_int_member(object, name,
                                   digits == value ? (gint64)magnitude : -(gint64)magnitude);
    else if (strcmp(value, "true") == 0 || strcmp(value, "false") == 0)
        json_object_set_boolean_member(object, name, value[0] == 't');
    else
        json_object_set_string_member(object, name, value);
}

/* {"kind": …, KEY: VALUE, …}, or NULL when a setting is none. Which keys a kind takes is for the
 * emulator to say. */
static JsonNode *
fault_from_arguments(char **arguments, GError **error)
{
    JsonObject *fault = json_object_new();
    g_autoptr(JsonNode) node = json_node_new(JSON_NODE_OBJECT);

    json_node_take_object(node, fault);
    json_object_set_string_member(fault, "kind", arguments[0]);
    for (char **setting = arguments + 1; *setting != NULL; setting++) {
        const char *sign = strchr(*setting, '=');
        if (sign == NULL || sign == *setting) {
            g_set_error(error, CTL_ERROR, CTL_ERROR_USAGE,
                        "\"%s\" is not KEY=VALUE; \"iothub-emulator ctl fault --help\" lists the "
                        "keys",
                        *setting);
            return NULL;
        }
        g_autofree char *name = g_strndup(*setting, (gsize)(sign - *setting));
        add_text_member(fault, name, sign + 1);
    }
    return g_steal_pointer(&node);
}

gboolean
ctl_run_fault(Ctl *ctl, int argc, char **argv, GError **error)
{
    g_auto(GStrv) arguments = NULL;
    if (!ctl_parse(ctl, NULL, argc, argv, 1, G_MAXUINT, &arguments, error))
        return FALSE;

    g_autoptr(JsonNode) fault = fault_from_arguments(arguments, error);
    if (fault == NULL)
        return FALSE;
    g_autoptr(JsonNode) answer =
        ctl_client_call(ctl->client, "POST", "/faults", fault, JSON_NODE_OBJECT, error);
    if (answer == NULL)
        return FALSE;

    if (ctl->json) {
        ctl_print_json(answer);
        return TRUE;
    }
    g_autofree char *id = ctl_member(json_node_get_object(answer), "id");
    if (id != NULL)
        printf("%s\n", id);
    return TRUE;
}

/* All settings but the ones that have columns. */
static char *
describe_settings(JsonObject *fault)
{
    GString *text = g_string_new(NULL);
    JsonObjectIter iter;
    const char *key = NULL;

    json_object_iter_init(&iter, fault);
    while (json_object_iter_next(&iter, &key, NULL)) {
        if (strcmp(key, "id") == 0 || strcmp(key, "kind") == 0 || strcmp(key, "device") == 0)
            continue;
        g_autofree char *value = ctl_member(fault, key);
        g_string_append_printf(text, "%s%s=%s", text->len > 0 ? " " : "", key,
                               value != NULL ? value : "");
    }
    return g_string_free(text, FALSE);
}

static void
print_faults(JsonNode *answer)
{
    static const CtlColumn columns[] = {
        {"ID", TRUE}, {"KIND", FALSE}, {"DEVICE", FALSE}, {"SETTINGS", FALSE}, {NULL, FALSE},
    };
    g_autoptr(CtlTable) table = ctl_table_new(columns);
    JsonArray *faults = json_node_get_array(answer);

    for (guint i = 0; i < json_array_get_length(faults); i++) {
        JsonObject *fault = json_array_get_object_element(faults, i);
        char *device_id = ctl_member(fault, "device");
        ctl_table_add(table, ctl_member(fault, "id"));
        ctl_table_add(table, ctl_member(fault, "kind"));
        ctl_table_add(table, device_id != NULL ? device_id : g_strdup("(all)"));
        ctl_table_add(table, describe_settings(fault));
    }
    ctl_table_print(table, "No faults: the emulator behaves");
}

gboolean
ctl_run_faults(Ctl *ctl, int argc, char **argv, GError **error)
{
    g_auto(GStrv) arguments = NULL;
    if (!ctl_parse(ctl, NULL, argc, argv, 0, 0, &arguments, error))
        return FALSE;

    return ctl_show(ctl, "/faults", JSON_NODE_ARRAY, print_faults, error);
}

gboolean
ctl_run_clear_faults(Ctl *ctl, int argc, char **argv, GError **error)
{
    g_auto(GStrv) arguments = NULL;
    if (!ctl_parse(ctl, NULL, argc, argv, 0, 1, &arguments, error))
        return FALSE;

    g_autofree char *id =
        arguments[0] != NULL ? g_uri_escape_string(arguments[0], NULL, FALSE) : NULL;
    g_autofree char *path = id != NULL ? g_strconcat("/faults/", id, NULL) : g_strdup("/faults");
    g_autoptr(JsonNode) answer =
        ctl_client_call(ctl->client, "DELETE", path, NULL, JSON_NODE_NULL, error);
    return answer != NULL;
}

static void
print_disconnects(JsonArray *disconnects)
{
    static const CtlColumn columns[] = {
        {"TIME", FALSE},
        {"DEVICE", FALSE},
        {"REASON", FALSE},
        {NULL, FALSE},
    };
    g_autoptr(CtlTable) table = ctl_table_new(columns);

    for (guint i = 0; i < json_array_get_length(disconnects); i++) {
        JsonObject *disconnect = json_array_get_object_element(disconnects, i);
        ctl_table_add(table, ctl_member_time(disconnect, "time"));
        ctl_table_add(table, ctl_member(disconnect, "deviceId"));
        ctl_table_add(table, ctl_member(disconnect, "reason"));
    }
    ctl_table_print(table, "No disconnects");
}

static void
print_stats(JsonNode *answer)
{
    JsonObject *stats = json_node_get_object(answer);
    static const struct {
        const char *name;
        const char *member;
    } fields[] = {
        {"Uptime (s)", "uptimeSec"},
        {"Messages received", "messagesReceived"},
        {"Bytes received", "bytesReceived"},
        {"Connections now", "connectionsOpen"},
        {"Connections taken", "connectionsAccepted"},
        {"Evicted", "evicted"},
        {"Protocol errors", "protocolErrors"},
        {"Refused, by code", "connectsRefused"},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(fields); i++) {
        g_autofree char *value = ctl_member(stats, fields[i].member);
        ctl_print_field(fields[i].name, value);
    }
    if (json_object_has_member(stats, "lastDisconnects")) {
        putchar('\n');
        print_disconnects(json_object_get_array_member(stats, "lastDisconnects"));
    }
}

gboolean
ctl_run_stats(Ctl *ctl, int argc, char **argv, GError **error)
{
    g_auto(GStrv) arguments = NULL;
    if (!ctl_parse(ctl, NULL, argc, argv, 0, 0, &arguments, error))
        return FALSE;

    return ctl_show(ctl, "/stats", JSON_NODE_OBJECT, print_stats, error);
}
