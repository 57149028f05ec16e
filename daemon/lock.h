/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/*
 * One daemon per state directory: a lock on the file "lock" in it, which the kernel drops with the
 * process, however it ends.
 */

/**
 * spoke_lock_take:
 * @directory: made (mode 0700) if it is not there
 *
 * Returns: a descriptor that holds the lock until it is closed, or -1. Errors: SPOKE_ERROR_FAILED;
 * with ret_busy set if another process has it
 */
int spoke_lock_take(const char *directory, gboolean *ret_busy, GError **error);
