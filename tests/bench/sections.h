/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Sections of the benchmarks that have a file of their own. */

/* transports.c: one table for each transport. */
void section_transports(void);
void section_bytes(void);
/* devices.c: a gateway's many devices on one connection. */
void section_devices(void);
/* devices.c: what the daemon holds in memory when the hub holds back its acknowledgements. */
void section_held_back(void);
