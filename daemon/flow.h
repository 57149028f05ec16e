/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/load.h"
#include "daemon/outbox.h"
#include "daemon/suspicion.h"
#include "daemon/transport.h"

/*
 * Messages between an outbox and a logged-in transport: takes from the one, sends over the other
 * within its window, settles as the hub acknowledges, and gives back in order what is left when
 * the transport ends. It also remembers which message from the hub awaits which verdict.
 */
typedef struct SpokeFlow SpokeFlow;

/* @spool and @outbox are borrowed and outlive the flow. (transfer full) */
SpokeFlow *spoke_flow_new(SpokeSpool *spool, SpokeOutbox *outbox);
void spoke_flow_free(SpokeFlow *flow); /* gives back */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpokeFlow, spoke_flow_free)

/* @transport is logged in as @identity. All are borrowed until spoke_flow_end(). @owner: who waits
 * for room on @load, in spoke_load_next() */
void spoke_flow_begin(SpokeFlow *flow, const SpokeTransportModule *module,
                      SpokeTransport *transport, SpokeIdentity *identity, SpokeLoad *load,
                      gpointer owner);

/* Sends what there is and what there is room for. */
void spoke_flow_feed(SpokeFlow *flow);

/* From the transport's settled(). */
void spoke_flow_settled(SpokeFlow *flow, const SpokeSettlement *settlements, guint n);

/* The transport has ended, or is given up: everything goes back to the outbox.
 * @lived_usec: since spoke_flow_begin(), 0 if it did not come to that. Returns: the cause to go by
 * (see suspicion.h) */
SpokeCause spoke_flow_end(SpokeFlow *flow, SpokeCause cause, gint64 lived_usec);

guint spoke_flow_get_sent(SpokeFlow *flow);     /* not settled */
guint64 spoke_flow_get_queued(SpokeFlow *flow); /* in the outbox, sent or not */

/* A message has arrived that the transport calls @token. Returns: a number for it, never used
 * twice */
guint64 spoke_flow_add_arrival(SpokeFlow *flow, gpointer token);
/* Passes the verdict on. FALSE: it is from an earlier connection, or settled. */
gboolean spoke_flow_settle_arrival(SpokeFlow *flow, guint64 number, SpokeVerdict verdict);
guint spoke_flow_get_arrivals(SpokeFlow *flow); /* that await a verdict */
