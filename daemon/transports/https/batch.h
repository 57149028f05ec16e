/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/message.h"

/*
 * The body of a request that carries many messages: a JSON array, whose entries hold any UTF-8 in
 * names and values. Bodies go as text where that is shorter, else in base64. No I/O.
 */

#define SPOKE_BATCH_CONTENT_TYPE "application/vnd.microsoft.iothub.json"

/* Bytes of the whole text, and of what the hub makes of it, counted as the C SDK does: for each
 * message its body, its properties and some overhead. Source: iot-hub-protocol.md, 4.2. */
#define SPOKE_BATCH_BYTES_MAX (255 * 1024 - 1)

typedef struct {
    GString *text; /* owned; an open array until spoke_batch_end() */
    size_t counted;
    guint n;
} SpokeBatch;

void spoke_batch_init(SpokeBatch *batch);
void spoke_batch_clear(SpokeBatch *batch);

/* Returns: FALSE, and nothing is added, if the batch would be too large */
gboolean spoke_batch_add(SpokeBatch *batch, const SpokeMessage *message, const char *message_id);

/* Returns: (transfer none): the finished text */
GString *spoke_batch_end(SpokeBatch *batch);
