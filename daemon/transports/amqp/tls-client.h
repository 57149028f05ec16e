/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/transport.h"

#include <gio/gio.h>

/*
 * The client's side of TLS: whom it trusts and what it shows of itself. TLS 1.2 or newer, the
 * server's certificate verified by chain, name and dates; SNI.
 */

/* On top of @base, before the handshake. @ret_cause: set on failure. Returns: (transfer full)
 * (nullable) */
GTlsConnection *spoke_tls_client_new(GIOStream *base, const SpokeEndpoint *endpoint,
                                     SpokeCause *ret_cause, GError **error);

/* After a failed handshake: what is wrong with the server's certificate. (transfer full)
 * (nullable): NULL when it was not that */
char *spoke_tls_client_describe_refusal(GTlsConnection *tls);
