/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clients/libspoke/incoming.h"

#include "clients/libspoke/call.h"
#include "clients/libspoke/failure.h"
#include "clients/libspoke/wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Single messages from the hub: reading one, asking for one, settling one. */

#define FIELD(key, signature, member)                                                              \
    {                                                                                              \
        key, signature, offsetof(SpokeArrival, member)                                             \
    }

static const SpokeField system_fields[] = {
    FIELD("message-id", "s", message.message_id),
    FIELD("correlation-id", "s", message.correlation_id),
    FIELD("user-id", "s", message.user_id),
    FIELD("to", "s", message.to),
    FIELD("content-type", "s", message.content_type),
    FIELD("content-encoding", "s", message.content_encoding),
    FIELD("ack", "s", message.ack),
    FIELD("dead-letter", "s", message.dead_letter),
    FIELD("creation-time", "t", message.creation_time_usec),
    FIELD("expiry", "t", message.expiry_usec),
    FIELD("received-time", "t", message.received_time_usec),
    FIELD("delivery-count", "u", message.delivery_count),
    FIELD("lock", "t", message.lock_msec),
    FIELD("mode", "s", mode),
    FIELD("subscription", "u", subscription),
};

static int
read_body(sd_bus_message *m, SpokeArrival *arrival)
{
    const void *body = NULL;
    size_t size = 0;

    int r = sd_bus_message_read_array(m, 'y', &body, &size);
    if (r < 0)
        return r;

    arrival->body = malloc(size + 1);
    if (arrival->body == NULL)
        return -ENOMEM;
    if (size > 0)
        memcpy(arrival->body, body, size);
    arrival->body[size] = '\0';
    arrival->message.body = arrival->body;
    arrival->message.body_size = size;
    return 0;
}

static int
read_arrival(sd_bus_message *m, SpokeArrival *arrival)
{
    int r = sd_bus_message_read(m, "s", &arrival->message.id);
    if (r < 0)
        return r;
    r = read_body(m, arrival);
    if (r < 0)
        return r;
    r = spoke_wire_read_properties(m, &arrival->properties, &arrival->message.n_properties);
    if (r < 0)
        return r;
    arrival->message.properties = arrival->properties;
    return spoke_wire_read_fields(m, system_fields, sizeof system_fields / sizeof system_fields[0],
                                  arrival);
}

int
spoke_arrival_read(sd_bus_message *m, SpokeArrival *ret_arrival)
{
    SpokeArrival arrival = {0};

    int r = read_arrival(m, &arrival);
    if (r < 0) {
        spoke_arrival_clear(&arrival);
        return r;
    }
    if (arrival.mode != NULL && strcmp(arrival.mode, "handle") == 0)
        arrival.message.mode = SPOKE_MODE_HANDLE;
    *ret_arrival = arrival;
    return 0;
}

void
spoke_arrival_clear(SpokeArrival *arrival)
{
    free(arrival->properties);
    free(arrival->body);
}

static int
append_receive_options(sd_bus_message *m, const SpokeReceiveOptions *options)
{
    int r = sd_bus_message_open_container(m, 'a', "{sv}");

    if (r >= 0 && options->n_filter > 0)
        r = spoke_wire_append_filter(m, options->filter, options->n_filter);
    if (r >= 0 && options->lock_msec != 0)
        r = sd_bus_message_append(m, "{sv}", "lock", "t", options->lock_msec);
    if (r >= 0 && options->dead_letter)
        r = sd_bus_message_append(m, "{sv}", "dead-letter", "b", 1);
    return r < 0 ? r : sd_bus_message_close_container(m);
}

static void
on_received(SpokeCall *call, sd_bus_message *reply, const SpokeFailure *failure)
{
    SPOKE_AUTO(spoke_arrival_clear) SpokeArrival arrival = {0};

    if (failure == NULL && spoke_arrival_read(reply, &arrival) < 0)
        failure = &spoke_failure_bad_answer;
    if (call->callback.received != NULL)
        call->callback.received(call->client, failure == NULL ? &arrival.message : NULL, failure,
                                call->user_data);
}

SPOKE_PUBLIC int
spoke_client_receive(SpokeClient *client, const SpokeReceiveOptions *options, uint64_t timeout_msec,
                     SpokeReceivedFunc received, void *user_data)
{
    static const SpokeReceiveOptions defaults = {SPOKE_RECEIVE_OPTIONS_INIT};
    SPOKE_AUTO(unref_message) sd_bus_message *m = NULL;
    size_t size = 0;

    if (options == NULL)
        options = &defaults;
    if (options->struct_size != sizeof *options)
        return -EINVAL;
    int r = spoke_wire_check_properties(options->filter, options->n_filter, &size);
    if (r < 0)
        return r;

    r = spoke_call_new_message(client, client->path, DEVICE_INTERFACE, "Receive", &m);
    if (r < 0)
        return r;
    r = sd_bus_message_append(m, "t", timeout_msec);
    if (r < 0)
        return r;
    r = append_receive_options(m, options);
    if (r < 0)
        return r;
    return spoke_call_start(
        client, m, spoke_call_timeout(timeout_msec),
        &(SpokeCall){.answer = on_received, .callback.received = received, .user_data = user_data});
}

SPOKE_PUBLIC int
spoke_client_check_now(SpokeClient *client, SpokeDoneFunc done, void *user_data)
{
    SPOKE_AUTO(unref_message) sd_bus_message *m = NULL;

    int r = spoke_call_new_message(client, client->path, DEVICE_INTERFACE, "CheckNow", &m);
    if (r < 0)
        return r;
    return spoke_call_start(client, m, 0,
                            &(SpokeCall){.answer = spoke_call_answer_done,
                                         .callback.done = done,
                                         .user_data = user_data});
}

SPOKE_PUBLIC int
spoke_client_settle(SpokeClient *client, const char *id, SpokeVerdict verdict, SpokeDoneFunc done,
                    void *user_data)
{
    static const char *const members[] = {
        [SPOKE_VERDICT_COMPLETE] = "Complete",
        [SPOKE_VERDICT_ABANDON] = "Abandon",
        [SPOKE_VERDICT_REJECT] = "Reject",
    };
    SPOKE_AUTO(unref_message) sd_bus_message *m = NULL;

    if (id == NULL || (size_t)verdict >= sizeof members / sizeof members[0])
        return -EINVAL;

    int r = spoke_call_new_message(client, client->path, DEVICE_INTERFACE, members[verdict], &m);
    if (r < 0)
        return r;
    r = spoke_wire_text_result(sd_bus_message_append(m, "s", id));
    if (r < 0)
        return r;
    return spoke_call_start(client, m, 0,
                            &(SpokeCall){.answer = spoke_call_answer_done,
                                         .callback.done = done,
                                         .user_data = user_data});
}
