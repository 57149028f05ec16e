/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "clients/libspoke/spoke.h"

#include <glib.h>

/*
 * One command that deals with one message: the body on its standard input, everything else in its
 * environment, its exit status the verdict. spokectl(1) documents both.
 */
typedef struct SpokeRunner SpokeRunner;

typedef enum {
    SPOKE_RUN_COMPLETE,  /* exit status 0 */
    SPOKE_RUN_ABANDON,   /* 75 (EX_TEMPFAIL), or killed by a signal */
    SPOKE_RUN_REJECT,    /* any other */
    SPOKE_RUN_NO_COMMAND /* 126, 127: the shell's word for a command it can't run */
} SpokeRunResult;

/* From SIGTERM, when the time of a command is up, to SIGKILL. */
#define SPOKE_RUNNER_GRACE_MSEC 5000

/* @wait_status: as waitpid() gives it */
SpokeRunResult spoke_runner_judge(int wait_status);

/* @environment: what to add to, as from g_get_environ(). (transfer full) both ways */
char **spoke_runner_make_environment(const SpokeIncoming *message, char **environment);

/* Called once; the runner is freed afterwards. */
typedef void (*SpokeRunFunc)(SpokeRunner *runner, int wait_status, gpointer user_data);

/**
 * spoke_runner_start:
 * @message: nothing of it is kept
 * @limit_msec: the command is sent SIGTERM when it has not ended by then, and SIGKILL
 *   SPOKE_RUNNER_GRACE_MSEC later; 0 for no limit
 *
 * Errors: G_SPAWN_ERROR, G_FILE_ERROR.
 *
 * Returns: (transfer none): valid until @done was called
 */
SpokeRunner *spoke_runner_start(char **command, const SpokeIncoming *message, guint64 limit_msec,
                                SpokeRunFunc done, gpointer user_data, GError **error);
/* Sends SIGTERM to the command and all it has started. */
void spoke_runner_stop(SpokeRunner *runner);
/* Id of the message. */
const char *spoke_runner_get_id(SpokeRunner *runner);
