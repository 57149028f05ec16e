/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/rules.h"

struct SpokeRules {
    GPtrArray *array; /* owned; of SpokeRule, the most important first */
};

static const char *const effects[] = {
    [SPOKE_EFFECT_NONE] = "none",
    [SPOKE_EFFECT_PREFER] = "prefer",
    [SPOKE_EFFECT_AVOID] = "avoid",
    [SPOKE_EFFECT_FORBID] = "forbid",
};
G_STATIC_ASSERT(G_N_ELEMENTS(effects) == SPOKE_N_EFFECTS);
G_STATIC_ASSERT(SPOKE_N_CONDITIONS <= 32);

void
spoke_rule_free(SpokeRule *rule)
{
    if (rule == NULL)
        return;

    g_free(rule->name);
    g_free(rule->because);
    g_free(rule);
}

const char *
spoke_effect_to_string(SpokeEffect effect)
{
    g_return_val_if_fail((guint)effect < SPOKE_N_EFFECTS, "");

    return effects[effect];
}

gboolean
spoke_effect_from_string(const char *name, SpokeEffect *ret_effect)
{
    for (guint i = 0; i < SPOKE_N_EFFECTS; i++) {
        if (g_str_equal(effects[i], name)) {
            *ret_effect = i;
            return TRUE;
        }
    }
    return FALSE;
}

gboolean
spoke_rule_holds(const SpokeRule *rule, const SpokeFacts *facts, SpokeProtocol protocol)
{
    if ((rule->protocols & SPOKE_PROTOCOL_BIT(protocol)) == 0)
        return FALSE;

    for (guint32 rest = rule->conditions; rest != 0; rest &= rest - 1) {
        guint condition = (guint)__builtin_ctz(rest);

        if (!spoke_condition_holds(condition, rule->values[condition], facts, protocol))
            return FALSE;
    }
    return TRUE;
}

/* IdentitiesMin and IdentitiesMax speak of one fact; it is said once. */
static void
describe_facts(const SpokeRule *rule, const SpokeFacts *facts, SpokeProtocol protocol,
               GString *text)
{
    g_autoptr(GString) fact = g_string_new(NULL);
    g_autofree char *last = NULL;
    const char *separator = ": ";

    for (guint32 rest = rule->conditions; rest != 0; rest &= rest - 1) {
        g_string_truncate(fact, 0);
        spoke_condition_describe((guint)__builtin_ctz(rest), facts, protocol, fact);
        if (g_strcmp0(last, fact->str) == 0)
            continue;
        g_string_append_printf(text, "%s%s", separator, fact->str);
        separator = ", ";
        g_free(last);
        last = g_strdup(fact->str);
    }
}

void
spoke_rule_describe(const SpokeRule *rule, const SpokeFacts *facts, SpokeProtocol protocol,
                    GString *text)
{
    g_string_append_printf(text, "%s (rule %s", rule->because, rule->name);
    describe_facts(rule, facts, protocol, text);
    g_string_append_c(text, ')');
}

/* g_ptr_array_sort() keeps the order of equals. */
static int
compare_priorities(gconstpointer a, gconstpointer b)
{
    guint a_priority = (*(const SpokeRule *const *)a)->priority;
    guint b_priority = (*(const SpokeRule *const *)b)->priority;

    return a_priority > b_priority ? -1 : a_priority < b_priority;
}

SpokeRules *
spoke_rules_new(GPtrArray *rules)
{
    g_return_val_if_fail(rules->len <= SPOKE_RULES_MAX, NULL);

    SpokeRules *self = g_new0(SpokeRules, 1);
    self->array = rules;
    g_ptr_array_set_free_func(rules, (GDestroyNotify)spoke_rule_free);
    for (guint i = rules->len; i-- > 0;) {
        const SpokeRule *rule = g_ptr_array_index(rules, i);

        if (rule->effect == SPOKE_EFFECT_NONE)
            g_ptr_array_remove_index(rules, i);
    }
    g_ptr_array_sort(rules, compare_priorities);
    return self;
}

void
spoke_rules_free(SpokeRules *rules)
{
    if (rules == NULL)
        return;

    g_ptr_array_unref(rules->array);
    g_free(rules);
}

guint
spoke_rules_get_n(const SpokeRules *rules)
{
    return rules->array->len;
}

const SpokeRule *
spoke_rules_get(const SpokeRules *rules, guint index)
{
    return g_ptr_array_index(rules->array, index);
}
