/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/spool.h"

/*
 * C2D messages of one identity that the daemon has taken over from the hub: rows in the spool,
 * nothing more. Who gets a message and when is delivery.h. The inbox is small (the hub's own
 * queue holds 50 messages of 64 KB), so delivery keeps it in memory as well.
 */
typedef struct SpokeInbox SpokeInbox;

typedef enum {
    SPOKE_DEAD_NOT, /* alive */
    SPOKE_DEAD_REJECTED,
    SPOKE_DEAD_EXPIRED,
    SPOKE_DEAD_DELIVERY_COUNT,
} SpokeDeadReason;

/* Called by _load() for each row in order of arrival. @message: (transfer none), its id set. */
typedef void (*SpokeInboxRowFunc)(SpokeMessage *message, gint64 received_usec, guint delivery_count,
                                  SpokeDeadReason dead, gpointer user_data);
/* @error NULL: it is on disk. */
typedef void (*SpokeInboxFunc)(const GError *error, gpointer user_data);

SpokeInbox *spoke_inbox_open(SpokeSpool *spool, const char *name,
                             GError **error) G_GNUC_WARN_UNUSED_RESULT;
void spoke_inbox_free(SpokeInbox *inbox); /* pending callbacks end in SPOKE_ERROR_CANCELLED */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpokeInbox, spoke_inbox_free)

/* Blocks (start-up). */
gboolean spoke_inbox_load(SpokeInbox *inbox, SpokeInboxRowFunc row, gpointer user_data,
                          GError **error);

/* Stores a message and gives it its id at once; @done once it is on disk, or with QUEUE_FULL or
 * STORAGE_FAILED, and then it isn't there. @received_usec: wall clock. */
void spoke_inbox_put(SpokeInbox *inbox, SpokeMessage *message, gint64 received_usec,
                     SpokeInboxFunc done, gpointer user_data);

/* Changes a row; @done (nullable) once that is on disk. */
void spoke_inbox_update(SpokeInbox *inbox, guint64 id, guint delivery_count, SpokeDeadReason dead,
                        SpokeInboxFunc done, gpointer user_data);
void spoke_inbox_remove(SpokeInbox *inbox, guint64 id, SpokeInboxFunc done, gpointer user_data);
