/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <spoke.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * The smallest useful device on libspoke: it sends a temperature, waits until the hub has it, and
 * then prints messages from the cloud until it is interrupted.
 *
 *     cc thermometer.c $(pkg-config --cflags --libs libspoke) -o thermometer
 *
 * The emulator sends one so: iothub-emulator ctl send DEVICE "open the window"
 */

static void
on_sent(SpokeClient *client, const uint64_t *ids, size_t n, const SpokeFailure *failure,
        void *user_data)
{
    if (failure != NULL)
        fprintf(stderr, "Not accepted: %s\n", failure->text);
    else
        printf("Message %" PRIu64 " is safe on this machine\n", ids[0]);
}

static void
on_settled(SpokeClient *client, uint64_t id, SpokeOutcome outcome, const char *detail,
           void *user_data)
{
    printf("Message %" PRIu64 ": the hub says %s\n", id, spoke_outcome_to_string(outcome));
}

static int
send_temperature(SpokeClient *client, const char *celsius)
{
    const SpokeProperty properties[] = {{"sensor", "attic"}};
    const SpokeOutgoing message = {
        SPOKE_OUTGOING_INIT,      .body = celsius,   .body_size = strlen(celsius),
        .properties = properties, .n_properties = 1, .content_type = "text/plain",
    };

    return spoke_client_send(client, &message, on_sent, on_settled, NULL);
}

static void
on_completed(SpokeClient *client, const SpokeFailure *failure, void *user_data)
{
    if (failure != NULL)
        fprintf(stderr, "The message may come again: %s\n", failure->text);
}

static void
on_message(SpokeClient *client, const SpokeIncoming *message, void *user_data)
{
    printf("The cloud says: %s\n", (const char *)message->body);
    (void)spoke_client_settle(client, message->id, SPOKE_VERDICT_COMPLETE, on_completed, NULL);
}

static void
on_subscribed(SpokeClient *client, const SpokeFailure *failure, void *user_data)
{
    if (failure != NULL)
        fprintf(stderr, "No messages for now: %s\n", failure->text);
    else
        printf("Waiting for messages\n");
}

static int
run(SpokeClient *client)
{
    const SpokeSubscribeOptions options = {SPOKE_SUBSCRIBE_OPTIONS_INIT, .mode = SPOKE_MODE_HANDLE};

    int r = send_temperature(client, "21.5");
    if (r < 0)
        return r;
    /* Ends when the message is settled: there is nothing else to wait for yet. */
    r = spoke_client_run(client, SPOKE_FOREVER);
    if (r < 0)
        return r;

    r = spoke_client_subscribe(client, &options, on_message, on_subscribed, NULL, NULL);
    if (r < 0)
        return r;
    return spoke_client_run(client, SPOKE_FOREVER);
}

int
main(void)
{
    SpokeClient *client = NULL;

    setvbuf(stdout, NULL, _IOLBF, 0);
    int r = spoke_client_open(NULL, &client);
    if (r >= 0)
        r = run(client);
    if (r < 0)
        fprintf(stderr, "%s\n", strerror(-r));
    spoke_client_free(client);
    return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
