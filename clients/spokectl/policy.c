/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clients/spokectl/json.h"
#include "clients/spokectl/policy-facts.h"
#include "clients/spokectl/policy-text.h"
#include "clients/spokectl/terminal.h"
#include "clients/spokectl/verbs.h"
#include "policy/rules-load.h"

#include <errno.h>
#include <stdio.h>

/*
 * The rules that choose the protocol, tried out: is a policy file good, and what would be chosen.
 * No daemon is asked; the files and the code are those it uses.
 */

typedef struct {
    gboolean alone; /* the installed files are left out */
    char **files;   /* borrowed; read after the installed ones, nullable */
    guint n_files;  /* read in all */
} Sources;

static gboolean
read_installed(SpokeRulesDraft *draft, Sources *sources, GError **error)
{
    static const char *const directories[] = {SPOKE_RULES_VENDOR_DIRECTORY,
                                              SPOKE_RULES_ADMIN_DIRECTORY};

    for (gsize i = 0; i < G_N_ELEMENTS(directories); i++) {
        guint n = 0;

        if (!spoke_rules_load_directory(draft, directories[i], &n, error))
            return FALSE;
        sources->n_files += n;
    }
    return TRUE;
}

/* (transfer full) (nullable) */
static SpokeRules *
read_rules(Sources *sources, GError **error)
{
    g_autoptr(SpokeRulesDraft) draft = spoke_rules_draft_new();

    if (!sources->alone && !read_installed(draft, sources, error))
        return NULL;
    for (char **file = sources->files; file != NULL && *file != NULL; file++) {
        if (!spoke_rules_load_file(draft, *file, error))
            return NULL;
        sources->n_files++;
    }
    return spoke_rules_draft_finish(draft, error);
}

static SpokeExit
refuse(SpokeCtl *ctl, const GError *error)
{
    const SpokeFailure failure = {
        .error = -EINVAL,
        .name = "org.spoked1.Error.InvalidConfig",
        .text = error->message,
    };

    spoke_ctl_report(ctl, &failure);
    return SPOKE_EXIT_FAILURE;
}

static SpokeExit
check(SpokeCtl *ctl, Sources *sources)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(SpokeRules) rules = read_rules(sources, &error);

    if (rules == NULL)
        return refuse(ctl, error);

    guint n = spoke_rules_get_n(rules);
    if (ctl->json) {
        JsonBuilder *builder = spoke_json_begin();
        spoke_json_add_number(builder, "files", sources->n_files);
        spoke_json_add_number(builder, "rules", n);
        g_autofree char *line = spoke_json_end(builder);
        (void)puts(line);
    } else {
        g_print("No fault: %u %s in %u %s\n", n, n == 1 ? "rule" : "rules", sources->n_files,
                sources->n_files == 1 ? "file" : "files");
    }
    return SPOKE_EXIT_OK;
}

static void
print_ranking(SpokeCtl *ctl, const SpokeRules *rules, const SpokeFacts *facts)
{
    gsize width = spoke_terminal_is_live(stdout) ? (gsize)spoke_terminal_get_width(stdout) : 0;
    SpokeRanking ranking;

    spoke_policy_rank(rules, facts, &ranking);
    for (guint i = 0; i < SPOKE_N_PROTOCOLS; i++) {
        if (ctl->json) {
            g_autofree char *line = spoke_policy_text_to_json(rules, facts, &ranking, i);
            (void)puts(line);
        } else {
            g_autofree char *text = spoke_policy_text_format(rules, facts, &ranking, i, width);
            (void)fputs(text, stdout);
        }
    }
}

static SpokeExit
simulate(SpokeCtl *ctl, Sources *sources, char **words)
{
    g_autoptr(GError) error = NULL;
    SpokeFacts facts = {0};

    if (!spoke_policy_facts_parse(words, &facts, &error))
        return spoke_ctl_usage(ctl, g_steal_pointer(&error));

    g_autoptr(SpokeRules) rules = read_rules(sources, &error);
    if (rules == NULL)
        return refuse(ctl, error);
    if (sources->n_files == 0)
        g_printerr("There is no policy file in %s or %s: this is without rules\n",
                   SPOKE_RULES_VENDOR_DIRECTORY, SPOKE_RULES_ADMIN_DIRECTORY);
    print_ranking(ctl, rules, &facts);
    return SPOKE_EXIT_OK;
}

static SpokeExit
run_policy(SpokeCtl *ctl, int argc, char **argv)
{
    g_auto(GStrv) policies = NULL;
    Sources sources = {0};
    const GOptionEntry entries[] = {
        {"policy", 'p', 0, G_OPTION_ARG_FILENAME_ARRAY, &policies,
         "With simulate: read this file after the installed ones; may be repeated", "FILE"},
        {"alone", 'a', 0, G_OPTION_ARG_NONE, &sources.alone, "Leave out the installed files", NULL},
        {NULL},
    };

    if (!spoke_ctl_parse(ctl, entries, G_MAXINT - 1, &argc, &argv))
        return SPOKE_EXIT_USAGE;

    const char *action = argc > 1 ? argv[1] : "";
    if (g_str_equal(action, "check") && policies == NULL) {
        sources.files = argv + 2;
        return check(ctl, &sources);
    }
    if (g_str_equal(action, "simulate")) {
        sources.files = policies;
        return simulate(ctl, &sources, argv + 2);
    }
    return spoke_ctl_usage(ctl, g_error_new(G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                                            g_str_equal(action, "check")
                                                ? "check takes its files without --policy"
                                                : "What with it? check or simulate"));
}

const SpokeVerb spoke_verb_policy = {
    .name = "policy",
    .arguments = "check [FILE...] | simulate [FACT=VALUE...]",
    .summary = "Check policy files, or try which protocol they choose",
    .description = "Asks no daemon. spokectl(1) lists the facts, spoked.policy(5) what a file may "
                   "hold.",
    .run = run_policy,
};
