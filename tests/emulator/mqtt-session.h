/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gio.h>

#include "session.h"

/* One MQTT connection, from its first packet to its end, over any pollable stream. */
typedef struct EmuMqttSession EmuMqttSession;

/* The largest remaining length that is read at all: a message at the size limit and its topic. */
#define EMU_MQTT_PACKET_MAX (256 * 1024 + 64 * 1024 + 16)

/**
 * emu_mqtt_session_new:
 * @stream: TLS is up; both its streams are pollable
 * @socket: (nullable): what lies below @stream, to be closed without farewell
 * @peer: (nullable): the client's certificate
 * @ended: runs once, from the main loop, when the connection has ended: free the session there
 */
EmuMqttSession *emu_mqtt_session_new(EmuHub *hub, GIOStream *stream, GSocket *socket,
                                     GTlsCertificate *peer, EmuSessionEnded ended,
                                     gpointer user_data);

/* Closes the connection if it is open; @ended is not called any more. */
void emu_mqtt_session_free(EmuMqttSession *self);

/* The same for a listener. */
extern const EmuSessionKind emu_mqtt_sessions;
