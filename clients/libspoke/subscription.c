/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clients/libspoke/call.h"
#include "clients/libspoke/failure.h"
#include "clients/libspoke/incoming.h"
#include "clients/libspoke/wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * A subscription has a number while the daemon knows it, and keeps what it needs to ask anew. It
 * asks once when it is made, which may start the daemon, and then whenever a daemon appears.
 */
struct SpokeSubscription {
    SpokeSubscription *next;
    SpokeMode mode;
    SpokeProperty *filter; /* owned, with its strings */
    size_t n_filter;
    uint64_t lock_msec;
    uint32_t credit;

    SpokeIncomingFunc incoming;
    SpokeDoneFunc subscribed;
    void *user_data;   /* borrowed */
    SpokeCall *asking; /* borrowed; Subscribe under way, or NULL */
    uint32_t number;   /* 0: not subscribed */
};

static void
free_subscription(SpokeSubscription *subscription)
{
    for (size_t i = 0; i < subscription->n_filter; i++) {
        free((char *)subscription->filter[i].name);
        free((char *)subscription->filter[i].value);
    }
    free(subscription->filter);
    free(subscription);
}

static int
copy_filter(SpokeSubscription *subscription, const SpokeProperty *filter, size_t n)
{
    subscription->filter = calloc(n, sizeof *filter);
    if (subscription->filter == NULL && n > 0)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        SpokeProperty *copy = &subscription->filter[subscription->n_filter++];

        copy->name = strdup(filter[i].name);
        copy->value = strdup(filter[i].value);
        if (copy->name == NULL || copy->value == NULL)
            return -ENOMEM;
    }
    return 0;
}

static int
append_subscribe_options(sd_bus_message *m, const SpokeSubscription *subscription)
{
    const char *mode = subscription->mode == SPOKE_MODE_HANDLE ? "handle" : "observe";

    int r = sd_bus_message_open_container(m, 'a', "{sv}");
    if (r >= 0)
        r = sd_bus_message_append(m, "{sv}", "mode", "s", mode);
    if (r >= 0 && subscription->n_filter > 0)
        r = spoke_wire_append_filter(m, subscription->filter, subscription->n_filter);
    if (r >= 0 && subscription->lock_msec != 0)
        r = sd_bus_message_append(m, "{sv}", "lock", "t", subscription->lock_msec);
    if (r >= 0 && subscription->credit != 0)
        r = sd_bus_message_append(m, "{sv}", "credit", "u", subscription->credit);
    return r < 0 ? r : sd_bus_message_close_container(m);
}

static void
end_number(SpokeClient *client, uint32_t number)
{
    SPOKE_AUTO(unref_message) sd_bus_message *m = NULL;

    int r = spoke_call_new_message(client, client->path, DEVICE_INTERFACE, "Unsubscribe", &m);
    if (r >= 0)
        r = sd_bus_message_append(m, "u", number);
    /* If that fails, so has the connection, and the daemon forgets us anyway. */
    if (r >= 0)
        (void)spoke_call_start(client, m, 0, &(SpokeCall){.answer = spoke_call_answer_done});
}

static void
on_subscribed(SpokeCall *call, sd_bus_message *reply, const SpokeFailure *failure)
{
    SpokeSubscription *subscription = call->subscription;
    uint32_t number = 0;

    if (failure == NULL && sd_bus_message_read(reply, "u", &number) < 0)
        failure = &spoke_failure_bad_answer;
    if (subscription == NULL) {
        if (failure == NULL)
            end_number(call->client, number);
        return;
    }

    subscription->asking = NULL;
    subscription->number = number;
    if (subscription->subscribed != NULL)
        subscription->subscribed(call->client, failure, subscription->user_data);
}

static int
ask(SpokeClient *client, SpokeSubscription *subscription)
{
    SPOKE_AUTO(unref_message) sd_bus_message *m = NULL;

    int r = spoke_call_new_message(client, client->path, DEVICE_INTERFACE, "Subscribe", &m);
    if (r < 0)
        return r;
    r = append_subscribe_options(m, subscription);
    if (r < 0)
        return r;
    r = spoke_call_start(client, m, 0,
                         &(SpokeCall){.answer = on_subscribed, .subscription = subscription});
    if (r < 0)
        return r;
    subscription->asking = client->calls;
    return 0;
}

void
spoke_client_renew_subscriptions(SpokeClient *client)
{
    for (SpokeSubscription *s = client->subscriptions; s != NULL; s = s->next) {
        s->number = 0;
        /* A call under way is the one that started the daemon, or ends with the old one. */
        if (client->owner != NULL && s->asking == NULL)
            (void)ask(client, s);
    }
}

static SpokeSubscription *
find_number(SpokeClient *client, uint32_t number)
{
    for (SpokeSubscription *s = client->subscriptions; s != NULL; s = s->next)
        if (s->number == number)
            return s;
    return NULL;
}

int
spoke_client_on_message(SpokeClient *client, sd_bus_message *m)
{
    SPOKE_AUTO(spoke_arrival_clear) SpokeArrival arrival = {0};

    int r = spoke_arrival_read(m, &arrival);
    if (r < 0)
        return r;

    SpokeSubscription *subscription =
        arrival.subscription != 0 ? find_number(client, arrival.subscription) : NULL;
    if (subscription != NULL)
        subscription->incoming(client, &arrival.message, subscription->user_data);
    else if (client->n_subscribe_calls > 0)
        return spoke_early_keep(client, m);
    return 0;
}

static void
unlink_subscription(SpokeClient *client, SpokeSubscription *subscription)
{
    SpokeSubscription **link = &client->subscriptions;

    while (*link != NULL && *link != subscription)
        link = &(*link)->next;
    if (*link != NULL)
        *link = subscription->next;
    if (subscription->asking != NULL) {
        subscription->asking->subscription = NULL;
        client->n_subscribe_calls--;
    }
}

void
spoke_client_drop_subscriptions(SpokeClient *client)
{
    while (client->subscriptions != NULL) {
        SpokeSubscription *subscription = client->subscriptions;

        unlink_subscription(client, subscription);
        free_subscription(subscription);
    }
}

static int
make_subscription(SpokeClient *client, const SpokeSubscribeOptions *options,
                  SpokeSubscription *subscription)
{
    subscription->mode = options->mode;
    subscription->lock_msec = options->lock_msec;
    subscription->credit = options->credit;
    int r = copy_filter(subscription, options->filter, options->n_filter);
    return r < 0 ? r : ask(client, subscription);
}

SPOKE_PUBLIC int
spoke_client_subscribe(SpokeClient *client, const SpokeSubscribeOptions *options,
                       SpokeIncomingFunc incoming, SpokeDoneFunc subscribed, void *user_data,
                       SpokeSubscription **ret_subscription)
{
    static const SpokeSubscribeOptions defaults = {SPOKE_SUBSCRIBE_OPTIONS_INIT};
    size_t size = 0;

    if (options == NULL)
        options = &defaults;
    if (options->struct_size != sizeof *options || incoming == NULL)
        return -EINVAL;
    int r = spoke_wire_check_properties(options->filter, options->n_filter, &size);
    if (r < 0)
        return r;

    SpokeSubscription *subscription = calloc(1, sizeof *subscription);
    if (subscription == NULL)
        return -ENOMEM;
    subscription->incoming = incoming;
    subscription->subscribed = subscribed;
    subscription->user_data = user_data;
    r = make_subscription(client, options, subscription);
    if (r < 0) {
        free_subscription(subscription);
        return r;
    }

    subscription->next = client->subscriptions;
    client->subscriptions = subscription;
    if (ret_subscription != NULL)
        *ret_subscription = subscription;
    return 0;
}

SPOKE_PUBLIC void
spoke_client_unsubscribe(SpokeClient *client, SpokeSubscription *subscription)
{
    if (subscription == NULL)
        return;
    unlink_subscription(client, subscription);
    if (subscription->number != 0)
        end_number(client, subscription->number);
    free_subscription(subscription);
}
