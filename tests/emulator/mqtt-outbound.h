/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

typedef struct EmuC2d EmuC2d;

/* C2D messages that one connection sent and that wait for their PUBACK. */
typedef struct EmuOutbound EmuOutbound;

/* How many may wait. Source: protocol page, 2.3. */
#define EMU_OUTBOUND_MAX 10

EmuOutbound *emu_outbound_new(EmuC2d *c2d);
void emu_outbound_free(EmuOutbound *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(EmuOutbound, emu_outbound_free)

/* Whether another may be sent. Those whose lock has run out do not count: they will come anew. */
gboolean emu_outbound_has_room(EmuOutbound *self);

/**
 * emu_outbound_add:
 *
 * Notes a message as sent. One that was sent over this connection before keeps its packet id, so
 * that a late PUBACK still finds it.
 *
 * Returns: the packet id to send it with.
 */
guint16 emu_outbound_add(EmuOutbound *self, guint64 sequence, guint64 lock);

/* Forgets the message of @packet_id and returns its lock; 0 if none waits under that id. */
guint64 emu_outbound_take(EmuOutbound *self, guint16 packet_id);
