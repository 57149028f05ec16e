/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/parcel.h"

/*
 * The inbox as delivery sees it: every message in memory, in order of arrival, and every change
 * written through. A change shows in memory when the disk has it; if the disk fails, the message is
 * as it was before. Dead letters come after each other as they died; after a restart, as they
 * arrived.
 */
typedef struct SpokeShelf SpokeShelf;

typedef struct {
    guint messages; /* alive, until they have left the disk too */
    guint64 bytes;  /* theirs: sum of spoke_message_cost() */
    guint storing;  /* of messages: not on disk yet */
    guint dead;     /* dead letters that stay */
    guint64 dead_bytes;
    guint writes; /* changes the disk hasn't answered yet */
} SpokeShelfTotals;

/* @error NULL: done and on disk. @parcel is valid during the call, even if it has just left;
 * NULL: it left before. */
typedef void (*SpokeShelfFunc)(SpokeParcel *parcel, const GError *error, gpointer user_data);

/* Loads @inbox (blocks) and takes it over, also on error. (transfer full) (nullable) */
SpokeShelf *spoke_shelf_new(SpokeInbox *inbox, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* What is under way ends in CANCELLED. */
void spoke_shelf_free(SpokeShelf *shelf);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpokeShelf, spoke_shelf_free)

/* Heads of lists of SpokeParcel, oldest first; links come and go only on answers of the disk. */
GList *spoke_shelf_peek_alive(SpokeShelf *shelf);
GList *spoke_shelf_peek_dead(SpokeShelf *shelf);
SpokeParcel *spoke_shelf_find(SpokeShelf *shelf, guint64 id); /* (transfer none) (nullable) */
const SpokeShelfTotals *spoke_shelf_get_totals(SpokeShelf *shelf);

/* The same message, still here; NULL without one. Has it been here lately, and what was said of it?
 */
SpokeParcel *spoke_shelf_find_repeated(SpokeShelf *shelf, SpokeDigest digest);
gboolean spoke_shelf_has_had(SpokeShelf *shelf, SpokeDigest digest, SpokeVerdict *ret_verdict);

/* Of all that write, @done (nullable) is called once, never before the call returns. */
SpokeParcel *spoke_shelf_store(SpokeShelf *shelf, SpokeMessage *message, gint64 received_usec,
                               SpokeShelfFunc done, gpointer user_data);
/* Makes room for one more hand-out in the count on disk. Not twice at a time. */
void spoke_shelf_raise_count(SpokeShelf *shelf, SpokeParcel *parcel, SpokeShelfFunc done,
                             gpointer user_data);
/* Each makes @parcel LEAVING at once. */
void spoke_shelf_remove(SpokeShelf *shelf, SpokeParcel *parcel, SpokeShelfFunc done,
                        gpointer user_data);
void spoke_shelf_bury(SpokeShelf *shelf, SpokeParcel *parcel, SpokeDeadReason reason,
                      SpokeShelfFunc done, gpointer user_data);

/* Removes the oldest dead letters beyond the limits; the last one stays whatever its size. @done:
 * for each. */
void spoke_shelf_trim_dead(SpokeShelf *shelf, guint messages_max, guint64 bytes_max,
                           SpokeShelfFunc done, gpointer user_data);
