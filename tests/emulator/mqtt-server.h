/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gio.h>

typedef struct EmuHub EmuHub;

/* MQTT over TLS: listens, shakes hands, makes sessions. */
typedef struct EmuMqttServer EmuMqttServer;

/**
 * emu_mqtt_server_new:
 * @trust: who may have signed client certificates; others are taken too, for login to judge
 * @addresses: NULL-terminated; numeric
 * @port: 0 for any free one, the same on all addresses
 * @optional: an address that cannot be used is passed over, as long as one can
 */
EmuMqttServer *emu_mqtt_server_new(EmuHub *hub, GTlsCertificate *certificate, GTlsDatabase *trust,
                                   const char *const *addresses, guint16 port, gboolean optional,
                                   GError **error);

/* Closes all connections. */
void emu_mqtt_server_free(EmuMqttServer *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(EmuMqttServer, emu_mqtt_server_free)

guint16 emu_mqtt_server_port(EmuMqttServer *self);
