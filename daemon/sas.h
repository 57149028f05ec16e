/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/secret.h"

/*
 * SAS tokens: signing ours, reading the expiry of one that was given ready-made.
 * Source: iot-hub-protocol.md, 1.3 and 1.4.
 */

/* @resource: not encoded, "{host}/devices/{d}[/modules/{m}]". @expiry_sec: since 1970. @key_name:
 * NULL or policy name. Errors: SPOKE_ERROR_FAILED, if GnuTLS refuses. Returns: (transfer full)
 * (nullable): "SharedAccessSignature sr=…&sig=…&se=…[&skn=…]" */
SpokeSecret *spoke_sas_sign(const SpokeSecret *key, const char *resource, gint64 expiry_sec,
                            const char *key_name, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The HMAC, in base64, over @audience as it will stand in the token. The same errors. */
SpokeSecret *spoke_sas_compute_signature(const SpokeSecret *key, const char *audience,
                                         gint64 expiry_sec,
                                         GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The se field of a token that also has its sr and sig. Errors: SPOKE_ERROR_INVALID_CONFIG. */
gboolean spoke_sas_get_expiry(const SpokeSecret *token, gint64 *ret_expiry_sec, GError **error);
