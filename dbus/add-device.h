/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/devices.h"
#include "dbus/call.h"

/*
 * The method AddDevice of the manager: its arguments, the reading of the credential from the
 * caller's descriptor, which may take its time, and the answer.
 */
typedef struct SpokeAddDevice SpokeAddDevice;

/* How long the caller may take to write the credential. Source: dbus/org.spoked1.Manager.xml. */
#define SPOKE_ADD_DEVICE_TIMEOUT_SEC 5

/* Errors: SPOKE_ERROR_INVALID_ARGUMENT, _INVALID_OPTION, _UNKNOWN_OPTION. (transfer full)
 * (nullable) */
SpokeAddDevice *spoke_add_device_read(sd_bus_message *m, GError **error);
void spoke_add_device_free(SpokeAddDevice *request);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpokeAddDevice, spoke_add_device_free)

/* Reads the credential, adds the device, answers @call, of which @request is the request. */
void spoke_add_device_begin(SpokeAddDevice *request, SpokeCall *call, SpokeDevices *devices);
