/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clients/spokectl/json.h"
#include "clients/spokectl/message-text.h"
#include "clients/spokectl/pairs.h"
#include "clients/spokectl/runner.h"
#include "clients/spokectl/verbs.h"

#include <errno.h>
#include <glib-unix.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

/*
 * Messages as they come: printed, or each handed to a command. With a command, or with --handle,
 * spokectl is a handler: a message is settled only after the command ended or the text was written,
 * and goes to somebody else if spokectl dies first.
 *
 * Each run of a command is to cost one delivery, as the daemon makes a dead letter of a message
 * that was handed out too often. So the lock that is asked for lasts for all of it: the command,
 * its grace after SIGTERM, the verdict's way to the daemon, and the rest before a message is
 * abandoned.
 */
typedef struct {
    SpokeCtl *ctl; /* borrowed */
    SpokeSubscribeOptions options;
    SpokeOutput output;
    char **command;     /* borrowed; NULL: print */
    guint64 count;      /* 0: no end */
    guint64 limit_msec; /* for one run of the command */
    guint64 retry_delay_msec;

    gboolean subscribed; /* once, at least */
    gboolean stopping;   /* take no more */
    guint64 taken;
    guint64 unsettled;  /* taken, and the verdict has not been answered yet */
    GPtrArray *runners; /* owned; of SpokeRunner, borrowed */
    GPtrArray *resting; /* owned; of Retry, owned */
    guint timeout_source;
} Listen;

/* A verdict that waits, so that a failing command is not tried ten times within a second. */
typedef struct {
    Listen *listen;
    char *id; /* owned */
    guint source;
} Retry;

/* What is left for a verdict to reach a busy daemon. */
#define VERDICT_MSEC 5000

#define COUNT_ENDLESS G_MAXINT64 /* no --count */

#define LIMIT_MSEC_DEFAULT 60000
#define LOCK_MSEC_MAX      3600000 /* of Subscribe */

static void
end_if_done(Listen *listen)
{
    gboolean enough = listen->count > 0 && listen->taken >= listen->count;

    if (listen->unsettled > 0 || !(enough || listen->stopping))
        return;
    /* Only who asked for a number of messages can have got too few. */
    spoke_ctl_end(listen->ctl, enough || listen->count == 0 ? SPOKE_EXIT_OK : SPOKE_EXIT_TIMEOUT);
}

static void
on_settled(SpokeClient *client, const SpokeFailure *failure, void *user_data)
{
    Listen *listen = user_data;

    if (failure != NULL && !listen->ctl->ended)
        spoke_ctl_report(listen->ctl, failure);
    listen->unsettled--;
    end_if_done(listen);
}

static void
settle(Listen *listen, const char *id, SpokeVerdict verdict)
{
    int r = spoke_client_settle(listen->ctl->client, id, verdict, on_settled, listen);
    if (r < 0) {
        listen->unsettled--;
        spoke_ctl_fail_errno(listen->ctl, r);
    }
}

static void
free_retry(gpointer data)
{
    Retry *retry = data;

    g_clear_handle_id(&retry->source, g_source_remove);
    g_free(retry->id);
    g_free(retry);
}

static gboolean
on_retry(gpointer user_data)
{
    Retry *retry = user_data;
    Listen *listen = retry->listen;

    retry->source = 0;
    settle(listen, retry->id, SPOKE_VERDICT_ABANDON);
    g_ptr_array_remove_fast(listen->resting, retry);
    return G_SOURCE_REMOVE;
}

static void
abandon_later(Listen *listen, const char *id)
{
    if (listen->stopping || listen->retry_delay_msec == 0) {
        settle(listen, id, SPOKE_VERDICT_ABANDON);
        return;
    }

    Retry *retry = g_new0(Retry, 1);
    retry->listen = listen;
    retry->id = g_strdup(id);
    retry->source = g_timeout_add((guint)listen->retry_delay_msec, on_retry, retry);
    g_ptr_array_add(listen->resting, retry);
}

/* Who stops does not wait for those that rest. */
static void
abandon_resting(Listen *listen)
{
    for (guint i = 0; i < listen->resting->len; i++) {
        const Retry *retry = g_ptr_array_index(listen->resting, i);
        settle(listen, retry->id, SPOKE_VERDICT_ABANDON);
    }
    g_ptr_array_set_size(listen->resting, 0);
}

static void
report_run(Listen *listen, const char *id, int wait_status, const char *verdict)
{
    g_autoptr(GError) error = NULL;

    if (listen->ctl->json) {
        JsonBuilder *builder = spoke_json_begin();
        spoke_json_add_string(builder, "id", id);
        spoke_json_add_string(builder, "verdict", verdict);
        if (WIFEXITED(wait_status))
            spoke_json_add_number(builder, "exitStatus", (guint64)WEXITSTATUS(wait_status));
        else
            spoke_json_add_number(builder, "signal", (guint64)WTERMSIG(wait_status));
        g_autofree char *line = spoke_json_end(builder);
        (void)puts(line);
        (void)fflush(stdout);
    } else if (!g_spawn_check_wait_status(wait_status, &error)) {
        g_printerr("spokectl: message %s: %s: %s\n", id, error->message, verdict);
    }
}

static void
on_run(SpokeRunner *runner, int wait_status, gpointer user_data)
{
    Listen *listen = user_data;
    const char *id = spoke_runner_get_id(runner);

    g_ptr_array_remove_fast(listen->runners, runner);
    switch (spoke_runner_judge(wait_status)) {
    case SPOKE_RUN_COMPLETE:
        report_run(listen, id, wait_status, "completed");
        settle(listen, id, SPOKE_VERDICT_COMPLETE);
        break;
    case SPOKE_RUN_ABANDON:
        report_run(listen, id, wait_status, "abandoned");
        listen->taken--; /* it comes again */
        abandon_later(listen, id);
        break;
    case SPOKE_RUN_REJECT:
        report_run(listen, id, wait_status, "rejected");
        settle(listen, id, SPOKE_VERDICT_REJECT);
        break;
    case SPOKE_RUN_NO_COMMAND:
        /* Not the message's fault; leaving the bus gives it back. */
        g_printerr("spokectl: The command can't be run; message %s was given back\n", id);
        spoke_ctl_end(listen->ctl, SPOKE_EXIT_FAILURE);
        break;
    }
}

static void
run_command(Listen *listen, const SpokeIncoming *message)
{
    g_autoptr(GError) error = NULL;

    SpokeRunner *runner =
        spoke_runner_start(listen->command, message, listen->limit_msec, on_run, listen, &error);
    if (runner == NULL) {
        g_printerr("spokectl: %s; message %s was given back\n", error->message, message->id);
        spoke_ctl_end(listen->ctl, SPOKE_EXIT_FAILURE);
        return;
    }
    g_ptr_array_add(listen->runners, runner);
}

static void
print_message(Listen *listen, const SpokeIncoming *message)
{
    if (!spoke_message_print(message, listen->output)) {
        g_printerr("spokectl: Can't write message %s: %s\n", message->id, g_strerror(errno));
        spoke_ctl_end(listen->ctl, SPOKE_EXIT_FAILURE);
    } else if (message->lock_msec != 0) {
        settle(listen, message->id, SPOKE_VERDICT_COMPLETE);
    } else {
        listen->unsettled--;
        end_if_done(listen);
    }
}

static void
on_incoming(SpokeClient *client, const SpokeIncoming *message, void *user_data)
{
    Listen *listen = user_data;

    if (listen->ctl->ended || listen->stopping ||
        (listen->count > 0 && listen->taken >= listen->count))
        return; /* leaving the bus gives it back */

    listen->taken++;
    listen->unsettled++;
    if (listen->command != NULL)
        run_command(listen, message);
    else
        print_message(listen, message);
}

static void
on_subscribed(SpokeClient *client, const SpokeFailure *failure, void *user_data)
{
    Listen *listen = user_data;

    if (listen->ctl->ended)
        return;
    if (failure != NULL && !listen->subscribed)
        spoke_ctl_fail(listen->ctl, failure);
    else if (failure != NULL)
        spoke_ctl_report(listen->ctl, failure);
    else if (listen->subscribed)
        g_printerr("spokectl: spoked is back, listening again\n");
    listen->subscribed = TRUE;
}

static gboolean
on_timeout(gpointer user_data)
{
    Listen *listen = user_data;

    listen->timeout_source = 0;
    listen->stopping = TRUE;
    abandon_resting(listen);
    end_if_done(listen);
    return G_SOURCE_REMOVE;
}

/* The first signal ends the commands and waits for them, the second one does not. */
static gboolean
on_signal(gpointer user_data)
{
    Listen *listen = user_data;

    if (listen->stopping && listen->runners->len > 0)
        spoke_ctl_end(listen->ctl, SPOKE_EXIT_FAILURE);
    listen->stopping = TRUE;
    listen->count = 0; /* who stops it does not ask how many there were */
    for (guint i = 0; i < listen->runners->len; i++)
        spoke_runner_stop(g_ptr_array_index(listen->runners, i));
    if (listen->runners->len == 0)
        spoke_ctl_end(listen->ctl, SPOKE_EXIT_OK);
    return G_SOURCE_CONTINUE;
}

static SpokeExit
listen_now(Listen *listen, guint64 timeout_msec)
{
    SpokeCtl *ctl = listen->ctl;

    if (!spoke_ctl_open(ctl))
        return ctl->exit_code;

    listen->runners = g_ptr_array_new();
    listen->resting = g_ptr_array_new_with_free_func(free_retry);
    guint interrupt = g_unix_signal_add(SIGINT, on_signal, listen);
    guint terminate = g_unix_signal_add(SIGTERM, on_signal, listen);
    if (timeout_msec != SPOKE_FOREVER)
        listen->timeout_source =
            g_timeout_add((guint)MIN(timeout_msec, G_MAXUINT), on_timeout, listen);

    SpokeExit exit_code =
        spoke_ctl_run(ctl, spoke_client_subscribe(ctl->client, &listen->options, on_incoming,
                                                  on_subscribed, listen, NULL));
    g_clear_handle_id(&listen->timeout_source, g_source_remove);
    g_source_remove(terminate);
    g_source_remove(interrupt);
    for (guint i = 0; i < listen->runners->len; i++)
        spoke_runner_stop(g_ptr_array_index(listen->runners, i));
    /* Its last callbacks come from here, while what they use is still there. */
    spoke_ctl_clear(ctl);
    g_clear_pointer(&listen->resting, g_ptr_array_unref);
    g_clear_pointer(&listen->runners, g_ptr_array_unref);
    return exit_code;
}

static SpokeExit
check_command(Listen *listen, char *exec, gboolean handle, char **shell)
{
    SpokeCtl *ctl = listen->ctl;

    if (exec != NULL && ctl->rest != NULL)
        return spoke_ctl_usage(ctl, g_error_new(G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                                                "--exec and a command behind '--' exclude each "
                                                "other"));
    if (ctl->rest != NULL && ctl->rest[0] == NULL)
        return spoke_ctl_usage(ctl, g_error_new(G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                                                "A command is missing behind '--'"));
    if (exec != NULL) {
        shell[2] = exec;
        listen->command = shell;
    } else {
        listen->command = ctl->rest;
    }
    if (listen->command != NULL || handle)
        listen->options.mode = SPOKE_MODE_HANDLE;
    return SPOKE_EXIT_OK;
}

/* From the time a command may take to the lock it needs. */
static SpokeExit
check_lock(Listen *listen)
{
    if (listen->command == NULL)
        return SPOKE_EXIT_OK;
    listen->limit_msec =
        listen->options.lock_msec > 0 ? listen->options.lock_msec : LIMIT_MSEC_DEFAULT;

    const guint64 spare_msec = SPOKE_RUNNER_GRACE_MSEC + VERDICT_MSEC;
    const guint64 most_msec = LOCK_MSEC_MAX - spare_msec;
    if (listen->limit_msec > most_msec || listen->retry_delay_msec > most_msec - listen->limit_msec)
        return spoke_ctl_usage(listen->ctl,
                               g_error_new(G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                                           "--lock and --retry-delay have to be %" G_GUINT64_FORMAT
                                           "s together at most",
                                           most_msec / 1000));
    listen->options.lock_msec = listen->limit_msec + listen->retry_delay_msec + spare_msec;
    return SPOKE_EXIT_OK;
}

static SpokeExit
check_numbers(Listen *listen, gint64 count, int jobs, gboolean lock)
{
    SpokeCtl *ctl = listen->ctl;

    if (count < 1)
        return spoke_ctl_usage(ctl, g_error_new(G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                                                "--count has to be 1 at least"));
    if (jobs < 1 || jobs > 256)
        return spoke_ctl_usage(ctl, g_error_new(G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                                                "--jobs has to be 1 to 256"));
    if (listen->options.mode != SPOKE_MODE_HANDLE && (jobs > 1 || lock))
        return spoke_ctl_usage(ctl, g_error_new(G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                                                "--jobs and --lock are for --exec and --handle"));
    listen->count = count == COUNT_ENDLESS ? 0 : (guint64)count;
    if (listen->options.mode == SPOKE_MODE_HANDLE)
        listen->options.credit = (guint32)jobs;
    return check_lock(listen);
}

static SpokeExit
run_listen(SpokeCtl *ctl, int argc, char **argv)
{
    g_autofree char *exec = NULL;
    g_autofree char *timeout = NULL;
    g_autofree char *lock = NULL;
    g_autofree char *delay = NULL;
    g_autofree char *output = NULL;
    g_auto(GStrv) filter = NULL;
    gboolean handle = FALSE;
    gint64 count = COUNT_ENDLESS;
    int jobs = 1;
    const GOptionEntry entries[] = {
        {"exec", 'x', 0, G_OPTION_ARG_FILENAME, &exec, "Run this shell command for each message",
         "COMMAND"},
        {"handle", 0, 0, G_OPTION_ARG_NONE, &handle,
         "Print as a handler: each message once, to one of all handlers", NULL},
        {"filter", 'f', 0, G_OPTION_ARG_FILENAME_ARRAY, &filter,
         "Only messages with this app property (may be repeated)", "NAME=VALUE"},
        {"count", 'n', 0, G_OPTION_ARG_INT64, &count, "End after so many messages", "N"},
        {"timeout", 't', 0, G_OPTION_ARG_FILENAME, &timeout, "End after that time", "TIME"},
        {"jobs", 'j', 0, G_OPTION_ARG_INT, &jobs, "How many commands may run at once (1)", "N"},
        {"lock", 0, 0, G_OPTION_ARG_FILENAME, &lock,
         "How long a command may take before it is ended (1min)", "TIME"},
        {"retry-delay", 0, 0, G_OPTION_ARG_FILENAME, &delay,
         "How long an abandoned message rests before it is tried again (1s)", "TIME"},
        {"output", 'o', 0, G_OPTION_ARG_FILENAME, &output,
         "full (default), body (the bytes alone) or json", "FORMAT"},
        {NULL},
    };
    char *shell[] = {(char *)"/bin/sh", (char *)"-c", NULL, NULL};
    guint64 timeout_msec = SPOKE_FOREVER;
    g_autoptr(GError) error = NULL;
    Listen listen = {
        .ctl = ctl, .options = {SPOKE_SUBSCRIBE_OPTIONS_INIT}, .retry_delay_msec = 1000};

    if (!spoke_ctl_parse(ctl, entries, 0, &argc, &argv) ||
        !spoke_ctl_parse_duration(ctl, "--timeout", timeout, 0, &timeout_msec) ||
        !spoke_ctl_parse_duration(ctl, "--lock", lock, 1000, &listen.options.lock_msec) ||
        !spoke_ctl_parse_duration(ctl, "--retry-delay", delay, 0, &listen.retry_delay_msec) ||
        check_command(&listen, exec, handle, shell) != SPOKE_EXIT_OK ||
        check_numbers(&listen, count, jobs, lock != NULL) != SPOKE_EXIT_OK)
        return SPOKE_EXIT_USAGE;

    g_autofree SpokeProperty *pairs = spoke_pairs_parse(filter, &listen.options.n_filter, &error);
    if (pairs == NULL || !spoke_output_parse(output, ctl->json, &listen.output, &error))
        return spoke_ctl_usage(ctl, g_steal_pointer(&error));
    listen.options.filter = pairs;
    return listen_now(&listen, timeout_msec);
}

const SpokeVerb spoke_verb_listen = {
    .name = "listen",
    .arguments = "[-- COMMAND [ARGUMENT...]]",
    .summary = "Print cloud-to-device messages, or run a command for each",
    .description =
        "A command gets the body on standard input, and SPOKE_MESSAGE_ID, SPOKE_PROPERTY_name, "
        "...\n"
        "in its environment. Its exit status is the verdict: 0 completes the message, 75 or a\n"
        "signal gives it back to be tried again, any other makes it a dead letter.\n"
        "Without a command, messages are printed; nobody else misses them, but if there is no\n"
        "handler at all, a message that was printed is done with.",
    .run = run_listen,
};
