/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/subscription.h"

#include "daemon/error.h"
#include "daemon/filter.h"

static gboolean
check_limits(const SpokeSubscriptions *subscriptions, const char *owner, GError **error)
{
    guint owned = 0;

    for (GList *link = subscriptions->all.head; link != NULL; link = link->next)
        owned += g_str_equal(((SpokeSubscription *)link->data)->owner, owner);

    if (owned >= SPOKE_SUBSCRIPTIONS_PER_OWNER_MAX) {
        g_set_error(error, SPOKE_ERROR, SPOKE_ERROR_LIMIT_REACHED,
                    "This caller holds %u subscriptions, the limit is %u; Unsubscribe one first",
                    owned, SPOKE_SUBSCRIPTIONS_PER_OWNER_MAX);
        return FALSE;
    }
    if (subscriptions->all.length >= SPOKE_SUBSCRIPTIONS_MAX ||
        subscriptions->last_number == G_MAXUINT32) {
        g_set_error(error, SPOKE_ERROR, SPOKE_ERROR_LIMIT_REACHED,
                    "There are %u subscriptions, the limit for all callers together is %u",
                    subscriptions->all.length, SPOKE_SUBSCRIPTIONS_MAX);
        return FALSE;
    }
    return TRUE;
}

SpokeSubscription *
spoke_subscriptions_add(SpokeSubscriptions *subscriptions, const char *owner,
                        SpokeSubscribeMode mode, GBytes *filter, GError **error)
{
    if (!spoke_filter_check(filter, error) || !check_limits(subscriptions, owner, error))
        return NULL;

    SpokeSubscription *subscription = g_new0(SpokeSubscription, 1);

    subscription->number = ++subscriptions->last_number;
    subscription->owner = g_strdup(owner);
    subscription->mode = mode;
    subscription->filter = filter != NULL ? g_bytes_ref(filter) : NULL;
    g_queue_push_tail(&subscriptions->all, subscription);
    return subscription;
}

static void
free_subscription(gpointer data)
{
    SpokeSubscription *subscription = data;

    g_free(subscription->owner);
    g_clear_pointer(&subscription->filter, g_bytes_unref);
    g_free(subscription);
}

void
spoke_subscriptions_remove(SpokeSubscriptions *subscriptions, SpokeSubscription *subscription)
{
    g_queue_remove(&subscriptions->all, subscription);
    free_subscription(subscription);
}

void
spoke_subscriptions_clear(SpokeSubscriptions *subscriptions)
{
    g_queue_clear_full(&subscriptions->all, free_subscription);
}

SpokeSubscription *
spoke_subscriptions_find(const SpokeSubscriptions *subscriptions, guint32 number)
{
    for (GList *link = subscriptions->all.head; link != NULL; link = link->next) {
        SpokeSubscription *subscription = link->data;

        if (subscription->number == number)
            return subscription;
    }
    return NULL;
}

SpokeSubscription *
spoke_subscriptions_find_owned(const SpokeSubscriptions *subscriptions, const char *owner)
{
    for (GList *link = subscriptions->all.head; link != NULL; link = link->next) {
        SpokeSubscription *subscription = link->data;

        if (g_str_equal(subscription->owner, owner))
            return subscription;
    }
    return NULL;
}

static gboolean
lets_through(const SpokeSubscription *subscription, SpokeSubscribeMode mode,
             const SpokeMessage *message)
{
    return subscription->mode == mode && spoke_filter_matches(subscription->filter, message);
}

gboolean
spoke_subscriptions_have_handler(const SpokeSubscriptions *subscriptions,
                                 const SpokeMessage *message)
{
    for (GList *link = subscriptions->all.head; link != NULL; link = link->next) {
        if (lets_through(link->data, SPOKE_SUBSCRIBE_HANDLE, message))
            return TRUE;
    }
    return FALSE;
}

guint
spoke_subscriptions_get_room(const SpokeSubscriptions *subscriptions, const SpokeMessage *message)
{
    guint room = 0;

    for (GList *link = subscriptions->all.head; link != NULL; link = link->next) {
        SpokeSubscription *subscription = link->data;

        if (!subscription->is_slow && lets_through(subscription, SPOKE_SUBSCRIBE_HANDLE, message))
            room += subscription->credit - subscription->held;
    }
    return room;
}

/* The list is ordered by number, so "after the last one served" needs no place in it, which that
 * one may have left. */
SpokeSubscription *
spoke_subscriptions_pick_handler(SpokeSubscriptions *subscriptions, const SpokeMessage *message,
                                 guint32 avoid)
{
    SpokeSubscription *first = NULL, *after = NULL, *avoided = NULL;

    for (GList *link = subscriptions->all.head; link != NULL && after == NULL; link = link->next) {
        SpokeSubscription *subscription = link->data;

        if (subscription->is_slow || subscription->held >= subscription->credit ||
            !lets_through(subscription, SPOKE_SUBSCRIBE_HANDLE, message))
            continue;
        if (subscription->number == avoid)
            avoided = subscription;
        else if (subscription->number > subscriptions->last_served)
            after = subscription;
        else if (first == NULL)
            first = subscription;
    }

    SpokeSubscription *picked = after != NULL ? after : first != NULL ? first : avoided;

    if (picked != NULL)
        subscriptions->last_served = picked->number;
    return picked;
}

GArray *
spoke_subscriptions_list_observers(const SpokeSubscriptions *subscriptions,
                                   const SpokeMessage *message)
{
    GArray *numbers = g_array_new(FALSE, FALSE, sizeof(guint32));

    for (GList *link = subscriptions->all.head; link != NULL; link = link->next) {
        SpokeSubscription *subscription = link->data;

        if (!subscription->is_slow && lets_through(subscription, SPOKE_SUBSCRIBE_OBSERVE, message))
            g_array_append_val(numbers, subscription->number);
    }
    return numbers;
}
