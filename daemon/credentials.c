/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/credentials.h"

#include "daemon/error.h"
#include "daemon/sas.h"

/*
 * Holds the key, or the token somebody else made with it, and gives out tokens only. It does not
 * change once made: a new configuration brings new credentials.
 */
struct SpokeCredentials {
    gatomicrefcount ref_count;
    SpokeSecret *key;   /* owned; NULL: there is a token, or X.509 */
    SpokeSecret *token; /* owned; NULL: we sign, or X.509 */
    char *key_name;     /* owned; NULL: the key is the device's own */
    gint64 lifetime_sec;
};

/* Renewal falls into this part of what is left, and not into its last minute. */
#define RENEWAL_EARLIEST  0.75
#define RENEWAL_LATEST    0.85
#define RENEWAL_REST_USEC (60 * G_USEC_PER_SEC)

SpokeCredentials *
spoke_credentials_new(const SpokeConnectionString *string, gint64 lifetime_sec)
{
    g_return_val_if_fail(string != NULL && lifetime_sec > 0, NULL);

    SpokeCredentials *credentials = g_new0(SpokeCredentials, 1);

    g_atomic_ref_count_init(&credentials->ref_count);
    credentials->key = spoke_secret_ref(string->key);
    credentials->token = spoke_secret_ref(string->token);
    credentials->key_name = g_strdup(string->key_name);
    credentials->lifetime_sec = lifetime_sec;
    return credentials;
}

SpokeCredentials *
spoke_credentials_ref(SpokeCredentials *credentials)
{
    g_return_val_if_fail(credentials != NULL, NULL);

    g_atomic_ref_count_inc(&credentials->ref_count);
    return credentials;
}

void
spoke_credentials_unref(SpokeCredentials *credentials)
{
    if (credentials == NULL || !g_atomic_ref_count_dec(&credentials->ref_count))
        return;

    spoke_secret_unref(credentials->key);
    spoke_secret_unref(credentials->token);
    g_free(credentials->key_name);
    g_free(credentials);
}

/* Host names know no case, ids do. Source: iot-hub-protocol.md, 1.3: the docs sign lower case. */
static char *
resource_of(const SpokeIdentity *identity)
{
    g_autofree char *hub = g_ascii_strdown(identity->hub, -1);

    return g_strconcat(hub, "/devices/", identity->device_id,
                       identity->module_id != NULL ? "/modules/" : NULL, identity->module_id, NULL);
}

static SpokeSecret *
use_token(SpokeCredentials *credentials, gint64 now_usec, gint64 *ret_expiry_usec, GError **error)
{
    gint64 expiry_sec = 0;

    if (!spoke_sas_get_expiry(credentials->token, &expiry_sec, error))
        return NULL;
    if (expiry_sec * G_USEC_PER_SEC <= now_usec) {
        g_autoptr(GDateTime) expiry = g_date_time_new_from_unix_utc(expiry_sec);
        g_autofree char *text =
            expiry != NULL ? g_date_time_format_iso8601(expiry) : g_strdup("long ago");

        g_set_error(error, SPOKE_ERROR, SPOKE_ERROR_INVALID_CONFIG,
                    "The SAS token in the connection string expired at %s; put in a new one, or "
                    "the key, which needs no renewal by hand",
                    text);
        return NULL;
    }

    *ret_expiry_usec = expiry_sec * G_USEC_PER_SEC;
    return spoke_secret_ref(credentials->token);
}

gboolean
spoke_credentials_is_x509(SpokeCredentials *credentials)
{
    return credentials->key == NULL && credentials->token == NULL;
}

static SpokeSecret *
sign_token(SpokeCredentials *credentials, const SpokeIdentity *identity, gint64 now_usec,
           gint64 *ret_expiry_usec, GError **error)
{
    g_autofree char *resource = resource_of(identity);
    gint64 expiry_sec = now_usec / G_USEC_PER_SEC + credentials->lifetime_sec;
    SpokeSecret *token =
        spoke_sas_sign(credentials->key, resource, expiry_sec, credentials->key_name, error);

    if (token != NULL)
        *ret_expiry_usec = expiry_sec * G_USEC_PER_SEC;
    return token;
}

gboolean
spoke_credentials_make_token(SpokeCredentials *credentials, const SpokeIdentity *identity,
                             gint64 now_usec, SpokeSecret **ret_token, gint64 *ret_expiry_usec,
                             GError **error)
{
    SpokeSecret *token = NULL;

    if (spoke_credentials_is_x509(credentials)) {
        *ret_token = NULL;
        *ret_expiry_usec = 0;
        return TRUE;
    }

    if (credentials->token != NULL)
        token = use_token(credentials, now_usec, ret_expiry_usec, error);
    else
        token = sign_token(credentials, identity, now_usec, ret_expiry_usec, error);
    if (token == NULL)
        return FALSE;
    *ret_token = token;
    return TRUE;
}

/* Tokens for the same moment tell keys apart without showing them. */
gboolean
spoke_credentials_equal(SpokeCredentials *a, SpokeCredentials *b, const SpokeIdentity *identity)
{
    gint64 a_expiry_usec = 0, b_expiry_usec = 0;
    g_autoptr(SpokeSecret) a_token = NULL;
    g_autoptr(SpokeSecret) b_token = NULL;

    if (spoke_credentials_is_x509(a) || spoke_credentials_is_x509(b))
        return spoke_credentials_is_x509(a) == spoke_credentials_is_x509(b);
    if (!spoke_credentials_make_token(a, identity, 0, &a_token, &a_expiry_usec, NULL) ||
        !spoke_credentials_make_token(b, identity, 0, &b_token, &b_expiry_usec, NULL))
        return FALSE;
    return spoke_secret_equal(a_token, b_token);
}

gint64
spoke_credentials_renewal_delay(SpokeCredentials *credentials, gint64 now_usec, gint64 expiry_usec,
                                double random)
{
    if (credentials->key == NULL)
        return -1;

    gint64 left_usec = expiry_usec - now_usec;
    double share = RENEWAL_EARLIEST + (RENEWAL_LATEST - RENEWAL_EARLIEST) * random;
    gint64 delay_usec = MIN((gint64)((double)left_usec * share), left_usec - RENEWAL_REST_USEC);

    return MAX(delay_usec, 0);
}
