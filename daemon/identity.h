/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/*
 * Who speaks to the hub: a device or one of its modules. Constant once made, shared by reference;
 * holds no credential.
 */
typedef struct {
    gatomicrefcount ref_count;
    char *name;      /* in this daemon: "self" for the machine's own */
    char *hub;       /* HostName: SAS audience, MQTT username */
    char *device_id; /* 1 to 128 characters. Source: iot-hub-protocol.md, 1.1 */
    char *module_id; /* NULL for a device */
    char *key;       /* "hub/device" or "hub/device/module": what its queues go by in the spool */
} SpokeIdentity;

SpokeIdentity *spoke_identity_new(const char *name, const char *hub, const char *device_id,
                                  const char *module_id);
SpokeIdentity *spoke_identity_ref(SpokeIdentity *identity);
void spoke_identity_unref(SpokeIdentity *identity);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpokeIdentity, spoke_identity_unref)

/* The name of the machine's own. */
#define SPOKE_DEVICE_SELF "self"

/* Whether @id is a legal device or module id. Source: iot-hub-protocol.md, 1.1. */
gboolean spoke_identity_is_valid_id(const char *id);
