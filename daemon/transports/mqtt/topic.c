/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/transports/mqtt/topic.h"

#include "daemon/transports/mqtt/bag.h"

/* Source: iot-hub-protocol.md, 2.1 and 13. */
#define API_VERSION "2021-04-12"

char *
spoke_topic_client_id(const SpokeIdentity *identity)
{
    if (identity->module_id == NULL)
        return g_strdup(identity->device_id);
    return g_strconcat(identity->device_id, "/", identity->module_id, NULL);
}

char *
spoke_topic_user_name(const SpokeIdentity *identity, const char *product)
{
    GString *name = g_string_new(identity->hub);

    g_string_append_printf(name, "/%s/", identity->device_id);
    if (identity->module_id != NULL)
        g_string_append_printf(name, "%s/", identity->module_id);
    g_string_append(name, "?api-version=" API_VERSION "&DeviceClientType=");
    spoke_bag_append_encoded(name, product);
    return g_string_free(name, FALSE);
}

char *
spoke_topic_events(const SpokeIdentity *identity)
{
    if (identity->module_id == NULL)
        return g_strconcat("devices/", identity->device_id, "/messages/events/", NULL);
    return g_strconcat("devices/", identity->device_id, "/modules/", identity->module_id,
                       "/messages/events/", NULL);
}

char *
spoke_topic_devicebound(const SpokeIdentity *identity)
{
    if (identity->module_id != NULL)
        return NULL;
    return g_strconcat("devices/", identity->device_id, "/messages/devicebound/", NULL);
}
