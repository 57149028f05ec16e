/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clients/spokectl/terminal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* What people see: colours, numbers with commas, and nothing that a message could use to talk to
 * their terminal. */

gboolean
spoke_terminal_is_live(FILE *stream)
{
    return isatty(fileno(stream)) && g_strcmp0(g_getenv("TERM"), "dumb") != 0;
}

int
spoke_terminal_get_width(FILE *stream)
{
    struct winsize size = {0};

    if (ioctl(fileno(stream), TIOCGWINSZ, &size) < 0 || size.ws_col < 2)
        return 80;
    return size.ws_col;
}

void
spoke_terminal_show_line(FILE *stream, const char *text)
{
    (void)fprintf(stream, "\r%.*s\x1b[K", spoke_terminal_get_width(stream) - 1, text);
    (void)fflush(stream);
}

void
spoke_terminal_clear_line(FILE *stream)
{
    (void)fputs("\r\x1b[K", stream);
    (void)fflush(stream);
}

static guint
rows_of_line(guint columns, int width)
{
    return columns == 0 ? 1 : (columns + (guint)width - 1) / (guint)width;
}

guint
spoke_terminal_count_rows(const char *text, int width)
{
    guint rows = 0;
    guint columns = 0;

    for (const char *c = text; *c != '\0'; c = g_utf8_next_char(c)) {
        if (*c == '\x1b' && strchr(c, 'm') != NULL) {
            c = strchr(c, 'm');
        } else if (*c == '\n') {
            rows += rows_of_line(columns, width);
            columns = 0;
        } else {
            columns++;
        }
    }
    return columns > 0 ? rows + rows_of_line(columns, width) : rows;
}

const char *
spoke_terminal_colour(FILE *stream, SpokeColour colour)
{
    static const char *const sequences[] = {
        [SPOKE_COLOUR_PLAIN] = "\x1b[0m",   [SPOKE_COLOUR_BOLD] = "\x1b[1m",
        [SPOKE_COLOUR_DIM] = "\x1b[2m",     [SPOKE_COLOUR_GREEN] = "\x1b[32m",
        [SPOKE_COLOUR_YELLOW] = "\x1b[33m", [SPOKE_COLOUR_RED] = "\x1b[31m",
    };
    G_STATIC_ASSERT(G_N_ELEMENTS(sequences) == SPOKE_N_COLOURS);
    const char *no_color = g_getenv("NO_COLOR");

    if (!spoke_terminal_is_live(stream) || (no_color != NULL && no_color[0] != '\0'))
        return "";
    return sequences[colour];
}

static gboolean
is_harmless(gunichar c, gboolean multiline)
{
    if (multiline && (c == '\n' || c == '\t'))
        return TRUE;
    /* Controls of both kinds (C0, DEL, C1), and what turns the direction of text around. */
    return c >= 0x20 && !(c >= 0x7f && c < 0xa0) && !(c >= 0x202a && c <= 0x202e) &&
           !(c >= 0x2066 && c <= 0x2069);
}

char *
spoke_terminal_escape(const char *text, gsize size, gboolean multiline)
{
    GString *safe = g_string_sized_new(size);
    const char *end = text + size;

    while (text < end) {
        gunichar c = g_utf8_get_char_validated(text, end - text);
        gboolean valid = c != (gunichar)-1 && c != (gunichar)-2;
        const char *next = valid ? g_utf8_next_char(text) : text + 1;

        if (valid && is_harmless(c, multiline))
            g_string_append_len(safe, text, next - text);
        else
            for (; text < next; text++)
                g_string_append_printf(safe, "\\x%02x", (guint8)*text);
        text = next;
    }
    return g_string_free(safe, FALSE);
}

char *
spoke_terminal_format_number(guint64 number)
{
    g_autofree char *digits = g_strdup_printf("%" G_GUINT64_FORMAT, number);
    GString *text = g_string_new(digits);

    for (gssize i = (gssize)strlen(digits) - 3; i > 0; i -= 3)
        g_string_insert_c(text, i, ',');
    return g_string_free(text, FALSE);
}

char *
spoke_terminal_format_bytes(guint64 bytes)
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
    double number = (double)bytes;
    const char *unit = "B";

    for (gsize i = 0; i < G_N_ELEMENTS(units) && number >= 1024; i++) {
        number /= 1024;
        unit = units[i];
    }
    if (number < 10 && bytes >= 1024)
        return g_strdup_printf("%.1f %s", number, unit);
    return g_strdup_printf("%.0f %s", number, unit);
}

char *
spoke_terminal_format_time(guint64 usec)
{
    g_autoptr(GDateTime) time = g_date_time_new_from_unix_local((gint64)(usec / G_USEC_PER_SEC));

    return time != NULL ? g_date_time_format(time, "%Y-%m-%d %H:%M:%S")
                        : g_strdup_printf("%" G_GUINT64_FORMAT " us", usec);
}
