/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/secret.h"

#include <gio/gio.h>

/*
 * One request without a body and the head of its answer, on a stream that becomes something else
 * then: a tunnel (CONNECT) or a WebSocket. Not a byte is read beyond the head.
 */
typedef struct {
    guint status;        /* its words may be anybody's, and are not kept */
    GHashTable *headers; /* owned; lower-case name → value; of a repeated one the last */
} SpokeHttpHead;

void spoke_http_head_free(SpokeHttpHead *head);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpokeHttpHead, spoke_http_head_free)

/* @request: with the empty line at its end; may hold a password */
void spoke_http_exchange_async(GIOStream *stream, SpokeSecret *request, GCancellable *cancellable,
                               GAsyncReadyCallback callback, gpointer user_data);
/* Returns: (transfer full): NULL with an error of GIO's */
SpokeHttpHead *spoke_http_exchange_finish(GIOStream *stream, GAsyncResult *result, GError **error);
