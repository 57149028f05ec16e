/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/config-draft.h"

/*
 * The devices of a configuration: what [Hub] and each [Device NAME] say together. Reads the files
 * they name.
 */

/* Fills draft->config->devices. @credentials_directory: (nullable). Errors:
 * SPOKE_ERROR_INVALID_CONFIG, with the place. */
gboolean spoke_config_resolve_devices(SpokeConfigDraft *draft, const char *credentials_directory,
                                      GError **error);
