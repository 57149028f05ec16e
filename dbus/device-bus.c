/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dbus/device-bus.h"

#include "dbus/device-handlers.h"
#include "dbus/error-bus.h"

/*
 * The device object: its table of members and its life. The device tells us of changes, of settled
 * messages and of what to deliver; we tell the bus.
 */

/* Not an idle one's: while messages stream in, that would never come. */
#define CHANGES_PRIORITY G_PRIORITY_DEFAULT

/* SD_BUS_VTABLE_UNPRIVILEGED: the bus's policy decides who gets here, and what a caller may do is
 * decided by the handler. Without it sd-bus would ask the bus driver on every call and wait. */
static const sd_bus_vtable device_vtable[] = {
    SD_BUS_VTABLE_START(0),

    SD_BUS_METHOD_WITH_ARGS(
        "SendText", SD_BUS_ARGS("s", body, "a{ss}", properties, "a{sv}", options),
        SD_BUS_RESULT("t", id), spoke_device_method_send_text, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("Send", SD_BUS_ARGS("ay", body, "a{ss}", properties, "a{sv}", options),
                            SD_BUS_RESULT("t", id), spoke_device_method_send,
                            SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("SendBatch", SD_BUS_ARGS("a(aya{ss}a{sv})", messages),
                            SD_BUS_RESULT("at", ids), spoke_device_method_send_batch,
                            SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("Flush", SD_BUS_ARGS("t", timeout_ms), SD_BUS_RESULT("t", remaining),
                            spoke_device_method_flush, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("Subscribe", SD_BUS_ARGS("a{sv}", options),
                            SD_BUS_RESULT("u", subscription), spoke_device_method_subscribe,
                            SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("Unsubscribe", SD_BUS_ARGS("u", subscription), SD_BUS_NO_RESULT,
                            spoke_device_method_unsubscribe, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS(
        "Receive", SD_BUS_ARGS("t", timeout_ms, "a{sv}", options),
        SD_BUS_RESULT("s", id, "ay", body, "a{ss}", properties, "a{sv}", system),
        spoke_device_method_receive, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("Complete", SD_BUS_ARGS("s", id), SD_BUS_NO_RESULT,
                            spoke_device_method_complete, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("Abandon", SD_BUS_ARGS("s", id), SD_BUS_NO_RESULT,
                            spoke_device_method_abandon, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("Reject", SD_BUS_ARGS("s", id), SD_BUS_NO_RESULT,
                            spoke_device_method_reject, SD_BUS_VTABLE_UNPRIVILEGED),

    SD_BUS_SIGNAL_WITH_ARGS("Settled", SD_BUS_ARGS("t", id, "s", outcome, "s", detail), 0),
    SD_BUS_SIGNAL_WITH_ARGS("MessageReceived",
                            SD_BUS_ARGS("s", id, "ay", body, "a{ss}", properties, "a{sv}", system),
                            0),

#define CONSTANT(name, type)                                                                       \
    SD_BUS_PROPERTY(name, type, spoke_device_get_property, 0, SD_BUS_VTABLE_PROPERTY_CONST)
#define EMITTING(name, type)                                                                       \
    SD_BUS_PROPERTY(name, type, spoke_device_get_property, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE)
#define COUNTING(name, type) SD_BUS_PROPERTY(name, type, spoke_device_get_property, 0, 0)

    CONSTANT("Name", "s"),
    EMITTING("DeviceId", "s"),
    EMITTING("ModuleId", "s"),
    EMITTING("Hub", "s"),
    EMITTING("State", "s"),
    EMITTING("Transport", "s"),
    EMITTING("Capabilities", "as"),
    EMITTING("LastError", "(ss)"),
    EMITTING("ConnectedSince", "t"),
    EMITTING("NextAttempt", "t"),
    EMITTING("TokenExpiry", "t"),
    EMITTING("ReceivePaused", "b"),
    COUNTING("QueuedMessages", "t"),
    COUNTING("QueuedBytes", "t"),
    COUNTING("QueueBytesMax", "t"),
    COUNTING("InFlightMessages", "t"),
    COUNTING("WaitingMessages", "t"),
    COUNTING("DeadLetters", "t"),
    COUNTING("SentMessages", "t"),
    COUNTING("ReceivedMessages", "t"),

    SD_BUS_VTABLE_END,
};

static gboolean
tell_changes(gpointer user_data)
{
    SpokeDeviceBus *self = user_data;

    self->idle_id = 0;
    if (spoke_device_tell_changes(self))
        self->changed(self->changed_data);
    return G_SOURCE_REMOVE;
}

static void
on_changed(SpokeDevice *device, gpointer user_data)
{
    SpokeDeviceBus *self = user_data;

    if (self->idle_id == 0)
        self->idle_id = g_idle_add_full(CHANGES_PRIORITY, tell_changes, self, NULL);
}

static void
on_settled(SpokeDevice *device, guint64 id, const char *notify, SpokeOutcome outcome,
           const char *detail, gpointer user_data)
{
    if (notify != NULL)
        spoke_device_emit_settled(user_data, id, notify, outcome, detail);
}

static void
on_deliver(SpokeDevice *device, const char *owner, const SpokeDelivered *delivered,
           gpointer user_data)
{
    spoke_device_emit_received(user_data, owner, delivered);
}

static const SpokeDeviceEvents device_events = {
    .changed = on_changed,
    .settled = on_settled,
    .deliver = on_deliver,
};

/* Both together are half of what dbus-daemon lets us have unread. A program that was stopped for a
 * moment should not miss what became of its messages: it may be asleep for 65536 of them. */
static const SpokeListenerLimits message_limits = {1024 * 1024, 32 * 1024 * 1024};
static const SpokeListenerLimits settled_limits = {16 * 1024 * 1024, 32 * 1024 * 1024};

static void
on_sender_pace_changed(const char *name, gboolean is_slow, gpointer user_data)
{
    if (is_slow)
        g_message("%s does not read what became of its messages; it is told no more until it does",
                  name);
    else
        g_message("%s reads again what becomes of its messages", name);
}

static void
on_pace_changed(const char *name, gboolean is_slow, gpointer user_data)
{
    SpokeDeviceBus *self = user_data;

    if (is_slow)
        g_message("%s does not read the messages it is sent; it gets no more until it does", name);
    else
        g_message("%s reads the messages it is sent again", name);
    spoke_delivery_set_slow(spoke_device_get_delivery(self->device), name, is_slow);
}

static int
serve(SpokeDeviceBus *self)
{
    g_autofree char *bus_id = NULL;
    sd_id128_t id;
    char *path = NULL;

    int r = sd_bus_get_bus_id(self->bus, &id);
    if (r < 0)
        return r;
    self->bus_id = g_strdup_printf(SD_ID128_FORMAT_STR, SD_ID128_FORMAT_VAL(id));
    self->reader = spoke_message_reader_new(self->bus_id);
    self->listeners = spoke_listeners_new(self->bus, &message_limits, on_pace_changed, self);
    self->senders = spoke_listeners_new(self->bus, &settled_limits, on_sender_pace_changed, self);

    r = sd_bus_path_encode(SPOKE_BUS_DEVICE_PREFIX, spoke_device_get_name(self->device), &path);
    if (r < 0)
        return r;
    self->path = g_strdup(path);
    free(path);
    return sd_bus_add_object_vtable(self->bus, &self->slot, self->path, SPOKE_DEVICE_INTERFACE,
                                    device_vtable, self);
}

SpokeDeviceBus *
spoke_device_bus_new(sd_bus *bus, SpokeCallers *callers, SpokeDevice *device,
                     void (*changed)(gpointer), gpointer user_data, GError **error)
{
    g_autoptr(SpokeDeviceBus) self = g_new0(SpokeDeviceBus, 1);

    self->bus = sd_bus_ref(bus);
    self->callers = callers;
    self->device = device;
    self->changed = changed;
    self->changed_data = user_data;
    int r = serve(self);
    if (r < 0) {
        g_set_error(error, SPOKE_ERROR, SPOKE_ERROR_FAILED, "Device %s can't be put on the bus: %s",
                    spoke_device_get_name(device), g_strerror(-r));
        return NULL;
    }
    spoke_device_snapshot_take(device, &self->told);
    spoke_device_set_events(device, &device_events, self);
    return g_steal_pointer(&self);
}

void
spoke_device_bus_free(SpokeDeviceBus *device_bus)
{
    if (device_bus == NULL)
        return;
    g_clear_handle_id(&device_bus->idle_id, g_source_remove);
    sd_bus_slot_unref(device_bus->slot);
    spoke_device_snapshot_clear(&device_bus->told);
    g_clear_pointer(&device_bus->reader, spoke_message_reader_free);
    g_clear_pointer(&device_bus->listeners, spoke_listeners_free);
    g_clear_pointer(&device_bus->senders, spoke_listeners_free);
    g_free(device_bus->path);
    g_free(device_bus->bus_id);
    sd_bus_unref(device_bus->bus);
    g_free(device_bus);
}

const char *
spoke_device_bus_get_path(SpokeDeviceBus *device_bus)
{
    return device_bus->path;
}

SpokeDevice *
spoke_device_bus_get_device(SpokeDeviceBus *device_bus)
{
    return device_bus->device;
}

void
spoke_device_bus_drop_owner(SpokeDeviceBus *device_bus, const char *name)
{
    spoke_listeners_drop(device_bus->listeners, name);
    spoke_listeners_drop(device_bus->senders, name);
    spoke_delivery_drop_owner(spoke_device_get_delivery(device_bus->device), name);
}

const sd_bus_vtable *
spoke_device_bus_get_vtable(void)
{
    return device_vtable;
}
