/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "session.h"

/* One connection to port 443: requests of the HTTPS device API, one after the other, or one that
 * turns it into a WebSocket, and that into a session of MQTT or AMQP. */
extern const EmuSessionKind emu_https_sessions;
