/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "clients/libspoke/spoke.h"

#include <glib.h>

/* How received messages are written to stdout. */
typedef enum {
    SPOKE_OUTPUT_FULL, /* for people: properties and body */
    SPOKE_OUTPUT_BODY, /* the body's bytes and nothing else */
    SPOKE_OUTPUT_JSON, /* a line of JSON */
} SpokeOutput;

/* Errors: G_OPTION_ERROR_BAD_VALUE. @name: NULL for the default */
gboolean spoke_output_parse(const char *name, gboolean json, SpokeOutput *ret_output,
                            GError **error);

/* @escape: make it safe for a terminal. (transfer full): one block of lines, the last one empty */
char *spoke_message_format(const SpokeIncoming *message, gboolean escape);

/* FALSE if stdout can't take it (full disk); errno is set. */
gboolean spoke_message_print(const SpokeIncoming *message, SpokeOutput output);
