/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clients/spokectl/lines.h"

#include <string.h>

struct SpokeLines {
    GByteArray *bytes; /* owned */
    gsize start;       /* of the next line */
    gsize searched;    /* no newline between start and here */
    gboolean ended;
};

SpokeLines *
spoke_lines_new(void)
{
    SpokeLines *lines = g_new0(SpokeLines, 1);

    lines->bytes = g_byte_array_new();
    return lines;
}

void
spoke_lines_free(SpokeLines *lines)
{
    if (lines == NULL)
        return;
    g_byte_array_unref(lines->bytes);
    g_free(lines);
}

void
spoke_lines_feed(SpokeLines *lines, const void *data, gsize size)
{
    if (lines->start > 0)
        g_byte_array_remove_range(lines->bytes, 0, (guint)lines->start);
    lines->searched -= lines->start;
    lines->start = 0;
    g_byte_array_append(lines->bytes, data, (guint)size);
}

void
spoke_lines_end(SpokeLines *lines)
{
    lines->ended = TRUE;
}

/* Returns: where the next line ends, or -1 */
static gssize
find_end(SpokeLines *lines)
{
    const guint8 *data = lines->bytes->data;
    gsize size = lines->bytes->len;

    const guint8 *newline = size > lines->searched
                                ? memchr(data + lines->searched, '\n', size - lines->searched)
                                : NULL;
    if (newline != NULL)
        return newline - data;
    lines->searched = size;
    return lines->ended && size > lines->start ? (gssize)size : -1;
}

gboolean
spoke_lines_next(SpokeLines *lines, const char **ret_line, gsize *ret_size)
{
    gssize end = find_end(lines);
    if (end < 0)
        return FALSE;

    *ret_line = (const char *)lines->bytes->data + lines->start;
    *ret_size = (gsize)end - lines->start;
    lines->start = MIN((gsize)end + 1, lines->bytes->len);
    lines->searched = lines->start;
    return TRUE;
}

gsize
spoke_lines_get_pending(SpokeLines *lines)
{
    return lines->bytes->len - lines->start;
}
