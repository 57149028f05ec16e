/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gio.h>

/* Bytes in and out of one connection, without blocking and with bounds: the part of a protocol
 * head that is the same for every protocol. */
typedef struct EmuPipe EmuPipe;

/* All members are set. Any of them may call emu_pipe_close(). */
typedef struct {
    /* Takes whole packets off the front of @data. Returns how many bytes that were; what is left
     * comes again with more behind it, or after a pause. */
    size_t (*take)(gpointer self, const guint8 *data, size_t size);
    /* A round of reading is over: answers may be added now, and leave right after. */
    void (*round)(gpointer self);
    /* The output has been written out after it was full. */
    void (*room)(gpointer self);
    /* The peer is gone. The pipe is closed already. */
    void (*lost)(gpointer self, const char *reason);
} EmuPipeOps;

/* Unwritten output at which nothing is read any more. */
#define EMU_PIPE_OUTPUT_MAX ((size_t)64 * 1024)

/**
 * emu_pipe_new:
 * @stream: both its streams are pollable
 * @socket: (nullable): what lies below @stream, to be closed without farewell
 * @packet_max: the largest packet that take() may have to wait for
 *
 * Nothing is read before emu_pipe_resume().
 */
EmuPipe *emu_pipe_new(GIOStream *stream, GSocket *socket, size_t packet_max, const EmuPipeOps *ops,
                      gpointer self);

/* Not to be called from within an operation: close there, and free later. */
void emu_pipe_free(EmuPipe *pipe);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(EmuPipe, emu_pipe_free)

/* Returns: (transfer none): append what is to be sent, then call emu_pipe_flush(). */
GByteArray *emu_pipe_output(EmuPipe *pipe);

/* TRUE while the unwritten output is at its limit. */
gboolean emu_pipe_is_full(EmuPipe *pipe);

/* Writes what the socket takes and sees to the rest; in a round, its end does that. */
void emu_pipe_flush(EmuPipe *pipe);

/* Stops reading, and starts it: a pause may be called off from anywhere. */
void emu_pipe_pause(EmuPipe *pipe);
void emu_pipe_resume(EmuPipe *pipe);

/* Stops reading, writes the output out, closes; then lost() is called. */
void emu_pipe_finish(EmuPipe *pipe);

/* Closes at once, without sending what is still to be written. */
void emu_pipe_abort(EmuPipe *pipe);

/* Closes at once. What the socket does not take now is not sent; lost() is not called. */
void emu_pipe_close(EmuPipe *pipe);
