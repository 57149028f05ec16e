/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/mailbox.h"

#include <pthread.h>

/*
 * A GSource without a descriptor: dropping the first letter into an empty box sets its ready time
 * to now, which wakes the main loop once; later letters only join the pile. The lock is pthread's
 * and not GMutex, whose futex calls thread sanitizers can't see through.
 */
struct SpokeMailbox {
    GSource *source; /* owned */
    SpokeMailboxFunc deliver;
    gpointer user_data;
    GDestroyNotify free_letter;

    pthread_mutex_t lock; /* guards letters */
    GPtrArray *letters;   /* owned */
};

typedef struct {
    GSource source;
    SpokeMailbox *mailbox; /* borrowed, destroys the source before it goes */
} MailboxSource;

static GPtrArray *
take_letters(SpokeMailbox *mailbox)
{
    GPtrArray *fresh = g_ptr_array_new();

    pthread_mutex_lock(&mailbox->lock);
    GPtrArray *letters = mailbox->letters;
    mailbox->letters = fresh;
    pthread_mutex_unlock(&mailbox->lock);
    return letters;
}

static gboolean
dispatch(GSource *source, GSourceFunc callback, gpointer user_data)
{
    SpokeMailbox *mailbox = ((MailboxSource *)source)->mailbox;

    /* In this order: a letter dropped between the two is taken now and wakes us once in vain. */
    g_source_set_ready_time(source, -1);
    g_autoptr(GPtrArray) letters = take_letters(mailbox);
    if (letters->len > 0)
        mailbox->deliver(letters->pdata, letters->len, mailbox->user_data); /* may free the box */
    return G_SOURCE_CONTINUE;
}

static GSourceFuncs source_funcs = {.dispatch = dispatch};

SpokeMailbox *
spoke_mailbox_new(GMainContext *context, SpokeMailboxFunc deliver, gpointer user_data,
                  GDestroyNotify free_letter)
{
    SpokeMailbox *mailbox = g_new0(SpokeMailbox, 1);

    mailbox->deliver = deliver;
    mailbox->user_data = user_data;
    mailbox->free_letter = free_letter;
    mailbox->letters = g_ptr_array_new();
    pthread_mutex_init(&mailbox->lock, NULL);
    mailbox->source = g_source_new(&source_funcs, sizeof(MailboxSource));
    ((MailboxSource *)mailbox->source)->mailbox = mailbox;
    g_source_set_static_name(mailbox->source, "spoke-mailbox");
    g_source_attach(mailbox->source, context);
    return mailbox;
}

void
spoke_mailbox_free(SpokeMailbox *mailbox)
{
    if (mailbox == NULL)
        return;

    g_source_destroy(mailbox->source);
    g_source_unref(mailbox->source);
    g_ptr_array_set_free_func(mailbox->letters, mailbox->free_letter);
    g_ptr_array_unref(mailbox->letters);
    pthread_mutex_destroy(&mailbox->lock);
    g_free(mailbox);
}

void
spoke_mailbox_drop(SpokeMailbox *mailbox, gpointer letter)
{
    pthread_mutex_lock(&mailbox->lock);
    gboolean was_empty = mailbox->letters->len == 0;
    g_ptr_array_add(mailbox->letters, letter);
    pthread_mutex_unlock(&mailbox->lock);

    if (was_empty)
        g_source_set_ready_time(mailbox->source, 0);
}
