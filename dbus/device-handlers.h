/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "dbus/call.h"
#include "dbus/device-bus.h"
#include "dbus/device-tree.h"
#include "dbus/listeners.h"
#include "dbus/message-bus.h"

/*
 * Inside of the device objects, which are spread over a few files: device-tree.c has all of them
 * and what they share, device-bus.c the table of members and one object's life, device-send.c
 * telemetry, device-receive.c C2D, device-properties.c the properties. Nobody else includes this.
 */

/* A caller that asks to wait longer than ten years waits as long as that: sums of times stay far
 * from the end of their type. */
#define SPOKE_WAIT_MSEC_MAX (G_GUINT64_CONSTANT(10) * 365 * 24 * 3600 * 1000)

/* Those properties that emit PropertiesChanged, as they were when last told. */
typedef struct {
    const char *transport; /* static: modules stay loaded */
    guint detail;          /* of the last error: its hash */
    SpokeConnectionState state;
    SpokeCapabilities capabilities;
    SpokeCause cause;
    gint64 connected_since;
    gint64 next_attempt;
    gint64 token_expiry;
    gint64 certificate_expiry;
    gboolean receive_paused;
} SpokeDeviceSnapshot;

struct SpokeDeviceBus {
    guint ref_count;       /* its owner's, and one per call that waits */
    SpokeDeviceTree *tree; /* borrowed; outlives device */
    SpokeDevice *device;   /* borrowed; NULL once it has been removed */
    char *path;            /* owned */
    guint idle_id;         /* a change to be told, or 0 */
    SpokeDeviceSnapshot told;
};

/* What all device objects share. */
struct SpokeDeviceTree {
    sd_bus *bus;                /* owned */
    SpokeCallers *callers;      /* borrowed, outlives us */
    SpokeDevices *devices;      /* borrowed */
    char *bus_id;               /* owned */
    SpokeMessageReader *reader; /* owned */
    SpokeListeners *listeners;  /* owned; of MessageReceived */
    SpokeListeners *senders;    /* owned; of Settled */
    GHashTable *objects;        /* owned; name, borrowed → SpokeDeviceBus, one reference */
    sd_bus_slot *vtable_slot;   /* owned */
    sd_bus_slot *names_slot;    /* owned */
    void (*changed)(SpokeDevice *device, gpointer user_data);
    gpointer changed_data;
};

/* spoke_call_start() for a device's method: once the caller is known, @act runs if the device is
 * still there and its Users= let the caller in. */
void spoke_device_bus_start(SpokeDeviceBus *self, SpokeCall *call, SpokeCallFunc act,
                            gpointer request, GDestroyNotify free_request);

int spoke_device_method_send_text(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int spoke_device_method_send(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int spoke_device_method_send_batch(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int spoke_device_method_flush(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
/* The signal Settled, to whom the address @notify names. */
void spoke_device_emit_settled(SpokeDeviceBus *self, guint64 id, const char *notify,
                               SpokeOutcome outcome, const char *detail);

int spoke_device_method_subscribe(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int spoke_device_method_unsubscribe(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int spoke_device_method_receive(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int spoke_device_method_complete(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int spoke_device_method_abandon(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int spoke_device_method_reject(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int spoke_device_method_check_now(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
/* The signal MessageReceived, to @owner. */
void spoke_device_emit_received(SpokeDeviceBus *self, const char *owner,
                                const SpokeDelivered *delivered);

/* The getter of all properties. */
int spoke_device_get_property(sd_bus *bus, const char *path, const char *interface,
                              const char *property, sd_bus_message *reply, void *userdata,
                              sd_bus_error *ret_error);
/* Tells what differs from the snapshot and renews it. Returns: whether something did */
gboolean spoke_device_tell_changes(SpokeDeviceBus *self);
void spoke_device_snapshot_take(SpokeDevice *device, SpokeDeviceSnapshot *ret_snapshot);
