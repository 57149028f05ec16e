/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "chain.h"

typedef struct EmuStore EmuStore;

/* The certificate authorities registered with the hub: whoever has a certificate that leads to one
 * of them, in the name of a device, may be that device. Kept in hub.db. */
typedef struct EmuAuthorities EmuAuthorities;

/* Source: protocol page, 7.1. */
#define EMU_AUTHORITIES_MAX 25

typedef struct {
    char *thumbprint; /* owned; SHA-256 */
    char *name;       /* owned; the subject */
    char *pem;        /* owned */
    gint64 expiry_sec;
    gnutls_x509_crt_t certificate; /* owned */
} EmuAuthority;

EmuAuthorities *emu_authorities_new(EmuStore *store);
void emu_authorities_free(EmuAuthorities *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(EmuAuthorities, emu_authorities_free)

/**
 * emu_authorities_add:
 * @pem: one certificate; unlike the real hub, this one asks for no proof of possession
 *
 * Registers an authority, or finds it registered. EMU_ERROR_ARGUMENT for what is no certificate of
 * an authority, or one too many.
 *
 * Returns: (transfer none).
 */
const EmuAuthority *emu_authorities_add(EmuAuthorities *self, const char *pem, GError **error);

/* EMU_ERROR_NOT_FOUND. */
gboolean emu_authorities_remove(EmuAuthorities *self, const char *thumbprint, GError **error);

/* Returns: (transfer none) (nullable). */
const EmuAuthority *emu_authorities_find(EmuAuthorities *self, const char *thumbprint);

/* Returns: (transfer none) (element-type EmuAuthority): all of them. */
const GPtrArray *emu_authorities_list(EmuAuthorities *self);

/* Whether one of them stands behind @chain. EMU_ERROR_UNAUTHORIZED. */
gboolean emu_authorities_check(EmuAuthorities *self, const EmuChain *chain, gint64 now_sec,
                               GError **error);
