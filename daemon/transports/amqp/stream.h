/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gio.h>

/*
 * Bytes both ways: TLS itself, or a WebSocket in it. Events come from the main loop, never within
 * a call; while one is under way the stream must not be closed.
 */
typedef struct SpokeAmqpStream SpokeAmqpStream;

typedef struct {
    void (*arrived)(const guint8 *data, gsize size, gpointer user_data);
    void (*writable)(gpointer user_data);
    /* Once, and the last. @error: NULL when the peer closed it in order */
    void (*ended)(const GError *error, gpointer user_data);
} SpokeAmqpStreamEvents;

typedef struct {
    void (*start)(SpokeAmqpStream *self); /* events may come from now on */
    /* Returns: how many bytes it took; when not all, writable() follows */
    gsize (*write)(SpokeAmqpStream *self, const guint8 *data, gsize size);
    /* Says goodbye in the background, tells nothing more, and frees itself. */
    void (*close)(SpokeAmqpStream *self);
} SpokeAmqpStreamOps;

struct SpokeAmqpStream {
    const SpokeAmqpStreamOps *ops;
    const SpokeAmqpStreamEvents *events; /* borrowed; set before start() */
    gpointer user_data;
};

/* @tls: pollable both ways; a share is taken */
SpokeAmqpStream *spoke_tls_stream_new(GIOStream *tls);
