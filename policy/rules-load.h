/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "policy/rules-file.h"

/*
 * Finds and reads policy files: the one part of policy/ that touches a disk, apart from the engine,
 * which works on what comes out of it. Nothing here is kept: who holds the last good rules goes on
 * with them when this fails.
 */
#define SPOKE_RULES_VENDOR_DIRECTORY "/usr/lib/spoked"
#define SPOKE_RULES_ADMIN_DIRECTORY  "/etc/spoked"

/* Adds one file. Errors: as spoke_rules_draft_read(), or "PATH: why it can't be read". */
gboolean spoke_rules_load_file(SpokeRulesDraft *draft, const char *path,
                               GError **error) G_GNUC_WARN_UNUSED_RESULT;

/**
 * spoke_rules_load_directory:
 * @ret_n: how many files there were
 *
 * Adds *.policy of @directory: default.policy first, which the others build on, then they in the
 * order of their names. A directory that is not there has none.
 */
gboolean spoke_rules_load_directory(SpokeRulesDraft *draft, const char *directory, guint *ret_n,
                                    GError **error) G_GNUC_WARN_UNUSED_RESULT;
