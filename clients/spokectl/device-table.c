/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clients/spokectl/device-table.h"

#include "clients/spokectl/status-text.h"

#include <string.h>

enum { NAME, DEVICE, STATE, TRANSPORT, QUEUED, LAST_ERROR, N_COLUMNS };

static const char *const titles[N_COLUMNS] = {
    [NAME] = "NAME",           [DEVICE] = "DEVICE", [STATE] = "STATE",
    [TRANSPORT] = "TRANSPORT", [QUEUED] = "QUEUED", [LAST_ERROR] = "LAST ERROR",
};

typedef struct {
    char *cells[N_COLUMNS]; /* owned */
    SpokeColour colour;     /* of the state */
} Row;

struct SpokeDeviceTable {
    GPtrArray *rows; /* owned */
};

static void
row_free(gpointer data)
{
    Row *row = data;

    for (gsize i = 0; i < N_COLUMNS; i++)
        g_free(row->cells[i]);
    g_free(row);
}

SpokeDeviceTable *
spoke_device_table_new(void)
{
    SpokeDeviceTable *self = g_new0(SpokeDeviceTable, 1);

    self->rows = g_ptr_array_new_with_free_func(row_free);
    return self;
}

void
spoke_device_table_free(SpokeDeviceTable *self)
{
    if (self == NULL)
        return;
    g_ptr_array_unref(self->rows);
    g_free(self);
}

static char *
make_cell(const char *text)
{
    return text[0] != '\0' ? spoke_terminal_escape(text, strlen(text), FALSE) : g_strdup("-");
}

static char *
make_error_cell(const SpokeStatus *status)
{
    if (status->last_error_text[0] == '\0')
        return make_cell(status->last_error_name);

    g_autofree char *text =
        g_strconcat(status->last_error_name, ": ", status->last_error_text, NULL);
    return make_cell(text);
}

void
spoke_device_table_add(SpokeDeviceTable *self, const SpokeStatus *status)
{
    Row *row = g_new0(Row, 1);
    g_autofree char *device = status->module_id[0] != '\0'
                                  ? g_strconcat(status->device_id, "/", status->module_id, NULL)
                                  : g_strdup(status->device_id);

    row->cells[NAME] = make_cell(status->name);
    row->cells[DEVICE] = make_cell(device);
    row->cells[STATE] = make_cell(status->state);
    row->cells[TRANSPORT] = make_cell(status->transport);
    row->cells[QUEUED] = spoke_terminal_format_number(status->queued_messages);
    row->cells[LAST_ERROR] = make_error_cell(status);
    row->colour = spoke_status_get_colour(status);
    g_ptr_array_add(self->rows, row);
}

static void
measure(SpokeDeviceTable *self, gsize *widths)
{
    for (gsize i = 0; i < N_COLUMNS; i++)
        widths[i] = strlen(titles[i]);
    for (guint r = 0; r < self->rows->len; r++) {
        const Row *row = g_ptr_array_index(self->rows, r);

        for (gsize i = 0; i < N_COLUMNS; i++)
            widths[i] = MAX(widths[i], (gsize)g_utf8_strlen(row->cells[i], -1));
    }
}

/* @column: not the last one. Numbers stand to the right. */
static void
add_cell(GString *text, gsize column, const char *cell, gsize width, const char *colour,
         const char *plain)
{
    int padding = (int)(width - (gsize)g_utf8_strlen(cell, -1));

    g_string_append_printf(text, "%*s%s%s%s%*s  ", column == QUEUED ? padding : 0, "", colour, cell,
                           plain, column == QUEUED ? 0 : padding, "");
}

/* @room: columns; 0 for any number */
static void
add_last_cell(GString *text, const char *cell, gsize room)
{
    gsize length = (gsize)g_utf8_strlen(cell, -1);

    if (room == 0 || length <= room) {
        g_string_append(text, cell);
    } else {
        g_string_append_len(text, cell, g_utf8_offset_to_pointer(cell, (glong)room - 1) - cell);
        g_string_append(text, "…");
    }
    g_string_append_c(text, '\n');
}

char *
spoke_device_table_format(SpokeDeviceTable *self, gsize width)
{
    const char *plain = spoke_terminal_colour(stdout, SPOKE_COLOUR_PLAIN);
    const char *bold = spoke_terminal_colour(stdout, SPOKE_COLOUR_BOLD);
    GString *text = g_string_new(NULL);
    gsize widths[N_COLUMNS];
    gsize taken = 0;

    measure(self, widths);
    for (gsize i = 0; i < LAST_ERROR; i++) {
        add_cell(text, i, titles[i], widths[i], bold, plain);
        taken += widths[i] + 2;
    }
    g_string_append_printf(text, "%s%s%s\n", bold, titles[LAST_ERROR], plain);

    /* Where little room is left, a wrapped line says more than a stump. */
    gsize room = width >= taken + strlen(titles[LAST_ERROR]) ? width - taken : 0;
    for (guint r = 0; r < self->rows->len; r++) {
        const Row *row = g_ptr_array_index(self->rows, r);
        const char *colour = spoke_terminal_colour(stdout, row->colour);

        for (gsize i = 0; i < LAST_ERROR; i++)
            add_cell(text, i, row->cells[i], widths[i], i == STATE ? colour : "",
                     i == STATE ? plain : "");
        add_last_cell(text, row->cells[LAST_ERROR], room);
    }
    return g_string_free(text, FALSE);
}

static guint
count_state(SpokeDeviceTable *self, const char *state)
{
    guint n = 0;

    for (guint r = 0; r < self->rows->len; r++) {
        const Row *row = g_ptr_array_index(self->rows, r);

        if (g_str_equal(row->cells[STATE], state))
            n++;
    }
    return n;
}

char *
spoke_device_table_summarise(SpokeDeviceTable *self)
{
    static const char *const states[] = {"connected", "connecting", "draining", "offline"};
    const char *separator = ": ";

    if (self->rows->len == 0)
        return NULL;

    GString *text = g_string_new(NULL);
    g_string_printf(text, "%u more %s", self->rows->len,
                    self->rows->len == 1 ? "device" : "devices");
    for (gsize i = 0; i < G_N_ELEMENTS(states); i++) {
        guint n = count_state(self, states[i]);

        if (n == 0)
            continue;
        g_string_append_printf(text, "%s%u %s", separator, n, states[i]);
        separator = ", ";
    }
    g_string_append(text, "; 'spokectl devices' lists them\n");
    return g_string_free(text, FALSE);
}
