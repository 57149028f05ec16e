/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/error.h"
#include "daemon/proxy.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

/* The input is the proxy's URL, no_proxy and a host, each on a line of its own. */

/* What is accepted can be put into a request's head and into a log. */
static void
check_accepted(const SpokeProxySettings *settings, const char *host)
{
    g_assert_cmpuint(settings->port, >, 0);
    g_assert_true(g_str_is_ascii(settings->host) && *settings->host != '\0');
    g_assert_null(strpbrk(settings->host, " \r\n/@"));
    g_assert_true(settings->user != NULL || settings->password == NULL);
    if (settings->user != NULL) {
        g_assert_true(g_utf8_validate(settings->user, -1, NULL));
        g_assert_null(strpbrk(settings->user, ":\r\n"));
    }
    if (settings->password != NULL)
        g_assert_null(strpbrk(spoke_secret_peek(settings->password), "\r\n"));

    (void)spoke_proxy_settings_apply_to(settings, host);
    g_assert_true(spoke_proxy_settings_equal(settings, settings));
}

/* By one of our own sentences, none of which quotes what was given: all of them are ASCII. */
static void
check_refused(const GError *error)
{
    g_assert_error(error, SPOKE_ERROR, SPOKE_ERROR_INVALID_CONFIG);
    for (const char *c = error->message; *c != '\0'; c++)
        g_assert_true(g_ascii_isprint(*c));
}

/* A list that is refused in the configuration is tidied up in the environment. */
static void
check_environment(const char *url, const char *no_proxy, const char *host, gboolean is_good_url)
{
    g_autoptr(GError) error = NULL;
    g_auto(GStrv) environment = g_environ_setenv(NULL, "https_proxy", url, TRUE);
    environment = g_environ_setenv(environment, "no_proxy", no_proxy, TRUE);
    g_autoptr(SpokeProxySettings) settings =
        spoke_proxy_settings_from_environment(environment, &error);

    if (*url == '\0') {
        g_assert_true(settings == NULL && error == NULL);
    } else if (is_good_url) {
        g_assert_no_error(error);
        check_accepted(settings, host);
        g_assert_false(spoke_proxy_settings_apply_to(settings, "localhost"));
    } else {
        check_refused(error);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree char *text = size > 0 ? g_strndup((const char *)data, size) : g_strdup("");
    g_auto(GStrv) lines = g_strsplit(text, "\n", 3);
    guint n = g_strv_length(lines);
    const char *url = n > 0 ? lines[0] : "", *no_proxy = n > 1 ? lines[1] : "";
    const char *host = n > 2 ? lines[2] : "";
    g_autoptr(GError) error = NULL;
    g_autoptr(SpokeProxySettings) alone = spoke_proxy_settings_new(url, NULL, NULL, NULL, NULL);
    g_autoptr(SpokeProxySettings) settings =
        spoke_proxy_settings_new(url, NULL, NULL, no_proxy, &error);

    if (settings != NULL)
        check_accepted(settings, host);
    else
        check_refused(error);
    check_environment(url, no_proxy, host, alone != NULL);
    return 0;
}
