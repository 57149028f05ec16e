/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "clients/libspoke/spoke.h"

#include <glib.h>

/* Lines that go to the daemon in one call: their bytes side by side, and where each begins. */
typedef struct {
    gpointer owner;       /* borrowed; the pipeline */
    GByteArray *bytes;    /* owned; NULL once accepted */
    GArray *ends;         /* owned; of gsize: where each line ends in bytes */
    GArray *numbers;      /* owned; of guint64: its line number in the input */
    guint64 created_usec; /* when the lines were read, since 1970 in UTC */
    guint64 unsettled;    /* accepted and still to be settled */
} SpokeBatch;

/* A batch takes no more than this, so that a call stays short. */
#define SPOKE_BATCH_FILL_MESSAGES SPOKE_BATCH_MESSAGES_MAX
#define SPOKE_BATCH_FILL_BYTES    (1024 * 1024)

SpokeBatch *spoke_batch_new(gpointer owner);
void spoke_batch_free(SpokeBatch *batch);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpokeBatch, spoke_batch_free)

void spoke_batch_add(SpokeBatch *batch, const char *line, gsize size, guint64 number);
guint spoke_batch_count(const SpokeBatch *batch);
gboolean spoke_batch_is_full(const SpokeBatch *batch);
guint64 spoke_batch_get_number(const SpokeBatch *batch, guint i);

/* Leaves the first half of its lines, of two or more, in @batch, which has not been accepted.
 * Returns: (transfer full): the rest */
SpokeBatch *spoke_batch_split(SpokeBatch *batch);

/**
 * spoke_batch_send:
 * @template: all but body and message-id; if it has a creation-time, the batch sets its own
 * @run_id: each message gets the id RUN_ID-NUMBER. It stays the same when the batch has to be sent
 *     again, so that the cloud can tell repeats
 *
 * Returns: what spoke_client_send_batch() does
 */
int spoke_batch_send(SpokeBatch *batch, SpokeClient *client, const SpokeOutgoing *template,
                     const char *run_id, SpokeSentFunc sent, SpokeSettledFunc settled);
