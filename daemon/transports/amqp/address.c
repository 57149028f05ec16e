/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/transports/amqp/address.h"

/* The hub decodes what is encoded, and SDKs encode nothing: of what an id may have in it, only what
 * would not be the same once decoded is. Source: iot-hub-protocol.md, 1.1. */
static char *
encode(const char *id)
{
    return g_uri_escape_string(id, G_URI_RESERVED_CHARS_ALLOWED_IN_PATH_ELEMENT, FALSE);
}

char *
spoke_amqp_address_new(const SpokeIdentity *identity)
{
    g_autofree char *device = encode(identity->device_id);

    if (identity->module_id == NULL)
        return g_strconcat("/devices/", device, NULL);

    g_autofree char *module = encode(identity->module_id);

    return g_strconcat("/devices/", device, "/modules/", module, NULL);
}
