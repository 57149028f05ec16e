/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/parcel.h"

#include "daemon/clock.h"
#include "daemon/properties.h"

static gint64
read_expiry(const SpokeMessage *message)
{
    const char *text = spoke_message_lookup_system(message, SPOKE_PROPERTY_EXPIRY);
    guint64 usec;

    if (text == NULL || !g_ascii_string_to_unsigned(text, 10, 1, G_MAXINT64, &usec, NULL))
        return SPOKE_CLOCK_NEVER;
    return (gint64)usec;
}

SpokeParcel *
spoke_parcel_new(SpokeMessage *message, gint64 received_usec)
{
    SpokeParcel *parcel = g_new0(SpokeParcel, 1);

    parcel->message = spoke_message_ref(message);
    parcel->digest = spoke_digest_of(message);
    parcel->received_usec = received_usec;
    parcel->expiry_usec = read_expiry(message);
    parcel->count = message->delivery_count;
    parcel->link.data = parcel;
    return parcel;
}

void
spoke_parcel_free(SpokeParcel *parcel)
{
    g_return_if_fail(parcel->receiver == NULL && parcel->waiters == NULL);
    g_return_if_fail(parcel->hub_done == NULL);

    spoke_message_unref(parcel->message);
    g_free(parcel->user);
    g_free(parcel);
}

void
spoke_parcel_add_waiter(SpokeParcel *parcel, SpokeInboxFunc done, gpointer user_data)
{
    SpokeParcelWaiter waiter = {done, user_data};

    if (parcel->waiters == NULL)
        parcel->waiters = g_array_new(FALSE, FALSE, sizeof(SpokeParcelWaiter));
    g_array_append_val(parcel->waiters, waiter);
}

void
spoke_parcel_answer_waiters(SpokeParcel *parcel, const GError *error)
{
    g_autoptr(GArray) waiters = g_steal_pointer(&parcel->waiters);

    for (guint i = 0; waiters != NULL && i < waiters->len; i++) {
        SpokeParcelWaiter *waiter = &g_array_index(waiters, SpokeParcelWaiter, i);

        waiter->done(error, waiter->user_data);
    }
}

void
spoke_parcel_hold(SpokeParcel *parcel, SpokeVerdictFunc done, gpointer user_data, gint64 end_usec)
{
    spoke_parcel_end_hold(parcel, SPOKE_VERDICT_RELEASE);
    parcel->hub_done = done;
    parcel->hub_data = user_data;
    parcel->hub_end_usec = end_usec;
}

void
spoke_parcel_end_hold(SpokeParcel *parcel, SpokeVerdict verdict)
{
    SpokeVerdictFunc done = parcel->hub_done;

    parcel->hub_done = NULL;
    if (done != NULL)
        done(verdict, parcel->hub_data);
}

SpokeDelivered
spoke_parcel_describe(const SpokeParcel *parcel)
{
    return (SpokeDelivered){
        .message = parcel->message,
        .received_usec = parcel->received_usec,
        .delivery_count = parcel->count,
        .subscription = parcel->subscription,
        .mode = SPOKE_SUBSCRIBE_HANDLE,
        .lock_msec = parcel->lock_msec,
        .dead = parcel->dead,
    };
}
