/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A queue of PUBACKs with the time at which each may go. It is empty unless faults are on. */

#include "mqtt-acks.h"

#include "mqtt-packet.h"

typedef struct {
    guint16 packet_id;
    gint64 due_usec;
} Held;

struct EmuHeldAcks {
    GArray *queue; /* owned; Held */
};

EmuHeldAcks *
emu_held_acks_new(void)
{
    EmuHeldAcks *self = g_new0(EmuHeldAcks, 1);

    self->queue = g_array_new(FALSE, FALSE, sizeof(Held));
    return self;
}

void
emu_held_acks_free(EmuHeldAcks *self)
{
    if (self == NULL)
        return;

    g_array_unref(self->queue);
    g_free(self);
}

static Held *
held_at(const EmuHeldAcks *self, guint index)
{
    return &g_array_index(self->queue, Held, index);
}

guint
emu_held_acks_count(const EmuHeldAcks *self)
{
    return self->queue->len;
}

void
emu_held_acks_add(EmuHeldAcks *self, guint16 packet_id, gint64 due_usec)
{
    Held held = {packet_id, due_usec};

    if (self->queue->len > 0)
        held.due_usec = MAX(due_usec, held_at(self, self->queue->len - 1)->due_usec);
    g_array_append_val(self->queue, held);
}

void
emu_held_acks_set_due(EmuHeldAcks *self, gint64 due_usec)
{
    for (guint i = 0; i < self->queue->len; i++) {
        if (held_at(self, i)->due_usec == G_MAXINT64)
            held_at(self, i)->due_usec = due_usec;
    }
}

gint64
emu_held_acks_next_due(const EmuHeldAcks *self)
{
    return self->queue->len > 0 ? held_at(self, 0)->due_usec : G_MAXINT64;
}

guint
emu_held_acks_release(EmuHeldAcks *self, gint64 now_usec, GByteArray *out)
{
    guint n = 0;

    while (n < self->queue->len && held_at(self, n)->due_usec <= now_usec)
        emu_mqtt_write_puback(out, held_at(self, n++)->packet_id);
    if (n > 0)
        g_array_remove_range(self->queue, 0, n);
    return n;
}
