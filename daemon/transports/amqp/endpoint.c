/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/transports/amqp/endpoint.h"

#include <string.h>

/* One block: the view that others get, and its proxy. */
typedef struct {
    SpokeEndpoint endpoint; /* its strings are owned */
    SpokeProxy proxy;       /* likewise */
} Copy;

SpokeEndpoint *
spoke_amqp_endpoint_copy(const SpokeEndpoint *endpoint)
{
    Copy *copy = g_new0(Copy, 1);

    copy->endpoint = *endpoint;
    copy->endpoint.host = g_strdup(endpoint->host);
    copy->endpoint.ca_file = g_strdup(endpoint->ca_file);
    copy->endpoint.certificate_file = g_strdup(endpoint->certificate_file);
    copy->endpoint.key_file = g_strdup(endpoint->key_file);
    copy->endpoint.product = g_strdup(endpoint->product);
    if (endpoint->proxy != NULL) {
        copy->proxy.host = g_strdup(endpoint->proxy->host);
        copy->proxy.port = endpoint->proxy->port;
        copy->proxy.user = g_strdup(endpoint->proxy->user);
        copy->proxy.password = spoke_secret_ref(endpoint->proxy->password);
        copy->endpoint.proxy = &copy->proxy;
    }
    return &copy->endpoint;
}

void
spoke_amqp_endpoint_free(SpokeEndpoint *endpoint)
{
    if (endpoint == NULL)
        return;

    Copy *copy = (Copy *)endpoint;

    g_free((char *)endpoint->host);
    g_free((char *)endpoint->ca_file);
    g_free((char *)endpoint->certificate_file);
    g_free((char *)endpoint->key_file);
    g_free((char *)endpoint->product);
    g_free((char *)copy->proxy.host);
    g_free((char *)copy->proxy.user);
    spoke_secret_unref(copy->proxy.password);
    g_free(copy);
}

char *
spoke_amqp_endpoint_format(const SpokeEndpoint *endpoint)
{
    gboolean is_ipv6 = strchr(endpoint->host, ':') != NULL;

    return g_strdup_printf(is_ipv6 ? "[%s]:%u" : "%s:%u", endpoint->host, endpoint->port);
}
