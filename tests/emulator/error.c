/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The error domain of the emulator; the codes are the hub's numbers. */

#include "error.h"

G_DEFINE_QUARK(emu_error, emu_error)
