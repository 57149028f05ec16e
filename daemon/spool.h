/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/message.h"

/*
 * The durable queue: one SQLite file (WAL, synchronous=FULL) and the one thread that writes it.
 * What the main loop wants written is handed over as operations in order; all that gathered while
 * the last commit ran goes into the next one. An outbox (outbox.h) and an inbox (inbox.h) per
 * identity are views on it. All functions are for the main loop and none waits for the disk,
 * except _open() at start-up and _free() at the end.
 *
 * Clock: expiry runs on the spool's own clock, microseconds that advance with CLOCK_BOOTTIME and,
 * across restarts, with the wall clock where it is plausible (it never goes back). So a step of
 * the wall clock neither expires nor revives a message.
 *
 * Files in @directory: spool.db (+ -wal). One process at a time has them open. A file that turns
 * out to be damaged, when it is opened or later, is set aside as spool.db.corrupt-N; what can be
 * read of it is copied over, what is in memory is written again, and corrupt() tells of it. A
 * schema newer than ours is an error, not corruption. A full disk fails the operations of that
 * commit with SPOKE_ERROR_QUEUE_FULL; deletions are kept and retried until there is room again.
 */
typedef struct SpokeSpool SpokeSpool;

/* What an operator should hear of; called on the main loop. All are set. */
typedef struct {
    /* @saved and @lost: messages, up and down */
    void (*corrupt)(const char *set_aside, guint64 saved, guint64 lost, gpointer user_data);
    /* The disk is full, or has room again. */
    void (*full)(gboolean is_full, gpointer user_data);
    /* Another failure; once until something succeeds. */
    void (*failed)(const char *text, gpointer user_data);
} SpokeSpoolEvents;

typedef struct {
    const char *directory;          /* must exist and be writable */
    gint64 flush_window_usec;       /* how long a "flushed" message may stay in memory only */
    const SpokeSpoolEvents *events; /* copied; NULL: nobody listens */
    gpointer user_data;             /* of the events */
} SpokeSpoolOptions;

/**
 * spoke_spool_open:
 *
 * Opens or makes the database; blocks (start-up only). A read-only or unwritable directory is an
 * error that names it.
 *
 * Returns: (transfer full) (nullable)
 */
SpokeSpool *spoke_spool_open(const SpokeSpoolOptions *options,
                             GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Writes all that is pending ("flushed" messages too), joins the thread, closes. Blocks. Outboxes
 * and inboxes must be gone. Pending callbacks are not called any more, save the event corrupt():
 * the next start would know nothing of it. */
void spoke_spool_free(SpokeSpool *spool);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpokeSpool, spoke_spool_free)

/* For "flushed" messages that come from now on. */
void spoke_spool_set_flush_window(SpokeSpool *spool, gint64 flush_window_usec);

/* Now on the spool's clock. */
gint64 spoke_spool_now(SpokeSpool *spool);

/* Random id of this database file, 16 hex digits: part of the message ids the daemon makes, so
 * they differ between machines and reinstallations. (transfer none) */
const char *spoke_spool_get_id(SpokeSpool *spool);

/* Makes the message-id of a message that came without one: the same text for the same message
 * however often it is sent. @buffer has SPOKE_SPOOL_MESSAGE_ID_SIZE bytes. */
#define SPOKE_SPOOL_MESSAGE_ID_SIZE (SPOKE_MESSAGE_ID_MADE_BYTES + 1)
void spoke_spool_format_message_id(SpokeSpool *spool, guint64 id, char *buffer);
