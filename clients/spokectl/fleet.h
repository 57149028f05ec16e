/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "clients/libspoke/spoke.h"

#include <glib.h>

/*
 * The statuses of all devices, in the daemon's order. There may be a thousand: each is asked for by
 * itself, so that no answer keeps the daemon from its work, and a few dozen at once.
 */

typedef struct {
    /* One device's. */
    void (*device)(const SpokeStatus *status, gpointer user_data);
    /* All have been there, or @failure says why not. Not called at the end of the client. */
    void (*done)(const SpokeFailure *failure, gpointer user_data);
} SpokeFleetFuncs;

/* @funcs: static. A device that is removed meanwhile is left out. Returns: 0 or a negative errno */
int spoke_fleet_read(SpokeClient *client, const SpokeFleetFuncs *funcs, gpointer user_data);
