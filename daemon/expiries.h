/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/*
 * When the first of many messages expires, of which only ids and times are told once: for those
 * that are on disk alone. Memory stays flat: they are lumped together in blocks of ids, each with a
 * time before which none in it expires, and the blocks grow with what they have to hold. A block
 * whose time has come is looked through on disk, by its owner, who then says what it found.
 * Messages that never expire cost nothing.
 */
#define SPOKE_EXPIRY_NEVER G_MAXINT64

#define SPOKE_EXPIRY_BLOCKS_MAX 128
#define SPOKE_EXPIRY_BLOCK_IDS  1024 /* at first */

typedef struct {
    guint64 number; /* it holds the ids from number * block_ids */
    gint64 first_usec;
} SpokeExpiryBlock;

typedef struct {
    SpokeExpiryBlock *blocks; /* owned; numbers rise */
    guint n_blocks;
    guint room; /* at most SPOKE_EXPIRY_BLOCKS_MAX + 1 */
    guint64 block_ids;
} SpokeExpiries;

void spoke_expiries_init(SpokeExpiries *expiries);
void spoke_expiries_clear(SpokeExpiries *expiries); /* forgets all; it may be used again */
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(SpokeExpiries, spoke_expiries_clear)

/* @id: above all that were added. @expiry_usec: SPOKE_EXPIRY_NEVER or 0: never */
void spoke_expiries_add(SpokeExpiries *expiries, guint64 id, gint64 expiry_usec);
/* Anything may be from @first_id to @last_id: all of it is due. Forgets what was added. */
void spoke_expiries_set_unknown(SpokeExpiries *expiries, guint64 first_id, guint64 last_id);
/* Messages up to @id are of no concern any more. */
void spoke_expiries_forget(SpokeExpiries *expiries, guint64 id);

/* The earliest after @after_usec; NEVER */
gint64 spoke_expiries_get_next(const SpokeExpiries *expiries, gint64 after_usec);
/* Takes out a block of which some may have expired by @now_usec; its owner returns it with
 * _put_back(). FALSE: there is none. @ret_last_id: the block's end, there may be fewer ids yet */
gboolean spoke_expiries_take_due(SpokeExpiries *expiries, gint64 now_usec, guint64 *ret_first_id,
                                 guint64 *ret_last_id);
/* @first_usec: the earliest of those in the block with @id that were there when it was taken */
void spoke_expiries_put_back(SpokeExpiries *expiries, guint64 id, gint64 first_usec);
