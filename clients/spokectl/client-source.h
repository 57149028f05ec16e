/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "clients/libspoke/spoke.h"

#include <glib.h>

/* Called once, on the main loop, when the bus is gone. */
typedef void (*SpokeLostFunc)(gpointer user_data);

/**
 * spoke_client_source_attach:
 * @client: borrowed, outlives the source
 *
 * Serves @client on the default main loop.
 *
 * Returns: id of the source, for g_source_remove(); gone by itself once @lost was called
 */
guint spoke_client_source_attach(SpokeClient *client, SpokeLostFunc lost, gpointer user_data);
