/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The control API's way to disturb the hub, and its counters. */

#include "control-request.h"

#include "error.h"
#include "faults.h"
#include "hub.h"

static void
add_fault(JsonBuilder *json, const EmuFault *fault)
{
    json_builder_begin_object(json);
    emu_json_add_number(json, "id", fault->id);
    emu_json_add_text(json, "kind", emu_fault_kind_name(fault->kind));
    if (fault->device_id != NULL)
        emu_json_add_text(json, "device", fault->device_id);
    emu_json_add_number(json, "count", fault->count);
    switch (fault->kind) {
    case EMU_FAULT_REFUSE:
        emu_json_add_number(json, "code", fault->code);
        break;
    case EMU_FAULT_CUT_AFTER:
        emu_json_add_number(json, "after", fault->after);
        break;
    case EMU_FAULT_STALL_ACKS:
    case EMU_FAULT_DELAY:
        emu_json_add_number(json, "ms", fault->ms);
        break;
    case EMU_FAULT_THROTTLE:
        emu_json_add_number(json, "rate", fault->rate);
        break;
    case EMU_FAULT_CLOCK_SKEW:
        emu_json_add_number(json, "sec", fault->sec);
        break;
    default:
        break;
    }
    emu_json_add_number(json, "strikes", (gint64)fault->strikes);
    json_builder_end_object(json);
}

static gboolean
get_faults(const EmuRequest *request, EmuReply *reply, GError **error)
{
    g_autoptr(JsonBuilder) json = json_builder_new();
    const GPtrArray *list = emu_faults_list(emu_hub_faults(request->hub));

    json_builder_begin_array(json);
    for (guint i = 0; i < list->len; i++)
        add_fault(json, g_ptr_array_index(list, i));
    json_builder_end_array(json);
    reply->node = json_builder_get_root(json);
    return TRUE;
}

/* The numbers a fault may carry; which of them mean something depends on its kind. */
static gboolean
take_numbers(const EmuRequest *request, EmuFault *fault, GError **error)
{
    gint64 count = 1;
    gint64 code = 3;
    gint64 ms = 0;
    gint64 after = 0;
    gint64 rate = 0;

    if (!emu_request_integer(request, "count", 0, G_MAXINT32, &count, error) ||
        !emu_request_integer(request, "code", 1, 5, &code, error) ||
        !emu_request_integer(request, "ms", 0, G_MAXINT32, &ms, error) ||
        !emu_request_integer(request, "after", 0, G_MAXINT32, &after, error) ||
        !emu_request_integer(request, "rate", 1, G_MAXINT32, &rate, error) ||
        !emu_request_integer(request, "sec", -G_MAXINT32, G_MAXINT32, &fault->sec, error))
        return FALSE;
    fault->count = (guint)count;
    fault->code = (guint)code;
    fault->ms = (guint)ms;
    fault->after = (guint)after;
    fault->rate = (guint)rate;
    return TRUE;
}

static gboolean
check_fault(const EmuFault *fault, GError **error)
{
    const char *missing = NULL;

    if (fault->kind == EMU_FAULT_DELAY && fault->ms == 0)
        missing = "ms";
    else if (fault->kind == EMU_FAULT_THROTTLE && fault->rate == 0)
        missing = "rate";
    else if (fault->kind == EMU_FAULT_CLOCK_SKEW && fault->sec == 0)
        missing = "sec";
    if (missing == NULL)
        return TRUE;
    g_set_error(error, EMU_ERROR, EMU_ERROR_ARGUMENT, "%s needs %s",
                emu_fault_kind_name(fault->kind), missing);
    return FALSE;
}

static gboolean
has_strikes(EmuFaultKind kind)
{
    return kind == EMU_FAULT_REFUSE || kind == EMU_FAULT_REFUSE_TCP ||
           kind == EMU_FAULT_REFUSE_SUBSCRIBE || kind == EMU_FAULT_CUT_AFTER;
}

static gboolean
take_store(const EmuRequest *request, EmuFault *fault, GError **error)
{
    JsonNode *node = json_object_get_member(request->body, "store");

    if (node == NULL)
        return TRUE;
    if (!JSON_NODE_HOLDS_VALUE(node) || json_node_get_value_type(node) != G_TYPE_BOOLEAN) {
        g_set_error(error, EMU_ERROR, EMU_ERROR_ARGUMENT, "store is not true or false");
        return FALSE;
    }
    fault->store = json_node_get_boolean(node);
    return TRUE;
}

static gboolean
take_fault(const EmuRequest *request, const char *kind, EmuFault *fault, GError **error)
{
    const char *device_id = NULL;

    if (!emu_fault_kind_from_name(kind, &fault->kind)) {
        g_set_error(error, EMU_ERROR, EMU_ERROR_ARGUMENT, "There is no fault %s", kind);
        return FALSE;
    }
    if (!take_numbers(request, fault, error) || !check_fault(fault, error) ||
        !emu_request_text(request, "device", &device_id, error))
        return FALSE;

    if (!has_strikes(fault->kind) && !json_object_has_member(request->body, "count"))
        fault->count = 0;
    if (!take_store(request, fault, error))
        return FALSE;
    fault->device_id = (char *)device_id;
    return TRUE;
}

/* Dropping is done at once and leaves no fault behind. */
static void
drop(const EmuRequest *request, const char *device_id, EmuReply *reply)
{
    g_autoptr(JsonBuilder) json = json_builder_new();

    json_builder_begin_object(json);
    emu_json_add_number(json, "id", 0);
    emu_json_add_number(json, "dropped", emu_hub_drop(request->hub, device_id, "fault: dropped"));
    json_builder_end_object(json);
    reply->node = json_builder_get_root(json);
}

static gboolean
post_fault(const EmuRequest *request, EmuReply *reply, GError **error)
{
    static const char *const members[] = {"kind",  "device", "count", "code",  "ms",
                                          "after", "rate",   "sec",   "store", NULL};
    EmuFault fault = {0};
    const char *kind = NULL;
    const char *device_id = NULL;

    if (!emu_request_check_members(request, members, error) ||
        !emu_request_text(request, "kind", &kind, error) ||
        !emu_request_text(request, "device", &device_id, error))
        return FALSE;
    if (kind == NULL) {
        g_set_error(error, EMU_ERROR, EMU_ERROR_ARGUMENT, "kind is missing");
        return FALSE;
    }

    reply->status = SOUP_STATUS_CREATED;
    if (g_str_equal(kind, "drop")) {
        drop(request, device_id, reply);
        return TRUE;
    }
    if (!take_fault(request, kind, &fault, error))
        return FALSE;

    g_autoptr(JsonBuilder) json = json_builder_new();
    json_builder_begin_object(json);
    emu_json_add_number(
        json, "id", emu_faults_add(emu_hub_faults(request->hub), &fault, g_get_monotonic_time()));
    json_builder_end_object(json);
    reply->node = json_builder_get_root(json);
    return TRUE;
}

static gboolean
delete_faults(const EmuRequest *request, EmuReply *reply, GError **error)
{
    guint64 id = 0;

    if (request->names[0] != NULL &&
        !g_ascii_string_to_unsigned(request->names[0], 10, 1, G_MAXUINT32, &id, NULL)) {
        g_set_error(error, EMU_ERROR, EMU_ERROR_ARGUMENT, "A fault's id is a number");
        return FALSE;
    }
    if (emu_faults_remove(emu_hub_faults(request->hub), (guint)id) == 0 && id != 0) {
        g_set_error(error, EMU_ERROR, EMU_ERROR_NOT_FOUND, "There is no fault %s",
                    request->names[0]);
        return FALSE;
    }
    reply->status = SOUP_STATUS_NO_CONTENT;
    return TRUE;
}

static void
add_refusals(JsonBuilder *json, const EmuHubStats *stats)
{
    json_builder_set_member_name(json, "connectsRefused");
    json_builder_begin_object(json);
    for (guint code = 1; code < G_N_ELEMENTS(stats->refused); code++) {
        if (stats->refused[code] > 0) {
            const char name[] = {(char)('0' + code), '\0'};
            emu_json_add_number(json, name, (gint64)stats->refused[code]);
        }
    }
    json_builder_end_object(json);
}

static void
add_disconnects(JsonBuilder *json, const EmuHubStats *stats)
{
    json_builder_set_member_name(json, "lastDisconnects");
    json_builder_begin_array(json);
    for (GList *i = stats->disconnects.head; i != NULL; i = i->next) {
        const EmuDisconnect *disconnect = i->data;
        json_builder_begin_object(json);
        emu_json_add_text(json, "deviceId", disconnect->device_id);
        emu_json_add_time(json, "time", disconnect->time_usec);
        emu_json_add_text(json, "reason", disconnect->reason);
        json_builder_end_object(json);
    }
    json_builder_end_array(json);
}

static gboolean
get_stats(const EmuRequest *request, EmuReply *reply, GError **error)
{
    g_autoptr(JsonBuilder) json = json_builder_new();
    const EmuHubStats *stats = emu_hub_stats(request->hub);
    EmuTelemetry *telemetry = emu_hub_telemetry(request->hub);

    json_builder_begin_object(json);
    emu_json_add_number(json, "messagesReceived", (gint64)emu_telemetry_count(telemetry));
    emu_json_add_number(json, "bytesReceived", (gint64)emu_telemetry_bytes(telemetry));
    emu_json_add_number(json, "lastSequence", (gint64)emu_telemetry_last(telemetry));
    emu_json_add_number(json, "connectionsAccepted", (gint64)stats->accepted);
    emu_json_add_number(json, "connectionsOpen", stats->open);
    add_refusals(json, stats);
    emu_json_add_number(json, "evicted", (gint64)stats->evicted);
    emu_json_add_number(json, "protocolErrors", (gint64)stats->protocol_errors);
    add_disconnects(json, stats);
    emu_json_add_number(json, "uptimeSec",
                        (g_get_monotonic_time() - stats->started_usec) / G_USEC_PER_SEC);
    json_builder_end_object(json);
    reply->node = json_builder_get_root(json);
    return TRUE;
}

const EmuRoute emu_fault_routes[] = {
    {"GET", "faults", get_faults},       {"POST", "faults", post_fault},
    {"DELETE", "faults", delete_faults}, {"DELETE", "faults/*", delete_faults},
    {"GET", "stats", get_stats},         {NULL, NULL, NULL},
};
