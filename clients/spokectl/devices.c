/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clients/spokectl/device-table.h"
#include "clients/spokectl/fleet.h"
#include "clients/spokectl/json.h"
#include "clients/spokectl/terminal.h"
#include "clients/spokectl/verbs.h"

#include <stdio.h>

typedef struct {
    SpokeCtl *ctl;           /* borrowed */
    SpokeDeviceTable *table; /* owned */
} Devices;

static void
on_device(const SpokeStatus *status, gpointer user_data)
{
    Devices *devices = user_data;

    if (!devices->ctl->json) {
        spoke_device_table_add(devices->table, status);
        return;
    }
    g_autofree char *line = spoke_json_status(status);
    (void)puts(line);
}

static void
on_done(const SpokeFailure *failure, gpointer user_data)
{
    Devices *devices = user_data;
    SpokeCtl *ctl = devices->ctl;

    if (failure != NULL) {
        spoke_ctl_fail(ctl, failure);
        return;
    }
    if (!ctl->json) {
        gsize width = spoke_terminal_is_live(stdout) ? (gsize)spoke_terminal_get_width(stdout) : 0;
        g_autofree char *text = spoke_device_table_format(devices->table, width);
        (void)fputs(text, stdout);
    }
    spoke_ctl_end(ctl, SPOKE_EXIT_OK);
}

static SpokeExit
show_all(SpokeCtl *ctl)
{
    static const SpokeFleetFuncs funcs = {.device = on_device, .done = on_done};
    g_autoptr(SpokeDeviceTable) table = spoke_device_table_new();
    Devices devices = {.ctl = ctl, .table = table};
    SpokeExit exit_code = spoke_ctl_run(ctl, spoke_fleet_read(ctl->client, &funcs, &devices));

    spoke_ctl_clear(ctl); /* while the devices are there for its last callbacks */
    return exit_code;
}

static void
print_name(SpokeCtl *ctl, const char *name)
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
on_names(SpokeClient *client, const char *const *names, size_t n, const SpokeFailure *failure,
         void *user_data)
{
    SpokeCtl *ctl = user_data;

    if (failure != NULL) {
        spoke_ctl_fail(ctl, failure);
        return;
    }
    for (size_t i = 0; i < n; i++)
        print_name(ctl, names[i]);
    spoke_ctl_end(ctl, SPOKE_EXIT_OK);
}

static SpokeExit
run_devices(SpokeCtl *ctl, int argc, char **argv)
{
    gboolean names = FALSE;
    const GOptionEntry entries[] = {
        {"names", 'n', 0, G_OPTION_ARG_NONE, &names, "Names alone, one a line", NULL},
        {NULL},
    };

    if (!spoke_ctl_parse(ctl, entries, 0, &argc, &argv))
        return SPOKE_EXIT_USAGE;
    if (!spoke_ctl_open(ctl))
        return ctl->exit_code;
    if (!names)
        return show_all(ctl);
    return spoke_ctl_run(ctl, spoke_client_list_devices(ctl->client, on_names, ctl));
}

const SpokeVerb spoke_verb_devices = {
    .name = "devices",
    .arguments = "",
    .summary = "List the identities this machine speaks for, and how they are",
    .description = "",
    .run = run_devices,
};
