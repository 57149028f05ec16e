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
    SD_BUS_METHOD_WITH_ARGS("CheckNow", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT,
                            spoke_device_method_check_now, SD_BUS_VTABLE_UNPRIVILEGED),

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
    CONSTANT("DeviceId", "s"),
    CONSTANT("ModuleId", "s"),
    CONSTANT("Hub", "s"),
    EMITTING("State", "s"),
    EMITTING("Transport", "s"),
    EMITTING("Capabilities", "as"),
    EMITTING("LastError", "(ss)"),
    EMITTING("ConnectedSince", "t"),
    EMITTING("NextAttempt", "t"),
    EMITTING("TokenExpiry", "t"),
    EMITTING("CertificateExpiry", "t"),
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
        self->tree->changed(self->device, self->tree->changed_data);
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

typedef struct {
    SpokeDeviceBus *device_bus; /* one reference */
    SpokeCallFunc act;
    gpointer request; /* owned */
    GDestroyNotify free_request;
} Request;

static void
request_free(gpointer data)
{
    Request *request = data;

    if (request->free_request != NULL)
        request->free_request(request->request);
    spoke_device_bus_unref(request->device_bus);
    g_free(request);
}

static gboolean
check_access(SpokeDeviceBus *self, SpokeCaller *caller, GError **error)
{
    uid_t uid;

    if (self->device == NULL) {
        g_set_error_literal(error, SPOKE_ERROR, SPOKE_ERROR_NO_SUCH_DEVICE,
                            "The device has been removed");
        return FALSE;
    }
    if (!spoke_device_is_restricted(self->device))
        return TRUE;
    if (spoke_caller_get_uid(caller, &uid) && spoke_device_allows(self->device, uid))
        return TRUE;

    g_set_error(error, SPOKE_ERROR, SPOKE_ERROR_NOT_PERMITTED,
                "Users= of the device %s in the configuration does not name this user",
                spoke_device_get_name(self->device));
    return FALSE;
}

static void
act_if_allowed(SpokeCall *call, gpointer object, gpointer data)
{
    Request *request = data;
    g_autoptr(GError) error = NULL;

    if (check_access(object, spoke_call_get_caller(call), &error))
        request->act(call, object, request->request);
    else
        spoke_call_fail(call, error);
}

void
spoke_device_bus_start(SpokeDeviceBus *self, SpokeCall *call, SpokeCallFunc act, gpointer request,
                       GDestroyNotify free_request)
{
    Request *wrapped = g_new0(Request, 1);

    wrapped->device_bus = spoke_device_bus_ref(self);
    wrapped->act = act;
    wrapped->request = request;
    wrapped->free_request = free_request;
    spoke_call_start(call, act_if_allowed, self, wrapped, request_free);
}

SpokeDeviceBus *
spoke_device_bus_new(SpokeDeviceTree *tree, SpokeDevice *device, GError **error)
{
    SpokeDeviceBus *self;
    char *path = NULL;

    int r = sd_bus_path_encode(SPOKE_BUS_DEVICE_PREFIX, spoke_device_get_name(device), &path);
    if (r < 0) {
        g_set_error(error, SPOKE_ERROR, SPOKE_ERROR_FAILED, "Device %s can't be put on the bus: %s",
                    spoke_device_get_name(device), g_strerror(-r));
        return NULL;
    }
    self = g_new0(SpokeDeviceBus, 1);
    self->ref_count = 1;
    self->tree = tree;
    self->device = device;
    self->path = g_strdup(path);
    free(path);
    spoke_device_snapshot_take(device, &self->told);
    spoke_device_set_events(device, &device_events, self);
    return self;
}

SpokeDeviceBus *
spoke_device_bus_ref(SpokeDeviceBus *self)
{
    self->ref_count++;
    return self;
}

void
spoke_device_bus_unref(SpokeDeviceBus *self)
{
    if (self == NULL || --self->ref_count > 0)
        return;

    g_clear_handle_id(&self->idle_id, g_source_remove);
    g_free(self->path);
    g_free(self);
}

void
spoke_device_bus_forget(SpokeDeviceBus *self)
{
    g_clear_handle_id(&self->idle_id, g_source_remove);
    self->device = NULL;
}

const char *
spoke_device_bus_get_path(SpokeDeviceBus *self)
{
    return self->path;
}

const sd_bus_vtable *
spoke_device_bus_get_vtable(void)
{
    return device_vtable;
}
