/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/proxy.h"

#include "daemon/error.h"

#include <gio/gio.h>
#include <string.h>

/* What squid listens on, and what people mean who leave it out. */
#define PORT_DEFAULT 3128

static gboolean
fail(GError **error, const char *what)
{
    g_set_error_literal(error, SPOKE_ERROR, SPOKE_ERROR_INVALID_CONFIG, what);
    return FALSE;
}

static gboolean
take_user_info(SpokeProxySettings *self, const char *user_info, GError **error)
{
    const char *colon = strchr(user_info, ':');
    g_autofree char *raw_user =
        colon != NULL ? g_strndup(user_info, (gsize)(colon - user_info)) : g_strdup(user_info);

    self->user = g_uri_unescape_string(raw_user, NULL);
    if (colon != NULL) {
        char *password = g_uri_unescape_string(colon + 1, NULL);

        if (password == NULL)
            return fail(error, "the password in the proxy's URL is not encoded properly");
        self->password = spoke_secret_new(password, strlen(password));
        explicit_bzero(password, strlen(password));
        g_free(password);
    }
    return self->user != NULL || fail(error, "the user in the proxy's URL is not encoded properly");
}

static gboolean
take_url(SpokeProxySettings *self, const char *url, GError **error)
{
    g_autofree char *whole =
        strstr(url, "://") != NULL ? g_strdup(url) : g_strconcat("http://", url, NULL);
    g_autoptr(GUri) uri = g_uri_parse(whole, G_URI_FLAGS_ENCODED, NULL);

    explicit_bzero(whole, strlen(whole));
    if (uri == NULL || g_uri_get_host(uri) == NULL || *g_uri_get_host(uri) == '\0')
        return fail(error, "is no URL of a proxy; it looks like http://proxy.example:3128");
    if (!g_str_equal(g_uri_get_scheme(uri), "http"))
        return fail(error, "only proxies that speak HTTP can be used: http://HOST:PORT");
    if (strlen(g_uri_get_path(uri)) > 1 || g_uri_get_query(uri) != NULL)
        return fail(error, "a proxy's URL ends with its port: http://HOST:PORT");

    self->host = g_strdup(g_uri_get_host(uri));
    self->port = g_uri_get_port(uri) > 0 ? (guint16)g_uri_get_port(uri) : PORT_DEFAULT;
    return g_uri_get_userinfo(uri) == NULL || take_user_info(self, g_uri_get_userinfo(uri), error);
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
    if (self->password != NULL && self->user == NULL) {
        fail(error, "there is a password for the proxy, but no user");
        return NULL;
    }
    self->no_proxy = g_strsplit_set(no_proxy != NULL ? no_proxy : "", ", \t", -1);
    return g_steal_pointer(&self);
}

static const char *
look_up(char **environment, const char *const *names)
{
    for (; *names != NULL; names++) {
        const char *value = g_environ_getenv(environment, *names);

        if (value != NULL && *value != '\0')
            return value;
    }
    return NULL;
}

SpokeProxySettings *
spoke_proxy_settings_from_environment(char **environment, GError **error)
{
    static const char *const urls[] = {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY",
                                       NULL};
    static const char *const exceptions[] = {"no_proxy", "NO_PROXY", NULL};
    const char *url = look_up(environment, urls);

    if (url == NULL)
        return NULL;
    return spoke_proxy_settings_new(url, NULL, NULL, look_up(environment, exceptions), error);
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

static gboolean
is_in_network(const char *network, GInetAddress *address)
{
    g_autoptr(GInetAddressMask) mask = g_inet_address_mask_new_from_string(network, NULL);

    return mask != NULL && address != NULL && g_inet_address_mask_matches(mask, address);
}

/* "example.com" stands for the host and all below it, as ".example.com" does for those below. */
static gboolean
is_in_domain(const char *domain, const char *host)
{
    size_t host_size = strlen(host), size = strlen(domain);

    if (size == 0 || size > host_size || g_ascii_strcasecmp(host + host_size - size, domain) != 0)
        return FALSE;
    return size == host_size || *domain == '.' || host[host_size - size - 1] == '.';
}

gboolean
spoke_proxy_settings_apply_to(const SpokeProxySettings *settings, const char *host)
{
    g_autoptr(GInetAddress) address = g_inet_address_new_from_string(host);

    if (settings == NULL || g_ascii_strcasecmp(host, "localhost") == 0 ||
        (address != NULL && g_inet_address_get_is_loopback(address)))
        return FALSE;
    for (char **entry = settings->no_proxy; *entry != NULL; entry++) {
        if (g_str_equal(*entry, "*") || is_in_domain(*entry, host) ||
            is_in_network(*entry, address))
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
