/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/expiries.h"
#include "daemon/flow-marks.h"
#include "daemon/message.h"

/*
 * One lane of an outbox as a line of waiting messages, in memory and on disk; it does no I/O.
 *
 *   returned  given back; go first, in the order they were taken
 *   live      fresh ones that stayed in memory
 *   fetched   read back from disk, the next of the history
 *   history   on disk only: what was put there above read_id, up to history_id
 *
 * Live and fetched share the line one for one. A flow that has history must not pass it, so its
 * fresh messages become history too, until the last of it was handed out (passed_id). Ids rise
 * within a lane in every one of the four.
 *
 * Of those in memory a time is kept before which none expires; of history, what expiries.h keeps.
 */
typedef struct {
    guint number; /* SpokeMessage.take_number */
    SpokeMessage *message;
} SpokeReturned;

typedef struct {
    GArray *returned; /* owned, of SpokeReturned; the last one goes first */
    GQueue live;      /* owned messages */
    GQueue fetched;   /* owned messages */
    gsize live_bytes;
    gsize fetched_bytes;
    gsize *ready_bytes;      /* borrowed; of all lanes of all outboxes, in both */
    gint64 held_expiry_usec; /* in memory none expires before it */

    guint64 read_id;        /* history is read back up to here */
    guint64 passed_id;      /* history is handed out up to here */
    guint64 history_id;     /* the last message that became history */
    SpokeFlowMarks marks;   /* the last id in history of each flow mark */
    SpokeExpiries expiries; /* of history */
    gboolean is_busy;       /* a page is on its way, a drop, or a search */
    gboolean is_stale;      /* which does not count any more */
    gboolean is_live_turn;
} SpokeOutboxLane;

/* @ready_bytes: to which live and fetched messages are added; outlives us */
void spoke_outbox_lane_init(SpokeOutboxLane *lane, gsize *ready_bytes);
void spoke_outbox_lane_clear(SpokeOutboxLane *lane);

/* At start-up all there is on disk is history. @marks: is empty
 * afterwards */
void spoke_outbox_lane_load(SpokeOutboxLane *lane, guint64 first_id, guint64 last_id,
                            SpokeFlowMarks *marks);

gboolean spoke_outbox_lane_has_history(const SpokeOutboxLane *lane);
/* Whether a message of this flow has to queue behind history. */
gboolean spoke_outbox_lane_is_behind(const SpokeOutboxLane *lane, guint64 flow);

/* @message: (transfer full) */
void spoke_outbox_lane_push_live(SpokeOutboxLane *lane, SpokeMessage *message);
/* @message stays on disk only; it is not kept. */
void spoke_outbox_lane_push_history(SpokeOutboxLane *lane, const SpokeMessage *message);
void spoke_outbox_lane_push_fetched(SpokeOutboxLane *lane, SpokeMessage *message);
/* Brings messages that were pushed here by _give_back() in order; call once after the last. */
void spoke_outbox_lane_give_back(SpokeOutboxLane *lane, SpokeMessage *message);
void spoke_outbox_lane_sort_returned(SpokeOutboxLane *lane);

/* Everything up to @id was read, or dropped, on disk. */
void spoke_outbox_lane_set_read(SpokeOutboxLane *lane, guint64 id);
/* The store was replaced: what is on disk up to @last_id is read again from the start. */
void spoke_outbox_lane_rewind(SpokeOutboxLane *lane, guint64 last_id);
/* Whether more of the history should be read now; if @is_scarce, only when none is left. */
gboolean spoke_outbox_lane_wants_page(const SpokeOutboxLane *lane, gboolean is_scarce);

/* Whether pop() would return something. */
gboolean spoke_outbox_lane_is_ready(const SpokeOutboxLane *lane);
/* The next one to send. (transfer full) (nullable) */
SpokeMessage *spoke_outbox_lane_pop(SpokeOutboxLane *lane);
/* The oldest of all, to be dropped; NULL if that is on disk, or there is none. (transfer full) */
SpokeMessage *spoke_outbox_lane_pop_oldest(SpokeOutboxLane *lane);
/* Moves those in memory whose time is up to @ret_expired (element-type SpokeMessage). */
void spoke_outbox_lane_take_expired(SpokeOutboxLane *lane, gint64 now_usec, GPtrArray *ret_expired);
/* Moves the volatile ones to @ret_volatile (element-type SpokeMessage). */
void spoke_outbox_lane_take_volatile(SpokeOutboxLane *lane, GPtrArray *ret_volatile);

/* When the next one expires that does so after @after_usec, or a little before; NEVER. */
gint64 spoke_outbox_lane_get_next_expiry(SpokeOutboxLane *lane, gint64 after_usec);
/* A part of the history that has to be looked through for expired ones: above @ret_after, up to
 * @ret_upto. FALSE: there is none. To be ended with _end_search(). */
gboolean spoke_outbox_lane_begin_search(SpokeOutboxLane *lane, gint64 now_usec, guint64 *ret_after,
                                        guint64 *ret_upto);
/* @after: as begun. @next_usec: the earliest that is left there; NEVER */
void spoke_outbox_lane_end_search(SpokeOutboxLane *lane, guint64 after, gint64 next_usec);
