/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/transports/amqp/websocket-guard.h"

#include "daemon/transports/amqp/websocket-limit.h"

/* Of one round of the loop. */
#define ROUND_BYTES_MAX 65536

/* What comes from the server */

typedef struct {
    GInputStream parent_instance;
    GInputStream *base; /* owned */
    SpokeWebsocketLimit limit;
    const char *fault; /* static; NULL: none yet */
    gsize round_bytes; /* read since there was nothing to read */
    gboolean is_held;  /* there may be more, in TLS's own memory too, where no poll() sees it */
} GuardInput;
typedef GInputStreamClass GuardInputClass;

static void guard_input_poll_init(GPollableInputStreamInterface *interface);
static GType guard_input_get_type(void);
G_DEFINE_FINAL_TYPE_WITH_CODE(GuardInput, guard_input, G_TYPE_INPUT_STREAM,
                              G_IMPLEMENT_INTERFACE(G_TYPE_POLLABLE_INPUT_STREAM,
                                                    guard_input_poll_init))

static gssize
read_some(GPollableInputStream *stream, void *buffer, gsize size, GError **error)
{
    GuardInput *self = (GuardInput *)stream;

    self->is_held = self->round_bytes >= ROUND_BYTES_MAX && self->fault == NULL;
    if (self->is_held) {
        self->round_bytes = 0;
        g_set_error_literal(error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK, "Enough for one round");
        return -1;
    }

    gssize n =
        self->fault == NULL
            ? g_pollable_input_stream_read_nonblocking(G_POLLABLE_INPUT_STREAM(self->base), buffer,
                                                       MIN(size, ROUND_BYTES_MAX), NULL, error)
            : 0;

    self->round_bytes = n > 0 ? self->round_bytes + (gsize)n : 0;
    if (n > 0)
        self->fault =
            spoke_websocket_limit_take(&self->limit, buffer, (gsize)n, g_get_monotonic_time());
    if (self->fault == NULL)
        return n;
    g_set_error_literal(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, self->fault);
    return -1;
}

static gboolean
is_readable(GPollableInputStream *stream)
{
    GuardInput *self = (GuardInput *)stream;

    return self->is_held || self->fault != NULL ||
           g_pollable_input_stream_is_readable(G_POLLABLE_INPUT_STREAM(self->base));
}

static GSource *
create_source(GPollableInputStream *stream, GCancellable *cancellable)
{
    GuardInput *self = (GuardInput *)stream;
    g_autoptr(GSource) ready =
        self->is_held || self->fault != NULL
            ? g_timeout_source_new(0)
            : g_pollable_input_stream_create_source(G_POLLABLE_INPUT_STREAM(self->base), NULL);

    return g_pollable_source_new_full(stream, ready, cancellable);
}

static void
guard_input_poll_init(GPollableInputStreamInterface *interface)
{
    interface->is_readable = is_readable;
    interface->create_source = create_source;
    interface->read_nonblocking = read_some;
}

static void
guard_input_finalize(GObject *object)
{
    GuardInput *self = (GuardInput *)object;

    g_clear_object(&self->base);
    G_OBJECT_CLASS(guard_input_parent_class)->finalize(object);
}

static void
guard_input_class_init(GuardInputClass *class)
{
    G_OBJECT_CLASS(class)->finalize = guard_input_finalize;
}

static void
guard_input_init(GuardInput *self)
{
}

/* The stream */

typedef struct {
    GIOStream parent_instance;
    GIOStream *tls;    /* owned */
    GuardInput *input; /* owned */
} Guard;
typedef GIOStreamClass GuardClass;

static GType guard_get_type(void);
G_DEFINE_FINAL_TYPE(Guard, guard, G_TYPE_IO_STREAM)

static GInputStream *
get_input_stream(GIOStream *stream)
{
    return (GInputStream *)((Guard *)stream)->input;
}

static GOutputStream *
get_output_stream(GIOStream *stream)
{
    return g_io_stream_get_output_stream(((Guard *)stream)->tls);
}

static gboolean
close_now(GIOStream *stream, GCancellable *cancellable, GError **error)
{
    return g_io_stream_close(((Guard *)stream)->tls, cancellable, error);
}

static void
on_tls_closed(GObject *tls, GAsyncResult *result, gpointer user_data)
{
    g_autoptr(GTask) task = user_data;
    GError *error = NULL;

    if (g_io_stream_close_finish(G_IO_STREAM(tls), result, &error))
        g_task_return_boolean(task, TRUE);
    else
        g_task_return_error(task, error);
}

static void
close_async(GIOStream *stream, int priority, GCancellable *cancellable,
            GAsyncReadyCallback callback, gpointer user_data)
{
    GTask *task = g_task_new(stream, cancellable, callback, user_data);

    g_io_stream_close_async(((Guard *)stream)->tls, priority, cancellable, on_tls_closed, task);
}

static gboolean
close_finish(GIOStream *stream, GAsyncResult *result, GError **error)
{
    return g_task_propagate_boolean(G_TASK(result), error);
}

static void
guard_finalize(GObject *object)
{
    Guard *self = (Guard *)object;

    g_clear_object(&self->input);
    g_clear_object(&self->tls);
    G_OBJECT_CLASS(guard_parent_class)->finalize(object);
}

static void
guard_class_init(GuardClass *class)
{
    GIOStreamClass *stream_class = G_IO_STREAM_CLASS(class);

    G_OBJECT_CLASS(class)->finalize = guard_finalize;
    stream_class->get_input_stream = get_input_stream;
    stream_class->get_output_stream = get_output_stream;
    stream_class->close_fn = close_now;
    stream_class->close_async = close_async;
    stream_class->close_finish = close_finish;
}

static void
guard_init(Guard *self)
{
}

GIOStream *
spoke_websocket_guard_new(GIOStream *tls)
{
    Guard *guard = g_object_new(guard_get_type(), NULL);

    guard->tls = g_object_ref(tls);
    guard->input = g_object_new(guard_input_get_type(), NULL);
    guard->input->base = g_object_ref(g_io_stream_get_input_stream(tls));
    return G_IO_STREAM(guard);
}
