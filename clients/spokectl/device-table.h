/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "clients/libspoke/spoke.h"

#include <glib.h>

/* What people are shown of many devices: a table with a line for each, or one line for all. */
typedef struct SpokeDeviceTable SpokeDeviceTable;

SpokeDeviceTable *spoke_device_table_new(void);
void spoke_device_table_free(SpokeDeviceTable *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpokeDeviceTable, spoke_device_table_free)

void spoke_device_table_add(SpokeDeviceTable *self, const SpokeStatus *status);

/* @width: columns that a line may take, 0 for any. With colours if stdout is a terminal.
 * (transfer full): lines */
char *spoke_device_table_format(SpokeDeviceTable *self, gsize width);

/* "3 more devices: 2 connected, 1 offline; …", a line; NULL without any. (transfer full)
 * (nullable) */
char *spoke_device_table_summarise(SpokeDeviceTable *self);
