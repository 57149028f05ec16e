/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The few messages between PUBLISH and PUBACK, and the packet ids they go by. */

#include "mqtt-outbound.h"

#include "c2d.h"

typedef struct {
    guint16 packet_id;
    guint64 sequence;
    guint64 lock;
} Sent;

struct EmuOutbound {
    EmuC2d *c2d;  /* borrowed, outlives us */
    GArray *list; /* owned; Sent */
    guint16 last_packet_id;
};

EmuOutbound *
emu_outbound_new(EmuC2d *c2d)
{
    EmuOutbound *self = g_new0(EmuOutbound, 1);

    self->c2d = c2d;
    self->list = g_array_new(FALSE, FALSE, sizeof(Sent));
    return self;
}

void
emu_outbound_free(EmuOutbound *self)
{
    if (self == NULL)
        return;

    g_array_unref(self->list);
    g_free(self);
}

static Sent *
sent_at(EmuOutbound *self, guint index)
{
    return &g_array_index(self->list, Sent, index);
}

static gboolean
is_used(EmuOutbound *self, guint16 packet_id)
{
    for (guint i = 0; i < self->list->len; i++) {
        if (sent_at(self, i)->packet_id == packet_id)
            return TRUE;
    }
    return FALSE;
}

gboolean
emu_outbound_has_room(EmuOutbound *self)
{
    if (self->list->len < EMU_OUTBOUND_MAX)
        return TRUE;

    for (guint i = self->list->len; i-- > 0;) {
        if (!emu_c2d_is_locked(self->c2d, sent_at(self, i)->lock))
            g_array_remove_index(self->list, i);
    }
    return self->list->len < EMU_OUTBOUND_MAX;
}

guint16
emu_outbound_add(EmuOutbound *self, guint64 sequence, guint64 lock)
{
    for (guint i = 0; i < self->list->len; i++) {
        if (sent_at(self, i)->sequence == sequence) {
            sent_at(self, i)->lock = lock;
            return sent_at(self, i)->packet_id;
        }
    }

    do
        self->last_packet_id++;
    while (self->last_packet_id == 0 || is_used(self, self->last_packet_id));
    Sent sent = {self->last_packet_id, sequence, lock};
    g_array_append_val(self->list, sent);
    return sent.packet_id;
}

guint64
emu_outbound_take(EmuOutbound *self, guint16 packet_id)
{
    for (guint i = 0; i < self->list->len; i++) {
        if (sent_at(self, i)->packet_id == packet_id) {
            guint64 lock = sent_at(self, i)->lock;
            g_array_remove_index(self->list, i);
            return lock;
        }
    }
    return 0;
}
