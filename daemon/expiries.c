/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/expiries.h"

#define ROOM_FIRST 4

void
spoke_expiries_init(SpokeExpiries *expiries)
{
    *expiries = (SpokeExpiries){.block_ids = SPOKE_EXPIRY_BLOCK_IDS};
}

void
spoke_expiries_clear(SpokeExpiries *expiries)
{
    g_free(expiries->blocks);
    spoke_expiries_init(expiries);
}

/* Two blocks become one, until there are few enough. */
static void
coarsen(SpokeExpiries *expiries)
{
    while (expiries->n_blocks > SPOKE_EXPIRY_BLOCKS_MAX) {
        guint n = 0;

        expiries->block_ids *= 2;
        for (guint i = 0; i < expiries->n_blocks; i++) {
            SpokeExpiryBlock block = expiries->blocks[i];
            block.number /= 2;
            if (n > 0 && expiries->blocks[n - 1].number == block.number)
                expiries->blocks[n - 1].first_usec =
                    MIN(expiries->blocks[n - 1].first_usec, block.first_usec);
            else
                expiries->blocks[n++] = block;
        }
        expiries->n_blocks = n;
    }
}

/* Where the block is, or belongs. */
static guint
find(const SpokeExpiries *expiries, guint64 number)
{
    guint i = expiries->n_blocks;

    while (i > 0 && expiries->blocks[i - 1].number >= number)
        i--;
    return i;
}

static void
remove_block(SpokeExpiries *expiries, guint index)
{
    expiries->n_blocks--;
    for (guint i = index; i < expiries->n_blocks; i++)
        expiries->blocks[i] = expiries->blocks[i + 1];
}

static void
insert(SpokeExpiries *expiries, guint index, SpokeExpiryBlock block)
{
    if (expiries->n_blocks == expiries->room) {
        expiries->room = CLAMP(expiries->room * 2, ROOM_FIRST, SPOKE_EXPIRY_BLOCKS_MAX + 1);
        expiries->blocks = g_renew(SpokeExpiryBlock, expiries->blocks, expiries->room);
    }
    for (guint i = expiries->n_blocks; i > index; i--)
        expiries->blocks[i] = expiries->blocks[i - 1];
    expiries->blocks[index] = block;
    expiries->n_blocks++;
}

static void
lower(SpokeExpiries *expiries, guint64 id, gint64 first_usec)
{
    guint64 number = id / expiries->block_ids;
    guint index = find(expiries, number);

    if (index < expiries->n_blocks && expiries->blocks[index].number == number) {
        expiries->blocks[index].first_usec = MIN(expiries->blocks[index].first_usec, first_usec);
        return;
    }
    insert(expiries, index, (SpokeExpiryBlock){number, first_usec});
    coarsen(expiries);
}

void
spoke_expiries_add(SpokeExpiries *expiries, guint64 id, gint64 expiry_usec)
{
    if (expiry_usec > 0 && expiry_usec != SPOKE_EXPIRY_NEVER)
        lower(expiries, id, expiry_usec);
}

/* Half of the blocks are left for what is added later. */
void
spoke_expiries_set_unknown(SpokeExpiries *expiries, guint64 first_id, guint64 last_id)
{
    spoke_expiries_clear(expiries);
    while (last_id / expiries->block_ids - first_id / expiries->block_ids >=
           SPOKE_EXPIRY_BLOCKS_MAX / 2)
        expiries->block_ids *= 2;
    for (guint64 number = first_id / expiries->block_ids; number <= last_id / expiries->block_ids;
         number++)
        insert(expiries, expiries->n_blocks, (SpokeExpiryBlock){number, 0});
}

void
spoke_expiries_forget(SpokeExpiries *expiries, guint64 id)
{
    while (expiries->n_blocks > 0 &&
           (expiries->blocks[0].number + 1) * expiries->block_ids - 1 <= id)
        remove_block(expiries, 0);
}

gint64
spoke_expiries_get_next(const SpokeExpiries *expiries, gint64 after_usec)
{
    gint64 next_usec = SPOKE_EXPIRY_NEVER;

    for (guint i = 0; i < expiries->n_blocks; i++) {
        if (expiries->blocks[i].first_usec > after_usec)
            next_usec = MIN(next_usec, expiries->blocks[i].first_usec);
    }
    return next_usec;
}

gboolean
spoke_expiries_take_due(SpokeExpiries *expiries, gint64 now_usec, guint64 *ret_first_id,
                        guint64 *ret_last_id)
{
    for (guint i = 0; i < expiries->n_blocks; i++) {
        if (expiries->blocks[i].first_usec > now_usec)
            continue;
        *ret_first_id = expiries->blocks[i].number * expiries->block_ids;
        *ret_last_id = *ret_first_id + expiries->block_ids - 1;
        remove_block(expiries, i);
        return TRUE;
    }
    return FALSE;
}

void
spoke_expiries_put_back(SpokeExpiries *expiries, guint64 id, gint64 first_usec)
{
    if (first_usec != SPOKE_EXPIRY_NEVER)
        lower(expiries, id, first_usec);
}
