/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/login.h"

#include <string.h>

static void
clear_options(SpokeConnectionOptions *options)
{
    g_free((char *)options->transport_dir);
    g_free((char *)options->host);
    g_free((char *)options->ca_file);
    *options = (SpokeConnectionOptions){0};
}

void
spoke_login_clear(SpokeLogin *login)
{
    clear_options(&login->options);
    g_clear_pointer(&login->identity, spoke_identity_unref);
    g_clear_pointer(&login->credentials, spoke_credentials_unref);
}

void
spoke_login_set_options(SpokeLogin *login, const SpokeConnectionOptions *options)
{
    SpokeConnectionOptions copy = *options;

    copy.transport_dir = g_strdup(options->transport_dir);
    copy.host = g_strdup(options->host);
    copy.ca_file = g_strdup(options->ca_file);
    clear_options(&login->options);
    login->options = copy;
}

void
spoke_login_set_identity(SpokeLogin *login, SpokeIdentity *identity, SpokeCredentials *credentials)
{
    spoke_identity_ref(identity); /* they may be the ones we have */
    spoke_credentials_ref(credentials);
    spoke_identity_unref(login->identity);
    spoke_credentials_unref(login->credentials);
    login->identity = identity;
    login->credentials = credentials;
}

static gboolean
are_same_options(const SpokeConnectionOptions *a, const SpokeConnectionOptions *b)
{
    return g_strcmp0(a->transport_dir, b->transport_dir) == 0 && g_strcmp0(a->host, b->host) == 0 &&
           a->port == b->port && g_strcmp0(a->ca_file, b->ca_file) == 0 &&
           a->keepalive_sec == b->keepalive_sec && a->connect_timeout_sec == b->connect_timeout_sec;
}

static gboolean
are_same_identities(const SpokeIdentity *a, const SpokeIdentity *b)
{
    return strcmp(a->hub, b->hub) == 0 && strcmp(a->device_id, b->device_id) == 0 &&
           g_strcmp0(a->module_id, b->module_id) == 0;
}

/* Tokens for the same moment tell keys apart without showing them. */
static gboolean
are_same_credentials(SpokeCredentials *a, SpokeCredentials *b, const SpokeIdentity *identity)
{
    gint64 a_expiry_usec = 0, b_expiry_usec = 0;
    g_autoptr(SpokeSecret) a_token =
        spoke_credentials_make_token(a, identity, 0, &a_expiry_usec, NULL);
    g_autoptr(SpokeSecret) b_token =
        spoke_credentials_make_token(b, identity, 0, &b_expiry_usec, NULL);

    if (a_token == NULL || b_token == NULL)
        return a_token == b_token;
    return spoke_secret_equal(a_token, b_token);
}

gboolean
spoke_login_is_same(const SpokeLogin *login, const SpokeConnectionOptions *options,
                    const SpokeIdentity *identity, SpokeCredentials *credentials)
{
    return are_same_options(&login->options, options) &&
           are_same_identities(login->identity, identity) &&
           are_same_credentials(login->credentials, credentials, identity);
}
