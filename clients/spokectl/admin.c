/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clients/spokectl/json.h"
#include "clients/spokectl/verbs.h"

#include <stdio.h>

/* The daemon as a whole: devices and reload. */

static void
print_device(SpokeCtl *ctl, const char *name)
{
    if (!ctl->json) {
        (void)puts(name);
        return;
    }
    JsonBuilder *builder = spoke_json_begin();
    spoke_json_add_string(builder, "name", name);
    g_autofree char *line = spoke_json_end(builder);
    (void)puts(line);
}

static void
on_devices(SpokeClient *client, const char *const *names, size_t n, const SpokeFailure *failure,
           void *user_data)
{
    SpokeCtl *ctl = user_data;

    if (failure != NULL) {
        spoke_ctl_fail(ctl, failure);
        return;
    }
    for (size_t i = 0; i < n; i++)
        print_device(ctl, names[i]);
    spoke_ctl_end(ctl, SPOKE_EXIT_OK);
}

static SpokeExit
run_devices(SpokeCtl *ctl, int argc, char **argv)
{
    if (!spoke_ctl_parse(ctl, NULL, 0, &argc, &argv))
        return SPOKE_EXIT_USAGE;
    if (!spoke_ctl_open(ctl))
        return ctl->exit_code;
    return spoke_ctl_run(ctl, spoke_client_list_devices(ctl->client, on_devices, ctl));
}

static void
on_reloaded(SpokeClient *client, const SpokeFailure *failure, void *user_data)
{
    SpokeCtl *ctl = user_data;

    if (failure != NULL)
        spoke_ctl_fail(ctl, failure);
    else
        spoke_ctl_end(ctl, SPOKE_EXIT_OK);
}

static SpokeExit
run_reload(SpokeCtl *ctl, int argc, char **argv)
{
    if (!spoke_ctl_parse(ctl, NULL, 0, &argc, &argv))
        return SPOKE_EXIT_USAGE;
    if (!spoke_ctl_open(ctl))
        return ctl->exit_code;
    return spoke_ctl_run(ctl, spoke_client_reload(ctl->client, on_reloaded, ctl));
}

const SpokeVerb spoke_verb_devices = {
    .name = "devices",
    .arguments = "",
    .summary = "List the identities this machine speaks for",
    .description = "",
    .run = run_devices,
};

const SpokeVerb spoke_verb_reload = {
    .name = "reload",
    .arguments = "",
    .summary = "Make spoked read its configuration again",
    .description =
        "A faulty configuration is reported with file, line and key, and changes nothing.\n"
        "For root.",
    .run = run_reload,
};
