/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <proton/condition.h>

/* Why the hub refuses or ends something, as AMQP says it. */
typedef struct {
    const char *name; /* static: a symbol of protocol page, 3.9 */
    guint code;       /* the hub's own number: protocol page, 7.3 */
} EmuAmqpCause;

extern const EmuAmqpCause emu_amqp_cause_argument;    /* what came cannot be understood */
extern const EmuAmqpCause emu_amqp_cause_address;     /* no such node */
extern const EmuAmqpCause emu_amqp_cause_disabled;    /* the identity is disabled */
extern const EmuAmqpCause emu_amqp_cause_forced;      /* the hub stops */
extern const EmuAmqpCause emu_amqp_cause_full;        /* no room for another identity */
extern const EmuAmqpCause emu_amqp_cause_idle;        /* nothing came for too long */
extern const EmuAmqpCause emu_amqp_cause_lock_lost;   /* the C2D message is locked no more */
extern const EmuAmqpCause emu_amqp_cause_not_allowed; /* not in this role, not on this connection */
extern const EmuAmqpCause emu_amqp_cause_not_here;    /* this emulator lacks it */
extern const EmuAmqpCause emu_amqp_cause_quota;       /* the day's messages are used up */
extern const EmuAmqpCause emu_amqp_cause_server;      /* the hub failed */
extern const EmuAmqpCause emu_amqp_cause_stolen;      /* a newer link has taken over */
extern const EmuAmqpCause emu_amqp_cause_throttled;   /* too many messages a second */
extern const EmuAmqpCause emu_amqp_cause_too_large;   /* the message */
extern const EmuAmqpCause emu_amqp_cause_unauthorized; /* no token, or not a good one */
extern const EmuAmqpCause emu_amqp_cause_unknown;      /* no such identity */
extern const EmuAmqpCause emu_amqp_cause_dropped;      /* somebody asked for it */

/* Returns: (transfer none): the cause for an error of the hub's. */
const EmuAmqpCause *emu_amqp_cause_of(const GError *error);

/* Returns: (transfer none): the cause for a reason that the hub closes a link with: see
 * EmuLinkOps. */
const EmuAmqpCause *emu_amqp_cause_of_reason(const char *reason);

/* Fills in @condition; the text becomes JSON, as the hub writes it. */
void emu_amqp_condition_set(pn_condition_t *condition, const EmuAmqpCause *cause,
                            const char *message);
