/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/transport.h"

/*
 * The connections to one hub, shared by the requests of all identities: kept alive, opened as
 * needed, SPOKE_POOL_CONNECTIONS at most. libcurl drives them on the main loop; a request that
 * finds all of them taken waits for its turn.
 */
typedef struct SpokePool SpokePool;

#define SPOKE_POOL_CONNECTIONS 6

/* @drained: called when the last request has ended, from the main loop */
SpokePool *spoke_pool_new(const SpokeEndpoint *endpoint, void (*drained)(gpointer user_data),
                          gpointer user_data); /* copies @endpoint */
/* Cancels all requests, silently. Allowed from within their callbacks. */
void spoke_pool_free(SpokePool *pool);
gboolean spoke_pool_is_idle(const SpokePool *pool);
/* Bytes of bodies that have been sent, of requests that run too. */
guint64 spoke_pool_get_progress(const SpokePool *pool);
