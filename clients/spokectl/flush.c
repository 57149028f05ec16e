/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clients/spokectl/json.h"
#include "clients/spokectl/verbs.h"

#include <stdio.h>

/* The daemon is asked piece by piece: one call for ever would tell nobody that it hangs. */
#define SLICE_MSEC 60000

typedef struct {
    SpokeCtl *ctl; /* borrowed */
    guint64 left_msec;
} Flush;

static void on_flushed(SpokeClient *client, uint64_t remaining, const SpokeFailure *failure,
                       void *user_data);

static int
ask(Flush *flush)
{
    guint64 slice = MIN(flush->left_msec, SLICE_MSEC);

    if (flush->left_msec != SPOKE_FOREVER)
        flush->left_msec -= slice;
    return spoke_client_flush(flush->ctl->client, slice, on_flushed, flush);
}

static void
print_remaining(SpokeCtl *ctl, guint64 remaining)
{
    if (ctl->json) {
        JsonBuilder *builder = spoke_json_begin();
        spoke_json_add_number(builder, "remaining", remaining);
        g_autofree char *line = spoke_json_end(builder);
        (void)puts(line);
    } else if (remaining > 0) {
        g_printerr("spokectl: %" G_GUINT64_FORMAT " %s not reached the hub yet\n", remaining,
                   remaining == 1 ? "message has" : "messages have");
    }
}

static void
on_flushed(SpokeClient *client, uint64_t remaining, const SpokeFailure *failure, void *user_data)
{
    Flush *flush = user_data;
    SpokeCtl *ctl = flush->ctl;

    if (ctl->ended)
        return;
    if (failure != NULL) {
        spoke_ctl_fail(ctl, failure);
        return;
    }
    if (remaining > 0 && flush->left_msec > 0) {
        int r = ask(flush);
        if (r < 0)
            spoke_ctl_fail_errno(ctl, r);
        return;
    }
    print_remaining(ctl, remaining);
    spoke_ctl_end(ctl, remaining > 0 ? SPOKE_EXIT_TIMEOUT : SPOKE_EXIT_OK);
}

static SpokeExit
run_flush(SpokeCtl *ctl, int argc, char **argv)
{
    g_autofree char *timeout = NULL;
    Flush flush = {.ctl = ctl, .left_msec = SPOKE_FOREVER};
    const GOptionEntry entries[] = {
        {"timeout", 't', 0, G_OPTION_ARG_FILENAME, &timeout,
         "Wait that long at most; 0 only asks (default: for ever)", "TIME"},
        {NULL},
    };

    if (!spoke_ctl_parse(ctl, entries, 0, &argc, &argv) ||
        !spoke_ctl_parse_duration(ctl, "--timeout", timeout, 0, &flush.left_msec))
        return SPOKE_EXIT_USAGE;
    if (!spoke_ctl_open(ctl))
        return ctl->exit_code;
    return spoke_ctl_run(ctl, ask(&flush));
}

const SpokeVerb spoke_verb_flush = {
    .name = "flush",
    .arguments = "",
    .summary = "Wait until the hub has everything that is queued",
    .description = "Exit status 4 if messages remain when the time is up.",
    .run = run_flush,
};
