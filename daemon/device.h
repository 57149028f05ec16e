/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/config.h"
#include "daemon/connection.h"

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

/* Opens the identity's outbox and inbox in @spool (borrowed, outlives us), makes its connection.
 * Start-up, blocks. */
SpokeDevice *spoke_device_new(SpokeSpool *spool, const char *name, const SpokeConfig *config,
                              const char *transport_dir, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void spoke_device_free(SpokeDevice *device);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpokeDevice, spoke_device_free)

/* Who hears of it; set once before spoke_device_start(). */
void spoke_device_set_events(SpokeDevice *device, const SpokeDeviceEvents *events,
                             gpointer user_data);
void spoke_device_start(SpokeDevice *device);
/* A changed identity (device id, hub) is refused: the queue belongs to the old one. */
gboolean spoke_device_reconfigure(SpokeDevice *device, const SpokeConfig *config, GError **error);
/* New sends are refused with SHUTDOWN from now on; see spoke_connection_stop(). */
void spoke_device_stop(SpokeDevice *device, gint64 timeout_usec, void (*done)(gpointer),
                       gpointer user_data);

/* Checks (spoke_message_check) and puts. Errors at once: those, TOO_LARGE, QUEUE_FULL, SHUTDOWN. */
gboolean spoke_device_send(SpokeDevice *device, SpokeMessage **messages, guint n, SpokePutFunc done,
                           gpointer user_data, GError **error);
/* @done: once, with what remains; never before this returns. */
typedef void (*SpokeFlushFunc)(guint64 remaining, gpointer user_data);
void spoke_device_flush(SpokeDevice *device, gint64 timeout_usec, SpokeFlushFunc done,
                        gpointer user_data);

const char *spoke_device_get_name(SpokeDevice *device);
SpokeIdentity *spoke_device_get_identity(SpokeDevice *device);     /* (transfer none) */
SpokeConnection *spoke_device_get_connection(SpokeDevice *device); /* (transfer none) */
SpokeDelivery *spoke_device_get_delivery(SpokeDevice *device);     /* (transfer none) */
SpokeOutbox *spoke_device_get_outbox(SpokeDevice *device);         /* (transfer none) */
guint64 spoke_device_get_queue_bytes_max(SpokeDevice *device);
