/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gio.h>

/**
 * emu_certificates_ensure:
 * @state_dir: holds ca.pem, ca-key.pem, server.pem and server-key.pem afterwards
 * @host: the name the server certificate must cover beside the loopback names
 *
 * Makes the certificate authority and the server certificate that are missing, run out within a
 * week, or do not cover @host. The authority is kept as long as it is valid, so that clients that
 * trust it go on trusting it.
 *
 * Returns: (transfer full): the server's certificate with its key.
 */
GTlsCertificate *emu_certificates_ensure(const char *state_dir, const char *host, GError **error);

/* Returns: (transfer full): the certificate authority of @state_dir as something to trust. */
GTlsDatabase *emu_certificates_trust(const char *state_dir, GError **error);
