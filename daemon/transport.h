/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/cause.h"
#include "daemon/identity.h"
#include "daemon/message.h"
#include "daemon/secret.h"

/*
 * The seam between the connection and a protocol. A protocol family is a module file,
 * $libdir/spoked/transports/FAMILY.so, that exports one symbol, `spoke_transport_modules`: a
 * NULL-terminated array of pointers to SpokeTransportModule, one for each form the family has
 * ("amqp", "amqp-ws"). What stands before the first dash of a form's name is its file. It links
 * message_lib (messages, properties, mailbox) and nothing else of the daemon.
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
 *
 * After detached() the same holds for that one identity: nothing of it comes any more, what it sent
 * and is not settled is unknown, its tokens mean nothing, and attach() may bring it back.
 */
#define SPOKE_TRANSPORT_ABI 3

typedef struct SpokeTransport SpokeTransport; /* each module's own */

typedef enum {
    SPOKE_CAPABILITY_PUSH = 1 << 0,      /* C2D comes by itself */
    SPOKE_CAPABILITY_SETTLE = 1 << 1,    /* abandon and reject reach the hub */
    SPOKE_CAPABILITY_MULTIPLEX = 1 << 2, /* more than one identity */
    SPOKE_CAPABILITY_RENEW = 1 << 3,     /* attach() again with a new token renews in band */
    SPOKE_CAPABILITY_PROXY = 1 << 4,     /* goes through an HTTP proxy */
} SpokeCapabilities;

/* An HTTP proxy, to be asked for a tunnel with CONNECT. */
typedef struct {
    const char *host;
    guint16 port;
    const char *user;      /* NULL: without authentication */
    SpokeSecret *password; /* NULL: none */
} SpokeProxy;

typedef struct {
    const char *host; /* to connect to: HostName or GatewayHostName; TLS name and SNI */
    guint16 port;
    const char *ca_file; /* PEM; NULL for the system's */
    /* X.509: PEM, the client's certificate with its chain and its key; both NULL without. They are
     * read when the connection is made. */
    const char *certificate_file;
    const char *key_file;
    const SpokeProxy *proxy; /* NULL: straight to the host. Set only for those that can */
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
    /* As far as the protocol goes without an identity: attach() is called from now on. Where the
     * login is the connection, nothing has happened yet. */
    void (*opened)(gpointer user_data);
    /* The end, whatever the reason; once. */
    void (*closed)(SpokeCause cause, const char *detail, gpointer user_data);
    /* The hub has accepted @identity: it can send and receive now. Where a protocol knows no login,
     * the module asks the hub something that shows it. Comes again when attach() renewed a token in
     * band. */
    void (*attached)(SpokeIdentity *identity, gpointer user_data);
    /* @identity alone is out; the connection stays. Never comes where the identity is the
     * connection: closed() says it all.
     * @wait_usec: the hub said not to come back before, or 0 */
    void (*detached)(SpokeIdentity *identity, SpokeCause cause, const char *detail,
                     gint64 wait_usec, gpointer user_data);
    /* All of @identity. */
    void (*settled)(SpokeIdentity *identity, const SpokeSettlement *settlements, guint n,
                    gpointer user_data);
    /* A C2D message, its delivery_count set where the hub tells it. @token names it for settle(),
     * which must follow; it is unique within the transport. (transfer none) */
    void (*arrived)(SpokeIdentity *identity, SpokeMessage *message, gpointer token,
                    gpointer user_data);
} SpokeTransportEvents;

/* All slots are filled. */
typedef struct {
    guint32 abi;      /* SPOKE_TRANSPORT_ABI */
    const char *name; /* see transport-names.h: config, property Transport, journal */
    SpokeCapabilities capabilities;
    guint16 default_port;
    guint identities_max; /* on one connection; 1 without MULTIPLEX */
    /* How many sent messages of one identity may be unsettled at a time, and how much they may cost
     * (spoke_message_cost()); one message may exceed the latter. */
    guint window;
    size_t window_bytes;
    /* The same of all identities of a connection together; what one may have besides in any case is
     * a single message. Without MULTIPLEX no less than the above. */
    guint connection_window;
    size_t connection_bytes;

    SpokeTransport *(*create)(const SpokeEndpoint *endpoint, const SpokeTransportEvents *events,
                              gpointer user_data); /* copies @endpoint; @events outlive it */
    void (*open)(SpokeTransport *self);
    /* @token: SAS token, or NULL for X.509. Where the login is the connection, connects. For an
     * identity that is attached, where RENEW: the new token is for it. */
    void (*attach)(SpokeTransport *self, SpokeIdentity *identity, SpokeSecret *token);
    /* detached(SPOKE_CAUSE_CLOSED) follows, also for one that is being attached. @identity is the
     * pointer that was attached, as everywhere. */
    void (*detach)(SpokeTransport *self, SpokeIdentity *identity);
    /* Takes references and copies of its own. @n is within the window. A failed connection is
     * reported by closed(). May be called many times in a row: where messages can share a frame or
     * a request, gather them until the main loop comes round. */
    void (*send)(SpokeTransport *self, SpokeIdentity *identity, const SpokeOutgoing *messages,
                 guint n);
    /* C2D on or off for @identity; off leaves messages at the hub. Said before attach(), too, for
     * hubs that send what there is as soon as one has logged in. */
    void (*receive)(SpokeTransport *self, SpokeIdentity *identity, gboolean on);
    /* Without PUSH: asks the hub for C2D now, until it has none or receive() is off; when to is the
     * connection's business. With PUSH: nothing. */
    void (*poll)(SpokeTransport *self, SpokeIdentity *identity);
    /* A count that rises as what is sent makes its way: with each byte that the peer's TCP
     * acknowledges or, where the module can't know that, that the kernel takes from it. While it
     * does, a large message on a slow line is on its way, and nobody need lose patience; so it must
     * not rise by itself while the peer takes nothing, save for as much as a socket buffers. */
    guint64 (*get_progress)(SpokeTransport *self);
    /* ACCEPT: complete it at the hub. RELEASE, REJECT: abandon, dead-letter it; RELEASE where the
     * protocol can't: the connection is closed before the hub could take it for delivered. */
    void (*settle)(SpokeTransport *self, gpointer token, SpokeVerdict verdict);
    /* Says goodbye properly; closed(SPOKE_CAUSE_CLOSED) follows within a few seconds at most.
     * Messages should be settled before. */
    void (*close)(SpokeTransport *self);
    void (*free)(SpokeTransport *self);
} SpokeTransportModule;

#define SPOKE_TRANSPORT_SYMBOL "spoke_transport_modules"
