/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "dbus/bus-types.h"

/*
 * Properties on the bus, a{ss}, from and to the packed list of daemon/properties.h.
 */

/**
 * spoke_properties_read:
 * @list: appended to
 * @count_max: how many there may be
 * @bytes_max: bytes of names and values there may be
 *
 * Reads the a{ss} at the read position of @m. What a name or value may hold is not checked, save
 * that it is UTF-8.
 *
 * Errors: SPOKE_ERROR_INVALID_PROPERTY (too many, or a name comes twice), _TOO_LARGE,
 * _INVALID_ARGUMENT
 */
gboolean spoke_properties_read(sd_bus_message *m, GByteArray *list, guint count_max,
                               size_t bytes_max, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Appends a packed list as a{ss}, each text made sendable. Returns: a negative errno on failure */
int spoke_properties_write(sd_bus_message *m, const void *list, size_t size);
