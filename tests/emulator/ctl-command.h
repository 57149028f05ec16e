/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <json-glib/json-glib.h>

#include "ctl-client.h"

/* What the files of commands share: the table's row, and the run of one command. */
typedef struct CtlCommand CtlCommand;

typedef struct {
    const CtlCommand *command; /* borrowed, static */
    CtlClient *client;         /* owned; NULL until ctl_parse() has read where to connect */
    char *state_dir;           /* owned; NULL unless given */
    int port;                  /* 0 unless given */
    gboolean json;
} Ctl;

typedef gboolean (*CtlRunFunc)(Ctl *ctl, int argc, char **argv, GError **error);

/* All members are set, save that @details may be NULL. */
struct CtlCommand {
    const char *name;
    const char *arguments; /* as usage shows them */
    const char *summary;   /* one line */
    const char *details;   /* more for --help; NULL when the summary says it all */
    CtlRunFunc run;
};

/**
 * ctl_parse:
 * @entries: the command's own options, or NULL
 * @ret_arguments: (transfer full): the positional arguments
 *
 * Reads one command's line, serves --help (and exits), checks the number of arguments and that
 * all is UTF-8, and makes the client. G_OPTION_ERROR or CTL_ERROR_USAGE otherwise.
 */
gboolean ctl_parse(Ctl *ctl, const GOptionEntry *entries, int argc, char **argv,
                   guint min_arguments, guint max_arguments, char ***ret_arguments, GError **error);

/**
 * ctl_show:
 * @shape: whether the answer is an object or an array
 *
 * What most commands are: gets @path and prints the answer, as JSON or with @print.
 */
gboolean ctl_show(Ctl *ctl, const char *path, JsonNodeType shape, void (*print)(JsonNode *answer),
                  GError **error);

/* CTL_ERROR_USAGE unless @value, given for @option, is UTF-8. NULL is. */
gboolean ctl_check_utf8(const char *option, const char *value, GError **error);

/* ctl-devices.c */
gboolean ctl_run_devices(Ctl *ctl, int argc, char **argv, GError **error);
gboolean ctl_run_device(Ctl *ctl, int argc, char **argv, GError **error);
gboolean ctl_run_add_device(Ctl *ctl, int argc, char **argv, GError **error);
gboolean ctl_run_set_device(Ctl *ctl, int argc, char **argv, GError **error);
gboolean ctl_run_remove_device(Ctl *ctl, int argc, char **argv, GError **error);
gboolean ctl_run_connection_string(Ctl *ctl, int argc, char **argv, GError **error);

/* ctl-certificates.c */
gboolean ctl_run_certificates(Ctl *ctl, int argc, char **argv, GError **error);
gboolean ctl_run_add_certificate(Ctl *ctl, int argc, char **argv, GError **error);
gboolean ctl_run_remove_certificate(Ctl *ctl, int argc, char **argv, GError **error);
gboolean ctl_run_make_certificate(Ctl *ctl, int argc, char **argv, GError **error);

/* ctl-messages.c */
gboolean ctl_run_messages(Ctl *ctl, int argc, char **argv, GError **error);
gboolean ctl_run_wait_messages(Ctl *ctl, int argc, char **argv, GError **error);
gboolean ctl_run_clear(Ctl *ctl, int argc, char **argv, GError **error);

/* ctl-cloud-messages.c */
gboolean ctl_run_send(Ctl *ctl, int argc, char **argv, GError **error);
gboolean ctl_run_queue(Ctl *ctl, int argc, char **argv, GError **error);
gboolean ctl_run_fate(Ctl *ctl, int argc, char **argv, GError **error);
gboolean ctl_run_purge(Ctl *ctl, int argc, char **argv, GError **error);
gboolean ctl_run_feedback(Ctl *ctl, int argc, char **argv, GError **error);

/* ctl-faults.c */
gboolean ctl_run_fault(Ctl *ctl, int argc, char **argv, GError **error);
gboolean ctl_run_faults(Ctl *ctl, int argc, char **argv, GError **error);
gboolean ctl_run_clear_faults(Ctl *ctl, int argc, char **argv, GError **error);
gboolean ctl_run_stats(Ctl *ctl, int argc, char **argv, GError **error);
