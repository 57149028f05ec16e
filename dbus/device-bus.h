/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/device.h"
#include "dbus/caller.h"

/*
 * One identity on the bus: the object /org/spoked1/device/NAME with org.spoked1.Device, which
 * dbus/org.spoked1.Device.xml describes.
 */
typedef struct SpokeDeviceBus SpokeDeviceBus;

/**
 * spoke_device_bus_new:
 * @device: (transfer none): outlived by us only in that nothing is asked of it any more; we become
 *   the one who hears its events
 * @changed: some property that emits PropertiesChanged has a new value; from an idle source
 *
 * Returns: (transfer full) (nullable)
 */
SpokeDeviceBus *spoke_device_bus_new(sd_bus *bus, SpokeCallers *callers, SpokeDevice *device,
                                     void (*changed)(gpointer user_data), gpointer user_data,
                                     GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Calls that wait for the device must have been answered: free the device before, or never let
 * either run again. */
void spoke_device_bus_free(SpokeDeviceBus *device_bus);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpokeDeviceBus, spoke_device_bus_free)

const char *spoke_device_bus_get_path(SpokeDeviceBus *device_bus);
SpokeDevice *spoke_device_bus_get_device(SpokeDeviceBus *device_bus); /* (transfer none) */
/* The connection @name has left the bus. */
void spoke_device_bus_drop_owner(SpokeDeviceBus *device_bus, const char *name);

/* What sd-bus serves, for the test that compares it with the XML */
const sd_bus_vtable *spoke_device_bus_get_vtable(void);
