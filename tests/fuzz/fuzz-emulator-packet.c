/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/emulator/mqtt-packet.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

/* What a client sends to the emulator: packet after packet, until one is no packet. */

#define REMAINING_MAX (4 * 1024 * 1024)

static void
check_inside(const EmuMqttFrame *frame, const void *at, size_t size)
{
    const uint8_t *first = at;

    g_assert_true(first >= frame->body && first + size <= frame->body + frame->size);
}

/* A field that is there lies in the packet; texts are valid. */
static void
check_text(const EmuMqttFrame *frame, const EmuMqttText *field, gboolean is_text)
{
    if (field->text == NULL) {
        g_assert_cmpuint(field->size, ==, 0);
        return;
    }
    check_inside(frame, field->text, field->size);
    if (is_text)
        g_assert_true(g_utf8_validate_len(field->text, field->size, NULL));
}

static void
check_connect(const EmuMqttFrame *frame)
{
    EmuMqttConnect connect = {0};

    if (emu_mqtt_parse_connect(frame, &connect) != NULL)
        return;
    check_text(frame, &connect.protocol, TRUE);
    check_text(frame, &connect.client_id, TRUE);
    check_text(frame, &connect.will_topic, TRUE);
    check_text(frame, &connect.will_body, FALSE);
    check_text(frame, &connect.username, TRUE);
    check_text(frame, &connect.password, FALSE);
    if (connect.level == 4)
        g_assert_true(connect.client_id.text != NULL && connect.will_qos <= 2 &&
                      connect.has_will == (connect.will_topic.text != NULL));
}

/* The hub's own PUBLISH has QoS 0 or 1 and is not retained. */
static void
check_written(const EmuMqttPublish *publish)
{
    g_autofree char *topic = g_strndup(publish->topic.text, publish->topic.size);
    g_autoptr(GByteArray) out = g_byte_array_new();
    EmuMqttFrame frame = {0};
    EmuMqttPublish again = {0};
    const char *error = NULL;

    emu_mqtt_write_publish(out, publish->packet_id, publish->duplicate, topic, publish->body,
                           publish->body_size);
    g_assert_cmpint(emu_mqtt_next(out->data, out->len, SIZE_MAX, &frame, &error), ==, out->len);
    g_assert_null(emu_mqtt_parse_publish(&frame, &again));

    g_assert_cmpmem(again.topic.text, again.topic.size, publish->topic.text, publish->topic.size);
    g_assert_cmpmem(again.body, again.body_size, publish->body, publish->body_size);
    g_assert_cmpuint(again.packet_id, ==, publish->packet_id);
    g_assert_cmpint(again.duplicate, ==, publish->duplicate);
}

static void
check_publish(const EmuMqttFrame *frame)
{
    EmuMqttPublish publish = {0};

    if (emu_mqtt_parse_publish(frame, &publish) != NULL)
        return;
    g_assert_cmpuint(publish.topic.size, >, 0);
    g_assert_cmpint(publish.qos > 0, ==, publish.packet_id != 0);
    check_text(frame, &publish.topic, TRUE);
    check_inside(frame, publish.body, publish.body_size);
    check_written(&publish);
}

static void
check_filters(const EmuMqttFrame *frame)
{
    EmuMqttFilters filters = {0};
    EmuMqttText filter = {0};
    uint8_t qos = 0;

    if (emu_mqtt_parse_filters(frame, &filters) != NULL)
        return;
    g_assert_true(filters.packet_id != 0 && filters.rest_size > 0);
    while (filters.rest_size > 0) {
        size_t before = filters.rest_size;
        if (emu_mqtt_next_filter(&filters, &filter,
                                 frame->type == EMU_MQTT_SUBSCRIBE ? &qos : NULL) != NULL)
            return;
        g_assert_cmpuint(filters.rest_size, <, before);
        g_assert_true(filter.size > 0 && qos <= 2);
        check_text(frame, &filter, TRUE);
    }
}

static void
check_packet(const EmuMqttFrame *frame)
{
    uint16_t packet_id = 0;

    if (frame->type == EMU_MQTT_CONNECT)
        check_connect(frame);
    else if (frame->type == EMU_MQTT_PUBLISH)
        check_publish(frame);
    else if (frame->type == EMU_MQTT_SUBSCRIBE || frame->type == EMU_MQTT_UNSUBSCRIBE)
        check_filters(frame);
    else if (frame->type == EMU_MQTT_PUBACK && emu_mqtt_parse_puback(frame, &packet_id) == NULL)
        g_assert_cmpuint(packet_id, !=, 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    while (size > 0) {
        EmuMqttFrame frame = {0};
        EmuMqttFrame cut = {0};
        const char *error = NULL;

        ssize_t n = emu_mqtt_next(data, size, REMAINING_MAX, &frame, &error);
        if (n < 0)
            g_assert_nonnull(error);
        if (n <= 0)
            return 0;
        g_assert_cmpuint((size_t)n, <=, size);
        g_assert_true(frame.body + frame.size == data + n);
        /* One byte less is a packet that is still on its way, not a wrong one. */
        g_assert_cmpint(emu_mqtt_next(data, (size_t)n - 1, REMAINING_MAX, &cut, &error), ==, 0);

        check_packet(&frame);
        data += n;
        size -= (size_t)n;
    }
    return 0;
}
