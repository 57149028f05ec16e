/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* One response that carries arrived messages. It holds no message itself, only its place in the
 * ring, and asks for more when the last piece is written: a slow reader costs no memory. */

#include "control-feed.h"

#include "json-text.h"
#include "telemetry.h"

#include <sys/socket.h>

#define PIECE_BYTES    ((gsize)64 * 1024)
#define PIECE_MESSAGES 500

typedef struct {
    EmuTelemetry *telemetry;    /* borrowed, outlives us */
    SoupServerMessage *message; /* owned */
    EmuFeedMode mode;
    char *device_id; /* owned; NULL for all */
    guint64 last;    /* sequence number of the last message written or passed over */
    guint64 left;    /* EMU_FEED_ARRAY: messages still wanted */
    gboolean started;
    gboolean waiting; /* EMU_FEED_FOLLOW: paused until something arrives */
    guint watch;      /* 0 unless following */
    GSource *hangup;  /* owned; NULL unless following */
} Feed;

static void
feed_free(Feed *feed)
{
    if (feed->watch != 0)
        emu_telemetry_unwatch(feed->telemetry, feed->watch);
    if (feed->hangup != NULL) {
        g_source_destroy(feed->hangup);
        g_source_unref(feed->hangup);
    }
    g_signal_handlers_disconnect_by_data(feed->message, feed);
    g_object_unref(feed->message);
    g_free(feed->device_id);
    g_free(feed);
}

/* Tells a follower how many messages left the ring before they could be shown. */
static void
append_missed(Feed *feed, GString *piece, guint64 next)
{
    guint64 first = emu_telemetry_first(feed->telemetry);

    if (feed->mode == EMU_FEED_FOLLOW && feed->started && first > feed->last + 1)
        g_string_append_printf(piece, "{\"missed\":%" G_GUINT64_FORMAT "}\n",
                               MIN(first, next) - feed->last - 1);
}

static void
append_one(Feed *feed, GString *piece, const EmuMessage *message)
{
    append_missed(feed, piece, message->sequence);
    if (feed->mode == EMU_FEED_ARRAY)
        g_string_append_c(piece, feed->started ? ',' : '[');
    emu_json_append_message(piece, message);
    if (feed->mode == EMU_FEED_FOLLOW)
        g_string_append_c(piece, '\n');
    feed->started = TRUE;
    feed->last = message->sequence;
    feed->left--;
}

/* Appends the next piece. FALSE when there is no message left for now. */
static gboolean
append_piece(Feed *feed, GString *piece)
{
    EmuMessage message;

    for (guint n = 0; piece->len < PIECE_BYTES && n < PIECE_MESSAGES; n++) {
        if (feed->left == 0 ||
            !emu_telemetry_next(feed->telemetry, feed->last, feed->device_id, &message))
            return FALSE;
        append_one(feed, piece, &message);
    }
    return TRUE;
}

static void
send_piece(Feed *feed)
{
    SoupMessageBody *body = soup_server_message_get_response_body(feed->message);
    GString *piece = g_string_new(NULL);
    gboolean more = append_piece(feed, piece);

    if (!more && feed->mode == EMU_FEED_ARRAY)
        g_string_append(piece, feed->started ? "]\n" : "[]\n");
    if (piece->len > 0) {
        g_autoptr(GBytes) bytes = g_string_free_to_bytes(piece);
        soup_message_body_append_bytes(body, bytes);
    } else {
        g_string_free(piece, TRUE);
        feed->waiting = TRUE; /* following what is still to come: no chunk will be written */
    }

    if (!more && feed->mode == EMU_FEED_ARRAY) {
        g_signal_handlers_disconnect_by_data(feed->message, feed);
        soup_message_body_complete(body);
        feed_free(feed);
    }
}

/* The last piece is written: the next, or wait for it. */
static void
on_wrote_chunk(SoupServerMessage *message, gpointer user_data)
{
    Feed *feed = user_data;
    EmuMessage next;

    if (feed->mode == EMU_FEED_FOLLOW &&
        !emu_telemetry_next(feed->telemetry, feed->last, feed->device_id, &next)) {
        feed->last = MAX(feed->last, emu_telemetry_last(feed->telemetry));
        feed->waiting = TRUE;
        soup_server_message_pause(message);
        return;
    }
    send_piece(feed);
}

static void
on_arrival(gpointer user_data)
{
    Feed *feed = user_data;
    EmuMessage next;

    if (!feed->waiting || !emu_telemetry_next(feed->telemetry, feed->last, feed->device_id, &next))
        return;
    feed->waiting = FALSE;
    send_piece(feed);
    soup_server_message_unpause(feed->message);
}

static void
on_finished(SoupServerMessage *message, gpointer user_data)
{
    feed_free(user_data);
}

/* A follower that waits would not notice that its client has left: nothing is written. */
static gboolean
on_hangup(GSocket *socket, GIOCondition condition, gpointer user_data)
{
    char byte = 0;

    if (recv(g_socket_get_fd(socket), &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0)
        (void)g_socket_close(socket, NULL);
    else if (condition == G_IO_IN)
        return G_SOURCE_REMOVE; /* another request: it can wait, and so it is alive */

    soup_server_message_unpause(((Feed *)user_data)->message);
    return G_SOURCE_REMOVE;
}

static void
watch_for_hangup(Feed *feed)
{
    GSocket *socket = soup_server_message_get_socket(feed->message);

    feed->hangup = g_socket_create_source(socket, G_IO_IN | G_IO_HUP, NULL);
    g_source_set_callback(feed->hangup, (GSourceFunc)(void *)on_hangup, feed, NULL);
    g_source_attach(feed->hangup, NULL);
}

void
emu_feed_start(EmuTelemetry *telemetry, SoupServerMessage *message, EmuFeedMode mode,
               const char *device_id, guint64 since, guint64 limit)
{
    Feed *feed = g_new0(Feed, 1);
    SoupMessageHeaders *headers = soup_server_message_get_response_headers(message);

    feed->telemetry = telemetry;
    feed->message = g_object_ref(message);
    feed->mode = mode;
    feed->device_id = g_strdup(device_id);
    feed->last = since;
    feed->left = limit;
    soup_server_message_set_status(message, SOUP_STATUS_OK, NULL);
    soup_message_headers_set_encoding(headers, SOUP_ENCODING_CHUNKED);
    soup_message_headers_set_content_type(
        headers, mode == EMU_FEED_ARRAY ? "application/json" : "application/x-ndjson", NULL);
    soup_message_body_set_accumulate(soup_server_message_get_response_body(message), FALSE);
    g_signal_connect(message, "wrote-chunk", G_CALLBACK(on_wrote_chunk), feed);
    g_signal_connect(message, "finished", G_CALLBACK(on_finished), feed);
    if (mode == EMU_FEED_FOLLOW) {
        feed->watch = emu_telemetry_watch(telemetry, on_arrival, feed);
        watch_for_hangup(feed);
    }
    send_piece(feed);
}
