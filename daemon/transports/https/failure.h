/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/cause.h"

#include <curl/curl.h>

/*
 * Why a request got no answer. No I/O.
 */

typedef struct {
    CURLcode code;
    int os_error;         /* errno of the last connect(), or 0 */
    gboolean uses_proxy;  /* the first hop is a proxy */
    guint connect_status; /* the proxy's answer to CONNECT, or 0 */
    /* How far it came. */
    gboolean is_resolved;
    gboolean is_connected;
    gboolean is_secured;   /* the TLS handshake is over */
    gboolean has_answered; /* the hub has, this request or one before it */
} SpokeFailure;

SpokeCause spoke_failure_get_cause(const SpokeFailure *failure);
