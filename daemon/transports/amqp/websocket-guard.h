/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gio.h>

/*
 * A stream for libsoup's WebSocket that a server cannot use to hold us up or fill our memory.
 * libsoup reads for as long as there is something to read, and only then looks at it: here it finds
 * nothing after some KiB, and the rest in the next round of the loop; and an error as soon as the
 * server goes beyond websocket-limit.h.
 */

/* @tls: pollable both ways; a share is taken, and closing the one closes the other. (transfer full)
 */
GIOStream *spoke_websocket_guard_new(GIOStream *tls);
