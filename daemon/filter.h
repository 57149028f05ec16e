/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/message.h"

/*
 * What a subscriber or receiver lets through: a packed list of app properties, all of which a
 * message must have with exactly these values. NULL or empty lets everything through.
 */
#define SPOKE_FILTER_BYTES_MAX 16384

gboolean spoke_filter_matches(GBytes *filter, const SpokeMessage *message);

/* Errors: INVALID_OPTION when it is too long */
gboolean spoke_filter_check(GBytes *filter, GError **error);
