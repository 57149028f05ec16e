/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* libsoup does the handshake itself, with the one subprotocol that was found here: it compares
 * with regard to case, and devices spell it in two ways. */

#include "websocket-handshake.h"

#include "amqp-session.h"
#include "error.h"
#include "https-path.h"
#include "mqtt-session.h"

#include <string.h>

static const struct {
    const char *protocol;
    const EmuSessionKind *kind;
} protocols[] = {
    {"mqtt", &emu_mqtt_sessions},
    {"AMQPWSB10", &emu_amqp_sessions},
};

gboolean
emu_websocket_is_handshake(SoupServerMessage *message)
{
    const char *upgrade =
        soup_message_headers_get_one(soup_server_message_get_request_headers(message), "Upgrade");

    return upgrade != NULL && g_ascii_strcasecmp(upgrade, "websocket") == 0;
}

static const EmuSessionKind *
kind_of(const char *protocol)
{
    for (size_t i = 0; i < G_N_ELEMENTS(protocols); i++) {
        if (g_ascii_strcasecmp(protocols[i].protocol, protocol) == 0)
            return protocols[i].kind;
    }
    return NULL;
}

/* The first subprotocol offered that the hub has. */
static const EmuSessionKind *
choose(SoupServerMessage *message, char **ret_protocol)
{
    const char *offer = soup_message_headers_get_list(
        soup_server_message_get_request_headers(message), "Sec-WebSocket-Protocol");
    g_auto(GStrv) offered = g_strsplit(offer != NULL ? offer : "", ",", -1);

    for (size_t i = 0; offered[i] != NULL; i++) {
        const EmuSessionKind *kind = kind_of(g_strstrip(offered[i]));
        if (kind != NULL) {
            *ret_protocol = g_strdup(offered[i]);
            return kind;
        }
    }
    return NULL;
}

const EmuSessionKind *
emu_websocket_handshake(SoupServerMessage *message, GError **error)
{
    const char *path = g_uri_get_path(soup_server_message_get_uri(message));
    g_autofree char *protocol = NULL;

    if (!emu_https_path_is_websocket(path)) {
        g_set_error(error, EMU_ERROR, EMU_ERROR_ARGUMENT, "There is no WebSocket at this path");
        return NULL;
    }
    const EmuSessionKind *kind = choose(message, &protocol);
    if (kind == NULL) {
        g_set_error(error, EMU_ERROR, EMU_ERROR_ARGUMENT,
                    "No subprotocol of the hub is among those offered");
        return NULL;
    }
    char *chosen[] = {protocol, NULL};
    if (soup_websocket_server_process_handshake(message, NULL, chosen, NULL, NULL))
        return kind;
    g_set_error(error, EMU_ERROR, EMU_ERROR_ARGUMENT, "This is no proper WebSocket handshake");
    return NULL;
}
