/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* SASL for Proton, with the hub's mechanisms instead of Proton's own. Three of four let everybody
 * in, because whoever comes shows a token or a certificate later; PLAIN carries a token itself.
 * Source: protocol page, 3.1. */

#include "amqp-private.h"

#include "access.h"
#include "faults.h"

#include <proton/sasl.h>
#include <proton/sasl_plugin.h>
#include <string.h>

#define MECHANISMS "MSSBCBS ANONYMOUS PLAIN EXTERNAL"

/* The identity of `{d}@sas.{hub}` or `{d}/modules/{m}@sas.{hub}`. */
static EmuIdentity *
find_user(EmuHub *hub, const char *user)
{
    g_auto(GStrv) labels = g_strsplit(emu_hub_options(hub)->host, ".", 2);
    g_autofree char *ending = g_strconcat("@sas.", labels[0], NULL);
    size_t user_size = strlen(user);
    size_t ending_size = strlen(ending);

    if (user_size <= ending_size || g_ascii_strcasecmp(user + user_size - ending_size, ending) != 0)
        return NULL;
    g_autofree char *name = g_strndup(user, user_size - ending_size);
    g_auto(GStrv) ids = g_strsplit(name, "/modules/", 2);
    return emu_registry_find(emu_hub_registry(hub), ids[0], ids[1]);
}

/* A token as the password: its owner has the connection for itself. */
static gboolean
login_plain(EmuAmqpSession *self, const char *user, const char *password)
{
    EmuRegistry *registry = emu_hub_registry(self->hub);
    const EmuHubOptions *options = emu_hub_options(self->hub);
    gint64 now_sec = emu_hub_now_usec(self->hub) / G_USEC_PER_SEC;
    gint64 expiry_sec = 0;
    guint code = 0;
    g_autoptr(GError) error = NULL;

    const EmuIdentity *identity = find_user(self->hub, user);
    if (identity == NULL) {
        g_message("Login refused: nobody is called %s", user);
        return FALSE;
    }
    if (emu_faults_refuses_login(emu_hub_faults(self->hub), identity->device_id, &code))
        return FALSE;
    if (!emu_access_check(registry, options->host, identity, password, strlen(password), now_sec,
                          options->sas_grace_sec, &expiry_sec, &error)) {
        g_message("Login refused: %s", error->message);
        return FALSE;
    }

    EmuAmqpDevice *device = emu_amqp_devices_add(self->devices, self, identity);
    emu_amqp_devices_grant(self->devices, device, expiry_sec);
    self->single = TRUE;
    return TRUE;
}

/* Authorization id, user and password, with NULs between them. */
static gboolean
take_plain(EmuAmqpSession *self, const pn_bytes_t *response)
{
    g_autofree char *text = g_malloc0(response->size + 1);
    memcpy(text, response->start, response->size);
    const char *end = text + response->size;
    const char *user = text + strlen(text) + 1;
    const char *password = user < end ? user + strlen(user) + 1 : end;

    return password < end && login_plain(self, user, password);
}

static gboolean
is_let_in(EmuAmqpSession *self, const char *mechanism, const pn_bytes_t *response)
{
    if (g_str_equal(mechanism, "PLAIN"))
        return response->start != NULL && take_plain(self, response);
    if (g_str_equal(mechanism, "EXTERNAL"))
        return self->peer != NULL;
    return g_str_equal(mechanism, "MSSBCBS") || g_str_equal(mechanism, "ANONYMOUS");
}

static void
sasl_free(pn_transport_t *transport)
{
    /* The context is the session, which is not Proton's to free. */
}

static const char *
sasl_list_mechanisms(pn_transport_t *transport)
{
    return MECHANISMS;
}

static bool
sasl_init_server(pn_transport_t *transport)
{
    pnx_sasl_set_desired_state(transport, SASL_POSTED_MECHANISMS);
    return true;
}

static void
sasl_prepare_write(pn_transport_t *transport)
{
    /* Nothing is written but what the other functions have asked for. */
}

static void
sasl_process_init(pn_transport_t *transport, const char *mechanism, const pn_bytes_t *response)
{
    EmuAmqpSession *self = pnx_sasl_get_context(transport);

    if (is_let_in(self, mechanism, response)) {
        pnx_sasl_set_succeeded(transport, "device", NULL);
    } else {
        emu_hub_stats(self->hub)->refused[5]++;
        pnx_sasl_set_failed(transport);
    }
    pnx_sasl_set_desired_state(transport, SASL_POSTED_OUTCOME);
}

static void
sasl_process_response(pn_transport_t *transport, const pn_bytes_t *response)
{
    /* No mechanism asks back. */
    pnx_sasl_set_failed(transport);
    pnx_sasl_set_desired_state(transport, SASL_POSTED_OUTCOME);
}

static bool
sasl_can_encrypt(pn_transport_t *transport)
{
    return false;
}

/* The client's half is not filled in: this end is a server. */
static const pnx_sasl_implementation implementation = {
    .free = sasl_free,
    .list_mechanisms = sasl_list_mechanisms,
    .init_server = sasl_init_server,
    .prepare_write = sasl_prepare_write,
    .process_init = sasl_process_init,
    .process_response = sasl_process_response,
    .can_encrypt = sasl_can_encrypt,
};

void
emu_amqp_sasl_init(EmuAmqpSession *self)
{
    (void)pn_sasl(self->transport);
    pnx_sasl_set_implementation(self->transport, &implementation, self);
    pn_transport_require_auth(self->transport, false);
}
