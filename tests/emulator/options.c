/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The command line of the server. */

#include "options.h"

#include <stdlib.h>

#define SUMMARY                                                                                    \
    "A local IoT hub for tests: devices connect as they would to Azure IoT Hub, with\n"            \
    "MQTT or AMQP, over TLS or WebSocket, or with HTTPS; `iothub-emulator ctl` looks\n"            \
    "into it. See iothub-emulator(1)."

static gboolean
check_range(const char *name, int value, int min, int max, GError **error)
{
    if (value >= min && value <= max)
        return TRUE;
    g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "--%s %d is not from %d to %d",
                name, value, min, max);
    return FALSE;
}

static char *
default_state_dir(void)
{
    return g_build_filename(g_get_user_state_dir(), "iothub-emulator", NULL);
}

void
emu_options_clear(EmuOptions *options)
{
    g_clear_pointer(&options->hub.host, g_free);
    g_clear_pointer(&options->hub.state_dir, g_free);
    g_clear_pointer(&options->hub.journal, g_free);
    g_clear_pointer(&options->listen, g_strfreev);
    g_clear_pointer(&options->devices, g_strfreev);
    g_clear_pointer(&options->devices_file, g_free);
    g_clear_pointer(&options->authorities, g_strfreev);
    g_clear_pointer(&options->ready_file, g_free);
}

/* A port that was not given is -1. */
static gboolean
take_port(const char *name, int given, guint16 standard, EmuPort *ret_port, GError **error)
{
    if (!check_range(name, given, -1, 65535, error))
        return FALSE;
    ret_port->asked_for = given >= 0;
    ret_port->number = given >= 0 ? (guint16)given : standard;
    return TRUE;
}

gboolean
emu_options_parse(int argc, char **argv, EmuOptions *ret_options, GError **error)
{
    g_auto(EmuOptions) options = {0};
    int mqtt_port = 8883;
    int amqp_port = -1;
    int https_port = -1;
    int control_port = 7883;
    int keep = 10000;
    int lock_sec = 60;
    int max_deliveries = 10;
    int ttl_sec = 3600;
    int grace_sec = 0;
    const GOptionEntry entries[] = {
        {"state-dir", 0, 0, G_OPTION_ARG_FILENAME, &options.hub.state_dir,
         "Certificates and hub.db (default: iothub-emulator in the user's state directory)", "DIR"},
        {"host", 0, 0, G_OPTION_ARG_STRING, &options.hub.host, "HostName of the hub (localhost)",
         "NAME"},
        {"listen", 0, 0, G_OPTION_ARG_STRING_ARRAY, &options.listen,
         "Address to listen on; may be repeated (127.0.0.1 and ::1)", "ADDR"},
        {"mqtt-port", 0, 0, G_OPTION_ARG_INT, &mqtt_port, "0 takes any free port (8883)", "N"},
        {"amqp-port", 0, 0, G_OPTION_ARG_INT, &amqp_port,
         "0 takes any free port (5671, if it can be had)", "N"},
        {"https-port", 0, 0, G_OPTION_ARG_INT, &https_port,
         "HTTPS and WebSockets; 0 takes any free port (443, if it can be had)", "N"},
        {"control-port", 0, 0, G_OPTION_ARG_INT, &control_port, "0 takes any free port (7883)",
         "N"},
        {"device", 0, 0, G_OPTION_ARG_STRING_ARRAY, &options.devices,
         "A device to have; may be repeated", "ID[=KEY|;x509=THUMBPRINT|;x509=ca]"},
        {"devices", 0, 0, G_OPTION_ARG_FILENAME, &options.devices_file,
         "Devices to have, as a JSON array", "FILE"},
        {"ca-certificate", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &options.authorities,
         "An authority that may sign certificates of devices; may be repeated", "FILE"},
        {"keep", 0, 0, G_OPTION_ARG_INT, &keep, "Arrived messages that stay readable (10000)", "N"},
        {"journal", 0, 0, G_OPTION_ARG_FILENAME, &options.hub.journal,
         "One line per accepted message, written before it is acknowledged", "FILE"},
        {"lock-timeout", 0, 0, G_OPTION_ARG_INT, &lock_sec,
         "How long a sent C2D message waits to be settled (60)", "SEC"},
        {"max-delivery-count", 0, 0, G_OPTION_ARG_INT, &max_deliveries,
         "Counted deliveries after which a C2D message is dead-lettered (10)", "N"},
        {"count-lock-timeouts", 0, 0, G_OPTION_ARG_NONE, &options.hub.count_locks,
         "A lock that runs out counts as a delivery", NULL},
        {"c2d-ttl", 0, 0, G_OPTION_ARG_INT, &ttl_sec,
         "Life of a C2D message without an expiry of its own (3600)", "SEC"},
        {"sas-grace", 0, 0, G_OPTION_ARG_INT, &grace_sec,
         "How long a token is taken past its expiry (0)", "SEC"},
        {"ready-file", 0, 0, G_OPTION_ARG_FILENAME, &options.ready_file,
         "Written once everything listens: ports, pid, CA file", "PATH"},
        {"quiet", 0, 0, G_OPTION_ARG_NONE, &options.quiet, "Print warnings only", NULL},
        {"version", 0, 0, G_OPTION_ARG_NONE, &options.show_version, "Print the version", NULL},
        G_OPTION_ENTRY_NULL};
    g_autoptr(GOptionContext) context = g_option_context_new(NULL);

    g_option_context_set_summary(context, SUMMARY);
    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, &argc, &argv, error))
        return FALSE;
    if (argc > 1) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_UNKNOWN_OPTION, "Unexpected argument %s",
                    argv[1]);
        return FALSE;
    }
    if (!check_range("mqtt-port", mqtt_port, 0, 65535, error) ||
        !take_port("amqp-port", amqp_port, 5671, &options.amqp_port, error) ||
        !take_port("https-port", https_port, 443, &options.https_port, error) ||
        !check_range("control-port", control_port, 0, 65535, error) ||
        !check_range("keep", keep, 1, 10 * 1000 * 1000, error) ||
        !check_range("lock-timeout", lock_sec, 1, 3600, error) ||
        !check_range("max-delivery-count", max_deliveries, 1, 100, error) ||
        !check_range("c2d-ttl", ttl_sec, 1, 2 * 24 * 3600, error) ||
        !check_range("sas-grace", grace_sec, 0, 24 * 3600, error))
        return FALSE;

    if (options.hub.host == NULL)
        options.hub.host = g_strdup("localhost");
    if (options.hub.state_dir == NULL)
        options.hub.state_dir = default_state_dir();
    options.listen_default = options.listen == NULL;
    if (options.listen_default)
        options.listen = g_strdupv((char *[]){(char *)"127.0.0.1", (char *)"::1", NULL});
    options.mqtt_port = (guint16)mqtt_port;
    options.control_port = (guint16)control_port;
    options.hub.keep = (guint)keep;
    options.hub.lock_sec = lock_sec;
    options.hub.max_deliveries = (guint)max_deliveries;
    options.hub.c2d_ttl_sec = ttl_sec;
    options.hub.sas_grace_sec = grace_sec;
    *ret_options = options;
    options = (EmuOptions){0};
    return TRUE;
}
