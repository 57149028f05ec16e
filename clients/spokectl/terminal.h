/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdio.h>

typedef enum {
    SPOKE_COLOUR_PLAIN,
    SPOKE_COLOUR_BOLD,
    SPOKE_COLOUR_DIM,
    SPOKE_COLOUR_GREEN,
    SPOKE_COLOUR_YELLOW,
    SPOKE_COLOUR_RED,
    SPOKE_N_COLOURS,
} SpokeColour;

/* Is a person looking? Not with TERM=dumb. */
gboolean spoke_terminal_is_live(FILE *stream);

/* Columns; 80 if that is not known. */
int spoke_terminal_get_width(FILE *stream);

/* Write @text over the line the cursor is in, cut to the width, and rub it out again. ASCII. */
void spoke_terminal_show_line(FILE *stream, const char *text);
void spoke_terminal_clear_line(FILE *stream);

/* Rows that lines of text take on a screen so wide; escape sequences for colours take no room. */
guint spoke_terminal_count_rows(const char *text, int width);

/* Escape sequences, empty strings where colours are out of place (no terminal, NO_COLOR set). */
const char *spoke_terminal_colour(FILE *stream, SpokeColour colour);

/**
 * spoke_terminal_escape:
 * @text: from anywhere; need not be UTF-8
 * @multiline: newlines and tabs stay
 *
 * Makes @text safe to show: what could command a terminal becomes \x1b and the like.
 *
 * Returns: (transfer full)
 */
char *spoke_terminal_escape(const char *text, gsize size, gboolean multiline);

/* "1,234,567". (transfer full) */
char *spoke_terminal_format_number(guint64 number);
/* "512 B", "3.4 KiB", "256 MiB". (transfer full) */
char *spoke_terminal_format_bytes(guint64 bytes);
/* @usec: since 1970 in UTC; local time, "2024-05-06 07:08:09". (transfer full) */
char *spoke_terminal_format_time(guint64 usec);
