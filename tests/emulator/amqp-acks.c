/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A queue of a round's deliveries. Settled one after the other, they leave as one disposition:
 * Proton joins neighbours. */

#include "amqp-acks.h"

#include "amqp-private.h"
#include "faults.h"

typedef struct {
    pn_delivery_t *delivery; /* borrowed: alive until it is settled or its link ends */
    EmuAmqpEnd *end;         /* borrowed */
    gint64 due_usec;
} Ack;

struct EmuAmqpAcks {
    GArray *queue; /* owned; Ack */
};

EmuAmqpAcks *
emu_amqp_acks_new(void)
{
    EmuAmqpAcks *self = g_new0(EmuAmqpAcks, 1);

    self->queue = g_array_new(FALSE, FALSE, sizeof(Ack));
    return self;
}

void
emu_amqp_acks_free(EmuAmqpAcks *self)
{
    if (self == NULL)
        return;

    g_array_unref(self->queue);
    g_free(self);
}

static Ack *
ack_at(EmuAmqpAcks *self, guint index)
{
    return &g_array_index(self->queue, Ack, index);
}

void
emu_amqp_acks_add(EmuAmqpAcks *self, pn_delivery_t *delivery, EmuAmqpEnd *end, gint64 due_usec)
{
    Ack ack = {delivery, end, due_usec};

    end->held++;
    g_array_append_val(self->queue, ack);
}

void
emu_amqp_acks_forget(EmuAmqpAcks *self, EmuAmqpEnd *end)
{
    guint kept = 0;

    if (end->held == 0)
        return;
    for (guint i = 0; i < self->queue->len; i++) {
        if (ack_at(self, i)->end != end)
            *ack_at(self, kept++) = *ack_at(self, i);
    }
    g_array_set_size(self->queue, kept);
    end->held = 0;
}

void
emu_amqp_acks_review(EmuAmqpAcks *self, EmuFaults *faults, gint64 now_usec)
{
    for (guint i = 0; i < self->queue->len; i++) {
        Ack *ack = ack_at(self, i);
        if (ack->due_usec == G_MAXINT64)
            ack->due_usec = emu_faults_ack_due(faults, ack->end->device->device_id, now_usec);
    }
}

gint64
emu_amqp_acks_next_due(EmuAmqpAcks *self)
{
    gint64 next_usec = G_MAXINT64;

    for (guint i = 0; i < self->queue->len; i++)
        next_usec = MIN(next_usec, ack_at(self, i)->due_usec);
    return next_usec;
}

static void
accept_delivery(const Ack *ack)
{
    ack->end->held--;
    pn_delivery_update(ack->delivery, PN_ACCEPTED);
    pn_delivery_settle(ack->delivery);
    emu_amqp_telemetry_grant(ack->end);
}

void
emu_amqp_acks_release(EmuAmqpAcks *self, gint64 now_usec)
{
    guint kept = 0;

    for (guint i = 0; i < self->queue->len; i++) {
        const Ack *ack = ack_at(self, i);
        if (ack->due_usec <= now_usec)
            accept_delivery(ack);
        else
            *ack_at(self, kept++) = *ack;
    }
    g_array_set_size(self->queue, kept);
}
