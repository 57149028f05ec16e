/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/transport.h"

/* A SpokeEndpoint with all it points to. (transfer full) */
SpokeEndpoint *spoke_amqp_endpoint_copy(const SpokeEndpoint *endpoint);
void spoke_amqp_endpoint_free(SpokeEndpoint *endpoint);

/* "HOST:PORT" as it stands in requests: an IPv6 address in brackets. (transfer full) */
char *spoke_amqp_endpoint_format(const SpokeEndpoint *endpoint);
