/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdint.h>

/* MQTT 3.1.1 on the wire, read in place: every pointer in what is parsed points into the bytes
 * that were given, and is not terminated. */

typedef enum {
    EMU_MQTT_CONNECT = 1,
    EMU_MQTT_CONNACK = 2,
    EMU_MQTT_PUBLISH = 3,
    EMU_MQTT_PUBACK = 4,
    EMU_MQTT_SUBSCRIBE = 8,
    EMU_MQTT_SUBACK = 9,
    EMU_MQTT_UNSUBSCRIBE = 10,
    EMU_MQTT_UNSUBACK = 11,
    EMU_MQTT_PINGREQ = 12,
    EMU_MQTT_PINGRESP = 13,
    EMU_MQTT_DISCONNECT = 14,
} EmuMqttType;

/* Return codes of CONNACK. Source: MQTT 3.1.1, table 3.1. */
typedef enum {
    EMU_CONNACK_ACCEPTED = 0,
    EMU_CONNACK_BAD_PROTOCOL = 1,
    EMU_CONNACK_BAD_CLIENT_ID = 2,
    EMU_CONNACK_UNAVAILABLE = 3,
    EMU_CONNACK_BAD_CREDENTIALS = 4,
    EMU_CONNACK_NOT_AUTHORIZED = 5,
} EmuConnackCode;

typedef struct {
    const char *text; /* borrowed from the packet; NULL when the field is absent */
    size_t size;
} EmuMqttText;

typedef struct {
    EmuMqttType type;
    uint8_t flags;       /* low four bits of the first byte */
    const uint8_t *body; /* borrowed: variable header and payload */
    size_t size;
} EmuMqttFrame;

typedef struct {
    EmuMqttText protocol;
    uint8_t level;
    gboolean clean_session;
    uint16_t keep_alive_sec;
    EmuMqttText client_id;
    gboolean has_will;
    uint8_t will_qos;
    gboolean will_retain;
    EmuMqttText will_topic;
    EmuMqttText will_body;
    EmuMqttText username;
    EmuMqttText password;
} EmuMqttConnect;

typedef struct {
    gboolean duplicate;
    gboolean retain;
    uint8_t qos;
    uint16_t packet_id; /* 0 with QoS 0 */
    EmuMqttText topic;
    const uint8_t *body;
    size_t body_size;
} EmuMqttPublish;

typedef struct {
    uint16_t packet_id;
    const uint8_t *rest; /* borrowed: filters not read yet */
    size_t rest_size;
} EmuMqttFilters;

/**
 * emu_mqtt_next:
 * @max: largest remaining length allowed
 * @ret_error: set to a static sentence when the answer is -1
 *
 * Finds the packet at the start of @data. Returns its whole size in bytes, 0 when more bytes are
 * needed, -1 when no valid packet can begin this way.
 */
ssize_t emu_mqtt_next(const uint8_t *data, size_t size, size_t max, EmuMqttFrame *ret_frame,
                      const char **ret_error);

/* The parsers return NULL, or a static sentence that says what is malformed. */
const char *emu_mqtt_parse_connect(const EmuMqttFrame *frame, EmuMqttConnect *ret_connect);
const char *emu_mqtt_parse_publish(const EmuMqttFrame *frame, EmuMqttPublish *ret_publish);
const char *emu_mqtt_parse_puback(const EmuMqttFrame *frame, uint16_t *ret_packet_id);

/**
 * emu_mqtt_parse_filters:
 *
 * Opens a SUBSCRIBE or UNSUBSCRIBE; the filters are then taken one at a time with
 * emu_mqtt_next_filter(). At least one is there.
 */
const char *emu_mqtt_parse_filters(const EmuMqttFrame *frame, EmuMqttFilters *ret_filters);

/**
 * emu_mqtt_next_filter:
 * @ret_qos: NULL for UNSUBSCRIBE, which carries none
 *
 * Call while @filters->rest_size is not 0.
 */
const char *emu_mqtt_next_filter(EmuMqttFilters *filters, EmuMqttText *ret_filter,
                                 uint8_t *ret_qos);

/* The writers append one packet to @out. */
void emu_mqtt_write_connack(GByteArray *out, gboolean session_present, EmuConnackCode code);
void emu_mqtt_write_puback(GByteArray *out, uint16_t packet_id);
void emu_mqtt_write_suback(GByteArray *out, uint16_t packet_id, const uint8_t *codes, size_t n);
void emu_mqtt_write_unsuback(GByteArray *out, uint16_t packet_id);
void emu_mqtt_write_pingresp(GByteArray *out);

/**
 * emu_mqtt_write_publish:
 * @packet_id: 0 sends it with QoS 0, anything else with QoS 1
 * @topic: at most 65535 bytes
 */
void emu_mqtt_write_publish(GByteArray *out, uint16_t packet_id, gboolean duplicate,
                            const char *topic, const void *body, size_t body_size);

/**
 * emu_mqtt_text_is_valid:
 *
 * TRUE for well-formed UTF-8 without U+0000. Source: MQTT 3.1.1, section 1.5.3.
 */
gboolean emu_mqtt_text_is_valid(const char *text, size_t size);
