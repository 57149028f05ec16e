/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/error.h"
#include "daemon/outbox-private.h"

/*
 * Whether a put may come in: the limits of what waits for the disk, of what is only in memory, and
 * of the queue as a whole, with what drop-oldest will free.
 */

/* Messages that wait for their commit are in memory; a disk that has stopped must not fill it. */
#define PENDING_BYTES_MAX (G_GUINT64_CONSTANT(16) * 1024 * 1024)

/* What the puts want of the limits. */
typedef struct {
    SpokeTally all;
    SpokeTally volatiles;
} Demand;

static Demand
sum_demand(SpokeMessage **messages, guint n)
{
    Demand demand = {0};

    for (guint i = 0; i < n; i++) {
        gsize cost = spoke_message_cost(messages[i]);
        spoke_tally_add(&demand.all, 1, cost);
        if (messages[i]->durability == SPOKE_DURABILITY_VOLATILE)
            spoke_tally_add(&demand.volatiles, 1, cost);
    }
    return demand;
}

static gboolean
refuse(GError **error, guint64 bytes, const char *what, guint64 used, guint64 limit)
{
    g_set_error(error, SPOKE_ERROR, SPOKE_ERROR_QUEUE_FULL,
                "No room for %" G_GUINT64_FORMAT " bytes: %s takes %" G_GUINT64_FORMAT
                " of %" G_GUINT64_FORMAT " bytes",
                bytes, what, used, limit);
    return FALSE;
}

/* What no empty queue could take would be refused for ever; who is told "full" tries again. */
static gboolean
check_ever_fits(SpokeOutbox *outbox, SpokeMessage **messages, guint n, const Demand *demand,
                GError **error)
{
    guint64 limit = outbox->options.bytes_max;

    for (guint i = 0; i < n; i++) {
        gsize cost = spoke_message_cost(messages[i]);
        if (cost <= limit)
            continue;
        g_set_error(error, SPOKE_ERROR, SPOKE_ERROR_TOO_LARGE,
                    "Message counts %zu bytes in the queue, over the limit of %" G_GUINT64_FORMAT
                    " (BytesMax)",
                    cost, limit);
        if (n > 1)
            g_prefix_error(error, "messages[%u]: ", i);
        return FALSE;
    }
    if (demand->all.bytes <= limit && demand->volatiles.bytes <= SPOKE_OUTBOX_LIVE_BYTES_MAX)
        return TRUE;
    gboolean is_over_all = demand->all.bytes > limit;
    g_set_error(error, SPOKE_ERROR, SPOKE_ERROR_TOO_LARGE,
                "Batch of %u messages counts %" G_GUINT64_FORMAT
                " bytes in the queue, over the limit of %" G_GUINT64_FORMAT " %s; send it in parts",
                n, is_over_all ? demand->all.bytes : demand->volatiles.bytes,
                is_over_all ? limit : SPOKE_OUTBOX_LIVE_BYTES_MAX,
                is_over_all ? "(BytesMax)" : "for volatile ones");
    return FALSE;
}

/* What drop-oldest will free, sooner or later: normal messages that are not taken. */
static guint64
sum_droppable(SpokeOutbox *outbox)
{
    guint64 bytes = outbox->tallies[SPOKE_LANE_NORMAL].bytes;

    if (outbox->options.when_full != SPOKE_WHEN_FULL_DROP_OLDEST)
        return 0;
    return bytes - MIN(bytes, outbox->in_flight[SPOKE_LANE_NORMAL].bytes);
}

static gboolean
check_bytes(SpokeOutbox *outbox, guint64 bytes, GError **error)
{
    guint64 limit = outbox->options.bytes_max;

    if (spoke_outbox_sum_bytes(outbox) + bytes > limit)
        spoke_outbox_expire_held(outbox);
    guint64 used = spoke_outbox_sum_bytes(outbox);
    guint64 fixed = used - MIN(sum_droppable(outbox), used);
    return fixed + bytes <= limit || refuse(error, bytes, "the queue", used, limit);
}

static gboolean
check_volatile(SpokeOutbox *outbox, const SpokeTally *demand, GError **error)
{
    SpokeTally waiting = outbox->pending_volatile;

    for (guint lane = 0; lane < SPOKE_N_LANES; lane++)
        spoke_tally_add(&waiting, outbox->lanes[lane].live.length, outbox->lanes[lane].live_bytes);
    if (demand->messages == 0 || (waiting.messages + demand->messages <= SPOKE_OUTBOX_LIVE_MAX &&
                                  waiting.bytes + demand->bytes <= SPOKE_OUTBOX_LIVE_BYTES_MAX))
        return TRUE;
    g_set_error(error, SPOKE_ERROR, SPOKE_ERROR_QUEUE_FULL,
                "No room for %" G_GUINT64_FORMAT " volatile messages: %" G_GUINT64_FORMAT
                " messages of %" G_GUINT64_FORMAT
                " bytes wait in memory, and the limits are %d and %d",
                demand->messages, waiting.messages, waiting.bytes, SPOKE_OUTBOX_LIVE_MAX,
                SPOKE_OUTBOX_LIVE_BYTES_MAX);
    return FALSE;
}

gboolean
spoke_outbox_check_room(SpokeOutbox *outbox, SpokeMessage **messages, guint n,
                        SpokeTally *ret_demand, GError **error)
{
    const Demand demand = sum_demand(messages, n);
    guint64 pending =
        outbox->pending[SPOKE_LANE_URGENT].bytes + outbox->pending[SPOKE_LANE_NORMAL].bytes;

    *ret_demand = demand.all;
    if (!check_ever_fits(outbox, messages, n, &demand, error))
        return FALSE;
    if (pending >= PENDING_BYTES_MAX)
        return refuse(error, demand.all.bytes, "what waits for the disk", pending,
                      PENDING_BYTES_MAX);
    return check_volatile(outbox, &demand.volatiles, error) &&
           check_bytes(outbox, demand.all.bytes, error);
}
