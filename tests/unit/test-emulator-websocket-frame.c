/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "websocket-frame.h"

#include <string.h>

#define PARSE(header, wrong, ...)                                                                  \
    emu_websocket_parse_header((const guint8[]){__VA_ARGS__},                                      \
                               sizeof((const guint8[]){__VA_ARGS__}), (header), (wrong))

static void
test_parse_header_of_three_lengths(void)
{
    EmuWebsocketHeader header;
    const char *wrong = NULL;

    g_assert_cmpint(PARSE(&header, &wrong, 0x82, 0xfd, 1, 2, 3, 4), ==, 6);
    g_assert_cmpuint(header.size, ==, 125);
    g_assert_cmpint(header.opcode, ==, EMU_WEBSOCKET_BINARY);
    g_assert_true(header.final);
    g_assert_cmpmem(header.mask, 4, "\1\2\3\4", 4);

    g_assert_cmpint(PARSE(&header, &wrong, 0x02, 0xfe, 0, 126, 1, 2, 3, 4), ==, 8);
    g_assert_cmpuint(header.size, ==, 126);
    g_assert_false(header.final);

    g_assert_cmpint(PARSE(&header, &wrong, 0x82, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3, 4), ==, 14);
    g_assert_cmpuint(header.size, ==, 65536);
}

static void
test_parse_header_needs_more(void)
{
    const guint8 whole[] = {0x82, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3, 4};
    EmuWebsocketHeader header;
    const char *wrong = NULL;

    for (size_t i = 0; i < sizeof whole; i++)
        g_assert_cmpint(emu_websocket_parse_header(whole, i, &header, &wrong), ==, 0);
}

static void
test_parse_header_refuses_what_no_client_may_send(void)
{
    EmuWebsocketHeader header;
    const char *wrong = NULL;

    g_assert_cmpint(PARSE(&header, &wrong, 0x82, 0x01, 'x'), ==, -1); /* no mask */
    g_assert_nonnull(wrong);
    g_assert_cmpint(PARSE(&header, &wrong, 0xc2, 0x81, 1, 2, 3, 4), ==, -1); /* reserved bit */
    g_assert_cmpint(PARSE(&header, &wrong, 0x83, 0x81, 1, 2, 3, 4), ==, -1); /* reserved opcode */
    g_assert_cmpint(PARSE(&header, &wrong, 0x09, 0x81, 1, 2, 3, 4), ==, -1); /* half a ping */
    g_assert_cmpint(PARSE(&header, &wrong, 0x89, 0xfe, 0, 126, 1, 2, 3, 4), ==, -1); /* long one */
    g_assert_cmpint(PARSE(&header, &wrong, 0x82, 0xfe, 0, 125, 1, 2, 3, 4), ==, -1);
    g_assert_cmpint(PARSE(&header, &wrong, 0x82, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 1, 2, 3, 4),
                    ==, -1);
    g_assert_cmpint(PARSE(&header, &wrong, 0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4), ==,
                    -1);
}

/* The masked "Hello" of RFC 6455, section 5.7. */
static void
test_unmask_goes_on_where_it_was(void)
{
    const guint8 mask[] = {0x37, 0xfa, 0x21, 0x3d};
    const guint8 masked[] = {0x7f, 0x9f, 0x4d, 0x51, 0x58};
    guint8 plain[sizeof masked];

    emu_websocket_unmask(plain, masked, 3, mask, 0);
    emu_websocket_unmask(plain + 3, masked + 3, 2, mask, 3);

    g_assert_cmpmem(plain, sizeof plain, "Hello", 5);
}

static void
test_write_header_in_its_shortest_form(void)
{
    guint8 header[EMU_WEBSOCKET_HEADER_MAX];

    g_assert_cmpuint(emu_websocket_write_header(header, EMU_WEBSOCKET_BINARY, 125), ==, 2);
    g_assert_cmpmem(header, 2, "\x82\x7d", 2);
    g_assert_cmpuint(emu_websocket_write_header(header, EMU_WEBSOCKET_PONG, 0), ==, 2);
    g_assert_cmpmem(header, 2, "\x8a\0", 2);
    g_assert_cmpuint(emu_websocket_write_header(header, EMU_WEBSOCKET_BINARY, 126), ==, 4);
    g_assert_cmpmem(header, 4, "\x82\x7e\0\x7e", 4);
    g_assert_cmpuint(emu_websocket_write_header(header, EMU_WEBSOCKET_BINARY, 65535), ==, 4);
    g_assert_cmpmem(header, 4, "\x82\x7e\xff\xff", 4);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/websocket-frame/parse-header/of-three-lengths",
                    test_parse_header_of_three_lengths);
    g_test_add_func("/websocket-frame/parse-header/needs-more", test_parse_header_needs_more);
    g_test_add_func("/websocket-frame/parse-header/refuses-what-no-client-may-send",
                    test_parse_header_refuses_what_no_client_may_send);
    g_test_add_func("/websocket-frame/unmask/goes-on-where-it-was",
                    test_unmask_goes_on_where_it_was);
    g_test_add_func("/websocket-frame/write-header/in-its-shortest-form",
                    test_write_header_in_its_shortest_form);
    return g_test_run();
}
