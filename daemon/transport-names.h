/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/config.h"

/*
 * The transports there are, by the names of policy/protocol.h, and what the daemon has to know of
 * one that is not loaded. Here, there and in a module is where a further one has to be named.
 */

gboolean spoke_transport_name_is_known(const char *name);
/* The port that @config has for the transport it names: the key differs. */
guint16 spoke_transport_name_get_port(const SpokeConfig *config);
/* "mqtt, mqtt-ws @conjunction amqp": those that carry @identities_min or more on a connection.
 * (transfer full) */
char *spoke_transport_names_join(guint identities_min, const char *conjunction);
