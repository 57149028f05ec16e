/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/delivery.h"
#include "daemon/shelf.h"
#include "daemon/subscription.h"

/*
 * Between delivery.c, what the outside asks for, delivery-run.c, what follows from it, and
 * delivery-leave.c, how a message leaves. Whatever happens only changes the state and asks for a
 * run; the run, from the main loop, ends what is over, finds takers for what waits, and sets the
 * alarms for what is next. So nobody is called back while a list is walked, a burst costs one walk,
 * and with nothing to do nothing runs.
 */

/* After the disk failed, how long until it is tried again. */
#define SPOKE_DELIVERY_STORAGE_RETRY_USEC (30 * G_USEC_PER_SEC)

struct SpokeDelivery {
    SpokeShelf *shelf; /* owned */
    SpokeClock *clock; /* owned */
    SpokeDeliveryOptions options;
    SpokeDeliveryEvents events;
    gpointer user_data;

    SpokeSubscriptions subscriptions;
    SpokeReceivers receivers;
    GQueue answers;            /* of SpokeDeliveryAnswer, owned; given in the next run */
    guint run_id;              /* idle source; 0: nothing to do */
    gint64 storage_retry_usec; /* SPOKE_CLOCK_BOOT; 0: the disk may be written to */
    gboolean storage_failing;  /* and it has not worked since */
    gboolean full;             /* the inbox; with hysteresis */
    SpokePause pause;          /* as last said */
    guint holds_ended;         /* so often, all at a time */
    gboolean stopped;
    guint64 received;
};

/* Something that is true already but must not be said from within the call that asked. */
typedef struct {
    SpokeInboxFunc done;
    gpointer user_data;
    GError *error; /* owned; nullable */
} SpokeDeliveryAnswer;

static inline gint64
spoke_delivery_now(SpokeDelivery *delivery, SpokeClockKind kind)
{
    return delivery->clock->now(delivery->clock, kind);
}

/* delivery-run.c */
void spoke_delivery_ask_for_run(SpokeDelivery *delivery);
gboolean spoke_delivery_look_full(SpokeDelivery *delivery);
/* What the disk said: after an error nothing is tried for a while. */
void spoke_delivery_note_storage(SpokeDelivery *delivery, const GError *error);
void spoke_delivery_give_answers(SpokeDelivery *delivery);
/* The count has been raised, or could not be. A SpokeShelfFunc. */
void spoke_delivery_on_counted(SpokeParcel *parcel, const GError *error, gpointer user_data);

/* delivery-leave.c */
/* The end of a promise or lock, whatever comes next: the message waits again. */
void spoke_delivery_let_go(SpokeDelivery *delivery, SpokeParcel *parcel);
/* Off the disk; then either @receiver (transfer full) gets it or @done (nullable) is called. */
void spoke_delivery_remove(SpokeDelivery *delivery, SpokeParcel *parcel, SpokeInboxFunc done,
                           gpointer user_data);
/* Likewise; the hub, which waits for a verdict, gets this one. */
void spoke_delivery_give_back(SpokeDelivery *delivery, SpokeParcel *parcel, SpokeVerdict verdict,
                              SpokeInboxFunc done, gpointer user_data);
void spoke_delivery_remove_for(SpokeDelivery *delivery, SpokeParcel *parcel,
                               SpokeReceiver *receiver);
void spoke_delivery_bury(SpokeDelivery *delivery, SpokeParcel *parcel, SpokeDeadReason reason,
                         SpokeInboxFunc done, gpointer user_data);
void spoke_delivery_trim_dead(SpokeDelivery *delivery);
