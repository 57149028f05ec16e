/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/identity.h"

/* "/devices/ID", or "/devices/ID/modules/ID", as addresses of nodes and audiences of tokens have
 * it: ids are percent-encoded as segments of a path, so that "g%41" is not taken for "gA".
 * (transfer full) */
char *spoke_amqp_address_new(const SpokeIdentity *identity);
