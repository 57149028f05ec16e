/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Links: who may attach what, and how they end. An identity counts as connected while it has a
 * link open; its first one takes the identity over from whatever connection had it before. For
 * each purpose it has one link, the newest. Source: protocol page, 3.2 to 3.4 and 3.10. */

#include "amqp-private.h"

#include "access.h"
#include "error.h"
#include "faults.h"

#include <proton/codec.h>
#include <string.h>

/* A refused link is attached without termini and then closed. */
static void
refuse(pn_link_t *link, const EmuAmqpCause *cause, const char *message)
{
    g_message("Link %s refused: %s", pn_link_name(link), message);
    pn_link_open(link);
    emu_amqp_condition_set(pn_link_condition(link), cause, message);
    pn_link_close(link);
}

static gpointer *
place_of(EmuAmqpEnd *end)
{
    return end->node == EMU_AMQP_NODE_EVENTS ? &end->device->events : &end->device->devicebound;
}

static void
disconnect_device(EmuAmqpDevice *device, const char *reason)
{
    EmuAmqpSession *session = device->session;

    if (device->link.identity == NULL)
        return;
    emu_hub_remove_link(session->hub, &device->link, reason);
    if (device->expiry_sec == 0)
        emu_amqp_devices_remove(session->devices, device);
}

/* Takes our end off the link and the device, which stays connected for now. */
static void
end_free(EmuAmqpEnd *end)
{
    EmuAmqpSession *session = end->session;

    emu_amqp_acks_forget(session->acks, end);
    pn_link_set_context(end->link, NULL);
    if (session->cbs_replies == end->link)
        session->cbs_replies = NULL;
    if (end->device != NULL)
        *place_of(end) = NULL;
    g_clear_pointer(&end->partial, g_byte_array_unref);
    g_free(end);
}

/* The end went, and with the last of its ends the device. */
static void
end_drop(EmuAmqpEnd *end, const char *reason)
{
    EmuAmqpDevice *device = end->device;

    end_free(end);
    if (device != NULL && device->events == NULL && device->devicebound == NULL)
        disconnect_device(device, reason);
}

static void
close_link(EmuAmqpEnd *end, const EmuAmqpCause *cause, const char *message)
{
    emu_amqp_condition_set(pn_link_condition(end->link), cause, message);
    pn_link_close(end->link);
    end_free(end);
}

void
emu_amqp_end_close(EmuAmqpEnd *end, const EmuAmqpCause *cause, const char *message)
{
    EmuAmqpDevice *device = end->device;

    close_link(end, cause, message);
    if (device != NULL && device->events == NULL && device->devicebound == NULL)
        disconnect_device(device, message);
}

void
emu_amqp_device_close(EmuAmqpDevice *device, const EmuAmqpCause *cause, const char *message,
                      const char *reason)
{
    if (device->events != NULL)
        close_link(device->events, cause, message);
    if (device->devicebound != NULL)
        close_link(device->devicebound, cause, message);
    disconnect_device(device, reason);
}

static void
device_link_close(gpointer user_data, const char *reason)
{
    EmuAmqpDevice *device = user_data;
    EmuAmqpSession *session = device->session;
    const EmuAmqpCause *cause = emu_amqp_cause_of_reason(reason);

    /* What a fault drops is the connection, unless others are connected over it. */
    if (cause == &emu_amqp_cause_dropped && emu_amqp_devices_connected(session->devices) == 1) {
        emu_amqp_session_cut(session, reason);
        return;
    }
    /* Only a newer link leaves the token as good as it was. */
    if (cause != &emu_amqp_cause_stolen && cause != &emu_amqp_cause_dropped)
        emu_amqp_devices_grant(session->devices, device, 0);
    emu_amqp_device_close(device, cause, reason, reason);
    emu_amqp_session_pump(session);
}

static void
device_link_wake(gpointer user_data)
{
    EmuAmqpDevice *device = user_data;
    EmuAmqpSession *session = device->session;

    if (device->devicebound == NULL || session->state != EMU_AMQP_OPEN)
        return;
    emu_amqp_devicebound_feed(device->devicebound);
    emu_amqp_session_pump(session);
}

static const EmuLinkOps device_link_ops = {.close = device_link_close, .wake = device_link_wake};

/* A property of the link, a string under a symbol. */
static char *
link_property(pn_link_t *link, const char *key)
{
    pn_data_t *data = pn_link_remote_properties(link);

    if (data == NULL)
        return NULL;
    pn_data_rewind(data);
    if (!pn_data_next(data) || pn_data_type(data) != PN_MAP)
        return NULL;
    pn_data_enter(data);
    while (pn_data_next(data)) {
        gboolean found = pn_data_type(data) == PN_SYMBOL &&
                         pn_data_get_symbol(data).size == strlen(key) &&
                         memcmp(pn_data_get_symbol(data).start, key, strlen(key)) == 0;
        if (!pn_data_next(data))
            return NULL;
        if (found && pn_data_type(data) == PN_STRING)
            return g_strndup(pn_data_get_string(data).start, pn_data_get_string(data).size);
    }
    return NULL;
}

/* The identity of an open link is connected here from now on, and nowhere else. */
static void
connect_device(EmuAmqpDevice *device, EmuIdentity *identity, pn_link_t *link)
{
    EmuHub *hub = device->session->hub;

    if (device->link.identity != NULL)
        return;
    g_autofree char *model_id = link_property(link, "com.microsoft:model-id");
    g_clear_pointer(&device->origin, emu_origin_unref);
    device->origin =
        emu_origin_new(identity->device_id, identity->module_id, identity->generation_id, model_id,
                       emu_identity_auth_type(identity));
    device->link = (EmuLink){.ops = &device_link_ops, .self = device};
    emu_hub_add_link(hub, &device->link);
    emu_hub_attach(hub, &device->link, identity, device->name);
}

/* The answer to an attach says the same as the attach. */
static void
open_link(EmuAmqpEnd *end)
{
    pn_link_t *link = end->link;

    pn_terminus_copy(pn_link_source(link), pn_link_remote_source(link));
    pn_terminus_copy(pn_link_target(link), pn_link_remote_target(link));
    pn_link_set_snd_settle_mode(link, pn_link_remote_snd_settle_mode(link));
    pn_link_set_rcv_settle_mode(link, pn_link_remote_rcv_settle_mode(link));
    if (pn_link_remote_properties(link) != NULL)
        pn_data_copy(pn_link_properties(link), pn_link_remote_properties(link));
    if (pn_link_is_receiver(link))
        pn_link_set_max_message_size(link, EMU_AMQP_TRANSFER_MAX);
    pn_link_set_context(link, end);
    pn_link_open(link);
}

static EmuAmqpEnd *
end_new(EmuAmqpSession *session, pn_link_t *link, EmuAmqpNode node)
{
    EmuAmqpEnd *end = g_new0(EmuAmqpEnd, 1);

    end->session = session;
    end->link = link;
    end->node = node;
    return end;
}

static void
attach_cbs(EmuAmqpSession *self, pn_link_t *link)
{
    if (self->single) {
        refuse(link, &emu_amqp_cause_not_allowed, "This connection is one identity's own");
        return;
    }

    EmuAmqpEnd *end = end_new(self, link, EMU_AMQP_NODE_CBS);
    open_link(end);
    if (pn_link_is_sender(link))
        self->cbs_replies = link;
    else
        emu_amqp_cbs_grant(end);
}

static void
attach_device(EmuAmqpSession *self, pn_link_t *link, EmuAmqpDevice *device, EmuIdentity *identity,
              EmuAmqpNode node)
{
    EmuAmqpEnd *end = end_new(self, link, node);

    end->device = device;
    if (*place_of(end) != NULL)
        close_link(*place_of(end), &emu_amqp_cause_stolen, "A newer link has the same address");
    *place_of(end) = end;
    connect_device(device, identity, link);
    open_link(end);
    if (node == EMU_AMQP_NODE_EVENTS)
        emu_amqp_telemetry_grant(end);
}

/* A login that a fault refuses, by CONNACK's codes. */
static const EmuAmqpCause *
refused_on_request(EmuAmqpSession *self, const EmuIdentity *identity)
{
    guint code = 0;

    if (!emu_faults_refuses_login(emu_hub_faults(self->hub), identity->device_id, &code))
        return NULL;
    return code == 3 ? &emu_amqp_cause_server : &emu_amqp_cause_unauthorized;
}

/* Without a token the client's certificate may speak for it, for one identity. */
static const EmuAmqpCause *
admit_by_certificate(EmuAmqpSession *self, const EmuIdentity *identity, GError **error)
{
    if (self->peer == NULL || self->single) {
        g_set_error(error, EMU_ERROR, EMU_ERROR_UNAUTHORIZED, "No token was put for this address");
        return &emu_amqp_cause_unauthorized;
    }

    const EmuAmqpCause *cause = refused_on_request(self, identity);
    if (cause != NULL) {
        g_set_error(error, EMU_ERROR, EMU_ERROR_SERVER, "Refused on request");
        return cause;
    }
    if (!emu_access_check_certificate(emu_hub_registry(self->hub), identity, self->peer,
                                      emu_hub_now_usec(self->hub) / G_USEC_PER_SEC, error))
        return emu_amqp_cause_of(*error);
    if (emu_amqp_devices_count(self->devices) > 0) {
        g_set_error(error, EMU_ERROR, EMU_ERROR_UNAUTHORIZED,
                    "A device with a certificate does not share its connection");
        return &emu_amqp_cause_not_allowed;
    }
    EmuAmqpDevice *device = emu_amqp_devices_add(self->devices, self, identity);
    emu_amqp_devices_grant(self->devices, device, EMU_ACCESS_ENDLESS_SEC);
    self->single = TRUE;
    return NULL;
}

/* Returns: NULL, or why @identity may not be on this connection. */
static const EmuAmqpCause *
admit(EmuAmqpSession *self, const EmuIdentity *identity, EmuAmqpDevice **ret_device, GError **error)
{
    gint64 now_sec =
        emu_hub_now_usec(self->hub) / G_USEC_PER_SEC - emu_hub_options(self->hub)->sas_grace_sec;
    gboolean covered = emu_amqp_devices_cover(self->devices, identity, now_sec);

    if (self->single && emu_amqp_devices_find(self->devices, identity) == NULL)
        covered = FALSE;
    const EmuAmqpCause *cause = covered ? NULL : admit_by_certificate(self, identity, error);
    if (cause != NULL)
        return cause;
    if (!emu_access_is_enabled(emu_hub_registry(self->hub), identity)) {
        g_set_error(error, EMU_ERROR, EMU_ERROR_DISABLED, "%s is disabled", identity->device_id);
        return &emu_amqp_cause_disabled;
    }
    *ret_device = emu_amqp_devices_add(self->devices, self, identity);
    if (*ret_device == NULL) {
        g_set_error(error, EMU_ERROR, EMU_ERROR_ARGUMENT, "%d identities are on this connection",
                    EMU_AMQP_DEVICES_MAX);
        return &emu_amqp_cause_full;
    }
    return NULL;
}

/* Which nodes are there for which role. Returns NULL, or why not. */
static const EmuAmqpCause *
check_node(const EmuAmqpAddress *address, gboolean client_sends)
{
    switch (address->node) {
    case EMU_AMQP_NODE_CBS:
        return NULL;
    case EMU_AMQP_NODE_EVENTS:
        return client_sends ? NULL : &emu_amqp_cause_not_allowed;
    case EMU_AMQP_NODE_DEVICEBOUND:
        if (address->module_id != NULL)
            return &emu_amqp_cause_address;
        return client_sends ? &emu_amqp_cause_not_allowed : NULL;
    default:
        return &emu_amqp_cause_not_here;
    }
}

void
emu_amqp_links_attached(EmuAmqpSession *self, pn_link_t *link)
{
    gboolean client_sends = pn_link_is_receiver(link);
    const char *text = pn_terminus_get_address(client_sends ? pn_link_remote_target(link)
                                                            : pn_link_remote_source(link));
    g_auto(EmuAmqpAddress) address = {0};
    g_autoptr(GError) error = NULL;
    EmuAmqpDevice *device = NULL;

    if (text == NULL || !emu_amqp_address_parse(text, &address)) {
        refuse(link, &emu_amqp_cause_address, "No such address");
        return;
    }
    const EmuAmqpCause *cause = check_node(&address, client_sends);
    if (cause != NULL) {
        refuse(link, cause,
               cause == &emu_amqp_cause_not_here ? "This emulator lacks that address"
                                                 : "Not in this role");
        return;
    }
    if (address.node == EMU_AMQP_NODE_CBS) {
        attach_cbs(self, link);
        return;
    }

    EmuIdentity *identity = emu_amqp_address_find(&address, emu_hub_registry(self->hub));
    if (identity == NULL) {
        refuse(link, &emu_amqp_cause_unknown, "No such device or module");
        return;
    }
    cause = admit(self, identity, &device, &error);
    if (cause != NULL)
        refuse(link, cause, error->message);
    else
        attach_device(self, link, device, identity, address.node);
}

void
emu_amqp_links_detached(pn_link_t *link, gboolean closed)
{
    EmuAmqpEnd *end = pn_link_get_context(link);

    if (end != NULL)
        end_drop(end, "client-detach");
    if (closed)
        pn_link_close(link);
    else
        pn_link_detach(link);
    pn_link_free(link);
}

void
emu_amqp_links_session_ended(EmuAmqpSession *self, pn_session_t *session)
{
    for (pn_link_t *link = pn_link_head(self->connection, 0); link != NULL;
         link = pn_link_next(link, 0)) {
        EmuAmqpEnd *end = pn_link_get_context(link);
        if (end != NULL && pn_link_session(link) == session)
            end_drop(end, "client-detach");
    }
}

void
emu_amqp_links_forget(EmuAmqpSession *self)
{
    for (pn_link_t *link = pn_link_head(self->connection, 0); link != NULL;
         link = pn_link_next(link, 0)) {
        EmuAmqpEnd *end = pn_link_get_context(link);
        if (end != NULL)
            end_free(end);
    }
}

void
emu_amqp_links_expire(EmuAmqpSession *self)
{
    gint64 now_sec =
        emu_hub_now_usec(self->hub) / G_USEC_PER_SEC - emu_hub_options(self->hub)->sas_grace_sec;
    g_autoptr(GPtrArray) devices = emu_amqp_devices_list(self->devices);

    for (guint i = 0; i < devices->len; i++) {
        EmuAmqpDevice *device = g_ptr_array_index(devices, i);
        if (device->expiry_sec != 0 && device->expiry_sec <= now_sec)
            emu_amqp_devices_grant(self->devices, device, 0);
    }
    for (guint i = 0; i < devices->len; i++) {
        EmuAmqpDevice *device = g_ptr_array_index(devices, i);
        if (device->link.identity == NULL) {
            if (device->expiry_sec == 0)
                emu_amqp_devices_remove(self->devices, device);
        } else if (!emu_amqp_devices_cover(self->devices, device->link.identity, now_sec)) {
            emu_amqp_device_close(device, &emu_amqp_cause_unauthorized, "Token Invalid",
                                  "token-expired: 401003 IotHubUnauthorized");
        }
    }
}
