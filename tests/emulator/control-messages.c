/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The control API's view of what devices sent. */

#include "control-feed.h"
#include "control-request.h"

#include "hub.h"
#include "telemetry.h"

static const char *
device_of(const EmuRequest *request)
{
    return request->query != NULL ? g_hash_table_lookup(request->query, "device") : NULL;
}

/* The last sequence number before the newest @limit messages. */
static guint64
find_start(EmuTelemetry *telemetry, const char *device_id, guint64 limit)
{
    EmuMessage message;
    guint64 kept = 0;
    guint64 last = 0;

    while (emu_telemetry_next(telemetry, last, device_id, &message)) {
        last = message.sequence;
        kept++;
    }
    last = 0;
    for (guint64 i = limit; i < kept && emu_telemetry_next(telemetry, last, device_id, &message);
         i++)
        last = message.sequence;
    return last;
}

static gboolean
get_messages(const EmuRequest *request, EmuReply *reply, GError **error)
{
    guint64 since = 0;
    guint64 limit = 0;

    if (!emu_request_number(request, "since", 0, &since, error) ||
        !emu_request_number(request, "limit", G_MAXUINT64, &limit, error))
        return FALSE;
    EmuTelemetry *telemetry = emu_hub_telemetry(request->hub);
    if (request->query == NULL || !g_hash_table_contains(request->query, "since"))
        since = find_start(telemetry, device_of(request), limit);
    reply->streaming = TRUE;
    emu_feed_start(telemetry, request->message, EMU_FEED_ARRAY, device_of(request), since, limit);
    return TRUE;
}

static gboolean
get_stream(const EmuRequest *request, EmuReply *reply, GError **error)
{
    guint64 since = 0;

    if (!emu_request_number(request, "since", 0, &since, error))
        return FALSE;
    reply->streaming = TRUE;
    emu_feed_start(emu_hub_telemetry(request->hub), request->message, EMU_FEED_FOLLOW,
                   device_of(request), since, G_MAXUINT64);
    return TRUE;
}

static gboolean
delete_messages(const EmuRequest *request, EmuReply *reply, GError **error)
{
    emu_telemetry_clear(emu_hub_telemetry(request->hub));
    reply->status = SOUP_STATUS_NO_CONTENT;
    return TRUE;
}

const EmuRoute emu_message_routes[] = {
    {"GET", "messages", get_messages},
    {"DELETE", "messages", delete_messages},
    {"GET", "messages/stream", get_stream},
    {NULL, NULL, NULL},
};
