/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <json-glib/json-glib.h>

/* A client of the control API on 127.0.0.1. Calls block: it serves a command line. */
typedef struct CtlClient CtlClient;

/* The codes are the exit statuses. */
typedef enum {
    CTL_ERROR_REFUSED = 1,
    CTL_ERROR_USAGE = 2,
    CTL_ERROR_UNREACHABLE = 3,
    CTL_ERROR_TIMEOUT = 4,
} CtlErrorCode;

#define CTL_ERROR (ctl_error_quark())
GQuark ctl_error_quark(void);

CtlClient *ctl_client_new(guint16 port);
void ctl_client_free(CtlClient *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CtlClient, ctl_client_free)

/**
 * ctl_client_call:
 * @path: path and query, encoded
 * @body: (nullable): what to send as JSON
 * @shape: what the answer has to be; JSON_NODE_NULL when that does not matter
 *
 * Returns: (transfer full): the answer; a JSON null for an answer without body. CTL_ERROR_REFUSED
 * with the emulator's own sentence for an HTTP error, CTL_ERROR_UNREACHABLE when there is no
 * emulator.
 */
JsonNode *ctl_client_call(CtlClient *self, const char *method, const char *path, JsonNode *body,
                          JsonNodeType shape, GError **error);

/* Gets one message of a stream. Returns FALSE to end the stream. */
typedef gboolean (*CtlStreamFunc)(JsonNode *line, gpointer user_data);

/**
 * ctl_client_follow:
 * @timeout_sec: CTL_ERROR_TIMEOUT after that many seconds; 0 waits for ever
 *
 * Reads newline-delimited JSON until @func has enough. CTL_ERROR_UNREACHABLE when the emulator
 * ends the stream.
 */
gboolean ctl_client_follow(CtlClient *self, const char *path, guint timeout_sec, CtlStreamFunc func,
                           gpointer user_data, GError **error);
