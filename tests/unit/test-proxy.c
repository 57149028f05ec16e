/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/proxy.h"

#include "daemon/error.h"

#include <string.h>

static SpokeProxySettings *
make(const char *url, const char *no_proxy)
{
    g_autoptr(GError) error = NULL;
    SpokeProxySettings *settings = spoke_proxy_settings_new(url, NULL, NULL, no_proxy, &error);

    g_assert_no_error(error);
    g_assert_nonnull(settings);
    return settings;
}

static void
test_new_reads_urls(void)
{
    static const struct {
        const char *url, *host;
        guint16 port;
        const char *user, *password;
    } rows[] = {
        {"http://proxy.example:8080", "proxy.example", 8080, NULL, NULL},
        {"http://proxy.example:8080/", "proxy.example", 8080, NULL, NULL},
        {"HTTP://proxy", "proxy", 3128, NULL, NULL},
        {"proxy.example:8080", "proxy.example", 8080, NULL, NULL},
        {"proxy", "proxy", 3128, NULL, NULL},
        {"http://10.0.0.1:1", "10.0.0.1", 1, NULL, NULL},
        {"http://[fd00::1]:65535", "fd00::1", 65535, NULL, NULL},
        {"[::1]", "::1", 3128, NULL, NULL},
        {"http://pr\xc3\xb6xy", "xn--prxy-6qa", 3128, NULL, NULL},
        {"http://alice@proxy:80", "proxy", 80, "alice", NULL},
        {"http://alice:secret@proxy", "proxy", 3128, "alice", "secret"},
        {"alice:secret@proxy:80", "proxy", 80, "alice", "secret"},
        {"http://al%69ce:a%3ab%40c%2F%25@proxy", "proxy", 3128, "alice", "a:b@c/%"},
        {"http://alice:a:b@c@proxy", "proxy", 3128, "alice", "a:b@c"},
        {"http://alice:@proxy", "proxy", 3128, "alice", ""},
        {"http://DOM%5calice:p@proxy", "proxy", 3128, "DOM\\alice", "p"},
    };

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(SpokeProxySettings) settings = make(rows[i].url, NULL);

        g_assert_cmpstr(settings->host, ==, rows[i].host);
        g_assert_cmpuint(settings->port, ==, rows[i].port);
        g_assert_cmpstr(settings->user, ==, rows[i].user);
        g_assert_cmpstr(settings->password != NULL ? spoke_secret_peek(settings->password) : NULL,
                        ==, rows[i].password);
    }
}

static void
test_new_refuses_bad_urls(void)
{
    static const char *const urls[] = {
        "",
        "http://",
        "http://:8080",
        "http:///",
        "https://proxy:8080",
        "socks5://proxy:1080",
        "file:///etc/passwd",
        "http://proxy:0",
        "http://proxy:65536",
        "http://proxy:http",
        "http://proxy:-1",
        "http://proxy/S3CR3T",
        "http://proxy?S3CR3T",
        "http://proxy#S3CR3T",
        "http://pro xy",
        "http://pro%20xy",
        "http://pr\xfexy",
        "http://[fd00::1",
        "http://fd00::1",
        "http://@proxy",
        "http://:S3CR3T@proxy",
        "http://alice%3a:S3CR3T@proxy",
        "http://alice%0d%0a:S3CR3T@proxy",
        "http://alice:S3CR3T%0d%0aX@proxy",
        "http://alice:S3CR3T%00@proxy",
        "http://alice:S3CR3T%zz@proxy",
        "http://alice:S3CR3T/more@proxy",
        "http://al\xff:S3CR3T@proxy",
    };

    for (guint i = 0; i < G_N_ELEMENTS(urls); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_null(spoke_proxy_settings_new(urls[i], NULL, NULL, NULL, &error));
        g_assert_error(error, SPOKE_ERROR, SPOKE_ERROR_INVALID_CONFIG);
        g_assert_null(strstr(error->message, "S3CR3T"));
        g_assert_true(g_utf8_validate(error->message, -1, NULL));
    }
}

static void
test_new_prefers_arguments(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(SpokeSecret) password = spoke_secret_new("other", 5);
    g_autoptr(SpokeProxySettings) settings =
        spoke_proxy_settings_new("http://alice:secret@proxy", "bob", password, NULL, &error);

    g_assert_no_error(error);
    g_assert_cmpstr(settings->user, ==, "bob");
    g_assert_true(spoke_secret_equal(settings->password, password));
}

static void
test_new_refuses_password_without_user(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(SpokeSecret) password = spoke_secret_new("S3CR3T", 6);

    g_assert_null(spoke_proxy_settings_new("http://proxy", NULL, password, NULL, &error));
    g_assert_error(error, SPOKE_ERROR, SPOKE_ERROR_INVALID_CONFIG);
    g_assert_cmpstr(error->message, ==, "there is a password for the proxy, but no user");
}

static void
test_new_refuses_bad_exceptions(void)
{
    static const char *const lists[] = {
        "10.0.0.0/33",  "fd00::/129", "10.0.0.0/", "10.0.0.0/-1",   "example/8", "a:443",
        "http://a.net", ".",          "*.",        "b\xc3\xbc.net", "ok.net,a/b"};

    for (guint i = 0; i < G_N_ELEMENTS(lists); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_null(spoke_proxy_settings_new("http://proxy", NULL, NULL, lists[i], &error));
        g_assert_error(error, SPOKE_ERROR, SPOKE_ERROR_INVALID_CONFIG);
    }
}

static void
test_apply_to_knows_exceptions(void)
{
    static const struct {
        const char *no_proxy, *host;
        gboolean applies;
    } rows[] = {
        {"", "h.net", TRUE},
        {"", "localhost", TRUE},
        {"*", "h.net", FALSE},
        {"*", "10.1.2.3", FALSE},
        {"h.net", "h.net", FALSE},
        {"H.net", "h.NET", FALSE},
        {"h.net", "h.net.", FALSE},
        {"h.net", "a.h.net", FALSE},
        {"h.net", "ah.net", TRUE},
        {"h.net", "net", TRUE},
        {".h.net", "h.net", TRUE},
        {".h.net", "a.h.net", FALSE},
        {"*.h.net", "h.net", TRUE},
        {"*.h.net", "a.b.h.net", FALSE},
        {"a.net,h.net", "h.net", FALSE},
        {"a.net, h.net", "h.net", FALSE},
        {"  a.net\th.net ,, ", "h.net", FALSE},
        {"10.0.0.1", "10.0.0.1", FALSE},
        {"0.1", "10.0.0.1", TRUE},
        {".0.0.1", "10.0.0.1", TRUE},
        {"10.0.0.0/8", "10.255.0.1", FALSE},
        {"10.1.2.3/8", "10.255.0.1", FALSE},
        {"10.0.0.0/8", "11.0.0.1", TRUE},
        {"10.0.0.128/25", "10.0.0.127", TRUE},
        {"10.0.0.128/25", "10.0.0.129", FALSE},
        {"192.0.2.16/28", "192.0.2.31", FALSE},
        {"192.0.2.16/28", "192.0.2.32", TRUE},
        {"0.0.0.0/0", "192.0.2.32", FALSE},
        {"0.0.0.0/0", "::1", TRUE},
        {"0.0.0.0/0", "h.net", TRUE},
        {"fd00::/8", "fd12:3456::1", FALSE},
        {"fd00::/8", "fe80::1", TRUE},
        {"[::1]", "::1", FALSE},
        {"::1", "0:0:0:0:0:0:0:1", FALSE},
    };

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(SpokeProxySettings) settings = make("http://proxy", rows[i].no_proxy);

        if (spoke_proxy_settings_apply_to(settings, rows[i].host) != rows[i].applies)
            g_error("\"%s\" and %s", rows[i].no_proxy, rows[i].host);
    }
}

static void
test_apply_to_needs_settings(void)
{
    g_assert_false(spoke_proxy_settings_apply_to(NULL, "h.net"));
}

static SpokeProxySettings *
from(const char *first, ...)
{
    g_autoptr(GError) error = NULL;
    g_auto(GStrv) environment = NULL;
    va_list args;

    va_start(args, first);
    for (const char *name = first; name != NULL; name = va_arg(args, const char *))
        environment = g_environ_setenv(environment, name, va_arg(args, const char *), TRUE);
    va_end(args);

    SpokeProxySettings *settings = spoke_proxy_settings_from_environment(environment, &error);
    g_assert_no_error(error);
    return settings;
}

static void
assert_host(SpokeProxySettings *settings, const char *host)
{
    g_autoptr(SpokeProxySettings) owned = settings;

    g_assert_nonnull(owned);
    g_assert_cmpstr(owned->host, ==, host);
}

static void
test_from_environment_knows_names(void)
{
    assert_host(from("https_proxy", "http://a", NULL), "a");
    assert_host(from("HTTPS_PROXY", "http://b:1", NULL), "b");
    assert_host(from("all_proxy", "http://c", NULL), "c");
    assert_host(from("ALL_PROXY", "d:80", NULL), "d");
    assert_host(from("ALL_PROXY", "d", "https_proxy", "a", "HTTPS_PROXY", "b", NULL), "a");
    assert_host(from("https_proxy", "", "all_proxy", "c", NULL), "c");
    g_assert_null(from("http_proxy", "http://a", "no_proxy", "h.net", NULL));
    g_assert_null(from("https_proxy", "", NULL));
    g_assert_null(spoke_proxy_settings_from_environment(NULL, NULL));
}

static void
test_from_environment_spares_loopback(void)
{
    g_autoptr(SpokeProxySettings) settings = from("https_proxy", "p", "NO_PROXY", "h.net", NULL);

    g_assert_false(spoke_proxy_settings_apply_to(settings, "localhost"));
    g_assert_false(spoke_proxy_settings_apply_to(settings, "127.1.2.3"));
    g_assert_false(spoke_proxy_settings_apply_to(settings, "::1"));
    g_assert_false(spoke_proxy_settings_apply_to(settings, "h.net"));
    g_assert_true(spoke_proxy_settings_apply_to(settings, "hub.example"));
}

static void
test_from_environment_passes_over_odd_exceptions(void)
{
    g_autoptr(SpokeProxySettings) settings =
        from("https_proxy", "p", "no_proxy", "192.168.*,http://x,a:1,h.net", NULL);

    g_assert_false(spoke_proxy_settings_apply_to(settings, "h.net"));
    g_assert_true(spoke_proxy_settings_apply_to(settings, "192.168.1.1"));
}

static void
test_from_environment_names_the_variable(void)
{
    g_autoptr(GError) error = NULL;
    g_auto(GStrv) environment =
        g_environ_setenv(NULL, "ALL_PROXY", "socks5://u:S3CR3T@p:1080", TRUE);

    g_assert_null(spoke_proxy_settings_from_environment(environment, &error));
    g_assert_error(error, SPOKE_ERROR, SPOKE_ERROR_INVALID_CONFIG);
    g_assert_cmpstr(error->message, ==,
                    "the environment variable ALL_PROXY: only proxies that speak HTTP can be used: "
                    "http://HOST:PORT");
}

static void
test_equal_compares_who_and_where(void)
{
    g_autoptr(SpokeProxySettings) a = make("http://u:p@proxy:1", "h.net");
    g_autoptr(SpokeProxySettings) same = make("u:p@proxy:1", NULL);
    static const char *const others[] = {"u:p@other:1", "u:p@proxy:2", "v:p@proxy:1",
                                         "u:q@proxy:1", "u@proxy:1",   "proxy:1"};

    g_assert_true(spoke_proxy_settings_equal(a, same));
    g_assert_true(spoke_proxy_settings_equal(NULL, NULL));
    g_assert_false(spoke_proxy_settings_equal(a, NULL));
    for (guint i = 0; i < G_N_ELEMENTS(others); i++) {
        g_autoptr(SpokeProxySettings) other = make(others[i], NULL);

        g_assert_false(spoke_proxy_settings_equal(a, other));
        g_assert_false(spoke_proxy_settings_equal(other, a));
    }
}

static void
test_take_environment_leaves_no_proxy(void)
{
    g_setenv("https_proxy", "http://proxy.example:1", TRUE);
    g_setenv("ALL_PROXY", "http://proxy.example:2", TRUE);
    g_setenv("no_proxy", "hub.example", TRUE);

    g_auto(GStrv) environment = spoke_proxy_take_environment();

    g_assert_cmpstr(g_environ_getenv(environment, "https_proxy"), ==, "http://proxy.example:1");
    g_assert_cmpstr(g_environ_getenv(environment, "ALL_PROXY"), ==, "http://proxy.example:2");
    g_assert_null(g_getenv("https_proxy"));
    g_assert_null(g_getenv("ALL_PROXY"));
    g_assert_cmpstr(g_getenv("no_proxy"), ==, "hub.example");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/proxy/new/reads-urls", test_new_reads_urls);
    g_test_add_func("/proxy/new/refuses-bad-urls", test_new_refuses_bad_urls);
    g_test_add_func("/proxy/new/prefers-arguments", test_new_prefers_arguments);
    g_test_add_func("/proxy/new/refuses-password-without-user",
                    test_new_refuses_password_without_user);
    g_test_add_func("/proxy/new/refuses-bad-exceptions", test_new_refuses_bad_exceptions);
    g_test_add_func("/proxy/apply-to/knows-exceptions", test_apply_to_knows_exceptions);
    g_test_add_func("/proxy/apply-to/needs-settings", test_apply_to_needs_settings);
    g_test_add_func("/proxy/from-environment/knows-names", test_from_environment_knows_names);
    g_test_add_func("/proxy/from-environment/spares-loopback",
                    test_from_environment_spares_loopback);
    g_test_add_func("/proxy/from-environment/passes-over-odd-exceptions",
                    test_from_environment_passes_over_odd_exceptions);
    g_test_add_func("/proxy/from-environment/names-the-variable",
                    test_from_environment_names_the_variable);
    g_test_add_func("/proxy/equal/compares-who-and-where", test_equal_compares_who_and_where);
    g_test_add_func("/proxy/take-environment/leaves-no-proxy",
                    test_take_environment_leaves_no_proxy);
    return g_test_run();
}
