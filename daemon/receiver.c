/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/receiver.h"

#include "daemon/clock.h"
#include "daemon/filter.h"

SpokeReceiver *
spoke_receiver_new(const char *owner, const char *user, GBytes *filter)
{
    SpokeReceiver *receiver = g_new0(SpokeReceiver, 1);

    receiver->owner = g_strdup(owner);
    receiver->user = g_strdup(user);
    receiver->filter = filter != NULL ? g_bytes_ref(filter) : NULL;
    return receiver;
}

void
spoke_receiver_answer(SpokeReceiver *receiver, const SpokeDelivered *delivered, const GError *error)
{
    receiver->done(delivered, error, receiver->user_data);

    g_free(receiver->owner);
    g_free(receiver->user);
    g_clear_pointer(&receiver->filter, g_bytes_unref);
    g_free(receiver);
}

void
spoke_receiver_refuse(SpokeReceiver *receiver, SpokeError code, const char *text)
{
    g_autoptr(GError) error = g_error_new_literal(SPOKE_ERROR, (gint)code, text);

    spoke_receiver_answer(receiver, NULL, error);
}

static GList *
find_for(const SpokeReceivers *receivers, const SpokeMessage *message, gboolean dead_letter)
{
    for (GList *link = receivers->head; link != NULL; link = link->next) {
        SpokeReceiver *receiver = link->data;

        if (receiver->dead_letter == dead_letter && spoke_filter_matches(receiver->filter, message))
            return link;
    }
    return NULL;
}

static SpokeReceiver *
take(SpokeReceivers *receivers, GList *link)
{
    if (link == NULL)
        return NULL;

    SpokeReceiver *receiver = link->data;

    g_queue_delete_link(receivers, link);
    return receiver;
}

gboolean
spoke_receivers_want(const SpokeReceivers *receivers, const SpokeMessage *message,
                     gboolean dead_letter)
{
    return find_for(receivers, message, dead_letter) != NULL;
}

SpokeReceiver *
spoke_receivers_take_for(SpokeReceivers *receivers, const SpokeMessage *message,
                         gboolean dead_letter)
{
    return take(receivers, find_for(receivers, message, dead_letter));
}

SpokeReceiver *
spoke_receivers_take_overdue(SpokeReceivers *receivers, gint64 now_usec)
{
    for (GList *link = receivers->head; link != NULL; link = link->next) {
        SpokeReceiver *receiver = link->data;

        if (receiver->deadline_usec <= now_usec)
            return take(receivers, link);
    }
    return NULL;
}

SpokeReceiver *
spoke_receivers_take_owned(SpokeReceivers *receivers, const char *owner)
{
    for (GList *link = receivers->head; link != NULL; link = link->next) {
        SpokeReceiver *receiver = link->data;

        if (g_str_equal(receiver->owner, owner))
            return take(receivers, link);
    }
    return NULL;
}

gint64
spoke_receivers_get_deadline(const SpokeReceivers *receivers)
{
    gint64 nearest = SPOKE_CLOCK_NEVER;

    for (GList *link = receivers->head; link != NULL; link = link->next) {
        SpokeReceiver *receiver = link->data;

        nearest = MIN(nearest, receiver->deadline_usec);
    }
    return nearest;
}
