/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "clients/libspoke/spoke.h"

#include <glib.h>

/**
 * spoke_pairs_parse:
 * @pairs: "NAME=VALUE" each; NULL for none. Cut apart in place, so that the result borrows from it
 * @ret_n: their number
 *
 * A name ends at the first "=" and is not empty; a value may be.
 *
 * Errors: G_OPTION_ERROR_BAD_VALUE.
 *
 * Returns: (transfer container): for g_free()
 */
SpokeProperty *spoke_pairs_parse(char **pairs, gsize *ret_n, GError **error);
