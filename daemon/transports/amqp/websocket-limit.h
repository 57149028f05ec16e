/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/*
 * What a server may make us hold and answer: a look at the frames of its WebSocket as they pass,
 * before libsoup gathers them. Source of the layout: RFC 6455, section 5.2. No I/O.
 */

/* A message holds frames of AMQP, of which none is over 64 KiB; four and one that is cut. */
#define SPOKE_WEBSOCKET_MESSAGE_BYTES_MAX (320 * 1024)

/* Frames without content, such as pings, each of which is answered: so many at once, and so many a
 * second later on. */
#define SPOKE_WEBSOCKET_EMPTY_BURST   1000
#define SPOKE_WEBSOCKET_EMPTY_PER_SEC 10

/* All zero at the start of a connection. */
typedef struct {
    guint8 head[10]; /* of the frame; as much of it as came */
    guint head_size;
    guint64 left;          /* bytes of the frame to come */
    guint64 message_bytes; /* of its frames up to now */
    guint n_empty;         /* not forgiven yet */
    gint64 forgiven_usec;  /* up to when */
} SpokeWebsocketLimit;

/* @data: as it comes from the server, after the upgrade. Returns: (nullable): what is wrong with
 * it, static; the connection is to be given up then */
const char *spoke_websocket_limit_take(SpokeWebsocketLimit *limit, const guint8 *data, gsize size,
                                       gint64 now_usec);
