/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clients/libspoke/settlement.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

/*
 * Binary trees by number: many thousands may be awaited, and the hub settles them in any order.
 * Those of messages on disk outlive a restart of the daemon, which keeps its numbers and knows the
 * sender by the connection that is still ours. Those of messages that the daemon may have had in
 * memory alone are in a tree of their own, which ends with the daemon: nobody else would end them.
 */
typedef struct {
    uint64_t id;
    SpokeSettledFunc settled;
    void *user_data;
} Settlement;

static const char *const outcomes[] = {
    [SPOKE_OUTCOME_ACCEPTED] = "accepted", [SPOKE_OUTCOME_REJECTED] = "rejected",
    [SPOKE_OUTCOME_EXPIRED] = "expired",   [SPOKE_OUTCOME_DROPPED] = "dropped",
    [SPOKE_OUTCOME_UNKNOWN] = "unknown",
};

static int
compare(const void *a, const void *b)
{
    const Settlement *x = a;
    const Settlement *y = b;

    return x->id < y->id ? -1 : x->id > y->id;
}

static SpokeOutcome
parse_outcome(const char *text)
{
    for (size_t i = 0; i < sizeof outcomes / sizeof outcomes[0]; i++)
        if (strcmp(outcomes[i], text) == 0)
            return i;
    return SPOKE_OUTCOME_UNKNOWN;
}

static Settlement *
take(void **tree, uint64_t id)
{
    Settlement key = {.id = id};
    Settlement **node = tfind(&key, tree, compare);
    if (node == NULL)
        return NULL;

    Settlement *settlement = *node;
    tdelete(&key, tree, compare);
    return settlement;
}

static void
finish(SpokeClient *client, Settlement *settlement, SpokeOutcome outcome, const char *detail)
{
    settlement->settled(client, settlement->id, outcome, detail, settlement->user_data);
    free(settlement);
}

int
spoke_client_on_settled(SpokeClient *client, sd_bus_message *m)
{
    uint64_t id = 0;
    const char *outcome = NULL;
    const char *detail = NULL;

    int r = sd_bus_message_read(m, "tss", &id, &outcome, &detail);
    if (r < 0)
        return r;

    Settlement *settlement = take(&client->settlements, id);
    if (settlement == NULL)
        settlement = take(&client->frail_settlements, id);
    if (settlement != NULL)
        finish(client, settlement, parse_outcome(outcome), detail);
    else if (client->n_notify_calls > 0)
        return spoke_early_keep(client, m);
    return 0;
}

int
spoke_settlement_await(SpokeClient *client, uint64_t id, SpokeDurability durability,
                       SpokeSettledFunc settled, void *user_data)
{
    void **tree =
        durability == SPOKE_DURABILITY_SYNCED ? &client->settlements : &client->frail_settlements;
    Settlement *settlement = malloc(sizeof *settlement);
    if (settlement == NULL)
        return -ENOMEM;
    *settlement = (Settlement){.id = id, .settled = settled, .user_data = user_data};

    Settlement **node = tsearch(settlement, tree, compare);
    if (node != NULL && *node == settlement)
        return 0;
    free(settlement);
    return node == NULL ? -ENOMEM : -EEXIST;
}

static void
end(SpokeClient *client, void **tree, const char *detail)
{
    while (*tree != NULL) {
        Settlement *root = *(Settlement **)*tree;

        finish(client, take(tree, root->id), SPOKE_OUTCOME_UNKNOWN, detail);
    }
}

void
spoke_settlement_end_frail(SpokeClient *client)
{
    end(client, &client->frail_settlements,
        "The daemon ended, and may not have had the message on disk");
}

void
spoke_settlement_end_all(SpokeClient *client)
{
    end(client, &client->frail_settlements, "");
    end(client, &client->settlements, "");
}

SPOKE_PUBLIC const char *
spoke_outcome_to_string(SpokeOutcome outcome)
{
    if ((size_t)outcome >= sizeof outcomes / sizeof outcomes[0])
        return outcomes[SPOKE_OUTCOME_UNKNOWN];
    return outcomes[outcome];
}
