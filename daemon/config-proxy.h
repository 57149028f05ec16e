/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/config-draft.h"

/*
 * The proxy of a configuration: what [Proxy] says as a whole or, where it gives no Url=, the
 * environment. Fills draft->config->proxy. @environment: as of g_get_environ(). Errors:
 * SPOKE_ERROR_INVALID_CONFIG, with the place.
 */
gboolean spoke_config_resolve_proxy(SpokeConfigDraft *draft, char **environment, GError **error);
