/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/transports/amqp/websocket-limit.h"

#include <string.h>

/*
 * What of a server's WebSocket is let pass.
 */

#define KIB 1024

typedef struct {
    SpokeWebsocketLimit limit;
    gint64 now_usec;
    gsize step; /* bytes at once; 0: all */
} Fixture;

static void
set_up(Fixture *fixture, gconstpointer unused)
{
    fixture->now_usec = 1000 * G_USEC_PER_SEC;
}

static void
tear_down(Fixture *fixture, gconstpointer unused)
{
}

static const char *
take(Fixture *fixture, GByteArray *bytes)
{
    gsize step = fixture->step > 0 ? fixture->step : bytes->len;

    for (gsize i = 0; i < bytes->len; i += step) {
        const char *fault = spoke_websocket_limit_take(
            &fixture->limit, bytes->data + i, MIN(step, bytes->len - i), fixture->now_usec);

        if (fault != NULL)
            return fault;
    }
    return NULL;
}

/* A frame of any of the three forms of a length. */
static const char *
take_frame(Fixture *fixture, guint8 first, guint64 size)
{
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    guint n_length = size < 126 ? 0 : size < 65536 ? 2 : 8;
    guint8 head[10] = {first, size < 126 ? (guint8)size : size < 65536 ? 126 : 127};

    for (guint i = 0; i < n_length; i++)
        head[2 + i] = (guint8)(size >> (8 * (n_length - 1 - i)));
    g_byte_array_append(bytes, head, 2 + n_length);
    if (size <= 4096 * KIB) {
        g_byte_array_set_size(bytes, (guint)(2 + n_length + size));
        memset(bytes->data + 2 + n_length, 0x89, size); /* looks like a ping's start */
    }
    return take(fixture, bytes);
}

static void
take_and_count(Fixture *fixture)
{
    for (guint i = 0; i < 20; i++) {
        g_assert_null(take_frame(fixture, 0x82, 1));
        g_assert_null(take_frame(fixture, 0x82, 125));
        g_assert_null(take_frame(fixture, 0x82, 126));
        g_assert_null(take_frame(fixture, 0x82, 65535));
        g_assert_null(take_frame(fixture, 0x82, 65536));
        g_assert_null(take_frame(fixture, 0x82, SPOKE_WEBSOCKET_MESSAGE_BYTES_MAX));
    }
    g_assert_cmpuint(fixture->limit.n_empty, ==, 0);
}

static void
test_frames_pass(Fixture *fixture, gconstpointer unused)
{
    take_and_count(fixture);
}

static void
test_frames_pass_in_any_pieces(Fixture *fixture, gconstpointer unused)
{
    fixture->step = 1;
    take_and_count(fixture);
    fixture->step = 7;
    take_and_count(fixture);
}

static void
test_frames_have_a_limit(Fixture *fixture, gconstpointer unused)
{
    g_assert_nonnull(take_frame(fixture, 0x82, SPOKE_WEBSOCKET_MESSAGE_BYTES_MAX + 1));
}

static void
test_frames_have_a_limit_whatever_the_length(Fixture *fixture, gconstpointer unused)
{
    g_assert_nonnull(take_frame(fixture, 0x82, G_MAXUINT64));
}

static void
test_fragments_are_counted_together(Fixture *fixture, gconstpointer unused)
{
    g_assert_null(take_frame(fixture, 0x02, 64 * KIB));
    for (guint i = 0; i < 4; i++)
        g_assert_null(take_frame(fixture, 0x00, 64 * KIB));

    g_assert_nonnull(take_frame(fixture, 0x00, 1));
}

/* One that overflows the sum */
static void
test_fragments_have_a_limit_whatever_the_length(Fixture *fixture, gconstpointer unused)
{
    g_assert_null(take_frame(fixture, 0x02, 64 * KIB));

    g_assert_nonnull(take_frame(fixture, 0x00, G_MAXUINT64 - 1));
}

static void
test_fragments_end_with_their_message(Fixture *fixture, gconstpointer unused)
{
    for (guint i = 0; i < 20; i++) {
        g_assert_null(take_frame(fixture, 0x02, 150 * KIB));
        g_assert_null(take_frame(fixture, 0x89, 4)); /* a ping may come between */
        g_assert_null(take_frame(fixture, 0x80, 150 * KIB));
    }
}

static void
assert_flood(Fixture *fixture, guint8 first, guint64 size)
{
    for (guint i = 0; i < SPOKE_WEBSOCKET_EMPTY_BURST; i++)
        g_assert_null(take_frame(fixture, first, size));

    g_assert_nonnull(take_frame(fixture, first, size));
}

static void
test_flood_of_pings(Fixture *fixture, gconstpointer unused)
{
    assert_flood(fixture, 0x89, 125);
}

static void
test_flood_of_empty_messages(Fixture *fixture, gconstpointer unused)
{
    assert_flood(fixture, 0x82, 0);
}

static void
test_flood_of_empty_fragments(Fixture *fixture, gconstpointer unused)
{
    g_assert_null(take_frame(fixture, 0x02, 1));
    assert_flood(fixture, 0x00, 0);
}

static void
test_flood_is_none_when_slow(Fixture *fixture, gconstpointer unused)
{
    for (guint i = 0; i < 5 * SPOKE_WEBSOCKET_EMPTY_BURST; i++) {
        g_assert_null(take_frame(fixture, 0x89, 4));
        fixture->now_usec += G_USEC_PER_SEC / SPOKE_WEBSOCKET_EMPTY_PER_SEC;
    }
}

static void
add(const char *path, void (*test)(Fixture *fixture, gconstpointer unused))
{
    g_autofree char *full = g_strconcat("/websocket-limit/take/", path, NULL);

    g_test_add(full, Fixture, NULL, set_up, test, tear_down);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);

    add("frames-pass", test_frames_pass);
    add("frames-pass-in-any-pieces", test_frames_pass_in_any_pieces);
    add("frames-have-a-limit", test_frames_have_a_limit);
    add("frames-have-a-limit-whatever-the-length", test_frames_have_a_limit_whatever_the_length);
    add("fragments-are-counted-together", test_fragments_are_counted_together);
    add("fragments-have-a-limit-whatever-the-length",
        test_fragments_have_a_limit_whatever_the_length);
    add("fragments-end-with-their-message", test_fragments_end_with_their_message);
    add("flood-of-pings", test_flood_of_pings);
    add("flood-of-empty-messages", test_flood_of_empty_messages);
    add("flood-of-empty-fragments", test_flood_of_empty_fragments);
    add("flood-is-none-when-slow", test_flood_is_none_when_slow);
    return g_test_run();
}
