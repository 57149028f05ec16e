/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gio.h>

/* A stream that reads a socket in large pieces and hands them out in small ones. TLS asks
 * for a record's header and then for its rest: two system calls for each message that is a record
 * of its own. With this below, dozens of records come in with one. Output passes through. */

#define EMU_TYPE_READ_AHEAD (emu_read_ahead_get_type())
G_DECLARE_FINAL_TYPE(EmuReadAhead, emu_read_ahead, EMU, READ_AHEAD, GIOStream)

GIOStream *emu_read_ahead_new(GSocketConnection *base);
