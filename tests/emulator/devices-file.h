/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "hub.h"

/* Creates or changes a device as --device names it: `ID`, `ID=KEY`, `ID;x509=THUMBPRINT` for a
 * certificate of that thumbprint, or `ID;x509=ca` for one that an authority signed. */
gboolean emu_devices_add(EmuHub *hub, const char *text, GError **error);

/* Creates or changes the devices of a JSON file, and their modules. */
gboolean emu_devices_load(EmuHub *hub, const char *file, GError **error);
