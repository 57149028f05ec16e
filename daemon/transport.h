/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/cause.h"
#include "daemon/identity.h"
#include "daemon/message.h"
#include "daemon/secret.h"

/*
 * The seam between the connection and a protocol. A protocol family is a module,
 * $libdir/spoked/transports/NAME.so, that exports one symbol, `spoke_transport_module`, of type
 * SpokeTransportModule. It links message_lib (messages, properties, mailbox) and nothing else of
 * the daemon.
 *
 * A SpokeTransport is one connection attempt and, if that succeeds, one connection: it is made,
 * opened once, closed once, freed. All functions are called, and all events come, on the main
 * loop; a library's threads stay inside the module. Events never come from within a call.
 *
 * Life: open() → opened() or closed(). attach() each identity → attached() or detached(). Then
 * send() ⇄ settled(), receive(TRUE) → arrived() ⇄ settle(). close() → closed(). After closed()
 * nothing comes any more, messages sent and not settled are unknown (the connection gives them back
 * to the outbox), and free() may be called, even from within closed(). free() without closed() is
 * allowed and silent.
 */
#define SPOKE_TRANSPORT_ABI 1

typedef struct SpokeTransport SpokeTransport; /* each module's own */

typedef enum {
    SPOKE_CAPABILITY_PUSH = 1 << 0,      /* C2D comes by itself */
    SPOKE_CAPABILITY_SETTLE = 1 << 1,    /* abandon and reject reach the hub */
    SPOKE_CAPABILITY_MULTIPLEX = 1 << 2, /* more than one identity */
    SPOKE_CAPABILITY_RENEW = 1 << 3,     /* attach() again with a new token renews in band */
} SpokeCapabilities;

typedef struct {
    const char *host; /* to connect to: HostName or GatewayHostName; TLS name and SNI */
    guint16 port;
    const char *ca_file; /* PEM; NULL for the system's */
    guint keepalive_sec;
    guint connect_timeout_sec; /* for TCP, TLS and the protocol's own greeting together */
    const char *product;       /* "spoked/0.1.0": DeviceClientType */
} SpokeEndpoint;

/* A verdict on a message we sent, or on one the hub sent. */
typedef enum {
    SPOKE_VERDICT_ACCEPT,
    SPOKE_VERDICT_RELEASE, /* back to the queue. Up: try again later. Down: not taken over (see
                              settle) */
    SPOKE_VERDICT_REJECT,
} SpokeVerdict;

/* A message to send. */
typedef struct {
    SpokeMessage *message;
    const char *message_id; /* nullable; for a message whose system properties hold none */
} SpokeOutgoing;

typedef struct {
    SpokeMessage *message; /* (transfer none): as given to send() */
    SpokeVerdict verdict;
    const char *detail; /* nullable; the hub's word for it */
} SpokeSettlement;

typedef struct {
    /* Logged in as far as the protocol does that before attach(): for MQTT nothing has happened
     * yet. */
    void (*opened)(gpointer user_data);
    /* The end, whatever the reason; once. */
    void (*closed)(SpokeCause cause, const char *detail, gpointer user_data);
    /* @identity can send and receive now. */
    void (*attached)(SpokeIdentity *identity, gpointer user_data);
    /* @identity alone is out; the connection stays. For MQTT never: closed() says it all. */
    void (*detached)(SpokeIdentity *identity, SpokeCause cause, const char *detail,
                     gpointer user_data);
    void (*settled)(const SpokeSettlement *settlements, guint n, gpointer user_data);
    /* A C2D message. @token names it for settle(), which must follow. (transfer none) */
    void (*arrived)(SpokeIdentity *identity, SpokeMessage *message, gpointer token,
                    gpointer user_data);
} SpokeTransportEvents;

/* All slots are filled. */
typedef struct {
    guint32 abi;      /* SPOKE_TRANSPORT_ABI */
    const char *name; /* "mqtt": config, property Transport, journal */
    SpokeCapabilities capabilities;
    guint16 default_port;
    guint window; /* how many sent messages may be unsettled at a time, … */
    size_t
        window_bytes; /* … and how much they may cost (spoke_message_cost()); one may exceed it */

    SpokeTransport *(*create)(const SpokeEndpoint *endpoint, const SpokeTransportEvents *events,
                              gpointer user_data); /* copies @endpoint; @events outlive it */
    void (*open)(SpokeTransport *self);
    /* @token: SAS token, or NULL for X.509. MQTT, where the login is the connection, connects here.
     */
    void (*attach)(SpokeTransport *self, SpokeIdentity *identity, SpokeSecret *token);
    void (*detach)(SpokeTransport *self, SpokeIdentity *identity);
    /* Takes references and copies of its own. @n is within the window. A failed connection is
     * reported by closed(). */
    void (*send)(SpokeTransport *self, SpokeIdentity *identity, const SpokeOutgoing *messages,
                 guint n);
    /* C2D on or off for @identity; off leaves messages at the hub. */
    void (*receive)(SpokeTransport *self, SpokeIdentity *identity, gboolean on);
    /* ACCEPT: it is on disk here, complete it at the hub. RELEASE where the protocol can't: the
     * connection is closed before the hub could take it for delivered. */
    void (*settle)(SpokeTransport *self, gpointer token, SpokeVerdict verdict);
    /* Says goodbye properly; closed(SPOKE_CAUSE_CLOSED) follows within a few seconds at most.
     * Messages should be settled before. */
    void (*close)(SpokeTransport *self);
    void (*free)(SpokeTransport *self);
} SpokeTransportModule;

#define SPOKE_TRANSPORT_SYMBOL "spoke_transport_module"
