/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/inflight.h"

/*
 * A ring of pointers with three marks that only rise: head ≤ sent ≤ tail. Settling leaves a hole
 * before the sent mark; as acknowledgements come nearly in order, the search from the head finds
 * its message at once and the head soon passes the holes.
 */
struct SpokeInflight {
    SpokeMessage **ring; /* owned, and so are the messages in it */
    guint size;          /* a power of two; 0 before the first */
    guint head;
    guint sent;
    guint tail;
    guint n_sent; /* without the holes */
    size_t sent_bytes;
};

#define SIZE_FIRST 8

static SpokeMessage **
slot(SpokeInflight *inflight, guint mark)
{
    return &inflight->ring[mark & (inflight->size - 1)];
}

static void
grow(SpokeInflight *inflight)
{
    guint size = MAX(inflight->size * 2, SIZE_FIRST);
    SpokeMessage **ring = g_new0(SpokeMessage *, size);

    for (guint mark = inflight->head; mark != inflight->tail; mark++)
        ring[mark & (size - 1)] = *slot(inflight, mark);
    g_free(inflight->ring);
    inflight->ring = ring;
    inflight->size = size;
}

SpokeInflight *
spoke_inflight_new(void)
{
    return g_new0(SpokeInflight, 1);
}

void
spoke_inflight_free(SpokeInflight *inflight)
{
    if (inflight == NULL)
        return;

    g_warn_if_fail(inflight->head == inflight->tail);
    g_free(inflight->ring);
    g_free(inflight);
}

void
spoke_inflight_add(SpokeInflight *inflight, SpokeMessage *message)
{
    if (inflight->tail - inflight->head == inflight->size)
        grow(inflight);
    *slot(inflight, inflight->tail++) = message;
}

SpokeMessage *
spoke_inflight_peek(SpokeInflight *inflight)
{
    return inflight->sent != inflight->tail ? *slot(inflight, inflight->sent) : NULL;
}

void
spoke_inflight_advance(SpokeInflight *inflight)
{
    g_return_if_fail(inflight->sent != inflight->tail);

    inflight->sent_bytes += spoke_message_cost(*slot(inflight, inflight->sent++));
    inflight->n_sent++;
}

gboolean
spoke_inflight_remove(SpokeInflight *inflight, SpokeMessage *message)
{
    guint mark = inflight->head;

    while (mark != inflight->sent && *slot(inflight, mark) != message)
        mark++;
    if (mark == inflight->sent)
        return FALSE;

    *slot(inflight, mark) = NULL;
    inflight->n_sent--;
    inflight->sent_bytes -= spoke_message_cost(message);
    while (inflight->head != inflight->sent && *slot(inflight, inflight->head) == NULL)
        inflight->head++;
    return TRUE;
}

SpokeMessage **
spoke_inflight_steal(SpokeInflight *inflight, guint *ret_n)
{
    SpokeMessage **messages = g_new(SpokeMessage *, inflight->tail - inflight->head + 1);
    guint n = 0;

    for (guint mark = inflight->head; mark != inflight->tail; mark++)
        if (*slot(inflight, mark) != NULL)
            messages[n++] = *slot(inflight, mark);
    inflight->head = inflight->sent = inflight->tail;
    inflight->n_sent = 0;
    inflight->sent_bytes = 0;
    *ret_n = n;
    return messages;
}

SpokeMessage **
spoke_inflight_steal_waiting(SpokeInflight *inflight, guint *ret_n)
{
    SpokeMessage **messages = g_new(SpokeMessage *, inflight->tail - inflight->sent + 1);
    guint n = 0;

    for (guint mark = inflight->sent; mark != inflight->tail; mark++)
        messages[n++] = *slot(inflight, mark);
    inflight->tail = inflight->sent;
    *ret_n = n;
    return messages;
}

guint
spoke_inflight_get_sent(SpokeInflight *inflight)
{
    return inflight->n_sent;
}

size_t
spoke_inflight_get_sent_bytes(SpokeInflight *inflight)
{
    return inflight->sent_bytes;
}

SpokeMessage *
spoke_inflight_get_oldest(SpokeInflight *inflight)
{
    return inflight->head != inflight->sent ? *slot(inflight, inflight->head) : NULL;
}
