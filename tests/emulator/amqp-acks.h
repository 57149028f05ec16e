/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <proton/delivery.h>

typedef struct EmuAmqpEnd EmuAmqpEnd;
typedef struct EmuFaults EmuFaults;

/* Deliveries that are to be accepted once their messages are stored, and held back while a fault
 * wants it. */
typedef struct EmuAmqpAcks EmuAmqpAcks;

EmuAmqpAcks *emu_amqp_acks_new(void);
void emu_amqp_acks_free(EmuAmqpAcks *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(EmuAmqpAcks, emu_amqp_acks_free)

/**
 * emu_amqp_acks_add:
 * @end: our end of its link, which counts what it has here
 * @due_usec: see emu_faults_ack_due()
 */
void emu_amqp_acks_add(EmuAmqpAcks *self, pn_delivery_t *delivery, EmuAmqpEnd *end,
                       gint64 due_usec);

/* The link of @end goes, and its deliveries with it. */
void emu_amqp_acks_forget(EmuAmqpAcks *self, EmuAmqpEnd *end);

/* Those that wait for a fault to go are due if it has gone. */
void emu_amqp_acks_review(EmuAmqpAcks *self, EmuFaults *faults, gint64 now_usec);

/* When the first is due; G_MAXINT64 for never or none. */
gint64 emu_amqp_acks_next_due(EmuAmqpAcks *self);

/* Accepts and settles those that are due, and gives their links new credit. */
void emu_amqp_acks_release(EmuAmqpAcks *self, gint64 now_usec);
