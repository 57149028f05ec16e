/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "topic.h"

typedef struct EmuStore EmuStore;

/* The subscriptions of one MQTT session: few, and kept in hub.db between connections when the
 * client asked for that. */
typedef struct EmuSubscriptions EmuSubscriptions;

/* Subscriptions a session may hold. Source: protocol page, 2.3. */
#define EMU_SUBSCRIPTIONS_MAX 5

/**
 * emu_subscriptions_new:
 * @keep: this session outlives its connection
 * @ret_present: whether a kept session was found
 *
 * Without @keep a session that was kept before is forgotten.
 */
EmuSubscriptions *emu_subscriptions_new(EmuStore *store, const char *device_id,
                                        const char *module_id, gboolean keep,
                                        gboolean *ret_present);
void emu_subscriptions_free(EmuSubscriptions *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(EmuSubscriptions, emu_subscriptions_free)

/* Adds a filter, or changes the QoS of one that is there. FALSE when there are too many. */
gboolean emu_subscriptions_add(EmuSubscriptions *self, const char *filter, EmuFilter kind,
                               guint8 qos);

/* Removes a filter; one that is not there is no error. */
void emu_subscriptions_remove(EmuSubscriptions *self, const char *filter);

/* The QoS at which this kind of message is wanted, -1 if it is not. */
int emu_subscriptions_qos(EmuSubscriptions *self, EmuFilter kind);

/* Writes the filters to hub.db, if the session is kept. */
void emu_subscriptions_save(EmuSubscriptions *self);
