/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Two GObjects, because GIO wants a pair of streams to have a GInputStream of its own: the input,
 * which is all the work, and the pair around it. The buffer exists only while something is in
 * it, so that an idle connection costs nothing. The TLS handshake reads from a thread of GIO's,
 * blocking; it ends before the main loop touches the stream, so nothing here is locked. */

#include "read-ahead.h"

#include <string.h>

#define BUFFER_BYTES (32 * 1024)

#define EMU_TYPE_READ_AHEAD_INPUT (emu_read_ahead_input_get_type())
G_DECLARE_FINAL_TYPE(EmuReadAheadInput, emu_read_ahead_input, EMU, READ_AHEAD_INPUT, GInputStream)

struct _EmuReadAheadInput {
    GInputStream parent;
    GPollableInputStream *base; /* owned */
    GSocket *socket;            /* owned; what base reads from */
    guint8 *buffer;             /* owned; NULL while empty */
    gsize start;                /* first byte not handed out */
    gsize end;
};

struct _EmuReadAhead {
    GIOStream parent;
    GIOStream *base;          /* owned */
    EmuReadAheadInput *input; /* owned */
};

typedef struct {
    GSource source;
    EmuReadAheadInput *input; /* owned */
} InputSource;

static void pollable_init(GPollableInputStreamInterface *interface);

G_DEFINE_FINAL_TYPE_WITH_CODE(EmuReadAheadInput, emu_read_ahead_input, G_TYPE_INPUT_STREAM,
                              G_IMPLEMENT_INTERFACE(G_TYPE_POLLABLE_INPUT_STREAM, pollable_init))
G_DEFINE_FINAL_TYPE(EmuReadAhead, emu_read_ahead, G_TYPE_IO_STREAM)

/* Hands out what is in the buffer; frees it when that was the last. */
static gssize
take(EmuReadAheadInput *self, void *data, gsize size)
{
    gsize n = MIN(size, self->end - self->start);

    memcpy(data, self->buffer + self->start, n);
    self->start += n;
    if (self->start == self->end) {
        g_clear_pointer(&self->buffer, g_free);
        self->start = self->end = 0;
    }
    return (gssize)n;
}

/* Takes note of the outcome of a read into the buffer and hands out from it. */
static gssize
filled(EmuReadAheadInput *self, gssize n, void *data, gsize size)
{
    if (n <= 0) {
        g_clear_pointer(&self->buffer, g_free);
        return n;
    }
    self->start = 0;
    self->end = (gsize)n;
    return take(self, data, size);
}

static gssize
input_read(GInputStream *stream, void *data, gsize size, GCancellable *cancellable, GError **error)
{
    EmuReadAheadInput *self = EMU_READ_AHEAD_INPUT(stream);

    if (self->buffer != NULL)
        return take(self, data, size);

    self->buffer = g_malloc(BUFFER_BYTES);
    gssize n = g_input_stream_read(G_INPUT_STREAM(self->base), self->buffer, BUFFER_BYTES,
                                   cancellable, error);
    return filled(self, n, data, size);
}

static gboolean
input_close(GInputStream *stream, GCancellable *cancellable, GError **error)
{
    return g_input_stream_close(G_INPUT_STREAM(EMU_READ_AHEAD_INPUT(stream)->base), cancellable,
                                error);
}

static gboolean
input_can_poll(GPollableInputStream *stream)
{
    return g_pollable_input_stream_can_poll(EMU_READ_AHEAD_INPUT(stream)->base);
}

static gboolean
input_is_readable(GPollableInputStream *stream)
{
    EmuReadAheadInput *self = EMU_READ_AHEAD_INPUT(stream);

    return self->buffer != NULL || g_pollable_input_stream_is_readable(self->base);
}

static gssize
input_read_nonblocking(GPollableInputStream *stream, void *data, gsize size, GError **error)
{
    EmuReadAheadInput *self = EMU_READ_AHEAD_INPUT(stream);

    if (self->buffer != NULL)
        return take(self, data, size);

    self->buffer = g_malloc(BUFFER_BYTES);
    gssize n = g_pollable_input_stream_read_nonblocking(self->base, self->buffer, BUFFER_BYTES,
                                                        NULL, error);
    return filled(self, n, data, size);
}

static gboolean
source_prepare(GSource *source, int *timeout)
{
    *timeout = -1;
    return ((InputSource *)source)->input->buffer != NULL;
}

static gboolean
source_check(GSource *source)
{
    return ((InputSource *)source)->input->buffer != NULL;
}

static gboolean
source_dispatch(GSource *source, GSourceFunc callback, gpointer user_data)
{
    GPollableSourceFunc func = (GPollableSourceFunc)(void *)callback;

    return func(G_OBJECT(((InputSource *)source)->input), user_data);
}

static void
source_finalize(GSource *source)
{
    g_object_unref(((InputSource *)source)->input);
}

static gboolean
source_closure(GObject *stream, gpointer user_data)
{
    GClosure *closure = user_data;
    GValue argument = G_VALUE_INIT;
    GValue result = G_VALUE_INIT;

    g_value_init(&result, G_TYPE_BOOLEAN);
    g_value_init(&argument, G_TYPE_OBJECT);
    g_value_set_object(&argument, stream);
    g_closure_invoke(closure, &result, 1, &argument, NULL);
    gboolean keep = g_value_get_boolean(&result);
    g_value_unset(&argument);
    g_value_unset(&result);
    return keep;
}

static GSourceFuncs source_funcs = {
    .prepare = source_prepare,
    .check = source_check,
    .dispatch = source_dispatch,
    .finalize = source_finalize,
    .closure_callback = (GSourceFunc)(void *)source_closure,
};

static GSource *
input_create_source(GPollableInputStream *stream, GCancellable *cancellable)
{
    EmuReadAheadInput *self = EMU_READ_AHEAD_INPUT(stream);
    GSource *source = g_source_new(&source_funcs, sizeof(InputSource));
    GSource *child = g_socket_create_source(self->socket, G_IO_IN, cancellable);

    ((InputSource *)source)->input = g_object_ref(self);
    g_source_set_static_name(source, "EmuReadAhead");
    g_source_set_dummy_callback(child);
    g_source_set_can_recurse(child, TRUE); /* spares blocking it each time it is ready */
    g_source_add_child_source(source, child);
    g_source_unref(child);
    return source;
}

static void
pollable_init(GPollableInputStreamInterface *interface)
{
    interface->can_poll = input_can_poll;
    interface->is_readable = input_is_readable;
    interface->create_source = input_create_source;
    interface->read_nonblocking = input_read_nonblocking;
}

static void
input_finalize(GObject *object)
{
    EmuReadAheadInput *self = EMU_READ_AHEAD_INPUT(object);

    g_object_unref(self->base);
    g_object_unref(self->socket);
    g_free(self->buffer);
    G_OBJECT_CLASS(emu_read_ahead_input_parent_class)->finalize(object);
}

static void
emu_read_ahead_input_class_init(EmuReadAheadInputClass *class)
{
    G_OBJECT_CLASS(class)->finalize = input_finalize;
    G_INPUT_STREAM_CLASS(class)->read_fn = input_read;
    G_INPUT_STREAM_CLASS(class)->close_fn = input_close;
}

static void
emu_read_ahead_input_init(EmuReadAheadInput *self)
{
}

static GInputStream *
get_input(GIOStream *stream)
{
    return G_INPUT_STREAM(EMU_READ_AHEAD(stream)->input);
}

static GOutputStream *
get_output(GIOStream *stream)
{
    return g_io_stream_get_output_stream(EMU_READ_AHEAD(stream)->base);
}

static gboolean
close_pair(GIOStream *stream, GCancellable *cancellable, GError **error)
{
    return g_io_stream_close(EMU_READ_AHEAD(stream)->base, cancellable, error);
}

static void
read_ahead_finalize(GObject *object)
{
    EmuReadAhead *self = EMU_READ_AHEAD(object);

    g_object_unref(self->input);
    g_object_unref(self->base);
    G_OBJECT_CLASS(emu_read_ahead_parent_class)->finalize(object);
}

static void
emu_read_ahead_class_init(EmuReadAheadClass *class)
{
    G_OBJECT_CLASS(class)->finalize = read_ahead_finalize;
    G_IO_STREAM_CLASS(class)->get_input_stream = get_input;
    G_IO_STREAM_CLASS(class)->get_output_stream = get_output;
    G_IO_STREAM_CLASS(class)->close_fn = close_pair;
}

static void
emu_read_ahead_init(EmuReadAhead *self)
{
}

GIOStream *
emu_read_ahead_new(GSocketConnection *base)
{
    EmuReadAhead *self = g_object_new(EMU_TYPE_READ_AHEAD, NULL);

    self->base = g_object_ref(G_IO_STREAM(base));
    self->input = g_object_new(EMU_TYPE_READ_AHEAD_INPUT, NULL);
    self->input->base =
        g_object_ref(G_POLLABLE_INPUT_STREAM(g_io_stream_get_input_stream(self->base)));
    self->input->socket = g_object_ref(g_socket_connection_get_socket(base));
    return G_IO_STREAM(self);
}
