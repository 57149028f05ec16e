/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/**
 * ctl_main:
 * @argc: number of @argv
 * @argv: "ctl" and what follows it on the command line
 *
 * Runs `iothub-emulator ctl …`: one call of a running emulator's control API. It knows the
 * emulator only through that API, and the emulator knows nothing of it.
 *
 * Returns: the exit status: 0 done, 1 refused or failed, 2 wrong usage, 3 no emulator answers,
 * 4 time ran out.
 */
int ctl_main(int argc, char **argv);
