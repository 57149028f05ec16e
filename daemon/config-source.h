/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/config-file.h"

/*
 * Where a secret of the configuration comes from, if it does not stand there: a file of our own, or
 * a credential of systemd's. For config-*.c. Errors: SPOKE_ERROR_INVALID_CONFIG, with the path.
 */

/* A text without a NUL in it, from a file that nobody else can read or change and that is root's or
 * ours. */
SpokeConfigText *spoke_config_source_read_file(const char *path, size_t bytes_max, GError **error);
/* The same from $CREDENTIALS_DIRECTORY, whose modes are systemd's business: it is ours alone. */
SpokeConfigText *spoke_config_source_read_credential(const char *path, size_t bytes_max,
                                                     GError **error);
/* The path of a credential, which may not be there. @directory: (nullable). (transfer full)
 * (nullable) */
char *spoke_config_source_find_credential(const char *directory, const char *name, GError **error);
