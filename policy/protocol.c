/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/protocol.h"

/* AMQP's number is the hub's limit. Source: iot-hub-protocol.md, 3.10. */
static const struct {
    const char *name;
    guint identities_max;
} protocols[] = {
    [SPOKE_PROTOCOL_MQTT] = {"mqtt", 1},           [SPOKE_PROTOCOL_MQTT_WS] = {"mqtt-ws", 1},
    [SPOKE_PROTOCOL_AMQP] = {"amqp", 1000},        [SPOKE_PROTOCOL_AMQP_WS] = {"amqp-ws", 1000},
    [SPOKE_PROTOCOL_HTTPS] = {"https", G_MAXUINT},
};
G_STATIC_ASSERT(G_N_ELEMENTS(protocols) == SPOKE_N_PROTOCOLS);

const char *
spoke_protocol_to_string(SpokeProtocol protocol)
{
    g_return_val_if_fail((guint)protocol < SPOKE_N_PROTOCOLS, "");

    return protocols[protocol].name;
}

gboolean
spoke_protocol_from_string(const char *name, SpokeProtocol *ret_protocol)
{
    for (guint i = 0; i < SPOKE_N_PROTOCOLS; i++) {
        if (g_str_equal(protocols[i].name, name)) {
            *ret_protocol = i;
            return TRUE;
        }
    }
    return FALSE;
}

guint
spoke_protocol_get_identities_max(SpokeProtocol protocol)
{
    g_return_val_if_fail((guint)protocol < SPOKE_N_PROTOCOLS, 1);

    return protocols[protocol].identities_max;
}

gboolean
spoke_protocols_parse(const char *text, SpokeProtocols *ret_protocols)
{
    g_auto(GStrv) words = g_strsplit_set(text, " \t,", -1);
    SpokeProtocols found = 0;

    for (char **word = words; *word != NULL; word++) {
        SpokeProtocol protocol = SPOKE_PROTOCOL_MQTT;

        if (**word == '\0')
            continue;
        if (!spoke_protocol_from_string(*word, &protocol))
            return FALSE;
        found |= SPOKE_PROTOCOL_BIT(protocol);
    }
    if (found == 0)
        return FALSE;

    *ret_protocols = found;
    return TRUE;
}
