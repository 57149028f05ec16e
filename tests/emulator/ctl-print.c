/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Output for people: aligned columns, local times, one line a row. Bodies and properties come
 * from devices, so everything passes ctl_escape() on its way to the terminal. */

#include "ctl-print.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define COLUMN_GAP 2

struct CtlTable {
    const CtlColumn *columns; /* borrowed, static */
    guint n_columns;
    GPtrArray *cells; /* owned; char *, row after row */
};

static size_t
display_width(const char *text)
{
    size_t width = 0;

    for (const char *p = text; *p != '\0'; p = g_utf8_next_char(p)) {
        gunichar c = g_utf8_get_char(p);
        if (!g_unichar_iszerowidth(c))
            width += g_unichar_iswide(c) ? 2 : 1;
    }
    return width;
}

/* 0 when standard output is no terminal. */
static size_t
terminal_width(void)
{
    struct winsize size = {0};

    if (!isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0)
        return 0;
    return size.ws_col;
}

char *
ctl_escape(const char *text)
{
    g_autofree char *valid = g_utf8_make_valid(text, -1);
    GString *line = g_string_new(NULL);

    for (const char *p = valid; *p != '\0'; p = g_utf8_next_char(p)) {
        gunichar c = g_utf8_get_char(p);
        if (c == '\n')
            g_string_append(line, "\\n");
        else if (c == '\t')
            g_string_append(line, "\\t");
        else if (c == '\\')
            g_string_append(line, "\\\\");
        else if (g_unichar_isprint(c))
            g_string_append_unichar(line, c);
        else
            g_string_append_printf(line, c < 0x10000 ? "\\u%04x" : "\\U%08x", c);
    }
    return g_string_free(line, FALSE);
}

/* @text up to @width columns; what is cut is marked. */
static char *
cut(const char *text, size_t width)
{
    size_t used = 0;
    const char *p = text;

    if (display_width(text) <= width)
        return g_strdup(text);

    while (*p != '\0') {
        gunichar c = g_utf8_get_char(p);
        size_t step = g_unichar_iszerowidth(c) ? 0 : g_unichar_iswide(c) ? 2 : 1;
        if (used + step + 1 > width)
            break;
        used += step;
        p = g_utf8_next_char(p);
    }

    g_autofree char *head = g_strndup(text, (gsize)(p - text));
    return g_strconcat(head, "…", NULL);
}

char *
ctl_fit(const char *line)
{
    size_t width = terminal_width();

    return width > 0 ? cut(line, width) : g_strdup(line);
}

CtlTable *
ctl_table_new(const CtlColumn *columns)
{
    CtlTable *self = g_new0(CtlTable, 1);

    self->columns = columns;
    while (columns[self->n_columns].heading != NULL)
        self->n_columns++;
    self->cells = g_ptr_array_new_with_free_func(g_free);
    return self;
}

void
ctl_table_free(CtlTable *self)
{
    if (self == NULL)
        return;

    g_ptr_array_unref(self->cells);
    g_free(self);
}

void
ctl_table_add(CtlTable *self, char *text)
{
    g_ptr_array_add(self->cells, text != NULL ? text : g_strdup(""));
}

static void
append_cell(GString *line, const char *text, size_t width, gboolean right, gboolean last)
{
    size_t fill = width - MIN(width, display_width(text));

    if (right)
        g_string_append_printf(line, "%*s", (int)fill, "");
    g_string_append(line, text);
    if (last)
        return;
    g_string_append_printf(line, "%*s", (int)(COLUMN_GAP + (right ? 0 : fill)), "");
}

static const char *
cell_at(CtlTable *self, guint row, guint column)
{
    return g_ptr_array_index(self->cells, row * self->n_columns + column);
}

static void
print_row(CtlTable *self, const size_t *widths, gint64 row)
{
    g_autoptr(GString) line = g_string_new(NULL);

    for (guint i = 0; i < self->n_columns; i++) {
        const char *text = row < 0 ? self->columns[i].heading : cell_at(self, (guint)row, i);
        append_cell(line, text, widths[i], self->columns[i].right, i == self->n_columns - 1);
    }

    while (line->len > 0 && line->str[line->len - 1] == ' ')
        g_string_truncate(line, line->len - 1);
    g_autofree char *fitting = ctl_fit(line->str);
    puts(fitting);
}

void
ctl_table_print(CtlTable *self, const char *empty)
{
    guint n_rows = self->cells->len / self->n_columns;
    g_autofree size_t *widths = g_new0(size_t, self->n_columns);

    if (n_rows == 0) {
        puts(empty);
        return;
    }

    for (guint i = 0; i < self->n_columns; i++) {
        widths[i] = display_width(self->columns[i].heading);
        for (guint row = 0; row < n_rows; row++)
            widths[i] = MAX(widths[i], display_width(cell_at(self, row, i)));
    }
    for (gint64 row = -1; row < n_rows; row++)
        print_row(self, widths, row);
}

void
ctl_print_field(const char *name, const char *value)
{
    if (value != NULL && *value != '\0')
        printf("%20s: %s\n", name, value);
}

void
ctl_print_json(JsonNode *node)
{
    g_autofree char *text = json_to_string(node, FALSE);

    puts(text);
}

char *
ctl_member(JsonObject *object, const char *name)
{
    JsonNode *node = json_object_get_member(object, name);

    if (node == NULL || JSON_NODE_HOLDS_NULL(node))
        return NULL;
    if (JSON_NODE_HOLDS_VALUE(node) && json_node_get_value_type(node) == G_TYPE_STRING)
        return ctl_escape(json_node_get_string(node));

    g_autofree char *text = json_to_string(node, FALSE);
    return ctl_escape(text);
}

static gboolean
is_same_day(GDateTime *a, GDateTime *b)
{
    return g_date_time_get_year(a) == g_date_time_get_year(b) &&
           g_date_time_get_day_of_year(a) == g_date_time_get_day_of_year(b);
}

char *
ctl_member_time(JsonObject *object, const char *name)
{
    g_autofree char *text = ctl_member(object, name);
    if (text == NULL)
        return NULL;

    g_autoptr(GDateTime) utc = g_date_time_new_from_iso8601(text, NULL);
    if (utc == NULL)
        return g_steal_pointer(&text);

    g_autoptr(GDateTime) local = g_date_time_to_local(utc);
    g_autoptr(GDateTime) now = g_date_time_new_now_local();
    g_autofree char *form =
        g_date_time_format(local, is_same_day(local, now) ? "%H:%M:%S" : "%Y-%m-%d %H:%M:%S");
    return g_strdup_printf("%s.%03d", form, g_date_time_get_microsecond(local) / 1000);
}
