/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clients/spokectl/message-text.h"
#include "clients/spokectl/pairs.h"
#include "clients/spokectl/verbs.h"

#include <errno.h>
#include <stdio.h>

/*
 * One message for a script, and the verdict on it. Without --lock the message is locked all the
 * same, for as long as it takes to write it down, and completed then: a full disk loses nothing.
 */

#define WRITE_LOCK_MSEC 60000

/* The daemon is asked in slices, so that a wait without end ends with the daemon. */
#define SLICE_MSEC 3600000

typedef struct {
    SpokeCtl *ctl; /* borrowed */
    SpokeReceiveOptions options;
    SpokeOutput output;
    gboolean complete; /* once it is written */
    guint64 left_msec;
} Receive;

static void on_received(SpokeClient *client, const SpokeIncoming *message,
                        const SpokeFailure *failure, void *user_data);

static int
ask(Receive *receive)
{
    guint64 slice = MIN(receive->left_msec, SLICE_MSEC);

    if (receive->left_msec != SPOKE_FOREVER)
        receive->left_msec -= slice;
    return spoke_client_receive(receive->ctl->client, &receive->options, slice, on_received,
                                receive);
}

static void
take(Receive *receive, const SpokeIncoming *message)
{
    SpokeCtl *ctl = receive->ctl;
    SpokeIncoming shown = *message;

    if (receive->complete)
        shown.lock_msec = 0; /* ours, not the user's */
    if (!spoke_message_print(&shown, receive->output)) {
        g_printerr("spokectl: Can't write message %s: %s\n", message->id, g_strerror(errno));
        spoke_ctl_end(ctl, SPOKE_EXIT_FAILURE);
    } else if (!receive->complete) {
        spoke_ctl_end(ctl, SPOKE_EXIT_OK);
    } else {
        int r = spoke_client_settle(ctl->client, message->id, SPOKE_VERDICT_COMPLETE,
                                    spoke_ctl_on_done, ctl);
        if (r < 0)
            spoke_ctl_fail_errno(ctl, r);
    }
}

static void
on_received(SpokeClient *client, const SpokeIncoming *message, const SpokeFailure *failure,
            void *user_data)
{
    Receive *receive = user_data;
    SpokeCtl *ctl = receive->ctl;

    if (ctl->ended)
        return;
    if (failure != NULL && failure->error == -ETIMEDOUT && receive->left_msec > 0) {
        int r = ask(receive);
        if (r < 0)
            spoke_ctl_fail_errno(ctl, r);
    } else if (failure != NULL) {
        spoke_ctl_fail(ctl, failure);
    } else {
        take(receive, message);
    }
}

static SpokeExit
run_parsed(Receive *receive, char **filter, const char *output)
{
    SpokeCtl *ctl = receive->ctl;
    g_autoptr(GError) error = NULL;

    g_autofree SpokeProperty *pairs = spoke_pairs_parse(filter, &receive->options.n_filter, &error);
    if (pairs == NULL || !spoke_output_parse(output, ctl->json, &receive->output, &error))
        return spoke_ctl_usage(ctl, g_steal_pointer(&error));

    receive->options.filter = pairs;
    if (!spoke_ctl_open(ctl))
        return ctl->exit_code;
    return spoke_ctl_run(ctl, ask(receive));
}

static SpokeExit
run_receive(SpokeCtl *ctl, int argc, char **argv)
{
    g_autofree char *timeout = NULL;
    g_autofree char *lock = NULL;
    g_autofree char *output = NULL;
    g_auto(GStrv) filter = NULL;
    gboolean dead_letter = FALSE;
    const GOptionEntry entries[] = {
        {"timeout", 't', 0, G_OPTION_ARG_FILENAME, &timeout,
         "Wait that long at most; 0 takes only what is there (default: for ever)", "TIME"},
        {"filter", 'f', 0, G_OPTION_ARG_FILENAME_ARRAY, &filter,
         "Only a message with this app property (may be repeated)", "NAME=VALUE"},
        {"lock", 0, 0, G_OPTION_ARG_FILENAME, &lock,
         "Keep it locked for that long, to be settled with complete, abandon or reject", "TIME"},
        {"dead-letter", 0, 0, G_OPTION_ARG_NONE, &dead_letter, "Take a dead letter instead", NULL},
        {"output", 'o', 0, G_OPTION_ARG_FILENAME, &output,
         "full (default), body (the bytes alone) or json", "FORMAT"},
        {NULL},
    };
    Receive receive = {
        .ctl = ctl, .options = {SPOKE_RECEIVE_OPTIONS_INIT}, .left_msec = SPOKE_FOREVER};

    if (!spoke_ctl_parse(ctl, entries, 0, &argc, &argv) ||
        !spoke_ctl_parse_duration(ctl, "--timeout", timeout, 0, &receive.left_msec) ||
        !spoke_ctl_parse_duration(ctl, "--lock", lock, 1000, &receive.options.lock_msec))
        return SPOKE_EXIT_USAGE;
    receive.options.dead_letter = dead_letter;
    receive.complete = lock == NULL && !dead_letter;
    if (receive.complete)
        receive.options.lock_msec = WRITE_LOCK_MSEC;
    return run_parsed(&receive, filter, output);
}

static SpokeExit
settle(SpokeCtl *ctl, int argc, char **argv, SpokeVerdict verdict)
{
    if (!spoke_ctl_parse(ctl, NULL, 1, &argc, &argv))
        return SPOKE_EXIT_USAGE;
    if (argc < 2)
        return spoke_ctl_usage(ctl, g_error_new(G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                                                "Which message? 'receive --lock' prints its ID"));
    if (!spoke_ctl_open(ctl))
        return ctl->exit_code;
    return spoke_ctl_run(
        ctl, spoke_client_settle(ctl->client, argv[1], verdict, spoke_ctl_on_done, ctl));
}

static SpokeExit
run_complete(SpokeCtl *ctl, int argc, char **argv)
{
    return settle(ctl, argc, argv, SPOKE_VERDICT_COMPLETE);
}

static SpokeExit
run_abandon(SpokeCtl *ctl, int argc, char **argv)
{
    return settle(ctl, argc, argv, SPOKE_VERDICT_ABANDON);
}

static SpokeExit
run_reject(SpokeCtl *ctl, int argc, char **argv)
{
    return settle(ctl, argc, argv, SPOKE_VERDICT_REJECT);
}

static SpokeExit
run_check_now(SpokeCtl *ctl, int argc, char **argv)
{
    if (!spoke_ctl_parse(ctl, NULL, 0, &argc, &argv))
        return SPOKE_EXIT_USAGE;
    if (!spoke_ctl_open(ctl))
        return ctl->exit_code;
    return spoke_ctl_run(ctl, spoke_client_check_now(ctl->client, spoke_ctl_on_done, ctl));
}

const SpokeVerb spoke_verb_receive = {
    .name = "receive",
    .arguments = "",
    .summary = "Take one cloud-to-device message and print it",
    .description = "Without --lock the message is completed as soon as it is printed.\n"
                   "Exit status 4 if none came in time.",
    .run = run_receive,
};

const SpokeVerb spoke_verb_check_now = {
    .name = "check-now",
    .arguments = "",
    .summary = "Ask the hub for messages now, over HTTPS",
    .description = "Over other protocols messages come by themselves, and there is nothing to do.\n"
                   "What the hub has goes to whoever listens or receives.",
    .run = run_check_now,
};

const SpokeVerb spoke_verb_complete = {
    .name = "complete",
    .arguments = "ID",
    .summary = "Say that a locked message is dealt with",
    .description = "For messages of 'receive --lock'.",
    .run = run_complete,
};

const SpokeVerb spoke_verb_abandon = {
    .name = "abandon",
    .arguments = "ID",
    .summary = "Give a locked message back, to be handed out again",
    .description = "For messages of 'receive --lock'.",
    .run = run_abandon,
};

const SpokeVerb spoke_verb_reject = {
    .name = "reject",
    .arguments = "ID",
    .summary = "Make a locked message a dead letter",
    .description = "For messages of 'receive --lock'.",
    .run = run_reject,
};
