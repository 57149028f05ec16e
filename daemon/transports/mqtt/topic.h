/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/identity.h"

/*
 * What an identity is called on the wire: client id, user name, topics. Ids go in raw.
 * Source: iot-hub-protocol.md, 1.1, 2.1, 2.4 and 2.6. All results are (transfer full).
 */

#define SPOKE_TOPIC_BYTES_MAX 65535 /* Source: MQTT 3.1.1, section 1.5.3 */

/* "{d}" or "{d}/{m}" */
char *spoke_topic_client_id(const SpokeIdentity *identity);

/* "{host}/{d}[/{m}]/?api-version=…&DeviceClientType=…"; @product: percent-encoded here */
char *spoke_topic_user_name(const SpokeIdentity *identity, const char *product);

/* Where telemetry goes; the bag follows: "devices/{d}[/modules/{m}]/messages/events/" */
char *spoke_topic_events(const SpokeIdentity *identity);

/* "devices/{d}/messages/devicebound/"; add "#" to subscribe. NULL for a module, which gets none. */
char *spoke_topic_devicebound(const SpokeIdentity *identity);
