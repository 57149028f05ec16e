/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/cause.h"

/*
 * Why a host cannot be reached: paho says only that it can't. Both functions block and are for
 * paho's worker thread.
 */

/* Returns: SPOKE_CAUSE_NONE, or SPOKE_CAUSE_DNS and what the resolver said */
SpokeCause spoke_reach_resolve(const char *host, char **ret_detail);

/* Tries a TCP connection to the address paho takes, for a few seconds at most. Returns: what is in
 * the way; SPOKE_CAUSE_NONE if nothing is (any more) */
SpokeCause spoke_reach_try(const char *host, guint16 port, char **ret_detail);
