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
spoke_outbox_lane_init(SpokeOutboxLane *lane)
{
    *lane = (SpokeOutboxLane){.returned = g_array_new(FALSE, FALSE, sizeof(SpokeReturned))};
}

void
spoke_outbox_lane_clear(SpokeOutboxLane *lane)
{
    for (guint i = 0; i < lane->returned->len; i++)
        spoke_message_unref(g_array_index(lane->returned, SpokeReturned, i).message);
    g_clear_pointer(&lane->returned, g_array_unref);
    free_messages(&lane->live);
    free_messages(&lane->fetched);
    g_clear_pointer(&lane->marks, g_free);
}

void
spoke_outbox_lane_load(SpokeOutboxLane *lane, guint64 first_id, guint64 last_id, guint64 *marks)
{
    for (guint i = 0; i < SPOKE_FLOW_MARKS; i++)
        marks[i] = MIN(marks[i], last_id);
    g_free(lane->marks);
    lane->marks = marks;
    lane->read_id = first_id > 0 ? first_id - 1 : 0;
    lane->passed_id = lane->read_id;
    lane->history_id = last_id;
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
           lane->marks[spoke_flow_mark(flow)] > lane->passed_id;
}

void
spoke_outbox_lane_push_live(SpokeOutboxLane *lane, SpokeMessage *message)
{
    lane->live_bytes += spoke_message_cost(message);
    g_queue_push_tail(&lane->live, message);
}

void
spoke_outbox_lane_push_history(SpokeOutboxLane *lane, const SpokeMessage *message)
{
    if (lane->marks == NULL)
        lane->marks = g_new0(guint64, SPOKE_FLOW_MARKS);
    if (!spoke_outbox_lane_has_history(lane)) {
        /* All before it is in memory, or gone. */
        lane->read_id = message->id - 1;
        lane->passed_id = lane->read_id;
    }
    lane->history_id = message->id;
    lane->marks[spoke_flow_mark(message->flow)] = message->id;
}

void
spoke_outbox_lane_push_fetched(SpokeOutboxLane *lane, SpokeMessage *message)
{
    lane->fetched_bytes += spoke_message_cost(message);
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

void
spoke_outbox_lane_set_read(SpokeOutboxLane *lane, guint64 id)
{
    if (!lane->is_stale)
        lane->read_id = MAX(lane->read_id, id);
    lane->is_stale = FALSE;
    note_passed(lane);
}

void
spoke_outbox_lane_rewind(SpokeOutboxLane *lane, guint64 last_id)
{
    if (lane->marks == NULL)
        lane->marks = g_new0(guint64, SPOKE_FLOW_MARKS);
    lane->read_id = 0;
    lane->history_id = MAX(lane->history_id, last_id);
    lane->is_stale = lane->is_busy;
    note_passed(lane);
}

gboolean
spoke_outbox_lane_wants_page(const SpokeOutboxLane *lane)
{
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

    lane->live_bytes -= spoke_message_cost(message);
    return message;
}

static SpokeMessage *
pop_fetched(SpokeOutboxLane *lane)
{
    SpokeMessage *message = g_queue_pop_head(&lane->fetched);

    lane->fetched_bytes -= spoke_message_cost(message);
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

static gboolean
is_expired(const SpokeMessage *message, gint64 now_usec)
{
    return message != NULL && message->expiry_usec > 0 && message->expiry_usec <= now_usec;
}

SpokeMessage *
spoke_outbox_lane_pop_expired(SpokeOutboxLane *lane, gint64 now_usec)
{
    if (is_expired(peek_returned(lane), now_usec))
        return pop_returned(lane);
    if (is_expired(g_queue_peek_head(&lane->live), now_usec))
        return pop_live(lane);
    if (is_expired(g_queue_peek_head(&lane->fetched), now_usec))
        return pop_fetched(lane);
    return NULL;
}
