/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/**
 * spoke_credential_open:
 * @file: (nullable): NULL and "-" are standard input
 *
 * Gets hold of a connection string for the daemon, which reads it to its end within seconds. A
 * plain file is passed as it is. Anything else may take its time (a person types, a program asks
 * for a password) and may be shared with others (the daemon makes it non-blocking), so it is read
 * here first, to its end, and passed on in a pipe.
 *
 * Returns: a descriptor, or -1
 */
int spoke_credential_open(const char *file, GError **error);
