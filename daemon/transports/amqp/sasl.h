/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <proton/transport.h>

/*
 * SASL for a connection whose identities prove themselves by CBS: it says no more than that. The
 * hub's word for it is MSSBCBS, which Proton does not know; ANONYMOUS means the same. Source:
 * iot-hub-protocol.md, 3.1.
 */
void spoke_amqp_sasl_set(pn_transport_t *transport);
