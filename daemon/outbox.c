/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/outbox-private.h"

#include "daemon/error.h"

/*
 * The life of a message: put (given an id, counted, handed to the writer) → admitted to its lane,
 * to be live or history → taken → settled, or given back to the lane.
 *
 * Puts are admitted in the order they were made, each when it is as durable as it asked, so ids
 * rise in every lane and a flow keeps its order. What follows from all this (answers, events,
 * reading on, removing) is done by one chore, soon, never from within a call.
 */

/* What pages read ahead in two lanes may take is left free of the limits in the header. While
 * nobody takes messages little is kept live: the room is for those that are fresh when sending
 * goes on. */
#define LIVE_ROOM_MESSAGES (SPOKE_OUTBOX_LIVE_MAX - 768)
#define LIVE_ROOM_BYTES    (SPOKE_OUTBOX_LIVE_BYTES_MAX / 2)
#define IDLE_ROOM_MESSAGES 256
#define IDLE_ROOM_BYTES    (256 * 1024)

SpokeOutbox *
spoke_outbox_ref(SpokeOutbox *outbox)
{
    outbox->ref_count++;
    return outbox;
}

void
spoke_outbox_unref(SpokeOutbox *outbox)
{
    if (--outbox->ref_count > 0)
        return;

    for (guint lane = 0; lane < SPOKE_N_LANES; lane++)
        spoke_outbox_lane_clear(&outbox->lanes[lane]);
    g_queue_clear(&outbox->writes);
    g_queue_clear(&outbox->deletions);
    g_ptr_array_unref(outbox->unwritten);
    g_hash_table_unref(outbox->held);
    g_free(outbox);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpokeOutboxPut, spoke_outbox_put_unref)

void
spoke_tally_add(SpokeTally *tally, guint64 messages, guint64 bytes)
{
    tally->messages += messages;
    tally->bytes += bytes;
}

/* Never below zero, and no messages have no bytes: what a damaged disk says does not add up. */
void
spoke_tally_subtract(SpokeTally *tally, guint64 messages, guint64 bytes)
{
    tally->messages -= MIN(messages, tally->messages);
    tally->bytes -= tally->messages > 0 ? MIN(bytes, tally->bytes) : tally->bytes;
}

guint64
spoke_outbox_sum_bytes(SpokeOutbox *outbox)
{
    return outbox->tallies[SPOKE_LANE_URGENT].bytes + outbox->tallies[SPOKE_LANE_NORMAL].bytes;
}

void
spoke_outbox_tend_soon(SpokeOutbox *outbox)
{
    spoke_chores_schedule(spoke_spool_get_chores(outbox->spool), &outbox->chore, 0);
}

void
spoke_outbox_forget(SpokeOutbox *outbox, SpokeLane lane, guint64 messages, guint64 bytes)
{
    spoke_tally_subtract(&outbox->tallies[lane], messages, bytes);
    if (spoke_outbox_get_messages(outbox) == 0) {
        outbox->is_emptied = TRUE;
        spoke_outbox_tend_soon(outbox);
    }
}

/* What has to happen to the row of a message that is dealt with. */
static void
drop_row(SpokeOutbox *outbox, SpokeMessage *message)
{
    SpokeStoreRow row = {message->id, (guint32)spoke_message_cost(message), message->lane};

    if (message->stored == SPOKE_STORED)
        spoke_outbox_delete_row(outbox, &row);
    else if (message->stored == SPOKE_STORED_SOON)
        message->stored = SPOKE_STORED_IN_VAIN;
}

void
spoke_outbox_finish(SpokeOutbox *outbox, SpokeMessage *message, SpokeOutcome outcome,
                    const char *detail)
{
    g_hash_table_remove(outbox->held, &message->id);
    drop_row(outbox, message);
    spoke_outbox_forget(outbox, message->lane, 1, spoke_message_cost(message));
    if (outcome == SPOKE_OUTCOME_ACCEPTED)
        outbox->n_accepted++;
    outbox->events.settled(message->id, message->notify, outcome, detail, outbox->user_data);
    spoke_message_unref(message);
}

/* Putting */

static gboolean
has_live_room(SpokeOutbox *outbox, guint64 messages, guint64 bytes)
{
    gboolean is_sending = spoke_outbox_get_in_flight(outbox) > 0;

    if (*spoke_spool_get_ready_bytes(outbox->spool) + bytes > SPOKE_SPOOL_READY_BYTES_MAX)
        return FALSE;

    for (guint lane = 0; lane < SPOKE_N_LANES; lane++) {
        messages += outbox->lanes[lane].live.length;
        bytes += outbox->lanes[lane].live_bytes;
    }
    return messages <= (is_sending ? LIVE_ROOM_MESSAGES : IDLE_ROOM_MESSAGES) &&
           bytes <= (is_sending ? LIVE_ROOM_BYTES : IDLE_ROOM_BYTES);
}

static gboolean
is_behind(SpokeOutbox *outbox, const SpokeMessage *message)
{
    return spoke_outbox_lane_is_behind(&outbox->lanes[message->lane], message->flow);
}

/* @message: (transfer none) */
static void
admit(SpokeOutbox *outbox, SpokeMessage *message)
{
    SpokeOutboxLane *lane = &outbox->lanes[message->lane];

    if (message->durability != SPOKE_DURABILITY_VOLATILE &&
        (is_behind(outbox, message) || !has_live_room(outbox, 1, spoke_message_cost(message)))) {
        spoke_outbox_lane_push_history(lane, message);
        return;
    }
    g_hash_table_insert(outbox->held, &message->id, message);
    spoke_outbox_lane_push_live(lane, spoke_message_ref(message));
}

/* Lets puts into their lanes as far as they are ready. */
static void
admit_puts(SpokeOutbox *outbox)
{
    SpokeOutboxPut *head = NULL;

    while ((head = g_queue_peek_head(&outbox->puts)) != NULL && head->is_resolved) {
        g_autoptr(SpokeOutboxPut) put = g_queue_pop_head(&outbox->puts);
        for (guint i = 0; i < put->n; i++) {
            SpokeMessage *message = put->messages[i];
            gsize cost = spoke_message_cost(message);
            spoke_tally_subtract(&outbox->pending[message->lane], 1, cost);
            if (message->durability == SPOKE_DURABILITY_VOLATILE)
                spoke_tally_subtract(&outbox->pending_volatile, 1, cost);
            if (!put->is_failed)
                admit(outbox, message);
        }
    }
    spoke_outbox_tend_soon(outbox);
}

static void
answer(SpokeOutboxPut *put, const GError *error)
{
    g_autofree guint64 *ids = g_new(guint64, put->n);
    SpokePutFunc done = g_steal_pointer(&put->done);

    for (guint i = 0; i < put->n; i++)
        ids[i] = put->messages[i]->id;
    if (done != NULL)
        done(error == NULL ? ids : NULL, error == NULL ? put->n : 0, error, put->user_data);
}

void
spoke_outbox_resolve(SpokeOutbox *outbox, SpokeOutboxPut *put, const GError *error)
{
    put->is_resolved = TRUE;
    put->is_failed = error != NULL;
    for (guint i = 0; i < put->n && put->is_failed; i++)
        spoke_outbox_forget(outbox, put->messages[i]->lane, 1,
                            spoke_message_cost(put->messages[i]));
    if (put->durability == SPOKE_DURABILITY_SYNCED)
        answer(put, error);
    if (!outbox->is_closed)
        admit_puts(outbox);
}

/* Whether a put of flushed messages can wait in its lanes for being written. */
static gboolean
can_stay_unwritten(SpokeOutbox *outbox, const SpokeOutboxPut *put, const SpokeTally *demand)
{
    if (put->durability != SPOKE_DURABILITY_FLUSHED || !g_queue_is_empty(&outbox->puts) ||
        !has_live_room(outbox, demand->messages, demand->bytes))
        return FALSE;
    for (guint i = 0; i < put->n; i++) {
        if (is_behind(outbox, put->messages[i]))
            return FALSE;
    }
    return TRUE;
}

static void
keep_unwritten(SpokeOutbox *outbox, SpokeOutboxPut *put)
{
    if (outbox->unwritten->len == 0) {
        outbox->unwritten_due_usec =
            g_get_monotonic_time() + spoke_spool_get_flush_window(outbox->spool);
        spoke_chores_schedule(spoke_spool_get_chores(outbox->spool), &outbox->chore,
                              outbox->unwritten_due_usec);
    }
    for (guint i = 0; i < put->n; i++) {
        if (put->messages[i]->durability == SPOKE_DURABILITY_FLUSHED)
            g_ptr_array_add(outbox->unwritten, spoke_message_ref(put->messages[i]));
    }
    put->is_resolved = TRUE;
}

/* Fills in what the spool sets, and counts the messages. */
static void
accept(SpokeOutbox *outbox, SpokeMessage **messages, guint n, guint64 first_id)
{
    gint64 now_usec = spoke_spool_now(outbox->spool);

    for (guint i = 0; i < n; i++) {
        SpokeMessage *message = messages[i];
        gsize cost = spoke_message_cost(message);
        gint64 ttl_usec =
            message->ttl_usec > 0 ? message->ttl_usec : outbox->options.default_ttl_usec;

        message->id = first_id + i;
        message->expiry_usec = ttl_usec > 0 ? now_usec + MIN(ttl_usec, G_MAXINT64 - now_usec) : 0;
        message->stored = SPOKE_STORED_NOT;
        message->take_number = 0;
        spoke_tally_add(&outbox->tallies[message->lane], 1, cost);
        spoke_tally_add(&outbox->pending[message->lane], 1, cost);
        if (message->durability == SPOKE_DURABILITY_VOLATILE)
            spoke_tally_add(&outbox->pending_volatile, 1, cost);
    }
}

gboolean
spoke_outbox_put(SpokeOutbox *outbox, SpokeMessage **messages, guint n, SpokePutFunc done,
                 gpointer user_data, GError **error)
{
    SpokeTally demand = {0};
    guint64 first_id = 0;

    g_return_val_if_fail(n > 0, FALSE);
    if (!spoke_outbox_check_room(outbox, messages, n, &demand, error) ||
        !spoke_spool_allot_ids(outbox->spool, n, &first_id, error))
        return FALSE;

    accept(outbox, messages, n, first_id);
    SpokeOutboxPut *put = spoke_outbox_put_new(outbox, messages, n, done, user_data);
    if (put->durability == SPOKE_DURABILITY_VOLATILE)
        put->is_resolved = TRUE;
    else if (can_stay_unwritten(outbox, put, &demand))
        keep_unwritten(outbox, put);
    else
        spoke_outbox_push_put(outbox, put);

    if (put->durability != SPOKE_DURABILITY_SYNCED) {
        put->ref_count++;
        g_queue_push_tail(&outbox->answers, put);
        spoke_outbox_tend_soon(outbox);
    }
    g_queue_push_tail(&outbox->puts, put);
    if (put->is_resolved)
        admit_puts(outbox);
    return TRUE;
}

/* The chore */

static void
answer_early(SpokeOutbox *outbox)
{
    while (!g_queue_is_empty(&outbox->answers)) {
        g_autoptr(SpokeOutboxPut) put = g_queue_pop_head(&outbox->answers);
        answer(put, NULL);
    }
}

/* What is due on the disk now; the rest is due at its time. */
static void
write_due(SpokeOutbox *outbox)
{
    gint64 now_usec = g_get_monotonic_time();
    gint64 next_usec = SPOKE_CHORE_NEVER;

    if (outbox->unwritten->len > 0 && now_usec >= outbox->unwritten_due_usec)
        spoke_outbox_push_unwritten(outbox);
    if (outbox->deletion != NULL && now_usec >= outbox->deletion_due_usec)
        spoke_outbox_push_deletion(outbox);

    if (outbox->unwritten->len > 0)
        next_usec = outbox->unwritten_due_usec;
    if (outbox->deletion != NULL)
        next_usec = MIN(next_usec, outbox->deletion_due_usec);
    if (next_usec != SPOKE_CHORE_NEVER)
        spoke_chores_schedule(spoke_spool_get_chores(outbox->spool), &outbox->chore, next_usec);
}

static gboolean
is_ready(SpokeOutbox *outbox)
{
    for (guint lane = 0; lane < SPOKE_N_LANES; lane++) {
        if (spoke_outbox_lane_is_ready(&outbox->lanes[lane]))
            return TRUE;
    }
    return FALSE;
}

static void
announce(SpokeOutbox *outbox)
{
    if (outbox->is_starved && is_ready(outbox)) {
        outbox->is_starved = FALSE;
        outbox->events.ready(outbox->user_data);
    }
    if (outbox->is_emptied && !outbox->is_closed) {
        outbox->is_emptied = FALSE;
        if (spoke_outbox_get_messages(outbox) == 0)
            outbox->events.empty(outbox->user_data);
    }
}

static void
tend(gpointer user_data)
{
    SpokeOutbox *outbox = spoke_outbox_ref(user_data);

    answer_early(outbox);
    if (!outbox->is_closed)
        spoke_outbox_make_room(outbox);
    if (!outbox->is_closed)
        spoke_outbox_request_pages(outbox);
    if (!outbox->is_closed)
        spoke_outbox_tend_expiry(outbox);
    if (!outbox->is_closed)
        write_due(outbox);
    if (!outbox->is_closed)
        announce(outbox);
    if (!outbox->is_closed)
        spoke_outbox_audit(outbox);
    spoke_outbox_unref(outbox);
}

/* The last id that may be on disk and is in no put any more */
static guint64
find_last_id(SpokeOutbox *outbox)
{
    GHashTableIter iter;
    gpointer value = NULL;
    guint64 last_id = 0;

    g_hash_table_iter_init(&iter, outbox->held);
    while (g_hash_table_iter_next(&iter, NULL, &value))
        last_id = MAX(last_id, ((SpokeMessage *)value)->id);
    return last_id;
}

/* The store was replaced: what was lost with the old one is counted off, what is in memory is
 * written again, and what is on disk is read again: the old one may have hidden some. */
static void
on_recovered(gpointer view, SpokeSpoolDamage *damage)
{
    SpokeOutbox *outbox = view;
    GArray *losses = damage->store.losses;

    if (damage->generation <= outbox->generation)
        return;
    outbox->generation = damage->generation;
    for (guint i = 0; i < losses->len; i++) {
        const SpokeStoreLoss *loss = &g_array_index(losses, SpokeStoreLoss, i);
        if (loss->identity == outbox->identity)
            spoke_outbox_forget(outbox, loss->lane, (guint64)MAX(loss->messages, 0),
                                (guint64)MAX(loss->bytes, 0));
    }
    spoke_outbox_restore(outbox, damage);
    for (guint lane = 0; lane < SPOKE_N_LANES; lane++)
        spoke_outbox_lane_rewind(&outbox->lanes[lane], find_last_id(outbox));
    spoke_outbox_tend_soon(outbox);
}

SpokeOutbox *
spoke_outbox_open(SpokeSpool *spool, const char *name, const SpokeOutboxOptions *options,
                  const SpokeOutboxEvents *events, gpointer user_data, GError **error)
{
    g_autoptr(SpokeOutbox) outbox = g_new0(SpokeOutbox, 1);

    outbox->ref_count = 1;
    outbox->spool = spool;
    outbox->options = *options;
    outbox->events = *events;
    outbox->user_data = user_data;
    outbox->is_starved = TRUE;
    outbox->held = g_hash_table_new(g_int64_hash, g_int64_equal);
    outbox->unwritten = g_ptr_array_new_with_free_func((GDestroyNotify)spoke_message_unref);
    outbox->chore = (SpokeChore){.run = tend, .user_data = outbox, .due_usec = SPOKE_CHORE_NEVER};
    spoke_outbox_init_expiry(outbox);
    for (guint lane = 0; lane < SPOKE_N_LANES; lane++)
        spoke_outbox_lane_init(&outbox->lanes[lane], spoke_spool_get_ready_bytes(spool));
    spoke_spool_add_view(spool, outbox, on_recovered);
    if (!spoke_outbox_load(outbox, name, error))
        return NULL;
    spoke_outbox_tend_soon(outbox);
    return g_steal_pointer(&outbox);
}

static void
cancel_puts(SpokeOutbox *outbox)
{
    g_autoptr(GError) cancelled =
        g_error_new_literal(SPOKE_ERROR, SPOKE_ERROR_CANCELLED, "The queue was closed");

    while (!g_queue_is_empty(&outbox->puts)) {
        g_autoptr(SpokeOutboxPut) put = g_queue_pop_head(&outbox->puts);
        answer(put, cancelled);
    }
}

void
spoke_outbox_free(SpokeOutbox *outbox)
{
    if (outbox == NULL)
        return;

    answer_early(outbox);
    spoke_outbox_push_unwritten(outbox);
    spoke_outbox_delete_in_vain(outbox);
    spoke_outbox_push_deletion(outbox);
    outbox->is_closed = TRUE;
    spoke_spool_remove_view(outbox->spool, outbox);
    spoke_chores_cancel(spoke_spool_get_chores(outbox->spool), &outbox->chore);
    spoke_spool_set_alarm(outbox->spool, &outbox->alarm, SPOKE_CHORE_NEVER);
    cancel_puts(outbox);
    spoke_outbox_unref(outbox);
}

void
spoke_outbox_set_options(SpokeOutbox *outbox, const SpokeOutboxOptions *options)
{
    outbox->options = *options;
    spoke_outbox_tend_soon(outbox);
}

/* Taking */

static SpokeMessage *
take_next(SpokeOutbox *outbox)
{
    SpokeMessage *message = NULL;

    for (guint lane = 0; lane < SPOKE_N_LANES && message == NULL; lane++)
        message = spoke_outbox_lane_pop(&outbox->lanes[lane]);
    return message;
}

/* One that is taken again, after it was given back, keeps its place before all others. */
static void
number(SpokeOutbox *outbox, SpokeMessage *message)
{
    if (message->take_number != 0)
        return;
    message->take_number = ++outbox->last_number;
    if (message->take_number == 0) /* wrapped */
        message->take_number = ++outbox->last_number;
}

guint
spoke_outbox_take(SpokeOutbox *outbox, SpokeMessage **ret_messages, guint max)
{
    gint64 now_usec = spoke_spool_now(outbox->spool);
    SpokeMessage *message = NULL;
    guint n = 0;

    while (n < max && (message = take_next(outbox)) != NULL) {
        if (message->expiry_usec > 0 && message->expiry_usec <= now_usec) {
            spoke_outbox_finish(outbox, message, SPOKE_OUTCOME_EXPIRED, "");
            continue;
        }
        number(outbox, message);
        spoke_tally_add(&outbox->in_flight[message->lane], 1, spoke_message_cost(message));
        ret_messages[n++] = message;
    }
    outbox->is_starved = n < max;
    spoke_outbox_request_pages(outbox);
    return n;
}

static void
leave_flight(SpokeOutbox *outbox, const SpokeMessage *message)
{
    spoke_tally_subtract(&outbox->in_flight[message->lane], 1, spoke_message_cost(message));
}

void
spoke_outbox_settle(SpokeOutbox *outbox, SpokeMessage *message, SpokeOutcome outcome,
                    const char *detail)
{
    leave_flight(outbox, message);
    spoke_outbox_finish(outbox, message, outcome, detail);
}

void
spoke_outbox_lose_volatile(SpokeOutbox *outbox)
{
    g_autoptr(GPtrArray) lost = g_ptr_array_new();

    for (guint lane = 0; lane < SPOKE_N_LANES; lane++)
        spoke_outbox_lane_take_volatile(&outbox->lanes[lane], lost);
    for (guint i = 0; i < lost->len; i++)
        spoke_outbox_finish(outbox, lost->pdata[i], SPOKE_OUTCOME_DROPPED,
                            "The daemon stopped before the hub had this volatile message");
}

void
spoke_outbox_give_back(SpokeOutbox *outbox, SpokeMessage **messages, guint n)
{
    for (guint i = 0; i < n; i++) {
        leave_flight(outbox, messages[i]);
        spoke_outbox_lane_give_back(&outbox->lanes[messages[i]->lane], messages[i]);
    }
    for (guint lane = 0; lane < SPOKE_N_LANES; lane++)
        spoke_outbox_lane_sort_returned(&outbox->lanes[lane]);
    spoke_outbox_tend_soon(outbox);
}

guint64
spoke_outbox_get_messages(SpokeOutbox *outbox)
{
    return outbox->tallies[SPOKE_LANE_URGENT].messages +
           outbox->tallies[SPOKE_LANE_NORMAL].messages;
}

guint64
spoke_outbox_get_bytes(SpokeOutbox *outbox)
{
    return spoke_outbox_sum_bytes(outbox);
}

guint
spoke_outbox_get_in_flight(SpokeOutbox *outbox)
{
    return (guint)(outbox->in_flight[SPOKE_LANE_URGENT].messages +
                   outbox->in_flight[SPOKE_LANE_NORMAL].messages);
}

guint64
spoke_outbox_get_accepted(SpokeOutbox *outbox)
{
    return outbox->n_accepted;
}
