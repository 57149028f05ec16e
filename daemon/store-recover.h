/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/store.h"

/*
 * A damaged store: what can be read of it is copied row by row into a new file, the old one is set
 * aside as NAME.corrupt-N, and the new one takes its place. A crash at any point leaves either the
 * damaged file in its place or the finished new one.
 */

/* What one lane of an identity is short of; negative if more was found than known of. */
typedef struct {
    guint identity;
    SpokeLane lane;
    gint64 messages;
    gint64 bytes;
} SpokeStoreLoss;

typedef struct {
    char *set_aside; /* owned; path of the damaged file */
    guint64 saved;   /* messages */
    guint64 lost;    /* messages known to be lost */
    GArray *losses;  /* owned, of SpokeStoreLoss */
} SpokeStoreDamage;

void spoke_store_damage_clear(SpokeStoreDamage *damage);

/**
 * spoke_store_recover:
 * @path: of the damaged file
 * @damaged: (transfer full) (nullable): the store on it, if it was open: what it holds in memory
 * is used too
 * @ret_damage: (out caller-allocates): clear it in any case
 *
 * Blocks, in proportion to the size of the file. Without room for a copy the new file begins
 * empty.
 *
 * Errors: SPOKE_STORE_ERROR; then the damaged file is where it was.
 *
 * Returns: (transfer full) (nullable): the new store, without a clock
 */
SpokeStore *spoke_store_recover(const char *path, SpokeStore *damaged, SpokeStoreDamage *ret_damage,
                                GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Makes @path if it is not there: a new store, or one that a crash kept from taking its place. */
gboolean spoke_store_ensure(const char *path, GError **error);
