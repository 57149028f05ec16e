/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clients/libspoke/call.h"

#include "clients/libspoke/failure.h"

#include <errno.h>
#include <stdlib.h>

/* A call is in client->calls from its start until the moment before it is answered. */

static void
unlink_call(SpokeCall *call)
{
    SpokeClient *client = call->client;

    *call->previous = call->next;
    if (call->next != NULL)
        call->next->previous = call->previous;
    if (call->settled != NULL)
        client->n_notify_calls--;
    if (call->subscription != NULL)
        client->n_subscribe_calls--;
}

static void
link_call(SpokeClient *client, SpokeCall *call)
{
    call->client = client;
    call->next = client->calls;
    call->previous = &client->calls;
    if (call->next != NULL)
        call->next->previous = &call->next;
    client->calls = call;
    if (call->settled != NULL)
        client->n_notify_calls++;
    if (call->subscription != NULL)
        client->n_subscribe_calls++;
}

/* New calls are put in front. */
static SpokeCall *
find_oldest(const SpokeClient *client)
{
    SpokeCall *call = client->calls;

    while (call->next != NULL)
        call = call->next;
    return call;
}

static void
finish_call(SpokeCall *call, sd_bus_message *reply, const SpokeFailure *failure)
{
    unlink_call(call);
    call->answer(call, reply, failure);
    sd_bus_slot_unref(call->slot);
    free(call);
}

static int
on_reply(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
    SpokeCall *call = userdata;
    SpokeClient *client = call->client;
    const sd_bus_error *error = sd_bus_message_get_error(m);

    if (error != NULL) {
        SpokeFailure failure = spoke_failure_from_bus(error);

        finish_call(call, NULL, &failure);
    } else {
        finish_call(call, m, NULL);
    }
    spoke_early_replay(client);
    return 1;
}

int
spoke_call_new_message(SpokeClient *client, const char *path, const char *interface,
                       const char *member, sd_bus_message **ret_m)
{
    return sd_bus_message_new_method_call(client->bus, ret_m, BUS_NAME, path, interface, member);
}

int
spoke_call_start(SpokeClient *client, sd_bus_message *m, uint64_t timeout_usec,
                 const SpokeCall *template)
{
    if (client->closed)
        return -ENOTCONN;

    SpokeCall *call = malloc(sizeof *call);
    if (call == NULL)
        return -ENOMEM;
    *call = *template;

    int r = sd_bus_call_async(client->bus, &call->slot, m, on_reply, call, timeout_usec);
    if (r < 0) {
        free(call);
        return r;
    }
    link_call(client, call);
    return 0;
}

void
spoke_call_cancel_all(SpokeClient *client, const SpokeFailure *failure)
{
    while (client->calls != NULL)
        finish_call(find_oldest(client), NULL, failure);
}

void
spoke_call_answer_done(SpokeCall *call, sd_bus_message *reply, const SpokeFailure *failure)
{
    if (call->callback.done != NULL)
        call->callback.done(call->client, failure, call->user_data);
}

uint64_t
spoke_call_timeout(uint64_t wait_msec)
{
    /* sd-bus adds it to the time, which must not overflow either. */
    if (wait_msec > (UINT64_MAX / 4 - SPOKE_CALL_GRACE_USEC) / 1000)
        return UINT64_MAX;
    return wait_msec * 1000 + SPOKE_CALL_GRACE_USEC;
}
