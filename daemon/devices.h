/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/device.h"

/*
 * All identities this daemon serves, by name, with the spool they share and the lines they are on:
 * the daemon without its bus. The first is the machine's own, "self"; others come from [Device …]
 * of the configuration and from _add() while it runs. Those last until they are removed or the
 * daemon ends; what they have queued stays on disk under the identity and goes on when it is added
 * again.
 */
typedef struct SpokeDevices SpokeDevices;

typedef struct {
    /* It is in the list now, or no longer (and about to be freed). */
    void (*added)(SpokeDevice *device, gpointer user_data);
    void (*removed)(SpokeDevice *device, gpointer user_data);
} SpokeDevicesEvents;

/* Many devices, and a limit all the same. */
#define SPOKE_DEVICES_MAX 100000

/* @spool: borrowed, outlives us. @config: as of now; see spoke_devices_reconfigure(). Start-up,
 * blocks. (transfer full) (nullable) */
SpokeDevices *spoke_devices_new(SpokeSpool *spool, const SpokeConfig *config,
                                const char *transport_dir,
                                GError **error) G_GNUC_WARN_UNUSED_RESULT;
void spoke_devices_free(SpokeDevices *devices);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpokeDevices, spoke_devices_free)

/* Who hears of it; once. */
void spoke_devices_set_events(SpokeDevices *devices, const SpokeDevicesEvents *events,
                              gpointer user_data);
/* Who hears that the file of a certificate or a key has changed, of any device, a second after it
 * has; a reload takes it up. */
void spoke_devices_watch_certificates(SpokeDevices *devices, void (*changed)(gpointer),
                                      gpointer user_data);
void spoke_devices_start(SpokeDevices *devices);
/* Checks all, then takes all up: devices are added, changed and removed as @config says; those that
 * were added while it ran stay. @config: borrowed until the next one. Errors: INVALID_CONFIG, and
 * nothing has changed. */
gboolean spoke_devices_reconfigure(SpokeDevices *devices, const SpokeConfig *config,
                                   GError **error);
/* No new messages are taken; goes on sending until all is sent or @timeout_usec is over. */
void spoke_devices_stop(SpokeDevices *devices, gint64 timeout_usec, void (*done)(gpointer),
                        gpointer user_data);

/**
 * spoke_devices_add:
 * @own: (transfer full): also on error
 *
 * Errors: DEVICE_EXISTS (the name or the identity), LIMIT_REACHED, NOT_SUPPORTED (see lines.h),
 * SHUTDOWN, and what the disk says.
 *
 * Returns: (transfer none) (nullable)
 */
SpokeDevice *spoke_devices_add(SpokeDevices *devices, SpokeDeviceConfig *own,
                               GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Errors: NO_SUCH_DEVICE; NOT_PERMITTED: it is the machine's own, or the configuration's. */
gboolean spoke_devices_remove(SpokeDevices *devices, const char *name, GError **error);

SpokeDevice *spoke_devices_find(SpokeDevices *devices, const char *name); /* (nullable) */
guint spoke_devices_get_n(SpokeDevices *devices);
SpokeDevice *spoke_devices_get_nth(SpokeDevices *devices, guint index); /* 0 is "self" */
guint64 spoke_devices_get_queued(SpokeDevices *devices);                /* messages of all */
gboolean spoke_devices_serve(SpokeDevices *devices, const char *key);   /* of an identity */
