/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "clients/libspoke/spoke.h"

#include <systemd/sd-bus.h>

/* What callers are told of a D-Bus error; the strings are borrowed from @error. */
SpokeFailure spoke_failure_from_bus(const sd_bus_error *error);

/* The daemon's answer does not have the shape that the interface promises. */
extern const SpokeFailure spoke_failure_bad_answer;
/* The client was freed. */
extern const SpokeFailure spoke_failure_cancelled;
/* The bus is gone. */
extern const SpokeFailure spoke_failure_disconnected;
