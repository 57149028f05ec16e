/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* Faults on request. Heads ask at the points where a fault can strike; each question counts the
 * fault down. All times are monotonic. */
typedef struct EmuFaults EmuFaults;

typedef enum {
    EMU_FAULT_REFUSE,           /* CONNACK `code` for the next `count` logins */
    EMU_FAULT_REFUSE_TCP,       /* close the next `count` sockets before TLS */
    EMU_FAULT_REFUSE_SUBSCRIBE, /* SUBACK 0x80 for the next `count` filters */
    EMU_FAULT_CUT_AFTER,        /* take `after` messages, close at the next; `count` times */
    EMU_FAULT_STALL_ACKS,       /* hold acknowledgements for `ms`, 0: until the fault is removed */
    EMU_FAULT_DELAY,            /* each acknowledgement `ms` late */
    EMU_FAULT_THROTTLE,         /* take no more than `rate` messages a second */
    EMU_FAULT_QUOTA,      /* the day's quota is used up: take none of the next `count` messages */
    EMU_FAULT_BLACK_HOLE, /* keep sockets, read nothing, answer nothing */
    EMU_FAULT_CLOCK_SKEW, /* the hub's clock goes `sec` ahead, or behind */
    EMU_N_FAULTS,
} EmuFaultKind;

typedef struct {
    guint id; /* given by emu_faults_add() */
    EmuFaultKind kind;
    char *device_id; /* owned; NULL: all devices */
    guint count;     /* strikes left; 0: no end */
    guint code;
    guint ms;
    guint after;
    guint rate;
    gint64 sec;
    gboolean store; /* CUT_AFTER: the message that is not acknowledged is stored all the same */

    guint64 strikes;       /* how often it struck */
    guint64 seen;          /* CUT_AFTER: messages since the last strike */
    gint64 until_usec;     /* STALL_ACKS: ends by itself then; G_MAXINT64: never */
    double allowance;      /* THROTTLE: messages that may pass now */
    gint64 refreshed_usec; /* THROTTLE: when `allowance` was last raised */
} EmuFault;

typedef enum {
    EMU_VERDICT_ACCEPT,
    EMU_VERDICT_CUT,       /* close, do not store */
    EMU_VERDICT_STORE_CUT, /* store, do not acknowledge, close */
    EMU_VERDICT_THROTTLE,  /* 429002: do not store; close if the protocol cannot say it */
    EMU_VERDICT_QUOTA,     /* 403002: likewise */
} EmuVerdict;

/* Runs when faults come, go or end, so that links look again. */
typedef void (*EmuFaultsFunc)(gpointer user_data);

EmuFaults *emu_faults_new(EmuFaultsFunc changed, gpointer user_data);
void emu_faults_free(EmuFaults *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(EmuFaults, emu_faults_free)

/* Adds a copy of @fault. Returns its id. */
guint emu_faults_add(EmuFaults *self, const EmuFault *fault, gint64 now_usec);

/* Removes one fault, or all with id 0. Returns how many went. */
guint emu_faults_remove(EmuFaults *self, guint id);

/* Returns: (transfer none) (element-type EmuFault): the active faults, oldest first. */
const GPtrArray *emu_faults_list(EmuFaults *self);

/* Ends what has run out; the next time that is needed, G_MAXINT64 for never. */
void emu_faults_expire(EmuFaults *self, gint64 now_usec);
gint64 emu_faults_next_deadline(EmuFaults *self);

/* The questions. @device_id NULL asks before it is known: only faults for all devices strike. */
gboolean emu_faults_refuses_tcp(EmuFaults *self);
gboolean emu_faults_refuses_login(EmuFaults *self, const char *device_id, guint *ret_code);
gboolean emu_faults_refuses_subscribe(EmuFaults *self, const char *device_id);
gboolean emu_faults_is_black_hole(EmuFaults *self, const char *device_id);
EmuVerdict emu_faults_judge(EmuFaults *self, const char *device_id, gint64 now_usec);

/* The same for @count messages that are taken or refused together. A throttle lets a batch through
 * that is larger than its rate, and makes what follows wait for so much longer. */
EmuVerdict emu_faults_judge_many(EmuFaults *self, const char *device_id, guint count,
                                 gint64 now_usec);

/* When the acknowledgement of a message that came now may go: 0 at once, G_MAXINT64 when the
 * fault is gone. */
gint64 emu_faults_ack_due(EmuFaults *self, const char *device_id, gint64 now_usec);

gint64 emu_faults_skew_usec(EmuFaults *self);

const char *emu_fault_kind_name(EmuFaultKind kind);
gboolean emu_fault_kind_from_name(const char *name, EmuFaultKind *ret_kind);
