/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "clients/spokectl/advice.h"

#include <glib.h>

/*
 * One run of spokectl: what all verbs share. A verb parses its arguments, opens the client, starts
 * something, and runs the loop until a callback ends it with the exit code.
 */
typedef struct SpokeVerb SpokeVerb;

typedef struct {
    const SpokeVerb *verb; /* borrowed */
    char *device;          /* owned; NULL for the machine's own identity */
    gboolean json;
    char **rest; /* borrowed; what came after "--", NULL if there was none */

    SpokeClient *client; /* owned; NULL before spoke_ctl_open() */
    guint client_source;
    GMainLoop *loop; /* owned */
    gboolean ended;
    SpokeExit exit_code;
} SpokeCtl;

struct SpokeVerb {
    const char *name;
    const char *arguments;   /* for the usage line */
    const char *summary;     /* one line */
    const char *description; /* what --help says below the options; may be empty */
    SpokeExit (*run)(SpokeCtl *ctl, int argc, char **argv);
};

/**
 * spoke_ctl_parse:
 * @entries: options of the verb
 * @arguments_max: how many other arguments it takes at most
 *
 * Takes the options out of @argc and @argv, of which the arguments remain, the verb at 0. Says what
 * is wrong on stderr.
 *
 * A command line is bytes to us: texts are G_OPTION_ARG_FILENAME, which are not converted from the
 * locale's encoding. A cron job has no locale, and its UTF-8 would be refused.
 */
gboolean spoke_ctl_parse(SpokeCtl *ctl, const GOptionEntry *entries, int arguments_max, int *argc,
                         char ***argv);
/* Reports a wrong argument, also before there is a verb; frees @error. Returns: SPOKE_EXIT_USAGE */
SpokeExit spoke_ctl_usage(SpokeCtl *ctl, GError *error);
/* As spoke_duration_parse(), of at least @min_msec, with a message on stderr. Leaves @ret_msec
 * alone when @text is NULL. */
gboolean spoke_ctl_parse_duration(SpokeCtl *ctl, const char *option, const char *text,
                                  guint64 min_msec, guint64 *ret_msec);

/* Connects to the bus. FALSE: reported, exit_code is set. */
gboolean spoke_ctl_open(SpokeCtl *ctl);
/* @result: of the libspoke function that starts the work; if that failed, says so and ends. */
SpokeExit spoke_ctl_run(SpokeCtl *ctl, int result);
/* Ends spoke_ctl_run(). The first one counts; from then on callbacks should do nothing. */
void spoke_ctl_end(SpokeCtl *ctl, SpokeExit exit_code);
/* The same, after saying on stderr what failed and what to do. */
void spoke_ctl_fail(SpokeCtl *ctl, const SpokeFailure *failure);
/* A SpokeDoneFunc that ends with the answer. @user_data: the SpokeCtl */
void spoke_ctl_on_done(SpokeClient *client, const SpokeFailure *failure, void *user_data);
/* For what libspoke refuses at once. @error: negative errno */
void spoke_ctl_fail_errno(SpokeCtl *ctl, int error);
/* Says it on stderr and nothing more. */
void spoke_ctl_report(SpokeCtl *ctl, const SpokeFailure *failure);

void spoke_ctl_init(SpokeCtl *ctl);
void spoke_ctl_clear(SpokeCtl *ctl);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(SpokeCtl, spoke_ctl_clear)
