/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/secret.h"

#include <glib.h>

/*
 * The HTTP proxy of this machine and what does not need it, from [Proxy] of the configuration or,
 * where that says nothing, from the environment: https_proxy or all_proxy (also in capitals), and
 * no_proxy, beside which loopback needs none. Constant once made, shared by reference.
 */
typedef struct {
    gatomicrefcount ref_count;
    char *host;
    guint16 port;
    char *user;            /* NULL: without authentication */
    SpokeSecret *password; /* NULL: none */
    char **no_proxy; /* hosts (and all below), .domains (those below), addresses, networks, "*" */
} SpokeProxySettings;

/**
 * spoke_proxy_settings_new:
 * @url: http://[user[:password]@]host[:port]; a port that is missing is 3128
 * @user: (nullable): instead of the one in @url
 * @password: (nullable): likewise
 * @no_proxy: (nullable): separated by commas or white space
 *
 * Errors: SPOKE_ERROR_INVALID_CONFIG; the text never quotes @url, which may hold a password.
 *
 * Returns: (transfer full) (nullable)
 */
SpokeProxySettings *spoke_proxy_settings_new(const char *url, const char *user,
                                             SpokeSecret *password, const char *no_proxy,
                                             GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* From @environment (as of g_get_environ()). Without a proxy there: NULL and no error. What is not
 * understood in no_proxy is passed over. */
SpokeProxySettings *spoke_proxy_settings_from_environment(char **environment, GError **error);
/* A copy of the environment, as of g_get_environ(), out of which the variables that name a proxy
 * are gone then: libraries ask for those by themselves, against the configuration. For main(),
 * while there is one thread. (transfer full) */
char **spoke_proxy_take_environment(void) G_GNUC_WARN_UNUSED_RESULT;
SpokeProxySettings *spoke_proxy_settings_ref(SpokeProxySettings *settings);
void spoke_proxy_settings_unref(SpokeProxySettings *settings); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpokeProxySettings, spoke_proxy_settings_unref)

/* Whether @host is reached through it: what no_proxy lists is not. @settings NULL: FALSE */
gboolean spoke_proxy_settings_apply_to(const SpokeProxySettings *settings, const char *host);
/* Whether both lead through the same proxy as the same user; what does not need it may differ. */
gboolean spoke_proxy_settings_equal(const SpokeProxySettings *a, const SpokeProxySettings *b);
