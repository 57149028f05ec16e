/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/*
 * How anything crosses from a thread to the main loop: letters dropped from any thread are
 * handed to one function on the main context, in order, as many at a time as have gathered. One
 * wake-up serves a burst, which is what makes 30,000 acknowledgements a second cheap.
 */
typedef struct SpokeMailbox SpokeMailbox;

/* Runs on the main context. @letters are @n pointers, the receiver's to free. */
typedef void (*SpokeMailboxFunc)(gpointer *letters, guint n, gpointer user_data);

/**
 * spoke_mailbox_new:
 * @context: (nullable): main context to deliver on, NULL for the default one
 * @free_letter: frees a letter that never was delivered
 *
 * Returns: (transfer full): free with spoke_mailbox_free() on the main context, after the threads
 * that drop letters have ended; what is undelivered then is freed, not delivered
 */
SpokeMailbox *spoke_mailbox_new(GMainContext *context, SpokeMailboxFunc deliver, gpointer user_data,
                                GDestroyNotify free_letter);
void spoke_mailbox_free(SpokeMailbox *mailbox);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpokeMailbox, spoke_mailbox_free)

/* From any thread. @letter: (transfer full) */
void spoke_mailbox_drop(SpokeMailbox *mailbox, gpointer letter);
