/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dbus/device-handlers.h"

#include "dbus/text-bus.h"

#include <errno.h>
#include <string.h>

/*
 * The properties of org.spoked1.Device: how each is read, and which of them have changed since the
 * last PropertiesChanged. That is found by comparing values, not by trusting that every change is
 * announced singly: a connection that comes and goes within one turn of the loop tells nothing.
 */
typedef struct {
    const char *name;
    int (*write)(SpokeDevice *device, sd_bus_message *reply);
} Property;

/* In the order of SpokeCapabilities. */
static const struct {
    SpokeCapabilities capability;
    const char *name;
} capability_names[] = {
    {SPOKE_CAPABILITY_PUSH, "push"},
    {SPOKE_CAPABILITY_SETTLE, "settle"},
    {SPOKE_CAPABILITY_MULTIPLEX, "multiplex"},
};

#define N_EMITTING 9

static int
write_string(sd_bus_message *reply, const char *value)
{
    return sd_bus_message_append_basic(reply, 's', value != NULL ? value : "");
}

static int
write_number(sd_bus_message *reply, guint64 value)
{
    return sd_bus_message_append_basic(reply, 't', &value);
}

static int
write_name(SpokeDevice *device, sd_bus_message *reply)
{
    return write_string(reply, spoke_device_get_name(device));
}

static int
write_device_id(SpokeDevice *device, sd_bus_message *reply)
{
    return write_string(reply, spoke_device_get_identity(device)->device_id);
}

static int
write_module_id(SpokeDevice *device, sd_bus_message *reply)
{
    return write_string(reply, spoke_device_get_identity(device)->module_id);
}

static int
write_hub(SpokeDevice *device, sd_bus_message *reply)
{
    return write_string(reply, spoke_device_get_identity(device)->hub);
}

static int
write_state(SpokeDevice *device, sd_bus_message *reply)
{
    SpokeAttachment *attachment = spoke_device_get_attachment(device);

    return write_string(reply,
                        spoke_connection_state_to_string(spoke_attachment_get_state(attachment)));
}

static int
write_transport(SpokeDevice *device, sd_bus_message *reply)
{
    return write_string(reply, spoke_attachment_get_transport(spoke_device_get_attachment(device)));
}

static int
write_capabilities(SpokeDevice *device, sd_bus_message *reply)
{
    SpokeCapabilities capabilities =
        spoke_attachment_get_capabilities(spoke_device_get_attachment(device));

    int r = sd_bus_message_open_container(reply, 'a', "s");
    for (guint i = 0; r >= 0 && i < G_N_ELEMENTS(capability_names); i++) {
        if (capabilities & capability_names[i].capability)
            r = write_string(reply, capability_names[i].name);
    }
    return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int
write_last_error(SpokeDevice *device, sd_bus_message *reply)
{
    const char *detail = NULL;
    SpokeCause cause =
        spoke_attachment_get_last_error(spoke_device_get_attachment(device), &detail);
    const char *remedy = spoke_cause_get_remedy(cause);
    gboolean has_detail = detail != NULL && *detail != '\0';
    const char *stop = !has_detail ? "" : g_str_has_suffix(detail, ".") ? " " : ". ";
    g_autofree char *sentence = cause == SPOKE_CAUSE_NONE
                                    ? g_strdup("")
                                    : g_strconcat(has_detail ? detail : "", stop, remedy, NULL);
    g_autofree char *text = spoke_text_make_sendable(sentence); /* a peer may have a part in it */

    return sd_bus_message_append(reply, "(ss)", spoke_cause_to_string(cause), text);
}

static int
write_connected_since(SpokeDevice *device, sd_bus_message *reply)
{
    gint64 usec = spoke_attachment_get_connected_since(spoke_device_get_attachment(device));

    return write_number(reply, (guint64)MAX(usec, 0));
}

static int
write_next_attempt(SpokeDevice *device, sd_bus_message *reply)
{
    gint64 usec = spoke_attachment_get_next_attempt(spoke_device_get_attachment(device));

    return write_number(reply, (guint64)MAX(usec, 0));
}

static int
write_token_expiry(SpokeDevice *device, sd_bus_message *reply)
{
    gint64 usec = spoke_attachment_get_token_expiry(spoke_device_get_attachment(device));

    return write_number(reply, (guint64)MAX(usec, 0));
}

static int
write_certificate_expiry(SpokeDevice *device, sd_bus_message *reply)
{
    return write_number(reply, (guint64)MAX(spoke_device_get_certificate_expiry(device), 0));
}

static int
write_receive_paused(SpokeDevice *device, sd_bus_message *reply)
{
    int paused = spoke_delivery_get_pause(spoke_device_get_delivery(device)) != SPOKE_PAUSE_NOT;

    return sd_bus_message_append_basic(reply, 'b', &paused);
}

static int
write_queued_messages(SpokeDevice *device, sd_bus_message *reply)
{
    return write_number(reply, spoke_outbox_get_messages(spoke_device_get_outbox(device)));
}

static int
write_queued_bytes(SpokeDevice *device, sd_bus_message *reply)
{
    return write_number(reply, spoke_outbox_get_bytes(spoke_device_get_outbox(device)));
}

static int
write_queue_bytes_max(SpokeDevice *device, sd_bus_message *reply)
{
    return write_number(reply, spoke_device_get_queue_bytes_max(device));
}

static int
write_in_flight_messages(SpokeDevice *device, sd_bus_message *reply)
{
    return write_number(reply, spoke_outbox_get_in_flight(spoke_device_get_outbox(device)));
}

static int
write_waiting_messages(SpokeDevice *device, sd_bus_message *reply)
{
    return write_number(reply, spoke_delivery_get_waiting(spoke_device_get_delivery(device)));
}

static int
write_dead_letters(SpokeDevice *device, sd_bus_message *reply)
{
    return write_number(reply, spoke_delivery_get_dead_letters(spoke_device_get_delivery(device)));
}

static int
write_sent_messages(SpokeDevice *device, sd_bus_message *reply)
{
    return write_number(reply, spoke_outbox_get_accepted(spoke_device_get_outbox(device)));
}

static int
write_received_messages(SpokeDevice *device, sd_bus_message *reply)
{
    return write_number(reply, spoke_delivery_get_received(spoke_device_get_delivery(device)));
}

static const Property properties[] = {
    {"Name", write_name},
    {"DeviceId", write_device_id},
    {"ModuleId", write_module_id},
    {"Hub", write_hub},
    {"State", write_state},
    {"Transport", write_transport},
    {"Capabilities", write_capabilities},
    {"LastError", write_last_error},
    {"ConnectedSince", write_connected_since},
    {"NextAttempt", write_next_attempt},
    {"TokenExpiry", write_token_expiry},
    {"CertificateExpiry", write_certificate_expiry},
    {"ReceivePaused", write_receive_paused},
    {"QueuedMessages", write_queued_messages},
    {"QueuedBytes", write_queued_bytes},
    {"QueueBytesMax", write_queue_bytes_max},
    {"InFlightMessages", write_in_flight_messages},
    {"WaitingMessages", write_waiting_messages},
    {"DeadLetters", write_dead_letters},
    {"SentMessages", write_sent_messages},
    {"ReceivedMessages", write_received_messages},
};

/* @ret_names: room for all that emit and the NULL at the end */
static guint
compare(const SpokeDeviceSnapshot *a, const SpokeDeviceSnapshot *b, char **ret_names)
{
    const struct {
        const char *name;
        gboolean differs;
    } rows[N_EMITTING] = {
        {"State", a->state != b->state},
        {"Transport", a->transport != b->transport},
        {"Capabilities", a->capabilities != b->capabilities},
        {"LastError", a->cause != b->cause || a->detail != b->detail},
        {"ConnectedSince", a->connected_since != b->connected_since},
        {"NextAttempt", a->next_attempt != b->next_attempt},
        {"TokenExpiry", a->token_expiry != b->token_expiry},
        {"CertificateExpiry", a->certificate_expiry != b->certificate_expiry},
        {"ReceivePaused", a->receive_paused != b->receive_paused},
    };
    guint n = 0;

    for (guint i = 0; i < N_EMITTING; i++) {
        if (rows[i].differs)
            ret_names[n++] = (char *)rows[i].name;
    }
    ret_names[n] = NULL;
    return n;
}

int
spoke_device_get_property(sd_bus *bus, const char *path, const char *interface,
                          const char *property, sd_bus_message *reply, void *userdata,
                          sd_bus_error *ret_error)
{
    SpokeDeviceBus *self = userdata;

    for (guint i = 0; i < G_N_ELEMENTS(properties); i++) {
        if (g_str_equal(property, properties[i].name))
            return properties[i].write(self->device, reply);
    }
    g_return_val_if_reached(-ENOENT); /* the vtable names one that is not here */
}

void
spoke_device_snapshot_take(SpokeDevice *device, SpokeDeviceSnapshot *ret_snapshot)
{
    SpokeAttachment *attachment = spoke_device_get_attachment(device);
    const char *detail = NULL;
    SpokeCause cause = spoke_attachment_get_last_error(attachment, &detail);

    *ret_snapshot = (SpokeDeviceSnapshot){
        .transport = spoke_attachment_get_transport(attachment),
        .detail = g_str_hash(detail),
        .state = spoke_attachment_get_state(attachment),
        .capabilities = spoke_attachment_get_capabilities(attachment),
        .cause = cause,
        .connected_since = spoke_attachment_get_connected_since(attachment),
        .next_attempt = spoke_attachment_get_next_attempt(attachment),
        .token_expiry = spoke_attachment_get_token_expiry(attachment),
        .certificate_expiry = spoke_device_get_certificate_expiry(device),
        .receive_paused =
            spoke_delivery_get_pause(spoke_device_get_delivery(device)) != SPOKE_PAUSE_NOT,
    };
}

gboolean
spoke_device_tell_changes(SpokeDeviceBus *self)
{
    SpokeDeviceSnapshot now = {NULL};
    char *names[N_EMITTING + 1];

    spoke_device_snapshot_take(self->device, &now);
    guint n = compare(&self->told, &now, names);
    self->told = now;
    if (n == 0)
        return FALSE;

    int r = sd_bus_emit_properties_changed_strv(self->tree->bus, self->path, SPOKE_DEVICE_INTERFACE,
                                                names);
    if (r < 0 && !spoke_bus_is_gone(r))
        g_warning("Changed properties of %s could not be told: %s", self->path, g_strerror(-r));
    return TRUE;
}
