/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* A shared access signature as the hub sees it. Source: protocol page, section 1.3. */
typedef struct {
    char *resource;  /* owned: `sr` exactly as it stands in the token */
    char *signature; /* owned: `sig`, percent-decoded: base64 */
    char *expiry;    /* owned: `se` exactly as it stands: it was signed so */
    char *policy;    /* owned: `skn`; NULL when absent or empty */
    gint64 expiry_sec;
} EmuSas;

void emu_sas_clear(EmuSas *sas);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(EmuSas, emu_sas_clear)

/**
 * emu_sas_parse:
 *
 * Takes a token apart; its fields may stand in any order. EMU_ERROR_TOKEN if one is missing.
 */
gboolean emu_sas_parse(const char *token, size_t size, EmuSas *ret_sas, GError **error);

/**
 * emu_sas_is_signed_with:
 * @key: base64; NULL signs nothing
 *
 * Compares in constant time.
 */
gboolean emu_sas_is_signed_with(const EmuSas *sas, const char *key);

/**
 * emu_sas_covers:
 * @resource: what is asked for, as in "{host}/devices/{d}/modules/{m}"
 *
 * Whether `sr` names @resource or something above it, segment by segment, the host without
 * regard to case. `sr` is tried raw first, then percent-decoded once.
 */
gboolean emu_sas_covers(const EmuSas *sas, const char *resource);

/**
 * emu_key_is_valid:
 *
 * TRUE for base64 of 16 to 64 bytes.
 */
gboolean emu_key_is_valid(const char *key);

/**
 * emu_key_new:
 *
 * Returns: (transfer full): a random key of 32 bytes, base64.
 */
char *emu_key_new(void);
