/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/config.h"
#include "daemon/file-watch.h"
#include "daemon/lines.h"

/*
 * One identity with all that is its own: outbox, inbox with its delivery, its place on the
 * connection. What the bus serves is this object; it knows nothing of the bus.
 */
typedef struct SpokeDevice SpokeDevice;

typedef struct {
    /* State, Transport, LastError, …: anything that emits PropertiesChanged. */
    void (*changed)(SpokeDevice *device, gpointer user_data);
    void (*settled)(SpokeDevice *device, guint64 id, const char *notify, SpokeOutcome outcome,
                    const char *detail, gpointer user_data);
    void (*deliver)(SpokeDevice *device, const char *owner, const SpokeDelivered *delivered,
                    gpointer user_data);
} SpokeDeviceEvents;

/* What all devices share. All borrowed, all outlive us. */
typedef struct {
    SpokeSpool *spool;
    SpokeClockShare *clock;
    SpokeLines *lines;
    SpokeFileWatch *watch; /* nullable */
    const char *transport_dir;
} SpokeSurroundings;

/* Opens the identity's outbox and inbox in the spool, which blocks briefly. @config: of all, @own:
 * of this one. It is on no connection before spoke_device_join(). */
SpokeDevice *spoke_device_new(const SpokeSurroundings *around, const SpokeConfig *config,
                              const SpokeDeviceConfig *own,
                              GError **error) G_GNUC_WARN_UNUSED_RESULT;
void spoke_device_free(SpokeDevice *device);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpokeDevice, spoke_device_free)

/* Who hears of it; set once before spoke_device_start(). */
void spoke_device_set_events(SpokeDevice *device, const SpokeDeviceEvents *events,
                             gpointer user_data);
/* Puts it on a connection, as @config and @own say now. Errors: those of spoke_lines_join(), which
 * then show as the device's LastError too. */
gboolean spoke_device_join(SpokeDevice *device, const SpokeConfig *config,
                           const SpokeDeviceConfig *own, GError **error);
/* Whether a changed configuration can be taken up. A changed identity (device id, hub) can't: the
 * queue belongs to the old one. Errors: INVALID_CONFIG */
gboolean spoke_device_check(SpokeDevice *device, const SpokeDeviceConfig *own, GError **error);
/* Takes it up. It has been checked. */
void spoke_device_reconfigure(SpokeDevice *device, const SpokeConfig *config,
                              const SpokeDeviceConfig *own);
/* New sends are refused with SHUTDOWN from now on, and nothing is handed out. */
void spoke_device_stop(SpokeDevice *device);
/* Nothing more will be sent: those that wait for a flush are told what remains. */
void spoke_device_stopped(SpokeDevice *device);

/* Checks (spoke_message_check) and puts. Errors at once: those, TOO_LARGE, QUEUE_FULL, SHUTDOWN. */
gboolean spoke_device_send(SpokeDevice *device, SpokeMessage **messages, guint n, SpokePutFunc done,
                           gpointer user_data, GError **error);
/* @done: once, with what remains; never before this returns. */
typedef void (*SpokeFlushFunc)(guint64 remaining, gpointer user_data);
void spoke_device_flush(SpokeDevice *device, gint64 timeout_usec, SpokeFlushFunc done,
                        gpointer user_data);

const char *spoke_device_get_name(SpokeDevice *device);
SpokeIdentity *spoke_device_get_identity(SpokeDevice *device);     /* (transfer none) */
SpokeAttachment *spoke_device_get_attachment(SpokeDevice *device); /* (transfer none) */
SpokeDelivery *spoke_device_get_delivery(SpokeDevice *device);     /* (transfer none) */
SpokeOutbox *spoke_device_get_outbox(SpokeDevice *device);         /* (transfer none) */
guint64 spoke_device_get_queue_bytes_max(SpokeDevice *device);
gint64 spoke_device_get_certificate_expiry(SpokeDevice *device); /* wall usec; 0 without one */
/* Whether only some may use it, and whether @uid may; see Users= in spoked.conf(5). */
gboolean spoke_device_is_restricted(SpokeDevice *device);
gboolean spoke_device_allows(SpokeDevice *device, guint uid);
