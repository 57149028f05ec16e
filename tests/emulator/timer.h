/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/**
 * emu_timer_new:
 *
 * Returns: (transfer full): an attached source that runs @func at the time set with
 * g_source_set_ready_time(), monotonic, and then waits until it is set again.
 */
GSource *emu_timer_new(GSourceFunc func, gpointer user_data);

/* Destroys and forgets a source, if there is one. */
void emu_source_clear(GSource **source);
