/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dbus/manager-bus.h"

#include "dbus/add-device.h"
#include "dbus/call.h"
#include "dbus/device-tree.h"
#include "dbus/error-bus.h"

#include <unistd.h>

/*
 * The manager object. It owns what the devices share on the bus: the list of who calls.
 */
struct SpokeManagerBus {
    sd_bus *bus;            /* owned */
    sd_bus_slot *slot;      /* owned: the vtable's place on the bus */
    sd_bus_slot *tree_slot; /* owned: the ObjectManager */
    SpokeCallers *callers;  /* owned */
    SpokeDevices *devices;  /* borrowed */
    SpokeDeviceTree *tree;  /* owned */
    SpokeManagerEvents events;
    gpointer events_data;

    /* Properties as last told */
    SpokeConnectionState told_state;
    char *told_transport; /* owned */
    char *told_hub;       /* owned */
};

static SpokeAttachment *
get_attachment(SpokeManagerBus *self)
{
    return spoke_device_get_attachment(spoke_devices_get_nth(self->devices, 0));
}

static SpokeConnectionState
get_state(SpokeManagerBus *self)
{
    return spoke_attachment_get_state(get_attachment(self));
}

static const char *
get_transport(SpokeManagerBus *self)
{
    return spoke_attachment_get_transport(get_attachment(self));
}

static const char *
get_hub(SpokeManagerBus *self)
{
    return spoke_device_get_identity(spoke_devices_get_nth(self->devices, 0))->hub;
}

static int
method_list_devices(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
    SpokeManagerBus *self = userdata;
    g_autoptr(sd_bus_message) reply = NULL;

    int r = sd_bus_message_new_method_return(m, &reply);
    if (r >= 0)
        r = sd_bus_message_open_container(reply, 'a', "(so)");
    for (guint i = 0; r >= 0 && i < spoke_devices_get_n(self->devices); i++) {
        const char *name = spoke_device_get_name(spoke_devices_get_nth(self->devices, i));

        r = sd_bus_message_append(reply, "(so)", name,
                                  spoke_device_tree_get_path(self->tree, name));
    }
    if (r >= 0)
        r = sd_bus_message_close_container(reply);
    return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

static int
method_get_device(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
    SpokeManagerBus *self = userdata;
    g_autoptr(GError) error = NULL;
    const char *name = NULL;

    int r = sd_bus_message_read_basic(m, 's', &name);
    if (r < 0)
        return r;
    const char *path = spoke_device_tree_get_path(self->tree, name);
    if (path == NULL) {
        g_autofree char *quote = spoke_error_quote(name);
        g_set_error(&error, SPOKE_ERROR, SPOKE_ERROR_NO_SUCH_DEVICE,
                    "There is no device \"%s\", ListDevices names those there are", quote);
        return spoke_error_to_bus(error, ret_error);
    }
    return sd_bus_reply_method_return(m, "o", path);
}

/* What changes the daemon is for root. (polkit is to say more.) */
static gboolean
check_root(SpokeCall *call, GError **error)
{
    uid_t uid;

    if (spoke_caller_get_uid(spoke_call_get_caller(call), &uid) && (uid == 0 || uid == geteuid()))
        return TRUE;
    g_set_error_literal(error, SPOKE_ERROR, SPOKE_ERROR_NOT_PERMITTED,
                        "Only root may change the daemon's configuration");
    return FALSE;
}

static void
reload(SpokeCall *call, gpointer object, gpointer request)
{
    SpokeManagerBus *self = object;
    g_autoptr(GError) error = NULL;

    if (check_root(call, &error) && self->events.reload(self->events_data, &error))
        spoke_call_answer(call, "");
    else
        spoke_call_fail(call, error);
}

static int
method_reload(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
    SpokeManagerBus *self = userdata;
    g_autoptr(GError) error = NULL;

    SpokeCall *call = spoke_call_new(m, self->callers, 0, &error);
    if (call == NULL)
        return spoke_error_to_bus(error, ret_error);
    spoke_call_start(call, reload, self, NULL, NULL);
    return 1; /* reload() answers */
}

static void
add_device(SpokeCall *call, gpointer object, gpointer request)
{
    SpokeManagerBus *self = object;
    g_autoptr(GError) error = NULL;

    if (!check_root(call, &error)) {
        spoke_call_fail(call, error);
        return;
    }
    spoke_add_device_begin(request, call, self->devices);
}

static int
method_add_device(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
    SpokeManagerBus *self = userdata;
    g_autoptr(GError) error = NULL;
    g_autoptr(SpokeAddDevice) request = spoke_add_device_read(m, &error);

    if (request == NULL)
        return spoke_error_to_bus(error, ret_error);
    SpokeCall *call = spoke_call_new(m, self->callers, 0, &error);
    if (call == NULL)
        return spoke_error_to_bus(error, ret_error);
    spoke_call_start(call, add_device, self, g_steal_pointer(&request),
                     (GDestroyNotify)spoke_add_device_free);
    return 1; /* add-device.c answers */
}

static void
remove_device(SpokeCall *call, gpointer object, gpointer request)
{
    SpokeManagerBus *self = object;
    g_autoptr(GError) error = NULL;

    if (check_root(call, &error) && spoke_devices_remove(self->devices, request, &error))
        spoke_call_answer(call, "");
    else
        spoke_call_fail(call, error);
}

static int
method_remove_device(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
    SpokeManagerBus *self = userdata;
    g_autoptr(GError) error = NULL;
    const char *name = NULL;

    int r = sd_bus_message_read_basic(m, 's', &name);
    if (r < 0)
        return r;
    SpokeCall *call = spoke_call_new(m, self->callers, 0, &error);
    if (call == NULL)
        return spoke_error_to_bus(error, ret_error);
    spoke_call_start(call, remove_device, self, g_strdup(name), g_free);
    return 1; /* remove_device() answers */
}

static int
property_version(sd_bus *bus, const char *path, const char *interface, const char *property,
                 sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
    return sd_bus_message_append_basic(reply, 's', SPOKE_VERSION);
}

static int
property_state(sd_bus *bus, const char *path, const char *interface, const char *property,
               sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
    SpokeManagerBus *self = userdata;

    return sd_bus_message_append_basic(reply, 's',
                                       spoke_connection_state_to_string(get_state(self)));
}

static int
property_transport(sd_bus *bus, const char *path, const char *interface, const char *property,
                   sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
    SpokeManagerBus *self = userdata;

    return sd_bus_message_append_basic(reply, 's', get_transport(self));
}

static int
property_hub(sd_bus *bus, const char *path, const char *interface, const char *property,
             sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
    SpokeManagerBus *self = userdata;

    return sd_bus_message_append_basic(reply, 's', get_hub(self));
}

/* SD_BUS_VTABLE_UNPRIVILEGED: as in device-bus.c. */
static const sd_bus_vtable manager_vtable[] = {
    SD_BUS_VTABLE_START(0),

    SD_BUS_METHOD_WITH_ARGS("ListDevices", SD_BUS_NO_ARGS, SD_BUS_RESULT("a(so)", devices),
                            method_list_devices, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("GetDevice", SD_BUS_ARGS("s", name), SD_BUS_RESULT("o", device),
                            method_get_device, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("AddDevice", SD_BUS_ARGS("s", name, "a{sv}", options, "h", credential),
                            SD_BUS_RESULT("o", device), method_add_device,
                            SD_BUS_VTABLE_UNPRIVILEGED | SD_BUS_VTABLE_SENSITIVE),
    SD_BUS_METHOD_WITH_ARGS("RemoveDevice", SD_BUS_ARGS("s", name), SD_BUS_NO_RESULT,
                            method_remove_device, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("Reload", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_reload,
                            SD_BUS_VTABLE_UNPRIVILEGED),

    SD_BUS_PROPERTY("Version", "s", property_version, 0, SD_BUS_VTABLE_PROPERTY_CONST),
    SD_BUS_PROPERTY("State", "s", property_state, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    SD_BUS_PROPERTY("Transport", "s", property_transport, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    SD_BUS_PROPERTY("Hub", "s", property_hub, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),

    SD_BUS_VTABLE_END,
};

static void
remember(SpokeManagerBus *self)
{
    g_free(self->told_transport);
    g_free(self->told_hub);
    self->told_state = get_state(self);
    self->told_transport = g_strdup(get_transport(self));
    self->told_hub = g_strdup(get_hub(self));
}

static void
tell_changes(SpokeManagerBus *self)
{
    char *names[4] = {NULL};
    guint n = 0;

    if (self->told_state != get_state(self))
        names[n++] = (char *)"State";
    if (g_strcmp0(self->told_transport, get_transport(self)) != 0)
        names[n++] = (char *)"Transport";
    if (g_strcmp0(self->told_hub, get_hub(self)) != 0)
        names[n++] = (char *)"Hub";
    remember(self);
    if (n == 0)
        return;

    int r = sd_bus_emit_properties_changed_strv(self->bus, SPOKE_BUS_PATH, SPOKE_MANAGER_INTERFACE,
                                                names);
    if (r < 0 && !spoke_bus_is_gone(r))
        g_warning("Changed properties of the manager could not be told: %s", g_strerror(-r));
}

static void
on_device_changed(SpokeDevice *device, gpointer user_data)
{
    SpokeManagerBus *self = user_data;

    if (device != NULL && device != spoke_devices_get_nth(self->devices, 0))
        return;
    tell_changes(self);
    self->events.changed(self->events_data);
}

static void
on_caller_left(const char *name, gpointer user_data)
{
    SpokeManagerBus *self = user_data;

    spoke_device_tree_drop_owner(self->tree, name);
}

SpokeManagerBus *
spoke_manager_bus_new(sd_bus *bus, SpokeDevices *devices, const SpokeManagerEvents *events,
                      gpointer user_data, GError **error)
{
    g_autoptr(SpokeManagerBus) self = g_new0(SpokeManagerBus, 1);

    self->bus = sd_bus_ref(bus);
    self->callers = spoke_callers_new(bus, on_caller_left, self);
    self->devices = devices;
    self->events = *events;
    self->events_data = user_data;

    int r = sd_bus_add_object_vtable(bus, &self->slot, SPOKE_BUS_PATH, SPOKE_MANAGER_INTERFACE,
                                     manager_vtable, self);
    if (r >= 0)
        r = sd_bus_add_object_manager(bus, &self->tree_slot, SPOKE_BUS_PATH);
    if (r < 0) {
        g_set_error(error, SPOKE_ERROR, SPOKE_ERROR_FAILED,
                    "The manager can't be put on the bus: %s", g_strerror(-r));
        return NULL;
    }
    self->tree = spoke_device_tree_new(bus, self->callers, devices, on_device_changed, self, error);
    if (self->tree == NULL)
        return NULL;
    remember(self);
    return g_steal_pointer(&self);
}

void
spoke_manager_bus_free(SpokeManagerBus *manager)
{
    if (manager == NULL)
        return;
    /* Calls that wait for a look-up belong to the devices' objects: they go first. */
    g_clear_pointer(&manager->callers, spoke_callers_free);
    spoke_device_tree_free(manager->tree);
    sd_bus_slot_unref(manager->tree_slot);
    sd_bus_slot_unref(manager->slot);
    g_free(manager->told_transport);
    g_free(manager->told_hub);
    sd_bus_unref(manager->bus);
    g_free(manager);
}

const sd_bus_vtable *
spoke_manager_bus_get_vtable(void)
{
    return manager_vtable;
}
