/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "clients/libspoke/spoke.h"

#include <systemd/sd-bus.h>

/* What the files of libspoke share. It has no GLib inside: a program without GLib can use it. */

#define BUS_NAME          "org.spoked1"
#define MANAGER_PATH      "/org/spoked1"
#define MANAGER_INTERFACE "org.spoked1.Manager"
#define DEVICE_PATH       "/org/spoked1/device"
#define DEVICE_INTERFACE  "org.spoked1.Device"

#define SPOKE_PUBLIC        __attribute__((visibility("default")))
#define SPOKE_AUTO(release) __attribute__((cleanup(release)))

typedef struct SpokeCall SpokeCall;
typedef struct SpokeEarly SpokeEarly;

struct SpokeClient {
    sd_bus *bus;  /* owned */
    char *path;   /* owned; of the device */
    char *owner;  /* owned; unique name of the daemon, NULL while there is none */
    bool stopped; /* spoke_client_stop() was called */
    bool closed;  /* nothing can be started any more */

    SpokeCall *calls;                 /* owned; waiting for their answers */
    unsigned n_notify_calls;          /* those whose messages may be settled before the answer */
    unsigned n_subscribe_calls;       /* those whose messages may come before the answer */
    void *settlements;                /* owned; tree of those awaited, see settlement.c */
    void *frail_settlements;          /* owned; the same of those that end with the daemon */
    SpokeSubscription *subscriptions; /* owned */
    SpokeEarly *early;                /* owned; signals that came before their answer, in order */

    SpokeStatusFunc watch; /* NULL: nobody watches */
    void *watch_data;      /* borrowed */
    sd_bus_slot *changes;  /* owned; match for PropertiesChanged, NULL before the first watch */
    bool reading;          /* the watch's GetAll is under way */
    bool read_again;       /* something changed since */
};

/* Handlers of the device's signals; each checks nothing but the contents. */
int spoke_client_on_settled(SpokeClient *client, sd_bus_message *m);
int spoke_client_on_message(SpokeClient *client, sd_bus_message *m);
/* The daemon came (client->owner) or went (NULL). */
void spoke_client_renew_subscriptions(SpokeClient *client);
void spoke_client_renew_watch(SpokeClient *client);
void spoke_client_drop_subscriptions(SpokeClient *client);

/* Signals that name a thing whose answer is still on its way, kept until that is here. */
int spoke_early_keep(SpokeClient *client, sd_bus_message *m);
void spoke_early_replay(SpokeClient *client);
void spoke_early_clear(SpokeClient *client);

static inline void
unref_message(sd_bus_message **m)
{
    sd_bus_message_unref(*m);
}
