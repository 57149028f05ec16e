/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* iothub-emulator: the hub, or with "ctl" as its first argument the client that looks into it. */

#include "options.h"
#include "server.h"

#ifdef EMU_HAVE_CTL
#include "ctl.h"
#endif

#include <locale.h>
#include <stdlib.h>
#include <string.h>

/* Connections come and go in the log; --quiet leaves what is wrong. */
static GLogWriterOutput
write_log(GLogLevelFlags level, const GLogField *fields, gsize n_fields, gpointer user_data)
{
    const gboolean *quiet = user_data;

    if (*quiet && (level & (G_LOG_LEVEL_MESSAGE | G_LOG_LEVEL_INFO | G_LOG_LEVEL_DEBUG)))
        return G_LOG_WRITER_HANDLED;
    return g_log_writer_default(level, fields, n_fields, NULL);
}

int
main(int argc, char **argv)
{
    static gboolean quiet;
    g_auto(EmuOptions) options = {0};
    g_autoptr(GError) error = NULL;

    setlocale(LC_ALL, "");
#ifdef EMU_HAVE_CTL
    if (argc > 1 && strcmp(argv[1], "ctl") == 0)
        return ctl_main(argc - 1, argv + 1);
#endif

    g_set_prgname("iothub-emulator");
    if (!emu_options_parse(argc, argv, &options, &error)) {
        g_printerr("iothub-emulator: %s\n", error->message);
        return 2;
    }
    if (options.show_version) {
        g_print("iothub-emulator %s\n", SPOKE_VERSION);
        return EXIT_SUCCESS;
    }

    quiet = options.quiet;
    g_log_set_writer_func(write_log, &quiet, NULL);
    if (!emu_server_run(&options, &error)) {
        g_printerr("iothub-emulator: %s\n", error->message);
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
