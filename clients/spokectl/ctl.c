/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clients/spokectl/ctl.h"

#include "clients/spokectl/client-source.h"
#include "clients/spokectl/duration.h"
#include "clients/spokectl/flags.h"
#include "clients/spokectl/json.h"
#include "clients/spokectl/terminal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static GOptionContext *
new_context(SpokeCtl *ctl, const GOptionEntry *entries, const GOptionEntry *common)
{
    GOptionContext *context = g_option_context_new(ctl->verb->arguments);

    g_option_context_set_summary(context, ctl->verb->summary);
    g_option_context_set_description(context, ctl->verb->description);
    if (entries != NULL)
        g_option_context_add_main_entries(context, entries, NULL);
    g_option_context_add_main_entries(context, common, NULL);
    return context;
}

SpokeExit
spoke_ctl_usage(SpokeCtl *ctl, GError *error)
{
    g_autoptr(GError) owned = error;
    const char *verb = ctl->verb != NULL ? ctl->verb->name : "";
    const char *space = ctl->verb != NULL ? " " : "";
    g_autofree char *help =
        g_strdup_printf("'spokectl%s%s --help' lists what is right", space, verb);

    if (ctl->json) {
        const SpokeFailure failure = {
            .error = -EINVAL, .name = "org.spoked1.Error.InvalidArgument", .text = owned->message};
        g_autofree char *line = spoke_json_failure(&failure, help);
        g_printerr("%s\n", line);
    } else {
        g_printerr("spokectl%s%s: %s\n%s\n", space, verb, owned->message, help);
    }
    return SPOKE_EXIT_USAGE;
}

gboolean
spoke_ctl_parse(SpokeCtl *ctl, const GOptionEntry *entries, int arguments_max, int *argc,
                char ***argv)
{
    g_autofree char *device = NULL;
    const GOptionEntry common[] = {
        {"device", 'd', 0, G_OPTION_ARG_FILENAME, &device,
         "Identity to act for (default: self, the machine's own)", "NAME"},
        {"json", 0, 0, G_OPTION_ARG_NONE, &ctl->json, "Print JSON, one object a line", NULL},
        {NULL},
    };
    g_autoptr(GOptionContext) context = new_context(ctl, entries, common);
    g_autoptr(GError) error = NULL;

    if (spoke_flags_check(entries, *argc, *argv, &error) &&
        spoke_flags_check(common, *argc, *argv, &error) &&
        g_option_context_parse(context, argc, argv, &error)) {
        if (device != NULL) {
            g_free(ctl->device);
            ctl->device = g_steal_pointer(&device);
        }
        if (*argc - 1 <= arguments_max)
            return TRUE;
        g_set_error(&error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED,
                    "'%s' is one argument too many%s", (*argv)[arguments_max + 1],
                    arguments_max > 0 ? "; quote what belongs together" : "");
    }
    ctl->json = ctl->json || spoke_flags_has("--json", *argc, *argv);
    (void)spoke_ctl_usage(ctl, g_steal_pointer(&error));
    return FALSE;
}

gboolean
spoke_ctl_parse_duration(SpokeCtl *ctl, const char *option, const char *text, guint64 min_msec,
                         guint64 *ret_msec)
{
    g_autoptr(GError) error = NULL;

    if (text == NULL)
        return TRUE;
    if (spoke_duration_parse(text, ret_msec, &error)) {
        if (*ret_msec >= min_msec)
            return TRUE;
        g_autofree char *least = spoke_duration_format(min_msec * 1000);
        g_set_error(&error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                    "%s is too short; it has to be %s at least", text, least);
    }
    g_prefix_error(&error, "%s: ", option);
    (void)spoke_ctl_usage(ctl, g_steal_pointer(&error));
    return FALSE;
}

static void
on_lost(gpointer user_data)
{
    static const SpokeFailure lost = {
        .error = -ENOTCONN,
        .name = "org.freedesktop.DBus.Error.Disconnected",
        .text = "The system bus closed the connection",
    };
    SpokeCtl *ctl = user_data;

    ctl->client_source = 0;
    if (!ctl->ended)
        spoke_ctl_fail(ctl, &lost);
}

gboolean
spoke_ctl_open(SpokeCtl *ctl)
{
    int r = spoke_client_open(ctl->device, &ctl->client);
    if (r == -EINVAL) {
        ctl->exit_code =
            spoke_ctl_usage(ctl, g_error_new(G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                                             "'%s' can't be the name of a device", ctl->device));
        return FALSE;
    }
    if (r < 0) {
        g_autofree char *text =
            g_strconcat("No connection to the system bus: ", g_strerror(-r), NULL);
        spoke_ctl_fail(ctl, &(SpokeFailure){.error = -ENOTCONN,
                                            .name = "org.freedesktop.DBus.Error.NoServer",
                                            .text = text});
        return FALSE;
    }
    ctl->client_source = spoke_client_source_attach(ctl->client, on_lost, ctl);
    return TRUE;
}

SpokeExit
spoke_ctl_run(SpokeCtl *ctl, int result)
{
    if (result < 0)
        spoke_ctl_fail_errno(ctl, result);
    if (!ctl->ended)
        g_main_loop_run(ctl->loop);
    return ctl->exit_code;
}

void
spoke_ctl_end(SpokeCtl *ctl, SpokeExit exit_code)
{
    if (ctl->ended)
        return;
    ctl->ended = TRUE;
    ctl->exit_code = exit_code;
    g_main_loop_quit(ctl->loop);
}

/* The bus speaks of an object path there, which says little to a person. */
static char *
describe_absent_device(SpokeCtl *ctl, int error)
{
    if (error != -ENODEV)
        return NULL;
    return g_strdup_printf("spoked knows no device '%s'",
                           ctl->device != NULL ? ctl->device : "self");
}

void
spoke_ctl_report(SpokeCtl *ctl, const SpokeFailure *failure)
{
    const char *advice = spoke_advice_get_text(failure->error, g_getenv("DBUS_SYSTEM_BUS_ADDRESS"));

    if (ctl->json) {
        g_autofree char *line = spoke_json_failure(failure, advice);
        g_printerr("%s\n", line);
        return;
    }
    g_autofree char *absent = describe_absent_device(ctl, failure->error);
    const char *words = absent != NULL ? absent : failure->text;
    g_autofree char *text = spoke_terminal_escape(words, strlen(words), FALSE);
    g_printerr("%sspokectl: %s%s\n", spoke_terminal_colour(stderr, SPOKE_COLOUR_RED),
               text[0] != '\0' ? text : failure->name,
               spoke_terminal_colour(stderr, SPOKE_COLOUR_PLAIN));
    if (advice != NULL)
        g_printerr("%s.\n", advice);
}

void
spoke_ctl_fail(SpokeCtl *ctl, const SpokeFailure *failure)
{
    if (ctl->ended || failure->error == -ECANCELED)
        return; /* the second is our own doing */
    spoke_ctl_report(ctl, failure);
    spoke_ctl_end(ctl, spoke_advice_get_exit(failure->error));
}

void
spoke_ctl_on_done(SpokeClient *client, const SpokeFailure *failure, void *user_data)
{
    SpokeCtl *ctl = user_data;

    if (failure != NULL)
        spoke_ctl_fail(ctl, failure);
    else
        spoke_ctl_end(ctl, SPOKE_EXIT_OK);
}

void
spoke_ctl_fail_errno(SpokeCtl *ctl, int error)
{
    SpokeFailure failure = {
        .error = error,
        .name = "org.spoked1.Error.InvalidArgument",
        .text = g_strerror(-error),
    };

    if (error == -EMSGSIZE)
        failure.text = "The message is over the limit of 262144 bytes";
    else if (error == -EILSEQ)
        failure.text = "An option or a property is not UTF-8";
    spoke_ctl_fail(ctl, &failure);
}

void
spoke_ctl_init(SpokeCtl *ctl)
{
    *ctl = (SpokeCtl){.loop = g_main_loop_new(NULL, FALSE)};
}

void
spoke_ctl_clear(SpokeCtl *ctl)
{
    ctl->ended = TRUE; /* the last callbacks come from spoke_client_free() */
    g_clear_handle_id(&ctl->client_source, g_source_remove);
    g_clear_pointer(&ctl->client, spoke_client_free);
    g_clear_pointer(&ctl->loop, g_main_loop_unref);
    g_clear_pointer(&ctl->device, g_free);
}
