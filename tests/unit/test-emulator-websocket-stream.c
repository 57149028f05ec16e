/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "websocket-stream.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATIENCE_SEC 10

typedef struct {
    int fd;                        /* the client's end; -1 once closed */
    GIOStream *stream;             /* owned */
    GPollableInputStream *input;   /* borrowed */
    GPollableOutputStream *output; /* borrowed */
} Fixture;

static void
set_up(Fixture *fixture, gconstpointer data)
{
    int fds[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), ==, 0);
    g_autoptr(GSocket) socket = g_socket_new_from_fd(fds[0], NULL);
    g_autoptr(GSocketConnection) base = g_socket_connection_factory_create_connection(socket);
    fixture->fd = fds[1];
    fixture->stream = emu_websocket_stream_new(G_IO_STREAM(base));
    fixture->input = G_POLLABLE_INPUT_STREAM(g_io_stream_get_input_stream(fixture->stream));
    fixture->output = G_POLLABLE_OUTPUT_STREAM(g_io_stream_get_output_stream(fixture->stream));
}

static void
tear_down(Fixture *fixture, gconstpointer data)
{
    if (fixture->fd >= 0)
        close(fixture->fd);
    g_object_unref(fixture->stream);
}

/* Writes a frame as a client does, masked with zeros but for the last byte. */
static void
send_frame(Fixture *fixture, guint8 first, const void *data, size_t size)
{
    g_autoptr(GByteArray) frame = g_byte_array_new();
    const guint8 mask[] = {0, 0, 0, 0x55};
    const guint8 header[] = {first, (guint8)(0x80 | (size < 126 ? size : 126)), (guint8)(size >> 8),
                             (guint8)size};

    g_assert_cmpuint(size, <, 65536);
    g_byte_array_append(frame, header, size < 126 ? 2 : 4);
    g_byte_array_append(frame, mask, sizeof mask);
    guint start = frame->len;
    g_byte_array_append(frame, data, (guint)size);
    for (guint i = start; i < frame->len; i++)
        frame->data[i] ^= mask[(i - start) % 4];
    g_assert_cmpint(write(fixture->fd, frame->data, frame->len), ==, frame->len);
}

static void
assert_reads(Fixture *fixture, const void *data, size_t size)
{
    char buffer[1024];
    g_autoptr(GError) error = NULL;

    gssize n = g_pollable_input_stream_read_nonblocking(fixture->input, buffer, sizeof buffer, NULL,
                                                        &error);
    g_assert_no_error(error);
    g_assert_cmpmem(buffer, n, data, size);
}

static void
assert_read_fails(Fixture *fixture, GIOErrorEnum code)
{
    char buffer[16];
    g_autoptr(GError) error = NULL;

    gssize n = g_pollable_input_stream_read_nonblocking(fixture->input, buffer, sizeof buffer, NULL,
                                                        &error);
    g_assert_cmpint(n, ==, -1);
    g_assert_error(error, G_IO_ERROR, (gint)code);
}

static void
assert_client_reads(Fixture *fixture, const void *data, size_t size)
{
    char buffer[1024];
    ssize_t n = read(fixture->fd, buffer, sizeof buffer);

    g_assert_cmpmem(buffer, n, data, size);
}

static void
test_read_runs_messages_together(Fixture *fixture, gconstpointer data)
{
    send_frame(fixture, 0x82, "ab", 2);
    send_frame(fixture, 0x82, "cde", 3);

    assert_reads(fixture, "abcde", 5);
    assert_read_fails(fixture, G_IO_ERROR_WOULD_BLOCK);
}

static void
test_read_takes_messages_in_pieces(Fixture *fixture, gconstpointer data)
{
    send_frame(fixture, 0x02, "ab", 2);
    send_frame(fixture, 0x89, "?", 1);
    send_frame(fixture, 0x80, "c", 1);

    assert_reads(fixture, "abc", 3);
    assert_client_reads(fixture, "\x8a\x01?", 3);
}

static void
test_read_takes_frames_byte_by_byte(Fixture *fixture, gconstpointer data)
{
    const guint8 frame[] = {0x82, 0x82, 1, 1, 1, 1, 'a' ^ 1, 'b' ^ 1};

    for (size_t i = 0; i < 6; i++) {
        g_assert_cmpint(write(fixture->fd, frame + i, 1), ==, 1);
        assert_read_fails(fixture, G_IO_ERROR_WOULD_BLOCK);
    }
    g_assert_cmpint(write(fixture->fd, frame + 6, 1), ==, 1);
    assert_reads(fixture, "a", 1);
    g_assert_cmpint(write(fixture->fd, frame + 7, 1), ==, 1);
    assert_reads(fixture, "b", 1);
}

static void
test_read_ends_with_the_client(Fixture *fixture, gconstpointer data)
{
    send_frame(fixture, 0x82, "x", 1);
    send_frame(fixture, 0x88, "\x03\xe8over", 6);

    assert_reads(fixture, "x", 1);
    assert_reads(fixture, "", 0);
    assert_client_reads(fixture, "\x88\x02\x03\xe8", 4);
}

static void
test_read_refuses_text(Fixture *fixture, gconstpointer data)
{
    send_frame(fixture, 0x81, "x", 1);

    assert_read_fails(fixture, G_IO_ERROR_INVALID_DATA);
    assert_client_reads(fixture, "\x88\x02\x03\xeb", 4);
}

static void
test_read_refuses_half_a_message(Fixture *fixture, gconstpointer data)
{
    send_frame(fixture, 0x80, "x", 1);

    assert_read_fails(fixture, G_IO_ERROR_INVALID_DATA);
    assert_client_reads(fixture, "\x88\x02\x03\xea", 4);
}

static gboolean
on_readable(GObject *stream, gpointer user_data)
{
    *(gboolean *)user_data = TRUE;
    return G_SOURCE_REMOVE;
}

/* What was read from below and not handed out has no descriptor to wake anybody. */
static void
test_source_tells_of_what_is_buffered(Fixture *fixture, gconstpointer data)
{
    char one = 0;
    gboolean readable = FALSE;
    gint64 end_usec = g_get_monotonic_time() + PATIENCE_SEC * G_USEC_PER_SEC;

    send_frame(fixture, 0x82, "ab", 2);
    g_assert_cmpint(g_pollable_input_stream_read_nonblocking(fixture->input, &one, 1, NULL, NULL),
                    ==, 1);
    g_autoptr(GSource) source = g_pollable_input_stream_create_source(fixture->input, NULL);
    g_source_set_callback(source, (GSourceFunc)(void *)on_readable, &readable, NULL);
    g_source_attach(source, NULL);
    while (!readable && g_get_monotonic_time() < end_usec)
        (void)g_main_context_iteration(NULL, FALSE);

    g_assert_true(readable);
    assert_reads(fixture, "b", 1);
}

static void
test_write_makes_a_frame(Fixture *fixture, gconstpointer data)
{
    g_assert_cmpint(
        g_pollable_output_stream_write_nonblocking(fixture->output, "abc", 3, NULL, NULL), ==, 3);

    assert_client_reads(fixture,
                        "\x82\x03"
                        "abc",
                        5);
}

/* A packet begins with its size. */
static size_t
packet_size(const guint8 *data, size_t size)
{
    return data[0];
}

static void
test_write_gives_each_packet_its_frame(Fixture *fixture, gconstpointer data)
{
    static const char packets[] = "\2a\3bc";
    size_t done = 0;
    emu_websocket_stream_set_packets(EMU_WEBSOCKET_STREAM(fixture->stream), packet_size);

    while (done < sizeof packets - 1) {
        gssize n = g_pollable_output_stream_write_nonblocking(
            fixture->output, packets + done, sizeof packets - 1 - done, NULL, NULL);
        g_assert_cmpint(n, >, 0);
        done += (size_t)n;
    }

    assert_client_reads(fixture, "\x82\2\2a\x82\3\3bc", 9);
}

/* Reads all that is there and takes the frames off. */
static void
drain(Fixture *fixture, GByteArray *raw)
{
    guint8 buffer[65536];
    ssize_t n;

    while ((n = read(fixture->fd, buffer, sizeof buffer)) > 0)
        g_byte_array_append(raw, buffer, (guint)n);
}

static GByteArray *
unframe(const GByteArray *raw)
{
    GByteArray *plain = g_byte_array_new();

    for (size_t i = 0; i < raw->len;) {
        size_t size = raw->data[i + 1];
        size_t header = 2;
        g_assert_cmpuint(raw->data[i], ==, 0x82);
        if (size == 126) {
            size = (size_t)raw->data[i + 2] << 8 | raw->data[i + 3];
            header = 4;
        }
        g_assert_cmpuint(i + header + size, <=, raw->len);
        g_byte_array_append(plain, raw->data + i + header, (guint)size);
        i += header + size;
    }
    return plain;
}

static void
test_write_keeps_its_promise_when_the_socket_is_full(Fixture *fixture, gconstpointer data)
{
    const size_t size = 4 * 1024 * 1024;
    g_autofree guint8 *bytes = g_malloc(size);
    g_autoptr(GByteArray) raw = g_byte_array_new();
    guint blocked = 0;

    for (size_t i = 0; i < size; i++)
        bytes[i] = (guint8)(i * 31 >> 3);
    for (size_t done = 0; done < size;) {
        g_autoptr(GError) error = NULL;
        gssize n = g_pollable_output_stream_write_nonblocking(fixture->output, bytes + done,
                                                              size - done, NULL, &error);
        if (n > 0) {
            done += (size_t)n;
            continue;
        }
        g_assert_error(error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK);
        blocked++;
        drain(fixture, raw);
    }
    drain(fixture, raw);

    g_autoptr(GByteArray) plain = unframe(raw);
    g_assert_cmpmem(plain->data, plain->len, bytes, size);
    g_assert_cmpuint(blocked, >, 0);
}

static void
test_close_says_good_bye(Fixture *fixture, gconstpointer data)
{
    g_assert_true(g_io_stream_close(fixture->stream, NULL, NULL));

    assert_client_reads(fixture, "\x88\x02\x03\xe8", 4);
}

#define ADD(path, test) g_test_add(path, Fixture, NULL, set_up, test, tear_down)

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("/websocket-stream/read/runs-messages-together", test_read_runs_messages_together);
    ADD("/websocket-stream/read/takes-messages-in-pieces", test_read_takes_messages_in_pieces);
    ADD("/websocket-stream/read/takes-frames-byte-by-byte", test_read_takes_frames_byte_by_byte);
    ADD("/websocket-stream/read/ends-with-the-client", test_read_ends_with_the_client);
    ADD("/websocket-stream/read/refuses-text", test_read_refuses_text);
    ADD("/websocket-stream/read/refuses-half-a-message", test_read_refuses_half_a_message);
    ADD("/websocket-stream/source/tells-of-what-is-buffered",
        test_source_tells_of_what_is_buffered);
    ADD("/websocket-stream/write/makes-a-frame", test_write_makes_a_frame);
    ADD("/websocket-stream/write/gives-each-packet-its-frame",
        test_write_gives_each_packet_its_frame);
    ADD("/websocket-stream/write/keeps-its-promise-when-the-socket-is-full",
        test_write_keeps_its_promise_when_the_socket_is_full);
    ADD("/websocket-stream/close/says-good-bye", test_close_says_good_bye);
    return g_test_run();
}
