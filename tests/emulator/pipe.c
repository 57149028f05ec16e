/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Work goes in rounds: read until the socket is empty or the buffer is full, let the owner take
 * all of it in place, then write all answers at once. That is what makes small messages cheap.
 *
 * The bounds: a buffer of one packet at most, output of EMU_PIPE_OUTPUT_MAX and what one round
 * adds. A peer that does not read is not read from, so that TCP holds it back. The buffer exists
 * only while something is in it: idle connections cost little. */

#include "pipe.h"

#include "timer.h"

#include <string.h>

#define BUFFER_BYTES   ((size_t)64 * 1024)
#define READ_BYTES_MIN ((size_t)17 * 1024) /* a whole TLS record: TLS keeps nothing back then */

typedef enum {
    FILL_MORE,    /* the buffer is full */
    FILL_BLOCKED, /* the socket is empty */
    FILL_LOST,
} Fill;

/* A farewell under way in a thread; it may outlive the pipe. */
typedef struct {
    EmuPipe *pipe; /* borrowed; NULL once the pipe is gone */
} Goodbye;

struct EmuPipe {
    GIOStream *stream; /* owned */
    GSocket *socket;   /* owned; NULL if there is none */
    size_t packet_max;
    const EmuPipeOps *ops; /* static */
    gpointer self;         /* borrowed */

    GSource *read_source;  /* owned; NULL while not waiting for input */
    GSource *write_source; /* owned; NULL while not waiting to write */
    GSource *kick;         /* owned: starts a round from the main loop */
    guint8 *buffer;        /* owned; NULL while empty */
    size_t size;           /* of buffer */
    size_t filled;
    GByteArray *output; /* owned */
    size_t written;     /* of output */
    gboolean paused;
    gboolean running; /* a round is on the stack */
    gboolean was_full;
    gboolean finishing;
    Goodbye *goodbye; /* owned by its callback; NULL while none is under way */
    gboolean closed;
};

static gboolean on_readable(GObject *stream, gpointer user_data);
static gboolean on_writable(GObject *stream, gpointer user_data);

static GPollableInputStream *
input_of(EmuPipe *pipe)
{
    return G_POLLABLE_INPUT_STREAM(g_io_stream_get_input_stream(pipe->stream));
}

static GPollableOutputStream *
output_of(EmuPipe *pipe)
{
    return G_POLLABLE_OUTPUT_STREAM(g_io_stream_get_output_stream(pipe->stream));
}

/* What to wait on for input. Under TLS it is the stream below: TLS keeps nothing back that we have
 * not read, and its own source wakes the main loop for each read. */
static GPollableInputStream *
awaited_input_of(EmuPipe *pipe)
{
    if (!G_IS_TLS_CONNECTION(pipe->stream))
        return input_of(pipe);

    g_autoptr(GIOStream) base = NULL;
    g_object_get(pipe->stream, "base-io-stream", &base, NULL);
    return G_POLLABLE_INPUT_STREAM(g_io_stream_get_input_stream(base));
}

static void
lose(EmuPipe *pipe, const char *reason)
{
    if (pipe->closed)
        return;
    emu_pipe_close(pipe);
    pipe->ops->lost(pipe->self, reason);
}

static void
await_input(EmuPipe *pipe)
{
    if (pipe->read_source != NULL)
        return;
    pipe->read_source = g_pollable_input_stream_create_source(awaited_input_of(pipe), NULL);
    g_source_set_callback(pipe->read_source, (GSourceFunc)(void *)on_readable, pipe, NULL);
    /* Nothing recurses here, but GLib blocks other sources while they run, and for a socket that
     * costs half a dozen writes to its own wake-up descriptor each time. */
    g_source_set_can_recurse(pipe->read_source, TRUE);
    g_source_attach(pipe->read_source, NULL);
}

static void
await_room(EmuPipe *pipe)
{
    if (pipe->write_source != NULL)
        return;
    pipe->write_source = g_pollable_output_stream_create_source(output_of(pipe), NULL);
    g_source_set_callback(pipe->write_source, (GSourceFunc)(void *)on_writable, pipe, NULL);
    g_source_attach(pipe->write_source, NULL);
}

/* Writes until the output is empty or the socket full. FALSE: the peer is gone. */
static gboolean
write_output(EmuPipe *pipe)
{
    while (pipe->written < pipe->output->len) {
        g_autoptr(GError) error = NULL;
        gssize n = g_pollable_output_stream_write_nonblocking(
            output_of(pipe), pipe->output->data + pipe->written, pipe->output->len - pipe->written,
            NULL, &error);
        if (n < 0) {
            if (!g_error_matches(error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK))
                return FALSE;
            await_room(pipe);
            return TRUE;
        }
        pipe->written += (size_t)n;
    }

    pipe->written = 0;
    g_byte_array_set_size(pipe->output, 0);
    emu_source_clear(&pipe->write_source);
    return TRUE;
}

static void
on_stream_closed(GObject *stream, GAsyncResult *result, gpointer user_data)
{
    g_autofree Goodbye *goodbye = user_data;

    (void)g_io_stream_close_finish(G_IO_STREAM(stream), result, NULL);
    if (goodbye->pipe == NULL)
        return;
    goodbye->pipe->goodbye = NULL;
    lose(goodbye->pipe, "finished");
}

/* Everything is written: takes leave, which may take a moment, in a thread of GIO's. */
static void
say_goodbye(EmuPipe *pipe)
{
    if (pipe->goodbye != NULL)
        return;

    emu_source_clear(&pipe->read_source);
    emu_source_clear(&pipe->write_source);
    pipe->goodbye = g_new0(Goodbye, 1);
    pipe->goodbye->pipe = pipe;
    g_io_stream_close_async(pipe->stream, G_PRIORITY_DEFAULT, NULL, on_stream_closed,
                            pipe->goodbye);
}

static void
flush(EmuPipe *pipe)
{
    if (!write_output(pipe)) {
        lose(pipe, "connection-lost: writing failed");
        return;
    }
    if (pipe->finishing && pipe->output->len == 0)
        say_goodbye(pipe);
    pipe->was_full = emu_pipe_is_full(pipe);
}

/* Room for a whole TLS record behind what is there. */
static void
make_room(EmuPipe *pipe)
{
    size_t wanted = MAX(BUFFER_BYTES, pipe->filled + READ_BYTES_MIN);

    if (pipe->buffer != NULL && pipe->size - pipe->filled >= READ_BYTES_MIN)
        return;
    if (pipe->filled > BUFFER_BYTES / 2)
        wanted = MAX(wanted, 2 * pipe->filled);
    pipe->size = MIN(wanted, pipe->packet_max + BUFFER_BYTES);
    pipe->buffer = g_realloc(pipe->buffer, pipe->size);
}

static Fill
fill(EmuPipe *pipe)
{
    make_room(pipe);
    while (pipe->size - pipe->filled >= READ_BYTES_MIN) {
        g_autoptr(GError) error = NULL;
        gssize n = g_pollable_input_stream_read_nonblocking(
            input_of(pipe), pipe->buffer + pipe->filled, pipe->size - pipe->filled, NULL, &error);
        if (n < 0 && g_error_matches(error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK))
            return FILL_BLOCKED;
        if (n <= 0)
            return FILL_LOST;
        pipe->filled += (size_t)n;
    }
    return FILL_MORE;
}

/* Lets the owner take what is there; keeps the rest. */
static void
drain(EmuPipe *pipe)
{
    if (pipe->filled == 0 || pipe->paused)
        return;

    size_t taken = pipe->ops->take(pipe->self, pipe->buffer, pipe->filled);
    if (pipe->closed)
        return;
    pipe->filled -= taken;
    if (pipe->filled > 0 && taken > 0)
        memmove(pipe->buffer, pipe->buffer + taken, pipe->filled);
}

static void
release_buffer(EmuPipe *pipe)
{
    if (pipe->filled > 0)
        return;
    g_clear_pointer(&pipe->buffer, g_free);
    pipe->size = 0;
}

static gboolean
may_read(EmuPipe *pipe)
{
    return !pipe->closed && !pipe->finishing && !pipe->paused && !emu_pipe_is_full(pipe);
}

static void
run(EmuPipe *pipe)
{
    Fill outcome = FILL_BLOCKED;

    pipe->running = TRUE;
    drain(pipe);
    if (may_read(pipe)) {
        outcome = fill(pipe);
        drain(pipe);
    }
    if (!pipe->closed)
        pipe->ops->round(pipe->self);
    pipe->running = FALSE;
    if (pipe->closed)
        return;

    release_buffer(pipe);
    flush(pipe);
    if (outcome == FILL_LOST)
        lose(pipe, "connection-lost");
    else if (may_read(pipe))
        await_input(pipe);
    else
        emu_source_clear(&pipe->read_source);
}

static gboolean
on_readable(GObject *stream, gpointer user_data)
{
    run(user_data);
    return G_SOURCE_CONTINUE;
}

static gboolean
on_kick(gpointer user_data)
{
    EmuPipe *pipe = user_data;

    if (may_read(pipe))
        run(pipe);
    return G_SOURCE_CONTINUE;
}

static gboolean
on_writable(GObject *stream, gpointer user_data)
{
    EmuPipe *pipe = user_data;
    gboolean was_full = pipe->was_full;

    flush(pipe);
    if (pipe->closed || pipe->finishing || !was_full || emu_pipe_is_full(pipe))
        return G_SOURCE_CONTINUE;
    pipe->ops->room(pipe->self);
    if (!pipe->closed)
        g_source_set_ready_time(pipe->kick, 0);
    return G_SOURCE_CONTINUE;
}

EmuPipe *
emu_pipe_new(GIOStream *stream, GSocket *socket, size_t packet_max, const EmuPipeOps *ops,
             gpointer self)
{
    EmuPipe *pipe = g_new0(EmuPipe, 1);

    pipe->stream = g_object_ref(stream);
    g_set_object(&pipe->socket, socket);
    pipe->packet_max = packet_max;
    pipe->ops = ops;
    pipe->self = self;
    pipe->output = g_byte_array_new();
    pipe->kick = emu_timer_new(on_kick, pipe);
    pipe->paused = TRUE;
    return pipe;
}

void
emu_pipe_free(EmuPipe *pipe)
{
    if (pipe == NULL)
        return;

    emu_pipe_close(pipe);
    if (pipe->goodbye != NULL)
        pipe->goodbye->pipe = NULL;
    g_free(pipe->buffer);
    g_byte_array_unref(pipe->output);
    g_clear_object(&pipe->socket);
    g_object_unref(pipe->stream);
    g_free(pipe);
}

GByteArray *
emu_pipe_output(EmuPipe *pipe)
{
    return pipe->output;
}

gboolean
emu_pipe_is_full(EmuPipe *pipe)
{
    return pipe->output->len - pipe->written >= EMU_PIPE_OUTPUT_MAX;
}

void
emu_pipe_flush(EmuPipe *pipe)
{
    if (!pipe->running && !pipe->closed)
        flush(pipe);
}

void
emu_pipe_pause(EmuPipe *pipe)
{
    pipe->paused = TRUE;
    if (!pipe->running)
        emu_source_clear(&pipe->read_source);
}

void
emu_pipe_resume(EmuPipe *pipe)
{
    if (!pipe->paused || pipe->closed)
        return;
    pipe->paused = FALSE;
    g_source_set_ready_time(pipe->kick, 0);
}

void
emu_pipe_finish(EmuPipe *pipe)
{
    pipe->finishing = TRUE;
    emu_pipe_flush(pipe);
}

void
emu_pipe_close(EmuPipe *pipe)
{
    if (!pipe->closed && !pipe->finishing)
        (void)write_output(pipe);
    emu_pipe_abort(pipe);
}

void
emu_pipe_abort(EmuPipe *pipe)
{
    if (pipe->closed)
        return;

    pipe->closed = TRUE;
    emu_source_clear(&pipe->read_source);
    emu_source_clear(&pipe->write_source);
    emu_source_clear(&pipe->kick);
    /* A thread that is taking leave closes by itself: shutting down hurries it up. */
    if (pipe->goodbye != NULL)
        (void)(pipe->socket != NULL && g_socket_shutdown(pipe->socket, TRUE, TRUE, NULL));
    else if (pipe->socket != NULL)
        (void)g_socket_close(pipe->socket, NULL);
    else
        g_io_stream_close_async(pipe->stream, G_PRIORITY_DEFAULT, NULL, NULL, NULL);
}
