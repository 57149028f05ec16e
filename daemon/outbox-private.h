/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/outbox-lane.h"
#include "daemon/outbox.h"
#include "daemon/spool-private.h"
#include "daemon/store-outbox.h"

/*
 * The outbox inside. outbox.c is its public face and decides what becomes of a message;
 * outbox-room.c says what may come in, outbox-write.c puts rows on disk and takes them off,
 * outbox-history.c reads them back and drops the oldest, outbox-expiry.c those whose time is up.
 * Operations of the writer hold a reference to the outbox, so that one that is freed lives on,
 * closed, until the last has come back.
 */

/* Where a message's row is. */
typedef enum {
    SPOKE_STORED_NOT,
    SPOKE_STORED_SOON,    /* a flushed or restored one is being written */
    SPOKE_STORED_IN_VAIN, /* being written, and settled meanwhile */
    SPOKE_STORED,
} SpokeOutboxStored;

/* Messages put together. */
typedef struct {
    SpokeSpoolOp op;
    guint ref_count;
    SpokeOutbox *outbox; /* owned */
    SpokePutFunc done;   /* NULL once answered */
    gpointer user_data;
    SpokeDurability durability; /* the strictest of them */
    gboolean is_resolved;       /* stored as asked, or failed */
    gboolean is_failed;
    guint n;
    SpokeMessage *messages[]; /* owned */
} SpokeOutboxPut;

/* Rows to be removed. */
typedef struct {
    SpokeSpoolOp op;
    SpokeOutbox *outbox; /* owned */
    GArray *rows;        /* owned, of SpokeStoreRow */
    SpokeTally missing[SPOKE_N_LANES];
} SpokeOutboxDeletion;

/* What of a lane's history is being looked through for expired messages */
typedef struct {
    gboolean is_on;
    guint64 begin;    /* above it, */
    guint64 after;    /* of which this much is done, */
    guint64 upto;     /* up to here */
    gint64 next_usec; /* the earliest found to be left; NEVER */
} SpokeOutboxSearch;

struct SpokeOutbox {
    guint ref_count; /* main loop only */
    gboolean is_closed;
    SpokeSpool *spool; /* borrowed, outlives us */
    guint identity;    /* its key in the store */
    guint generation;  /* of the store it was opened on */
    SpokeOutboxOptions options;
    SpokeOutboxEvents events;
    gpointer user_data;

    SpokeOutboxLane lanes[SPOKE_N_LANES];
    SpokeTally tallies[SPOKE_N_LANES];   /* accepted, not settled */
    SpokeTally in_flight[SPOKE_N_LANES]; /* taken */
    SpokeTally pending[SPOKE_N_LANES];   /* put, not yet in a lane */
    SpokeTally pending_volatile;
    guint64 n_accepted;
    guint last_number; /* given to a message that was taken */

    GQueue puts;                   /* owned, of SpokeOutboxPut: not yet in a lane, in order */
    GQueue answers;                /* owned, of SpokeOutboxPut: to be answered soon */
    GHashTable *held;              /* id → message: in a lane or taken; owns nothing */
    GPtrArray *unwritten;          /* owned, of messages: flushed ones that are only in memory */
    GQueue writes;                 /* borrowed, of SpokeOutboxWrite: on their way */
    SpokeOutboxDeletion *deletion; /* owned; being gathered; NULL while there is none */
    GQueue deletions;              /* borrowed, of SpokeOutboxDeletion: on their way */

    SpokeChore chore;
    gint64 deletion_due_usec; /* monotonic */
    gint64 unwritten_due_usec;
    gint64 drop_due_usec; /* not before it; 0 */
    SpokeOutboxSearch searches[SPOKE_N_LANES];
    SpokeChore alarm;  /* for the first to expire */
    gint64 round_usec; /* when it last rang, on the spool's clock */
    guint n_audits;
    gboolean is_auditing;
    gboolean is_starved; /* ready() is to be called when there is something */
    gboolean is_emptied; /* empty() is to be called */
};

SpokeOutbox *spoke_outbox_ref(SpokeOutbox *outbox);
void spoke_outbox_unref(SpokeOutbox *outbox);

guint64 spoke_outbox_sum_bytes(SpokeOutbox *outbox);
void spoke_tally_add(SpokeTally *tally, guint64 messages, guint64 bytes);
void spoke_tally_subtract(SpokeTally *tally, guint64 messages, guint64 bytes);

/* Does soon whatever has become necessary. */
void spoke_outbox_tend_soon(SpokeOutbox *outbox);
/* A put was stored, or failed. */
void spoke_outbox_resolve(SpokeOutbox *outbox, SpokeOutboxPut *put, const GError *error);
/* The message is dealt with; it is not in a lane any more. Consumes the reference. */
void spoke_outbox_finish(SpokeOutbox *outbox, SpokeMessage *message, SpokeOutcome outcome,
                         const char *detail);
/* As much of the total was lost on disk. */
void spoke_outbox_forget(SpokeOutbox *outbox, SpokeLane lane, guint64 messages, guint64 bytes);

/* outbox-room.c */
/* Whether there is room. @ret_demand: what @messages take. Errors: QUEUE_FULL, TOO_LARGE */
gboolean spoke_outbox_check_room(SpokeOutbox *outbox, SpokeMessage **messages, guint n,
                                 SpokeTally *ret_demand, GError **error);

/* outbox-write.c */
SpokeOutboxPut *spoke_outbox_put_new(SpokeOutbox *outbox, SpokeMessage **messages, guint n,
                                     SpokePutFunc done, gpointer user_data);
void spoke_outbox_put_unref(SpokeOutboxPut *put);
/* Hands it to the writer. */
void spoke_outbox_push_put(SpokeOutbox *outbox, SpokeOutboxPut *put);
/* Adds to what is removed with one of the next commits. */
void spoke_outbox_delete_row(SpokeOutbox *outbox, const SpokeStoreRow *row);
void spoke_outbox_push_deletion(SpokeOutbox *outbox);
void spoke_outbox_sort_ids(GArray *ids); /* of guint64 */
/* The ids above @after of rows whose removal is not known to be done, or has yet to be asked for,
 * ascending. */
GArray *spoke_outbox_list_dying(SpokeOutbox *outbox, SpokeLane lane, guint64 after);
/* Writes the flushed messages that are still there. */
void spoke_outbox_push_unwritten(SpokeOutbox *outbox);
/* Writes again all that is in memory and should be on disk. */
void spoke_outbox_restore(SpokeOutbox *outbox, SpokeSpoolDamage *damage);
/* Before closing: messages that were settled while they were being written are removed. */
void spoke_outbox_delete_in_vain(SpokeOutbox *outbox);

/* outbox-history.c */
gboolean spoke_outbox_load(SpokeOutbox *outbox, const char *name, GError **error);
/* Reads on where a lane wants it. */
void spoke_outbox_request_pages(SpokeOutbox *outbox);
/* If all has been sent and yet something is counted, finds out why. */
void spoke_outbox_audit(SpokeOutbox *outbox);
/* Drops the oldest normal messages while the outbox is over its limit. */
void spoke_outbox_make_room(SpokeOutbox *outbox);
/* Of the rows of @span those that are in memory, or as good as gone: ids, ascending. */
GArray *spoke_outbox_list_spared(SpokeOutbox *outbox, const SpokeStoreSpan *span);

/* outbox-expiry.c */
void spoke_outbox_init_expiry(SpokeOutbox *outbox);
/* Settles those in memory whose time is up. */
void spoke_outbox_expire_held(SpokeOutbox *outbox);
/* Goes on looking through the history, and sets the alarm. */
void spoke_outbox_tend_expiry(SpokeOutbox *outbox);
