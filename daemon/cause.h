/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "policy/retry.h"

/*
 * Why there is no connection. One list for transports, status, journal and back-off; the names are
 * public (property LastError) and may be added to, not changed.
 */
typedef enum {
    SPOKE_CAUSE_NONE,
    SPOKE_CAUSE_CLOSED, /* we closed it */
    SPOKE_CAUSE_DNS,    /* the host name has no address */
    SPOKE_CAUSE_TCP_REFUSED,
    SPOKE_CAUSE_TCP_TIMEOUT,     /* no answer: packets dropped on the way? */
    SPOKE_CAUSE_NETWORK,         /* unreachable, reset, other socket errors */
    SPOKE_CAUSE_TLS,             /* the handshake failed */
    SPOKE_CAUSE_CERTIFICATE,     /* the server's certificate is not trusted or not for this host */
    SPOKE_CAUSE_PROTOCOL,        /* the peer does not speak the protocol; CONNACK 1 */
    SPOKE_CAUSE_BAD_CREDENTIALS, /* malformed: CONNACK 2, 4 */
    SPOKE_CAUSE_AUTHENTICATION_FAILED, /* CONNACK 5: key, token, clock, unknown or disabled device
                                        */
    SPOKE_CAUSE_UNAVAILABLE,           /* CONNACK 3: busy or throttled */
    SPOKE_CAUSE_CLOSED_BY_HUB,         /* a working connection closed without a word */
    SPOKE_CAUSE_EVICTED,     /* the same again and again: another client with our identity? */
    SPOKE_CAUSE_KEEPALIVE,   /* the peer fell silent */
    SPOKE_CAUSE_CREDENTIALS, /* no usable token: see credentials.h */
    SPOKE_CAUSE_CLOCK,       /* the clock is not set; waiting for it */
    SPOKE_CAUSE_STORAGE,     /* the disk can't take C2D over */
    SPOKE_CAUSE_INTERNAL,
    /* Where the protocol is precise: AMQP, HTTPS. */
    SPOKE_CAUSE_NOT_FOUND, /* the hub knows no such device: CBS 404, amqp:not-found, HTTP 404 */
    SPOKE_CAUSE_THROTTLED, /* too much of it: 429, device-container-throttled */
    SPOKE_CAUSE_QUOTA_EXCEEDED, /* the day's, or the hub is suspended: 403, resource-limit-exceeded
                                 */
    SPOKE_CAUSE_PROXY,          /* it refuses or can't, or the transport can't use one */
    SPOKE_CAUSE_NOT_INSTALLED,  /* the transport's module is not there, or can't be loaded */
    SPOKE_CAUSE_UNSUPPORTED,    /* the transport can't carry this identity: a second one, X.509 */
    SPOKE_N_CAUSES,
} SpokeCause;

/* "TcpRefused", …; "" for NONE */
const char *spoke_cause_to_string(SpokeCause cause);
/* A sentence that says what to do about it; "" for NONE */
const char *spoke_cause_get_remedy(SpokeCause cause);
SpokePace spoke_cause_get_pace(SpokeCause cause);
/* Whether another network may be without it: the hub, or we, have the same to say on any. */
gboolean spoke_cause_is_of_network(SpokeCause cause);
