/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* How far a pipeline is. */
typedef struct {
    guint64 accepted;  /* by the daemon */
    guint64 waiting;   /* read, not accepted yet */
    gboolean all_read; /* no more will come */
    gboolean wait;     /* the hub's word counts too */
    guint64 settled;   /* whatever the outcome */
    guint64 failed;    /* of them, those the hub will never have */
    const char *note;  /* why the daemon takes no more: "spoked is away"; or NULL. borrowed */
    char *hub;         /* why the hub does: "the hub is away"; or NULL. owned */
} SpokeProgress;

/*
 * One line on a terminal that is written over and over: what counts, how fast, and when it will be
 * over, or else what it waits for. The rate forgets what is more than a few seconds old.
 */
typedef struct SpokeProgressLine SpokeProgressLine;

SpokeProgressLine *spoke_progress_line_new(gint64 now_usec);
/* (transfer full): without carriage return or newline */
char *spoke_progress_line_format(SpokeProgressLine *line, const SpokeProgress *progress,
                                 gint64 now_usec);
/* What stays when all is done: "100,000 messages accepted in 1.9 s (52,000/s)". (transfer full) */
char *spoke_progress_line_summarise(SpokeProgressLine *line, const SpokeProgress *progress,
                                    gint64 now_usec);
