/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/transports/https/request.h"

#include <curl/curl.h>

/* What pool.c and request.c share. */

struct SpokeRequest {
    SpokePool *pool; /* borrowed, outlives us */
    const SpokeRequestFuncs *funcs;
    gpointer user_data;
    GList link; /* in the pool's list of running or of waiting ones */

    CURL *easy;                 /* owned; NULL while it waits */
    struct curl_slist *headers; /* owned; one of them may be secret */
    GByteArray *body;           /* owned; the answer's */
    size_t headers_bytes;       /* likewise */
    CURLcode code;
    gboolean is_retried;
    char error[CURL_ERROR_SIZE]; /* curl's text */
    char *detail;                /* owned */
};

struct SpokePool {
    CURLM *multi;    /* owned; NULL once freed */
    GSource *source; /* owned */
    GArray *sockets; /* owned; of PoolSocket */
    GQueue running;
    GQueue waiting;
    GPtrArray *spares;     /* owned; easy handles for the next requests */
    gboolean has_answered; /* the hub has, a request of ours */
    guint64 sent;          /* bytes of bodies, of requests that have ended */
    void (*drained)(gpointer user_data);
    gpointer user_data;

    char *base; /* owned, constant, as the following: "https://host:port" */
    char *ca_file;
    char *certificate_file;
    char *key_file;
    char *proxy; /* "http://host:port", or "" */
    char *proxy_user;
    SpokeSecret *proxy_password;
    char *product;
    guint connect_timeout_sec;
};

/* Back among the spares */
void spoke_pool_give_easy(SpokePool *pool, CURL *easy);
/* (transfer full): with all options that have nothing to do with the single request */
CURL *spoke_pool_take_easy(SpokePool *pool);
/* Now or when there is room. Returns: FALSE if it was not wanted any more, and is gone */
gboolean spoke_pool_run(SpokePool *pool, SpokeRequest *request);

/* Returns: FALSE if it is not wanted any more */
gboolean spoke_request_prepare(SpokeRequest *request);
void spoke_request_free(SpokeRequest *request);
