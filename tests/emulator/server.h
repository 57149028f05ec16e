/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "options.h"

/**
 * emu_server_run:
 *
 * Makes the hub and its heads, says where they listen, and serves until SIGTERM or SIGINT.
 */
gboolean emu_server_run(const EmuOptions *options, GError **error);
