/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* CONNECT's credentials. A username that cannot be read gets code 4; whatever is wrong with who
 * one is or what one presents gets code 5, as SDKs expect it of the hub. */

#include "mqtt-login.h"

#include "access.h"
#include "error.h"
#include "faults.h"
#include "hub.h"
#include "topic.h"

#include <string.h>

void
emu_login_clear(EmuLogin *login)
{
    g_clear_pointer(&login->client_id, g_free);
    g_clear_pointer(&login->model_id, g_free);
}

static gboolean
is_protocol(const EmuMqttConnect *connect)
{
    return connect->protocol.size == 4 && memcmp(connect->protocol.text, "MQTT", 4) == 0 &&
           connect->level == 4;
}

/* The client id is the identity: `{device}`, or `{device}/{module}`. */
static gboolean
is_client_id_of(const char *client_id, const EmuUsername *username)
{
    if (username->module_id == NULL)
        return g_str_equal(client_id, username->device_id);

    g_autofree char *expected = g_strconcat(username->device_id, "/", username->module_id, NULL);
    return g_str_equal(client_id, expected);
}

static EmuConnackCode
check_identity(EmuHub *hub, const EmuUsername *username, const EmuCredential *credential,
               EmuLogin *login, GError **error)
{
    const EmuHubOptions *options = emu_hub_options(hub);

    if (g_ascii_strcasecmp(username->host, options->host) != 0) {
        g_set_error(error, EMU_ERROR, EMU_ERROR_UNAUTHORIZED, "Hub %s is not %s", username->host,
                    options->host);
        return EMU_CONNACK_NOT_AUTHORIZED;
    }

    login->identity =
        emu_registry_find(emu_hub_registry(hub), username->device_id, username->module_id);
    if (login->identity == NULL) {
        g_set_error(error, EMU_ERROR, EMU_ERROR_NOT_FOUND, "%s does not exist", login->client_id);
        return EMU_CONNACK_NOT_AUTHORIZED;
    }
    if (!emu_access_check_credential(emu_hub_registry(hub), options->host, login->identity,
                                     credential, emu_hub_now_usec(hub) / G_USEC_PER_SEC,
                                     options->sas_grace_sec, &login->expiry_sec, error))
        return EMU_CONNACK_NOT_AUTHORIZED;
    login->auth_type = emu_identity_auth_type(login->identity);
    return EMU_CONNACK_ACCEPTED;
}

EmuConnackCode
emu_mqtt_login(EmuHub *hub, const EmuMqttConnect *connect, GTlsCertificate *peer,
               EmuLogin *ret_login, GError **error)
{
    const EmuCredential credential = {connect->password.text, connect->password.size, peer};
    g_auto(EmuUsername) username = {0};
    g_auto(EmuLogin) login = {0};
    guint fault_code = 0;

    if (!is_protocol(connect)) {
        g_set_error(error, EMU_ERROR, EMU_ERROR_ARGUMENT, "Protocol is not MQTT 3.1.1 but level %u",
                    connect->level);
        return EMU_CONNACK_BAD_PROTOCOL;
    }
    if (connect->username.text == NULL ||
        !emu_username_parse(connect->username.text, connect->username.size, &username, error)) {
        if (error != NULL && *error == NULL)
            g_set_error(error, EMU_ERROR, EMU_ERROR_ARGUMENT, "CONNECT has no username");
        return EMU_CONNACK_BAD_CREDENTIALS;
    }

    login.client_id = g_strndup(connect->client_id.text, connect->client_id.size);
    if (!is_client_id_of(login.client_id, &username)) {
        g_set_error(error, EMU_ERROR, EMU_ERROR_ARGUMENT,
                    "Client id %s is not the identity in the username", login.client_id);
        return EMU_CONNACK_BAD_CLIENT_ID;
    }
    if (emu_faults_refuses_login(emu_hub_faults(hub), username.device_id, &fault_code)) {
        g_set_error(error, EMU_ERROR, EMU_ERROR_SERVER, "%s is refused on request",
                    login.client_id);
        return (EmuConnackCode)fault_code;
    }

    EmuConnackCode code = check_identity(hub, &username, &credential, &login, error);
    if (code != EMU_CONNACK_ACCEPTED)
        return code;
    login.model_id = g_steal_pointer(&username.model_id);
    *ret_login = login;
    login = (EmuLogin){0};
    return EMU_CONNACK_ACCEPTED;
}
