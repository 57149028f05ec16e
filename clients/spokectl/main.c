/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clients/spokectl/flags.h"
#include "clients/spokectl/verbs.h"

#include <locale.h>
#include <stdio.h>

/* spokectl [OPTION...] VERB ...: finds the verb and hands over. */

static const SpokeVerb *const verbs[] = {
    &spoke_verb_status,        &spoke_verb_monitor, &spoke_verb_send,      &spoke_verb_flush,
    &spoke_verb_listen,        &spoke_verb_receive, &spoke_verb_check_now, &spoke_verb_complete,
    &spoke_verb_abandon,       &spoke_verb_reject,  &spoke_verb_devices,   &spoke_verb_add_device,
    &spoke_verb_remove_device, &spoke_verb_reload,  &spoke_verb_policy,
};

static const SpokeVerb *
find_verb(const char *name)
{
    for (gsize i = 0; i < G_N_ELEMENTS(verbs); i++)
        if (g_str_equal(verbs[i]->name, name))
            return verbs[i];
    return NULL;
}

static char *
describe_verbs(void)
{
    GString *text = g_string_new("Verbs:\n");

    for (gsize i = 0; i < G_N_ELEMENTS(verbs); i++)
        g_string_append_printf(text, "  %-13s %s\n", verbs[i]->name, verbs[i]->summary);
    g_string_append(text,
                    "\n'spokectl VERB --help' has the options of a verb.\n"
                    "\n"
                    "Exit status: 0 done, 1 failed, 2 wrong usage, 3 spoked not reachable, 4 time\n"
                    "is up, and of a message the hub will never have: 5 rejected, 6 expired,\n"
                    "7 dropped.\n");
    return g_string_free(text, FALSE);
}

static GOptionContext *
new_context(const GOptionEntry *entries)
{
    g_autofree char *description = describe_verbs();
    GOptionContext *context = g_option_context_new("VERB ...");

    g_option_context_set_summary(context, "Talks to spoked: telemetry up, cloud messages down.");
    g_option_context_set_description(context, description);
    g_option_context_add_main_entries(context, entries, NULL);
    g_option_context_set_strict_posix(context, TRUE); /* the verb's options are the verb's */
    return context;
}

/* Cuts @argv at "--", so that no option is looked for behind it. */
static char **
cut_rest(char **argv, int *argc)
{
    for (int i = 1; i < *argc; i++) {
        if (g_str_equal(argv[i], "--")) {
            argv[i] = NULL;
            *argc = i;
            return &argv[i + 1];
        }
    }
    return NULL;
}

static SpokeExit
run_verb(SpokeCtl *ctl, int argc, char **argv)
{
    ctl->verb = find_verb(argv[1]);
    if (ctl->verb == NULL) {
        ctl->json = ctl->json || spoke_flags_has("--json", argc, argv);
        return spoke_ctl_usage(ctl, g_error_new(G_OPTION_ERROR, G_OPTION_ERROR_UNKNOWN_OPTION,
                                                "There is no verb '%s'", argv[1]));
    }

    g_autofree char *name = g_strconcat("spokectl ", ctl->verb->name, NULL);
    g_set_prgname(name);
    return ctl->verb->run(ctl, argc - 1, argv + 1);
}

int
main(int argc, char **argv)
{
    g_auto(SpokeCtl) ctl = {0};
    g_autoptr(GError) error = NULL;
    gboolean version = FALSE;
    const GOptionEntry entries[] = {
        {"device", 'd', 0, G_OPTION_ARG_FILENAME, &ctl.device,
         "Identity to act for (default: self, the machine's own)", "NAME"},
        {"json", 0, 0, G_OPTION_ARG_NONE, &ctl.json, "Print JSON, one object a line", NULL},
        {"version", 0, 0, G_OPTION_ARG_NONE, &version, "Print the version", NULL},
        {NULL},
    };

    setlocale(LC_ALL, "");
    g_set_prgname("spokectl");
    spoke_ctl_init(&ctl);
    g_autoptr(GOptionContext) context = new_context(entries);

    ctl.rest = cut_rest(argv, &argc);
    if (!spoke_flags_check(entries, argc, argv, &error) ||
        !g_option_context_parse(context, &argc, &argv, &error)) {
        ctl.json = spoke_flags_has("--json", argc, argv);
        return spoke_ctl_usage(&ctl, g_steal_pointer(&error));
    }
    if (version) {
        g_print("spokectl %s\n", SPOKE_VERSION);
        return SPOKE_EXIT_OK;
    }
    if (argc < 2 || g_str_equal(argv[1], "help")) {
        g_autofree char *help = g_option_context_get_help(context, TRUE, NULL);
        (void)fputs(help, argc < 2 ? stderr : stdout);
        return argc < 2 ? SPOKE_EXIT_USAGE : SPOKE_EXIT_OK;
    }
    return run_verb(&ctl, argc, argv);
}
