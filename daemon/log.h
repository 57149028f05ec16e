/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/*
 * Where log lines go. Where the journal has our stderr ($JOURNAL_STREAM names it) they go to the
 * journal with all their fields; anywhere else the text alone goes to stderr with its level, so
 * that a daemon run by hand, or by a test, can be read.
 */

/* Makes GLib's log take the same way: our debug lines (domain "spoked") and what libraries warn of.
 * Call before any thread is started and again when the wish for debug lines changes. */
void spoke_log_setup(gboolean debug);
gboolean spoke_log_is_debug(void);

/**
 * spoke_log_entry:
 * @priority: of syslog(3), LOG_ERR and so on
 * @message_id: 32 hex digits; see data/spoked.catalog
 * @text: one line for an operator
 * @...: pairs of a field's name and its value, both const char *, ended by NULL
 *
 * Writes one entry. For daemon/events.c; everybody else calls an event's function, or g_debug().
 */
void spoke_log_entry(int priority, const char *message_id, const char *text,
                     ...) G_GNUC_NULL_TERMINATED;
