/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gio.h>
#include <gnutls/x509.h>

/* The certificates that a client presented, its own first, and what a hub asks of them. The time
 * is an argument: it is the hub's clock, which may be moved. Source: protocol page, section 10. */
typedef struct EmuChain EmuChain;

/**
 * emu_chain_new:
 * @peer: the client's certificate; its issuers are those that came along
 *
 * Returns: (transfer full): EMU_ERROR_UNAUTHORIZED if it cannot be read or is too long.
 */
EmuChain *emu_chain_new(GTlsCertificate *peer, GError **error);
void emu_chain_free(EmuChain *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(EmuChain, emu_chain_free)

/* Whether the client's own certificate is valid now. EMU_ERROR_UNAUTHORIZED. */
gboolean emu_chain_check_leaf_dates(const EmuChain *self, gint64 now_sec, GError **error);

/* Whether the client's own certificate has this thumbprint, from emu_thumbprint_normalize(). */
gboolean emu_chain_has_thumbprint(const EmuChain *self, const char *thumbprint);

/* Returns: (transfer full) (nullable): the common name of the client's own certificate. */
char *emu_chain_common_name(const EmuChain *self);

/**
 * emu_chain_check_issuer:
 * @authorities: whom to trust, roots or not
 *
 * Whether signatures lead from the client's certificate to one of @authorities, all of it valid
 * now. EMU_ERROR_UNAUTHORIZED.
 */
gboolean emu_chain_check_issuer(const EmuChain *self, const gnutls_x509_crt_t *authorities,
                                guint n_authorities, gint64 now_sec, GError **error);

/* Returns: (transfer full): the SHA-256 thumbprint of a certificate, as normalised. */
char *emu_thumbprint_of(gnutls_x509_crt_t certificate);

/**
 * emu_thumbprint_normalize:
 * @text: hexadecimal digits of a SHA-1 or SHA-256, colons between them or not
 *
 * Returns: (transfer full) (nullable): the digits in upper case; NULL if @text is nothing such.
 */
char *emu_thumbprint_normalize(const char *text);
