/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* The ledger of accepted messages: `seq<TAB>deviceId<TAB>message-id<TAB>bytes` a line. */
typedef struct EmuJournal EmuJournal;

/**
 * emu_journal_open:
 * @ret_last: the sequence number of the last line, 0 in a new file
 *
 * Opens the file to go on with it. A last line without its end was never acknowledged: it is cut
 * off.
 */
EmuJournal *emu_journal_open(const char *file, guint64 *ret_last, GError **error);
void emu_journal_free(EmuJournal *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(EmuJournal, emu_journal_free)

/* Adds a line to what emu_journal_write() will write. @message_id may be NULL. */
void emu_journal_add(EmuJournal *self, guint64 sequence, const char *device_id,
                     const char *message_id, size_t body_size);

/**
 * emu_journal_write:
 *
 * Writes the lines added since the last call. On failure the file is as it was before, and the
 * lines are forgotten.
 */
gboolean emu_journal_write(EmuJournal *self, GError **error);
