/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/connection-string.h"
#include "daemon/identity.h"

/*
 * What one identity proves itself with. Makes a token whenever a transport logs in and says when
 * it must be renewed; the key itself never leaves this object.
 */
typedef struct SpokeCredentials SpokeCredentials;

/* Copies what it needs of @string. @lifetime_sec: of the tokens it signs. (transfer full) */
SpokeCredentials *spoke_credentials_new(const SpokeConnectionString *string, gint64 lifetime_sec);
SpokeCredentials *spoke_credentials_ref(SpokeCredentials *credentials);
void spoke_credentials_unref(SpokeCredentials *credentials);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpokeCredentials, spoke_credentials_unref)

/**
 * spoke_credentials_make_token:
 * @now_usec: wall clock
 * @ret_expiry_usec: (out): when the token ends, wall clock
 *
 * Returns: (transfer full) (nullable): a fresh token, or the ready-made one. Errors: INVALID_CONFIG
 * when a ready-made token has expired or the identity uses X.509 (not yet supported).
 */
SpokeSecret *spoke_credentials_make_token(SpokeCredentials *credentials,
                                          const SpokeIdentity *identity, gint64 now_usec,
                                          gint64 *ret_expiry_usec, GError **error);

/**
 * spoke_credentials_renewal_delay:
 * @random: 0 <= random < 1
 *
 * Returns: microseconds from now after which to renew: 75 % to 85 % of what is left, never past one
 * minute before the end; -1 if the token can't be renewed (ready-made)
 */
gint64 spoke_credentials_renewal_delay(SpokeCredentials *credentials, gint64 now_usec,
                                       gint64 expiry_usec, double random);
