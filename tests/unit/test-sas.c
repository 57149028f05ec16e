/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/sas.h"

#include "daemon/error.h"

#include <string.h>

/* The vectors of iot-hub-protocol.md, 1.4. */
#define KEY "0123456789abcdef0123456789abcdef"
#define SE  G_GINT64_CONSTANT(1893456000)

static SpokeSecret *
make_key(void)
{
    return spoke_secret_new(KEY, strlen(KEY));
}

/* The text of a token's field, decoded. */
static char *
get_field(const SpokeSecret *token, const char *name)
{
    g_autofree char *start = g_strconcat(name, "=", NULL);
    const char *fields = spoke_secret_peek(token) + strlen("SharedAccessSignature ");
    g_auto(GStrv) parts = g_strsplit(fields, "&", 0);

    for (char **part = parts; *part != NULL; part++) {
        if (g_str_has_prefix(*part, start))
            return g_uri_unescape_string(*part + strlen(start), NULL);
    }
    return NULL;
}

static void
test_sign_1_4_full_token(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(SpokeSecret) key = make_key();
    g_autoptr(SpokeSecret) token =
        spoke_sas_sign(key, "contoso.azure-devices.net/devices/dev-1", SE, NULL, &error);

    g_assert_no_error(error);
    g_assert_cmpstr(spoke_secret_peek(token), ==,
                    "SharedAccessSignature sr=contoso.azure-devices.net%2Fdevices%2Fdev-1"
                    "&sig=AG9femPEu7PvvCiU%2FzNwpWllymhfzQP7zZZYOKaZSgc%3D&se=1893456000");
}

/* Both tables: the literal sr, and what the SDKs made of it. */
static void
test_compute_signature_1_4_vectors(void)
{
    static const struct {
        const char *audience;
        gint64 expiry_sec;
        const char *signature;
    } rows[] = {
        {"contoso.azure-devices.net%2Fdevices%2Fdev-1", SE,
         "AG9femPEu7PvvCiU/zNwpWllymhfzQP7zZZYOKaZSgc="},
        {"contoso.azure-devices.net%2fdevices%2fdev-1", SE,
         "lh516iShQBpu+sB2r49VaxlRBhb9fpS8MxfRgUnpQLU="},
        {"contoso.azure-devices.net/devices/dev-1", SE,
         "ilW0ESwyvZ3wxxOuHV0WgyF0rqZ8HNnpOjawyL0Nb8w="},
        {"contoso.azure-devices.net%2Fdevices%2Fdev-1%2Fmodules%2Fmod-a", SE,
         "10YemvXQlCKsPDxKnMgD+V0zYW3h7C9fx9ZmJ7c7gjI="},
        {"contoso.azure-devices.net", SE, "qntaV5IT1dM2apsDoJXawvLIz4ZKnzKlcX2pfrRfwRU="},
        {"0ne00000000%2Fregistrations%2Freg-1", SE, "fVuVE0LBal9mD4MNfzlXShZKlwetFkunjlBrh/ILghw="},
        {"0ne00000000/registrations/reg-1", SE, "1pUvYvcV5OJZCHf9eRzBt9t5djZc8EwgrGkQXdeDXRs="},
        {"hub.test/devices/dev-1", 1795441068, "LiMjVo9EUqH01/yU77l6caRjb5mNOyjmFLcsGD/W+x8="},
        {"localhost/devices/dev-1", 1795441291, "IqJLS7mtHfHQL2rjkLvhi7HMJTr1V2Odq0tQJ6GFmis="},
        {"localhost%2Fdevices%2Fdev-1", 1795440468, "Ey9RAxRjiGc6jHPKJYnl5qSnQduaitb9lKw86ZpSgWY="},
        {"0ne00000000%2fregistrations%2freg-1", 1795440224,
         "dKHnvmjaNZYbRkzU4FOrnty3NboRs1hx7g9m2UeI+jk="},
        {"0ne00000000/registrations/reg-1", 1795441362,
         "8S2/08tlz9WryF7uB+sSDwYewrZdC6p9kzQhCYceG0k="},
    };

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(SpokeSecret) key = make_key();
        g_autoptr(SpokeSecret) signature =
            spoke_sas_compute_signature(key, rows[i].audience, rows[i].expiry_sec, &error);

        g_assert_no_error(error);
        g_assert_cmpstr(spoke_secret_peek(signature), ==, rows[i].signature);
    }
}

/* Our tokens have the form of the table's rows with %2F. */
static void
test_sign_1_4_encoded_rows(void)
{
    static const struct {
        const char *resource;
        const char *signature;
    } rows[] = {
        {"contoso.azure-devices.net/devices/dev-1", "AG9femPEu7PvvCiU/zNwpWllymhfzQP7zZZYOKaZSgc="},
        {"contoso.azure-devices.net/devices/dev-1/modules/mod-a",
         "10YemvXQlCKsPDxKnMgD+V0zYW3h7C9fx9ZmJ7c7gjI="},
        {"contoso.azure-devices.net", "qntaV5IT1dM2apsDoJXawvLIz4ZKnzKlcX2pfrRfwRU="},
        {"0ne00000000/registrations/reg-1", "fVuVE0LBal9mD4MNfzlXShZKlwetFkunjlBrh/ILghw="},
    };

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(SpokeSecret) key = make_key();
        g_autoptr(SpokeSecret) token = spoke_sas_sign(key, rows[i].resource, SE, NULL, &error);
        g_assert_no_error(error);
        g_autofree char *resource = get_field(token, "sr");
        g_autofree char *signature = get_field(token, "sig");

        g_assert_cmpstr(resource, ==, rows[i].resource);
        g_assert_cmpstr(signature, ==, rows[i].signature);
    }
}

static void
test_sign_1_3_appends_key_name(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(SpokeSecret) key = make_key();
    g_autoptr(SpokeSecret) token = spoke_sas_sign(key, "h", SE, "my device&policy", &error);

    g_assert_no_error(error);
    g_assert_true(g_str_has_suffix(spoke_secret_peek(token), "&se=1893456000"
                                                             "&skn=my%20device%26policy"));
}

static void
test_sign_1_3_encodes_every_legal_id(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(SpokeSecret) key = make_key();
    g_autoptr(SpokeSecret) token =
        spoke_sas_sign(key, "h/devices/-.+%_#*?!(),=@$':", SE, NULL, &error);

    g_assert_no_error(error);
    g_assert_true(g_str_has_prefix(spoke_secret_peek(token),
                                   "SharedAccessSignature sr=h%2Fdevices%2F-.%2B%25_%23%2A%3F%21"
                                   "%28%29%2C%3D%40%24%27%3A&sig="));
}

static void
assert_expiry(const char *text, gint64 expected)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(SpokeSecret) token = spoke_secret_new(text, strlen(text));
    gint64 expiry_sec = -1;

    g_assert_true(spoke_sas_get_expiry(token, &expiry_sec, &error));
    g_assert_no_error(error);
    g_assert_cmpint(expiry_sec, ==, expected);
}

static void
assert_no_expiry(const char *text, size_t size, const char *says)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(SpokeSecret) token = spoke_secret_new(text, size);
    gint64 expiry_sec = -1;

    g_assert_false(spoke_sas_get_expiry(token, &expiry_sec, &error));
    g_assert_error(error, SPOKE_ERROR, SPOKE_ERROR_INVALID_CONFIG);
    g_assert_nonnull(strstr(error->message, says));
    g_assert_null(strstr(error->message, "S3CR3T"));
    g_assert_cmpint(expiry_sec, ==, -1);
}

/* The three orders in use. Source: 1.3. */
static void
test_get_expiry_1_3_any_order(void)
{
    assert_expiry("SharedAccessSignature sr=h&sig=s%3D&se=1893456000", 1893456000);
    assert_expiry("SharedAccessSignature sr=h&sig=s%3d&skn=device&se=1893456000", 1893456000);
    assert_expiry("SharedAccessSignature sig=s&se=1893456000&skn=&sr=h", 1893456000);
    assert_expiry("SharedAccessSignature sr=h&sig=a=b&se=1&", 1);
}

static void
test_get_expiry_refuses_malformed(void)
{
    static const struct {
        const char *text;
        const char *says;
    } rows[] = {
        {"", "does not begin"},
        {"sr=h&sig=S3CR3T&se=1", "does not begin"},
        {"SharedAccessSignature", "does not begin"},
        {"SharedAccessSignature ", "one \"sr\""},
        {"SharedAccessSignature sig=S3CR3T&se=1", "one \"sr\""},
        {"SharedAccessSignature sr=&sig=S3CR3T&se=1", "one \"sr\""},
        {"SharedAccessSignature sr=h&sr=h&sig=S3CR3T&se=1", "one \"sr\""},
        {"SharedAccessSignature sr=h&se=1", "one \"sig\""},
        {"SharedAccessSignature sr=h&sig=S3CR3T", "one \"se\""},
        {"SharedAccessSignature sr=h&sig=S3CR3T&se=1&se=2", "one \"se\""},
        {"SharedAccessSignature sr=h&sig=S3CR3T&se=", "\"se\""},
        {"SharedAccessSignature sr=h&sig=S3CR3T&se", "\"se\""},
        {"SharedAccessSignature sr=h&sig=S3CR3T&se=0", "\"se\""},
        {"SharedAccessSignature sr=h&sig=S3CR3T&se=-1", "\"se\""},
        {"SharedAccessSignature sr=h&sig=S3CR3T&se=1.5", "\"se\""},
        {"SharedAccessSignature sr=h&sig=S3CR3T&se=0x10", "\"se\""},
        {"SharedAccessSignature sr=h&sig=S3CR3T&se= 1", "\"se\""},
        {"SharedAccessSignature sr=h&sig=S3CR3T&se=9223372036854775807", "\"se\""},
        {"SharedAccessSignature sr=h&sig=S3CR3T&se=99999999999999999999999", "\"se\""},
        {"SharedAccessSignature sr=h&sig=S3CR3T&SE=1", "one \"se\""},
    };

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++)
        assert_no_expiry(rows[i].text, strlen(rows[i].text), rows[i].says);
    assert_no_expiry("SharedAccessSignature sr=h&sig=s&se=1\0x", 39, "NUL");
}

static void
test_get_expiry_reads_own_tokens(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(SpokeSecret) key = make_key();
    g_autoptr(SpokeSecret) token = spoke_sas_sign(key, "h/devices/d", SE, "p", &error);
    g_assert_no_error(error);

    assert_expiry(spoke_secret_peek(token), SE);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/sas/sign/1.4-full-token", test_sign_1_4_full_token);
    g_test_add_func("/sas/compute-signature/1.4-vectors", test_compute_signature_1_4_vectors);
    g_test_add_func("/sas/sign/1.4-encoded-rows", test_sign_1_4_encoded_rows);
    g_test_add_func("/sas/sign/1.3-appends-key-name", test_sign_1_3_appends_key_name);
    g_test_add_func("/sas/sign/1.3-encodes-every-legal-id", test_sign_1_3_encodes_every_legal_id);
    g_test_add_func("/sas/get-expiry/1.3-any-order", test_get_expiry_1_3_any_order);
    g_test_add_func("/sas/get-expiry/refuses-malformed", test_get_expiry_refuses_malformed);
    g_test_add_func("/sas/get-expiry/reads-own-tokens", test_get_expiry_reads_own_tokens);
    return g_test_run();
}
