/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/transports/amqp/stream.h"

/*
 * One source that reads for as long as the connection lives, and one that waits for room, there
 * only when a write found none.
 */
typedef struct {
    SpokeAmqpStream base;
    GIOStream *stream; /* owned */
    GSource *readable; /* owned; NULL before the start and after the end */
    GSource *writable; /* owned; NULL while writing is not held up */
    guint failure_id;  /* source */
    GError *failure;   /* owned; of a write, to be told */
    gboolean is_over;
} TlsStream;

/* A TLS record holds no more. */
#define READ_BYTES 16384

static void
clear_source(GSource **source)
{
    if (*source == NULL)
        return;
    g_source_destroy(*source);
    g_clear_pointer(source, g_source_unref);
}

static void
end(TlsStream *self, const GError *error)
{
    if (self->is_over)
        return;

    self->is_over = TRUE;
    clear_source(&self->readable);
    clear_source(&self->writable);
    self->base.events->ended(error, self->base.user_data);
}

static gboolean
on_readable(GObject *pollable, gpointer user_data)
{
    TlsStream *self = user_data;
    guint8 buffer[READ_BYTES];
    g_autoptr(GError) error = NULL;
    gssize n = g_pollable_input_stream_read_nonblocking(G_POLLABLE_INPUT_STREAM(pollable), buffer,
                                                        sizeof buffer, NULL, &error);

    if (n > 0)
        self->base.events->arrived(buffer, (gsize)n, self->base.user_data);
    else if (n == 0 || !g_error_matches(error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK))
        end(self, error);
    return self->is_over ? G_SOURCE_REMOVE : G_SOURCE_CONTINUE;
}

static gboolean
on_writable(GObject *pollable, gpointer user_data)
{
    TlsStream *self = user_data;

    g_clear_pointer(&self->writable, g_source_unref);
    self->base.events->writable(self->base.user_data);
    return G_SOURCE_REMOVE;
}

static gboolean
on_failure(gpointer user_data)
{
    TlsStream *self = user_data;

    self->failure_id = 0;
    end(self, self->failure);
    return G_SOURCE_REMOVE;
}

static void
tls_start(SpokeAmqpStream *stream)
{
    TlsStream *self = (TlsStream *)stream;
    GInputStream *input = g_io_stream_get_input_stream(self->stream);

    self->readable = g_pollable_input_stream_create_source(G_POLLABLE_INPUT_STREAM(input), NULL);
    g_source_set_callback(self->readable, G_SOURCE_FUNC(on_readable), self, NULL);
    g_source_attach(self->readable, NULL);
}

static void
wait_for_room(TlsStream *self, GPollableOutputStream *output)
{
    if (self->writable != NULL)
        return;
    self->writable = g_pollable_output_stream_create_source(output, NULL);
    g_source_set_callback(self->writable, G_SOURCE_FUNC(on_writable), self, NULL);
    g_source_attach(self->writable, NULL);
}

static gsize
tls_write(SpokeAmqpStream *stream, const guint8 *data, gsize size)
{
    TlsStream *self = (TlsStream *)stream;
    GPollableOutputStream *output =
        G_POLLABLE_OUTPUT_STREAM(g_io_stream_get_output_stream(self->stream));
    gsize written = 0;

    if (self->is_over || self->failure != NULL)
        return size;

    while (written < size) {
        g_autoptr(GError) error = NULL;
        gssize n = g_pollable_output_stream_write_nonblocking(output, data + written,
                                                              size - written, NULL, &error);

        if (n >= 0) {
            written += (gsize)n;
        } else if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK)) {
            wait_for_room(self, output);
            return written;
        } else {
            self->failure = g_steal_pointer(&error);
            self->failure_id = g_idle_add_full(G_PRIORITY_DEFAULT, on_failure, self, NULL);
            return size;
        }
    }
    return written;
}

static void
on_closed(GObject *source, GAsyncResult *result, gpointer unused)
{
    (void)g_io_stream_close_finish(G_IO_STREAM(source), result, NULL);
}

static void
tls_close(SpokeAmqpStream *stream)
{
    TlsStream *self = (TlsStream *)stream;

    clear_source(&self->readable);
    clear_source(&self->writable);
    g_clear_handle_id(&self->failure_id, g_source_remove);
    g_clear_error(&self->failure);
    g_io_stream_close_async(self->stream, G_PRIORITY_DEFAULT, NULL, on_closed, NULL);
    g_object_unref(self->stream);
    g_free(self);
}

SpokeAmqpStream *
spoke_tls_stream_new(GIOStream *tls)
{
    static const SpokeAmqpStreamOps ops = {
        .start = tls_start,
        .write = tls_write,
        .close = tls_close,
    };
    TlsStream *self = g_new0(TlsStream, 1);

    self->base.ops = &ops;
    self->stream = g_object_ref(tls);
    return &self->base;
}
