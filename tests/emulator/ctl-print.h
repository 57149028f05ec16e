/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <json-glib/json-glib.h>

/* What `ctl` prints: JSON on one line, or tables for people. What came from outside is shown with
 * its control characters escaped, so that no message can drive the terminal. */

typedef struct {
    const char *heading;
    gboolean right; /* numbers align at the right */
} CtlColumn;

typedef struct CtlTable CtlTable;

/* The columns end with one without heading. The last may be cut to the terminal's width. */
CtlTable *ctl_table_new(const CtlColumn *columns);
void ctl_table_free(CtlTable *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CtlTable, ctl_table_free)

/* Adds the next cell, row after row; @text is taken over, and NULL is an empty cell. */
void ctl_table_add(CtlTable *self, char *text);

/* Prints heading and rows, or @empty when there are no rows. */
void ctl_table_print(CtlTable *self, const char *empty);

/* Prints one "Name: value" line, names aligned; nothing when @value is NULL or empty. */
void ctl_print_field(const char *name, const char *value);

void ctl_print_json(JsonNode *node);

/* Returns: (transfer full): @text on one line, control and other unprintable characters escaped. */
char *ctl_escape(const char *text);

/* Returns: (transfer full): @line cut to the terminal's width, whole when there is none. */
char *ctl_fit(const char *line);

/* Returns: (transfer full) (nullable): a member as text, escaped; NULL when absent or null. */
char *ctl_member(JsonObject *object, const char *name);

/* Returns: (transfer full) (nullable): a member that is a time, as local time of day, with the
 * date when it is not today; NULL when absent. */
char *ctl_member_time(JsonObject *object, const char *name);
