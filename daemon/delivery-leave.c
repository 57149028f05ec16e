/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/delivery-private.h"
#include "daemon/error.h"

/*
 * How a message leaves: its holder, back to those that wait; the disk; the living, for the dead
 * letters. If the disk fails it waits as before, and whoever asked hears of it.
 */

/* Who hears that a message has left; at most one of the two. */
typedef struct {
    SpokeDelivery *delivery; /* borrowed, outlives us */
    SpokeInboxFunc done;     /* nullable */
    gpointer user_data;
    SpokeReceiver *receiver; /* owned; nullable */
} Leaver;

void
spoke_delivery_let_go(SpokeDelivery *self, SpokeParcel *parcel)
{
    SpokeSubscription *holder =
        spoke_subscriptions_find(&self->subscriptions, parcel->subscription);

    if (holder != NULL)
        holder->held--;
    parcel->last_held = parcel->subscription;
    parcel->subscription = 0;
    parcel->lock_msec = 0;
    g_clear_pointer(&parcel->user, g_free);
    parcel->state = SPOKE_PARCEL_WAITING;
    spoke_delivery_ask_for_run(self);
}

/* CANCELLED says that nobody will know: the removal may still be written. Rather twice than never:
 * the message goes to the receiver. */
static void
answer_receiver(SpokeReceiver *receiver, const SpokeParcel *parcel, const GError *error)
{
    SpokeDelivered delivered = spoke_parcel_describe(parcel);

    if (parcel->dead == SPOKE_DEAD_NOT)
        delivered.delivery_count++;
    if (error == NULL || g_error_matches(error, SPOKE_ERROR, SPOKE_ERROR_CANCELLED))
        spoke_receiver_answer(receiver, &delivered, NULL);
    else
        spoke_receiver_answer(receiver, NULL, error);
}

static void
on_left(SpokeParcel *parcel, const GError *error, gpointer user_data)
{
    g_autofree Leaver *leaver = user_data;

    spoke_delivery_note_storage(leaver->delivery, error);
    if (error == NULL)
        spoke_parcel_end_hold(parcel, parcel->hub_verdict);
    else
        parcel->hub_verdict = SPOKE_VERDICT_ACCEPT;
    if (leaver->receiver != NULL)
        answer_receiver(leaver->receiver, parcel, error);
    else if (leaver->done != NULL)
        leaver->done(error, leaver->user_data);
}

static void
on_trimmed(SpokeParcel *parcel, const GError *error, gpointer user_data)
{
    spoke_delivery_note_storage(user_data, error);
}

void
spoke_delivery_trim_dead(SpokeDelivery *self)
{
    spoke_shelf_trim_dead(self->shelf, self->options.dead_letters_max, self->options.bytes_max,
                          on_trimmed, self);
}

static void
on_buried(SpokeParcel *parcel, const GError *error, gpointer user_data)
{
    SpokeDelivery *self = ((Leaver *)user_data)->delivery;

    if (error == NULL) {
        spoke_delivery_trim_dead(self);
        self->events.dead_letter(parcel->message->id, parcel->dead, parcel->count, self->user_data);
    }
    on_left(parcel, error, user_data);
}

static Leaver *
leaver_new(SpokeDelivery *self, SpokeInboxFunc done, gpointer user_data)
{
    Leaver *leaver = g_new0(Leaver, 1);

    leaver->delivery = self;
    leaver->done = done;
    leaver->user_data = user_data;
    return leaver;
}

void
spoke_delivery_remove(SpokeDelivery *self, SpokeParcel *parcel, SpokeInboxFunc done,
                      gpointer user_data)
{
    spoke_shelf_remove(self->shelf, parcel, on_left, leaver_new(self, done, user_data));
}

void
spoke_delivery_give_back(SpokeDelivery *self, SpokeParcel *parcel, SpokeVerdict verdict,
                         SpokeInboxFunc done, gpointer user_data)
{
    parcel->hub_verdict = verdict;
    spoke_delivery_remove(self, parcel, done, user_data);
}

void
spoke_delivery_remove_for(SpokeDelivery *self, SpokeParcel *parcel, SpokeReceiver *receiver)
{
    Leaver *leaver = leaver_new(self, NULL, NULL);

    leaver->receiver = receiver;
    spoke_shelf_remove(self->shelf, parcel, on_left, leaver);
}

void
spoke_delivery_bury(SpokeDelivery *self, SpokeParcel *parcel, SpokeDeadReason reason,
                    SpokeInboxFunc done, gpointer user_data)
{
    spoke_shelf_bury(self->shelf, parcel, reason, on_buried, leaver_new(self, done, user_data));
}
