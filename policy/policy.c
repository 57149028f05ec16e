/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/policy.h"

#include "policy/policy-private.h"

#include <string.h>

static const char *const rulings[] = {
    [SPOKE_RULING_USABLE] = "usable",
    [SPOKE_RULING_FORBIDDEN] = "forbidden",
    [SPOKE_RULING_INCAPABLE] = "incapable",
    [SPOKE_RULING_NOT_INSTALLED] = "not-installed",
};
G_STATIC_ASSERT(G_N_ELEMENTS(rulings) == SPOKE_N_RULINGS);

const char *
spoke_ruling_to_string(SpokeRuling ruling)
{
    g_return_val_if_fail((guint)ruling < SPOKE_N_RULINGS, "");

    return rulings[ruling];
}

/* A certificate is the connection's, in TLS, whatever runs inside. Source: iot-hub-protocol.md,
 * 3.10. */
static gboolean
can_carry(SpokeProtocol protocol, const SpokeFacts *facts)
{
    guint n = spoke_facts_count_identities(facts);

    return n <= 1 ||
           (facts->with_certificate == 0 && n <= spoke_protocol_get_identities_max(protocol));
}

/* NULL: none does */
static const SpokeRule *
find_forbidding(const SpokeRules *rules, guint64 held)
{
    for (; held != 0; held &= held - 1) {
        const SpokeRule *rule = spoke_rules_get(rules, (guint)__builtin_ctzll(held));

        if (rule->effect == SPOKE_EFFECT_FORBID)
            return rule;
    }
    return NULL;
}

static void
apply_rules(SpokeCandidate *candidate, const SpokeRules *rules, const SpokeFacts *facts)
{
    for (guint i = 0; i < spoke_rules_get_n(rules); i++) {
        const SpokeRule *rule = spoke_rules_get(rules, i);

        if (!spoke_rule_holds(rule, facts, candidate->protocol))
            continue;
        candidate->held |= G_GUINT64_CONSTANT(1) << i;
        candidate->poll_sec = MAX(candidate->poll_sec, rule->poll_sec);
    }
}

static SpokeRuling
rule_on(const SpokeCandidate *candidate, const SpokeRules *rules, const SpokeFacts *facts)
{
    if ((facts->installed & SPOKE_PROTOCOL_BIT(candidate->protocol)) == 0)
        return SPOKE_RULING_NOT_INSTALLED;
    if (!can_carry(candidate->protocol, facts))
        return SPOKE_RULING_INCAPABLE;
    if (find_forbidding(rules, candidate->held) != NULL)
        return SPOKE_RULING_FORBIDDEN;
    return SPOKE_RULING_USABLE;
}

const SpokeRule *
spoke_policy_find_deciding(const SpokeRules *rules, const SpokeCandidate *a,
                           const SpokeCandidate *b, const SpokeCandidate **ret_holder)
{
    guint64 differing = a->held ^ b->held;

    if (differing == 0)
        return NULL;

    *ret_holder = (a->held & (differing & -differing)) != 0 ? a : b;
    return spoke_rules_get(rules, (guint)__builtin_ctzll(differing));
}

/* Of two protocols that no rule tells apart, the guidance puts the lower one first. */
static gboolean
is_before(const SpokeRules *rules, const SpokeCandidate *a, const SpokeCandidate *b)
{
    const SpokeCandidate *holder = NULL;

    if (a->ruling != b->ruling)
        return a->ruling < b->ruling;

    const SpokeRule *rule = spoke_policy_find_deciding(rules, a, b, &holder);
    if (rule == NULL)
        return a->protocol < b->protocol;
    return (holder == a) == (rule->effect == SPOKE_EFFECT_PREFER);
}

static void
insert(SpokeRanking *ranking, guint n, const SpokeCandidate *candidate, const SpokeRules *rules)
{
    SpokeCandidate *place = &ranking->candidates[n];

    for (; place > ranking->candidates && is_before(rules, candidate, place - 1); place--)
        *place = place[-1];
    *place = *candidate;
}

static void
give_ranks(SpokeRanking *ranking)
{
    SpokeCandidate *best = &ranking->candidates[0];

    if (best->ruling == SPOKE_RULING_FORBIDDEN || best->ruling == SPOKE_RULING_INCAPABLE) {
        best->is_last_resort = TRUE;
        best->rank = ranking->n_usable = 1;
        return;
    }
    for (guint i = 0; i < SPOKE_N_PROTOCOLS; i++)
        if (ranking->candidates[i].ruling == SPOKE_RULING_USABLE)
            ranking->candidates[i].rank = ++ranking->n_usable;
}

static const SpokeRule *
find_reason(const SpokeRanking *ranking, guint index, const SpokeRules *rules)
{
    const SpokeCandidate *candidate = &ranking->candidates[index], *holder = NULL;

    if (candidate->ruling == SPOKE_RULING_FORBIDDEN)
        return find_forbidding(rules, candidate->held);
    if (candidate->ruling != SPOKE_RULING_USABLE || ranking->n_usable == 1)
        return NULL;
    return spoke_policy_find_deciding(rules, candidate, index > 0 ? candidate - 1 : candidate + 1,
                                      &holder);
}

void
spoke_policy_rank(const SpokeRules *rules, const SpokeFacts *facts, SpokeRanking *ret_ranking)
{
    memset(ret_ranking, 0, sizeof *ret_ranking);
    for (guint i = 0; i < SPOKE_N_PROTOCOLS; i++) {
        SpokeCandidate candidate = {.protocol = i};

        apply_rules(&candidate, rules, facts);
        candidate.ruling = rule_on(&candidate, rules, facts);
        insert(ret_ranking, i, &candidate, rules);
    }
    give_ranks(ret_ranking);
    for (guint i = 0; i < SPOKE_N_PROTOCOLS; i++)
        ret_ranking->candidates[i].decided_by = find_reason(ret_ranking, i, rules);
}
