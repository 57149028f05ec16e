/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/delivery.h"
#include "daemon/error.h"

/*
 * Callers that wait for one message, first come, first served. Each is answered once: what takes
 * one out of the queue owes it the answer.
 */
typedef struct {
    char *owner;
    char *user;
    GBytes *filter;       /* owned; NULL for all */
    guint64 lock_msec;    /* 0: receiving completes */
    gboolean dead_letter; /* wants a dead one, else a live one */
    gint64 deadline_usec; /* SPOKE_CLOCK_BOOT */
    SpokeReceiveFunc done;
    gpointer user_data;
} SpokeReceiver;

typedef GQueue SpokeReceivers; /* of SpokeReceiver, owned */

SpokeReceiver *spoke_receiver_new(const char *owner, const char *user, GBytes *filter);
/* Calls done and frees; either @delivered or @error is set. @receiver: (transfer full) */
void spoke_receiver_answer(SpokeReceiver *receiver, const SpokeDelivered *delivered,
                           const GError *error);
/* Answers with an error of ours. @receiver: (transfer full) */
void spoke_receiver_refuse(SpokeReceiver *receiver, SpokeError code, const char *text);

/* Whether a live (@dead_letter: dead) @message would go to one that waits. */
gboolean spoke_receivers_want(const SpokeReceivers *receivers, const SpokeMessage *message,
                              gboolean dead_letter);
/* Each takes the first that fits out of the queue. (transfer full) (nullable) */
SpokeReceiver *spoke_receivers_take_for(SpokeReceivers *receivers, const SpokeMessage *message,
                                        gboolean dead_letter);
SpokeReceiver *spoke_receivers_take_overdue(SpokeReceivers *receivers, gint64 now_usec);
SpokeReceiver *spoke_receivers_take_owned(SpokeReceivers *receivers, const char *owner);

gint64 spoke_receivers_get_deadline(const SpokeReceivers *receivers); /* the nearest, or NEVER */
