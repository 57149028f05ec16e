/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <libsoup/soup.h>

#include "https-path.h"

typedef struct EmuHub EmuHub;

/* What a request of the HTTPS device API does. Source: protocol page, section 4. */

/* The largest request that can hold a message or a batch. */
#define EMU_HTTPS_BODY_MAX ((size_t)256 * 1024)

typedef enum {
    EMU_HTTPS_ANSWERED, /* the response is made */
    EMU_HTTPS_STORED,   /* likewise; it acknowledges messages, which faults may hold back */
    EMU_HTTPS_CUT,      /* a fault: the connection ends here */
} EmuHttpsOutcome;

/**
 * emu_https_device_serve:
 * @peer: (nullable): the client's certificate
 *
 * Lets the sender in, does what it asks for, and makes the response to @message; its status is set
 * in any case.
 */
EmuHttpsOutcome emu_https_device_serve(EmuHub *hub, SoupServerMessage *message,
                                       const EmuHttpsPath *path, GTlsCertificate *peer);
