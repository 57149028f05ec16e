/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Three GObjects, because GIO wants a pair of streams to have two of its own: the two are faces,
 * all state is in the pair. Reading takes large pieces from below and hands out what is in the
 * frames. Writing promises a frame as large as what is to be written, and a short write leaves the
 * rest of the promise to the next one: so nothing is kept back here, and who reads slowly is felt
 * by who writes. The read buffer exists only while something is in it. */

#include "websocket-stream.h"

#include "websocket-frame.h"

#include <string.h>

#define BUFFER_BYTES (32 * 1024)
#define FRAME_BYTES  (16 * 1024 - EMU_WEBSOCKET_HEADER_MAX) /* with its header, one TLS record */

/* Answers to pings that the peer does not read; more than that and it is no good peer. */
#define CONTROL_BYTES_MAX 4096

#define CLOSE_NORMAL   1000
#define CLOSE_PROTOCOL 1002
#define CLOSE_TEXT     1003

#define EMU_TYPE_WEBSOCKET_INPUT (emu_websocket_input_get_type())
G_DECLARE_FINAL_TYPE(EmuWebsocketInput, emu_websocket_input, EMU, WEBSOCKET_INPUT, GInputStream)

#define EMU_TYPE_WEBSOCKET_OUTPUT (emu_websocket_output_get_type())
G_DECLARE_FINAL_TYPE(EmuWebsocketOutput, emu_websocket_output, EMU, WEBSOCKET_OUTPUT, GOutputStream)

struct _EmuWebsocketInput {
    GInputStream parent;
    EmuWebsocketStream *pair; /* borrowed; NULL once that is gone */
};

struct _EmuWebsocketOutput {
    GOutputStream parent;
    EmuWebsocketStream *pair; /* borrowed; NULL once that is gone */
};

struct _EmuWebsocketStream {
    GIOStream parent;
    GIOStream *base;            /* owned */
    EmuWebsocketInput *input;   /* owned */
    EmuWebsocketOutput *output; /* owned */

    guint8 *buffer; /* owned; NULL while empty */
    size_t start;   /* first byte not looked at */
    size_t end;
    EmuWebsocketHeader frame; /* the one that is being read */
    guint64 left;             /* of it */
    gboolean in_message;      /* a message of several frames is not over */
    gboolean ended;           /* the client has said good-bye */

    EmuPacketSize packet_size; /* NULL: frames are cut anywhere */
    size_t packet_left;        /* of the packet that has begun, in no frame yet */

    size_t promised;     /* size of the frame that is being written; 0: none */
    size_t sent;         /* of it, header included */
    GByteArray *control; /* owned; frames of control that wait for their turn */
    gboolean closing;    /* ours is among them, or was */
};

typedef struct {
    GSource source;
    EmuWebsocketInput *input; /* owned */
} InputSource;

static void input_pollable_init(GPollableInputStreamInterface *interface);
static void output_pollable_init(GPollableOutputStreamInterface *interface);

G_DEFINE_FINAL_TYPE_WITH_CODE(EmuWebsocketInput, emu_websocket_input, G_TYPE_INPUT_STREAM,
                              G_IMPLEMENT_INTERFACE(G_TYPE_POLLABLE_INPUT_STREAM,
                                                    input_pollable_init))
G_DEFINE_FINAL_TYPE_WITH_CODE(EmuWebsocketOutput, emu_websocket_output, G_TYPE_OUTPUT_STREAM,
                              G_IMPLEMENT_INTERFACE(G_TYPE_POLLABLE_OUTPUT_STREAM,
                                                    output_pollable_init))
G_DEFINE_FINAL_TYPE(EmuWebsocketStream, emu_websocket_stream, G_TYPE_IO_STREAM)

static GPollableInputStream *
input_below(EmuWebsocketStream *self)
{
    return G_POLLABLE_INPUT_STREAM(g_io_stream_get_input_stream(self->base));
}

static GPollableOutputStream *
output_below(EmuWebsocketStream *self)
{
    return G_POLLABLE_OUTPUT_STREAM(g_io_stream_get_output_stream(self->base));
}

static gboolean
is_buffered(EmuWebsocketStream *self)
{
    return self->start < self->end;
}

static void
release_buffer(EmuWebsocketStream *self)
{
    if (is_buffered(self))
        return;
    g_clear_pointer(&self->buffer, g_free);
    self->start = self->end = 0;
}

/* Writes what control frames the socket takes, unless another frame is under way. */
static gboolean
flush_control(EmuWebsocketStream *self, GError **error)
{
    while (self->promised == 0 && self->control->len > 0) {
        gssize n = g_pollable_output_stream_write_nonblocking(
            output_below(self), self->control->data, self->control->len, NULL, error);
        if (n < 0)
            return FALSE;
        g_byte_array_remove_range(self->control, 0, (guint)n);
    }
    return TRUE;
}

static void
add_control(EmuWebsocketStream *self, EmuWebsocketOpcode opcode, const guint8 *data, size_t size)
{
    guint8 header[EMU_WEBSOCKET_HEADER_MAX];
    size_t header_size = emu_websocket_write_header(header, opcode, (guint16)size);

    if (self->closing)
        return;
    self->closing = opcode == EMU_WEBSOCKET_CLOSE;
    g_byte_array_append(self->control, header, (guint)header_size);
    g_byte_array_append(self->control, data, (guint)size);
}

static void
add_close(EmuWebsocketStream *self, guint16 code)
{
    const guint8 bytes[] = {(guint8)(code >> 8), (guint8)code};

    add_control(self, EMU_WEBSOCKET_CLOSE, bytes, sizeof bytes);
}

/* The client broke a rule: it is told so, if it still listens. */
static gboolean
violate(EmuWebsocketStream *self, guint16 code, const char *what, GError **error)
{
    add_close(self, code);
    (void)flush_control(self, NULL);
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "WebSocket: %s", what);
    return FALSE;
}

/* Takes a whole control frame. */
static gboolean
take_control(EmuWebsocketStream *self, const guint8 *data, GError **error)
{
    guint8 plain[EMU_WEBSOCKET_CONTROL_MAX];
    size_t size = (size_t)self->frame.size;

    emu_websocket_unmask(plain, data, size, self->frame.mask, 0);
    if (self->frame.opcode == EMU_WEBSOCKET_PING) {
        if (self->control->len > CONTROL_BYTES_MAX)
            return violate(self, CLOSE_PROTOCOL, "Pings whose answers are not read", error);
        add_control(self, EMU_WEBSOCKET_PONG, plain, size);
    } else if (self->frame.opcode == EMU_WEBSOCKET_CLOSE) {
        self->ended = TRUE;
        add_control(self, EMU_WEBSOCKET_CLOSE, plain, MIN(size, 2));
    }
    /* What the socket does not take now leaves with the next bytes either way. */
    (void)flush_control(self, NULL);
    return TRUE;
}

static gboolean
check_order(EmuWebsocketStream *self, const EmuWebsocketHeader *header, GError **error)
{
    if (header->opcode >= EMU_WEBSOCKET_CLOSE)
        return TRUE;
    if (header->opcode == EMU_WEBSOCKET_TEXT)
        return violate(self, CLOSE_TEXT, "A message of text", error);
    if ((header->opcode == EMU_WEBSOCKET_CONTINUATION) != self->in_message)
        return violate(self, CLOSE_PROTOCOL, "A message inside another, or half a one", error);
    self->in_message = !header->final;
    return TRUE;
}

/* Looks at what begins in the buffer. FALSE with @error unset: more bytes are needed. */
static gboolean
begin_frame(EmuWebsocketStream *self, GError **error)
{
    const guint8 *data = self->buffer + self->start;
    size_t size = self->end - self->start;
    const char *wrong = NULL;
    EmuWebsocketHeader header;

    int n = self->buffer != NULL ? emu_websocket_parse_header(data, size, &header, &wrong) : 0;
    if (n < 0)
        return violate(self, CLOSE_PROTOCOL, wrong, error);
    if (n == 0)
        return FALSE;
    gboolean is_control = header.opcode >= EMU_WEBSOCKET_CLOSE;
    if (is_control && size - (size_t)n < header.size)
        return FALSE;
    if (!check_order(self, &header, error))
        return FALSE;

    self->frame = header;
    self->start += (size_t)n;
    if (!is_control) {
        self->left = header.size;
        return TRUE;
    }
    self->start += (size_t)header.size;
    return take_control(self, data + n, error);
}

/* Hands out as much of the frames in the buffer as there is. -1 on error. */
static gssize
take(EmuWebsocketStream *self, guint8 *target, size_t size, GError **error)
{
    size_t taken = 0;

    while (taken < size && !self->ended) {
        if (self->left == 0) {
            g_autoptr(GError) local = NULL;
            if (begin_frame(self, &local))
                continue;
            if (local == NULL || taken > 0)
                break;
            g_propagate_error(error, g_steal_pointer(&local));
            return -1;
        }
        size_t n = MIN(MIN(size - taken, self->end - self->start), self->left);
        if (n == 0)
            break;
        emu_websocket_unmask(target + taken, self->buffer + self->start, n, self->frame.mask,
                             self->frame.size - self->left);
        self->start += n;
        self->left -= n;
        taken += n;
    }
    return (gssize)taken;
}

/* Reads from below behind what is there. Returns as a read does. */
static gssize
fill(EmuWebsocketStream *self, GError **error)
{
    if (self->buffer == NULL)
        self->buffer = g_malloc(BUFFER_BYTES);
    if (self->start > 0)
        memmove(self->buffer, self->buffer + self->start, self->end - self->start);
    self->end -= self->start;
    self->start = 0;
    gssize n = g_pollable_input_stream_read_nonblocking(input_below(self), self->buffer + self->end,
                                                        BUFFER_BYTES - self->end, NULL, error);
    if (n > 0)
        self->end += (size_t)n;
    return n;
}

static gssize
input_read_nonblocking(GPollableInputStream *stream, void *data, gsize size, GError **error)
{
    EmuWebsocketStream *self = EMU_WEBSOCKET_INPUT(stream)->pair;
    gssize n = 0;

    if (self == NULL)
        return 0;
    while (TRUE) {
        n = take(self, data, size, error);
        if (n != 0 || self->ended)
            break;
        n = fill(self, error);
        if (n <= 0)
            break;
    }
    release_buffer(self);
    return n;
}

static gssize
input_read(GInputStream *stream, void *data, gsize size, GCancellable *cancellable, GError **error)
{
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED, "A WebSocket is read nonblocking");
    return -1;
}

/* Whole frames may wait in the buffer, or the beginning of one: then only more bytes help. */
static gboolean
has_input(EmuWebsocketStream *self)
{
    EmuWebsocketHeader header;
    const char *wrong = NULL;

    if (self == NULL || self->ended)
        return TRUE;
    if (!is_buffered(self))
        return FALSE;
    if (self->left > 0)
        return TRUE;
    size_t size = self->end - self->start;
    int n = emu_websocket_parse_header(self->buffer + self->start, size, &header, &wrong);
    return n < 0 ||
           (n > 0 && (header.opcode < EMU_WEBSOCKET_CLOSE ? size > (size_t)n || header.size == 0
                                                          : size - (size_t)n >= header.size));
}

static gboolean
input_is_readable(GPollableInputStream *stream)
{
    EmuWebsocketStream *self = EMU_WEBSOCKET_INPUT(stream)->pair;

    return has_input(self) || g_pollable_input_stream_is_readable(input_below(self));
}

static gboolean
source_prepare(GSource *source, int *timeout)
{
    *timeout = -1;
    return has_input(((InputSource *)source)->input->pair);
}

static gboolean
source_check(GSource *source)
{
    return has_input(((InputSource *)source)->input->pair);
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

static GSourceFuncs source_funcs = {
    .prepare = source_prepare,
    .check = source_check,
    .dispatch = source_dispatch,
    .finalize = source_finalize,
};

static GSource *
input_create_source(GPollableInputStream *stream, GCancellable *cancellable)
{
    EmuWebsocketInput *input = EMU_WEBSOCKET_INPUT(stream);
    GSource *source = g_source_new(&source_funcs, sizeof(InputSource));

    ((InputSource *)source)->input = g_object_ref(input);
    g_source_set_static_name(source, "EmuWebsocketStream");
    if (input->pair != NULL) {
        g_autoptr(GSource) child =
            g_pollable_input_stream_create_source(input_below(input->pair), cancellable);
        g_source_set_dummy_callback(child);
        g_source_add_child_source(source, child);
    }
    return source;
}

static gboolean
input_can_poll(GPollableInputStream *stream)
{
    return TRUE;
}

static void
input_pollable_init(GPollableInputStreamInterface *interface)
{
    interface->can_poll = input_can_poll;
    interface->is_readable = input_is_readable;
    interface->create_source = input_create_source;
    interface->read_nonblocking = input_read_nonblocking;
}

static void
emu_websocket_input_class_init(EmuWebsocketInputClass *class)
{
    G_INPUT_STREAM_CLASS(class)->read_fn = input_read;
}

static void
emu_websocket_input_init(EmuWebsocketInput *self)
{
}

/* Writes what is left of the promised frame, of which @data is the part not taken yet. Returns how
 * much of @data went; 0 if only the header did. */
static gssize
write_promised(EmuWebsocketStream *self, const guint8 *data, size_t size, GError **error)
{
    guint8 frame[EMU_WEBSOCKET_HEADER_MAX + FRAME_BYTES];
    size_t header_size =
        emu_websocket_write_header(frame, EMU_WEBSOCKET_BINARY, (guint16)self->promised);
    size_t paid = self->sent > header_size ? self->sent - header_size : 0;
    size_t body = MIN(size, self->promised - paid);
    size_t header_left = header_size - MIN(header_size, self->sent);

    memmove(frame, frame + (header_size - header_left), header_left);
    memcpy(frame + header_left, data, body);
    gssize n = g_pollable_output_stream_write_nonblocking(output_below(self), frame,
                                                          header_left + body, NULL, error);
    if (n < 0)
        return -1;
    self->sent += (size_t)n;
    size_t now_paid = self->sent > header_size ? self->sent - header_size : 0;
    if (now_paid == self->promised)
        self->promised = self->sent = 0;
    return (gssize)(now_paid - paid);
}

/* How large the next frame is to be. */
static size_t
cut_frame(EmuWebsocketStream *self, const guint8 *data, size_t size)
{
    if (self->packet_size == NULL)
        return MIN(size, FRAME_BYTES);

    if (self->packet_left == 0)
        self->packet_left = MIN(self->packet_size(data, size), size);
    size_t frame = MIN(self->packet_left, FRAME_BYTES);
    self->packet_left -= frame;
    return frame;
}

static gssize
output_write_nonblocking(GPollableOutputStream *stream, const void *data, gsize size,
                         GError **error)
{
    EmuWebsocketStream *self = EMU_WEBSOCKET_OUTPUT(stream)->pair;

    if (self == NULL || self->closing) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_CLOSED, "The WebSocket is closed");
        return -1;
    }
    if (size == 0)
        return 0;
    if (!flush_control(self, error))
        return -1;
    if (self->promised == 0)
        self->promised = cut_frame(self, data, size);
    gssize n = 0;
    while (n == 0) {
        n = write_promised(self, data, size, error);
        if (n < 0)
            return -1;
    }
    return n;
}

static gssize
output_write(GOutputStream *stream, const void *data, gsize size, GCancellable *cancellable,
             GError **error)
{
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED, "A WebSocket is written nonblocking");
    return -1;
}

static gboolean
output_is_writable(GPollableOutputStream *stream)
{
    EmuWebsocketStream *self = EMU_WEBSOCKET_OUTPUT(stream)->pair;

    return self == NULL || g_pollable_output_stream_is_writable(output_below(self));
}

static GSource *
output_create_source(GPollableOutputStream *stream, GCancellable *cancellable)
{
    EmuWebsocketStream *self = EMU_WEBSOCKET_OUTPUT(stream)->pair;
    g_autoptr(GSource) child =
        self != NULL ? g_pollable_output_stream_create_source(output_below(self), cancellable)
                     : g_idle_source_new();

    return g_pollable_source_new_full(stream, child, NULL);
}

static gboolean
output_can_poll(GPollableOutputStream *stream)
{
    return TRUE;
}

static void
output_pollable_init(GPollableOutputStreamInterface *interface)
{
    interface->can_poll = output_can_poll;
    interface->is_writable = output_is_writable;
    interface->create_source = output_create_source;
    interface->write_nonblocking = output_write_nonblocking;
}

static void
emu_websocket_output_class_init(EmuWebsocketOutputClass *class)
{
    G_OUTPUT_STREAM_CLASS(class)->write_fn = output_write;
}

static void
emu_websocket_output_init(EmuWebsocketOutput *self)
{
}

static GInputStream *
get_input(GIOStream *stream)
{
    return G_INPUT_STREAM(EMU_WEBSOCKET_STREAM(stream)->input);
}

static GOutputStream *
get_output(GIOStream *stream)
{
    return G_OUTPUT_STREAM(EMU_WEBSOCKET_STREAM(stream)->output);
}

/* Says good-bye, blocking, if that is not half a frame's end. */
static gboolean
close_pair(GIOStream *stream, GCancellable *cancellable, GError **error)
{
    EmuWebsocketStream *self = EMU_WEBSOCKET_STREAM(stream);

    if (self->promised == 0) {
        add_close(self, CLOSE_NORMAL);
        (void)g_output_stream_write_all(g_io_stream_get_output_stream(self->base),
                                        self->control->data, self->control->len, NULL, cancellable,
                                        NULL);
        g_byte_array_set_size(self->control, 0);
    }
    return g_io_stream_close(self->base, cancellable, error);
}

static void
emu_websocket_stream_finalize(GObject *object)
{
    EmuWebsocketStream *self = EMU_WEBSOCKET_STREAM(object);

    self->input->pair = NULL;
    self->output->pair = NULL;
    g_object_unref(self->input);
    g_object_unref(self->output);
    g_object_unref(self->base);
    g_byte_array_unref(self->control);
    g_free(self->buffer);
    G_OBJECT_CLASS(emu_websocket_stream_parent_class)->finalize(object);
}

static void
emu_websocket_stream_class_init(EmuWebsocketStreamClass *class)
{
    G_OBJECT_CLASS(class)->finalize = emu_websocket_stream_finalize;
    G_IO_STREAM_CLASS(class)->get_input_stream = get_input;
    G_IO_STREAM_CLASS(class)->get_output_stream = get_output;
    G_IO_STREAM_CLASS(class)->close_fn = close_pair;
}

static void
emu_websocket_stream_init(EmuWebsocketStream *self)
{
    self->input = g_object_new(EMU_TYPE_WEBSOCKET_INPUT, NULL);
    self->input->pair = self;
    self->output = g_object_new(EMU_TYPE_WEBSOCKET_OUTPUT, NULL);
    self->output->pair = self;
    self->control = g_byte_array_new();
}

GIOStream *
emu_websocket_stream_new(GIOStream *base)
{
    EmuWebsocketStream *self = g_object_new(EMU_TYPE_WEBSOCKET_STREAM, NULL);

    self->base = g_object_ref(base);
    return G_IO_STREAM(self);
}

void
emu_websocket_stream_set_packets(EmuWebsocketStream *self, EmuPacketSize packet_size)
{
    self->packet_size = packet_size;
}
