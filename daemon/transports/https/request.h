/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/transports/https/pool.h"
#include "daemon/transports/https/status.h"

/*
 * One request. It is made, waits for its turn in the pool, is filled in when that comes (so that
 * what waits costs next to nothing, and what came in meanwhile goes with it), and ends in one call
 * of done(), after which it is gone.
 */
typedef struct SpokeRequest SpokeRequest;

typedef struct {
    /* Its turn: set method, path, headers and body. FALSE: it is not wanted any more, and gone when
     * this returns */
    gboolean (*prepare)(SpokeRequest *request, gpointer user_data);
    /* The end, from the main loop */
    void (*done)(SpokeRequest *request, gpointer user_data);
} SpokeRequestFuncs;

/* Returns: (transfer none): owned by @pool; NULL if prepare() said no. prepare() may be called at
 * once. */
SpokeRequest *spoke_request_start(SpokePool *pool, const SpokeRequestFuncs *funcs,
                                  gpointer user_data);
/* done() will not come. Not from within prepare() or done() of this request. */
void spoke_request_cancel(SpokeRequest *request);

/* In prepare(). @method: constant; @path: with the query */
void spoke_request_set_target(SpokeRequest *request, const char *method, const char *path);
void spoke_request_add_header(SpokeRequest *request, const char *line);
/* @token: (nullable) */
void spoke_request_authorize(SpokeRequest *request, SpokeSecret *token);
/* @body: outlives the request */
void spoke_request_set_body(SpokeRequest *request, const void *body, size_t size);
void spoke_request_set_timeout(SpokeRequest *request, guint seconds);

/* In done() */

/* Returns: NONE if there is an answer */
SpokeCause spoke_request_get_failure(SpokeRequest *request, const char **ret_detail);
/* What it points to lasts as long as done(). */
void spoke_request_get_answer(SpokeRequest *request, SpokeAnswer *ret_answer);
/* (transfer none) (nullable) */
const char *spoke_request_get_header(SpokeRequest *request, const char *name);
/* @previous: NULL for the first. Returns: NULL after the last, else what to pass next */
gconstpointer spoke_request_next_header(SpokeRequest *request, gconstpointer previous,
                                        const char **ret_name, const char **ret_value);
