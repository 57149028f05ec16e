/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/connection.h"

/*
 * Where to connect, as whom and by what proof: what a reload of the configuration may change.
 */
typedef struct {
    SpokeConnectionOptions options; /* owned, strings and all */
    SpokeIdentity *identity;        /* owned; NULL before one is set */
    SpokeCredentials *credentials;  /* owned; likewise */
} SpokeLogin;

void spoke_login_clear(SpokeLogin *login);
void spoke_login_set_options(SpokeLogin *login, const SpokeConnectionOptions *options);
void spoke_login_set_identity(SpokeLogin *login, SpokeIdentity *identity,
                              SpokeCredentials *credentials);

/* Whether a connection made with @login would be the same one. @login has an identity. */
gboolean spoke_login_is_same(const SpokeLogin *login, const SpokeConnectionOptions *options,
                             const SpokeIdentity *identity, SpokeCredentials *credentials);
