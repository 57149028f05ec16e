/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/*
 * Cuts a stream of bytes into lines. Feed it, then take lines until there is none; after the end of
 * the stream, a last line without a newline is a line too.
 */
typedef struct SpokeLines SpokeLines;

SpokeLines *spoke_lines_new(void);
void spoke_lines_free(SpokeLines *lines);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpokeLines, spoke_lines_free)

void spoke_lines_feed(SpokeLines *lines, const void *data, gsize size);
void spoke_lines_end(SpokeLines *lines);
/* @ret_line: without its newline; borrowed until the next spoke_lines_feed() */
gboolean spoke_lines_next(SpokeLines *lines, const char **ret_line, gsize *ret_size);
/* Bytes of the line that has begun and not ended: what grows without a newline in sight. */
gsize spoke_lines_get_pending(SpokeLines *lines);
