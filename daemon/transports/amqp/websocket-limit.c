/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/transports/amqp/websocket-limit.h"

#define FINAL       0x80
#define CONTROL     0x08 /* of an opcode */
#define LENGTH      0x7f
#define LENGTH_OF_2 126
#define LENGTH_OF_8 127

/* Without a mask: a server has none, and libsoup refuses one. */
static guint
get_head_size(const SpokeWebsocketLimit *limit)
{
    guint length = limit->head_size < 2 ? 0 : limit->head[1] & LENGTH;

    return length == LENGTH_OF_8 ? 10 : length == LENGTH_OF_2 ? 4 : 2;
}

static guint64
get_length(const SpokeWebsocketLimit *limit)
{
    guint size = limit->head_size;
    guint64 length = 0;

    if (size == 2)
        return limit->head[1] & LENGTH;
    for (guint i = 2; i < size; i++)
        length = length << 8 | limit->head[i];
    return length;
}

static const char *
count_empty(SpokeWebsocketLimit *limit, gint64 now_usec)
{
    gint64 pause_usec = G_USEC_PER_SEC / SPOKE_WEBSOCKET_EMPTY_PER_SEC;
    gint64 n_forgiven = (now_usec - limit->forgiven_usec) / pause_usec;

    limit->forgiven_usec += n_forgiven * pause_usec;
    limit->n_empty -= (guint)CLAMP(n_forgiven, 0, (gint64)limit->n_empty);
    if (++limit->n_empty > SPOKE_WEBSOCKET_EMPTY_BURST)
        return "The server floods the WebSocket with frames without content";
    return NULL;
}

static const char *
start_frame(SpokeWebsocketLimit *limit, gint64 now_usec)
{
    guint8 first = limit->head[0];
    guint64 length = get_length(limit);

    limit->head_size = 0;
    limit->left = length;
    if ((first & CONTROL) != 0)
        return count_empty(limit, now_usec);

    if (length > SPOKE_WEBSOCKET_MESSAGE_BYTES_MAX ||
        limit->message_bytes + length > SPOKE_WEBSOCKET_MESSAGE_BYTES_MAX)
        return "The server sent a WebSocket message that is larger than any may be";
    limit->message_bytes = (first & FINAL) != 0 ? 0 : limit->message_bytes + length;
    return length == 0 ? count_empty(limit, now_usec) : NULL;
}

const char *
spoke_websocket_limit_take(SpokeWebsocketLimit *limit, const guint8 *data, gsize size,
                           gint64 now_usec)
{
    const char *fault = NULL;

    for (gsize i = 0; i < size && fault == NULL;) {
        if (limit->left > 0) {
            gsize n = (gsize)MIN(limit->left, size - i);

            limit->left -= n;
            i += n;
            continue;
        }
        limit->head[limit->head_size++] = data[i++];
        if (limit->head_size == get_head_size(limit))
            fault = start_frame(limit, now_usec);
    }
    return fault;
}
