/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <json-glib/json-glib.h>

#include "registry.h"

/* The member "authentication" of an identity, as the real registry has it:
 *   {"type": "sas" | "selfSigned" | "certificateAuthority",
 *    "symmetricKey": {"primaryKey", "secondaryKey"},
 *    "x509Thumbprint": {"primaryThumbprint", "secondaryThumbprint"}}
 * Source: protocol page, 9.2. */

/**
 * emu_authentication_read:
 * @owner: the object that has the member, or not
 * @change: gets what it says, borrowed from @owner
 *
 * EMU_ERROR_ARGUMENT for an unknown member or one of another type.
 */
gboolean emu_authentication_read(JsonObject *owner, EmuIdentityChange *change, GError **error);

/* Adds the member to an object under construction. */
void emu_authentication_write(JsonBuilder *json, const EmuIdentity *identity);
