/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/connection-string.h"

#include "daemon/error.h"

#include <string.h>

#define BASE "HostName=contoso.azure-devices.net;DeviceId=dev-1;"
#define KEY  "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
#define SAS  "SharedAccessSignature sr=contoso%2Fdevices%2Fdev-1&sig=abc%3D&se=1893456000"

static SpokeConnectionString *
parse(const char *text)
{
    g_autoptr(GError) error = NULL;
    SpokeConnectionString *string = spoke_connection_string_parse(text, &error);

    g_assert_no_error(error);
    g_assert_nonnull(string);
    return string;
}

/* Wherever S3CR3T stands in @text, it may not stand in the error. */
static void
assert_refused(const char *text, const char *says)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(SpokeConnectionString) string = spoke_connection_string_parse(text, &error);

    g_assert_null(string);
    g_assert_error(error, SPOKE_ERROR, SPOKE_ERROR_INVALID_CONFIG);
    if (strstr(error->message, says) == NULL)
        g_error("\"%s\" does not say \"%s\"", error->message, says);
    g_assert_null(strstr(error->message, "S3CR3T"));
    g_assert_null(strstr(error->message, KEY));
    g_assert_false(g_str_has_suffix(error->message, "."));
}

static void
test_parse_1_2_device_with_key(void)
{
    g_autoptr(SpokeConnectionString) string = parse(BASE "SharedAccessKey=" KEY);

    g_assert_cmpstr(string->host_name, ==, "contoso.azure-devices.net");
    g_assert_cmpstr(string->device_id, ==, "dev-1");
    g_assert_cmpmem(spoke_secret_peek(string->key), spoke_secret_get_size(string->key),
                    "0123456789abcdef0123456789abcdef", 32);
    g_assert_null(string->module_id);
    g_assert_null(string->gateway_host_name);
    g_assert_null(string->key_name);
    g_assert_null(string->token);
    g_assert_false(string->x509);
}

static void
test_parse_1_2_every_other_key(void)
{
    g_autoptr(SpokeConnectionString) string =
        parse(BASE "ModuleId=mod-a;SharedAccessKeyName=device;GatewayHostName=edge.lan;"
                   "SharedAccessKey=" KEY);

    g_assert_cmpstr(string->module_id, ==, "mod-a");
    g_assert_cmpstr(string->key_name, ==, "device");
    g_assert_cmpstr(string->gateway_host_name, ==, "edge.lan");
}

static void
test_parse_1_2_token(void)
{
    g_autoptr(SpokeConnectionString) string = parse(BASE "SharedAccessSignature=" SAS);

    g_assert_cmpstr(spoke_secret_peek(string->token), ==, SAS);
    g_assert_null(string->key);
}

static void
test_parse_1_2_x509(void)
{
    g_autoptr(SpokeConnectionString) string = parse(BASE "x509=true");

    g_assert_true(string->x509);
    assert_refused(BASE "x509=false", "x509 can only be true");
    assert_refused(BASE "x509=True", "x509 can only be true");
    assert_refused(BASE "x509=S3CR3T", "x509 can only be true");
}

static void
test_parse_takes_any_order(void)
{
    g_autoptr(SpokeConnectionString) string =
        parse("SharedAccessKey=" KEY ";DeviceId=dev-1;HostName=h");

    g_assert_cmpstr(string->host_name, ==, "h");
    g_assert_cmpuint(spoke_secret_get_size(string->key), ==, 32);
}

static void
test_parse_cuts_at_first_equals(void)
{
    g_autoptr(SpokeConnectionString) string =
        parse("HostName=h;DeviceId=a=b=;SharedAccessKey=" KEY);

    g_assert_cmpstr(string->device_id, ==, "a=b=");
}

static void
test_parse_forgives_ends(void)
{
    g_autoptr(SpokeConnectionString) string = parse(" \t" BASE "SharedAccessKey=" KEY ";\r\n");

    g_assert_cmpuint(spoke_secret_get_size(string->key), ==, 32);
    assert_refused(BASE ";SharedAccessKey=" KEY, "part 3 is empty");
    assert_refused(";" BASE "SharedAccessKey=" KEY, "part 1 is empty");
    assert_refused(BASE "SharedAccessKey=" KEY ";;", "part 4 is empty");
}

static void
test_parse_refuses_duplicates(void)
{
    assert_refused(BASE "DeviceId=dev-2;SharedAccessKey=" KEY, "DeviceId stands there twice");
    assert_refused(BASE "SharedAccessKey=" KEY ";SharedAccessKey=" KEY,
                   "SharedAccessKey stands there twice");
}

static void
test_parse_refuses_unknown_keys(void)
{
    assert_refused(BASE "EntityPath=S3CR3T;SharedAccessKey=" KEY, "the key of part 3 is not known");
    assert_refused(BASE "S3CR3T=x;SharedAccessKey=" KEY, "the key of part 3 is not known");
    assert_refused("S3CR3Tabcdefghij==", "the key of part 1 is not known");
    assert_refused("S3CR3Tabcdefghij", "part 1 has no '='");
    assert_refused("hostname=h;DeviceId=d;SharedAccessKey=" KEY, "part 1 must be spelt HostName");
    assert_refused(BASE "X509=true", "part 3 must be spelt x509");
    assert_refused(BASE " SharedAccessKey=" KEY, "the key of part 3 is not known");
    assert_refused("=S3CR3T", "the key of part 1 is not known");
}

static void
test_parse_refuses_missing(void)
{
    assert_refused("", "the connection string is empty");
    assert_refused(" \n", "the connection string is empty");
    assert_refused("DeviceId=d;SharedAccessKey=" KEY, "HostName is missing");
    assert_refused("HostName=h;SharedAccessKey=" KEY, "DeviceId is missing");
    assert_refused("HostName=h;SharedAccessKeyName=owner;SharedAccessKey=" KEY,
                   "string of an access policy");
    assert_refused(BASE, "a credential is missing");
    assert_refused(BASE "ModuleId=m", "a credential is missing");
}

static void
test_parse_refuses_empty_values(void)
{
    assert_refused("HostName=;DeviceId=d;SharedAccessKey=" KEY, "HostName is empty");
    assert_refused("HostName=h;DeviceId=;SharedAccessKey=" KEY, "DeviceId is empty");
    assert_refused(BASE "SharedAccessKey=", "SharedAccessKey is empty");
    assert_refused(BASE "SharedAccessKey=" KEY ";GatewayHostName=", "GatewayHostName is empty");
}

static void
test_parse_refuses_two_credentials(void)
{
    assert_refused(BASE "x509=true;SharedAccessKey=" KEY, "only one of");
    assert_refused(BASE "SharedAccessSignature=" SAS ";SharedAccessKey=" KEY, "only one of");
    assert_refused(BASE "SharedAccessSignature=" SAS ";x509=true", "only one of");
}

static void
test_parse_refuses_bad_base64(void)
{
    static const char *const keys[] = {
        "S3CR3T",                       /* no whole quad */
        "S3CR3T!!MTIzNDU2Nzg5MDEyMzQ1", /* not in the alphabet */
        "S3CR3T==MTIzNDU2Nzg5MDEyMzQ1", /* padding inside */
        "S3CR3TIzNDU2Nzg5MDEyMzQ1Ng",   /* its end cut off */
        "S3CR3TIzNDU2Nzg5MDEyMz===",    /* too much padding */
        "S3CR3T IzNDU2Nzg5MDEyMzQ1Ng==",
        "S3CR3T-zNDU2Nzg5MDEyMzQ1Ng==",
        "====",
    };

    for (guint i = 0; i < G_N_ELEMENTS(keys); i++) {
        g_autofree char *text = g_strconcat(BASE "SharedAccessKey=", keys[i], NULL);
        assert_refused(text, "SharedAccessKey is not base64");
    }
}

static void
test_parse_1_2_limits_key_size(void)
{
    guchar bytes[67] = {0};

    for (size_t size = 1; size <= sizeof bytes; size++) {
        g_autofree char *key = g_base64_encode(bytes, size);
        g_autofree char *text = g_strconcat(BASE "SharedAccessKey=", key, NULL);

        if (size >= 16 && size <= 64) {
            g_autoptr(SpokeConnectionString) string = parse(text);
            g_assert_cmpuint(spoke_secret_get_size(string->key), ==, size);
        } else {
            assert_refused(text, size <= 66 ? "bytes long, it must be 16 to 64"
                                            : "characters long, the limit is 88");
        }
    }
}

static void
test_parse_refuses_bad_tokens(void)
{
    assert_refused(BASE "SharedAccessSignature=sr=h&sig=S3CR3T&se=1", "SharedAccessSignature: ");
    assert_refused(BASE "SharedAccessSignature=SharedAccessSignature sr=h&sig=S3CR3T",
                   "exactly one \"se\"");
    assert_refused(BASE "SharedAccessSignature=SharedAccessSignature sr=h&sig=S3CR3T\n&se=1",
                   "printable ASCII");
}

static void
test_parse_refuses_bad_hosts(void)
{
    static const char *const hosts[] = {
        "https://h", "h:8883", "h/x",   "h x", "h\xc3\xb6.net", ".net",
        "a..b",      "h%2F",   "[::1]", "h\n", "S3CR3T@h",
    };
    g_autofree char *longest = g_strnfill(253, 'h');
    g_autofree char *too_long = g_strnfill(254, 'h');
    g_autofree char *good = g_strconcat("HostName=", longest, ";DeviceId=d;x509=true", NULL);
    g_autofree char *bad = g_strconcat("HostName=", too_long, ";DeviceId=d;x509=true", NULL);
    g_autoptr(SpokeConnectionString) string = parse(good);

    for (guint i = 0; i < G_N_ELEMENTS(hosts); i++) {
        g_autofree char *text = g_strconcat("HostName=", hosts[i], ";DeviceId=d;x509=true", NULL);
        g_autofree char *gateway = g_strconcat(BASE "x509=true;GatewayHostName=", hosts[i],
                                               ";SharedAccessKeyName=p", NULL);
        assert_refused(text, "HostName must be a plain host name");
        assert_refused(gateway, "GatewayHostName must be a plain host name");
    }
    assert_refused(bad, "HostName is 254 characters long, the limit is 253");
}

static void
test_parse_gateway_takes_addresses(void)
{
    g_autoptr(SpokeConnectionString) v4 = parse(BASE "x509=true;GatewayHostName=192.0.2.1");
    g_autoptr(SpokeConnectionString) v6 = parse(BASE "x509=true;GatewayHostName=2001:db8::1");

    g_assert_cmpstr(v4->gateway_host_name, ==, "192.0.2.1");
    g_assert_cmpstr(v6->gateway_host_name, ==, "2001:db8::1");
}

static void
test_parse_refuses_bad_ids(void)
{
    g_autofree char *too_long = g_strnfill(129, 'd');
    g_autofree char *text = g_strconcat("HostName=h;x509=true;DeviceId=", too_long, NULL);

    assert_refused(text, "DeviceId must be 1 to 128");
    assert_refused("HostName=h;x509=true;DeviceId=S3CR3T/x", "DeviceId must be");
    assert_refused(BASE "x509=true;ModuleId=S3CR3T x", "ModuleId must be");
}

static void
test_parse_refuses_bad_key_names(void)
{
    g_autofree char *too_long = g_strnfill(129, 'p');
    g_autofree char *text = g_strconcat(BASE "x509=true;SharedAccessKeyName=", too_long, NULL);

    assert_refused(text, "SharedAccessKeyName is 129 characters long, the limit is 128");
    assert_refused(BASE "x509=true;SharedAccessKeyName=S3CR3T x", "printable ASCII");
}

static void
test_parse_limits_length(void)
{
    g_autofree char *long_text = g_strnfill(SPOKE_CONNECTION_STRING_BYTES_MAX + 1, 'x');

    assert_refused(long_text, "4097 characters long, the limit is 4096");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/connection-string/parse/1.2-device-with-key", test_parse_1_2_device_with_key);
    g_test_add_func("/connection-string/parse/1.2-every-other-key", test_parse_1_2_every_other_key);
    g_test_add_func("/connection-string/parse/1.2-token", test_parse_1_2_token);
    g_test_add_func("/connection-string/parse/1.2-x509", test_parse_1_2_x509);
    g_test_add_func("/connection-string/parse/takes-any-order", test_parse_takes_any_order);
    g_test_add_func("/connection-string/parse/cuts-at-first-equals",
                    test_parse_cuts_at_first_equals);
    g_test_add_func("/connection-string/parse/forgives-ends", test_parse_forgives_ends);
    g_test_add_func("/connection-string/parse/refuses-duplicates", test_parse_refuses_duplicates);
    g_test_add_func("/connection-string/parse/refuses-unknown-keys",
                    test_parse_refuses_unknown_keys);
    g_test_add_func("/connection-string/parse/refuses-missing", test_parse_refuses_missing);
    g_test_add_func("/connection-string/parse/refuses-empty-values",
                    test_parse_refuses_empty_values);
    g_test_add_func("/connection-string/parse/refuses-two-credentials",
                    test_parse_refuses_two_credentials);
    g_test_add_func("/connection-string/parse/refuses-bad-base64", test_parse_refuses_bad_base64);
    g_test_add_func("/connection-string/parse/1.2-limits-key-size", test_parse_1_2_limits_key_size);
    g_test_add_func("/connection-string/parse/refuses-bad-tokens", test_parse_refuses_bad_tokens);
    g_test_add_func("/connection-string/parse/refuses-bad-hosts", test_parse_refuses_bad_hosts);
    g_test_add_func("/connection-string/parse/gateway-takes-addresses",
                    test_parse_gateway_takes_addresses);
    g_test_add_func("/connection-string/parse/refuses-bad-ids", test_parse_refuses_bad_ids);
    g_test_add_func("/connection-string/parse/refuses-bad-key-names",
                    test_parse_refuses_bad_key_names);
    g_test_add_func("/connection-string/parse/limits-length", test_parse_limits_length);
    return g_test_run();
}
