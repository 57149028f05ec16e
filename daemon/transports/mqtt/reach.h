/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/transport.h"

/*
 * Why a host cannot be reached: paho says only that it can't. The functions block and are for
 * paho's worker thread.
 */

/* Returns: SPOKE_CAUSE_NONE, or SPOKE_CAUSE_DNS and what the resolver said */
SpokeCause spoke_reach_resolve(const char *host, char **ret_detail);

/* Tries a TCP connection to the address paho takes, for a few seconds at most. Returns: what is in
 * the way; SPOKE_CAUSE_NONE if nothing is (any more) */
SpokeCause spoke_reach_try(const char *host, guint16 port, char **ret_detail);

/* Asks @proxy for a tunnel to the host, waiting a few seconds at most. Returns: SPOKE_CAUSE_PROXY
 * and what it said; SPOKE_CAUSE_NONE if it gives one (now) */
SpokeCause spoke_reach_try_proxy(const SpokeProxy *proxy, const char *host, guint16 port,
                                 char **ret_detail);
