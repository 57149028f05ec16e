/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clients/spokectl/credential.h"
#include "clients/spokectl/users.h"
#include "clients/spokectl/verbs.h"

#include <unistd.h>

/* What changes the daemon, for root: add-device, remove-device and reload. */

/* The device becomes the client's own, so that failures name it. FALSE: reported */
static gboolean
take_name(SpokeCtl *ctl, int argc, char **argv)
{
    if (argc < 2) {
        (void)spoke_ctl_usage(ctl, g_error_new(G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                                               "Which device? Give its name"));
        return FALSE;
    }
    g_free(ctl->device);
    ctl->device = g_strdup(argv[1]);
    return TRUE;
}

static SpokeExit
add_device(SpokeCtl *ctl, const SpokeAddDeviceOptions *options, const char *file)
{
    g_autoptr(GError) error = NULL;
    int fd = spoke_credential_open(file, &error);

    if (fd < 0) {
        g_printerr("spokectl add-device: %s\n", error->message);
        return SPOKE_EXIT_FAILURE;
    }
    if (!spoke_ctl_open(ctl)) {
        (void)close(fd);
        return ctl->exit_code;
    }
    int r = spoke_client_add_device(ctl->client, ctl->device, fd, options, spoke_ctl_on_done, ctl);
    (void)close(fd);
    return spoke_ctl_run(ctl, r);
}

/* The daemon has a directory of its own. */
static char *
make_absolute(const char *file)
{
    return file != NULL ? g_canonicalize_filename(file, NULL) : NULL;
}

static SpokeExit
run_add_device(SpokeCtl *ctl, int argc, char **argv)
{
    g_autofree char *file = NULL;
    g_autofree char *certificate = NULL;
    g_autofree char *key = NULL;
    g_autofree char *users = NULL;
    gboolean own_connection = FALSE;
    const GOptionEntry entries[] = {
        {"connection-string-file", 'F', 0, G_OPTION_ARG_FILENAME, &file,
         "Where the connection string is (default: -, standard input)", "FILE"},
        {"certificate", 0, 0, G_OPTION_ARG_FILENAME, &certificate,
         "PEM file that spoked may read, for a connection string with x509=true", "FILE"},
        {"private-key", 0, 0, G_OPTION_ARG_FILENAME, &key, "Its key", "FILE"},
        {"own-connection", 0, 0, G_OPTION_ARG_NONE, &own_connection,
         "Needed with a certificate, which can't share a connection", NULL},
        {"users", 0, 0, G_OPTION_ARG_FILENAME, &users,
         "Who may use it beside root (default: all who may use spoked)", "USER,USER,..."},
        {NULL},
    };
    g_autoptr(GError) error = NULL;
    g_autofree char *ids = NULL;

    if (!spoke_ctl_parse(ctl, entries, 1, &argc, &argv) || !take_name(ctl, argc, argv))
        return SPOKE_EXIT_USAGE;
    if ((certificate == NULL) != (key == NULL))
        return spoke_ctl_usage(ctl, g_error_new(G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                                                "--certificate and --private-key go together"));
    if (users != NULL && (ids = spoke_users_parse(users, &error)) == NULL) {
        g_prefix_error(&error, "--users: ");
        return spoke_ctl_usage(ctl, g_steal_pointer(&error));
    }

    g_autofree char *certificate_path = make_absolute(certificate);
    g_autofree char *key_path = make_absolute(key);
    const SpokeAddDeviceOptions options = {SPOKE_ADD_DEVICE_OPTIONS_INIT,
                                           .certificate = certificate_path, .private_key = key_path,
                                           .users = ids, .own_connection = own_connection};
    return add_device(ctl, &options, file);
}

static SpokeExit
run_remove_device(SpokeCtl *ctl, int argc, char **argv)
{
    if (!spoke_ctl_parse(ctl, NULL, 1, &argc, &argv) || !take_name(ctl, argc, argv))
        return SPOKE_EXIT_USAGE;
    if (!spoke_ctl_open(ctl))
        return ctl->exit_code;
    return spoke_ctl_run(
        ctl, spoke_client_remove_device(ctl->client, ctl->device, spoke_ctl_on_done, ctl));
}

static SpokeExit
run_reload(SpokeCtl *ctl, int argc, char **argv)
{
    if (!spoke_ctl_parse(ctl, NULL, 0, &argc, &argv))
        return SPOKE_EXIT_USAGE;
    if (!spoke_ctl_open(ctl))
        return ctl->exit_code;
    return spoke_ctl_run(ctl, spoke_client_reload(ctl->client, spoke_ctl_on_done, ctl));
}

const SpokeVerb spoke_verb_add_device = {
    .name = "add-device",
    .arguments = "NAME",
    .summary = "Speak for one more device, until spoked ends",
    .description = "The connection string is a secret: it comes from a file or a pipe, never from "
                   "the command\n"
                   "line. A device of the configuration ([Device NAME] in spoked.conf) is there at "
                   "each start.\n"
                   "For root.",
    .run = run_add_device,
};

const SpokeVerb spoke_verb_remove_device = {
    .name = "remove-device",
    .arguments = "NAME",
    .summary = "Take off a device that add-device added",
    .description = "Its messages stay on disk, for when it is added again. For root.",
    .run = run_remove_device,
};

const SpokeVerb spoke_verb_reload = {
    .name = "reload",
    .arguments = "",
    .summary = "Make spoked read its configuration again",
    .description =
        "A faulty configuration is reported with file, line and key, and changes nothing.\n"
        "For root.",
    .run = run_reload,
};
