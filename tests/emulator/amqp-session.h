/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "session.h"

/* One AMQP 1.0 connection, from its protocol header to its end, over any pollable stream. */
typedef struct EmuAmqpSession EmuAmqpSession;

/* Identities on one connection. Source: protocol page, 3.10. */
#define EMU_AMQP_DEVICES_MAX 1000

/**
 * emu_amqp_session_new:
 * @stream: TLS is up; both its streams are pollable
 * @socket: (nullable): what lies below @stream, to be closed without farewell
 * @peer: (nullable): the client's certificate
 */
EmuAmqpSession *emu_amqp_session_new(EmuHub *hub, GIOStream *stream, GSocket *socket,
                                     GTlsCertificate *peer, EmuSessionEnded ended,
                                     gpointer user_data);

/* Closes the connection if it is open; @ended is not called any more. */
void emu_amqp_session_free(EmuAmqpSession *self);

/* The same for a listener. */
extern const EmuSessionKind emu_amqp_sessions;
