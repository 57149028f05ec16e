/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clients/libspoke/call.h"
#include "clients/libspoke/failure.h"
#include "clients/libspoke/settlement.h"
#include "clients/libspoke/wire.h"

#include <errno.h>

/* Telemetry: structs to bus messages, and the numbers that come back. */

static const char *const durabilities[] = {
    [SPOKE_DURABILITY_SYNCED] = "synced",
    [SPOKE_DURABILITY_FLUSHED] = "flushed",
    [SPOKE_DURABILITY_VOLATILE] = "volatile",
};

/* What would cost us the connection to the bus; the daemon checks all the rest. */
static int
check_message(const SpokeOutgoing *message, size_t *size)
{
    if (message->struct_size != sizeof *message ||
        (message->body == NULL && message->body_size > 0))
        return -EINVAL;
    if ((size_t)message->durability >= sizeof durabilities / sizeof durabilities[0])
        return -EINVAL;
    if (message->body_size > SPOKE_BODY_BYTES_MAX)
        return -EMSGSIZE;

    *size += message->body_size;
    return spoke_wire_check_properties(message->properties, message->n_properties, size);
}

static int
append_number(sd_bus_message *m, const char *key, uint64_t value)
{
    return value == 0 ? 0 : sd_bus_message_append(m, "{sv}", key, "t", value);
}

static int
append_options(sd_bus_message *m, const SpokeOutgoing *message, bool notify)
{
    const char *durability =
        message->durability == SPOKE_DURABILITY_SYNCED ? NULL : durabilities[message->durability];
    int r = sd_bus_message_open_container(m, 'a', "{sv}");

    r = r < 0 ? r : spoke_wire_append_text(m, "message-id", message->message_id);
    r = r < 0 ? r : spoke_wire_append_text(m, "correlation-id", message->correlation_id);
    r = r < 0 ? r : spoke_wire_append_text(m, "user-id", message->user_id);
    r = r < 0 ? r : spoke_wire_append_text(m, "content-type", message->content_type);
    r = r < 0 ? r : spoke_wire_append_text(m, "content-encoding", message->content_encoding);
    r = r < 0 ? r : append_number(m, "creation-time", message->creation_time_usec);
    r = r < 0 ? r : append_number(m, "expiry", message->expiry_usec);
    r = r < 0 ? r : append_number(m, "ttl", message->ttl_msec);
    r = r < 0 ? r : spoke_wire_append_text(m, "priority", message->urgent ? "urgent" : NULL);
    r = r < 0 ? r : spoke_wire_append_text(m, "durability", durability);
    if (r >= 0 && notify)
        r = sd_bus_message_append(m, "{sv}", "notify", "b", 1);
    return r < 0 ? r : sd_bus_message_close_container(m);
}

static int
append_message(sd_bus_message *m, const SpokeOutgoing *message, bool notify)
{
    int r = sd_bus_message_append_array(m, 'y', message->body, message->body_size);
    if (r < 0)
        return r;
    r = spoke_wire_append_properties(m, message->properties, message->n_properties);
    if (r < 0)
        return r;
    return append_options(m, message, notify);
}

static int
append_batch(sd_bus_message *m, const SpokeOutgoing *messages, size_t n, bool notify)
{
    int r = sd_bus_message_open_container(m, 'a', "(aya{ss}a{sv})");

    for (size_t i = 0; i < n && r >= 0; i++) {
        r = sd_bus_message_open_container(m, 'r', "aya{ss}a{sv}");
        r = r < 0 ? r : append_message(m, &messages[i], notify);
        r = r < 0 ? r : sd_bus_message_close_container(m);
    }
    return r < 0 ? r : sd_bus_message_close_container(m);
}

static void
note_durabilities(SpokeCall *call, const SpokeOutgoing *messages, size_t n)
{
    for (size_t i = 0; i < n; i++)
        call->durabilities[i / 4] |= (uint8_t)(messages[i].durability << i % 4 * 2);
}

static SpokeDurability
get_durability(const SpokeCall *call, size_t i)
{
    return (SpokeDurability)(call->durabilities[i / 4] >> i % 4 * 2 & 3);
}

static void
answer_sent(SpokeCall *call, const uint64_t *ids, size_t n)
{
    if (call->callback.sent != NULL)
        call->callback.sent(call->client, ids, n, NULL, call->user_data);
    if (call->settled == NULL)
        return;
    for (size_t i = 0; i < n; i++)
        if (spoke_settlement_await(call->client, ids[i], get_durability(call, i), call->settled,
                                   call->user_data) < 0)
            call->settled(call->client, ids[i], SPOKE_OUTCOME_UNKNOWN, "", call->user_data);
}

static void
fail_sent(SpokeCall *call, const SpokeFailure *failure)
{
    if (call->callback.sent != NULL)
        call->callback.sent(call->client, NULL, 0, failure, call->user_data);
}

static void
on_sent(SpokeCall *call, sd_bus_message *reply, const SpokeFailure *failure)
{
    uint64_t id = 0;

    if (failure != NULL)
        fail_sent(call, failure);
    else if (sd_bus_message_read(reply, "t", &id) < 0)
        fail_sent(call, &spoke_failure_bad_answer);
    else
        answer_sent(call, &id, 1);
}

static void
on_batch_sent(SpokeCall *call, sd_bus_message *reply, const SpokeFailure *failure)
{
    const void *ids = NULL;
    size_t size = 0;

    if (failure != NULL)
        fail_sent(call, failure);
    else if (sd_bus_message_read_array(reply, 't', &ids, &size) < 0 ||
             size != call->n * sizeof(uint64_t))
        fail_sent(call, &spoke_failure_bad_answer);
    else
        answer_sent(call, ids, call->n);
}

static void
on_flushed(SpokeCall *call, sd_bus_message *reply, const SpokeFailure *failure)
{
    uint64_t remaining = 0;

    if (failure == NULL && sd_bus_message_read(reply, "t", &remaining) < 0)
        failure = &spoke_failure_bad_answer;
    if (call->callback.flushed != NULL)
        call->callback.flushed(call->client, remaining, failure, call->user_data);
}

SPOKE_PUBLIC int
spoke_client_send(SpokeClient *client, const SpokeOutgoing *message, SpokeSentFunc sent,
                  SpokeSettledFunc settled, void *user_data)
{
    SPOKE_AUTO(unref_message) sd_bus_message *m = NULL;
    size_t size = 0;

    int r = check_message(message, &size);
    if (r < 0)
        return r;
    if (size > SPOKE_BATCH_BYTES_MAX)
        return -EMSGSIZE;
    r = spoke_call_new_message(client, client->path, DEVICE_INTERFACE, "Send", &m);
    if (r < 0)
        return r;
    r = append_message(m, message, settled != NULL);
    if (r < 0)
        return r;
    SpokeCall call = {
        .answer = on_sent, .callback.sent = sent, .settled = settled, .user_data = user_data};
    note_durabilities(&call, message, 1);
    return spoke_call_start(client, m, 0, &call);
}

SPOKE_PUBLIC int
spoke_client_send_batch(SpokeClient *client, const SpokeOutgoing *messages, size_t n,
                        SpokeSentFunc sent, SpokeSettledFunc settled, void *user_data)
{
    SPOKE_AUTO(unref_message) sd_bus_message *m = NULL;
    size_t size = 0;

    if (n < 1 || n > SPOKE_BATCH_MESSAGES_MAX)
        return -EINVAL;
    for (size_t i = 0; i < n; i++) {
        int r = check_message(&messages[i], &size);
        if (r < 0)
            return r;
    }
    if (size > SPOKE_BATCH_BYTES_MAX)
        return -EMSGSIZE;

    int r = spoke_call_new_message(client, client->path, DEVICE_INTERFACE, "SendBatch", &m);
    if (r < 0)
        return r;
    r = append_batch(m, messages, n, settled != NULL);
    if (r < 0)
        return r;
    SpokeCall call = {.answer = on_batch_sent,
                      .callback.sent = sent,
                      .n = n,
                      .settled = settled,
                      .user_data = user_data};
    note_durabilities(&call, messages, n);
    return spoke_call_start(client, m, 0, &call);
}

SPOKE_PUBLIC int
spoke_client_flush(SpokeClient *client, uint64_t timeout_msec, SpokeFlushedFunc flushed,
                   void *user_data)
{
    SPOKE_AUTO(unref_message) sd_bus_message *m = NULL;

    int r = spoke_call_new_message(client, client->path, DEVICE_INTERFACE, "Flush", &m);
    if (r < 0)
        return r;
    r = sd_bus_message_append(m, "t", timeout_msec);
    if (r < 0)
        return r;
    return spoke_call_start(
        client, m, spoke_call_timeout(timeout_msec),
        &(SpokeCall){.answer = on_flushed, .callback.flushed = flushed, .user_data = user_data});
}
