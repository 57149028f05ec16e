/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The MQTT 3.1.1 codec: bytes to fields and back, without I/O, state or copies. It knows the
 * standard and nothing of IoT Hub; what the hub forbids beyond the standard (QoS 2, topics) is
 * the session's business. A cursor walks over the packet and remembers that it ran short, so
 * that parsers read field after field and ask once. */

#include "mqtt-packet.h"

#include <string.h>

/* Bits of CONNECT's flags. Source: MQTT 3.1.1, section 3.1.2.3. */
#define CONNECT_RESERVED    0x01
#define CONNECT_CLEAN       0x02
#define CONNECT_WILL        0x04
#define CONNECT_WILL_QOS(f) (((f) >> 3) & 3)
#define CONNECT_WILL_RETAIN 0x20
#define CONNECT_PASSWORD    0x40
#define CONNECT_USERNAME    0x80

typedef struct {
    const uint8_t *at;
    size_t left;
    gboolean failed; /* something was asked for that is not there */
} Cursor;

static uint8_t
read_byte(Cursor *cursor)
{
    if (cursor->left < 1) {
        cursor->failed = TRUE;
        return 0;
    }

    cursor->left--;
    return *cursor->at++;
}

static uint16_t
read_number(Cursor *cursor)
{
    uint8_t high = read_byte(cursor);
    uint8_t low = read_byte(cursor);

    return (uint16_t)(high << 8 | low);
}

/* A length of two bytes and that many bytes: text or binary. */
static EmuMqttText
read_field(Cursor *cursor)
{
    uint16_t size = read_number(cursor);

    if (cursor->failed || size > cursor->left) {
        cursor->failed = TRUE;
        return (EmuMqttText){NULL, 0};
    }

    EmuMqttText field = {(const char *)cursor->at, size};
    cursor->at += size;
    cursor->left -= size;
    return field;
}

static EmuMqttText
read_text(Cursor *cursor)
{
    EmuMqttText text = read_field(cursor);

    if (!cursor->failed && !emu_mqtt_text_is_valid(text.text, text.size))
        cursor->failed = TRUE;
    return text;
}

/* The flags that the standard fixes for @type, or -1 where they carry meaning. */
static int
fixed_flags(unsigned type)
{
    if (type == EMU_MQTT_PUBLISH)
        return -1;
    return type == EMU_MQTT_SUBSCRIBE || type == EMU_MQTT_UNSUBSCRIBE || type == 6 ? 2 : 0;
}

ssize_t
emu_mqtt_next(const uint8_t *data, size_t size, size_t max, EmuMqttFrame *ret_frame,
              const char **ret_error)
{
    if (size < 1)
        return 0;

    unsigned type = data[0] >> 4;
    unsigned flags = data[0] & 0x0f;
    if (type == 0 || type == 15) {
        *ret_error = "Packet type is reserved";
        return -1;
    }
    if (fixed_flags(type) >= 0 && (int)flags != fixed_flags(type)) {
        *ret_error = "Flags of the fixed header are wrong for this packet type";
        return -1;
    }

    size_t length = 0;
    size_t header = 1;
    for (unsigned shift = 0;; shift += 7) {
        if (shift > 21) {
            *ret_error = "Remaining length has more than four bytes";
            return -1;
        }
        if (header >= size)
            return 0;
        uint8_t byte = data[header++];
        length |= (size_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0)
            break;
    }
    if (length > max) {
        *ret_error = "Packet is larger than the hub takes";
        return -1;
    }
    if (size - header < length)
        return 0;

    *ret_frame = (EmuMqttFrame){type, (uint8_t)flags, data + header, length};
    return (ssize_t)(header + length);
}

/* What the flags announce, in the order in which the payload carries it. */
static void
read_connect_payload(Cursor *cursor, uint8_t flags, EmuMqttConnect *connect)
{
    connect->client_id = read_text(cursor);
    if (flags & CONNECT_WILL) {
        connect->will_topic = read_text(cursor);
        connect->will_body = read_field(cursor);
    }
    if (flags & CONNECT_USERNAME)
        connect->username = read_text(cursor);
    if (flags & CONNECT_PASSWORD)
        connect->password = read_field(cursor);
}

const char *
emu_mqtt_parse_connect(const EmuMqttFrame *frame, EmuMqttConnect *ret_connect)
{
    Cursor cursor = {frame->body, frame->size, FALSE};
    EmuMqttConnect connect = {0};

    connect.protocol = read_text(&cursor);
    connect.level = read_byte(&cursor);
    if (cursor.failed)
        return "CONNECT is cut short";
    if (connect.level != 4) {
        /* Another version lays out the rest differently: its caller answers by the level. */
        *ret_connect = connect;
        return NULL;
    }

    uint8_t flags = read_byte(&cursor);
    connect.clean_session = (flags & CONNECT_CLEAN) != 0;
    connect.has_will = (flags & CONNECT_WILL) != 0;
    connect.will_qos = CONNECT_WILL_QOS(flags);
    connect.will_retain = (flags & CONNECT_WILL_RETAIN) != 0;
    connect.keep_alive_sec = read_number(&cursor);
    if (flags & CONNECT_RESERVED)
        return "Reserved flag of CONNECT is set";
    if (connect.will_qos > 2 || (!connect.has_will && (connect.will_qos || connect.will_retain)))
        return "Will flags of CONNECT contradict each other";
    if ((flags & CONNECT_PASSWORD) && !(flags & CONNECT_USERNAME))
        return "CONNECT has a password and no username";

    read_connect_payload(&cursor, flags, &connect);
    if (cursor.failed)
        return "CONNECT is cut short or holds invalid text";
    if (cursor.left > 0)
        return "CONNECT has bytes after its last field";

    *ret_connect = connect;
    return NULL;
}

const char *
emu_mqtt_parse_publish(const EmuMqttFrame *frame, EmuMqttPublish *ret_publish)
{
    Cursor cursor = {frame->body, frame->size, FALSE};
    EmuMqttPublish publish = {
        .duplicate = (frame->flags & 8) != 0,
        .retain = (frame->flags & 1) != 0,
        .qos = (frame->flags >> 1) & 3,
    };

    if (publish.qos == 3)
        return "PUBLISH has QoS 3";
    if (publish.qos == 0 && publish.duplicate)
        return "PUBLISH of QoS 0 is marked a duplicate";

    publish.topic = read_text(&cursor);
    if (publish.qos > 0)
        publish.packet_id = read_number(&cursor);
    if (cursor.failed)
        return "PUBLISH is cut short or its topic is not valid text";
    if (publish.qos > 0 && publish.packet_id == 0)
        return "PUBLISH has packet id 0";
    if (publish.topic.size == 0)
        return "PUBLISH has an empty topic";

    publish.body = cursor.at;
    publish.body_size = cursor.left;
    *ret_publish = publish;
    return NULL;
}

const char *
emu_mqtt_parse_puback(const EmuMqttFrame *frame, uint16_t *ret_packet_id)
{
    Cursor cursor = {frame->body, frame->size, FALSE};
    uint16_t packet_id = read_number(&cursor);

    if (cursor.failed || cursor.left > 0 || packet_id == 0)
        return "PUBACK is not two bytes with a packet id";

    *ret_packet_id = packet_id;
    return NULL;
}

const char *
emu_mqtt_parse_filters(const EmuMqttFrame *frame, EmuMqttFilters *ret_filters)
{
    Cursor cursor = {frame->body, frame->size, FALSE};
    uint16_t packet_id = read_number(&cursor);

    if (cursor.failed || packet_id == 0)
        return "SUBSCRIBE or UNSUBSCRIBE has no packet id";
    if (cursor.left == 0)
        return "SUBSCRIBE or UNSUBSCRIBE has no filter";

    *ret_filters = (EmuMqttFilters){packet_id, cursor.at, cursor.left};
    return NULL;
}

const char *
emu_mqtt_next_filter(EmuMqttFilters *filters, EmuMqttText *ret_filter, uint8_t *ret_qos)
{
    Cursor cursor = {filters->rest, filters->rest_size, FALSE};
    EmuMqttText filter = read_text(&cursor);
    uint8_t qos = ret_qos != NULL ? read_byte(&cursor) : 0;

    if (cursor.failed || filter.size == 0)
        return "A topic filter is empty, cut short or not valid text";
    if (qos > 2)
        return "A requested QoS is above 2";

    filters->rest = cursor.at;
    filters->rest_size = cursor.left;
    *ret_filter = filter;
    if (ret_qos != NULL)
        *ret_qos = qos;
    return NULL;
}

static void
append_number(GByteArray *out, size_t number)
{
    uint8_t bytes[] = {(uint8_t)(number >> 8), (uint8_t)number};

    g_byte_array_append(out, bytes, sizeof bytes);
}

static void
append_header(GByteArray *out, unsigned first, size_t length)
{
    uint8_t header[5] = {(uint8_t)first};
    unsigned n = 1;

    do {
        header[n] = length & 0x7f;
        length >>= 7;
        if (length > 0)
            header[n] |= 0x80;
        n++;
    } while (length > 0);
    g_byte_array_append(out, header, n);
}

void
emu_mqtt_write_connack(GByteArray *out, gboolean session_present, EmuConnackCode code)
{
    uint8_t packet[] = {EMU_MQTT_CONNACK << 4, 2, session_present ? 1 : 0, (uint8_t)code};

    g_byte_array_append(out, packet, sizeof packet);
}

void
emu_mqtt_write_puback(GByteArray *out, uint16_t packet_id)
{
    uint8_t packet[] = {EMU_MQTT_PUBACK << 4, 2, (uint8_t)(packet_id >> 8), (uint8_t)packet_id};

    g_byte_array_append(out, packet, sizeof packet);
}

void
emu_mqtt_write_suback(GByteArray *out, uint16_t packet_id, const uint8_t *codes, size_t n)
{
    append_header(out, EMU_MQTT_SUBACK << 4, 2 + n);
    append_number(out, packet_id);
    g_byte_array_append(out, codes, (guint)n);
}

void
emu_mqtt_write_unsuback(GByteArray *out, uint16_t packet_id)
{
    append_header(out, EMU_MQTT_UNSUBACK << 4, 2);
    append_number(out, packet_id);
}

void
emu_mqtt_write_pingresp(GByteArray *out)
{
    append_header(out, EMU_MQTT_PINGRESP << 4, 0);
}

void
emu_mqtt_write_publish(GByteArray *out, uint16_t packet_id, gboolean duplicate, const char *topic,
                       const void *body, size_t body_size)
{
    size_t topic_size = strlen(topic);
    unsigned flags = (packet_id != 0 ? 2 : 0) | (packet_id != 0 && duplicate ? 8 : 0);

    g_return_if_fail(topic_size <= G_MAXUINT16);

    append_header(out, EMU_MQTT_PUBLISH << 4 | flags,
                  2 + topic_size + (packet_id != 0 ? 2 : 0) + body_size);
    append_number(out, topic_size);
    g_byte_array_append(out, (const uint8_t *)topic, (guint)topic_size);
    if (packet_id != 0)
        append_number(out, packet_id);
    if (body_size > 0)
        g_byte_array_append(out, body, (guint)body_size);
}

gboolean
emu_mqtt_text_is_valid(const char *text, size_t size)
{
    size_t i = 0;

    /* Nearly every topic is plain ASCII: walk over that quickly. */
    while (i < size && (int8_t)text[i] > 0)
        i++;
    return i == size ||
           (g_utf8_validate_len(text + i, size - i, NULL) && memchr(text + i, 0, size - i) == NULL);
}
