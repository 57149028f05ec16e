/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/spool.h"

/*
 * Messages in the spool, identity by identity, also of those that are not served: the configuration
 * named another hub or device when they were taken. Nobody sends them, hands them out or counts
 * them, so somebody should be told that they are there.
 */

/* @queued: for the hub. @received: from it, dead letters too. At least one is not 0. */
typedef void (*SpokeStrangerFunc)(const char *identity, guint64 queued, guint64 received,
                                  gpointer user_data);

/* Calls @stranger for each identity (a SpokeIdentity's key) with messages; whether it is served is
 * the caller's to know. Start-up; blocks. */
gboolean spoke_strangers_find(SpokeSpool *spool, SpokeStrangerFunc stranger, gpointer user_data,
                              GError **error) G_GNUC_WARN_UNUSED_RESULT;
