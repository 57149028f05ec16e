/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "hub.h"

typedef struct {
    guint16 number;     /* 0: any free one */
    gboolean asked_for; /* else it is the default, and may be missing */
} EmuPort;

/* What the command line says, with the defaults filled in. */
typedef struct {
    EmuHubOptions hub;
    char **listen;           /* owned; numeric addresses */
    gboolean listen_default; /* nobody asked for these addresses: one may be missing */
    guint16 mqtt_port;
    EmuPort amqp_port;
    EmuPort https_port;
    guint16 control_port;
    char **devices;     /* owned; see emu_devices_add(); NULL for none */
    char *devices_file; /* owned; NULL for none */
    char **authorities; /* owned; files; NULL for none */
    char *ready_file;   /* owned; NULL for none */
    gboolean quiet;
    gboolean show_version;
} EmuOptions;

void emu_options_clear(EmuOptions *options);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(EmuOptions, emu_options_clear)

/* Parses the command line; --help prints and exits. */
gboolean emu_options_parse(int argc, char **argv, EmuOptions *ret_options, GError **error);
