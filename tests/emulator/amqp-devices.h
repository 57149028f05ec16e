/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "hub.h"

typedef struct EmuAmqpSession EmuAmqpSession;

/* One identity on a connection: that it may be there, and the links it has. */
typedef struct {
    EmuAmqpSession *session; /* borrowed */
    char *name;              /* owned: `device` or `device/module` */
    char *device_id;         /* owned */
    gint64 expiry_sec;       /* of its own token, wall clock; 0: it has none */
    EmuLink link;            /* its identity is set while a link of it is open */
    EmuOrigin *origin;       /* owned; NULL until the first link */
    gpointer events;         /* borrowed; EmuAmqpEnd; NULL while there is none */
    gpointer devicebound;    /* likewise */
} EmuAmqpDevice;

/* The identities that have been let onto one connection. Source: protocol page, 3.10. */
typedef struct EmuAmqpDevices EmuAmqpDevices;

EmuAmqpDevices *emu_amqp_devices_new(void);
void emu_amqp_devices_free(EmuAmqpDevices *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(EmuAmqpDevices, emu_amqp_devices_free)

guint emu_amqp_devices_count(EmuAmqpDevices *self);

/* Those among them that have a link open. */
guint emu_amqp_devices_connected(EmuAmqpDevices *self);

/* Returns: (transfer none) (nullable). */
EmuAmqpDevice *emu_amqp_devices_find(EmuAmqpDevices *self, const EmuIdentity *identity);

/* Returns: (transfer none) (nullable): a new or known entry; NULL when there is no room. */
EmuAmqpDevice *emu_amqp_devices_add(EmuAmqpDevices *self, EmuAmqpSession *session,
                                    const EmuIdentity *identity);

/* Returns: (transfer container) (element-type EmuAmqpDevice): all, for a loop that changes them. */
GPtrArray *emu_amqp_devices_list(EmuAmqpDevices *self);

/* Forgets an entry, which has no links. */
void emu_amqp_devices_remove(EmuAmqpDevices *self, EmuAmqpDevice *device);

/* The token of @device is good until @expiry_sec; 0: it has none any more. */
void emu_amqp_devices_grant(EmuAmqpDevices *self, EmuAmqpDevice *device, gint64 expiry_sec);

/* Whether some token covers @identity at @now_sec: its own, or the one of its device. */
gboolean emu_amqp_devices_cover(EmuAmqpDevices *self, const EmuIdentity *identity, gint64 now_sec);

/* When the first token runs out, wall clock; G_MAXINT64 for never. */
gint64 emu_amqp_devices_next_expiry(EmuAmqpDevices *self);
