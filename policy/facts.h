/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "policy/protocol.h"

/*
 * What is known when a protocol is chosen. All zero is a machine about which nothing is known, with
 * no module installed. Times are ages, so that nobody here needs a clock.
 */

/* What one protocol has been through on this network. */
typedef struct {
    /* (nullable): never tried; "" if it worked; else the name of a cause: "TcpTimeout". Borrowed */
    const char *last_outcome;
    gint64 tried_ago_usec; /* since that outcome */
    guint failures;        /* in a row, up to now */
    gboolean has_worked;   /* ever */
    gint64 worked_ago_usec;
} SpokeHistory;

typedef struct {
    /* The identities on the connection, by what they log in with. */
    guint with_key;         /* SAS tokens that we sign */
    guint with_token;       /* a SAS token that somebody else signed */
    guint with_certificate; /* X.509: such a connection can't be shared */

    gboolean needs_push;   /* C2D messages must come without being asked for */
    gboolean needs_settle; /* an app's verdict on a C2D message must reach the hub */
    gboolean has_proxy;    /* that the way to the hub goes through */
    gboolean is_metered;
    guint64 memory_bytes; /* the machine's; 0: not known */
    guint64 free_bytes;   /* of it, what can be had; 0: not known */

    SpokeProtocols installed;
    SpokeProtocols named; /* by the admin's Transport=; 0: it is left to us */
    SpokeHistory history[SPOKE_N_PROTOCOLS];
} SpokeFacts;

static inline guint
spoke_facts_count_identities(const SpokeFacts *facts)
{
    guint64 sum = (guint64)facts->with_key + facts->with_token + facts->with_certificate;

    return (guint)MIN(sum, G_MAXUINT);
}
