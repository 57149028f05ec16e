/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* IoT Hub's MQTT topics and the username, seen from the hub. Source: protocol page, section 2. */

/* Who an MQTT connection says it is. */
typedef struct {
    char *host;      /* owned */
    char *device_id; /* owned */
    char *module_id; /* owned; NULL for a device */
    char *model_id;  /* owned; NULL unless announced */
} EmuUsername;

void emu_username_clear(EmuUsername *username);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(EmuUsername, emu_username_clear)

typedef enum {
    EMU_TOPIC_UNKNOWN,
    EMU_TOPIC_TELEMETRY,     /* the rest is the property bag */
    EMU_TOPIC_TWIN_GET,      /* the rest is the query, as in "$rid=7" */
    EMU_TOPIC_TWIN_REPORTED, /* likewise */
    EMU_TOPIC_METHOD_ANSWER, /* the rest is "{status}/?$rid={rid}" */
} EmuTopicKind;

/* The filters a connection may hold, as bits; FILTER_METHOD_ONE may be held more than once. */
typedef enum {
    EMU_FILTER_UNKNOWN = 0,
    EMU_FILTER_DEVICEBOUND = 1 << 0,
    EMU_FILTER_TWIN_RESULT = 1 << 1,
    EMU_FILTER_TWIN_DESIRED = 1 << 2,
    EMU_FILTER_METHODS = 1 << 3,
    EMU_FILTER_INPUTS = 1 << 4,
} EmuFilter;

/**
 * emu_username_parse:
 *
 * Reads `{host}/{device}[/{module}][/?{query}]`; the query may lack its '?' as with old clients.
 * Unknown keys of the query are ignored; of two equal keys the first counts.
 */
gboolean emu_username_parse(const char *text, size_t size, EmuUsername *ret_username,
                            GError **error);

/**
 * emu_topic_telemetry_prefix:
 *
 * Returns: (transfer full): the D2C topic of this identity without its last '/'.
 */
char *emu_topic_telemetry_prefix(const char *device_id, const char *module_id);

/**
 * emu_topic_classify:
 * @telemetry_prefix: from emu_topic_telemetry_prefix()
 * @ret_rest: what follows the fixed part; for telemetry without one trailing '/'
 */
EmuTopicKind emu_topic_classify(const char *topic, size_t size, const char *telemetry_prefix,
                                size_t prefix_size, const char **ret_rest, size_t *ret_rest_size);

/**
 * emu_topic_filter_kind:
 *
 * Returns: what a topic filter asks for, EMU_FILTER_UNKNOWN if the hub has no such thing for
 * this identity.
 */
EmuFilter emu_topic_filter_kind(const char *filter, const char *device_id, const char *module_id);

/**
 * emu_topic_devicebound:
 *
 * Returns: (transfer full): the topic of a cloud-to-device message with that bag.
 */
char *emu_topic_devicebound(const char *device_id, const char *bag);

/**
 * emu_topic_request_id:
 * @query: text such as "$rid=7&$version=3"
 *
 * Returns: (transfer full): the request id, byte for byte, or NULL.
 */
char *emu_topic_request_id(const char *query, size_t size);
