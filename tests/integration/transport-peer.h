/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "tests/integration/harness.h"

/*
 * Peers that the emulator isn't: a server with a certificate that should not be trusted, and
 * another client with the daemon's identity.
 */

typedef enum {
    IMPOSTOR_EXPIRED,
    IMPOSTOR_OTHER_NAME,
} ImpostorKind;

/* Answers TLS handshakes with a certificate that the hub's own authority has signed, and that is
 * wrong in one way. */
typedef struct Impostor Impostor;
Impostor *impostor_new(Harness *h, ImpostorKind kind);
void impostor_free(Impostor *impostor);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Impostor, impostor_free)
guint16 impostor_get_port(Impostor *impostor);

/* Logs in over MQTT with the machine's identity and key, and is in when this returns. */
typedef struct Rival Rival;
Rival *rival_new(Harness *h);
void rival_free(Rival *rival);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Rival, rival_free)
