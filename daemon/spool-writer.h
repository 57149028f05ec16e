/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/mailbox.h"
#include "daemon/store.h"

/*
 * The thread that owns the store. Operations pushed by the main loop are done in order; all that
 * gathered while the last commit ran share the next transaction, and one letter brings them back to
 * the main loop when it is on disk.
 *
 * When a transaction fails, what in it needs room on the disk fails or is kept, and the rest is
 * tried again without it: a full disk still reads and deletes. What is kept is tried again with the
 * next operations, or after a second.
 */
typedef struct SpokeSpoolWriter SpokeSpoolWriter;
typedef struct SpokeSpoolOp SpokeSpoolOp;

/* What an operation needs of the disk, in the order of what is given up first. */
typedef enum {
    SPOKE_SPOOL_READS,
    SPOKE_SPOOL_REMOVES,
    SPOKE_SPOOL_ADDS,
} SpokeSpoolNeed;

typedef struct {
    SpokeSpoolNeed need;
    /* Whether it is tried until it succeeds rather than fail */
    gboolean is_kept;
    /* On the writer's thread, inside a transaction. May run again if that is rolled back, so it
     * first forgets its results. Errors: SPOKE_STORE_ERROR */
    gboolean (*run)(SpokeSpoolOp *op, SpokeStore *store, GError **error);
    /* On the main loop, once. @error: SPOKE_ERROR_QUEUE_FULL or _STORAGE_FAILED */
    void (*done)(SpokeSpoolOp *op, const GError *error);
    /* On the main loop, after done() or instead of it */
    void (*free)(SpokeSpoolOp *op);
} SpokeSpoolOpClass;

/* The head of every operation */
struct SpokeSpoolOp {
    const SpokeSpoolOpClass *class;
    GError *error; /* the writer's; owned */
};

/* Tells the main loop what befell the store. Called on the writer's thread; each returns an
 * operation (transfer full) whose done() is called before those of the operations it befell. */
typedef struct {
    SpokeSpoolOp *(*full)(gboolean is_full, gpointer user_data);
    /* Something else failed; once until something succeeds */
    SpokeSpoolOp *(*failed)(const GError *error, gpointer user_data);
    /* *@store is damaged: replaces it. Leaves NULL there and returns NULL if that fails. */
    SpokeSpoolOp *(*recover)(SpokeStore **store, GError **error, gpointer user_data);
} SpokeSpoolWriterEvents;

/* @store: (transfer full). @mailbox, borrowed, gets letters that are GPtrArrays of operations. */
SpokeSpoolWriter *spoke_spool_writer_new(SpokeStore *store, SpokeMailbox *mailbox,
                                         const SpokeSpoolWriterEvents *events, gpointer user_data);
/* Does what is pending, once, then ends the thread and closes the store. Blocks. */
void spoke_spool_writer_free(SpokeSpoolWriter *writer);

/* @op: (transfer full) */
void spoke_spool_writer_push(SpokeSpoolWriter *writer, SpokeSpoolOp *op);
/* Waits for @op (transfer none), which must not be kept; start-up only. done() is not called.
 * Errors: as done() would have. */
gboolean spoke_spool_writer_call(SpokeSpoolWriter *writer, SpokeSpoolOp *op, GError **error);

void spoke_spool_op_free(gpointer op);
