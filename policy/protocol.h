/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/*
 * The five ways to a hub, in the order of the IoT Hub guidance: where nothing else tells two of
 * them apart, the earlier one is first. Source: iot-hub-protocol.md, section 11.
 */
typedef enum {
    SPOKE_PROTOCOL_MQTT,
    SPOKE_PROTOCOL_MQTT_WS,
    SPOKE_PROTOCOL_AMQP,
    SPOKE_PROTOCOL_AMQP_WS,
    SPOKE_PROTOCOL_HTTPS,
    SPOKE_N_PROTOCOLS,
} SpokeProtocol;

/* A set of them. */
typedef guint SpokeProtocols;
#define SPOKE_PROTOCOL_BIT(protocol) (1u << (protocol))
#define SPOKE_PROTOCOLS_ALL          (SPOKE_PROTOCOL_BIT(SPOKE_N_PROTOCOLS) - 1)

/* "mqtt", "mqtt-ws", …: the names of transport modules and of Transport= */
const char *spoke_protocol_to_string(SpokeProtocol protocol);
gboolean spoke_protocol_from_string(const char *name, SpokeProtocol *ret_protocol);
/* How many identities a connection of this kind carries at most */
guint spoke_protocol_get_identities_max(SpokeProtocol protocol);

/* Words between spaces or commas. FALSE: there is none, or one that is no protocol. */
gboolean spoke_protocols_parse(const char *text, SpokeProtocols *ret_protocols);
