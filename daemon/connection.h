/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/credentials.h"
#include "daemon/outbox.h"
#include "daemon/transport.h"

/*
 * The one connection: offline → connecting → connected → (draining) → offline …
 *
 * It loads a transport module when it needs one, logs in, moves telemetry from the outbox to the
 * hub within the transport's window, hands C2D up, renews the token (drain what is in flight,
 * reconnect at once), and comes back with back-off after a failure. It alone knows what is in
 * flight. Time-outs run on CLOCK_BOOTTIME; a step of the wall clock re-checks the token.
 */
typedef struct SpokeConnection SpokeConnection;

typedef enum {
    SPOKE_CONNECTION_OFFLINE,
    SPOKE_CONNECTION_CONNECTING,
    SPOKE_CONNECTION_CONNECTED,
    SPOKE_CONNECTION_DRAINING,
} SpokeConnectionState;

const char *spoke_connection_state_to_string(SpokeConnectionState state); /* "offline", … */

typedef struct {
    const char *transport_dir; /* where modules are */
    const char *host;          /* to connect to */
    guint16 port;              /* 0: the transport's default */
    const char *ca_file;       /* NULL: the system's */
    guint keepalive_sec;
    guint connect_timeout_sec;
} SpokeConnectionOptions;

typedef struct {
    /* State, transport, last error, next attempt or token expiry has changed. */
    void (*changed)(gpointer user_data);
    /* A C2D message; answer with spoke_connection_settle() once, also after the connection is gone
     * (a stale token is ignored). (transfer none) */
    void (*arrived)(SpokeMessage *message, guint64 token, gpointer user_data);
} SpokeConnectionEvents;

/* Copies @options. (transfer full) */
SpokeConnection *spoke_connection_new(const SpokeConnectionOptions *options,
                                      const SpokeConnectionEvents *events, gpointer user_data);
void spoke_connection_free(SpokeConnection *connection); /* gives back what is in flight */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpokeConnection, spoke_connection_free)

/* Who connects. The connection borrows @spool (for message ids) and @outbox, which must outlive it,
 * and must be told by the outbox's ready() through spoke_connection_wake(). */
void spoke_connection_set_identity(SpokeConnection *connection, SpokeIdentity *identity,
                                   SpokeCredentials *credentials, SpokeSpool *spool,
                                   SpokeOutbox *outbox);

/* New options or credentials: reconnects (draining first) only if something relevant changed, and
 * at once if it was waiting after a failure. */
void spoke_connection_reconfigure(SpokeConnection *connection,
                                  const SpokeConnectionOptions *options, SpokeIdentity *identity,
                                  SpokeCredentials *credentials);

void spoke_connection_start(SpokeConnection *connection);
/* There may be something to send. */
void spoke_connection_wake(SpokeConnection *connection);
/* Whether C2D is wanted; FALSE leaves it at the hub. TRUE at first. */
void spoke_connection_set_receiving(SpokeConnection *connection, gboolean on);
void spoke_connection_settle(SpokeConnection *connection, guint64 token, SpokeVerdict verdict);

/* Stops for good: goes on sending until the outbox is empty or @timeout_usec is over, then closes.
 * @done is called once, when offline. */
void spoke_connection_stop(SpokeConnection *connection, gint64 timeout_usec, void (*done)(gpointer),
                           gpointer user_data);

SpokeConnectionState spoke_connection_get_state(SpokeConnection *connection);
const char *spoke_connection_get_transport(SpokeConnection *connection); /* "" without one */
SpokeCapabilities spoke_connection_get_capabilities(SpokeConnection *connection);
SpokeCause spoke_connection_get_last_error(SpokeConnection *connection, const char **ret_detail);
gint64 spoke_connection_get_connected_since(SpokeConnection *connection); /* wall usec or 0 */
gint64 spoke_connection_get_next_attempt(SpokeConnection *connection);    /* wall usec or 0 */
gint64 spoke_connection_get_token_expiry(SpokeConnection *connection);    /* wall usec or 0 */
