/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/policy-private.h"

/* A ranking in words: for each candidate the one rule that gave it its place, and the facts that
 * this rule looked at, which may be those of the other candidate. */

typedef struct {
    const SpokeRules *rules;
    const SpokeFacts *facts;
    const SpokeRanking *ranking;
    GString *text; /* owned */
} Explanation;

static const char *
name_of(const SpokeCandidate *candidate)
{
    return spoke_protocol_to_string(candidate->protocol);
}

static void
append_rule(Explanation *explanation, const SpokeRule *rule, const SpokeCandidate *about)
{
    spoke_rule_describe(rule, explanation->facts, about->protocol, explanation->text);
}

/* The most important rule that is for @candidate; NULL: none is. */
static const SpokeRule *
find_preferring(const SpokeRules *rules, const SpokeCandidate *candidate)
{
    for (guint64 held = candidate->held; held != 0; held &= held - 1) {
        const SpokeRule *rule = spoke_rules_get(rules, (guint)__builtin_ctzll(held));

        if (rule->effect == SPOKE_EFFECT_PREFER)
            return rule;
    }
    return NULL;
}

static void
append_incapable(Explanation *explanation, const SpokeCandidate *candidate)
{
    guint n = spoke_facts_count_identities(explanation->facts);
    guint max = spoke_protocol_get_identities_max(candidate->protocol);

    if (explanation->facts->with_certificate > 0 && max > 1)
        g_string_append_printf(explanation->text,
                               "A connection that logs in with a certificate carries that identity "
                               "alone, and there are %u",
                               n);
    else
        g_string_append_printf(explanation->text,
                               "A connection of this kind carries %u %s at most, and there are %u",
                               max, max == 1 ? "identity" : "identities", n);
}

static void
explain_ruled_out(Explanation *explanation, const SpokeCandidate *candidate)
{
    g_string_append(explanation->text, candidate->is_last_resort
                                           ? "Last resort, for the others are ruled out too: "
                                           : "Ruled out: ");
    if (candidate->ruling == SPOKE_RULING_FORBIDDEN)
        append_rule(explanation, candidate->decided_by, candidate);
    else if (candidate->ruling == SPOKE_RULING_INCAPABLE)
        append_incapable(explanation, candidate);
    else
        g_string_append(explanation->text, "It is not installed");
}

/* The one that would be first if there were no rules. */
static const SpokeCandidate *
find_first_by_guidance(const SpokeRanking *ranking)
{
    const SpokeCandidate *first = &ranking->candidates[0];

    for (guint i = 1; i < ranking->n_usable; i++)
        if (ranking->candidates[i].protocol < first->protocol)
            first = &ranking->candidates[i];
    return first;
}

static void
explain_first(Explanation *explanation)
{
    const SpokeCandidate *best = &explanation->ranking->candidates[0];
    const SpokeCandidate *usual = find_first_by_guidance(explanation->ranking);
    const SpokeCandidate *holder = NULL;
    const SpokeRule *against_usual =
        spoke_policy_find_deciding(explanation->rules, best, usual, &holder);
    const SpokeRule *preferring = find_preferring(explanation->rules, best);

    g_string_append(explanation->text, "First");
    if (against_usual != NULL) {
        g_string_append_printf(explanation->text, ", ahead of %s: ", name_of(usual));
        append_rule(explanation, against_usual, holder);
    }
    if (preferring != NULL && preferring != against_usual) {
        g_string_append(explanation->text, against_usual != NULL ? "; " : ": ");
        append_rule(explanation, preferring, best);
    }
    if (against_usual != NULL || preferring != NULL)
        return;
    g_string_append(explanation->text, explanation->ranking->n_usable > 1
                                           ? " in the order of the guidance"
                                           : ": The others are ruled out");
}

static void
explain_later(Explanation *explanation, const SpokeCandidate *candidate)
{
    const SpokeCandidate *before = candidate - 1, *holder = NULL;
    const SpokeRule *rule =
        spoke_policy_find_deciding(explanation->rules, candidate, before, &holder);

    g_string_append_printf(explanation->text, "After %s", name_of(before));
    if (rule == NULL) {
        g_string_append(explanation->text, " in the order of the guidance");
        return;
    }
    g_string_append(explanation->text, ": ");
    append_rule(explanation, rule, holder);
}

char *
spoke_policy_explain(const SpokeRules *rules, const SpokeFacts *facts, const SpokeRanking *ranking,
                     guint index)
{
    g_return_val_if_fail(index < SPOKE_N_PROTOCOLS, NULL);

    const SpokeCandidate *candidate = &ranking->candidates[index];
    Explanation explanation = {rules, facts, ranking, g_string_sized_new(256)};

    if (candidate->ruling != SPOKE_RULING_USABLE)
        explain_ruled_out(&explanation, candidate);
    else if (index == 0)
        explain_first(&explanation);
    else
        explain_later(&explanation, candidate);
    return g_string_free(explanation.text, FALSE);
}
