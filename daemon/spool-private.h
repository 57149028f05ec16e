/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/chores.h"
#include "daemon/spool-clock.h"
#include "daemon/spool-writer.h"
#include "daemon/spool.h"
#include "daemon/store-recover.h"

/*
 * What outbox and inbox, the views on a spool, need of it and nobody else does. Main loop only.
 */

/* As spoke_spool_open(), with other clocks: for tests. @clock: (transfer full): for alarms; its
 * SPOKE_CLOCK_BOOT is @time's */
SpokeSpool *spoke_spool_open_with_clock(const SpokeSpoolOptions *options,
                                        const SpokeTimeSource *time, SpokeClock *clock,
                                        GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Hands @op (transfer full) to the writer. */
void spoke_spool_push(SpokeSpool *spool, SpokeSpoolOp *op);
/* Waits for @op (transfer none); start-up only. */
gboolean spoke_spool_call(SpokeSpool *spool, SpokeSpoolOp *op, GError **error);

/* Ids for @n messages, in a row. Errors: QUEUE_FULL, when the disk could not note that more ids are
 * in use: then none can be given out that is sure to be new. */
gboolean spoke_spool_allot_ids(SpokeSpool *spool, guint n, guint64 *ret_first, GError **error);

gint64 spoke_spool_get_flush_window(SpokeSpool *spool);

/* A row made no sense and is left out. */
void spoke_spool_report_bad_row(SpokeSpool *spool, guint64 id);

/* What waits in memory in all outboxes, in cost, with what is being read to wait there: memory is
 * to stay flat however many there are. Each outbox counts its own here. */
#define SPOKE_SPOOL_READY_BYTES_MAX (8 * 1024 * 1024)
gsize *spoke_spool_get_ready_bytes(SpokeSpool *spool);

/* What a view does later; run at the end of a delivery too. (transfer none) */
SpokeChores *spoke_spool_get_chores(SpokeSpool *spool);
/* Runs @chore at @at_usec on the spool's clock, in place of an earlier date; SPOKE_CHORE_NEVER: not
 * at all. Not among the chores above. */
void spoke_spool_set_alarm(SpokeSpool *spool, SpokeChore *chore, gint64 at_usec);

/* A damaged store that was replaced. What views restore is counted before it is reported. */
typedef struct {
    guint ref_count; /* main loop only */
    SpokeSpool *spool;
    SpokeStoreDamage store;
    guint generation; /* of the replacement */
    guint64 restored; /* rows that were lost and are written again */
} SpokeSpoolDamage;

SpokeSpoolDamage *spoke_spool_damage_ref(SpokeSpoolDamage *damage);
void spoke_spool_damage_unref(SpokeSpoolDamage *damage);

/* Views hear of it when the store was replaced, to write again what they hold in memory. */
typedef void (*SpokeSpoolRecoveredFunc)(gpointer view, SpokeSpoolDamage *damage);
void spoke_spool_add_view(SpokeSpool *spool, gpointer view, SpokeSpoolRecoveredFunc recovered);
void spoke_spool_remove_view(SpokeSpool *spool, gpointer view);
