/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <sqlite3.h>

/* hub.db: what must outlive the process. It is not synced: it survives a kill, not a power cut. */

typedef struct EmuStore EmuStore;

/**
 * emu_store_open:
 * @file: a path, or ":memory:" in tests
 *
 * Opens the database and brings its schema up to date.
 */
EmuStore *emu_store_open(const char *file, GError **error);
void emu_store_free(EmuStore *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(EmuStore, emu_store_free)

/**
 * emu_store_prepare:
 * @sql: a string literal: it is the key of the cache
 *
 * Returns: (transfer none): the statement, reset and unbound. Whoever steps it to a row resets it
 * before the next write, or uses emu_store_finish().
 */
sqlite3_stmt *emu_store_prepare(EmuStore *self, const char *sql);

/**
 * emu_store_finish:
 *
 * Steps a statement that returns no rows to its end and resets it.
 */
gboolean emu_store_finish(EmuStore *self, sqlite3_stmt *statement, GError **error);

/* Transactions; they do not nest. */
void emu_store_begin(EmuStore *self);
gboolean emu_store_commit(EmuStore *self, GError **error);

/* A number the store keeps under @name, counted up by one with each call, from 1. */
gint64 emu_store_next_number(EmuStore *self, const char *name);

/* Binds UTF-8 text (copied), or NULL. */
void emu_bind_text(sqlite3_stmt *statement, int index, const char *text);

/* Returns: (transfer full) (nullable): a column's text. */
char *emu_column_text(sqlite3_stmt *statement, int column);
