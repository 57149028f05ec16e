/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Thousands of messages are turned into JSON in one request; a tree of nodes for each would cost
 * more than taking them did. */

#include "json-text.h"

#include "bag.h"

#include <string.h>

void
emu_json_append_string(GString *out, const char *text, size_t size)
{
    size_t plain = 0;

    g_string_append_c(out, '"');
    for (size_t i = 0; i < size; i++) {
        guchar c = (guchar)text[i];
        if (c >= 0x20 && c != '"' && c != '\\' && c != 0x7f)
            continue;
        g_string_append_len(out, text + plain, (gssize)(i - plain));
        plain = i + 1;
        if (c == '"' || c == '\\')
            g_string_append_printf(out, "\\%c", c);
        else
            g_string_append_printf(out, "\\u%04x", c);
    }
    g_string_append_len(out, text + plain, (gssize)(size - plain));
    g_string_append_c(out, '"');
}

/* Appends `"name":"value"`, with a comma before it unless it is the first of its object. */
static void
append_member(GString *out, const char *name, const char *value)
{
    if (out->str[out->len - 1] != '{')
        g_string_append_c(out, ',');
    emu_json_append_string(out, name, strlen(name));
    g_string_append_c(out, ':');
    if (value != NULL)
        emu_json_append_string(out, value, strlen(value));
    else
        g_string_append(out, "null");
}

/* Appends the properties of one kind, the last of equal names only. */
static void
append_properties(GString *out, const EmuArrival *arrival, gboolean system)
{
    g_autoptr(GHashTable) values = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    EmuBagReader reader;

    emu_bag_reader_init(&reader, arrival->bag, arrival->bag_size);
    while (TRUE) {
        g_auto(EmuProperty) property = {NULL, NULL};
        if (!emu_bag_reader_next(&reader, &property))
            break;
        const char *system_name = emu_bag_system_name(property.key);
        if ((system_name != NULL) != system)
            continue;
        char *name = system_name != NULL ? g_strdup(system_name) : g_steal_pointer(&property.key);
        if (!g_hash_table_contains(values, name))
            g_ptr_array_add(names, name);
        /* Of equal names the table keeps the first copy, which the list has. */
        g_hash_table_insert(values, name, g_steal_pointer(&property.value));
    }
    for (guint i = 0; i < names->len; i++) {
        const char *name = g_ptr_array_index(names, i);
        append_member(out, name, g_hash_table_lookup(values, name));
    }
}

/* What the hub stamps on a message. Source: protocol page, 6.5. */
static void
append_stamps(GString *out, const EmuArrival *arrival, const char *time)
{
    const EmuOrigin *origin = arrival->origin;
    g_autofree char *method =
        g_strdup_printf("{\"scope\":\"%s\",\"type\":\"%s\",\"issuer\":\"iothub\","
                        "\"acceptingIpFilterRule\":null}",
                        origin->module_id != NULL ? "module" : "device", origin->auth_type);

    append_member(out, "iothub-connection-device-id", origin->device_id);
    if (origin->module_id != NULL)
        append_member(out, "iothub-connection-module-id", origin->module_id);
    append_member(out, "iothub-connection-auth-generation-id", origin->generation_id);
    append_member(out, "iothub-connection-auth-method", method);
    append_member(out, "iothub-enqueuedtime", time);
    append_member(out, "iothub-message-source", "Telemetry");
    if (arrival->flags & EMU_ARRIVAL_WILL)
        append_member(out, "iothub-MessageType", "Will");
    if (origin->model_id != NULL)
        append_member(out, "dt-dataschema", origin->model_id);
}

static void
append_body(GString *out, const EmuArrival *arrival)
{
    const char *body = arrival->body;

    if (g_utf8_validate_len(body, arrival->body_size, NULL)) {
        g_string_append(out, ",\"body\":");
        emu_json_append_string(out, body, arrival->body_size);
    } else {
        g_autofree char *base64 = g_base64_encode(arrival->body, arrival->body_size);
        g_string_append_printf(out, ",\"bodyBase64\":\"%s\"", base64);
    }
    g_string_append_printf(out, ",\"bodySize\":%zu", arrival->body_size);
}

void
emu_json_append_message(GString *out, const EmuMessage *message)
{
    const EmuArrival *arrival = &message->arrival;
    g_autofree char *time = emu_time_to_text(arrival->enqueued_usec);

    g_string_append_printf(out, "{\"sequence\":%" G_GUINT64_FORMAT, message->sequence);
    append_member(out, "enqueuedTime", time);
    append_member(out, "deviceId", arrival->origin->device_id);
    if (arrival->origin->module_id != NULL)
        append_member(out, "moduleId", arrival->origin->module_id);
    g_string_append(out, ",\"systemProperties\":{");
    append_stamps(out, arrival, time);
    append_properties(out, arrival, TRUE);
    g_string_append(out, "},\"properties\":{");
    append_properties(out, arrival, FALSE);
    if (arrival->flags & EMU_ARRIVAL_RETAIN)
        append_member(out, "mqtt-retain", "true");
    g_string_append_c(out, '}');
    append_body(out, arrival);
    g_string_append(out, arrival->flags & EMU_ARRIVAL_DUPLICATE ? ",\"duplicate\":true}"
                                                                : ",\"duplicate\":false}");
}

char *
emu_time_to_text(gint64 usec)
{
    g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(usec / G_USEC_PER_SEC);
    g_autofree char *text = g_date_time_format(time, "%Y-%m-%dT%H:%M:%S");

    return g_strdup_printf("%s.%03dZ", text, (int)(usec % G_USEC_PER_SEC / 1000));
}
