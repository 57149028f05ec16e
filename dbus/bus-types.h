/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <errno.h>
#include <glib.h>
#include <systemd/sd-bus.h>

/*
 * The names we have on the bus, and sd-bus's types with GLib's clean-up, so that dbus/ has one
 * idiom for both.
 */
#define SPOKE_BUS_NAME          "org.spoked1"
#define SPOKE_BUS_PATH          "/org/spoked1"
#define SPOKE_BUS_DEVICE_PREFIX "/org/spoked1/device"
#define SPOKE_MANAGER_INTERFACE "org.spoked1.Manager"
#define SPOKE_DEVICE_INTERFACE  "org.spoked1.Device"

G_DEFINE_AUTOPTR_CLEANUP_FUNC(sd_bus, sd_bus_unref)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(sd_bus_message, sd_bus_message_unref)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(sd_bus_slot, sd_bus_slot_unref)
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(sd_bus_error, sd_bus_error_free)

/* Whether @r is sd-bus's word for a connection that has ended: its end is reported once, by who
 * serves it, not by each who would have sent something. */
static inline gboolean
spoke_bus_is_gone(int r)
{
    return r == -ENOTCONN || r == -ECONNRESET;
}
