/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/clock.h"
#include "daemon/connection.h"

/*
 * What a test replaces. spoke_connection_new() fills in the machine's own.
 */
typedef struct {
    const SpokeTransportModule *module; /* NULL: loaded from the transport directory when needed */
    SpokeClock *clock;                  /* (transfer full) */
    double (*random)(void);             /* 0 <= n < 1 */
    gboolean watches_network;           /* follow GNetworkMonitor */
} SpokeConnectionParts;

SpokeConnection *spoke_connection_new_from(const SpokeConnectionOptions *options,
                                           const SpokeConnectionParts *parts,
                                           const SpokeConnectionEvents *events, gpointer user_data);

/* GNetworkMonitor says that something has changed, and whether there is a network now. */
void spoke_connection_network_changed(SpokeConnection *connection, gboolean is_available);

/* Wall clock readings before this are no time of day: the machine has no battery behind its clock,
 * and nobody has set it yet. 2025-01-01T00:00:00Z. */
#define SPOKE_CONNECTION_CLOCK_SANE_USEC G_GINT64_CONSTANT(1735689600000000)

/* No acknowledgement for so long while some are awaited: the peer fell silent. The SDKs wait 30 to
 * 120 s. Source: iot-hub-protocol.md, 2.10. */
#define SPOKE_CONNECTION_ACK_USEC (60 * G_USEC_PER_SEC)

/* How long a renewal waits for what is in flight. What is left then is sent again. */
#define SPOKE_CONNECTION_DRAIN_USEC (10 * G_USEC_PER_SEC)

/* A module says goodbye within this, or is dropped. */
#define SPOKE_CONNECTION_CLOSE_USEC (5 * G_USEC_PER_SEC)

/* A change of the network brings an attempt within this, spread over all the machines on it. */
#define SPOKE_CONNECTION_NETWORK_USEC G_USEC_PER_SEC
