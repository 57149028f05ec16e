/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An application at rest: it sent one message and listens. idle-app BUS-ADDRESS */
#include "clients/libspoke/spoke.h"
#include <stdlib.h>

static void
on_message(SpokeClient *client, const SpokeIncoming *message, void *user_data)
{
}

int
main(int argc, char **argv)
{
    SpokeClient *client = NULL;
    SpokeSubscription *subscription = NULL;
    SpokeOutgoing hello = {SPOKE_OUTGOING_INIT, .body = "hello", .body_size = 5};

    if (argc != 2 || setenv("DBUS_SYSTEM_BUS_ADDRESS", argv[1], 1) < 0 ||
        spoke_client_open(NULL, &client) < 0)
        return 1;
    if (spoke_client_send(client, &hello, NULL, NULL, NULL) < 0 ||
        spoke_client_subscribe(client, NULL, on_message, NULL, NULL, &subscription) < 0)
        return 1;
    return spoke_client_run(client, SPOKE_FOREVER) < 0;
}
