/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dbus/device-tree.h"

#include "dbus/device-handlers.h"
#include "dbus/error-bus.h"

#include <errno.h>

/*
 * sd-bus keeps a record for each member of each object that is registered singly; with a fallback
 * table there is one for all, and a thousand devices cost no more than their own structs.
 */

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
    SpokeDeviceTree *self = user_data;

    if (is_slow)
        g_message("%s does not read the messages it is sent; it gets no more until it does", name);
    else
        g_message("%s reads the messages it is sent again", name);
    for (guint i = 0; i < spoke_devices_get_n(self->devices); i++)
        spoke_delivery_set_slow(spoke_device_get_delivery(spoke_devices_get_nth(self->devices, i)),
                                name, is_slow);
}

/* Of the object at @path. */
static int
find(sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret_found,
     sd_bus_error *ret_error)
{
    SpokeDeviceTree *self = userdata;
    char *name = NULL;

    int r = sd_bus_path_decode(path, SPOKE_BUS_DEVICE_PREFIX, &name);
    if (r <= 0)
        return r;
    *ret_found = g_hash_table_lookup(self->objects, name);
    free(name);
    return *ret_found != NULL;
}

static int
list_paths(sd_bus *bus, const char *prefix, void *userdata, char ***ret_paths,
           sd_bus_error *ret_error)
{
    SpokeDeviceTree *self = userdata;
    guint n = spoke_devices_get_n(self->devices);
    char **paths = calloc(n + 1, sizeof *paths); /* sd-bus frees it */

    if (paths == NULL)
        return -ENOMEM;
    for (guint i = 0; i < n; i++) {
        const char *name = spoke_device_get_name(spoke_devices_get_nth(self->devices, i));

        paths[i] = strdup(spoke_device_tree_get_path(self, name));
    }
    *ret_paths = paths;
    return 0;
}

static gboolean
add(SpokeDeviceTree *self, SpokeDevice *device, GError **error)
{
    SpokeDeviceBus *object = spoke_device_bus_new(self, device, error);

    if (object == NULL)
        return FALSE;
    g_hash_table_insert(self->objects, (char *)spoke_device_get_name(device), object);
    return TRUE;
}

static void
check_told(const char *path, int r)
{
    if (r < 0 && !spoke_bus_is_gone(r))
        g_warning("It could not be told that %s comes or goes: %s", path, g_strerror(-r));
}

static void
on_added(SpokeDevice *device, gpointer user_data)
{
    SpokeDeviceTree *self = user_data;
    g_autoptr(GError) error = NULL;

    if (!add(self, device, &error)) {
        g_warning("%s", error->message);
        return;
    }

    const char *path = spoke_device_tree_get_path(self, spoke_device_get_name(device));

    check_told(path, sd_bus_emit_object_added(self->bus, path));
    self->changed(NULL, self->changed_data);
}

static void
on_removed(SpokeDevice *device, gpointer user_data)
{
    SpokeDeviceTree *self = user_data;
    const char *name = spoke_device_get_name(device);
    SpokeDeviceBus *object = g_hash_table_lookup(self->objects, name);

    if (object == NULL)
        return;
    check_told(spoke_device_bus_get_path(object),
               sd_bus_emit_object_removed(self->bus, spoke_device_bus_get_path(object)));
    spoke_device_bus_forget(object);
    g_hash_table_remove(self->objects, name);
    self->changed(NULL, self->changed_data);
}

static const SpokeDevicesEvents devices_events = {
    .added = on_added,
    .removed = on_removed,
};

static int
serve(SpokeDeviceTree *self)
{
    sd_id128_t id;

    int r = sd_bus_get_bus_id(self->bus, &id);
    if (r < 0)
        return r;
    self->bus_id = g_strdup_printf(SD_ID128_FORMAT_STR, SD_ID128_FORMAT_VAL(id));
    self->reader = spoke_message_reader_new(self->bus_id);
    self->listeners = spoke_listeners_new(self->bus, &message_limits, on_pace_changed, self);
    self->senders = spoke_listeners_new(self->bus, &settled_limits, on_sender_pace_changed, self);
    r = sd_bus_add_fallback_vtable(self->bus, &self->vtable_slot, SPOKE_BUS_DEVICE_PREFIX,
                                   SPOKE_DEVICE_INTERFACE, spoke_device_bus_get_vtable(), find,
                                   self);
    return r < 0 ? r
                 : sd_bus_add_node_enumerator(self->bus, &self->names_slot, SPOKE_BUS_DEVICE_PREFIX,
                                              list_paths, self);
}

SpokeDeviceTree *
spoke_device_tree_new(sd_bus *bus, SpokeCallers *callers, SpokeDevices *devices,
                      void (*changed)(SpokeDevice *, gpointer), gpointer user_data, GError **error)
{
    g_autoptr(SpokeDeviceTree) self = g_new0(SpokeDeviceTree, 1);

    self->bus = sd_bus_ref(bus);
    self->callers = callers;
    self->devices = devices;
    self->objects = g_hash_table_new_full(g_str_hash, g_str_equal, NULL,
                                          (GDestroyNotify)spoke_device_bus_unref);
    self->changed = changed;
    self->changed_data = user_data;
    int r = serve(self);
    if (r < 0) {
        g_set_error(error, SPOKE_ERROR, SPOKE_ERROR_FAILED, "Devices can't be put on the bus: %s",
                    g_strerror(-r));
        return NULL;
    }
    for (guint i = 0; i < spoke_devices_get_n(devices); i++) {
        if (!add(self, spoke_devices_get_nth(devices, i), error))
            return NULL;
    }
    spoke_devices_set_events(devices, &devices_events, self);
    return g_steal_pointer(&self);
}

void
spoke_device_tree_free(SpokeDeviceTree *self)
{
    if (self == NULL)
        return;

    sd_bus_slot_unref(self->names_slot);
    sd_bus_slot_unref(self->vtable_slot);
    g_hash_table_unref(self->objects);
    g_clear_pointer(&self->reader, spoke_message_reader_free);
    g_clear_pointer(&self->listeners, spoke_listeners_free);
    g_clear_pointer(&self->senders, spoke_listeners_free);
    g_free(self->bus_id);
    sd_bus_unref(self->bus);
    g_free(self);
}

const char *
spoke_device_tree_get_path(SpokeDeviceTree *self, const char *name)
{
    SpokeDeviceBus *object = g_hash_table_lookup(self->objects, name);

    return object != NULL ? spoke_device_bus_get_path(object) : NULL;
}

void
spoke_device_tree_drop_owner(SpokeDeviceTree *self, const char *name)
{
    spoke_listeners_drop(self->listeners, name);
    spoke_listeners_drop(self->senders, name);
    for (guint i = 0; i < spoke_devices_get_n(self->devices); i++)
        spoke_delivery_drop_owner(
            spoke_device_get_delivery(spoke_devices_get_nth(self->devices, i)), name);
}
