/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/transport-names.h"

#include "policy/protocol.h"

/* In which member of the configuration the port is. */
static const gsize ports[] = {
    [SPOKE_PROTOCOL_MQTT] = G_STRUCT_OFFSET(SpokeConfig, mqtt_port),
    [SPOKE_PROTOCOL_MQTT_WS] = G_STRUCT_OFFSET(SpokeConfig, https_port),
    [SPOKE_PROTOCOL_AMQP] = G_STRUCT_OFFSET(SpokeConfig, amqp_port),
    [SPOKE_PROTOCOL_AMQP_WS] = G_STRUCT_OFFSET(SpokeConfig, https_port),
    [SPOKE_PROTOCOL_HTTPS] = G_STRUCT_OFFSET(SpokeConfig, https_port),
};
G_STATIC_ASSERT(G_N_ELEMENTS(ports) == SPOKE_N_PROTOCOLS);

gboolean
spoke_transport_name_is_known(const char *name)
{
    SpokeProtocol protocol = SPOKE_PROTOCOL_MQTT;

    return spoke_protocol_from_string(name, &protocol);
}

guint16
spoke_transport_name_get_port(const SpokeConfig *config)
{
    SpokeProtocol protocol = SPOKE_PROTOCOL_MQTT;
    gboolean is_known = spoke_protocol_from_string(config->transport, &protocol);

    g_return_val_if_fail(is_known, 0);
    return G_STRUCT_MEMBER(guint16, config, ports[protocol]);
}

char *
spoke_transport_names_join(guint identities_min, const char *conjunction)
{
    GString *text = g_string_new(NULL);
    const char *last = NULL;

    for (SpokeProtocol protocol = 0; protocol < SPOKE_N_PROTOCOLS; protocol++) {
        if (spoke_protocol_get_identities_max(protocol) < identities_min)
            continue;
        if (last != NULL)
            g_string_append_printf(text, "%s%s", text->len > 0 ? ", " : "", last);
        last = spoke_protocol_to_string(protocol);
    }
    if (text->len > 0)
        g_string_append_printf(text, " %s ", conjunction);
    g_string_append(text, last != NULL ? last : "");
    return g_string_free(text, FALSE);
}
