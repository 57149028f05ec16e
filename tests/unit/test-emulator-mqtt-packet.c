/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The emulator's MQTT codec against bytes written by hand from the standard. */

#include "mqtt-packet.h"

#include <string.h>

/* CONNECT as Microsoft's Node SDK begins it: flags c0, keep-alive 180, client id "dev-1". */
static const guint8 node_connect[] = {0x10, 0x1b, 0x00, 0x04, 'M', 'Q', 'T', 'T', 0x04, 0xc0,
                                      0x00, 0xb4, 0x00, 0x05, 'd', 'e', 'v', '-', '1',  0,
                                      1,    'u',  0,    5,    't', 'o', 'k', 'e', 'n'};

static EmuMqttFrame
frame_of(const guint8 *data, size_t size)
{
    EmuMqttFrame frame = {0};
    const char *error = NULL;

    g_assert_cmpint(emu_mqtt_next(data, size, 1000, &frame, &error), ==, (ssize_t)size);
    return frame;
}

static void
assert_text(EmuMqttText text, const char *expected)
{
    g_assert_cmpmem(text.text, text.size, expected, strlen(expected));
}

static void
test_next_waits_for_every_byte(void)
{
    EmuMqttFrame frame;
    const char *error = NULL;

    for (size_t size = 0; size < sizeof node_connect; size++)
        g_assert_cmpint(emu_mqtt_next(node_connect, size, 1000, &frame, &error), ==, 0);
    g_assert_cmpint(emu_mqtt_next(node_connect, sizeof node_connect, 1000, &frame, &error), ==,
                    sizeof node_connect);
}

static void
test_next_refuses_malformed_headers(void)
{
    static const struct {
        guint8 bytes[6];
        size_t size;
    } cases[] = {
        {{0x00, 0x00}, 2},                         /* reserved type 0 */
        {{0xf0, 0x00}, 2},                         /* reserved type 15 */
        {{0x11, 0x00}, 2},                         /* CONNECT with flags */
        {{0x80, 0x00}, 2},                         /* SUBSCRIBE without its flag */
        {{0xc2, 0x00}, 2},                         /* PINGREQ with flags */
        {{0x30, 0x80, 0x80, 0x80, 0x80, 0x01}, 6}, /* length of five bytes */
        {{0x30, 0xff, 0xff, 0xff, 0x7f}, 5},       /* far over the limit */
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        EmuMqttFrame frame;
        const char *error = NULL;
        g_assert_cmpint(emu_mqtt_next(cases[i].bytes, cases[i].size, 1000, &frame, &error), ==, -1);
        g_assert_nonnull(error);
    }
}

static void
test_connect_reads_what_node_sends(void)
{
    EmuMqttFrame frame = frame_of(node_connect, sizeof node_connect);
    EmuMqttConnect connect;

    g_assert_null(emu_mqtt_parse_connect(&frame, &connect));

    assert_text(connect.protocol, "MQTT");
    g_assert_cmpuint(connect.level, ==, 4);
    g_assert_false(connect.clean_session);
    g_assert_cmpuint(connect.keep_alive_sec, ==, 180);
    assert_text(connect.client_id, "dev-1");
    assert_text(connect.username, "u");
    assert_text(connect.password, "token");
    g_assert_false(connect.has_will);
}

static void
test_connect_reads_a_will(void)
{
    static const guint8 bytes[] = {0x10, 0x13, 0, 4,   'M', 'Q', 'T', 'T', 4, 0x2e, 0,
                                   60,   0,    1, 'd', 0,   1,   't', 0,   1, 'b'};
    EmuMqttFrame frame = frame_of(bytes, sizeof bytes);
    EmuMqttConnect connect;

    g_assert_null(emu_mqtt_parse_connect(&frame, &connect));

    g_assert_true(connect.has_will);
    g_assert_true(connect.will_retain);
    g_assert_true(connect.clean_session);
    g_assert_cmpuint(connect.will_qos, ==, 1);
    assert_text(connect.will_topic, "t");
    assert_text(connect.will_body, "b");
}

static void
test_connect_passes_other_levels_on(void)
{
    static const guint8 five[] = {0x10, 0x0d, 0, 4, 'M', 'Q', 'T', 'T', 5, 2, 0, 60, 0, 0, 0};
    static const guint8 three[] = {0x10, 0x0f, 0, 6, 'M', 'Q', 'I', 's', 'd',
                                   'p',  3,    2, 0, 60,  0,   1,   'd'};
    EmuMqttConnect connect;

    EmuMqttFrame frame = frame_of(five, sizeof five);
    g_assert_null(emu_mqtt_parse_connect(&frame, &connect));
    g_assert_cmpuint(connect.level, ==, 5);
    frame = frame_of(three, sizeof three);
    g_assert_null(emu_mqtt_parse_connect(&frame, &connect));
    g_assert_cmpuint(connect.level, ==, 3);
}

static void
test_connect_refuses_contradictions(void)
{
    static const guint8 flags[] = {
        0x01, /* reserved flag */
        0x40, /* password without username */
        0x08, /* will QoS without will */
        0x20, /* will retained without will */
        0x1c, /* will QoS 3 */
    };

    for (size_t i = 0; i < G_N_ELEMENTS(flags); i++) {
        guint8 bytes[] = {0x10, 0x13, 0, 4,   'M', 'Q', 'T', 'T', 4, flags[i], 0,
                          60,   0,    1, 'd', 0,   1,   't', 0,   1, 'b'};
        EmuMqttFrame frame = frame_of(bytes, sizeof bytes);
        EmuMqttConnect connect;
        g_assert_nonnull(emu_mqtt_parse_connect(&frame, &connect));
    }
}

static void
test_connect_refuses_every_truncation(void)
{
    for (size_t cut = 1; cut < sizeof node_connect - 2; cut++) {
        EmuMqttFrame frame = frame_of(node_connect, sizeof node_connect);
        EmuMqttConnect connect;
        frame.size -= cut;
        g_assert_nonnull(emu_mqtt_parse_connect(&frame, &connect));
    }
}

static void
test_publish_reads_each_qos(void)
{
    static const guint8 qos0[] = {0x30, 5, 0, 1, 't', 'h', 'i'};
    static const guint8 qos1[] = {0x3b, 7, 0, 1, 't', 1, 2, 'h', 'i'};
    EmuMqttPublish publish;

    EmuMqttFrame frame = frame_of(qos0, sizeof qos0);
    g_assert_null(emu_mqtt_parse_publish(&frame, &publish));
    g_assert_cmpuint(publish.qos, ==, 0);
    g_assert_cmpmem(publish.body, publish.body_size, "hi", 2);

    frame = frame_of(qos1, sizeof qos1);
    g_assert_null(emu_mqtt_parse_publish(&frame, &publish));
    g_assert_cmpuint(publish.qos, ==, 1);
    g_assert_cmpuint(publish.packet_id, ==, 0x102);
    g_assert_true(publish.duplicate);
    g_assert_true(publish.retain);
    g_assert_cmpmem(publish.body, publish.body_size, "hi", 2);
}

static void
test_publish_refuses_malformed_packets(void)
{
    static const struct {
        guint8 bytes[10];
        size_t size;
    } cases[] = {
        {{0x36, 5, 0, 1, 't', 0, 1}, 7},  /* QoS 3 */
        {{0x38, 3, 0, 1, 't'}, 5},        /* duplicate with QoS 0 */
        {{0x32, 5, 0, 1, 't', 0, 0}, 7},  /* packet id 0 */
        {{0x32, 3, 0, 1, 't'}, 5},        /* no packet id */
        {{0x30, 2, 0, 0}, 4},             /* empty topic */
        {{0x30, 3, 0, 5, 't'}, 5},        /* topic cut short */
        {{0x30, 4, 0, 2, 0xc3, 0x28}, 6}, /* not UTF-8 */
        {{0x30, 4, 0, 2, 't', 0}, 6},     /* U+0000 */
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        EmuMqttFrame frame = frame_of(cases[i].bytes, cases[i].size);
        EmuMqttPublish publish;
        g_assert_nonnull(emu_mqtt_parse_publish(&frame, &publish));
    }
}

static void
test_filters_are_read_one_by_one(void)
{
    static const guint8 bytes[] = {0x82, 11, 0, 7, 0, 2, 'a', 'b', 1, 0, 1, 'c', 0};
    EmuMqttFrame frame = frame_of(bytes, sizeof bytes);
    EmuMqttFilters filters;
    EmuMqttText filter;
    guint8 qos = 0;

    g_assert_null(emu_mqtt_parse_filters(&frame, &filters));
    g_assert_cmpuint(filters.packet_id, ==, 7);
    g_assert_null(emu_mqtt_next_filter(&filters, &filter, &qos));
    assert_text(filter, "ab");
    g_assert_cmpuint(qos, ==, 1);
    g_assert_null(emu_mqtt_next_filter(&filters, &filter, &qos));
    assert_text(filter, "c");
    g_assert_cmpuint(qos, ==, 0);
    g_assert_cmpuint(filters.rest_size, ==, 0);
}

static void
test_filters_refuse_malformed_packets(void)
{
    static const guint8 none[] = {0x82, 2, 0, 7};
    static const guint8 no_id[] = {0x82, 6, 0, 0, 0, 1, 'a', 1};
    static const guint8 qos3[] = {0x82, 6, 0, 7, 0, 1, 'a', 3};
    EmuMqttFilters filters;
    EmuMqttText filter;
    guint8 qos = 0;

    EmuMqttFrame frame = frame_of(none, sizeof none);
    g_assert_nonnull(emu_mqtt_parse_filters(&frame, &filters));
    frame = frame_of(no_id, sizeof no_id);
    g_assert_nonnull(emu_mqtt_parse_filters(&frame, &filters));
    frame = frame_of(qos3, sizeof qos3);
    g_assert_null(emu_mqtt_parse_filters(&frame, &filters));
    g_assert_nonnull(emu_mqtt_next_filter(&filters, &filter, &qos));
}

static void
test_write_puts_bytes_as_the_standard_says(void)
{
    g_autoptr(GByteArray) out = g_byte_array_new();
    static const guint8 expected[] = {0x20, 2, 1, 0,                      /* CONNACK */
                                      0x40, 2, 1, 2,                      /* PUBACK */
                                      0x90, 4, 0, 7, 1,   0,              /* SUBACK */
                                      0xb0, 2, 0, 8,                      /* UNSUBACK */
                                      0xd0, 0,                            /* PINGRESP */
                                      0x3a, 7, 0, 1, 't', 0, 9, 'h', 'i', /* PUBLISH */
                                      0x30, 3, 0, 1, 't'};

    emu_mqtt_write_connack(out, TRUE, EMU_CONNACK_ACCEPTED);
    emu_mqtt_write_puback(out, 0x102);
    emu_mqtt_write_suback(out, 7, (const guint8[]){1, 0}, 2);
    emu_mqtt_write_unsuback(out, 8);
    emu_mqtt_write_pingresp(out);
    emu_mqtt_write_publish(out, 9, TRUE, "t", "hi", 2);
    emu_mqtt_write_publish(out, 0, TRUE, "t", NULL, 0);

    g_assert_cmpmem(out->data, out->len, expected, sizeof expected);
}

static void
test_write_publish_survives_the_way_back(void)
{
    static const size_t sizes[] = {0, 1, 120, 127, 128, 16383, 16384, 65536};

    for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
        g_autoptr(GByteArray) out = g_byte_array_new();
        g_autofree guint8 *body = g_malloc0(sizes[i] + 1);
        EmuMqttFrame frame;
        EmuMqttPublish publish;
        const char *error = NULL;

        emu_mqtt_write_publish(out, 5, FALSE, "a/b", body, sizes[i]);
        g_assert_cmpint(emu_mqtt_next(out->data, out->len, 1 << 20, &frame, &error), ==, out->len);
        g_assert_null(emu_mqtt_parse_publish(&frame, &publish));
        g_assert_cmpuint(publish.body_size, ==, sizes[i]);
    }
}

/* Random bytes must never be read beyond their end (the sanitizers watch) nor end in a loop. */
static void
test_parsers_stand_random_bytes(void)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(20261125);

    for (guint round = 0; round < 200000; round++) {
        size_t size = (size_t)g_rand_int_range(random, 1, 40);
        g_autofree guint8 *data = g_malloc(size);
        EmuMqttFrame frame;
        EmuMqttConnect connect;
        EmuMqttPublish publish;
        EmuMqttFilters filters;
        EmuMqttText filter;
        guint16 packet_id = 0;
        guint8 qos = 0;
        const char *error = NULL;

        for (size_t i = 0; i < size; i++)
            data[i] = (guint8)g_rand_int(random);
        if (size > 1)
            data[1] = (guint8)(size - 2);
        if (emu_mqtt_next(data, size, 1000, &frame, &error) <= 0)
            continue;
        (void)emu_mqtt_parse_connect(&frame, &connect);
        (void)emu_mqtt_parse_publish(&frame, &publish);
        (void)emu_mqtt_parse_puback(&frame, &packet_id);
        if (emu_mqtt_parse_filters(&frame, &filters) != NULL)
            continue;
        while (filters.rest_size > 0 && emu_mqtt_next_filter(&filters, &filter, &qos) == NULL)
            ;
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/mqtt-packet/next/waits-for-every-byte", test_next_waits_for_every_byte);
    g_test_add_func("/mqtt-packet/next/refuses-malformed-headers",
                    test_next_refuses_malformed_headers);
    g_test_add_func("/mqtt-packet/connect/reads-what-node-sends",
                    test_connect_reads_what_node_sends);
    g_test_add_func("/mqtt-packet/connect/reads-a-will", test_connect_reads_a_will);
    g_test_add_func("/mqtt-packet/connect/passes-other-levels-on",
                    test_connect_passes_other_levels_on);
    g_test_add_func("/mqtt-packet/connect/refuses-contradictions",
                    test_connect_refuses_contradictions);
    g_test_add_func("/mqtt-packet/connect/refuses-every-truncation",
                    test_connect_refuses_every_truncation);
    g_test_add_func("/mqtt-packet/publish/reads-each-qos", test_publish_reads_each_qos);
    g_test_add_func("/mqtt-packet/publish/refuses-malformed-packets",
                    test_publish_refuses_malformed_packets);
    g_test_add_func("/mqtt-packet/filters/are-read-one-by-one", test_filters_are_read_one_by_one);
    g_test_add_func("/mqtt-packet/filters/refuse-malformed-packets",
                    test_filters_refuse_malformed_packets);
    g_test_add_func("/mqtt-packet/write/puts-bytes-as-the-standard-says",
                    test_write_puts_bytes_as_the_standard_says);
    g_test_add_func("/mqtt-packet/write/publish-survives-the-way-back",
                    test_write_publish_survives_the_way_back);
    g_test_add_func("/mqtt-packet/parsers/stand-random-bytes", test_parsers_stand_random_bytes);
    return g_test_run();
}
