/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/transports/amqp/sasl.h"

#include <proton/sasl.h>
#include <proton/sasl_plugin.h>
#include <string.h>

#include <glib.h>

#define MSSBCBS   "MSSBCBS"
#define ANONYMOUS "ANONYMOUS"

static void
nothing_to_free(pn_transport_t *transport)
{
}

static const char *
list_mechanisms(pn_transport_t *transport)
{
    return MSSBCBS " " ANONYMOUS;
}

static bool
refuse_server(pn_transport_t *transport)
{
    return false;
}

static bool
accept_client(pn_transport_t *transport)
{
    return true;
}

static void
prepare_write(pn_transport_t *transport)
{
}

static void
ignore_init(pn_transport_t *transport, const char *mechanism, const pn_bytes_t *received)
{
}

static void
ignore_bytes(pn_transport_t *transport, const pn_bytes_t *received)
{
}

/* @offered: what the server has, separated by spaces. Returns: whether one fits; Proton ends the
 * connection otherwise */
static bool
choose_mechanism(pn_transport_t *transport, const char *offered)
{
    static const char *const wanted[] = {MSSBCBS, ANONYMOUS};
    g_auto(GStrv) mechanisms = g_strsplit(offered != NULL ? offered : "", " ", -1);

    for (guint i = 0; i < G_N_ELEMENTS(wanted); i++) {
        if (!g_strv_contains((const char *const *)mechanisms, wanted[i]))
            continue;
        pnx_sasl_set_selected_mechanism(transport, wanted[i]);
        pnx_sasl_set_bytes_out(transport, (pn_bytes_t){0}); /* no initial response */
        pnx_sasl_set_desired_state(transport, SASL_POSTED_INIT);
        return true;
    }
    return false;
}

static void
answer_challenge(pn_transport_t *transport, const pn_bytes_t *received)
{
    pnx_sasl_set_bytes_out(transport, (pn_bytes_t){0});
    pnx_sasl_set_desired_state(transport, SASL_POSTED_RESPONSE);
}

static bool
cannot_encrypt(pn_transport_t *transport)
{
    return false;
}

static ssize_t
no_encrypted_size(pn_transport_t *transport)
{
    return 0;
}

static ssize_t
no_coding(pn_transport_t *transport, pn_bytes_t in, pn_bytes_t *out)
{
    return 0;
}

static const pnx_sasl_implementation implementation = {
    .free = nothing_to_free,
    .list_mechanisms = list_mechanisms,
    .init_server = refuse_server,
    .init_client = accept_client,
    .prepare_write = prepare_write,
    .process_init = ignore_init,
    .process_response = ignore_bytes,
    .process_mechanisms = choose_mechanism,
    .process_challenge = answer_challenge,
    .process_outcome = ignore_bytes,
    .can_encrypt = cannot_encrypt,
    .max_encrypt_size = no_encrypted_size,
    .encode = no_coding,
    .decode = no_coding,
};

void
spoke_amqp_sasl_set(pn_transport_t *transport)
{
    (void)pn_sasl(transport); /* makes the layer */
    pnx_sasl_set_implementation(transport, &implementation, NULL);
}
