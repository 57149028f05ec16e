/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/delivery.h"

/*
 * Who has asked for C2D messages, in the order they came, and whose turn it is: handlers are
 * served in a circle. How many messages a handler holds is counted here, since it decides the turn.
 */
typedef struct {
    guint32 number; /* not 0, never used twice */
    char *owner;
    SpokeSubscribeMode mode;
    GBytes *filter; /* owned; NULL for all */
    guint64 lock_msec;
    guint credit;
    guint held;       /* messages promised or locked to it; at most credit */
    gboolean is_slow; /* gets nothing for now */
} SpokeSubscription;

typedef struct {
    GQueue all;          /* of SpokeSubscription, owned, by number */
    guint32 last_number; /* given out */
    guint32 last_served; /* handler; 0: none yet */
} SpokeSubscriptions;

/* All owners together. */
#define SPOKE_SUBSCRIPTIONS_MAX 4096

/* Without lock and credit yet. Errors: LIMIT_REACHED, INVALID_OPTION. (transfer none) (nullable) */
SpokeSubscription *spoke_subscriptions_add(SpokeSubscriptions *subscriptions, const char *owner,
                                           SpokeSubscribeMode mode, GBytes *filter, GError **error);
void spoke_subscriptions_remove(SpokeSubscriptions *subscriptions, SpokeSubscription *subscription);
void spoke_subscriptions_clear(SpokeSubscriptions *subscriptions);

/* (transfer none) (nullable) */
SpokeSubscription *spoke_subscriptions_find(const SpokeSubscriptions *subscriptions,
                                            guint32 number);
SpokeSubscription *spoke_subscriptions_find_owned(const SpokeSubscriptions *subscriptions,
                                                  const char *owner);

/* Whether a handler's filter lets @message through, busy or not. */
gboolean spoke_subscriptions_have_handler(const SpokeSubscriptions *subscriptions,
                                          const SpokeMessage *message);
/* How many more messages like @message handlers could hold. */
guint spoke_subscriptions_get_room(const SpokeSubscriptions *subscriptions,
                                   const SpokeMessage *message);
/* The handler whose turn it is among those with room that are not slow; @avoid (0: nobody) only if
 * it is the only one. (transfer none) (nullable) */
SpokeSubscription *spoke_subscriptions_pick_handler(SpokeSubscriptions *subscriptions,
                                                    const SpokeMessage *message, guint32 avoid);
/* Numbers of the observers whose filter lets @message through and that are not slow. (transfer
 * full) (element-type guint32) */
GArray *spoke_subscriptions_list_observers(const SpokeSubscriptions *subscriptions,
                                           const SpokeMessage *message);
