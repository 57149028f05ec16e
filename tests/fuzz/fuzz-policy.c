/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/policy.h"
#include "policy/rules-file.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

/* The input is one policy file, or two with a NUL byte between them, the second a drop-in. */

static void
check_refused(const GError *error)
{
    g_assert_error(error, SPOKE_RULES_ERROR, SPOKE_RULES_ERROR_INVALID);
    g_assert_true(g_str_has_prefix(error->message, "one.policy:") ||
                  g_str_has_prefix(error->message, "two.policy:"));
    for (const char *c = error->message; *c != '\0'; c++)
        g_assert_true(g_ascii_isprint(*c));
}

static void
check_rule(const SpokeRule *rule)
{
    g_assert_true(rule->effect > SPOKE_EFFECT_NONE && rule->effect < SPOKE_N_EFFECTS);
    g_assert_true(rule->protocols != 0 && (rule->protocols & ~SPOKE_PROTOCOLS_ALL) == 0);
    g_assert_cmpuint(rule->priority, <=, SPOKE_RULE_PRIORITY_MAX);
    g_assert_cmpuint(rule->conditions, <, 1u << SPOKE_N_CONDITIONS);
    g_assert_true(*rule->name != '\0' && strlen(rule->name) <= SPOKE_RULE_NAME_MAX);
    g_assert_true(*rule->because != '\0' && strlen(rule->because) <= SPOKE_RULE_BECAUSE_MAX);
}

static void
check_ranking(const SpokeRules *rules)
{
    const SpokeFacts facts = {
        .with_key = 1,
        .needs_push = TRUE,
        .memory_bytes = 1 << 26,
        .installed = SPOKE_PROTOCOLS_ALL,
        .history[SPOKE_PROTOCOL_MQTT] = {.last_outcome = "TcpTimeout", .failures = 2},
    };
    SpokeRanking ranking;

    spoke_policy_rank(rules, &facts, &ranking);
    g_assert_cmpuint(ranking.n_usable, >=, 1);
    for (guint i = 0; i < SPOKE_N_PROTOCOLS; i++) {
        g_autofree char *text = spoke_policy_explain(rules, &facts, &ranking, i);
        g_assert_true(g_utf8_validate(text, -1, NULL));
    }
}

static gboolean
read_files(SpokeRulesDraft *draft, const char *text, size_t size, GError **error)
{
    const char *end = memchr(text, '\0', size);
    size_t first = end != NULL ? (size_t)(end - text) : size;

    return spoke_rules_draft_read(draft, "one.policy", text, first, error) &&
           (end == NULL ||
            spoke_rules_draft_read(draft, "two.policy", end + 1, size - first - 1, error));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(SpokeRulesDraft) draft = spoke_rules_draft_new();
    g_autoptr(GError) error = NULL;
    g_autoptr(SpokeRules) rules = NULL;

    if (size > 0 && read_files(draft, (const char *)data, size, &error))
        rules = spoke_rules_draft_finish(draft, &error);
    if (rules == NULL) {
        if (size > 0)
            check_refused(error);
        return 0;
    }

    for (guint i = 0; i < spoke_rules_get_n(rules); i++)
        check_rule(spoke_rules_get(rules, i));
    check_ranking(rules);
    return 0;
}
