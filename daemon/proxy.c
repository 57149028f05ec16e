/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/proxy.h"

#include "daemon/error.h"

#include <gio/gio.h>
#include <string.h>

/*
 * A URL is cut up by hand as far as the user and the password go, so that no library makes copies
 * of them. Exceptions are understood the way most programs do that look at no_proxy; where they
 * differ, the reading that leaves more to the proxy is taken.
 */

/* The environment is meant for the world outside. */
#define LOOPBACK "localhost,127.0.0.0/8,::1,"

/* What squid listens on, and what people mean who leave it out. */
#define PORT_DEFAULT 3128

#define SEPARATORS ", \t"

static gboolean
fail(GError **error, const char *what)
{
    g_set_error_literal(error, SPOKE_ERROR, SPOKE_ERROR_INVALID_CONFIG, what);
    return FALSE;
}

/* Basic authentication joins the two by a colon. Source: RFC 7617, section 2. */
static gboolean
check_user(const char *user, GError **error)
{
    if (*user == '\0' || strchr(user, ':') != NULL)
        return fail(error, "the user of a proxy can't be empty or have a colon in the name");
    if (!g_utf8_validate(user, -1, NULL))
        return fail(error, "the user of the proxy is not text in UTF-8");
    for (const char *c = user; *c != '\0'; c++) {
        if (g_ascii_iscntrl(*c))
            return fail(error, "there is a control character in the proxy's user");
    }
    return TRUE;
}

static gboolean
check_password(const SpokeSecret *password, GError **error)
{
    const char *bytes = spoke_secret_peek(password);

    for (size_t i = 0; i < spoke_secret_get_size(password); i++) {
        if (g_ascii_iscntrl(bytes[i]))
            return fail(error, "there is a control character in the proxy's password");
    }
    return TRUE;
}

/* @size: of the part of @user_info that is one */
static gboolean
take_user_info(SpokeProxySettings *self, const char *user_info, size_t size, GError **error)
{
    const char *end = user_info + size, *colon = memchr(user_info, ':', size);

    self->user = g_uri_unescape_segment(user_info, colon != NULL ? colon : end, NULL);
    if (self->user == NULL)
        return fail(error, "the user in the proxy's URL is not encoded properly");
    if (colon == NULL)
        return TRUE;

    char *password = g_uri_unescape_segment(colon + 1, end, NULL);

    if (password == NULL)
        return fail(error, "the password in the proxy's URL is not encoded properly");
    self->password = spoke_secret_new_take(password);
    return TRUE;
}

static gboolean
take_host_and_port(SpokeProxySettings *self, const char *text, GError **error)
{
    g_autofree char *url = g_strconcat("http://", text, NULL);
    g_autoptr(GUri) uri = g_uri_parse(url, G_URI_FLAGS_NONE, NULL);
    const char *host = uri != NULL ? g_uri_get_host(uri) : NULL;

    if (host == NULL || g_uri_get_userinfo(uri) != NULL)
        return fail(error, "is no URL of a proxy; it looks like http://proxy.example:3128");
    if (!g_hostname_is_ip_address(host) &&
        (*host == '\0' ||
         strspn(host, G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS "-._") != strlen(host)))
        return fail(error, "is no URL of a proxy: its host is not a name or an address");
    if (strlen(g_uri_get_path(uri)) > 1 || g_uri_get_query(uri) != NULL ||
        g_uri_get_fragment(uri) != NULL)
        return fail(error, "a proxy's URL ends with its port: http://HOST:PORT");
    if (g_uri_get_port(uri) == 0)
        return fail(error, "a proxy can't be at port 0");

    self->host = g_strdup(host);
    self->port = g_uri_get_port(uri) > 0 ? (guint16)g_uri_get_port(uri) : PORT_DEFAULT;
    return TRUE;
}

static gboolean
take_url(SpokeProxySettings *self, const char *url, GError **error)
{
    const char *rest = strstr(url, "://");

    if (rest != NULL && (rest - url != 4 || g_ascii_strncasecmp(url, "http", 4) != 0))
        return fail(error, "only proxies that speak HTTP can be used: http://HOST:PORT");
    rest = rest != NULL ? rest + 3 : url;

    size_t size = strcspn(rest, "/?#");
    const char *at = memrchr(rest, '@', size);

    if (at != NULL && !take_user_info(self, rest, (size_t)(at - rest), error))
        return FALSE;
    return take_host_and_port(self, at != NULL ? at + 1 : rest, error);
}

/* "10.0.0.0/8", "fd00::/8", an address alone; bits behind the prefix don't matter. */
static gboolean
parse_network(const char *text, GInetAddress **ret_address, guint *ret_bits)
{
    g_auto(GStrv) parts = g_strsplit(text, "/", 2);
    size_t size = strlen(parts[0]);
    gboolean is_bracketed = size > 2 && parts[0][0] == '[' && parts[0][size - 1] == ']';
    guint64 bits = 0;

    if (is_bracketed)
        parts[0][size - 1] = '\0';

    g_autoptr(GInetAddress) address = g_inet_address_new_from_string(parts[0] + is_bracketed);

    if (address == NULL)
        return FALSE;
    bits = g_inet_address_get_native_size(address) * 8;
    if (parts[1] != NULL && !g_ascii_string_to_unsigned(parts[1], 10, 0, bits, &bits, NULL))
        return FALSE;

    *ret_address = g_steal_pointer(&address);
    *ret_bits = (guint)bits;
    return TRUE;
}

static gboolean
is_in_network(const char *network, GInetAddress *address)
{
    g_autoptr(GInetAddress) base = NULL;
    guint bits = 0;

    if (!parse_network(network, &base, &bits) ||
        g_inet_address_get_family(base) != g_inet_address_get_family(address))
        return FALSE;

    const guint8 *a = g_inet_address_to_bytes(base), *b = g_inet_address_to_bytes(address);
    guint rest = bits % 8, mask = 0xff00u >> rest;

    return memcmp(a, b, bits / 8) == 0 &&
           (rest == 0 || ((a[bits / 8] ^ b[bits / 8]) & mask & 0xff) == 0);
}

/* "example.com" stands for the host and all below it, ".example.com" and "*.example.com" for those
 * below. */
static gboolean
is_in_domain(const char *domain, const char *host)
{
    size_t host_size = strlen(host);

    if (g_str_has_prefix(domain, "*."))
        domain++;
    if (host_size > 0 && host[host_size - 1] == '.')
        host_size--;

    size_t size = strlen(domain);

    if (size == 0 || size > host_size ||
        g_ascii_strncasecmp(host + host_size - size, domain, size) != 0)
        return FALSE;
    return *domain == '.' ? size < host_size
                          : size == host_size || host[host_size - size - 1] == '.';
}

static gboolean
is_exception(const char *text)
{
    g_autoptr(GInetAddress) address = NULL;
    guint bits = 0;

    if (g_str_equal(text, "*") || parse_network(text, &address, &bits))
        return TRUE;
    if (g_str_has_prefix(text, "*."))
        text++;
    return text[*text == '.'] != '\0' &&
           strspn(text, G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS "-._") == strlen(text);
}

/* @no_proxy: (nullable). (transfer full) */
static char **
split_exceptions(const char *no_proxy)
{
    g_auto(GStrv) words = g_strsplit_set(no_proxy != NULL ? no_proxy : "", SEPARATORS, -1);
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();

    for (char **word = words; *word != NULL; word++) {
        if (**word != '\0')
            g_strv_builder_add(builder, *word);
    }
    return g_strv_builder_end(builder);
}

static gboolean
check_whole(const SpokeProxySettings *self, GError **error)
{
    if (self->user != NULL && !check_user(self->user, error))
        return FALSE;
    if (self->password != NULL && self->user == NULL)
        return fail(error, "there is a password for the proxy, but no user");
    if (self->password != NULL && !check_password(self->password, error))
        return FALSE;
    for (char **entry = self->no_proxy; *entry != NULL; entry++) {
        if (!is_exception(*entry))
            return fail(error, "the hosts that need no proxy are names, .domains, addresses, "
                               "networks (10.0.0.0/8) or *, separated by commas or spaces");
    }
    return TRUE;
}

SpokeProxySettings *
spoke_proxy_settings_new(const char *url, const char *user, SpokeSecret *password,
                         const char *no_proxy, GError **error)
{
    g_autoptr(SpokeProxySettings) self = g_new0(SpokeProxySettings, 1);

    g_atomic_ref_count_init(&self->ref_count);
    if (!take_url(self, url, error))
        return NULL;
    if (user != NULL && *user != '\0') {
        g_free(self->user);
        self->user = g_strdup(user);
    }
    if (password != NULL) {
        spoke_secret_unref(self->password);
        self->password = spoke_secret_ref(password);
    }
    self->no_proxy = split_exceptions(no_proxy);
    return check_whole(self, error) ? g_steal_pointer(&self) : NULL;
}

static const char *
look_up(char **environment, const char *const *names, const char **ret_name)
{
    for (; *names != NULL; names++) {
        const char *value = g_environ_getenv(environment, *names);

        if (value == NULL || *value == '\0')
            continue;
        *ret_name = *names;
        return value;
    }
    return NULL;
}

/* What other programs pass over in no_proxy is not worth failing for. (transfer full) */
static char *
tidy_exceptions(const char *no_proxy)
{
    g_auto(GStrv) words = split_exceptions(no_proxy);
    g_autoptr(GString) tidy = g_string_new(LOOPBACK);

    for (char **word = words; *word != NULL; word++) {
        if (is_exception(*word))
            g_string_append_printf(tidy, "%s,", *word);
    }
    return g_string_free(g_steal_pointer(&tidy), FALSE);
}

SpokeProxySettings *
spoke_proxy_settings_from_environment(char **environment, GError **error)
{
    static const char *const urls[] = {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY",
                                       NULL};
    static const char *const exceptions[] = {"no_proxy", "NO_PROXY", NULL};
    const char *name = NULL, *ignored = NULL;
    const char *url = look_up(environment, urls, &name);

    if (url == NULL)
        return NULL;

    g_autofree char *no_proxy = tidy_exceptions(look_up(environment, exceptions, &ignored));
    SpokeProxySettings *settings = spoke_proxy_settings_new(url, NULL, NULL, no_proxy, error);

    if (settings == NULL)
        g_prefix_error(error, "the environment variable %s: ", name);
    return settings;
}

char **
spoke_proxy_take_environment(void)
{
    static const char *const names[] = {"http_proxy",  "HTTP_PROXY", "https_proxy",
                                        "HTTPS_PROXY", "all_proxy",  "ALL_PROXY"};
    char **environment = g_get_environ();

    for (guint i = 0; i < G_N_ELEMENTS(names); i++)
        g_unsetenv(names[i]);
    return environment;
}

SpokeProxySettings *
spoke_proxy_settings_ref(SpokeProxySettings *settings)
{
    g_atomic_ref_count_inc(&settings->ref_count);
    return settings;
}

void
spoke_proxy_settings_unref(SpokeProxySettings *settings)
{
    if (settings == NULL || !g_atomic_ref_count_dec(&settings->ref_count))
        return;

    g_free(settings->host);
    g_free(settings->user);
    spoke_secret_unref(settings->password);
    g_strfreev(settings->no_proxy);
    g_free(settings);
}

gboolean
spoke_proxy_settings_apply_to(const SpokeProxySettings *settings, const char *host)
{
    g_autoptr(GInetAddress) address = g_inet_address_new_from_string(host);

    if (settings == NULL)
        return FALSE;
    for (char **entry = settings->no_proxy; *entry != NULL; entry++) {
        if (g_str_equal(*entry, "*") ||
            (address != NULL ? is_in_network(*entry, address) : is_in_domain(*entry, host)))
            return FALSE;
    }
    return TRUE;
}

static gboolean
are_same_passwords(SpokeSecret *a, SpokeSecret *b)
{
    return a == b || (a != NULL && b != NULL && spoke_secret_equal(a, b));
}

gboolean
spoke_proxy_settings_equal(const SpokeProxySettings *a, const SpokeProxySettings *b)
{
    if (a == NULL || b == NULL)
        return a == b;
    return g_str_equal(a->host, b->host) && a->port == b->port &&
           g_strcmp0(a->user, b->user) == 0 && are_same_passwords(a->password, b->password);
}
