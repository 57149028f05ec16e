/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/credentials.h"
#include "daemon/outbox.h"
#include "daemon/transport.h"

/*
 * One identity's place on a connection: its proof, its messages on the way, a state and troubles of
 * its own. A connection carries one (MQTT) or many of them (AMQP, HTTPS); what a device sees of the
 * line to the hub is its attachment. lines.h says which connection it is on; on none, it is
 * offline.
 */
typedef struct SpokeAttachment SpokeAttachment;
typedef struct SpokeConnection SpokeConnection;

typedef enum {
    SPOKE_CONNECTION_OFFLINE,
    SPOKE_CONNECTION_CONNECTING,
    SPOKE_CONNECTION_CONNECTED,
    SPOKE_CONNECTION_DRAINING,
} SpokeConnectionState;

const char *spoke_connection_state_to_string(SpokeConnectionState state); /* "offline", … */

/* All from the main loop, @lost also from within what makes it leave its connection. */
typedef struct {
    /* State, transport, last error, next attempt or token expiry has changed. */
    void (*changed)(gpointer user_data);
    /* A C2D message; answer with spoke_attachment_settle() once, also after the connection is gone
     * (a stale token is ignored). (transfer none) */
    void (*arrived)(SpokeMessage *message, guint64 token, gpointer user_data);
    /* The connection is gone: what has arrived and is not settled can't be settled any more. */
    void (*lost)(gpointer user_data);
} SpokeAttachmentEvents;

/* @spool (for message ids) and @outbox are borrowed and outlive us; the outbox's ready() must come
 * to spoke_attachment_wake(). @events: borrowed, outlives us. (transfer full) */
SpokeAttachment *spoke_attachment_new(SpokeIdentity *identity, SpokeCredentials *credentials,
                                      SpokeSpool *spool, SpokeOutbox *outbox,
                                      const SpokeAttachmentEvents *events, gpointer user_data);
/* Leaves its connection; gives back what is in flight. */
void spoke_attachment_free(SpokeAttachment *attachment);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpokeAttachment, spoke_attachment_free)

/* New ones are used at once if they differ: in band where the transport can, else by a new
 * connection. */
void spoke_attachment_set_credentials(SpokeAttachment *attachment, SpokeCredentials *credentials);
/* No connection can carry it, and why; until it is on one. */
void spoke_attachment_refuse(SpokeAttachment *attachment, SpokeCause cause, const char *detail);
/* There may be something to send. */
void spoke_attachment_wake(SpokeAttachment *attachment);
/* Whether C2D is wanted; FALSE leaves it at the hub. TRUE at first. */
void spoke_attachment_set_receiving(SpokeAttachment *attachment, gboolean on);
void spoke_attachment_settle(SpokeAttachment *attachment, guint64 token, SpokeVerdict verdict);
/* Looks for C2D at the hub now. FALSE: there is no connection. Where the hub pushes there is
 * nothing to do. */
gboolean spoke_attachment_check_now(SpokeAttachment *attachment);

/* (transfer none) (nullable): where it is */
SpokeConnection *spoke_attachment_get_connection(SpokeAttachment *attachment);
SpokeConnectionState spoke_attachment_get_state(SpokeAttachment *attachment);
const char *spoke_attachment_get_transport(SpokeAttachment *attachment); /* "" without one */
SpokeCapabilities spoke_attachment_get_capabilities(SpokeAttachment *attachment);
SpokeCause spoke_attachment_get_last_error(SpokeAttachment *attachment, const char **ret_detail);
gint64 spoke_attachment_get_connected_since(SpokeAttachment *attachment); /* wall usec or 0 */
gint64 spoke_attachment_get_next_attempt(SpokeAttachment *attachment);    /* wall usec or 0 */
gint64 spoke_attachment_get_token_expiry(SpokeAttachment *attachment);    /* wall usec or 0 */
