/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/fake-outbox.h"

struct SpokeOutbox {
    GQueue waiting; /* SpokeMessage *, owned */
    guint n_taken;
    guint64 last_id;
    GString *settled;
};

SpokeOutbox *
fake_outbox_new(void)
{
    SpokeOutbox *outbox = g_new0(SpokeOutbox, 1);

    g_queue_init(&outbox->waiting);
    outbox->settled = g_string_new(NULL);
    return outbox;
}

void
fake_outbox_free(SpokeOutbox *outbox)
{
    g_assert_cmpuint(outbox->n_taken, ==, 0);
    g_queue_clear_full(&outbox->waiting, (GDestroyNotify)spoke_message_unref);
    g_string_free(outbox->settled, TRUE);
    g_free(outbox);
}

void
fake_outbox_put(SpokeOutbox *outbox, guint n, size_t body_size)
{
    g_autofree char *body = g_malloc0(body_size);

    for (guint i = 0; i < n; i++) {
        SpokeMessage *message = spoke_message_new(NULL, 0, NULL, 0, body, body_size);

        message->id = ++outbox->last_id;
        g_queue_push_tail(&outbox->waiting, message);
    }
}

char *
fake_outbox_describe_settled(SpokeOutbox *outbox)
{
    return g_strchomp(g_strdup(outbox->settled->str));
}

guint
spoke_outbox_take(SpokeOutbox *outbox, SpokeMessage **ret_messages, guint max)
{
    guint n = 0;

    while (n < max && !g_queue_is_empty(&outbox->waiting))
        ret_messages[n++] = g_queue_pop_head(&outbox->waiting);
    outbox->n_taken += n;
    return n;
}

void
spoke_outbox_settle(SpokeOutbox *outbox, SpokeMessage *message, SpokeOutcome outcome,
                    const char *detail)
{
    g_assert_cmpuint(outbox->n_taken, >, 0);
    outbox->n_taken--;
    g_string_append_printf(outbox->settled, "%" G_GUINT64_FORMAT "%c ", message->id,
                           outcome == SPOKE_OUTCOME_ACCEPTED ? '+' : '-');
    spoke_message_unref(message);
}

void
spoke_outbox_give_back(SpokeOutbox *outbox, SpokeMessage **messages, guint n)
{
    g_assert_cmpuint(outbox->n_taken, >=, n);
    outbox->n_taken -= n;
    for (guint i = n; i > 0; i--)
        g_queue_push_head(&outbox->waiting, messages[i - 1]);
}

guint64
spoke_outbox_get_messages(SpokeOutbox *outbox)
{
    return g_queue_get_length(&outbox->waiting) + outbox->n_taken;
}

void
spoke_spool_format_message_id(SpokeSpool *spool, guint64 id, char *buffer)
{
    g_snprintf(buffer, SPOKE_SPOOL_MESSAGE_ID_SIZE, "m%" G_GUINT64_FORMAT, id);
}
