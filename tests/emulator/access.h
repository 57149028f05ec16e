/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "registry.h"

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
 * else; EMU_ERROR_DISABLED for a disabled identity.
 */
gboolean emu_access_check(EmuRegistry *registry, const char *host, const EmuIdentity *identity,
                          const char *token, size_t token_size, gint64 now_sec, gint64 grace_sec,
                          gint64 *ret_expiry_sec, GError **error);
