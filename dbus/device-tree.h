/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/devices.h"
#include "dbus/device-bus.h"

/*
 * All devices on the bus, below /org/spoked1/device: one table serves them all, however many there
 * are. It follows the list of devices: what is added there appears here.
 */

/**
 * spoke_device_tree_new:
 * @callers: borrowed, outlives us
 * @devices: borrowed; may be freed before us if nothing runs in between, see _free()
 * @changed: some property of @device that emits PropertiesChanged has a new value, or (NULL) there
 *   is a device more or less
 *
 * Returns: (transfer full) (nullable)
 */
SpokeDeviceTree *spoke_device_tree_new(sd_bus *bus, SpokeCallers *callers, SpokeDevices *devices,
                                       void (*changed)(SpokeDevice *device, gpointer user_data),
                                       gpointer user_data,
                                       GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Calls that wait for a device must have been answered: free the devices before. */
void spoke_device_tree_free(SpokeDeviceTree *tree);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpokeDeviceTree, spoke_device_tree_free)

/* (nullable) (transfer none): the object path of the device @name */
const char *spoke_device_tree_get_path(SpokeDeviceTree *tree, const char *name);
/* The connection @name has left the bus. */
void spoke_device_tree_drop_owner(SpokeDeviceTree *tree, const char *name);
