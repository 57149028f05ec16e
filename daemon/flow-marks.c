/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/flow-marks.h"

#include <string.h>

/*
 * A sorted array: a device has few senders, and finds theirs in one or two steps.
 */
#define MARK_BITS  14
#define ROOM_FIRST 4
G_STATIC_ASSERT(1 << MARK_BITS == SPOKE_FLOW_MARKS);

guint
spoke_flow_mark(guint64 flow)
{
    return (guint)(flow * G_GUINT64_CONSTANT(0x9e3779b97f4a7c15) >> (64 - MARK_BITS));
}

void
spoke_flow_marks_clear(SpokeFlowMarks *marks)
{
    g_free(marks->entries);
    *marks = (SpokeFlowMarks){NULL};
}

/* Where the mark is, or belongs. */
static guint
find(const SpokeFlowMarks *marks, guint mark)
{
    guint first = 0;
    guint end = marks->n;

    while (first < end) {
        guint middle = first + (end - first) / 2;
        if (marks->entries[middle].mark < mark)
            first = middle + 1;
        else
            end = middle;
    }
    return first;
}

static gboolean
is_at(const SpokeFlowMarks *marks, guint index, guint mark)
{
    return index < marks->n && marks->entries[index].mark == mark;
}

guint64
spoke_flow_marks_get(const SpokeFlowMarks *marks, guint mark)
{
    guint index = find(marks, mark);

    return is_at(marks, index, mark) ? marks->entries[index].id : 0;
}

static void
make_room(SpokeFlowMarks *marks, guint index)
{
    if (marks->n == marks->room) {
        marks->room = marks->room > 0 ? marks->room * 2 : ROOM_FIRST;
        marks->entries = g_renew(SpokeFlowMark, marks->entries, marks->room);
    }
    memmove(&marks->entries[index + 1], &marks->entries[index],
            (marks->n - index) * sizeof *marks->entries);
    marks->n++;
}

void
spoke_flow_marks_set(SpokeFlowMarks *marks, guint mark, guint64 id)
{
    guint index = find(marks, mark);

    if (!is_at(marks, index, mark))
        make_room(marks, index);
    marks->entries[index] = (SpokeFlowMark){mark, id};
}

void
spoke_flow_marks_limit(SpokeFlowMarks *marks, guint64 id)
{
    for (guint i = 0; i < marks->n; i++)
        marks->entries[i].id = MIN(marks->entries[i].id, id);
}
