/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "clients/libspoke/spoke.h"
#include "clients/spokectl/terminal.h"

#include <glib.h>

/* A colour for a state of the connection. */
SpokeColour spoke_status_get_colour(const SpokeStatus *status);

/**
 * spoke_status_format:
 * @now_usec: since 1970 in UTC
 *
 * For people, with colours if stdout is a terminal.
 *
 * Returns: (transfer full): lines
 */
char *spoke_status_format(const SpokeStatus *status, gint64 now_usec);

/* Why nothing goes to the hub: "the hub is away (TcpRefused)"; NULL when it is there. (transfer
 * full) (nullable) */
char *spoke_status_describe_hub(const SpokeStatus *status);
