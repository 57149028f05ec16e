/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* SDKs take the body apart at the first colon and semicolon of its Message. */

#include "https-answer.h"

#include "error.h"

#include <json-glib/json-glib.h>
#include <string.h>

/* What the hub calls its errors here. A disabled device looks as if it were not there.
 * Source: protocol page, 4.5, 7.3 and 7.5. */
static const struct {
    EmuErrorCode code;
    SoupStatus status;
    const char *name;
} names[] = {
    {EMU_ERROR_ARGUMENT, SOUP_STATUS_BAD_REQUEST, "ArgumentInvalid"},
    {EMU_ERROR_UNAUTHORIZED, SOUP_STATUS_UNAUTHORIZED, "IotHubUnauthorizedAccess"},
    {EMU_ERROR_TOKEN, SOUP_STATUS_UNAUTHORIZED, "IotHubUnauthorizedAccess"},
    {EMU_ERROR_QUOTA, SOUP_STATUS_FORBIDDEN, "IotHubQuotaExceeded"},
    {EMU_ERROR_DISABLED, SOUP_STATUS_NOT_FOUND, "DeviceNotFound"},
    {EMU_ERROR_NOT_FOUND, SOUP_STATUS_NOT_FOUND, "DeviceNotFound"},
    {EMU_ERROR_METHOD, SOUP_STATUS_METHOD_NOT_ALLOWED, "MethodNotAllowed"},
    {EMU_ERROR_LOCK_LOST, SOUP_STATUS_PRECONDITION_FAILED, "DeviceMessageLockLost"},
    {EMU_ERROR_TOO_LARGE, SOUP_STATUS_REQUEST_ENTITY_TOO_LARGE, "MessageTooLarge"},
    {EMU_ERROR_THROTTLED, 429, "ThrottlingException"},
    {EMU_ERROR_UNAVAILABLE, SOUP_STATUS_SERVICE_UNAVAILABLE, "ServiceUnavailable"},
    {EMU_ERROR_SERVER, SOUP_STATUS_INTERNAL_SERVER_ERROR, "ServerError"},
};

static size_t
row_of(const GError *error)
{
    size_t row = G_N_ELEMENTS(names) - 1;

    for (size_t i = 0; error->domain == EMU_ERROR && i < G_N_ELEMENTS(names); i++) {
        if ((int)names[i].code == error->code)
            return i;
    }
    return row;
}

static char *
body_of(const char *name, const char *text, const char *tracking_id, gint64 now_usec)
{
    g_autoptr(JsonBuilder) json = json_builder_new();
    g_autoptr(GDateTime) now = g_date_time_new_from_unix_utc(now_usec / G_USEC_PER_SEC);
    g_autofree char *time = g_date_time_format(now, "%m/%d/%Y %H:%M:%S");
    g_autofree char *message = g_strdup_printf("ErrorCode:%s;%s", name, text);
    g_autofree char *details =
        g_strdup_printf("Tracking ID:%s-G:0-TimeStamp:%s", tracking_id, time);

    json_builder_begin_object(json);
    json_builder_set_member_name(json, "Message");
    json_builder_add_string_value(json, message);
    json_builder_set_member_name(json, "ExceptionMessage");
    json_builder_add_string_value(json, details);
    json_builder_end_object(json);
    g_autoptr(JsonNode) node = json_builder_get_root(json);
    return json_to_string(node, FALSE);
}

void
emu_https_answer_error(SoupServerMessage *message, const GError *error, gint64 now_usec)
{
    SoupMessageHeaders *headers = soup_server_message_get_response_headers(message);
    size_t row = row_of(error);
    g_autofree char *tracking_id = g_strdup_printf("%08x%08x", g_random_int(), g_random_int());
    g_autofree char *text = body_of(names[row].name, error->message, tracking_id, now_usec);

    soup_server_message_set_status(message, names[row].status,
                                   names[row].status == 429 ? "Too Many Requests" : NULL);
    soup_message_headers_replace(headers, "iothub-errorcode", names[row].name);
    soup_message_headers_replace(headers, "x-ms-request-id", tracking_id);
    if (names[row].code == EMU_ERROR_THROTTLED)
        soup_message_headers_replace(headers, "Retry-After",
                                     G_STRINGIFY(EMU_HTTPS_RETRY_AFTER_SEC));
    soup_server_message_set_response(message, "application/json; charset=utf-8", SOUP_MEMORY_COPY,
                                     text, strlen(text));
}

void
emu_https_answer_date(SoupServerMessage *message, gint64 now_usec)
{
    g_autoptr(GDateTime) now = g_date_time_new_from_unix_utc(now_usec / G_USEC_PER_SEC);
    g_autofree char *text = soup_date_time_to_string(now, SOUP_DATE_HTTP);

    soup_message_headers_replace(soup_server_message_get_response_headers(message), "Date", text);
}
