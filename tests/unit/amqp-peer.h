/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <proton/engine.h>
#include <proton/transport.h>

/* A device's end of an AMQP connection: Proton as a client on one end of a socket pair, while the
 * emulator runs on the main context with the other. Whatever waits here fails the test after ten
 * seconds. */
typedef struct {
    int fd;                      /* owned */
    pn_transport_t *transport;   /* owned */
    pn_connection_t *connection; /* owned */
    pn_session_t *session;       /* borrowed from the connection */
    GByteArray *frames;          /* owned; written by Proton: the beginning of a frame */
    GByteArray *output;          /* owned; whole frames, not written to the socket yet */
    GByteArray *received;        /* owned; the body of the last delivery */
    pn_link_t *token_sender;     /* borrowed; NULL before the first token */
    pn_link_t *token_receiver;   /* likewise */
    guint32 message_format;      /* of transfers; Proton itself can only say 0 */
    guint64 last_tag;
    gboolean silent; /* sends nothing of its own accord */
    gboolean ended;  /* the emulator closed the socket */
} AmqpPeer;

/* Takes @fd. Says nothing before amqp_peer_open(). */
AmqpPeer *amqp_peer_new(int fd);
void amqp_peer_free(AmqpPeer *peer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AmqpPeer, amqp_peer_free)

/* Lets both ends run once, waiting a little when nothing happens. Returns whether something did. */
gboolean amqp_peer_run(AmqpPeer *peer);

/* Lets both ends run until nothing has happened for a while. */
void amqp_peer_settle_down(AmqpPeer *peer);

/* Opens connection and session. */
void amqp_peer_open(AmqpPeer *peer);

/* Waits until the connection has ended. */
void amqp_peer_expect_end(AmqpPeer *peer);

/* Attaches a link and waits for the answer, which may be a detach. */
pn_link_t *amqp_peer_sender(AmqpPeer *peer, const char *address);
pn_link_t *amqp_peer_receiver(AmqpPeer *peer, const char *address, int credit);

/* TRUE while the link is open on both sides. */
gboolean amqp_peer_is_attached(pn_link_t *link);

/* Waits until the emulator closes the link. Returns its condition. */
const char *amqp_peer_expect_detach(AmqpPeer *peer, pn_link_t *link);

/* Sends a transfer without waiting for anything; a large one in several frames. */
pn_delivery_t *amqp_peer_post(AmqpPeer *peer, pn_link_t *link, const void *data, size_t size);

/* The same, and waits for credit before and the outcome after. Returns it, 0 if the link or the
 * connection ended instead. */
guint64 amqp_peer_send(AmqpPeer *peer, pn_link_t *link, const void *data, size_t size);

/* Waits for the outcome of a posted delivery. */
guint64 amqp_peer_outcome(AmqpPeer *peer, pn_delivery_t *delivery);

/* Waits for a delivery, whose bytes are in `received` then. */
pn_delivery_t *amqp_peer_next(AmqpPeer *peer, pn_link_t *link);

/* Whether a delivery comes before things have settled down. */
gboolean amqp_peer_has_next(AmqpPeer *peer, pn_link_t *link);

/* Puts a token. Returns the status code of the answer. */
int amqp_peer_put_token(AmqpPeer *peer, const char *audience, const char *token);
