/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/store-row.h"

#include "daemon/properties.h"
#include "daemon/store-schema.h"

#define ROW_BYTES_MAX  (4 * SPOKE_MESSAGE_BYTES_MAX) /* far above what any check lets in */
#define TEXT_BYTES_MAX 1024

static void
bind_blob(sqlite3_stmt *statement, int index, const void *data, size_t size)
{
    if (size > 0)
        sqlite3_bind_blob64(statement, index, data, size, SQLITE_STATIC);
    else
        sqlite3_bind_null(statement, index);
}

void
spoke_store_bind_contents(sqlite3_stmt *statement, int index, const SpokeMessage *message)
{
    bind_blob(statement, index, spoke_message_system(message), message->system_size);
    bind_blob(statement, index + 1, spoke_message_properties(message), message->properties_size);
    bind_blob(statement, index + 2, spoke_message_body(message), message->body_size);
}

void
spoke_store_bind_span(sqlite3_stmt *statement, const SpokeStoreSpan *span)
{
    sqlite3_bind_int64(statement, 1, spoke_place(span->identity, span->lane, span->after) + 1);
    sqlite3_bind_int64(statement, 2, spoke_place(span->identity, span->lane, span->upto));
}

static gboolean
is_blob(sqlite3_stmt *row, int column)
{
    int type = sqlite3_column_type(row, column);

    return type == SQLITE_BLOB || type == SQLITE_NULL;
}

gboolean
spoke_store_read_text(sqlite3_stmt *row, int column, const char **ret_text)
{
    *ret_text = NULL;
    if (sqlite3_column_type(row, column) == SQLITE_NULL)
        return TRUE;
    if (sqlite3_column_type(row, column) != SQLITE_TEXT)
        return FALSE;

    const char *text = (const char *)sqlite3_column_text(row, column);
    int size = sqlite3_column_bytes(row, column);
    if (text == NULL || size > TEXT_BYTES_MAX || !g_utf8_validate(text, size, NULL))
        return FALSE;
    *ret_text = text;
    return TRUE;
}

SpokeMessage *
spoke_store_parse_contents(sqlite3_stmt *row, int column)
{
    size_t sizes[3];

    for (int i = 0; i < 3; i++) {
        if (!is_blob(row, column + i))
            return NULL;
        sizes[i] = (size_t)sqlite3_column_bytes(row, column + i);
    }
    if (sizes[0] + sizes[1] + sizes[2] > ROW_BYTES_MAX)
        return NULL;

    const void *system = sqlite3_column_blob(row, column);
    const void *properties = sqlite3_column_blob(row, column + 1);
    if (!spoke_properties_is_valid(system, sizes[0]) ||
        !spoke_properties_is_valid(properties, sizes[1]))
        return NULL;
    return spoke_message_new(system, sizes[0], properties, sizes[1],
                             sqlite3_column_blob(row, column + 2), sizes[2]);
}
