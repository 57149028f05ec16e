/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/transport.h"

/*
 * A transport that does what the test says: it records what it is asked for, and each event comes
 * from a function here. One at a time; the last one made is meant.
 */
typedef struct {
    guint n_created; /* so many attempts */
    guint n_alive;
    gboolean is_open;
    gboolean is_attached_to; /* attach() was called */
    gboolean had_token;
    gboolean is_closing; /* close() was called */
    gboolean is_receiving;
    guint n_receive_calls;
    guint n_batches;
    GPtrArray *sent;     /* SpokeMessage *, borrowed: on this connection and not settled */
    GPtrArray *senders;  /* SpokeIdentity *, borrowed: of those */
    GPtrArray *sent_ids; /* char *, owned: message ids of all that were sent, in order */
    GArray *verdicts;    /* SpokeVerdict, on arrivals */
    GPtrArray *asked;  /* SpokeIdentity *, borrowed: attach() was called for, on this connection */
    GPtrArray *let_go; /* likewise: detach() */
    guint n_polls;
    guint64 progress; /* the test's: bytes that got through */
} FakeTransport;

/* Window 4, 10000 bytes; of the connection 6, 15000 bytes. */
extern const SpokeTransportModule fake_transport_module;
/* Like AMQP or HTTPS: three identities, tokens renewed in band, C2D to be asked for. */
extern const SpokeTransportModule fake_transport_for_many;

/* Resets the record. */
FakeTransport *fake_transport_begin(void);
void fake_transport_finish(void);

void fake_transport_opened(void);
void fake_transport_attached(void);
/* Of several. What is settled or arrives from then on is this one's. */
void fake_transport_attached_as(SpokeIdentity *identity);
void fake_transport_detached(SpokeIdentity *identity, SpokeCause cause, gint64 wait_usec);
/* Both of the above. */
void fake_transport_log_in(void);
void fake_transport_closed(SpokeCause cause);
/* The oldest @n are settled, in one call. */
void fake_transport_settled(guint n, SpokeVerdict verdict);
/* One out of order. */
void fake_transport_settled_at(guint index, SpokeVerdict verdict);
/* The oldest of @identity, of several. */
void fake_transport_accepted_of(SpokeIdentity *identity);
guint fake_transport_count_sent(SpokeIdentity *identity);
void fake_transport_arrived(SpokeMessage *message, gpointer token);
