/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "clients/spokectl/ctl.h"

/*
 * A stream of lines to the hub, one message each: read as it comes, sent in batches, several of
 * which are under way at a time.
 */
typedef struct {
    const SpokeOutgoing *template; /* all but body and message-id; outlives the run */
    int fd;                        /* where the lines come from */
    gboolean wait;                 /* until the hub has all of them */
    guint64 timeout_msec;          /* from the end of the input to the last settlement */
} SpokePipelineOptions;

/* Opens the client, sends all lines, and says on stderr how it went. Empty lines are left out. */
SpokeExit spoke_pipeline_run(SpokeCtl *ctl, const SpokePipelineOptions *options);
