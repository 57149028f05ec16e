/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clients/libspoke/call.h"
#include "clients/libspoke/failure.h"
#include "clients/libspoke/wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * The device's properties as one struct. The watch takes PropertiesChanged as a hint only and reads
 * them all: one read at a time, one more if something changed meanwhile, so that a burst of changes
 * costs two.
 */

#define FIELD(key, signature, member)                                                              \
    {                                                                                              \
        key, signature, offsetof(SpokeStatus, member)                                              \
    }

static const SpokeField status_fields[] = {
    FIELD("Name", "s", name),
    FIELD("DeviceId", "s", device_id),
    FIELD("ModuleId", "s", module_id),
    FIELD("Hub", "s", hub),
    FIELD("State", "s", state),
    FIELD("Transport", "s", transport),
    FIELD("Capabilities", "as", capabilities),
    FIELD("LastError", "(ss)", last_error_name), /* and last_error_text */
    FIELD("ConnectedSince", "t", connected_since_usec),
    FIELD("NextAttempt", "t", next_attempt_usec),
    FIELD("TokenExpiry", "t", token_expiry_usec),
    FIELD("ReceivePaused", "b", receive_paused),
    FIELD("QueuedMessages", "t", queued_messages),
    FIELD("QueuedBytes", "t", queued_bytes),
    FIELD("QueueBytesMax", "t", queue_bytes_max),
    FIELD("InFlightMessages", "t", in_flight_messages),
    FIELD("WaitingMessages", "t", waiting_messages),
    FIELD("DeadLetters", "t", dead_letters),
    FIELD("SentMessages", "t", sent_messages),
    FIELD("ReceivedMessages", "t", received_messages),
    FIELD("CertificateExpiry", "t", certificate_expiry_usec),
};

_Static_assert(offsetof(SpokeStatus, last_error_text) ==
                   offsetof(SpokeStatus, last_error_name) + sizeof(char *),
               "LastError fills both");

static const char *const no_capabilities[] = {NULL};

static void
free_strings(char ***strings)
{
    for (char **s = *strings; s != NULL && *s != NULL; s++)
        free(*s);
    free(*strings);
}

static void
free_text(char **text)
{
    free(*text);
}

/* @status: its capabilities are to be freed whatever comes of it. */
static int
read_status(sd_bus_message *reply, SpokeStatus *status)
{
    *status = (SpokeStatus){
        .name = "",
        .device_id = "",
        .module_id = "",
        .hub = "",
        .state = "",
        .transport = "",
        .last_error_name = "",
        .last_error_text = "",
    };

    return spoke_wire_read_fields(reply, status_fields,
                                  sizeof status_fields / sizeof status_fields[0], status);
}

static void
report_status(SpokeClient *client, sd_bus_message *reply, const SpokeFailure *failure,
              SpokeStatusFunc callback, void *user_data)
{
    SpokeStatus status = {0};

    if (failure == NULL && read_status(reply, &status) < 0)
        failure = &spoke_failure_bad_answer;
    SPOKE_AUTO(free_strings) char **capabilities = (char **)status.capabilities;
    if (capabilities == NULL)
        status.capabilities = no_capabilities;
    if (callback != NULL)
        callback(client, failure == NULL ? &status : NULL, failure, user_data);
}

static void
on_status(SpokeCall *call, sd_bus_message *reply, const SpokeFailure *failure)
{
    report_status(call->client, reply, failure, call->callback.status, call->user_data);
}

/* @path: of a device */
static int
ask_properties(SpokeClient *client, const char *path, const SpokeCall *call)
{
    SPOKE_AUTO(unref_message) sd_bus_message *m = NULL;

    int r = spoke_call_new_message(client, path, "org.freedesktop.DBus.Properties", "GetAll", &m);
    if (r < 0)
        return r;
    r = sd_bus_message_append(m, "s", DEVICE_INTERFACE);
    if (r < 0)
        return r;
    return spoke_call_start(client, m, 0, call);
}

static void read_for_watch(SpokeClient *client);

static void
on_watched(SpokeCall *call, sd_bus_message *reply, const SpokeFailure *failure)
{
    SpokeClient *client = call->client;

    client->reading = false;
    if (client->read_again)
        read_for_watch(client);
    else
        report_status(client, reply, failure, client->watch, client->watch_data);
}

static void
read_for_watch(SpokeClient *client)
{
    client->read_again = client->reading;
    if (client->reading)
        return;
    client->reading = ask_properties(client, client->path, &(SpokeCall){.answer = on_watched}) >= 0;
}

static int
on_changed(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
    SpokeClient *client = userdata;
    const char *sender = sd_bus_message_get_sender(m);
    const char *interface = NULL;

    if (client->watch == NULL || client->owner == NULL || sender == NULL ||
        strcmp(client->owner, sender) != 0)
        return 0;
    int r = sd_bus_message_read(m, "s", &interface);
    if (r >= 0 && strcmp(interface, DEVICE_INTERFACE) == 0)
        read_for_watch(client);
    return r;
}

void
spoke_client_renew_watch(SpokeClient *client)
{
    static const SpokeFailure gone = {
        .error = -EHOSTUNREACH,
        .name = "org.freedesktop.DBus.Error.ServiceUnknown",
        .text = "spoked has left the bus",
    };

    if (client->watch == NULL)
        return;
    if (client->owner != NULL)
        read_for_watch(client);
    else
        client->watch(client, NULL, &gone, client->watch_data);
}

SPOKE_PUBLIC int
spoke_client_get_status(SpokeClient *client, SpokeStatusFunc status, void *user_data)
{
    return ask_properties(
        client, client->path,
        &(SpokeCall){.answer = on_status, .callback.status = status, .user_data = user_data});
}

SPOKE_PUBLIC int
spoke_client_get_device_status(SpokeClient *client, const char *device, SpokeStatusFunc status,
                               void *user_data)
{
    SPOKE_AUTO(free_text) char *path = NULL;

    if (device == NULL || device[0] == '\0')
        return -EINVAL;

    int r = sd_bus_path_encode(DEVICE_PATH, device, &path);
    if (r < 0)
        return r;
    return ask_properties(
        client, path,
        &(SpokeCall){.answer = on_status, .callback.status = status, .user_data = user_data});
}

SPOKE_PUBLIC int
spoke_client_watch(SpokeClient *client, SpokeStatusFunc changed, void *user_data)
{
    if (client->closed)
        return -ENOTCONN;
    if (changed != NULL && client->changes == NULL) {
        int r = sd_bus_match_signal_async(client->bus, &client->changes, BUS_NAME, client->path,
                                          "org.freedesktop.DBus.Properties", "PropertiesChanged",
                                          on_changed, NULL, client);
        if (r < 0)
            return r;
    }
    client->watch = changed;
    client->watch_data = user_data;
    if (changed != NULL)
        read_for_watch(client);
    return 0;
}
