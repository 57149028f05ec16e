/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/connection-string.h"
#include "daemon/credentials.h"
#include "daemon/error.h"
#include "daemon/identity.h"
#include "tests/fuzz/fuzz.h"

/* What is accepted must be usable: legal ids, one credential, a token that can be made of it. */
static void
check_accepted(const SpokeConnectionString *string)
{
    g_assert_true(spoke_identity_is_valid_id(string->device_id));
    g_assert_true(string->module_id == NULL || spoke_identity_is_valid_id(string->module_id));
    g_assert_cmpint((string->key != NULL) + (string->token != NULL) + string->x509, ==, 1);

    g_autoptr(GError) error = NULL;
    g_autoptr(SpokeCredentials) credentials = spoke_credentials_new(string, 3600);
    g_autoptr(SpokeIdentity) identity =
        spoke_identity_new("self", string->host_name, string->device_id, string->module_id);
    gint64 expiry_usec = 0;
    g_autoptr(SpokeSecret) token = NULL;

    g_assert_true(
        spoke_credentials_make_token(credentials, identity, 0, &token, &expiry_usec, &error));
    g_assert_true(string->x509 ? token == NULL : token != NULL && expiry_usec > 0);
}

/* By one of our own sentences, none of which quotes what was given: all of them are ASCII. */
static void
check_refused(const GError *error)
{
    g_assert_error(error, SPOKE_ERROR, SPOKE_ERROR_INVALID_CONFIG);
    for (const char *c = error->message; *c != '\0'; c++)
        g_assert_true(g_ascii_isprint(*c));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *text = size > 0 ? g_strndup((const char *)data, size) : g_strdup("");
    g_autoptr(SpokeConnectionString) string = spoke_connection_string_parse(text, &error);

    if (string != NULL)
        check_accepted(string);
    else
        check_refused(error);
    return 0;
}
