/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/devices.h"
#include "dbus/caller.h"

/*
 * One identity on the bus: the object /org/spoked1/device/NAME with org.spoked1.Device, which
 * dbus/org.spoked1.Device.xml describes. A device that is removed may leave calls behind that wait
 * for their caller to be known, so the object is counted: it lasts until they are answered.
 */
typedef struct SpokeDeviceBus SpokeDeviceBus;
typedef struct SpokeDeviceTree SpokeDeviceTree;

/* @device: (transfer none); we become the one who hears its events. (transfer full) (nullable) */
SpokeDeviceBus *spoke_device_bus_new(SpokeDeviceTree *tree, SpokeDevice *device,
                                     GError **error) G_GNUC_WARN_UNUSED_RESULT;
SpokeDeviceBus *spoke_device_bus_ref(SpokeDeviceBus *device_bus);
void spoke_device_bus_unref(SpokeDeviceBus *device_bus);
/* The device goes: nothing is asked of it any more. */
void spoke_device_bus_forget(SpokeDeviceBus *device_bus);

const char *spoke_device_bus_get_path(SpokeDeviceBus *device_bus);

/* What sd-bus serves, for the test that compares it with the XML */
const sd_bus_vtable *spoke_device_bus_get_vtable(void);
