/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gio.h>

#include "registry.h"

/* When a login ends that has no end of its own: the year 9999. */
#define EMU_ACCESS_ENDLESS_SEC ((gint64)253402300799)

/* Whether @identity may connect at all: it is enabled, and so is the device of a module. */
gboolean emu_access_is_enabled(EmuRegistry *registry, const EmuIdentity *identity);

/**
 * emu_access_check:
 * @host: the hub's name
 * @token: (nullable): the password as it came
 * @now_sec: the hub's clock
 * @grace_sec: how long past its expiry a token is still taken
 * @ret_expiry_sec: when the token runs out, without the grace
 *
 * Decides whether @token lets its bearer connect as @identity. EMU_ERROR_TOKEN when the token is
 * no token, is badly signed or has run out; EMU_ERROR_UNAUTHORIZED when it is good for something
 * else, or the identity uses certificates; EMU_ERROR_DISABLED for a disabled identity.
 */
gboolean emu_access_check(EmuRegistry *registry, const char *host, const EmuIdentity *identity,
                          const char *token, size_t token_size, gint64 now_sec, gint64 grace_sec,
                          gint64 *ret_expiry_sec, GError **error);

/**
 * emu_access_check_certificate:
 * @peer: (nullable): the certificate that the client showed in the TLS handshake
 *
 * Decides the same by a certificate. EMU_ERROR_UNAUTHORIZED when there is none, it is not the
 * right one, it is not valid now, or the identity uses tokens; EMU_ERROR_DISABLED.
 */
gboolean emu_access_check_certificate(EmuRegistry *registry, const EmuIdentity *identity,
                                      GTlsCertificate *peer, gint64 now_sec, GError **error);

/* What a client shows: a token, or none and perhaps a certificate. */
typedef struct {
    const char *token; /* NULL or empty: none */
    size_t token_size;
    GTlsCertificate *peer; /* NULL: none */
} EmuCredential;

/**
 * emu_access_check_credential:
 *
 * Decides by whichever it is: a token if there is one, else by what the identity uses.
 * @ret_expiry_sec is EMU_ACCESS_ENDLESS_SEC for a certificate.
 */
gboolean emu_access_check_credential(EmuRegistry *registry, const char *host,
                                     const EmuIdentity *identity, const EmuCredential *credential,
                                     gint64 now_sec, gint64 grace_sec, gint64 *ret_expiry_sec,
                                     GError **error);
