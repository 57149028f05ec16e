/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/attachment.h"
#include "daemon/clock.h"
#include "daemon/proxy.h"

/*
 * One connection to the hub: offline → connecting → connected → (draining) → offline …
 *
 * It loads a transport module when it needs one, logs the identities in that are attached to it,
 * keeps them there (renewing each one's token in band, or all by a new connection where the
 * protocol has no other way: drain what is in flight, reconnect at once), and comes back with
 * back-off after a failure. An identity that the hub refuses alone is tried again at a pace of its
 * own and does not disturb the others. Time-outs run on CLOCK_BOOTTIME; a step of the wall clock
 * re-checks the tokens.
 */
typedef struct {
    const char *transport_dir;    /* where modules are */
    const char *transport;        /* which: "mqtt", … */
    const char *host;             /* to connect to */
    guint16 port;                 /* 0: the transport's default */
    const char *ca_file;          /* NULL: the system's */
    const char *certificate_file; /* NULL without X.509, as the following */
    const char *key_file;
    const char *certificate_digest; /* of the contents: a change means a new connection */
    SpokeProxySettings *proxy;      /* NULL: none, or not for this host */
    guint keepalive_sec;
    guint connect_timeout_sec;
    gint64 poll_interval_usec; /* where the hub does not push */
} SpokeConnectionOptions;

/* Gives back what is in flight; attachments that are still on it are on none then. */
void spoke_connection_free(SpokeConnection *connection);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpokeConnection, spoke_connection_free)

/* @attachment is on no other connection; it leaves by itself when it is freed. No more than
 * the transport can carry: see lines.h. */
void spoke_connection_add(SpokeConnection *connection, SpokeAttachment *attachment);
void spoke_connection_remove(SpokeConnection *connection, SpokeAttachment *attachment);
guint spoke_connection_get_n_attachments(SpokeConnection *connection);

/* Reconnects (draining first) only if something relevant changed. */
void spoke_connection_set_options(SpokeConnection *connection,
                                  const SpokeConnectionOptions *options);
/* (transfer none) */
const SpokeConnectionOptions *spoke_connection_get_options(SpokeConnection *connection);
/* At once, if it is waiting after a failure. */
void spoke_connection_retry(SpokeConnection *connection);

void spoke_connection_start(SpokeConnection *connection);
/* Stops for good: goes on sending until all outboxes are empty or @timeout_usec is over, then
 * closes. @done is called once, when offline. */
void spoke_connection_stop(SpokeConnection *connection, gint64 timeout_usec, void (*done)(gpointer),
                           gpointer user_data);

SpokeConnectionState spoke_connection_get_state(SpokeConnection *connection);
