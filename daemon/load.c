/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/load.h"

size_t
spoke_load_guess_cost(const SpokeLoadPart *part)
{
    return part->messages > 0 ? MAX(part->bytes / part->messages, 1) : 1;
}

void
spoke_load_begin(SpokeLoad *load, guint messages_max, size_t bytes_max)
{
    *load = (SpokeLoad){.messages_max = messages_max, .bytes_max = bytes_max};
}

void
spoke_load_join(SpokeLoad *load, SpokeLoadPart *part, gpointer owner)
{
    *part = (SpokeLoadPart){.load = load, .owner = owner};
    part->link.data = part;
}

static void
leave_line(SpokeLoadPart *part)
{
    if (part->is_waiting)
        g_queue_unlink(&part->load->line, &part->link);
    part->is_waiting = FALSE;
}

void
spoke_load_leave(SpokeLoadPart *part)
{
    if (part->load == NULL)
        return;

    leave_line(part);
    if (part->load->next == part)
        part->load->next = NULL;
    part->load->messages -= part->messages;
    part->load->bytes -= part->bytes;
    *part = (SpokeLoadPart){.load = NULL};
}

static gboolean
has_room(const SpokeLoad *load)
{
    return load->messages < load->messages_max && load->bytes < load->bytes_max;
}

/* How large a message is shows only when it is taken, so it is guessed. */
static guint
count_room(const SpokeLoadPart *part)
{
    const SpokeLoad *load = part->load;

    if (!has_room(load))
        return 0;
    return (guint)MIN(load->messages_max - load->messages,
                      (load->bytes_max - load->bytes) / spoke_load_guess_cost(part) + 1);
}

static void
join_line(SpokeLoadPart *part)
{
    if (!part->is_waiting)
        g_queue_push_tail_link(&part->load->line, &part->link);
    part->is_waiting = TRUE;
}

guint
spoke_load_grant(SpokeLoadPart *part, guint max)
{
    SpokeLoad *load = part->load;

    if (part->messages == 0)
        return MIN(max, 1);

    gboolean is_its_turn = load->next == part;
    guint room = is_its_turn || g_queue_is_empty(&load->line) ? count_room(part) : 0;

    if (is_its_turn)
        load->next = NULL;
    if (room == 0)
        join_line(part);
    return MIN(room, max);
}

void
spoke_load_add(SpokeLoadPart *part, const SpokeMessage *message)
{
    size_t cost = spoke_message_cost(message);

    part->messages++;
    part->bytes += cost;
    part->load->messages++;
    part->load->bytes += cost;
}

void
spoke_load_remove(SpokeLoadPart *part, const SpokeMessage *message)
{
    size_t cost = spoke_message_cost(message);

    part->messages--;
    part->bytes -= cost;
    part->load->messages--;
    part->load->bytes -= cost;
}

gpointer
spoke_load_next(SpokeLoad *load)
{
    load->next = NULL;
    if (!has_room(load) || g_queue_is_empty(&load->line))
        return NULL;

    load->next = g_queue_peek_head(&load->line);
    leave_line(load->next);
    return load->next->owner;
}
