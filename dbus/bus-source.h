/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "dbus/bus-types.h"

/* The connection to the bus has ended; @bus_errno: positive, why. Called once. */
typedef void (*SpokeBusClosedFunc)(int bus_errno, gpointer user_data);

/**
 * spoke_bus_source_new:
 * @bus: (transfer none): the source takes a reference
 * @closed: where the end of the connection is told
 *
 * Returns: (transfer full): a source that serves @bus on the main context it is attached to
 */
GSource *spoke_bus_source_new(sd_bus *bus, SpokeBusClosedFunc closed, gpointer user_data);
