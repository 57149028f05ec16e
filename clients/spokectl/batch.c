/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clients/spokectl/batch.h"

SpokeBatch *
spoke_batch_new(gpointer owner)
{
    SpokeBatch *batch = g_new0(SpokeBatch, 1);

    batch->owner = owner;
    batch->created_usec = (guint64)g_get_real_time();
    batch->bytes = g_byte_array_new();
    batch->ends = g_array_new(FALSE, FALSE, sizeof(gsize));
    batch->numbers = g_array_new(FALSE, FALSE, sizeof(guint64));
    return batch;
}

void
spoke_batch_free(SpokeBatch *batch)
{
    if (batch == NULL)
        return;
    g_clear_pointer(&batch->bytes, g_byte_array_unref);
    g_clear_pointer(&batch->ends, g_array_unref);
    g_clear_pointer(&batch->numbers, g_array_unref);
    g_free(batch);
}

void
spoke_batch_add(SpokeBatch *batch, const char *line, gsize size, guint64 number)
{
    g_byte_array_append(batch->bytes, (const guint8 *)line, (guint)size);
    gsize end = batch->bytes->len;
    g_array_append_val(batch->ends, end);
    g_array_append_val(batch->numbers, number);
}

guint
spoke_batch_count(const SpokeBatch *batch)
{
    return batch->numbers->len;
}

gboolean
spoke_batch_is_full(const SpokeBatch *batch)
{
    return batch->ends->len >= SPOKE_BATCH_FILL_MESSAGES ||
           batch->bytes->len >= SPOKE_BATCH_FILL_BYTES;
}

guint64
spoke_batch_get_number(const SpokeBatch *batch, guint i)
{
    return g_array_index(batch->numbers, guint64, i);
}

SpokeBatch *
spoke_batch_split(SpokeBatch *batch)
{
    SpokeBatch *rest = spoke_batch_new(batch->owner);
    guint half = spoke_batch_count(batch) / 2;
    gsize half_end = g_array_index(batch->ends, gsize, half - 1);
    gsize start = half_end;

    rest->created_usec = batch->created_usec;
    for (guint i = half; i < spoke_batch_count(batch); i++) {
        gsize end = g_array_index(batch->ends, gsize, i);

        spoke_batch_add(rest, (const char *)batch->bytes->data + start, end - start,
                        spoke_batch_get_number(batch, i));
        start = end;
    }
    g_byte_array_set_size(batch->bytes, (guint)half_end);
    g_array_set_size(batch->ends, half);
    g_array_set_size(batch->numbers, half);
    return rest;
}

int
spoke_batch_send(SpokeBatch *batch, SpokeClient *client, const SpokeOutgoing *template,
                 const char *run_id, SpokeSentFunc sent, SpokeSettledFunc settled)
{
    guint n = spoke_batch_count(batch);
    g_autofree SpokeOutgoing *messages = g_new(SpokeOutgoing, n);
    g_autoptr(GStringChunk) ids = g_string_chunk_new(4096);
    gsize start = 0;

    for (guint i = 0; i < n; i++) {
        gsize end = g_array_index(batch->ends, gsize, i);
        char id[64];

        g_snprintf(id, sizeof id, "%s-%" G_GUINT64_FORMAT, run_id,
                   spoke_batch_get_number(batch, i));
        messages[i] = *template;
        messages[i].body = batch->bytes->data + start;
        messages[i].body_size = end - start;
        if (template->creation_time_usec != 0)
            messages[i].creation_time_usec = batch->created_usec;
        messages[i].message_id = g_string_chunk_insert(ids, id);
        start = end;
    }
    return spoke_client_send_batch(client, messages, n, sent, settled, batch);
}
