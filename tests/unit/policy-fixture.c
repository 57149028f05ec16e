/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/policy-fixture.h"

#include "policy/policy.h"
#include "policy/rules-load.h"

#include <string.h>

static SpokeRules *
finish(SpokeRulesDraft *draft)
{
    g_autoptr(GError) error = NULL;
    SpokeRules *rules = spoke_rules_draft_finish(draft, &error);

    g_assert_no_error(error);
    g_assert_nonnull(rules);
    return rules;
}

static void
read_text(SpokeRulesDraft *draft, const char *text)
{
    g_autoptr(GError) error = NULL;
    gboolean is_read = spoke_rules_draft_read(draft, "local.policy", text, strlen(text), &error);

    g_assert_no_error(error);
    g_assert_true(is_read);
}

SpokeRules *
policy_fixture_load_default_with(const char *text)
{
    g_autofree char *path = g_build_filename(SPOKE_SOURCE_DIR, "policy", "default.policy", NULL);
    g_autoptr(SpokeRulesDraft) draft = spoke_rules_draft_new();
    g_autoptr(GError) error = NULL;
    gboolean is_read = spoke_rules_load_file(draft, path, &error);

    g_assert_no_error(error);
    g_assert_true(is_read);
    read_text(draft, text);
    return finish(draft);
}

SpokeRules *
policy_fixture_load_default(void)
{
    return policy_fixture_load_default_with("");
}

SpokeRules *
policy_fixture_parse(const char *text)
{
    g_autoptr(SpokeRulesDraft) draft = spoke_rules_draft_new();

    read_text(draft, text);
    return finish(draft);
}

SpokeFacts
policy_fixture_facts(void)
{
    return (SpokeFacts){.with_key = 1, .installed = SPOKE_PROTOCOLS_ALL};
}

char *
policy_fixture_order(const SpokeRules *rules, const SpokeFacts *facts)
{
    g_autoptr(GString) order = g_string_new(NULL);
    SpokeRanking ranking;

    spoke_policy_rank(rules, facts, &ranking);
    for (guint i = 0; i < ranking.n_usable; i++)
        g_string_append_printf(order, "%s%s", i > 0 ? " " : "",
                               spoke_protocol_to_string(ranking.candidates[i].protocol));
    return g_string_free(g_steal_pointer(&order), FALSE);
}
