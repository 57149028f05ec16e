/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* PUBACKs that a fault holds back, in the order in which they were earned. */
typedef struct EmuHeldAcks EmuHeldAcks;

/* There are no more packet ids than this: whoever has so many waiting is not read from. */
#define EMU_HELD_ACKS_MAX G_MAXUINT16

EmuHeldAcks *emu_held_acks_new(void);
void emu_held_acks_free(EmuHeldAcks *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(EmuHeldAcks, emu_held_acks_free)

guint emu_held_acks_count(const EmuHeldAcks *self);

/**
 * emu_held_acks_add:
 * @due_usec: monotonic; G_MAXINT64: when the fault goes. Behind one that waits longer it waits as
 *   long: acknowledgements keep their order
 */
void emu_held_acks_add(EmuHeldAcks *self, guint16 packet_id, gint64 due_usec);

/* Those that waited for the fault to go are due at @due_usec now. */
void emu_held_acks_set_due(EmuHeldAcks *self, gint64 due_usec);

/* When the first is due; G_MAXINT64 for never or none. */
gint64 emu_held_acks_next_due(const EmuHeldAcks *self);

/* Appends those that are due to @out. Returns how many. */
guint emu_held_acks_release(EmuHeldAcks *self, gint64 now_usec, GByteArray *out);
