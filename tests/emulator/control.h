/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

typedef struct EmuHub EmuHub;

/* The control API: HTTP and JSON on loopback, to look into the hub and to disturb it. */
typedef struct EmuControl EmuControl;

/* Listens on 127.0.0.1; port 0 takes any free one. */
EmuControl *emu_control_new(EmuHub *hub, guint16 port, GError **error);
void emu_control_free(EmuControl *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(EmuControl, emu_control_free)

guint16 emu_control_port(EmuControl *self);
