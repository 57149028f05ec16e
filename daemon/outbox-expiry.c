/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/outbox-private.h"

/*
 * Messages whose time is up leave, also while nobody takes any. One alarm is set, for the first to
 * expire; when it rings, what is in memory and expired is settled, and the parts of the history in
 * which something may have expired are looked through on disk, some rows at a time. Rounds keep a
 * distance, so that many messages with times of their own don't each wake the machine. Those that
 * are taken are on their way and may yet arrive.
 */
#define ROUND_INTERVAL_USEC (G_USEC_PER_SEC / 4)
#define SEARCH_ROWS_MAX     2048 /* a millisecond or two; a put that waits for it won't mind */
#define DELETIONS_MAX       8    /* a disk that takes none must not fill the memory with them */

typedef struct {
    SpokeSpoolOp op;
    SpokeOutbox *outbox; /* owned */
    SpokeStoreSpan span;
    gint64 now_usec;
    SpokeStoreExpired expired;
} Search;

void
spoke_outbox_expire_held(SpokeOutbox *outbox)
{
    g_autoptr(GPtrArray) expired = g_ptr_array_new();
    gint64 now_usec = spoke_spool_now(outbox->spool);

    for (guint lane = 0; lane < SPOKE_N_LANES; lane++)
        spoke_outbox_lane_take_expired(&outbox->lanes[lane], now_usec, expired);
    for (guint i = 0; i < expired->len; i++)
        spoke_outbox_finish(outbox, expired->pdata[i], SPOKE_OUTCOME_EXPIRED, "");
}

/* Searches. They only read, so that they go on where a full disk lets nothing be removed: a lane
 * waits for its search as it does for a page. */

static gboolean
search_run(SpokeSpoolOp *op, SpokeStore *store, GError **error)
{
    Search *search = (Search *)op;

    return spoke_store_find_expired(store, &search->span, search->now_usec, SEARCH_ROWS_MAX,
                                    &search->expired, error);
}

static void
settle_row(SpokeOutbox *outbox, const SpokeStoreRow *row, const char *notify)
{
    spoke_outbox_delete_row(outbox, row);
    spoke_outbox_forget(outbox, row->lane, 1, row->cost);
    if (notify != NULL)
        outbox->events.settled(row->id, notify, SPOKE_OUTCOME_EXPIRED, "", outbox->user_data);
}

/* Those that are in memory, too, see to themselves. */
static void
settle_found(SpokeOutbox *outbox, const Search *search)
{
    g_autoptr(GArray) spared = spoke_outbox_list_spared(outbox, &search->span);
    const GArray *rows = search->expired.rows;

    for (guint i = 0, next = 0; i < rows->len; i++) {
        const SpokeStoreRow *row = &g_array_index(rows, SpokeStoreRow, i);
        while (next < spared->len && g_array_index(spared, guint64, next) < row->id)
            next++;
        if (next == spared->len || g_array_index(spared, guint64, next) != row->id)
            settle_row(outbox, row, search->expired.notify->pdata[i]);
    }
}

static void
search_done(SpokeSpoolOp *op, const GError *error)
{
    Search *search = (Search *)op;
    SpokeOutbox *outbox = search->outbox;
    SpokeLane lane = search->span.lane;
    SpokeOutboxSearch *state = &outbox->searches[lane];

    if (outbox->is_closed)
        return;
    outbox->lanes[lane].is_busy = FALSE;
    state->after = search->expired.last_id;
    state->next_usec = MIN(state->next_usec, search->expired.next_usec);
    if (outbox->lanes[lane].is_stale) { /* all of it begins anew */
        spoke_outbox_lane_end_search(&outbox->lanes[lane], state->begin, SPOKE_EXPIRY_NEVER);
        state->is_on = FALSE;
    }
    settle_found(outbox, search);
    spoke_outbox_tend_soon(outbox);
}

static void
search_free(SpokeSpoolOp *op)
{
    Search *search = (Search *)op;

    spoke_store_expired_clear(&search->expired);
    spoke_outbox_unref(search->outbox);
    g_free(search);
}

static const SpokeSpoolOpClass search_class = {
    .need = SPOKE_SPOOL_READS,
    .is_kept = TRUE,
    .run = search_run,
    .done = search_done,
    .free = search_free,
};

static void
push_search(SpokeOutbox *outbox, SpokeLane lane)
{
    const SpokeOutboxSearch *state = &outbox->searches[lane];
    Search *search = g_new0(Search, 1);

    search->op.class = &search_class;
    search->outbox = spoke_outbox_ref(outbox);
    search->span = (SpokeStoreSpan){outbox->identity, lane, state->after, state->upto};
    search->now_usec = spoke_spool_now(outbox->spool);
    spoke_store_expired_init(&search->expired);
    outbox->lanes[lane].is_busy = TRUE;
    spoke_spool_push(outbox->spool, &search->op);
}

/* Pages go first: what is being sent should not wait. */
static void
search_on(SpokeOutbox *outbox, SpokeLane lane)
{
    SpokeOutboxLane *line = &outbox->lanes[lane];
    SpokeOutboxSearch *state = &outbox->searches[lane];

    if (line->is_busy)
        return;
    state->after = MAX(state->after, line->read_id);
    if (state->is_on && state->after >= state->upto) {
        spoke_outbox_lane_end_search(line, state->begin, state->next_usec);
        state->is_on = FALSE;
    }
    if (!state->is_on &&
        spoke_outbox_lane_begin_search(line, outbox->round_usec, &state->begin, &state->upto)) {
        state->is_on = TRUE;
        state->after = state->begin;
        state->next_usec = SPOKE_EXPIRY_NEVER;
    }
    if (state->is_on && outbox->deletions.length < DELETIONS_MAX)
        push_search(outbox, lane);
}

static void
set_alarm(SpokeOutbox *outbox)
{
    gint64 next_usec = SPOKE_EXPIRY_NEVER;

    for (guint lane = 0; lane < SPOKE_N_LANES; lane++)
        next_usec = MIN(
            next_usec, spoke_outbox_lane_get_next_expiry(&outbox->lanes[lane], outbox->round_usec));
    if (next_usec != SPOKE_EXPIRY_NEVER)
        next_usec = MAX(next_usec, outbox->round_usec + ROUND_INTERVAL_USEC);
    spoke_spool_set_alarm(outbox->spool, &outbox->alarm, next_usec);
}

void
spoke_outbox_tend_expiry(SpokeOutbox *outbox)
{
    for (guint lane = 0; lane < SPOKE_N_LANES; lane++)
        search_on(outbox, lane);
    set_alarm(outbox);
}

static void
on_alarm(gpointer user_data)
{
    SpokeOutbox *outbox = spoke_outbox_ref(user_data);

    outbox->round_usec = spoke_spool_now(outbox->spool);
    spoke_outbox_expire_held(outbox);
    if (!outbox->is_closed)
        spoke_outbox_tend_soon(outbox);
    spoke_outbox_unref(outbox);
}

void
spoke_outbox_init_expiry(SpokeOutbox *outbox)
{
    outbox->alarm =
        (SpokeChore){.run = on_alarm, .user_data = outbox, .due_usec = SPOKE_CHORE_NEVER};
}
