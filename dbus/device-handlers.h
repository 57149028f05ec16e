/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "dbus/device-bus.h"
#include "dbus/listeners.h"
#include "dbus/message-bus.h"

/*
 * Inside of the device object, which is spread over a few files: device-bus.c has the table and the
 * object's life, device-send.c telemetry, device-receive.c C2D, device-properties.c the
 * properties. Nobody else includes this.
 */

/* A caller that asks to wait longer than ten years waits as long as that: sums of times stay far
 * from the end of their type. */
#define SPOKE_WAIT_MSEC_MAX (G_GUINT64_CONSTANT(10) * 365 * 24 * 3600 * 1000)

/* Those properties that emit PropertiesChanged, as they were when last told. */
typedef struct {
    char *device_id; /* owned, all strings */
    char *module_id;
    char *hub;
    char *transport;
    char *detail; /* of the last error */
    SpokeConnectionState state;
    SpokeCapabilities capabilities;
    SpokeCause cause;
    gint64 connected_since;
    gint64 next_attempt;
    gint64 token_expiry;
    gboolean receive_paused;
} SpokeDeviceSnapshot;

struct SpokeDeviceBus {
    sd_bus *bus;                /* owned */
    SpokeCallers *callers;      /* borrowed, outlives us */
    SpokeDevice *device;        /* borrowed */
    SpokeMessageReader *reader; /* owned */
    SpokeListeners *listeners;  /* owned; of MessageReceived */
    SpokeListeners *senders;    /* owned; of Settled */
    sd_bus_slot *slot;          /* owned: the vtable's place on the bus */
    char *path;                 /* owned */
    char *bus_id;               /* owned */
    guint idle_id;              /* a change to be told, or 0 */
    SpokeDeviceSnapshot told;
    void (*changed)(gpointer user_data);
    gpointer changed_data;
};

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
void spoke_device_snapshot_clear(SpokeDeviceSnapshot *snapshot);
