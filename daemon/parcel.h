/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/delivery.h"
#include "daemon/receiver.h"
#include "daemon/recent.h"

/*
 * One C2D message in the inbox, and where it stands.
 *
 *     STORING ──► WAITING ──► PROMISED ──► LOCKED
 *                  ▲ │ ▲          │           │ │
 *                  │ │ └──────────┴───────────┘ │   taken back, abandoned, lock over
 *                  │ ▼                          ▼
 *          (disk failed) ◄── LEAVING ◄──────────┘ ──► gone, or DEAD ──► LEAVING ──► gone
 *
 * Only WAITING is up for distribution. In STORING, LEAVING and, mostly, PROMISED the disk is at
 * work; nobody else may touch the message meanwhile.
 */
typedef enum {
    SPOKE_PARCEL_STORING,  /* on its way to the disk */
    SPOKE_PARCEL_WAITING,  /* on disk, for whoever may have it */
    SPOKE_PARCEL_PROMISED, /* a taker is found; its count is on its way to the disk */
    SPOKE_PARCEL_LOCKED,   /* with the taker */
    SPOKE_PARCEL_LEAVING,  /* on its way off the disk, or to the dead letters */
    SPOKE_PARCEL_DEAD,
} SpokeParcelState;

/* Who wants to hear from the disk. */
typedef struct {
    SpokeInboxFunc done; /* nullable */
    gpointer user_data;
} SpokeParcelWaiter;

typedef struct {
    SpokeMessage *message;
    SpokeDigest digest;
    gint64 received_usec; /* wall clock */
    gint64 expiry_usec;   /* wall clock; SPOKE_CLOCK_NEVER: none */
    SpokeParcelState state;
    SpokeDeadReason dead;

    /* Handed out count times. What is on disk, or on its way, may be ahead, never behind: a crash
     * at any moment costs a try, it never gives one back. */
    guint count;
    guint count_stored;
    guint count_storing; /* 0: nothing is on its way */

    gboolean announced; /* observers have had their chance */
    gboolean completed; /* by observers; only the disk doesn't know yet */
    guint32 last_held;  /* subscription that gave it back last; 0: none */

    /* PROMISED and LOCKED: whose. A subscription by number, or else a user. */
    guint32 subscription;
    char *user;              /* owned; NULL with a subscription */
    SpokeReceiver *receiver; /* owned; PROMISED to it, to be answered */
    guint64 lock_msec;
    gint64 lock_end_usec; /* SPOKE_CLOCK_BOOT */

    /* While the hub has it too, and waits for a verdict. */
    SpokeVerdictFunc hub_done; /* NULL: it does not */
    gpointer hub_data;
    gint64 hub_end_usec;      /* SPOKE_CLOCK_BOOT: it is not let wait longer */
    SpokeVerdict hub_verdict; /* what it will be told; not ACCEPT: given back, and LEAVING */

    GArray *waiters; /* owned; of SpokeParcelWaiter: STORING, for whom. NULL: nobody */
    GList link;      /* in the shelf */
} SpokeParcel;

/* Takes a reference of @message; reads its expiry and digest. */
SpokeParcel *spoke_parcel_new(SpokeMessage *message, gint64 received_usec);
void spoke_parcel_free(SpokeParcel *parcel);

/* Answers and forgets those that wait for it to be stored. */
void spoke_parcel_add_waiter(SpokeParcel *parcel, SpokeInboxFunc done, gpointer user_data);
void spoke_parcel_answer_waiters(SpokeParcel *parcel, const GError *error);

/* The hub waits until @end_usec at most. If it has asked before, that is answered: it is asking
 * again. */
void spoke_parcel_hold(SpokeParcel *parcel, SpokeVerdictFunc done, gpointer user_data,
                       gint64 end_usec);
/* Tells the hub, if it waits. */
void spoke_parcel_end_hold(SpokeParcel *parcel, SpokeVerdict verdict);

/* As it looks to the taker it is promised or locked to. Valid as long as @parcel. */
SpokeDelivered spoke_parcel_describe(const SpokeParcel *parcel);
