/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gio.h>

typedef struct EmuHub EmuHub;

/* Runs once, from the main loop, when a connection has ended: free the session there. */
typedef void (*EmuSessionEnded)(gpointer session, gpointer user_data);

/* How large the first packet of @data is, which holds whole ones. */
typedef size_t (*EmuPacketSize)(const guint8 *data, size_t size);

/* What a listener has to know of a protocol: how to begin and end one connection. */
typedef struct {
    /* Returns: (transfer full): a session over @stream. TLS is up, both of @stream's streams are
     * pollable; @socket (nullable) lies below it, @peer (nullable) is the client's certificate. */
    gpointer (*open)(EmuHub *hub, GIOStream *stream, GSocket *socket, GTlsCertificate *peer,
                     EmuSessionEnded ended, gpointer user_data);
    /* Closes the connection if it is open; `ended` is not called any more. */
    void (*free)(gpointer session);
    /* In a WebSocket each packet has a frame of its own; NULL: frames are cut anywhere. */
    EmuPacketSize packet_size;
} EmuSessionKind;
