/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <json-glib/json-glib.h>

/* Of thermometers, interfaces and disks each, so that the message stays small. */
#define MACHINE_METRICS_LIST_MAX 32

/**
 * machine_metrics_read:
 * @root: where proc/ and sys/ are: "/", or a copy of them in a test
 * @host: name of the machine
 * @now_usec: since 1970 in UTC
 *
 * One reading of the machine's vital signs; spoke-machine(1) has the members. What the kernel does
 * not offer is left out.
 *
 * Returns: (transfer full)
 */
JsonNode *machine_metrics_read(const char *root, const char *host, gint64 now_usec);
