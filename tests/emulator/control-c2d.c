/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The control API's way to send cloud-to-device messages and to follow their fate. */

#include "control-request.h"

#include "bag.h"
#include "c2d.h"
#include "error.h"
#include "hub.h"

#include <string.h>

static const EmuIdentity *
find_device(const EmuRequest *request, GError **error)
{
    const EmuIdentity *device =
        emu_registry_find(emu_hub_registry(request->hub), request->names[0], NULL);

    if (device == NULL)
        g_set_error(error, EMU_ERROR, EMU_ERROR_NOT_FOUND, "Device %s does not exist",
                    request->names[0]);
    return device;
}

static void
add_message(JsonBuilder *json, const EmuC2dMessage *message)
{
    json_builder_begin_object(json);
    emu_json_add_number(json, "sequence", (gint64)message->sequence);
    emu_json_add_text(json, "messageId", message->message_id);
    emu_json_add_text(json, "state", emu_c2d_state_name(message->state));
    emu_json_add_number(json, "deliveryCount", message->delivery_count);
    emu_json_add_number(json, "deliveries", message->deliveries);
    emu_json_add_text(json, "ack", emu_ack_name(message->ack));
    emu_json_add_time(json, "enqueuedTime", message->enqueued_usec);
    emu_json_add_time(json, "expiryTime", message->expiry_usec);
    if (message->locked_until_usec != 0)
        emu_json_add_time(json, "lockedUntil", message->locked_until_usec);
    if (message->reason != NULL)
        emu_json_add_text(json, "reason", message->reason);
    if (message->completed_usec != 0)
        emu_json_add_time(json, "completedTime", message->completed_usec);
    json_builder_end_object(json);
}

static gboolean
take_properties(const EmuRequest *request, GString *bag, GError **error)
{
    if (!json_object_has_member(request->body, "properties"))
        return TRUE;

    JsonNode *node = json_object_get_member(request->body, "properties");
    if (!JSON_NODE_HOLDS_OBJECT(node)) {
        g_set_error(error, EMU_ERROR, EMU_ERROR_ARGUMENT, "properties is not an object");
        return FALSE;
    }
    JsonObject *properties = json_node_get_object(node);
    g_autoptr(GList) names = json_object_get_members(properties);
    for (GList *i = names; i != NULL; i = i->next) {
        JsonNode *value = json_object_get_member(properties, i->data);
        if (!JSON_NODE_HOLDS_VALUE(value) || json_node_get_value_type(value) != G_TYPE_STRING) {
            g_set_error(error, EMU_ERROR, EMU_ERROR_ARGUMENT, "Property %s is not a string",
                        (const char *)i->data);
            return FALSE;
        }
        emu_bag_append(bag, i->data, json_node_get_string(value));
    }
    return TRUE;
}

/* System properties of the body, in the order in which Microsoft's service client sends them. */
static gboolean
take_system_properties(const EmuRequest *request, GString *bag, GError **error)
{
    static const struct {
        const char *member;
        const char *key;
    } names[] = {
        {"correlationId", "$.cid"},
        {"userId", "$.uid"},
        {"contentType", "$.ct"},
        {"contentEncoding", "$.ce"},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        const char *value = NULL;
        if (!emu_request_text(request, names[i].member, &value, error))
            return FALSE;
        if (value != NULL)
            emu_bag_append(bag, names[i].key, value);
    }
    return TRUE;
}

static gboolean
take_body(const EmuRequest *request, GBytes **ret_body, GError **error)
{
    const char *text = NULL;
    const char *base64 = NULL;

    if (!emu_request_text(request, "body", &text, error) ||
        !emu_request_text(request, "bodyBase64", &base64, error))
        return FALSE;
    if (text != NULL && base64 != NULL) {
        g_set_error(error, EMU_ERROR, EMU_ERROR_ARGUMENT, "Give body or bodyBase64, not both");
        return FALSE;
    }

    if (base64 == NULL) {
        *ret_body = g_bytes_new(text, text != NULL ? strlen(text) : 0);
        return TRUE;
    }
    gsize size = 0;
    g_autofree guchar *bytes = g_base64_decode(base64, &size);
    g_autofree char *again = g_base64_encode(bytes, size);
    if (!g_str_equal(again, base64)) {
        g_set_error(error, EMU_ERROR, EMU_ERROR_ARGUMENT, "bodyBase64 is not base64");
        return FALSE;
    }
    *ret_body = g_bytes_new_take(g_steal_pointer(&bytes), size);
    return TRUE;
}

static gboolean
take_expiry(const EmuRequest *request, gint64 *ret_expiry_usec, GError **error)
{
    gint64 sec = 0;
    const char *text = NULL;

    if (!emu_request_integer(request, "expirySec", 1, EMU_C2D_TTL_MAX_SEC, &sec, error) ||
        !emu_request_text(request, "expiryTimeUtc", &text, error))
        return FALSE;
    if (sec != 0)
        *ret_expiry_usec = emu_hub_now_usec(request->hub) + sec * G_USEC_PER_SEC;
    if (text == NULL)
        return TRUE;

    g_autoptr(GTimeZone) utc = g_time_zone_new_utc();
    g_autoptr(GDateTime) time = g_date_time_new_from_iso8601(text, utc);
    if (time == NULL) {
        g_set_error(error, EMU_ERROR, EMU_ERROR_EXPIRY, "expiryTimeUtc is not ISO 8601: %s", text);
        return FALSE;
    }
    *ret_expiry_usec =
        g_date_time_to_unix(time) * G_USEC_PER_SEC + g_date_time_get_microsecond(time);
    return TRUE;
}

static gboolean
take_ack(const EmuRequest *request, EmuAck *ret_ack, GError **error)
{
    const char *name = NULL;

    if (!emu_request_text(request, "ack", &name, error))
        return FALSE;
    if (name == NULL || emu_ack_from_name(name, ret_ack))
        return TRUE;
    g_set_error(error, EMU_ERROR, EMU_ERROR_ARGUMENT,
                "ack is none, positive, negative or full, not %s", name);
    return FALSE;
}

static gboolean
post_message(const EmuRequest *request, EmuReply *reply, GError **error)
{
    static const char *const members[] = {
        "body",        "bodyBase64",      "properties", "messageId",     "correlationId", "userId",
        "contentType", "contentEncoding", "expirySec",  "expiryTimeUtc", "ack",           NULL};
    g_autoptr(GString) bag = g_string_new(NULL);
    g_autoptr(GBytes) body = NULL;
    g_autofree char *message_id = NULL;
    EmuC2dNew message = {0};

    const EmuIdentity *device = find_device(request, error);
    if (device == NULL || !emu_request_check_members(request, members, error) ||
        !take_system_properties(request, bag, error) || !take_properties(request, bag, error) ||
        !take_body(request, &body, error) || !take_ack(request, &message.ack, error) ||
        !take_expiry(request, &message.expiry_usec, error) ||
        !emu_request_text(request, "messageId", &message.message_id, error))
        return FALSE;

    message.device_id = device->device_id;
    message.generation_id = device->generation_id;
    message.bag = bag->str;
    message.body = g_bytes_get_data(body, &message.body_size);
    guint64 sequence = emu_c2d_send(emu_hub_c2d(request->hub), &message,
                                    emu_hub_now_usec(request->hub), &message_id, error);
    if (sequence == 0)
        return FALSE;

    g_autoptr(JsonBuilder) json = json_builder_new();
    json_builder_begin_object(json);
    emu_json_add_text(json, "messageId", message_id);
    emu_json_add_number(json, "sequence", (gint64)sequence);
    json_builder_end_object(json);
    reply->status = SOUP_STATUS_CREATED;
    reply->node = json_builder_get_root(json);
    return TRUE;
}

static gboolean
get_messages(const EmuRequest *request, EmuReply *reply, GError **error)
{
    if (find_device(request, error) == NULL)
        return FALSE;

    g_autoptr(JsonBuilder) json = json_builder_new();
    g_autoptr(GPtrArray) list = emu_c2d_list(emu_hub_c2d(request->hub), request->names[0]);
    json_builder_begin_array(json);
    for (guint i = 0; i < list->len; i++)
        add_message(json, g_ptr_array_index(list, i));
    json_builder_end_array(json);
    reply->node = json_builder_get_root(json);
    return TRUE;
}

static gboolean
get_message(const EmuRequest *request, EmuReply *reply, GError **error)
{
    g_autoptr(JsonBuilder) json = json_builder_new();
    g_autoptr(EmuC2dMessage) message =
        emu_c2d_find(emu_hub_c2d(request->hub), request->names[0], request->names[1]);

    if (message == NULL) {
        g_set_error(error, EMU_ERROR, EMU_ERROR_NOT_FOUND, "Device %s has no message %s",
                    request->names[0], request->names[1]);
        return FALSE;
    }
    add_message(json, message);
    reply->node = json_builder_get_root(json);
    return TRUE;
}

static gboolean
delete_messages(const EmuRequest *request, EmuReply *reply, GError **error)
{
    if (find_device(request, error) == NULL)
        return FALSE;

    g_autoptr(JsonBuilder) json = json_builder_new();
    json_builder_begin_object(json);
    emu_json_add_number(json, "totalMessagesPurged",
                        emu_c2d_purge(emu_hub_c2d(request->hub), request->names[0],
                                      emu_hub_now_usec(request->hub)));
    json_builder_end_object(json);
    reply->node = json_builder_get_root(json);
    return TRUE;
}

static gboolean
get_feedback(const EmuRequest *request, EmuReply *reply, GError **error)
{
    g_autoptr(JsonBuilder) json = json_builder_new();
    g_autoptr(GPtrArray) list =
        emu_c2d_feedback(emu_hub_c2d(request->hub), emu_hub_now_usec(request->hub));

    json_builder_begin_array(json);
    for (guint i = 0; i < list->len; i++) {
        const EmuFeedback *feedback = g_ptr_array_index(list, i);
        json_builder_begin_object(json);
        emu_json_add_text(json, "originalMessageId", feedback->original_message_id);
        emu_json_add_time(json, "enqueuedTimeUtc", feedback->enqueued_usec);
        emu_json_add_text(json, "statusCode", feedback->status);
        emu_json_add_text(json, "description", feedback->status);
        emu_json_add_text(json, "deviceId", feedback->device_id);
        emu_json_add_text(json, "deviceGenerationId", feedback->generation_id);
        json_builder_end_object(json);
    }
    json_builder_end_array(json);
    reply->node = json_builder_get_root(json);
    return TRUE;
}

const EmuRoute emu_c2d_routes[] = {
    {"POST", "devices/*/messages", post_message},
    {"GET", "devices/*/messages", get_messages},
    {"DELETE", "devices/*/messages", delete_messages},
    {"GET", "devices/*/messages/*", get_message},
    {"GET", "feedback", get_feedback},
    {NULL, NULL, NULL},
};
