/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clients/spokectl/json.h"

JsonBuilder *
spoke_json_begin(void)
{
    return json_builder_begin_object(json_builder_new());
}

char *
spoke_json_end(JsonBuilder *builder)
{
    g_autoptr(JsonBuilder) owned = json_builder_end_object(builder);
    g_autoptr(JsonNode) root = json_builder_get_root(owned);

    return json_to_string(root, FALSE);
}

/* JSON is UTF-8; strings from the bus are, those from the command line need not be. */
void
spoke_json_add_string(JsonBuilder *builder, const char *name, const char *value)
{
    if (value == NULL)
        return;

    g_autofree char *valid = g_utf8_make_valid(value, -1);
    json_builder_set_member_name(builder, name);
    json_builder_add_string_value(builder, valid);
}

void
spoke_json_add_number(JsonBuilder *builder, const char *name, guint64 value)
{
    json_builder_set_member_name(builder, name);
    if (value <= G_MAXINT64)
        json_builder_add_int_value(builder, (gint64)value);
    else
        json_builder_add_double_value(builder, (double)value);
}

void
spoke_json_add_boolean(JsonBuilder *builder, const char *name, gboolean value)
{
    json_builder_set_member_name(builder, name);
    json_builder_add_boolean_value(builder, value);
}

void
spoke_json_add_time(JsonBuilder *builder, const char *name, guint64 usec)
{
    if (usec == 0)
        return;

    g_autoptr(GDateTime) seconds = g_date_time_new_from_unix_utc((gint64)(usec / G_USEC_PER_SEC));
    if (seconds == NULL)
        return; /* beyond the year 9999 */
    g_autoptr(GDateTime) time = g_date_time_add(seconds, (GTimeSpan)(usec % G_USEC_PER_SEC));
    g_autofree char *text = g_date_time_format_iso8601(time);
    spoke_json_add_string(builder, name, text);
}

static void
add_properties(JsonBuilder *builder, const SpokeProperty *properties, gsize n)
{
    for (gsize i = 0; i < n; i++)
        spoke_json_add_string(builder, properties[i].name, properties[i].value);
}

static void
add_body(JsonBuilder *builder, const void *body, gsize size)
{
    if (g_utf8_validate_len(body, size, NULL)) {
        spoke_json_add_string(builder, "body", body);
        return;
    }

    g_autofree char *base64 = g_base64_encode(body, size);
    spoke_json_add_string(builder, "bodyBase64", base64);
}

char *
spoke_json_properties(const SpokeProperty *properties, gsize n)
{
    JsonBuilder *builder = spoke_json_begin();

    add_properties(builder, properties, n);
    return spoke_json_end(builder);
}

char *
spoke_json_incoming(const SpokeIncoming *message)
{
    JsonBuilder *builder = spoke_json_begin();

    spoke_json_add_string(builder, "id", message->id);
    spoke_json_add_string(builder, "messageId", message->message_id);
    spoke_json_add_string(builder, "correlationId", message->correlation_id);
    spoke_json_add_string(builder, "userId", message->user_id);
    spoke_json_add_string(builder, "to", message->to);
    spoke_json_add_string(builder, "contentType", message->content_type);
    spoke_json_add_string(builder, "contentEncoding", message->content_encoding);
    spoke_json_add_string(builder, "ack", message->ack);
    spoke_json_add_string(builder, "deadLetter", message->dead_letter);
    spoke_json_add_time(builder, "creationTime", message->creation_time_usec);
    spoke_json_add_time(builder, "expiry", message->expiry_usec);
    spoke_json_add_time(builder, "receivedTime", message->received_time_usec);
    if (message->delivery_count != 0)
        spoke_json_add_number(builder, "deliveryCount", message->delivery_count);
    if (message->lock_msec != 0)
        spoke_json_add_number(builder, "lockMsec", message->lock_msec);

    json_builder_set_member_name(builder, "properties");
    json_builder_begin_object(builder);
    add_properties(builder, message->properties, message->n_properties);
    json_builder_end_object(builder);
    add_body(builder, message->body, message->body_size);
    return spoke_json_end(builder);
}

static void
add_last_error(JsonBuilder *builder, const SpokeStatus *status)
{
    if (status->last_error_name[0] == '\0')
        return;

    json_builder_set_member_name(builder, "lastError");
    json_builder_begin_object(builder);
    spoke_json_add_string(builder, "name", status->last_error_name);
    spoke_json_add_string(builder, "text", status->last_error_text);
    json_builder_end_object(builder);
}

static void
add_capabilities(JsonBuilder *builder, const SpokeStatus *status)
{
    json_builder_set_member_name(builder, "capabilities");
    json_builder_begin_array(builder);
    for (const char *const *name = status->capabilities; *name != NULL; name++)
        json_builder_add_string_value(builder, *name);
    json_builder_end_array(builder);
}

char *
spoke_json_status(const SpokeStatus *status)
{
    JsonBuilder *builder = spoke_json_begin();

    spoke_json_add_string(builder, "name", status->name);
    spoke_json_add_string(builder, "deviceId", status->device_id);
    spoke_json_add_string(builder, "moduleId", status->module_id);
    spoke_json_add_string(builder, "hub", status->hub);
    spoke_json_add_string(builder, "state", status->state);
    spoke_json_add_string(builder, "transport", status->transport);
    add_capabilities(builder, status);
    add_last_error(builder, status);
    spoke_json_add_time(builder, "connectedSince", status->connected_since_usec);
    spoke_json_add_time(builder, "nextAttempt", status->next_attempt_usec);
    spoke_json_add_time(builder, "tokenExpiry", status->token_expiry_usec);
    spoke_json_add_time(builder, "certificateExpiry", status->certificate_expiry_usec);
    spoke_json_add_boolean(builder, "receivePaused", status->receive_paused);
    spoke_json_add_number(builder, "queuedMessages", status->queued_messages);
    spoke_json_add_number(builder, "queuedBytes", status->queued_bytes);
    spoke_json_add_number(builder, "queueBytesMax", status->queue_bytes_max);
    spoke_json_add_number(builder, "inFlightMessages", status->in_flight_messages);
    spoke_json_add_number(builder, "waitingMessages", status->waiting_messages);
    spoke_json_add_number(builder, "deadLetters", status->dead_letters);
    spoke_json_add_number(builder, "sentMessages", status->sent_messages);
    spoke_json_add_number(builder, "receivedMessages", status->received_messages);
    return spoke_json_end(builder);
}

char *
spoke_json_failure(const SpokeFailure *failure, const char *advice)
{
    JsonBuilder *builder = spoke_json_begin();

    spoke_json_add_string(builder, "error", failure->name);
    spoke_json_add_string(builder, "text", failure->text);
    spoke_json_add_string(builder, "advice", advice);
    return spoke_json_end(builder);
}
