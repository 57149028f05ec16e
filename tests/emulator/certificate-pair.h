/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <gnutls/x509.h>

/* A certificate with its key, made with GnuTLS. RSA, because the hub's strong suites are ECDHE_RSA
 * and some device stacks speak no other. */
typedef struct {
    gnutls_x509_crt_t certificate; /* owned; NULL when not loaded */
    gnutls_x509_privkey_t key;     /* owned; likewise */
} EmuPair;

void emu_pair_clear(EmuPair *pair);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(EmuPair, emu_pair_clear)

/* Makes room for a pair; what was there goes. */
void emu_pair_init(EmuPair *pair);

/* Reads a pair that was made room for; FALSE when it is not there or not good for another week. */
gboolean emu_pair_load(EmuPair *pair, const char *certificate_file, const char *key_file);

gboolean emu_pair_save(const EmuPair *pair, const char *certificate_file, const char *key_file,
                       GError **error);

/**
 * emu_pair_prepare:
 * @days: from now; below 0 it has run out already
 *
 * Makes a key and what all certificates have in common: a name, a serial number, a life. To be
 * signed with emu_pair_sign_authority() or _leaf().
 */
gboolean emu_pair_prepare(EmuPair *pair, const char *common_name, int days, GError **error);

/* Makes the prepared pair an authority, signed with its own key. */
gboolean emu_pair_sign_authority(EmuPair *pair, GError **error);

/**
 * emu_pair_sign_leaf:
 * @issuer: an authority, or @pair itself
 * @purpose: a GNUTLS_KP_ name
 */
gboolean emu_pair_sign_leaf(EmuPair *pair, const EmuPair *issuer, const char *purpose,
                            GError **error);

/* Returns: (transfer full): the certificate, or the key, as PEM. */
char *emu_pair_certificate_pem(const EmuPair *pair, GError **error);
char *emu_pair_key_pem(const EmuPair *pair, GError **error);

/* Returns FALSE with @error for a negative result of GnuTLS; @what says what was tried. */
gboolean emu_gnutls_check(int r, const char *what, GError **error);
