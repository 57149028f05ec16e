/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The command line of `iothub-emulator ctl`: a table of commands, the options common to all, and
 * where the emulator is to be found. Every command is one call of the control API (send --wait
 * and the following ones make more), so that what `ctl` can do, `curl` can do too. */

#include "ctl.h"

#include "ctl-client.h"
#include "ctl-command.h"
#include "ctl-print.h"

#include <gio/gio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROGRAM      "iothub-emulator ctl"
#define CONTROL_PORT 7883

static const CtlCommand commands[] = {
    {"devices", "", "List the devices and who is connected", NULL, ctl_run_devices},
    {"device", "DEVICE", "Show one device with its keys", NULL, ctl_run_device},
    {"add-device", "DEVICE [--key BASE64 | --thumbprint HEX | --ca]",
     "Register a device and print its connection string",
     "Without any of them the emulator makes a key. Adding a device that exists changes what\n"
     "is given, and nothing otherwise.",
     ctl_run_add_device},
    {"set-device", "DEVICE --status enabled|disabled", "Enable or disable a device",
     "Disabling a device ends its connection, as the real hub does.", ctl_run_set_device},
    {"remove-device", "DEVICE", "Delete a device, its queue and its connection", NULL,
     ctl_run_remove_device},
    {"connection-string", "DEVICE", "Print a device's connection string, for scripts", NULL,
     ctl_run_connection_string},
    {"certificates", "", "List the authorities that may sign certificates of devices", NULL,
     ctl_run_certificates},
    {"add-certificate", "FILE", "Register an authority, and print its thumbprint", NULL,
     ctl_run_add_certificate},
    {"remove-certificate", "THUMBPRINT", "Forget an authority", NULL, ctl_run_remove_certificate},
    {"make-certificate", "DEVICE [--out DIR] [--self-signed|--signed] [--days N]",
     "Make a certificate for a device, to try",
     "Writes DEVICE.pem and DEVICE-key.pem, and has the device, which is registered if it\n"
     "is not there, use them from now on. --signed takes an authority for tests that the\n"
     "emulator makes and registers.",
     ctl_run_make_certificate},
    {"messages", "[--device D] [--since N] [--limit N] [--follow]",
     "Show what devices sent, in order of arrival",
     "--limit N shows the newest N, or with --since the first N after that number.\n"
     "--follow shows what arrives from then on, until interrupted; with --since it begins\n"
     "with what is kept. With --json, --follow prints one object a line.",
     ctl_run_messages},
    {"wait-messages", "N [--device D] [--since N] [--timeout SEC]",
     "Wait until N messages have arrived",
     "Counts what is still kept (see clear) and what arrives; exit status 4 when time runs out.",
     ctl_run_wait_messages},
    {"clear", "", "Forget the messages that arrived", NULL, ctl_run_clear},
    {"send", "DEVICE [BODY|-]", "Queue a cloud-to-device message",
     "The body is the argument, or standard input for \"-\"; without either it is empty.\n"
     "--wait follows the message until it is completed (exit status 0), dead-lettered or\n"
     "purged (1), or until the seconds of --wait=SEC are over (4).",
     ctl_run_send},
    {"queue", "DEVICE", "Show a device's cloud-to-device messages, finished ones too", NULL,
     ctl_run_queue},
    {"fate", "DEVICE MESSAGE-ID", "Show what became of one cloud-to-device message", NULL,
     ctl_run_fate},
    {"purge", "DEVICE", "Purge a device's queue", NULL, ctl_run_purge},
    {"feedback", "", "Show the feedback records of messages sent with --ack", NULL,
     ctl_run_feedback},
    {"fault", "KIND [KEY=VALUE]...", "Make the emulator misbehave",
     "Kinds and their keys; device=ID restricts each to one device:\n"
     "  refuse        answer connects with CONNACK code=3, the next count=1 times (0: always);\n"
     "                HTTPS requests with 503 for code 3 and with 401 for others\n"
     "  refuse-tcp    close new sockets before TLS, the next count=1 times\n"
     "  refuse-subscribe  answer MQTT subscriptions with SUBACK 0x80, the next count=1 filters\n"
     "  cut-after     take after=N messages, then close without acknowledging the next,\n"
     "                count=1 times; the next is stored all the same with store=true\n"
     "  stall-acks    hold acknowledgements for ms=N, or until cleared\n"
     "  delay         wait ms=N before each acknowledgement\n"
     "  throttle      take no more than rate=N messages a second\n"
     "  quota         take none of the next count=N messages: the day's quota is used up\n"
     "  drop          close the connections of now\n"
     "  black-hole    keep the sockets, read nothing, answer nothing\n"
     "  clock-skew    add sec=N to the hub's clock for tokens and expiry\n"
     "For example: " PROGRAM " fault cut-after after=10 device=thermostat",
     ctl_run_fault},
    {"faults", "", "List the faults in force", NULL, ctl_run_faults},
    {"clear-faults", "[ID]", "End one fault, or all", NULL, ctl_run_clear_faults},
    {"stats", "", "Show counters and the last disconnects", NULL, ctl_run_stats},
};

static const CtlCommand *
find_command(const char *name)
{
    for (size_t i = 0; i < G_N_ELEMENTS(commands); i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static char *
describe_commands(void)
{
    GString *text = g_string_new("Commands:\n");

    for (size_t i = 0; i < G_N_ELEMENTS(commands); i++)
        g_string_append_printf(text, "  %-18s %s\n", commands[i].name, commands[i].summary);
    g_string_append(text, "\n\"" PROGRAM " COMMAND --help\" tells more of one.\n"
                          "Exit status: 0 done, 1 refused or failed, 2 wrong usage, 3 no emulator "
                          "answers, 4 time ran out.");
    return g_string_free(text, FALSE);
}

/* The options that stand before or behind the command's name. */
static void
add_common_options(GOptionContext *context, Ctl *ctl)
{
    const GOptionEntry entries[] = {
        {"control-port", 0, 0, G_OPTION_ARG_INT, &ctl->port,
         "Port of the control API (default: read from the state directory, else 7883)", "PORT"},
        {"state-dir", 0, 0, G_OPTION_ARG_FILENAME, &ctl->state_dir,
         "State directory of the emulator to talk to", "DIR"},
        {"json", 0, 0, G_OPTION_ARG_NONE, &ctl->json, "Print JSON on one line", NULL},
        {NULL},
    };

    g_option_context_add_main_entries(context, entries, NULL);
}

/* The port in DIR/control.port. Only a directory asked for must have one. */
static gboolean
read_port(const char *dir, gboolean must_exist, guint16 *ret_port, GError **error)
{
    g_autofree char *file = g_build_filename(dir, "control.port", NULL);
    g_autofree char *text = NULL;
    guint64 port = 0;

    if (!g_file_get_contents(file, &text, NULL, NULL)) {
        if (must_exist)
            g_set_error(error, CTL_ERROR, CTL_ERROR_UNREACHABLE,
                        "No emulator runs in %s; start one with: iothub-emulator --state-dir %s",
                        dir, dir);
        *ret_port = CONTROL_PORT;
        return !must_exist;
    }
    if (!g_ascii_string_to_unsigned(g_strstrip(text), 10, 1, 65535, &port, error)) {
        g_prefix_error(error, "%s: ", file);
        return FALSE;
    }

    *ret_port = (guint16)port;
    return TRUE;
}

static gboolean
connect_to_emulator(Ctl *ctl, GError **error)
{
    guint16 port = (guint16)ctl->port;
    g_autofree char *own_dir = g_build_filename(g_get_user_state_dir(), "iothub-emulator", NULL);

    if (ctl->port != 0 && ctl->state_dir != NULL) {
        g_set_error(error, CTL_ERROR, CTL_ERROR_USAGE,
                    "--control-port and --state-dir exclude each other");
        return FALSE;
    }
    if (ctl->port < 0 || ctl->port > 65535) {
        g_set_error(error, CTL_ERROR, CTL_ERROR_USAGE, "Port %d is not in 1 to 65535", ctl->port);
        return FALSE;
    }
    if (port == 0 && !read_port(ctl->state_dir != NULL ? ctl->state_dir : own_dir,
                                ctl->state_dir != NULL, &port, error))
        return FALSE;

    ctl->client = ctl_client_new(port);
    return TRUE;
}

gboolean
ctl_check_utf8(const char *option, const char *value, GError **error)
{
    if (value == NULL || g_utf8_validate(value, -1, NULL))
        return TRUE;
    g_set_error(error, CTL_ERROR, CTL_ERROR_USAGE, "%s is not UTF-8", option);
    return FALSE;
}

static gboolean
check_arguments(Ctl *ctl, char **arguments, guint least, guint most, GError **error)
{
    guint n = g_strv_length(arguments);

    if (n < least || n > most) {
        g_set_error(error, CTL_ERROR, CTL_ERROR_USAGE, "Usage: " PROGRAM " %s %s",
                    ctl->command->name, ctl->command->arguments);
        return FALSE;
    }
    for (guint i = 0; i < n; i++)
        if (!ctl_check_utf8("An argument", arguments[i], error))
            return FALSE;
    return TRUE;
}

gboolean
ctl_parse(Ctl *ctl, const GOptionEntry *entries, int argc, char **argv, guint min_arguments,
          guint max_arguments, char ***ret_arguments, GError **error)
{
    g_autofree char *usage =
        g_strdup_printf("%s - %s", ctl->command->arguments, ctl->command->summary);
    g_autoptr(GOptionContext) context = g_option_context_new(usage);
    g_auto(GStrv) arguments = NULL;
    const GOptionEntry rest[] = {
        {G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &arguments, NULL, NULL},
        {NULL},
    };

    g_option_context_set_description(context, ctl->command->details);
    if (entries != NULL)
        g_option_context_add_main_entries(context, entries, NULL);
    add_common_options(context, ctl);
    g_option_context_add_main_entries(context, rest, NULL);
    g_autofree char *name = g_strdup_printf(PROGRAM " %s", ctl->command->name);
    g_set_prgname(name);
    if (!g_option_context_parse(context, &argc, &argv, error))
        return FALSE;

    if (arguments == NULL)
        arguments = g_new0(char *, 1);
    if (!check_arguments(ctl, arguments, min_arguments, max_arguments, error) ||
        !connect_to_emulator(ctl, error))
        return FALSE;
    *ret_arguments = g_steal_pointer(&arguments);
    return TRUE;
}

gboolean
ctl_show(Ctl *ctl, const char *path, JsonNodeType shape, void (*print)(JsonNode *answer),
         GError **error)
{
    g_autoptr(JsonNode) answer = ctl_client_call(ctl->client, "GET", path, NULL, shape, error);

    if (answer == NULL)
        return FALSE;
    if (ctl->json)
        ctl_print_json(answer);
    else
        print(answer);
    return TRUE;
}

/* Reads what stands before the command's name; argv[0] is the command afterwards. */
static gboolean
parse_command(Ctl *ctl, int *argc, char ***argv, GError **error)
{
    g_autoptr(GOptionContext) context = g_option_context_new("COMMAND [ARGUMENT]...");
    g_autofree char *description = describe_commands();

    g_set_prgname(PROGRAM);
    g_option_context_set_strict_posix(context, TRUE);
    g_option_context_set_description(context, description);
    add_common_options(context, ctl);
    if (!g_option_context_parse(context, argc, argv, error))
        return FALSE;

    *argc -= 1;
    *argv += 1;
    if (*argc > 0 && strcmp((*argv)[0], "--") == 0) {
        *argc -= 1;
        *argv += 1;
    }
    ctl->command = *argc > 0 ? find_command((*argv)[0]) : NULL;
    if (ctl->command != NULL)
        return TRUE;
    if (*argc > 0)
        g_set_error(error, CTL_ERROR, CTL_ERROR_USAGE,
                    "There is no command \"%s\"; \"" PROGRAM " --help\" lists them", (*argv)[0]);
    else
        g_set_error(error, CTL_ERROR, CTL_ERROR_USAGE,
                    "Which command? \"" PROGRAM " --help\" lists them");
    return FALSE;
}

static int
status_of(const GError *error)
{
    if (error->domain == CTL_ERROR)
        return error->code;
    return error->domain == G_OPTION_ERROR ? CTL_ERROR_USAGE : CTL_ERROR_REFUSED;
}

int
ctl_main(int argc, char **argv)
{
    Ctl ctl = {0};
    g_autoptr(GError) error = NULL;
    int status = EXIT_SUCCESS;

    if (!parse_command(&ctl, &argc, &argv, &error) || !ctl.command->run(&ctl, argc, argv, &error)) {
        fprintf(stderr, PROGRAM ": %s\n", error->message);
        status = status_of(error);
    } else if (fflush(stdout) != 0) {
        fprintf(stderr, PROGRAM ": Writing the output failed\n");
        status = CTL_ERROR_REFUSED;
    }

    g_clear_pointer(&ctl.client, ctl_client_free);
    g_clear_pointer(&ctl.state_dir, g_free);
    return status;
}
