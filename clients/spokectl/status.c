/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clients/spokectl/duration.h"
#include "clients/spokectl/json.h"
#include "clients/spokectl/status-text.h"
#include "clients/spokectl/verbs.h"

#include <stdio.h>

static void
on_status(SpokeClient *client, const SpokeStatus *status, const SpokeFailure *failure,
          void *user_data)
{
    SpokeCtl *ctl = user_data;

    if (failure != NULL) {
        spoke_ctl_fail(ctl, failure);
        return;
    }
    g_autofree char *text =
        ctl->json ? spoke_json_status(status) : spoke_status_format(status, g_get_real_time());
    (void)fputs(text, stdout);
    if (ctl->json)
        (void)putchar('\n');
    spoke_ctl_end(ctl, SPOKE_EXIT_OK);
}

static SpokeExit
run_status(SpokeCtl *ctl, int argc, char **argv)
{
    if (!spoke_ctl_parse(ctl, NULL, 0, &argc, &argv))
        return SPOKE_EXIT_USAGE;
    if (!spoke_ctl_open(ctl))
        return ctl->exit_code;
    return spoke_ctl_run(ctl, spoke_client_get_status(ctl->client, on_status, ctl));
}

const SpokeVerb spoke_verb_status = {
    .name = "status",
    .arguments = "",
    .summary = "Show identity, connection and queue, and what is wrong",
    .description = "",
    .run = run_status,
};
