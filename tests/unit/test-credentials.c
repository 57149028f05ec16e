/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/credentials.h"

#include "daemon/error.h"

#include <string.h>

#define KEY      "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
#define SEC      ((gint64)G_USEC_PER_SEC) /* GLib's is an int */
#define NOW_SEC  G_GINT64_CONSTANT(1893452400)
#define NOW_USEC (NOW_SEC * SEC)

static SpokeCredentials *
make_credentials(const char *text, gint64 lifetime_sec)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(SpokeConnectionString) string = spoke_connection_string_parse(text, &error);

    g_assert_no_error(error);
    return spoke_credentials_new(string, lifetime_sec);
}

static SpokeCredentials *
make_with_key(gint64 lifetime_sec)
{
    return make_credentials("HostName=h;DeviceId=d;SharedAccessKey=" KEY, lifetime_sec);
}

static SpokeCredentials *
make_with_token(void)
{
    return make_credentials("HostName=h;DeviceId=d;SharedAccessSignature=SharedAccessSignature "
                            "sr=h%2Fdevices%2Fd&sig=S3CR3T%3D&se=1893456000",
                            3600);
}

/* (nullable): NULL with @error, or with X.509 */
static SpokeSecret *
make_token(SpokeCredentials *credentials, const SpokeIdentity *identity, gint64 now_usec,
           gint64 *ret_expiry_usec, GError **error)
{
    SpokeSecret *token = NULL;

    if (!spoke_credentials_make_token(credentials, identity, now_usec, &token, ret_expiry_usec,
                                      error))
        g_assert_null(token);
    return token;
}

/* The vector of iot-hub-protocol.md, 1.4; the host in the identity is not lower case. */
static void
test_make_token_1_4_signs(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(SpokeCredentials) credentials = make_with_key(3600);
    g_autoptr(SpokeIdentity) identity =
        spoke_identity_new("self", "Contoso.Azure-Devices.net", "dev-1", NULL);
    gint64 expiry_usec = 0;
    g_autoptr(SpokeSecret) token =
        make_token(credentials, identity, NOW_USEC + 999999, &expiry_usec, &error);

    g_assert_no_error(error);
    g_assert_cmpint(expiry_usec, ==, 1893456000 * SEC);
    g_assert_cmpstr(spoke_secret_peek(token), ==,
                    "SharedAccessSignature sr=contoso.azure-devices.net%2Fdevices%2Fdev-1"
                    "&sig=AG9femPEu7PvvCiU%2FzNwpWllymhfzQP7zZZYOKaZSgc%3D&se=1893456000");
}

static void
test_make_token_1_4_signs_for_module(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(SpokeCredentials) credentials = make_with_key(3600);
    g_autoptr(SpokeIdentity) identity =
        spoke_identity_new("self", "contoso.azure-devices.net", "dev-1", "mod-a");
    gint64 expiry_usec = 0;
    g_autoptr(SpokeSecret) token =
        make_token(credentials, identity, NOW_USEC, &expiry_usec, &error);

    g_assert_no_error(error);
    g_assert_cmpstr(
        spoke_secret_peek(token), ==,
        "SharedAccessSignature sr=contoso.azure-devices.net%2Fdevices%2Fdev-1%2Fmodules%2Fmod-a"
        "&sig=10YemvXQlCKsPDxKnMgD%2BV0zYW3h7C9fx9ZmJ7c7gjI%3D&se=1893456000");
}

static void
test_make_token_keeps_case_of_ids(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(SpokeCredentials) credentials = make_with_key(3600);
    g_autoptr(SpokeIdentity) identity = spoke_identity_new("self", "HUB", "Dev-A", "Mod-B");
    gint64 expiry_usec = 0;
    g_autoptr(SpokeSecret) token =
        make_token(credentials, identity, NOW_USEC, &expiry_usec, &error);

    g_assert_no_error(error);
    g_assert_nonnull(
        strstr(spoke_secret_peek(token), "sr=hub%2Fdevices%2FDev-A%2Fmodules%2FMod-B&"));
}

static void
test_make_token_names_policy(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(SpokeCredentials) credentials = make_credentials(
        "HostName=h;DeviceId=d;SharedAccessKeyName=device;SharedAccessKey=" KEY, 3600);
    g_autoptr(SpokeIdentity) identity = spoke_identity_new("self", "h", "d", NULL);
    gint64 expiry_usec = 0;
    g_autoptr(SpokeSecret) token =
        make_token(credentials, identity, NOW_USEC, &expiry_usec, &error);

    g_assert_no_error(error);
    g_assert_true(g_str_has_suffix(spoke_secret_peek(token), "&skn=device"));
}

static void
test_make_token_gives_ready_made(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(SpokeCredentials) credentials = make_with_token();
    g_autoptr(SpokeIdentity) identity = spoke_identity_new("self", "h", "d", NULL);
    gint64 expiry_usec = 0;
    g_autoptr(SpokeSecret) token =
        make_token(credentials, identity, NOW_USEC, &expiry_usec, &error);

    g_assert_no_error(error);
    g_assert_cmpint(expiry_usec, ==, 1893456000 * SEC);
    g_assert_true(g_str_has_suffix(spoke_secret_peek(token), "&sig=S3CR3T%3D&se=1893456000"));
}

static void
test_make_token_refuses_expired(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(SpokeCredentials) credentials = make_with_token();
    g_autoptr(SpokeIdentity) identity = spoke_identity_new("self", "h", "d", NULL);
    gint64 expiry_usec = -1;
    g_autoptr(SpokeSecret) token =
        make_token(credentials, identity, 1893456000 * SEC, &expiry_usec, &error);

    g_assert_null(token);
    g_assert_error(error, SPOKE_ERROR, SPOKE_ERROR_INVALID_CONFIG);
    g_assert_nonnull(strstr(error->message, "expired at 2030-01-01T00:00:00Z"));
    g_assert_null(strstr(error->message, "S3CR3T"));
    g_assert_cmpint(expiry_usec, ==, -1);
}

static void
test_make_token_has_none_for_x509(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(SpokeCredentials) credentials =
        make_credentials("HostName=h;DeviceId=d;x509=true", 3600);
    g_autoptr(SpokeIdentity) identity = spoke_identity_new("self", "h", "d", NULL);
    gint64 expiry_usec = -1;
    g_autoptr(SpokeSecret) token =
        make_token(credentials, identity, NOW_USEC, &expiry_usec, &error);

    g_assert_null(token);
    g_assert_no_error(error);
    g_assert_cmpint(expiry_usec, ==, 0);
    g_assert_true(spoke_credentials_is_x509(credentials));
}

static void
test_renewal_delay_is_75_to_85_percent(void)
{
    g_autoptr(SpokeCredentials) credentials = make_with_key(3600);
    gint64 expiry_usec = NOW_USEC + 3600 * SEC;

    g_assert_cmpint(spoke_credentials_renewal_delay(credentials, NOW_USEC, expiry_usec, 0), ==,
                    2700 * SEC);
    g_assert_cmpint(spoke_credentials_renewal_delay(credentials, NOW_USEC, expiry_usec, 0.5), ==,
                    2880 * SEC);
    g_assert_cmpint(spoke_credentials_renewal_delay(credentials, NOW_USEC, expiry_usec, 0.999999),
                    <=, 3060 * SEC);
}

static void
test_renewal_delay_keeps_last_minute_free(void)
{
    g_autoptr(SpokeCredentials) credentials = make_with_key(120);
    gint64 expiry_usec = NOW_USEC + 120 * SEC;

    g_assert_cmpint(spoke_credentials_renewal_delay(credentials, NOW_USEC, expiry_usec, 0), ==,
                    60 * SEC);
    g_assert_cmpint(spoke_credentials_renewal_delay(credentials, NOW_USEC, expiry_usec, 0.99), ==,
                    60 * SEC);
}

static void
test_renewal_delay_is_never_negative(void)
{
    g_autoptr(SpokeCredentials) credentials = make_with_key(120);

    g_assert_cmpint(
        spoke_credentials_renewal_delay(credentials, NOW_USEC, NOW_USEC + 10 * SEC, 0.5), ==, 0);
    g_assert_cmpint(
        spoke_credentials_renewal_delay(credentials, NOW_USEC, NOW_USEC - 10 * SEC, 0.5), ==, 0);
}

static void
test_renewal_delay_of_ready_made_is_none(void)
{
    g_autoptr(SpokeCredentials) credentials = make_with_token();

    g_assert_cmpint(
        spoke_credentials_renewal_delay(credentials, NOW_USEC, NOW_USEC + 3600 * SEC, 0), ==, -1);
}

static void
test_ref_keeps_alive(void)
{
    SpokeCredentials *credentials = make_with_key(3600);
    SpokeCredentials *shared = spoke_credentials_ref(credentials);

    spoke_credentials_unref(credentials);

    g_assert_cmpint(spoke_credentials_renewal_delay(shared, 0, 1000 * SEC, 0), ==, 750 * SEC);
    spoke_credentials_unref(shared);
    spoke_credentials_unref(NULL);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/credentials/make-token/1.4-signs", test_make_token_1_4_signs);
    g_test_add_func("/credentials/make-token/1.4-signs-for-module",
                    test_make_token_1_4_signs_for_module);
    g_test_add_func("/credentials/make-token/keeps-case-of-ids", test_make_token_keeps_case_of_ids);
    g_test_add_func("/credentials/make-token/names-policy", test_make_token_names_policy);
    g_test_add_func("/credentials/make-token/gives-ready-made", test_make_token_gives_ready_made);
    g_test_add_func("/credentials/make-token/refuses-expired", test_make_token_refuses_expired);
    g_test_add_func("/credentials/make-token/has-none-for-x509", test_make_token_has_none_for_x509);
    g_test_add_func("/credentials/renewal-delay/is-75-to-85-percent",
                    test_renewal_delay_is_75_to_85_percent);
    g_test_add_func("/credentials/renewal-delay/keeps-last-minute-free",
                    test_renewal_delay_keeps_last_minute_free);
    g_test_add_func("/credentials/renewal-delay/is-never-negative",
                    test_renewal_delay_is_never_negative);
    g_test_add_func("/credentials/renewal-delay/of-ready-made-is-none",
                    test_renewal_delay_of_ready_made_is_none);
    g_test_add_func("/credentials/ref/keeps-alive", test_ref_keeps_alive);
    return g_test_run();
}
