/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/clock.h"
#include "daemon/inbox.h"
#include "daemon/transport.h"

/*
 * Who gets a C2D message: observers, handlers, receivers; locks, redelivery, delivery count, dead
 * letters. It keeps the inbox in memory and on disk; it knows subscribers as opaque owners and
 * speaks to them through callbacks. dbus/org.spoked1.Device.xml states the rules for users; in the
 * words of this file:
 *
 * - A message is announced once: when it is on disk and somebody is there for it, that is, an
 *   observer or a handler whose filter lets it through, or a waiting receiver. Every such observer
 *   gets its copy then; one that comes later gets none. Until then it waits.
 * - If no handler's filter lets it through at that moment (how busy a handler is does not matter,
 *   nor do handlers with another filter) and no receiver takes it, the observers' delivery
 *   completes it. Otherwise it is the handlers' and receivers' from then on, and stays until one of
 *   them settles it, even when all handlers go: they may be about to come back. What has once been
 *   handed out stays theirs across a restart; what has not is announced anew.
 * - Handlers take turns within their credit, oldest message first; if none has room, the first
 *   waiting receiver that fits gets it. A message given back goes to its old place, and not to the
 *   same subscription again if another has room.
 * - A hand-out counts when it is made. The count on disk is raised before, so that a message which
 *   brings the machine down cannot do so for ever. Given back at delivery_count_max it becomes a
 *   dead letter. One whose expiry comes while nobody holds it becomes one too.
 * - Repeats: a message with the same message-id and the same contents as one that is still in the
 *   inbox (dead letters too), or as one of the last 256 that left it since the start, is answered
 *   as taken over and not stored. Not guaranteed: after a restart the latter are forgotten, so a
 *   message completed shortly before may come again; without a message-id nothing is recognised.
 * - While the hub waits for a verdict, abandoned and rejected messages go back to it and leave the
 *   inbox first. Whether the verdict gets there is not known here; so a rejected message that the
 *   hub sends again is rejected again, or, if it comes where no verdict can be told, is a new one.
 *   After a restart it is a new one in any case: until the hub has heard, it is not lost, but may
 * be handed out once more.
 * - An owner that does not read what it was sent is slow: it gets nothing until it has caught up,
 * its observers are not there for what comes meanwhile, its handlers are busy.
 * - When the disk fails, nothing is handed out and receiving pauses for half a minute at a time.
 *
 * Callbacks come from the main loop, never from within a function of this file, save _drop_owner(),
 * _end_holds() and _free(), which answer those that wait. They may call back in, but not free.
 *
 * Owners: @owner names a connection (a bus name) for subscriptions and their locks, @user a user
 * (decimal uid) for locks of receivers; a lock of a subscription ends when the owner leaves.
 */
typedef struct SpokeDelivery SpokeDelivery;

typedef struct {
    guint messages_max;       /* alive; above it receiving pauses, until 3/4 of it are left */
    guint64 bytes_max;        /* likewise */
    guint delivery_count_max; /* handed out that often and not completed: dead letter */
    guint dead_letters_max;   /* the oldest go; also when they take more than bytes_max */
} SpokeDeliveryOptions;

typedef enum { SPOKE_SUBSCRIBE_OBSERVE, SPOKE_SUBSCRIBE_HANDLE } SpokeSubscribeMode;

/* Limits per the Device interface. Source: dbus/org.spoked1.Device.xml, Subscribe and Receive. */
#define SPOKE_SUBSCRIPTIONS_PER_OWNER_MAX 64
#define SPOKE_RECEIVERS_MAX               1024
#define SPOKE_LOCK_MSEC_MIN               1000
#define SPOKE_LOCK_MSEC_MAX               3600000
#define SPOKE_LOCK_MSEC_DEFAULT           60000
#define SPOKE_CREDIT_MAX                  256
#define SPOKE_CREDIT_DEFAULT              16

/* What may still arrive after receiving was paused; beyond it the hub has to keep it. The hub
 * queues 50 messages of 64 KB for a device. Source: iot-hub-protocol.md, 5 and 7.1. */
#define SPOKE_DELIVERY_SLACK_MESSAGES 64
#define SPOKE_DELIVERY_SLACK_BYTES    (4 * 1024 * 1024)

typedef struct {
    SpokeMessage *message; /* (transfer none); id is the row's */
    gint64 received_usec;  /* wall clock */
    guint delivery_count;  /* this hand-out included; 0 for observers */
    guint32 subscription;  /* 0 for a receiver */
    SpokeSubscribeMode mode;
    guint64 lock_msec;    /* 0: not locked, nothing to settle */
    SpokeDeadReason dead; /* of a dead letter taken by a receiver */
} SpokeDelivered;

/* Why messages should be left at the hub. */
typedef enum {
    SPOKE_PAUSE_NOT,
    SPOKE_PAUSE_FULL,    /* the inbox is */
    SPOKE_PAUSE_STORAGE, /* the disk fails */
} SpokePause;

typedef struct {
    /* Hand @delivered to @owner. */
    void (*deliver)(const char *owner, const SpokeDelivered *delivered, gpointer user_data);
    /* Receiving should pause or resume, or pauses for another reason now. */
    void (*paused)(SpokePause pause, gpointer user_data);
    /* A message has become a dead letter. */
    void (*dead_letter)(guint64 id, SpokeDeadReason reason, guint delivery_count,
                        gpointer user_data);
} SpokeDeliveryEvents;

/* "rejected", "expired", "delivery-count"; "" for NOT */
const char *spoke_dead_reason_to_string(SpokeDeadReason reason);

/* Answer to a receiver: @error NULL and @delivered set, or TIMEOUT, CANCELLED (its owner has
 * left), SHUTDOWN, or what the disk said. */
typedef void (*SpokeReceiveFunc)(const SpokeDelivered *delivered, const GError *error,
                                 gpointer user_data);

/* Loads the inbox (start-up, blocks). Takes @inbox and @clock over, also on error. (transfer full)
 * (nullable) */
SpokeDelivery *spoke_delivery_new(SpokeInbox *inbox, SpokeClock *clock,
                                  const SpokeDeliveryOptions *options,
                                  const SpokeDeliveryEvents *events, gpointer user_data,
                                  GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Receivers end in SHUTDOWN, what waits for the disk in CANCELLED: nobody knows whether it is
 * written. A receiver whose message is on its way off the disk gets it. */
void spoke_delivery_free(SpokeDelivery *delivery);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpokeDelivery, spoke_delivery_free)
void spoke_delivery_set_options(SpokeDelivery *delivery, const SpokeDeliveryOptions *options);
/* Hands nothing out any more; receivers end in SHUTDOWN, and so do new ones and new subscriptions.
 * Taking over and settling go on. */
void spoke_delivery_stop(SpokeDelivery *delivery);

/* How long the hub is made to wait for a verdict: half of its own lock, whose end would count as a
 * failed delivery. Source: iot-hub-protocol.md, 5. */
#define SPOKE_DELIVERY_HOLD_USEC (30 * G_USEC_PER_SEC)

/* A message from the hub, which keeps it locked for us and can be told what the handler says of it.
 * It is stored all the same, so that a crash loses nothing and costs the hub a redelivery at most.
 * @done: once: ACCEPT: it has been dealt with, or nobody did within SPOKE_DELIVERY_HOLD_USEC and it
 * is ours now; RELEASE, REJECT: the handler abandoned or rejected it, or (RELEASE) it can't be
 * stored; in either case it is not here any more. */
typedef void (*SpokeVerdictFunc)(SpokeVerdict verdict, gpointer user_data);
void spoke_delivery_hold(SpokeDelivery *delivery, SpokeMessage *message, SpokeVerdictFunc done,
                         gpointer user_data);
/* The hub can't be told any more of what it has sent so far, because the connection is gone: it is
 * ours as after SPOKE_DELIVERY_HOLD_USEC. If the hub sends it again, it can be held again. */
void spoke_delivery_end_holds(SpokeDelivery *delivery);
/* A message from the hub, which can't. @done: on disk (complete it at the hub), or an error (leave
 * it there). */
void spoke_delivery_take_over(SpokeDelivery *delivery, SpokeMessage *message, SpokeInboxFunc done,
                              gpointer user_data);

/* @filter: packed list, all of which must match; NULL for all. @lock_msec and @credit: within the
 * limits above; ignored for an observer. Errors: LIMIT_REACHED, INVALID_OPTION (the filter),
 * SHUTDOWN. Returns: number of the subscription, 0 on error */
guint32 spoke_delivery_subscribe(SpokeDelivery *delivery, const char *owner,
                                 SpokeSubscribeMode mode, GBytes *filter, guint64 lock_msec,
                                 guint credit, GError **error);
/* Errors: NO_SUCH_SUBSCRIPTION */
gboolean spoke_delivery_unsubscribe(SpokeDelivery *delivery, const char *owner,
                                    guint32 subscription, GError **error);
/* The owner has left the bus: its subscriptions, locks and waiting receivers go. */
void spoke_delivery_drop_owner(SpokeDelivery *delivery, const char *owner);

/* The owner does not keep up with what it is sent, or does again. Its later subscriptions don't
 * inherit it. */
void spoke_delivery_set_slow(SpokeDelivery *delivery, const char *owner, gboolean is_slow);

/* @timeout_usec 0: only what is there now. @lock_msec 0: completed by being received; @done once
 * that is on disk. @dead_letter: a dead one; not with a lock. Errors at once: LIMIT_REACHED,
 * INVALID_OPTION (the filter), SHUTDOWN. */
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

/* Sets NO_SUCH_MESSAGE for what may not even be an id. Returns FALSE. */
gboolean spoke_delivery_set_no_message(GError **error, const char *id);

guint64 spoke_delivery_get_waiting(SpokeDelivery *delivery);
guint64 spoke_delivery_get_dead_letters(SpokeDelivery *delivery);
guint64 spoke_delivery_get_received(SpokeDelivery *delivery); /* taken over since start */
SpokePause spoke_delivery_get_pause(SpokeDelivery *delivery);
