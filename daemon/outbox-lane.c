/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/outbox-lane.h"

#include "daemon/store.h"

/* Reading is ahead of sending by half a page, so that sending never waits for the disk. */
#define AHEAD_MESSAGES (256 / 2)
#define AHEAD_BYTES    (128 * 1024 / 2)

static void
free_messages(GQueue *queue)
{
    SpokeMessage *message = NULL;

    while ((message = g_queue_pop_head(queue)) != NULL)
        spoke_message_unref(message);
}

void
spoke_outbox_lane_init(SpokeOutboxLane *lane, gsize *ready_bytes)
{
    *lane = (SpokeOutboxLane){
        .returned = g_array_new(FALSE, FALSE, sizeof(SpokeReturned)),
        .held_expiry_usec = SPOKE_EXPIRY_NEVER,
        .ready_bytes = ready_bytes,
    };
    spoke_expiries_init(&lane->expiries);
}

void
spoke_outbox_lane_clear(SpokeOutboxLane *lane)
{
    for (guint i = 0; i < lane->returned->len; i++)
        spoke_message_unref(g_array_index(lane->returned, SpokeReturned, i).message);
    g_clear_pointer(&lane->returned, g_array_unref);
    *lane->ready_bytes -= lane->live_bytes + lane->fetched_bytes;
    lane->live_bytes = lane->fetched_bytes = 0;
    free_messages(&lane->live);
    free_messages(&lane->fetched);
    spoke_flow_marks_clear(&lane->marks);
    spoke_expiries_clear(&lane->expiries);
}

void
spoke_outbox_lane_load(SpokeOutboxLane *lane, guint64 first_id, guint64 last_id,
                       SpokeFlowMarks *marks)
{
    spoke_flow_marks_clear(&lane->marks);
    lane->marks = *marks;
    *marks = (SpokeFlowMarks){NULL};
    spoke_flow_marks_limit(&lane->marks, last_id);
    lane->read_id = first_id > 0 ? first_id - 1 : 0;
    lane->passed_id = lane->read_id;
    lane->history_id = last_id;
    if (last_id > 0)
        spoke_expiries_set_unknown(&lane->expiries, first_id, last_id);
}

gboolean
spoke_outbox_lane_has_history(const SpokeOutboxLane *lane)
{
    return lane->history_id > lane->passed_id;
}

gboolean
spoke_outbox_lane_is_behind(const SpokeOutboxLane *lane, guint64 flow)
{
    return spoke_outbox_lane_has_history(lane) &&
           spoke_flow_marks_get(&lane->marks, spoke_flow_mark(flow)) > lane->passed_id;
}

static void
note_held(SpokeOutboxLane *lane, const SpokeMessage *message)
{
    if (message->expiry_usec > 0)
        lane->held_expiry_usec = MIN(lane->held_expiry_usec, message->expiry_usec);
}

/* @bytes: live or fetched */
static void
add_cost(SpokeOutboxLane *lane, gsize *bytes, const SpokeMessage *message)
{
    gsize cost = spoke_message_cost(message);

    *bytes += cost;
    *lane->ready_bytes += cost;
}

static void
subtract_cost(SpokeOutboxLane *lane, gsize *bytes, gsize cost)
{
    *bytes -= cost;
    *lane->ready_bytes -= cost;
}

void
spoke_outbox_lane_push_live(SpokeOutboxLane *lane, SpokeMessage *message)
{
    note_held(lane, message);
    add_cost(lane, &lane->live_bytes, message);
    g_queue_push_tail(&lane->live, message);
}

void
spoke_outbox_lane_push_history(SpokeOutboxLane *lane, const SpokeMessage *message)
{
    if (!spoke_outbox_lane_has_history(lane)) {
        /* All before it is in memory, or gone. */
        lane->read_id = message->id - 1;
        lane->passed_id = lane->read_id;
        spoke_expiries_clear(&lane->expiries);
    }
    lane->history_id = message->id;
    spoke_expiries_add(&lane->expiries, message->id, message->expiry_usec);
    spoke_flow_marks_set(&lane->marks, spoke_flow_mark(message->flow), message->id);
}

void
spoke_outbox_lane_push_fetched(SpokeOutboxLane *lane, SpokeMessage *message)
{
    note_held(lane, message);
    add_cost(lane, &lane->fetched_bytes, message);
    g_queue_push_tail(&lane->fetched, message);
}

static gint
compare_returned(gconstpointer a, gconstpointer b)
{
    const SpokeReturned *first = a;
    const SpokeReturned *second = b;

    /* The number wraps; those in flight are near each other. Descending. */
    return (gint)(second->number - first->number);
}

void
spoke_outbox_lane_give_back(SpokeOutboxLane *lane, SpokeMessage *message)
{
    SpokeReturned returned = {message->take_number, message};

    note_held(lane, message);
    g_array_append_val(lane->returned, returned);
}

void
spoke_outbox_lane_sort_returned(SpokeOutboxLane *lane)
{
    g_array_sort(lane->returned, compare_returned);
}

/* History that is read and not in memory has been handed out, or is gone. */
static void
note_passed(SpokeOutboxLane *lane)
{
    if (g_queue_is_empty(&lane->fetched))
        lane->passed_id = lane->read_id;
}

/* What is read is in memory, or gone. */
static void
forget_read(SpokeOutboxLane *lane)
{
    if (lane->history_id > lane->read_id)
        spoke_expiries_forget(&lane->expiries, lane->read_id);
    else
        spoke_expiries_clear(&lane->expiries);
}

void
spoke_outbox_lane_set_read(SpokeOutboxLane *lane, guint64 id)
{
    if (!lane->is_stale)
        lane->read_id = MAX(lane->read_id, id);
    lane->is_stale = FALSE;
    forget_read(lane);
    note_passed(lane);
}

void
spoke_outbox_lane_rewind(SpokeOutboxLane *lane, guint64 last_id)
{
    lane->read_id = 0;
    lane->history_id = MAX(lane->history_id, last_id);
    lane->is_stale = lane->is_busy;
    spoke_expiries_set_unknown(&lane->expiries, 0, lane->history_id);
    note_passed(lane);
}

gboolean
spoke_outbox_lane_wants_page(const SpokeOutboxLane *lane, gboolean is_scarce)
{
    if (is_scarce && lane->fetched.length > 0)
        return FALSE;
    return !lane->is_busy && lane->history_id > lane->read_id &&
           lane->fetched.length < AHEAD_MESSAGES && lane->fetched_bytes < AHEAD_BYTES;
}

gboolean
spoke_outbox_lane_is_ready(const SpokeOutboxLane *lane)
{
    return lane->returned->len > 0 || lane->live.length > 0 || lane->fetched.length > 0;
}

static SpokeMessage *
pop_returned(SpokeOutboxLane *lane)
{
    SpokeMessage *message =
        g_array_index(lane->returned, SpokeReturned, lane->returned->len - 1).message;

    g_array_set_size(lane->returned, lane->returned->len - 1);
    return message;
}

static SpokeMessage *
pop_live(SpokeOutboxLane *lane)
{
    SpokeMessage *message = g_queue_pop_head(&lane->live);

    subtract_cost(lane, &lane->live_bytes, spoke_message_cost(message));
    return message;
}

static SpokeMessage *
pop_fetched(SpokeOutboxLane *lane)
{
    SpokeMessage *message = g_queue_pop_head(&lane->fetched);

    subtract_cost(lane, &lane->fetched_bytes, spoke_message_cost(message));
    lane->passed_id = message->id;
    note_passed(lane);
    return message;
}

/*
 * Live messages that are older than the history in front go before it: its flow may have been live
 * before there was no more room. Newer ones and the history take turns.
 */
static gboolean
is_live_next(SpokeOutboxLane *lane)
{
    const SpokeMessage *live = g_queue_peek_head(&lane->live);
    const SpokeMessage *fetched = g_queue_peek_head(&lane->fetched);

    if (live == NULL || fetched == NULL)
        return live != NULL;
    if (live->id < fetched->id)
        return TRUE;
    lane->is_live_turn = !lane->is_live_turn;
    return lane->is_live_turn;
}

SpokeMessage *
spoke_outbox_lane_pop(SpokeOutboxLane *lane)
{
    if (lane->returned->len > 0)
        return pop_returned(lane);
    if (is_live_next(lane))
        return pop_live(lane);
    return lane->fetched.length > 0 ? pop_fetched(lane) : NULL;
}

/* The three in front; NULL where there is none. */
static const SpokeMessage *
peek_returned(const SpokeOutboxLane *lane)
{
    return lane->returned->len > 0
               ? g_array_index(lane->returned, SpokeReturned, lane->returned->len - 1).message
               : NULL;
}

SpokeMessage *
spoke_outbox_lane_pop_oldest(SpokeOutboxLane *lane)
{
    const SpokeMessage *returned = peek_returned(lane);
    const SpokeMessage *live = g_queue_peek_head(&lane->live);
    const SpokeMessage *fetched = g_queue_peek_head(&lane->fetched);
    guint64 returned_id = returned != NULL ? returned->id : G_MAXUINT64;
    guint64 live_id = live != NULL ? live->id : G_MAXUINT64;
    guint64 fetched_id = fetched != NULL ? fetched->id : G_MAXUINT64;
    guint64 disk_id = lane->history_id > lane->read_id ? lane->read_id + 1 : G_MAXUINT64;

    guint64 oldest_id = MIN(MIN(returned_id, live_id), MIN(fetched_id, disk_id));
    if (oldest_id == G_MAXUINT64)
        return NULL;
    if (oldest_id == returned_id)
        return pop_returned(lane);
    if (oldest_id == live_id)
        return pop_live(lane);
    return oldest_id == fetched_id ? pop_fetched(lane) : NULL;
}

typedef gboolean (*LeavesFunc)(const SpokeMessage *message, gint64 now_usec);

static gboolean
is_expired(const SpokeMessage *message, gint64 now_usec)
{
    return message != NULL && message->expiry_usec > 0 && message->expiry_usec <= now_usec;
}

static gboolean
is_volatile(const SpokeMessage *message, gint64 now_usec)
{
    return message->durability == SPOKE_DURABILITY_VOLATILE;
}

/* Moves those out that leave. Returns what they counted. */
static gsize
filter_queue(GQueue *queue, LeavesFunc leaves, gint64 now_usec, GPtrArray *leavers)
{
    gsize bytes = 0;
    GList *next = NULL;

    for (GList *link = queue->head; link != NULL; link = next) {
        next = link->next;
        if (!leaves(link->data, now_usec))
            continue;
        bytes += spoke_message_cost(link->data);
        g_ptr_array_add(leavers, link->data);
        g_queue_delete_link(queue, link);
    }
    return bytes;
}

static void
filter_returned(GArray *returned, LeavesFunc leaves, gint64 now_usec, GPtrArray *leavers)
{
    guint n = 0;

    for (guint i = 0; i < returned->len; i++) {
        SpokeReturned entry = g_array_index(returned, SpokeReturned, i);
        if (leaves(entry.message, now_usec))
            g_ptr_array_add(leavers, entry.message);
        else
            g_array_index(returned, SpokeReturned, n++) = entry;
    }
    g_array_set_size(returned, n);
}

static void
find_held_expiry(SpokeOutboxLane *lane)
{
    lane->held_expiry_usec = SPOKE_EXPIRY_NEVER;
    for (guint i = 0; i < lane->returned->len; i++)
        note_held(lane, g_array_index(lane->returned, SpokeReturned, i).message);
    for (const GList *link = lane->live.head; link != NULL; link = link->next)
        note_held(lane, link->data);
    for (const GList *link = lane->fetched.head; link != NULL; link = link->next)
        note_held(lane, link->data);
}

static void
filter(SpokeOutboxLane *lane, LeavesFunc leaves, gint64 now_usec, GPtrArray *leavers)
{
    filter_returned(lane->returned, leaves, now_usec, leavers);
    subtract_cost(lane, &lane->live_bytes, filter_queue(&lane->live, leaves, now_usec, leavers));
    subtract_cost(lane, &lane->fetched_bytes,
                  filter_queue(&lane->fetched, leaves, now_usec, leavers));
    note_passed(lane);
    find_held_expiry(lane);
}

void
spoke_outbox_lane_take_expired(SpokeOutboxLane *lane, gint64 now_usec, GPtrArray *ret_expired)
{
    if (lane->held_expiry_usec <= now_usec)
        filter(lane, is_expired, now_usec, ret_expired);
}

void
spoke_outbox_lane_take_volatile(SpokeOutboxLane *lane, GPtrArray *ret_volatile)
{
    filter(lane, is_volatile, 0, ret_volatile);
}

gint64
spoke_outbox_lane_get_next_expiry(SpokeOutboxLane *lane, gint64 after_usec)
{
    if (!spoke_outbox_lane_is_ready(lane))
        lane->held_expiry_usec = SPOKE_EXPIRY_NEVER;
    return MIN(lane->held_expiry_usec, spoke_expiries_get_next(&lane->expiries, after_usec));
}

gboolean
spoke_outbox_lane_begin_search(SpokeOutboxLane *lane, gint64 now_usec, guint64 *ret_after,
                               guint64 *ret_upto)
{
    guint64 first_id = 0;
    guint64 last_id = 0;

    while (spoke_expiries_take_due(&lane->expiries, now_usec, &first_id, &last_id)) {
        *ret_after = MAX(first_id > 0 ? first_id - 1 : 0, lane->read_id);
        *ret_upto = MIN(last_id, lane->history_id);
        if (*ret_upto > *ret_after)
            return TRUE;
    }
    return FALSE;
}

void
spoke_outbox_lane_end_search(SpokeOutboxLane *lane, guint64 after, gint64 next_usec)
{
    lane->is_stale = FALSE;
    spoke_expiries_put_back(&lane->expiries, after + 1, next_usec);
    forget_read(lane);
}
