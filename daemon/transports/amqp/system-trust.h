/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gio.h>

/*
 * The certificates that the machine trusts, read for one question and let go of: they take
 * megabytes, and GIO keeps them for as long as the process lives.
 *
 * @certificate with its chain, as the peer showed it; @host: a name or an address. Returns: what is
 * wrong with it; 0 for nothing
 */
GTlsCertificateFlags spoke_system_trust_verify(GTlsCertificate *certificate, const char *host);
