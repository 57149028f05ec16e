/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/devices.h"
#include "dbus/bus-types.h"

/*
 * All of the daemon on the bus: the object /org/spoked1 with org.spoked1.Manager, which
 * dbus/org.spoked1.Manager.xml describes, and below it the devices.
 */
typedef struct SpokeManagerBus SpokeManagerBus;

typedef struct {
    /* Reads the configuration again; errors go to the caller. */
    gboolean (*reload)(gpointer user_data, GError **error);
    /* State of the connection or anything else that emits PropertiesChanged */
    void (*changed)(gpointer user_data);
} SpokeManagerEvents;

/* @devices: borrowed; see _free(). The first one is what the manager's own properties show.
 * @events: copied. (transfer full) (nullable) */
SpokeManagerBus *spoke_manager_bus_new(sd_bus *bus, SpokeDevices *devices,
                                       const SpokeManagerEvents *events, gpointer user_data,
                                       GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Takes everything off the bus. Devices are gone by then: freed devices answer the calls that
 * wait for them. */
void spoke_manager_bus_free(SpokeManagerBus *manager);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpokeManagerBus, spoke_manager_bus_free)

/* What sd-bus serves, for the test that compares it with the XML */
const sd_bus_vtable *spoke_manager_bus_get_vtable(void);
