/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clients/spokectl/device-table.h"
#include "clients/spokectl/fleet.h"
#include "clients/spokectl/json.h"
#include "clients/spokectl/status-text.h"
#include "clients/spokectl/verbs.h"

#include <stdio.h>

/* One device in full; unless one was asked for, a line for all others. */
typedef struct {
    SpokeCtl *ctl;            /* borrowed */
    SpokeDeviceTable *others; /* owned */
} Overview;

static void
print_status(SpokeCtl *ctl, const SpokeStatus *status)
{
    g_autofree char *text =
        ctl->json ? spoke_json_status(status) : spoke_status_format(status, g_get_real_time());

    (void)fputs(text, stdout);
    if (ctl->json)
        (void)putchar('\n');
}

static void
on_status(SpokeClient *client, const SpokeStatus *status, const SpokeFailure *failure,
          void *user_data)
{
    SpokeCtl *ctl = user_data;

    if (failure != NULL) {
        spoke_ctl_fail(ctl, failure);
        return;
    }
    print_status(ctl, status);
    spoke_ctl_end(ctl, SPOKE_EXIT_OK);
}

static void
on_device(const SpokeStatus *status, gpointer user_data)
{
    Overview *overview = user_data;

    if (g_str_equal(status->name, "self"))
        print_status(overview->ctl, status);
    else
        spoke_device_table_add(overview->others, status);
}

static void
on_done(const SpokeFailure *failure, gpointer user_data)
{
    Overview *overview = user_data;

    if (failure != NULL) {
        spoke_ctl_fail(overview->ctl, failure);
        return;
    }
    g_autofree char *summary = spoke_device_table_summarise(overview->others);
    if (summary != NULL)
        (void)fputs(summary, stdout);
    spoke_ctl_end(overview->ctl, SPOKE_EXIT_OK);
}

static SpokeExit
show_overview(SpokeCtl *ctl)
{
    static const SpokeFleetFuncs funcs = {.device = on_device, .done = on_done};
    g_autoptr(SpokeDeviceTable) others = spoke_device_table_new();
    Overview overview = {.ctl = ctl, .others = others};
    SpokeExit exit_code = spoke_ctl_run(ctl, spoke_fleet_read(ctl->client, &funcs, &overview));

    spoke_ctl_clear(ctl); /* while the overview is there for its last callbacks */
    return exit_code;
}

static SpokeExit
run_status(SpokeCtl *ctl, int argc, char **argv)
{
    if (!spoke_ctl_parse(ctl, NULL, 0, &argc, &argv))
        return SPOKE_EXIT_USAGE;
    if (!spoke_ctl_open(ctl))
        return ctl->exit_code;
    if (ctl->device == NULL && !ctl->json)
        return show_overview(ctl);
    return spoke_ctl_run(ctl, spoke_client_get_status(ctl->client, on_status, ctl));
}

const SpokeVerb spoke_verb_status = {
    .name = "status",
    .arguments = "",
    .summary = "Show identity, connection and queue, and what is wrong",
    .description = "Without --device, a last line sums up the other devices, if there are any.",
    .run = run_status,
};
