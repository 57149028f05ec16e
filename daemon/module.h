/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/transport.h"

/*
 * Finds the module that has the transport @name, loads it and checks that it is made for this
 * daemon. Once loaded it stays: its library's threads and exit handlers could not bear its going.
 *
 * Errors: SPOKE_ERROR_FAILED, with the file's name. Returns: (transfer none) (nullable)
 */
const SpokeTransportModule *spoke_module_load(const char *directory, const char *name,
                                              GError **error) G_GNUC_WARN_UNUSED_RESULT;
