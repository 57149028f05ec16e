/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/inbox.h"

/*
 * Who gets a C2D message: observers, handlers, receivers; locks, redelivery, delivery count, dead
 * letters. It keeps the inbox in memory and on disk; it knows subscribers as opaque owners and
 * speaks to them through callbacks. dbus/org.spoked1.Device.xml states the rules.
 *
 * Owners: @owner names a connection (a bus name) for subscriptions and their locks, @user a user
 * (decimal uid) for locks of receivers; a lock of a subscription ends when the owner leaves.
 */
typedef struct SpokeDelivery SpokeDelivery;

typedef struct {
    guint messages_max;       /* alive; above it receiving pauses */
    guint64 bytes_max;        /* likewise */
    guint delivery_count_max; /* handed out that often and not completed: dead letter */
    guint dead_letters_max;   /* the oldest go */
} SpokeDeliveryOptions;

typedef enum { SPOKE_SUBSCRIBE_OBSERVE, SPOKE_SUBSCRIBE_HANDLE } SpokeSubscribeMode;

/* Limits per the Device interface. Source: dbus/org.spoked1.Device.xml, Subscribe and Receive. */
#define SPOKE_SUBSCRIPTIONS_PER_OWNER_MAX 64
#define SPOKE_RECEIVERS_MAX               256
#define SPOKE_LOCK_MSEC_MIN               1000
#define SPOKE_LOCK_MSEC_MAX               3600000
#define SPOKE_LOCK_MSEC_DEFAULT           60000
#define SPOKE_CREDIT_MAX                  256
#define SPOKE_CREDIT_DEFAULT              16

typedef struct {
    SpokeMessage *message; /* (transfer none); id is the row's */
    gint64 received_usec;  /* wall clock */
    guint delivery_count;  /* this hand-out included; 0 for observers */
    guint32 subscription;  /* 0 for a receiver */
    SpokeSubscribeMode mode;
    guint64 lock_msec;    /* 0: not locked, nothing to settle */
    SpokeDeadReason dead; /* of a dead letter taken by a receiver */
} SpokeDelivered;

typedef struct {
    /* Hand @delivered to @owner. */
    void (*deliver)(const char *owner, const SpokeDelivered *delivered, gpointer user_data);
    /* Receiving should pause or resume: the inbox is full, or has room again. */
    void (*paused)(gboolean paused, gpointer user_data);
} SpokeDeliveryEvents;

/* Answer to a receiver: @error NULL and @delivered set, or TIMEOUT, CANCELLED, SHUTDOWN. */
typedef void (*SpokeReceiveFunc)(const SpokeDelivered *delivered, const GError *error,
                                 gpointer user_data);

/* Loads the inbox (start-up, blocks). Takes @inbox over. (transfer full) (nullable) */
SpokeDelivery *spoke_delivery_new(SpokeSpool *spool, SpokeInbox *inbox,
                                  const SpokeDeliveryOptions *options,
                                  const SpokeDeliveryEvents *events, gpointer user_data,
                                  GError **error);
void spoke_delivery_free(SpokeDelivery *delivery);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpokeDelivery, spoke_delivery_free)
void spoke_delivery_set_options(SpokeDelivery *delivery, const SpokeDeliveryOptions *options);

/* A message from the hub. @done: on disk (complete it at the hub), or an error (leave it there). */
void spoke_delivery_take_over(SpokeDelivery *delivery, SpokeMessage *message, SpokeInboxFunc done,
                              gpointer user_data);

/* @filter: packed list, all of which must match; NULL for all. Errors: LIMIT_REACHED. Returns:
 * number of the subscription, 0 on error */
guint32 spoke_delivery_subscribe(SpokeDelivery *delivery, const char *owner,
                                 SpokeSubscribeMode mode, GBytes *filter, guint64 lock_msec,
                                 guint credit, GError **error);
/* Errors: NO_SUCH_SUBSCRIPTION */
gboolean spoke_delivery_unsubscribe(SpokeDelivery *delivery, const char *owner,
                                    guint32 subscription, GError **error);
/* The owner has left the bus: its subscriptions, locks and waiting receivers go. */
void spoke_delivery_drop_owner(SpokeDelivery *delivery, const char *owner);

/* @lock_msec 0: completed by being received; @done once that is on disk. Errors at once:
 * LIMIT_REACHED. */
gboolean spoke_delivery_receive(SpokeDelivery *delivery, const char *owner, const char *user,
                                gint64 timeout_usec, GBytes *filter, guint64 lock_msec,
                                gboolean dead_letter, SpokeReceiveFunc done, gpointer user_data,
                                GError **error);

/* @owner or @user must hold the lock. @done once the outcome is on disk. Errors at once:
 * NO_SUCH_MESSAGE. */
typedef enum { SPOKE_SETTLE_COMPLETE, SPOKE_SETTLE_ABANDON, SPOKE_SETTLE_REJECT } SpokeSettle;
gboolean spoke_delivery_settle(SpokeDelivery *delivery, const char *owner, const char *user,
                               guint64 id, SpokeSettle settle, SpokeInboxFunc done,
                               gpointer user_data, GError **error);

guint64 spoke_delivery_get_waiting(SpokeDelivery *delivery);
guint64 spoke_delivery_get_dead_letters(SpokeDelivery *delivery);
guint64 spoke_delivery_get_received(SpokeDelivery *delivery); /* taken over since start */
gboolean spoke_delivery_is_paused(SpokeDelivery *delivery);
