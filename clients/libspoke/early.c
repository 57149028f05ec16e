/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clients/libspoke/client.h"

#include <errno.h>
#include <stdlib.h>

/*
 * A settlement may overtake the answer that tells the message's number, and a first message the
 * answer that tells the subscription's. Such signals wait here until the answer is there. The
 * handlers keep a signal again if it is still too early, and drop it when nothing is awaited.
 */
struct SpokeEarly {
    SpokeEarly *next;
    sd_bus_message *m; /* owned */
};

static void
dispatch(SpokeClient *client, sd_bus_message *m)
{
    if (sd_bus_message_rewind(m, true) < 0)
        return;
    if (sd_bus_message_is_signal(m, DEVICE_INTERFACE, "Settled") > 0)
        (void)spoke_client_on_settled(client, m);
    else
        (void)spoke_client_on_message(client, m);
}

int
spoke_early_keep(SpokeClient *client, sd_bus_message *m)
{
    SpokeEarly *early = malloc(sizeof *early);
    if (early == NULL)
        return -ENOMEM;
    *early = (SpokeEarly){.m = sd_bus_message_ref(m)};

    SpokeEarly **end = &client->early;
    while (*end != NULL)
        end = &(*end)->next;
    *end = early;
    return 0;
}

void
spoke_early_replay(SpokeClient *client)
{
    SpokeEarly *early = client->early;

    client->early = NULL;
    while (early != NULL) {
        SpokeEarly *next = early->next;

        dispatch(client, early->m);
        sd_bus_message_unref(early->m);
        free(early);
        early = next;
    }
}

void
spoke_early_clear(SpokeClient *client)
{
    while (client->early != NULL) {
        SpokeEarly *early = client->early;

        client->early = early->next;
        sd_bus_message_unref(early->m);
        free(early);
    }
}
