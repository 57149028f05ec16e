/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gio.h>

#include "mqtt-packet.h"
#include "registry.h"

typedef struct EmuHub EmuHub;

typedef struct {
    EmuIdentity *identity; /* borrowed from the registry */
    char *client_id;       /* owned */
    char *model_id;        /* owned; NULL unless announced */
    gint64 expiry_sec;     /* of the token, wall clock; EMU_ACCESS_ENDLESS_SEC without one */
    const char *auth_type; /* static; see EmuOrigin */
} EmuLogin;

void emu_login_clear(EmuLogin *login);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(EmuLogin, emu_login_clear)

/**
 * emu_mqtt_login:
 * @peer: (nullable): the client's certificate
 *
 * Judges a CONNECT as the hub does, in its order: protocol level, client id against username,
 * host, identity, credential. Source: protocol page, 2.1 and 2.9.
 *
 * Returns: EMU_CONNACK_ACCEPTED and @ret_login, or the code to refuse with and @error.
 */
EmuConnackCode emu_mqtt_login(EmuHub *hub, const EmuMqttConnect *connect, GTlsCertificate *peer,
                              EmuLogin *ret_login, GError **error);
