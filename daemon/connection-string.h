/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/secret.h"

/*
 * Azure's connection string, taken apart and checked. Source: iot-hub-protocol.md, 1.2.
 */
typedef struct {
    char *host_name;
    char *device_id;
    char *module_id;         /* NULL for a device */
    char *gateway_host_name; /* NULL: connect to host_name */
    char *key_name;          /* NULL unless SharedAccessKeyName */
    SpokeSecret *key;        /* decoded from base64; NULL unless SharedAccessKey */
    SpokeSecret *token;      /* NULL unless SharedAccessSignature */
    gboolean x509;           /* x509=true */
} SpokeConnectionString;

#define SPOKE_CONNECTION_STRING_BYTES_MAX 4096

/* White space around the whole and one ';' at its end are forgiven. Exactly one credential is
 * required. Errors: SPOKE_ERROR_INVALID_CONFIG; the text names the key at fault (where the string
 * came from is the caller's to add), never a value, for in a damaged string any part could be
 * secret. (transfer full) (nullable) */
SpokeConnectionString *spoke_connection_string_parse(const char *text,
                                                     GError **error) G_GNUC_WARN_UNUSED_RESULT;
void spoke_connection_string_free(SpokeConnectionString *string);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpokeConnectionString, spoke_connection_string_free)
