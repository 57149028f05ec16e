/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* The paths of the HTTPS device API. Source: protocol page, section 4. */

typedef enum {
    EMU_HTTPS_EVENTS,      /* POST: device to cloud */
    EMU_HTTPS_DEVICEBOUND, /* GET: the next message of the cloud */
    EMU_HTTPS_LOCK,        /* DELETE: completes or rejects it */
    EMU_HTTPS_ABANDON,     /* POST */
    EMU_N_HTTPS_ENDPOINTS,
} EmuHttpsEndpoint;

typedef struct {
    EmuHttpsEndpoint endpoint;
    char *device_id; /* owned, decoded */
    char *module_id; /* owned, decoded; NULL for a device; only with EMU_HTTPS_EVENTS */
    char *lock;      /* owned, decoded; NULL unless EMU_HTTPS_LOCK or EMU_HTTPS_ABANDON */
} EmuHttpsPath;

void emu_https_path_clear(EmuHttpsPath *path);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(EmuHttpsPath, emu_https_path_clear)

/**
 * emu_https_path_parse:
 * @text: as it came, encoded
 *
 * Fixed parts are compared without regard to case, one '/' at the end does not matter, what is
 * variable is decoded once. EMU_ERROR_ARGUMENT for bad escapes, EMU_ERROR_NOT_FOUND for a path that
 * is not there.
 */
gboolean emu_https_path_parse(const char *text, EmuHttpsPath *ret_path, GError **error);

/* Whether @text is the path of the WebSockets. Source: protocol page, 2.11. */
gboolean emu_https_path_is_websocket(const char *text);

/* The one method of an endpoint. */
const char *emu_https_endpoint_method(EmuHttpsEndpoint endpoint);
