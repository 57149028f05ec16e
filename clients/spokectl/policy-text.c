/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clients/spokectl/policy-text.h"

#include "clients/spokectl/json.h"

#define INDENT    12 /* place and name */
#define WIDTH_MIN 40 /* below, folding makes it worse */

/* Words, each with its space, go to the next line where they are over the edge. Our own sentences
 * and what a policy file may hold: nothing that would command a terminal. */
static void
append_folded(GString *text, const char *sentence, gsize width)
{
    g_auto(GStrv) words = g_strsplit(sentence, " ", -1);
    gsize column = INDENT;

    for (char **word = words; *word != NULL; word++) {
        gsize size = (gsize)g_utf8_strlen(*word, -1);

        if (width >= WIDTH_MIN && column + size > width && word > words) {
            g_string_append_printf(text, "\n%*s", INDENT, "");
            column = INDENT;
        } else if (word > words) {
            g_string_append_c(text, ' ');
        }
        g_string_append(text, *word);
        column += size + 1;
    }
}

char *
spoke_policy_text_format(const SpokeRules *rules, const SpokeFacts *facts,
                         const SpokeRanking *ranking, guint index, gsize width)
{
    const SpokeCandidate *candidate = &ranking->candidates[index];
    g_autofree char *reason = spoke_policy_explain(rules, facts, ranking, index);
    g_autofree char *place =
        candidate->rank != 0 ? g_strdup_printf("%u", candidate->rank) : g_strdup("-");
    GString *text = g_string_new(NULL);

    g_string_append_printf(text, "%s  %-*s", place, INDENT - 3,
                           spoke_protocol_to_string(candidate->protocol));
    append_folded(text, reason, width);
    g_string_append_c(text, '\n');
    return g_string_free(text, FALSE);
}

static void
add_rules(JsonBuilder *builder, const SpokeRules *rules, const SpokeCandidate *candidate)
{
    json_builder_set_member_name(builder, "rules");
    json_builder_begin_array(builder);
    for (guint i = 0; i < spoke_rules_get_n(rules); i++) {
        const SpokeRule *rule = spoke_rules_get(rules, i);

        if ((candidate->held >> i & 1) == 0)
            continue;
        json_builder_begin_object(builder);
        spoke_json_add_string(builder, "name", rule->name);
        spoke_json_add_string(builder, "effect", spoke_effect_to_string(rule->effect));
        spoke_json_add_string(builder, "because", rule->because);
        json_builder_end_object(builder);
    }
    json_builder_end_array(builder);
}

char *
spoke_policy_text_to_json(const SpokeRules *rules, const SpokeFacts *facts,
                          const SpokeRanking *ranking, guint index)
{
    const SpokeCandidate *candidate = &ranking->candidates[index];
    g_autofree char *reason = spoke_policy_explain(rules, facts, ranking, index);
    JsonBuilder *builder = spoke_json_begin();

    spoke_json_add_string(builder, "transport", spoke_protocol_to_string(candidate->protocol));
    if (candidate->rank != 0)
        spoke_json_add_number(builder, "rank", candidate->rank);
    spoke_json_add_string(builder, "ruling", spoke_ruling_to_string(candidate->ruling));
    spoke_json_add_boolean(builder, "lastResort", candidate->is_last_resort);
    if (candidate->poll_sec != 0)
        spoke_json_add_number(builder, "pollSec", candidate->poll_sec);
    if (candidate->decided_by != NULL)
        spoke_json_add_string(builder, "decidedBy", candidate->decided_by->name);
    add_rules(builder, rules, candidate);
    spoke_json_add_string(builder, "reason", reason);
    return spoke_json_end(builder);
}
