/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/spool.h"

/*
 * Telemetry of one identity on its way up. A message is put, waits for its commit, is taken to be
 * sent, and is settled (it leaves the disk) or given back (the connection broke).
 *
 * Memory stays flat: at most SPOKE_OUTBOX_LIVE_MAX messages and SPOKE_OUTBOX_LIVE_BYTES_MAX are
 * held besides what is taken, and where there are many outboxes less than that in each; the rest is
 * on disk only ("history") and is read back in pages by the writer thread. Fresh messages of flows
 * that have no history stay in memory ("live") and share the line with the history, one for one, so
 * that they don't wait behind hours of it; a flow that has history queues behind it, so order
 * within a flow and lane is kept. Urgent before normal. Volatile messages are always live, so they
 * may overtake the history of their own flow: waiting for it in memory, they would soon be refused.
 * They count against the byte limit and are refused beyond the live limits.
 *
 * Messages whose time is up are settled as expired within a second, wherever they wait, unless they
 * are taken: then they are on their way.
 *
 * Counters survive a restart in the database: opening never scans the queue. When messages on disk
 * expire is not known then; that is found out afterwards, a little at a time.
 */
typedef struct SpokeOutbox SpokeOutbox;

#define SPOKE_OUTBOX_LIVE_MAX       2048
#define SPOKE_OUTBOX_LIVE_BYTES_MAX (2 * 1024 * 1024)

typedef enum {
    SPOKE_OUTCOME_ACCEPTED, /* the hub has it */
    SPOKE_OUTCOME_REJECTED, /* the hub will never take it */
    SPOKE_OUTCOME_EXPIRED,
    SPOKE_OUTCOME_DROPPED, /* queue full, drop-oldest; or volatile and lost */
} SpokeOutcome;

typedef enum { SPOKE_WHEN_FULL_REJECT, SPOKE_WHEN_FULL_DROP_OLDEST } SpokeWhenFull;

typedef struct {
    guint64 bytes_max; /* sum of spoke_message_cost(); the file itself is somewhat larger */
    SpokeWhenFull when_full;
    gint64 default_ttl_usec; /* for messages without their own; 0 = no end */
} SpokeOutboxOptions;

/* ready() and empty() come from the main loop; settled() from there and from within _put(), _take()
 * and _settle(). */
typedef struct {
    /* spoke_outbox_take() has become able to return something. Called once per such change. */
    void (*ready)(gpointer user_data);
    /* A message has left for good. @notify is the message's own, NULL if nobody asked (the call is
     * still made). Also for messages that expired or were dropped on disk only if they had notify.
     */
    void (*settled)(guint64 id, const char *notify, SpokeOutcome outcome, const char *detail,
                    gpointer user_data);
    /* The outbox has become empty: every message settled and, if on disk, its removal handed over.
     */
    void (*empty)(gpointer user_data);
} SpokeOutboxEvents;

/* @error NULL: all messages of the put are as durable as they asked; @ids are in order of the put
 * and valid during the call. Else none was accepted: QUEUE_FULL (disk full), STORAGE_FAILED,
 * CANCELLED. */
typedef void (*SpokePutFunc)(const guint64 *ids, guint n, const GError *error, gpointer user_data);

/* @name: of the identity, unique in the spool. Blocks briefly (start-up). (transfer full)
 * (nullable) */
SpokeOutbox *spoke_outbox_open(SpokeSpool *spool, const char *name,
                               const SpokeOutboxOptions *options, const SpokeOutboxEvents *events,
                               gpointer user_data, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Pending puts end in SPOKE_ERROR_CANCELLED (they may still be on disk: at least once). */
void spoke_outbox_free(SpokeOutbox *outbox);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpokeOutbox, spoke_outbox_free)

/* The daemon stops, nothing is sent any more and nothing is in flight: volatile messages are
 * settled as dropped, since closing loses them. */
void spoke_outbox_lose_volatile(SpokeOutbox *outbox);

/* After a reload of the configuration. */
void spoke_outbox_set_options(SpokeOutbox *outbox, const SpokeOutboxOptions *options);

/**
 * spoke_outbox_put:
 * @messages: (array length=n): the outbox takes references of its own
 * @done: (nullable): called once, from the main loop, never before this returns
 *
 * Accepts all or none. Messages of one put have the same durability class or the strictest of
 * them applies to the answer.
 *
 * Errors (at once, @done is not called), with value and limit: SPOKE_ERROR_TOO_LARGE, when not even
 * an empty queue could take them; SPOKE_ERROR_QUEUE_FULL, also when 16 MiB wait for the disk
 * already. With drop-oldest the queue may be over its limit for as long as it takes the writer to
 * drop.
 */
gboolean spoke_outbox_put(SpokeOutbox *outbox, SpokeMessage **messages, guint n, SpokePutFunc done,
                          gpointer user_data, GError **error);

/**
 * spoke_outbox_take:
 * @ret_messages: (out caller-allocates): room for @max pointers, each (transfer full)
 *
 * Takes the next messages to send. Each must come back through _settle() or _give_back(). Expired
 * ones are settled on the way, never returned. Only committed (or volatile, flushed) messages are
 * handed out.
 *
 * Returns: how many; 0 when there is nothing now (ready() will be called)
 */
guint spoke_outbox_take(SpokeOutbox *outbox, SpokeMessage **ret_messages, guint max);

/* The message is dealt with; consumes the reference that _take() gave. Removal from disk follows
 * in a later commit; a crash before that sends it again under the same message-id. */
void spoke_outbox_settle(SpokeOutbox *outbox, SpokeMessage *message, SpokeOutcome outcome,
                         const char *detail);

/* Not known to have arrived: these go first in their lane, in their old order, at the next _take().
 * Consumes the references. */
void spoke_outbox_give_back(SpokeOutbox *outbox, SpokeMessage **messages, guint n);

guint64 spoke_outbox_get_messages(SpokeOutbox *outbox); /* accepted, not settled */
guint64 spoke_outbox_get_bytes(SpokeOutbox *outbox);
guint spoke_outbox_get_in_flight(SpokeOutbox *outbox);  /* taken */
guint64 spoke_outbox_get_accepted(SpokeOutbox *outbox); /* settled as accepted since opened */
