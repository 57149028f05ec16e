/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/outbox-private.h"

#include <string.h>

/*
 * What is on disk only: found when the outbox is opened, read back a page at a time, dropped when
 * the queue is over its limit. A lane has one page or drop on its way at a time, so that what comes
 * back meets the line as it was when it was asked for. Rows in a page that are in memory as well,
 * or whose removal is under way, are passed over.
 */
#define DROP_ROWS_MAX   4096
#define DROP_FRACTION   32 /* of the limit: at least that much at once, for the sake of speed */
#define DROP_RETRY_USEC G_USEC_PER_SEC

/* Of a page, where all outboxes together hold much. */
#define SCARCE_PAGE_COSTS (16 * 1024)

/* Opening */

typedef struct {
    SpokeSpoolOp op;
    const char *name; /* borrowed */
    guint identity;
    guint generation;
    struct {
        SpokeTally tally;
        guint64 first_id;
        guint64 last_id;
        SpokeFlowMarks marks;
    } lanes[SPOKE_N_LANES];
} Opening;

static void
opening_clear(Opening *opening)
{
    for (guint lane = 0; lane < SPOKE_N_LANES; lane++)
        spoke_flow_marks_clear(&opening->lanes[lane].marks);
}

static gboolean
opening_run(SpokeSpoolOp *op, SpokeStore *store, GError **error)
{
    Opening *opening = (Opening *)op;
    SpokeStoreIdentity *identity = spoke_store_ensure_identity(store, opening->name, 0, error);
    if (identity == NULL)
        return FALSE;

    opening_clear(opening);
    opening->identity = identity->key;
    opening->generation = spoke_store_get_generation(store);
    for (SpokeLane lane = 0; lane < SPOKE_N_LANES; lane++) {
        guint64 first_id = 0;
        guint64 last_id = 0;
        opening->lanes[lane].tally = identity->lanes[lane];
        if (!spoke_store_read_ends(store, identity->key, lane, &first_id, &last_id, error))
            return FALSE;
        opening->lanes[lane].first_id = first_id;
        opening->lanes[lane].last_id = last_id;
        if (last_id == 0)
            continue;
        if (!spoke_store_read_flows(store, identity->key, lane, first_id,
                                    &opening->lanes[lane].marks, error))
            return FALSE;
    }
    return TRUE;
}

static const SpokeSpoolOpClass opening_class = {.need = SPOKE_SPOOL_READS, .run = opening_run};

gboolean
spoke_outbox_load(SpokeOutbox *outbox, const char *name, GError **error)
{
    Opening opening = {.op.class = &opening_class, .name = name};

    if (!spoke_spool_call(outbox->spool, &opening.op, error)) {
        opening_clear(&opening);
        return FALSE;
    }
    outbox->identity = opening.identity;
    outbox->generation = opening.generation;
    for (SpokeLane lane = 0; lane < SPOKE_N_LANES; lane++) {
        outbox->tallies[lane] = opening.lanes[lane].tally;
        if (opening.lanes[lane].last_id > 0)
            spoke_outbox_lane_load(&outbox->lanes[lane], opening.lanes[lane].first_id,
                                   opening.lanes[lane].last_id, &opening.lanes[lane].marks);
    }
    return TRUE;
}

/* Pages */

typedef struct {
    SpokeSpoolOp op;
    SpokeOutbox *outbox; /* owned */
    SpokeStoreSpan span;
    guint64 costs_max; /* counted as ready meanwhile */
    SpokeStorePage page;
} PageRead;

static gboolean
page_run(SpokeSpoolOp *op, SpokeStore *store, GError **error)
{
    PageRead *read = (PageRead *)op;

    return spoke_store_read_page(store, &read->span, read->costs_max, &read->page, error);
}

static gboolean
contains_id(const GArray *ids, guint64 id)
{
    guint low = 0;
    guint high = ids->len;

    while (low < high) {
        guint middle = low + (high - low) / 2;
        guint64 found = g_array_index(ids, guint64, middle);
        if (found == id)
            return TRUE;
        if (found < id)
            low = middle + 1;
        else
            high = middle;
    }
    return FALSE;
}

/* Puts the messages of a page in the lane, those that belong there. */
static void
take_page(SpokeOutbox *outbox, PageRead *read)
{
    SpokeOutboxLane *lane = &outbox->lanes[read->span.lane];
    g_autoptr(GArray) dying = spoke_outbox_list_dying(outbox, read->span.lane, read->span.after);
    GPtrArray *messages = read->page.messages;

    for (guint i = 0; i < messages->len; i++) {
        SpokeMessage *message = messages->pdata[i];
        if (g_hash_table_contains(outbox->held, &message->id) || contains_id(dying, message->id))
            continue;
        message->stored = SPOKE_STORED;
        g_hash_table_insert(outbox->held, &message->id, message);
        spoke_outbox_lane_push_fetched(lane, spoke_message_ref(message));
    }
    spoke_outbox_lane_set_read(lane, read->page.last_id);
}

/* Rows that make no sense are removed. */
static void
discard_damaged(SpokeOutbox *outbox, PageRead *read)
{
    GArray *damaged = read->page.damaged;

    for (guint i = 0; i < damaged->len; i++) {
        const SpokeStoreRow *row = &g_array_index(damaged, SpokeStoreRow, i);
        spoke_spool_report_bad_row(outbox->spool, row->id);
        spoke_outbox_delete_row(outbox, row);
        spoke_outbox_forget(outbox, row->lane, 1, row->cost);
    }
}

static void
page_done(SpokeSpoolOp *op, const GError *error)
{
    PageRead *read = (PageRead *)op;
    SpokeOutbox *outbox = read->outbox;

    if (outbox->is_closed)
        return;
    outbox->lanes[read->span.lane].is_busy = FALSE;
    take_page(outbox, read);
    spoke_outbox_expire_held(outbox);
    discard_damaged(outbox, read);
    spoke_outbox_tend_soon(outbox);
}

static void
page_free(SpokeSpoolOp *op)
{
    PageRead *read = (PageRead *)op;

    *spoke_spool_get_ready_bytes(read->outbox->spool) -= read->costs_max;
    spoke_store_page_clear(&read->page);
    spoke_outbox_unref(read->outbox);
    g_free(read);
}

static const SpokeSpoolOpClass page_class = {
    .need = SPOKE_SPOOL_READS,
    .is_kept = TRUE,
    .run = page_run,
    .done = page_done,
    .free = page_free,
};

static SpokeStoreSpan
unread_span(const SpokeOutbox *outbox, SpokeLane lane)
{
    const SpokeOutboxLane *line = &outbox->lanes[lane];

    return (SpokeStoreSpan){outbox->identity, lane, line->read_id, line->history_id};
}

void
spoke_outbox_request_pages(SpokeOutbox *outbox)
{
    gsize *ready_bytes = spoke_spool_get_ready_bytes(outbox->spool);

    for (SpokeLane lane = 0; lane < SPOKE_N_LANES; lane++) {
        gboolean is_scarce = *ready_bytes + SPOKE_STORE_PAGE_COSTS > SPOKE_SPOOL_READY_BYTES_MAX;

        if (!spoke_outbox_lane_wants_page(&outbox->lanes[lane], is_scarce))
            continue;
        PageRead *read = g_new0(PageRead, 1);
        read->op.class = &page_class;
        read->outbox = spoke_outbox_ref(outbox);
        read->span = unread_span(outbox, lane);
        read->costs_max = is_scarce ? SCARCE_PAGE_COSTS : SPOKE_STORE_PAGE_COSTS;
        *ready_bytes += read->costs_max;
        spoke_store_page_init(&read->page);
        outbox->lanes[lane].is_busy = TRUE;
        spoke_spool_push(outbox->spool, &read->op);
    }
}

/* Audits: a damaged page may read as if there was less on it than was written. The first time the
 * store is replaced, which finds what can be found; after that the count is wrong for good. */

typedef struct {
    SpokeSpoolOp op;
    SpokeOutbox *outbox; /* owned */
    guint generation;
    SpokeTally counted[SPOKE_N_LANES];
    gboolean is_replaced; /* the store was, so there is nothing to say */
} Audit;

static gboolean
audit_run(SpokeSpoolOp *op, SpokeStore *store, GError **error)
{
    Audit *audit = (Audit *)op;
    const SpokeStoreIdentity *identity = spoke_store_find_identity(store, audit->outbox->identity);

    audit->is_replaced = spoke_store_get_generation(store) > audit->generation;
    if (audit->is_replaced ||
        identity->lanes[SPOKE_LANE_URGENT].messages + identity->lanes[SPOKE_LANE_NORMAL].messages ==
            0)
        return TRUE;
    g_set_error_literal(error, SPOKE_STORE_ERROR, SPOKE_STORE_ERROR_DAMAGED,
                        "it counts more rows than can be read");
    return FALSE;
}

static void
forget_counted(SpokeOutbox *outbox, const SpokeTally *counted)
{
    for (SpokeLane lane = 0; lane < SPOKE_N_LANES; lane++)
        spoke_outbox_forget(outbox, lane, counted[lane].messages, counted[lane].bytes);
}

static void
audit_done(SpokeSpoolOp *op, const GError *error)
{
    Audit *audit = (Audit *)op;
    SpokeOutbox *outbox = audit->outbox;

    if (outbox->is_closed)
        return;
    outbox->is_auditing = FALSE;
    if (!audit->is_replaced)
        forget_counted(outbox, audit->counted);
    spoke_outbox_tend_soon(outbox);
}

static void
audit_free(SpokeSpoolOp *op)
{
    spoke_outbox_unref(((Audit *)op)->outbox);
    g_free(op);
}

static const SpokeSpoolOpClass audit_class = {
    .need = SPOKE_SPOOL_READS,
    .is_kept = TRUE,
    .run = audit_run,
    .done = audit_done,
    .free = audit_free,
};

/* Whether nothing is left anywhere, nor under way. */
static gboolean
is_spent(SpokeOutbox *outbox)
{
    for (guint lane = 0; lane < SPOKE_N_LANES; lane++) {
        const SpokeOutboxLane *line = &outbox->lanes[lane];
        if (line->is_busy || line->history_id > line->read_id)
            return FALSE;
    }
    return g_hash_table_size(outbox->held) == 0 && g_queue_is_empty(&outbox->puts) &&
           g_queue_is_empty(&outbox->writes) && g_queue_is_empty(&outbox->deletions) &&
           outbox->deletion == NULL;
}

static void
push_audit(SpokeOutbox *outbox)
{
    Audit *audit = g_new0(Audit, 1);

    audit->op.class = &audit_class;
    audit->outbox = spoke_outbox_ref(outbox);
    audit->generation = outbox->generation;
    memcpy(audit->counted, outbox->tallies, sizeof audit->counted);
    outbox->is_auditing = TRUE;
    spoke_spool_push(outbox->spool, &audit->op);
}

void
spoke_outbox_audit(SpokeOutbox *outbox)
{
    if (spoke_outbox_get_messages(outbox) == 0 || !is_spent(outbox))
        return;
    outbox->n_audits++;
    if (outbox->n_audits == 1)
        push_audit(outbox);
    else if (!outbox->is_auditing)
        forget_counted(outbox, outbox->tallies);
}

/* Drops */

typedef struct {
    SpokeSpoolOp op;
    SpokeOutbox *outbox; /* owned */
    SpokeStoreSpan span;
    guint64 bytes;
    GArray *spare; /* owned, of guint64: what is in memory too */
    SpokeStoreDrop drop;
} Drop;

static gboolean
drop_run(SpokeSpoolOp *op, SpokeStore *store, GError **error)
{
    Drop *drop = (Drop *)op;

    return spoke_store_drop_oldest(store, &drop->span, drop->bytes, DROP_ROWS_MAX, drop->spare,
                                   &drop->drop, error);
}

static void
drop_done(SpokeSpoolOp *op, const GError *error)
{
    Drop *drop = (Drop *)op;
    SpokeOutbox *outbox = drop->outbox;

    if (outbox->is_closed)
        return;
    outbox->lanes[drop->span.lane].is_busy = FALSE;
    if (error != NULL) {
        spoke_outbox_lane_set_read(&outbox->lanes[drop->span.lane], 0);
        outbox->drop_due_usec = g_get_monotonic_time() + DROP_RETRY_USEC;
        spoke_outbox_tend_soon(outbox);
        return;
    }
    spoke_outbox_lane_set_read(&outbox->lanes[drop->span.lane], drop->drop.last_id);
    spoke_outbox_forget(outbox, drop->span.lane, drop->drop.tally.messages, drop->drop.tally.bytes);
    for (guint i = 0; i < drop->drop.notify->len; i++)
        outbox->events.settled(g_array_index(drop->drop.notify_ids, guint64, i),
                               drop->drop.notify->pdata[i], SPOKE_OUTCOME_DROPPED,
                               "The queue was full", outbox->user_data);
    spoke_outbox_tend_soon(outbox);
}

static void
drop_free(SpokeSpoolOp *op)
{
    Drop *drop = (Drop *)op;

    spoke_store_drop_clear(&drop->drop);
    g_array_unref(drop->spare);
    spoke_outbox_unref(drop->outbox);
    g_free(drop);
}

/* Kept by the writer until it succeeds, it would keep pages away as long: on a full disk what can't
 * be dropped can be sent. */
static const SpokeSpoolOpClass drop_class = {
    .need = SPOKE_SPOOL_REMOVES,
    .run = drop_run,
    .done = drop_done,
    .free = drop_free,
};

GArray *
spoke_outbox_list_spared(SpokeOutbox *outbox, const SpokeStoreSpan *span)
{
    GArray *ids = spoke_outbox_list_dying(outbox, span->lane, span->after);
    GHashTableIter iter;
    gpointer value = NULL;

    g_hash_table_iter_init(&iter, outbox->held);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        const SpokeMessage *message = value;
        if (message->lane == span->lane && message->id > span->after)
            g_array_append_val(ids, message->id);
    }
    spoke_outbox_sort_ids(ids);
    return ids;
}

static void
push_drop(SpokeOutbox *outbox, guint64 bytes)
{
    Drop *drop = g_new0(Drop, 1);

    drop->op.class = &drop_class;
    drop->outbox = spoke_outbox_ref(outbox);
    drop->span = unread_span(outbox, SPOKE_LANE_NORMAL);
    drop->bytes = MAX(bytes, outbox->options.bytes_max / DROP_FRACTION);
    drop->spare = spoke_outbox_list_spared(outbox, &drop->span);
    spoke_store_drop_init(&drop->drop);
    outbox->lanes[SPOKE_LANE_NORMAL].is_busy = TRUE;
    spoke_spool_push(outbox->spool, &drop->op);
}

void
spoke_outbox_make_room(SpokeOutbox *outbox)
{
    SpokeOutboxLane *lane = &outbox->lanes[SPOKE_LANE_NORMAL];
    guint64 limit = outbox->options.bytes_max;
    SpokeMessage *message = NULL;

    if (outbox->options.when_full != SPOKE_WHEN_FULL_DROP_OLDEST)
        return;
    /* While a page is on its way it is not known what is oldest. */
    while (!lane->is_busy && spoke_outbox_sum_bytes(outbox) > limit &&
           (message = spoke_outbox_lane_pop_oldest(lane)) != NULL)
        spoke_outbox_finish(outbox, message, SPOKE_OUTCOME_DROPPED, "The queue was full");
    if (lane->is_busy || spoke_outbox_sum_bytes(outbox) <= limit ||
        lane->history_id <= lane->read_id)
        return;
    if (g_get_monotonic_time() >= outbox->drop_due_usec)
        push_drop(outbox, spoke_outbox_sum_bytes(outbox) - limit);
    else
        spoke_chores_schedule(spoke_spool_get_chores(outbox->spool), &outbox->chore,
                              outbox->drop_due_usec);
}
