/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clients/libspoke/call.h"
#include "clients/libspoke/failure.h"
#include "clients/libspoke/settlement.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/*
 * A client's life and its loop. Three matches on the bus are all it needs: the daemon's coming and
 * going, and the two signals of its device. Any program may send us a signal that looks like the
 * daemon's, so each is taken from the owner of the daemon's name alone.
 */

static uint64_t
now_usec(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* Takes over @owner. */
static void
set_owner(SpokeClient *client, char *owner)
{
    free(client->owner);
    client->owner = owner;
    if (owner == NULL)
        spoke_settlement_end_frail(client);
    spoke_client_renew_subscriptions(client);
    spoke_client_renew_watch(client);
}

static void
change_owner(SpokeClient *client, const char *owner)
{
    if (client->owner != NULL && strcmp(client->owner, owner) == 0)
        return;
    if (client->owner == NULL && owner[0] == '\0')
        return;
    /* A daemon that hands the name over directly is gone for us all the same. */
    if (client->owner != NULL && owner[0] != '\0')
        set_owner(client, NULL);
    set_owner(client, owner[0] != '\0' ? strdup(owner) : NULL);
}

static int
on_owner_changed(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
    const char *name = NULL;
    const char *owner = NULL;

    int r = sd_bus_message_read(m, "sss", &name, NULL, &owner);
    if (r < 0)
        return r;

    if (strcmp(name, BUS_NAME) == 0)
        change_owner(userdata, owner);
    return 0;
}

static void
on_owner_known(SpokeCall *call, sd_bus_message *reply, const SpokeFailure *failure)
{
    const char *owner = NULL;

    /* A failure says that there is none yet. */
    if (failure == NULL && sd_bus_message_read(reply, "s", &owner) >= 0)
        change_owner(call->client, owner);
}

static bool
is_from_daemon(SpokeClient *client, sd_bus_message *m)
{
    const char *sender = sd_bus_message_get_sender(m);

    return client->owner != NULL && sender != NULL && strcmp(client->owner, sender) == 0;
}

static int
on_settled(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
    return is_from_daemon(userdata, m) ? spoke_client_on_settled(userdata, m) : 0;
}

static int
on_message(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
    return is_from_daemon(userdata, m) ? spoke_client_on_message(userdata, m) : 0;
}

static int
ask_owner(SpokeClient *client)
{
    SPOKE_AUTO(unref_message) sd_bus_message *m = NULL;

    int r = sd_bus_add_match_async(client->bus, NULL,
                                   "type='signal',sender='org.freedesktop.DBus',"
                                   "path='/org/freedesktop/DBus',"
                                   "interface='org.freedesktop.DBus',"
                                   "member='NameOwnerChanged',arg0='" BUS_NAME "'",
                                   on_owner_changed, NULL, client);
    if (r < 0)
        return r;

    r = sd_bus_message_new_method_call(client->bus, &m, "org.freedesktop.DBus",
                                       "/org/freedesktop/DBus", "org.freedesktop.DBus",
                                       "GetNameOwner");
    if (r < 0)
        return r;
    r = sd_bus_message_append(m, "s", BUS_NAME);
    if (r < 0)
        return r;
    return spoke_call_start(client, m, 0, &(SpokeCall){.answer = on_owner_known});
}

static int
connect_bus(SpokeClient *client)
{
    int r = sd_bus_open_system_with_description(&client->bus, "libspoke");
    if (r < 0)
        return r;

    r = ask_owner(client);
    if (r < 0)
        return r;
    r = sd_bus_match_signal_async(client->bus, NULL, BUS_NAME, client->path, DEVICE_INTERFACE,
                                  "Settled", on_settled, NULL, client);
    if (r < 0)
        return r;
    return sd_bus_match_signal_async(client->bus, NULL, BUS_NAME, client->path, DEVICE_INTERFACE,
                                     "MessageReceived", on_message, NULL, client);
}

/* The bus is gone: whatever was to come from it never will. */
static void
close_client(SpokeClient *client, const SpokeFailure *failure)
{
    if (client->closed)
        return;
    client->closed = true;
    client->watch = NULL;
    spoke_call_cancel_all(client, failure);
    spoke_settlement_end_all(client);
    spoke_early_clear(client);
}

static bool
is_idle(const SpokeClient *client)
{
    return client->calls == NULL && client->settlements == NULL &&
           client->frail_settlements == NULL && client->subscriptions == NULL &&
           client->watch == NULL;
}

SPOKE_PUBLIC int
spoke_client_open(const char *device, SpokeClient **ret_client)
{
    if (device == NULL)
        device = "self";
    if (device[0] == '\0' || ret_client == NULL)
        return -EINVAL;

    SpokeClient *client = calloc(1, sizeof *client);
    if (client == NULL)
        return -ENOMEM;

    int r = sd_bus_path_encode(DEVICE_PATH, device, &client->path);
    if (r >= 0)
        r = connect_bus(client);
    if (r < 0) {
        spoke_client_free(client);
        return r;
    }
    *ret_client = client;
    return 0;
}

SPOKE_PUBLIC void
spoke_client_free(SpokeClient *client)
{
    if (client == NULL)
        return;
    close_client(client, &spoke_failure_cancelled);
    spoke_client_drop_subscriptions(client);
    sd_bus_slot_unref(client->changes);
    /* Verdicts that nobody waits for are still to go out. Before the greeting there are none, and
     * it would be waited for. */
    if (sd_bus_is_ready(client->bus) > 0)
        (void)sd_bus_flush(client->bus);
    sd_bus_close_unref(client->bus);
    free(client->owner);
    free(client->path);
    free(client);
}

SPOKE_PUBLIC int
spoke_client_get_fd(SpokeClient *client)
{
    return sd_bus_get_fd(client->bus);
}

SPOKE_PUBLIC int
spoke_client_get_events(SpokeClient *client)
{
    return sd_bus_get_events(client->bus);
}

SPOKE_PUBLIC int
spoke_client_get_timeout(SpokeClient *client, uint64_t *ret_usec)
{
    int r = sd_bus_get_timeout(client->bus, ret_usec);
    return r < 0 ? r : 0;
}

SPOKE_PUBLIC int
spoke_client_process(SpokeClient *client)
{
    if (client->closed)
        return -ENOTCONN;

    int r = sd_bus_process(client->bus, NULL);
    if (r >= 0 && sd_bus_is_open(client->bus) <= 0)
        r = -ENOTCONN;
    if (r < 0) {
        close_client(client, &spoke_failure_disconnected);
        return -ENOTCONN;
    }
    return r;
}

SPOKE_PUBLIC int
spoke_client_run(SpokeClient *client, uint64_t timeout_msec)
{
    uint64_t start = now_usec();
    uint64_t end =
        timeout_msec > (UINT64_MAX - start) / 1000 ? UINT64_MAX : start + timeout_msec * 1000;

    for (;;) {
        int r = spoke_client_process(client);
        if (r < 0)
            return r;
        if (client->stopped || is_idle(client)) {
            client->stopped = false;
            return 0;
        }
        if (r > 0)
            continue;

        uint64_t now = now_usec();
        if (now >= end)
            return -ETIMEDOUT;
        r = sd_bus_wait(client->bus, end == UINT64_MAX ? UINT64_MAX : end - now);
        if (r < 0)
            return r;
    }
}

SPOKE_PUBLIC void
spoke_client_stop(SpokeClient *client)
{
    client->stopped = true;
}
