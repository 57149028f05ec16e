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

/* Whether the identity proves itself with a certificate: then there is no token. */
gboolean spoke_credentials_is_x509(SpokeCredentials *credentials);

/**
 * spoke_credentials_make_token:
 * @now_usec: wall clock
 * @ret_token: (out) (transfer full): a fresh token, or the ready-made one; NULL with X.509
 * @ret_expiry_usec: (out): when the token ends, wall clock; 0 with X.509
 *
 * Errors: INVALID_CONFIG when a ready-made token has expired.
 */
gboolean spoke_credentials_make_token(SpokeCredentials *credentials, const SpokeIdentity *identity,
                                      gint64 now_usec, SpokeSecret **ret_token,
                                      gint64 *ret_expiry_usec,
                                      GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Whether both prove @identity by the same means. */
gboolean spoke_credentials_equal(SpokeCredentials *a, SpokeCredentials *b,
                                 const SpokeIdentity *identity);

/**
 * spoke_credentials_renewal_delay:
 * @random: 0 <= random < 1
 *
 * Returns: microseconds from now after which to renew: 75 % to 85 % of what is left, never past one
 * minute before the end; -1 if the token can't be renewed (ready-made)
 */
gint64 spoke_credentials_renewal_delay(SpokeCredentials *credentials, gint64 now_usec,
                                       gint64 expiry_usec, double random);
