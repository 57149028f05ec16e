/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/connection-options.h"

void
spoke_connection_options_clear(SpokeConnectionOptions *options)
{
    g_free((char *)options->transport_dir);
    g_free((char *)options->transport);
    g_free((char *)options->host);
    g_free((char *)options->ca_file);
    g_free((char *)options->certificate_file);
    g_free((char *)options->key_file);
    g_free((char *)options->certificate_digest);
    spoke_proxy_settings_unref(options->proxy);
    *options = (SpokeConnectionOptions){0};
}

void
spoke_connection_options_copy(SpokeConnectionOptions *options, const SpokeConnectionOptions *source)
{
    SpokeConnectionOptions copy = *source;

    copy.transport_dir = g_strdup(source->transport_dir);
    copy.transport = g_strdup(source->transport);
    copy.host = g_strdup(source->host);
    copy.ca_file = g_strdup(source->ca_file);
    copy.certificate_file = g_strdup(source->certificate_file);
    copy.key_file = g_strdup(source->key_file);
    copy.certificate_digest = g_strdup(source->certificate_digest);
    copy.proxy = source->proxy != NULL ? spoke_proxy_settings_ref(source->proxy) : NULL;
    spoke_connection_options_clear(options);
    *options = copy;
}

gboolean
spoke_connection_options_can_share(const SpokeConnectionOptions *a, const SpokeConnectionOptions *b)
{
    return g_strcmp0(a->host, b->host) == 0 &&
           g_strcmp0(a->certificate_file, b->certificate_file) == 0 &&
           g_strcmp0(a->key_file, b->key_file) == 0;
}

gboolean
spoke_connection_options_equal(const SpokeConnectionOptions *a, const SpokeConnectionOptions *b)
{
    return spoke_connection_options_can_share(a, b) &&
           g_strcmp0(a->transport_dir, b->transport_dir) == 0 &&
           g_strcmp0(a->transport, b->transport) == 0 && a->port == b->port &&
           g_strcmp0(a->ca_file, b->ca_file) == 0 &&
           g_strcmp0(a->certificate_digest, b->certificate_digest) == 0 &&
           spoke_proxy_settings_equal(a->proxy, b->proxy) && a->keepalive_sec == b->keepalive_sec &&
           a->connect_timeout_sec == b->connect_timeout_sec &&
           a->poll_interval_usec == b->poll_interval_usec;
}
