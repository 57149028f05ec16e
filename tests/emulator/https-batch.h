/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* The batch that a device sends over HTTPS: a JSON array of messages.
 * Source: protocol page, 4.2. */

typedef struct {
    char *bag;    /* owned; see bag.h */
    GBytes *body; /* owned */
} EmuHttpsMessage;

void emu_https_message_free(gpointer message);

/**
 * emu_https_batch_parse:
 *
 * Returns: (transfer full) (element-type EmuHttpsMessage): the messages in their order.
 * EMU_ERROR_ARGUMENT for what is no batch: then none of it counts.
 */
GPtrArray *emu_https_batch_parse(const char *text, size_t size, GError **error);
