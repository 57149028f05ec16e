/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gio.h>

#include "session.h"

/* A port with TLS on it: listens, shakes hands, makes sessions of one protocol. */
typedef struct EmuTlsServer EmuTlsServer;

/**
 * emu_tls_server_new:
 * @trust: who may have signed client certificates; others are taken too, for login to judge
 * @addresses: NULL-terminated; numeric
 * @port: 0 for any free one, the same on all addresses
 * @optional: an address that cannot be used is passed over, as long as one can
 */
EmuTlsServer *emu_tls_server_new(EmuHub *hub, const EmuSessionKind *kind,
                                 GTlsCertificate *certificate, GTlsDatabase *trust,
                                 const char *const *addresses, guint16 port, gboolean optional,
                                 GError **error);

/* Closes all connections. */
void emu_tls_server_free(EmuTlsServer *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(EmuTlsServer, emu_tls_server_free)

guint16 emu_tls_server_port(EmuTlsServer *self);
