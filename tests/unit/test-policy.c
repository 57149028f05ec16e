/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/cause.h"
#include "policy/policy.h"
#include "tests/unit/policy-fixture.h"

#include <string.h>

#define MIB ((guint64)1024 * 1024)
#define SEC ((gint64)G_USEC_PER_SEC)

#define MQTT    SPOKE_PROTOCOL_BIT(SPOKE_PROTOCOL_MQTT)
#define MQTT_WS SPOKE_PROTOCOL_BIT(SPOKE_PROTOCOL_MQTT_WS)
#define AMQP    SPOKE_PROTOCOL_BIT(SPOKE_PROTOCOL_AMQP)
#define HTTPS   SPOKE_PROTOCOL_BIT(SPOKE_PROTOCOL_HTTPS)

#define FAILED(cause, sec, n)                                                                      \
    {                                                                                              \
        .last_outcome = (cause), .tried_ago_usec = (sec)*SEC, .failures = (n)                      \
    }
#define WORKED                                                                                     \
    {                                                                                              \
        .last_outcome = "", .has_worked = TRUE                                                     \
    }

/* A row of a table: facts, and what the default rules make of them. */
typedef struct {
    const char *words;
    SpokeFacts facts;
    const char *order;
} Case;

static void
assert_cases(const Case *cases, guint n)
{
    g_autoptr(SpokeRules) rules = policy_fixture_load_default();

    for (guint i = 0; i < n; i++) {
        SpokeFacts facts = cases[i].facts;
        if (facts.installed == 0)
            facts.installed = SPOKE_PROTOCOLS_ALL;
        if (facts.with_key + facts.with_token + facts.with_certificate == 0)
            facts.with_key = 1;

        g_autofree char *order = policy_fixture_order(rules, &facts);
        g_test_message("%s: %s", cases[i].words, order);
        g_assert_cmpstr(order, ==, cases[i].order);
    }
}

/* Each row is a sentence of iot-hub-protocol.md, section 11, or of a section it sums up. */
static void
test_rank_follows_section_11_of_the_guidance(void)
{
    static const Case cases[] = {
        {"MQTT by default for one device", {0}, "mqtt mqtt-ws amqp amqp-ws https"},
        {"fallback for an unknown network: 8883, WebSocket on 443",
         {.history[SPOKE_PROTOCOL_MQTT] = FAILED("TcpTimeout", 2, 1)},
         "mqtt-ws amqp amqp-ws https mqtt"},
        {"... and HTTPS when nothing else gets out",
         {.history = {FAILED("TcpTimeout", 9, 1), FAILED("Protocol", 7, 1),
                      FAILED("TcpTimeout", 5, 1), FAILED("Protocol", 3, 1)}},
         "https mqtt mqtt-ws amqp amqp-ws"},
        {"remember what worked: an hour later on the same network",
         {.history = {FAILED("TcpTimeout", 3600, 1), WORKED}},
         "mqtt-ws amqp amqp-ws https mqtt"},
        {"MQTT/WS behind proxies", {.has_proxy = TRUE}, "mqtt-ws amqp-ws https mqtt amqp"},
        {"AMQP for gateways carrying many devices", {.with_key = 40}, "amqp amqp-ws https"},
        {"... over a WebSocket where 5671 is closed",
         {.with_key = 40, .history[SPOKE_PROTOCOL_AMQP] = FAILED("TcpRefused", 2, 1)},
         "amqp-ws https amqp"},
        {"... up to 1000 on a connection", {.with_key = 1001}, "https"},
        {"AMQP when reject and abandon matter",
         {.needs_settle = TRUE, .needs_push = TRUE},
         "amqp amqp-ws mqtt mqtt-ws https"},
        {"HTTPS settles too, but polls", {.needs_settle = TRUE}, "amqp amqp-ws https mqtt mqtt-ws"},
        {"HTTPS for those who can do nothing else", {.installed = HTTPS}, "https"},
        {"no AMQP where memory is scarce", {.memory_bytes = 32 * MIB}, "mqtt mqtt-ws https"},
        {"... or has become so",
         {.memory_bytes = 512 * MIB, .free_bytes = 9 * MIB},
         "mqtt mqtt-ws https"},
        {"... HTTPS there for several identities",
         {.with_key = 3, .memory_bytes = 32 * MIB},
         "https"},
        {"X.509: one identity on a connection",
         {.with_certificate = 1},
         "mqtt mqtt-ws amqp amqp-ws https"},
        {"native binary protocols before HTTPS for the payload's size",
         {.is_metered = TRUE},
         "mqtt mqtt-ws amqp amqp-ws https"},
        {"... also where HTTPS would settle what MQTT can't",
         {.is_metered = TRUE, .needs_settle = TRUE, .installed = MQTT | HTTPS},
         "mqtt https"},
    };

    assert_cases(cases, G_N_ELEMENTS(cases));
}

static void
test_rank_weighs_history(void)
{
    static const Case cases[] = {
        {"a failure of the hub's, or ours, is the same everywhere",
         {.history[SPOKE_PROTOCOL_MQTT] = FAILED("AuthenticationFailed", 2, 9)},
         "mqtt mqtt-ws amqp amqp-ws https"},
        {"so is a name that has no address",
         {.history[SPOKE_PROTOCOL_MQTT] = FAILED("Dns", 2, 9)},
         "mqtt mqtt-ws amqp amqp-ws https"},
        {"two breaks are no pattern",
         {.history[SPOKE_PROTOCOL_MQTT] = FAILED("KeepAlive", 2, 2)},
         "mqtt mqtt-ws amqp amqp-ws https"},
        {"three are",
         {.history[SPOKE_PROTOCOL_MQTT] = FAILED("KeepAlive", 2, 3)},
         "mqtt-ws amqp amqp-ws https mqtt"},
        {"for a quarter of an hour",
         {.history[SPOKE_PROTOCOL_MQTT] = FAILED("KeepAlive", 901, 3)},
         "mqtt mqtt-ws amqp amqp-ws https"},
        {"a closed port is remembered for a day",
         {.history[SPOKE_PROTOCOL_MQTT] = FAILED("TcpRefused", 86400, 1)},
         "mqtt-ws amqp amqp-ws https mqtt"},
        {"and no longer",
         {.history[SPOKE_PROTOCOL_MQTT] = FAILED("TcpRefused", 86401, 1)},
         "mqtt mqtt-ws amqp amqp-ws https"},
        {"where nothing works, all are as they were",
         {.history = {FAILED("TcpTimeout", 1, 5), FAILED("TcpTimeout", 1, 5),
                      FAILED("TcpTimeout", 1, 5), FAILED("TcpTimeout", 1, 5),
                      FAILED("TcpTimeout", 1, 5)}},
         "mqtt mqtt-ws amqp amqp-ws https"},
        {"what works goes before what would be better",
         {.needs_push = TRUE,
          .history = {FAILED("TcpTimeout", 1, 5), FAILED("Protocol", 1, 5),
                      FAILED("TcpTimeout", 1, 5), FAILED("Protocol", 1, 5), WORKED}},
         "https mqtt mqtt-ws amqp amqp-ws"},
        {"behind a proxy the native port is still there, if all else fails",
         {.has_proxy = TRUE,
          .history = {[SPOKE_PROTOCOL_MQTT_WS] = FAILED("Protocol", 1, 1),
                      [SPOKE_PROTOCOL_AMQP_WS] = FAILED("Protocol", 1, 1),
                      [SPOKE_PROTOCOL_HTTPS] = FAILED("Proxy", 1, 1)}},
         "mqtt amqp mqtt-ws amqp-ws https"},
    };

    assert_cases(cases, G_N_ELEMENTS(cases));
}

static void
test_rank_obeys_the_admin(void)
{
    static const Case cases[] = {
        {"Transport= names one", {.named = AMQP}, "amqp"},
        {"whatever happened to it",
         {.named = MQTT, .history[SPOKE_PROTOCOL_MQTT] = FAILED("TcpTimeout", 1, 99)},
         "mqtt"},
        {"also AMQP on a small machine", {.named = AMQP, .memory_bytes = 16 * MIB}, "amqp"},
        {"HTTPS, though messages have to be pushed", {.named = HTTPS, .needs_push = TRUE}, "https"},
        {"what is named is not installed: the last resort",
         {.named = AMQP, .installed = MQTT_WS | HTTPS},
         "mqtt-ws"},
        {"what is named can't carry three", {.named = MQTT, .with_key = 3}, "amqp"},
    };

    assert_cases(cases, G_N_ELEMENTS(cases));
}

static void
test_rank_keeps_a_last_resort_only_if_installed(void)
{
    static const Case cases[] = {
        {"two certificates fit on no connection", {.with_certificate = 2}, "amqp"},
        {"and two keys not on MQTT, which is all there is",
         {.with_key = 2, .installed = MQTT | MQTT_WS},
         "mqtt"},
    };
    g_autoptr(SpokeRules) rules = policy_fixture_load_default();
    SpokeFacts facts = {.with_key = 1};
    SpokeRanking ranking;

    assert_cases(cases, G_N_ELEMENTS(cases));
    spoke_policy_rank(rules, &facts, &ranking);
    g_assert_cmpuint(ranking.n_usable, ==, 0);
}

static void
test_rank_without_rules_is_the_guidance_order(void)
{
    g_autoptr(SpokeRules) rules = policy_fixture_parse("");
    SpokeFacts facts = policy_fixture_facts();

    facts.history[SPOKE_PROTOCOL_MQTT] = (SpokeHistory)FAILED("TcpRefused", 1, 1);
    g_autofree char *order = policy_fixture_order(rules, &facts);

    g_assert_cmpstr(order, ==, "mqtt mqtt-ws amqp amqp-ws https");
}

static void
test_rank_heeds_drop_ins(void)
{
    static const struct {
        const char *text, *order;
    } cases[] = {
        {"[Rule native-first]\nEffect=none\n[Rule ordinary-device]\nTransports=amqp amqp-ws\n",
         "amqp amqp-ws mqtt mqtt-ws https"},
        {"[Rule factory]\nPriority=950\nTransports=https\nEffect=prefer\nBecause=It is audited\n",
         "https mqtt mqtt-ws amqp amqp-ws"},
        {"[Rule memory-small]\nMemoryBelow=1G\n", "mqtt mqtt-ws https"},
        {"[Rule no-mqtt]\nTransports=mqtt, mqtt-ws\nEffect=forbid\nBecause=No\nIdentitiesMax=1\n",
         "amqp amqp-ws https"},
    };
    SpokeFacts facts = policy_fixture_facts();

    facts.memory_bytes = 512 * MIB;
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(SpokeRules) rules = policy_fixture_load_default_with(cases[i].text);
        g_autofree char *order = policy_fixture_order(rules, &facts);

        g_assert_cmpstr(order, ==, cases[i].order);
    }
}

static void
test_rank_tells_how_often_to_poll(void)
{
    g_autoptr(SpokeRules) rules = policy_fixture_load_default();
    SpokeFacts facts = policy_fixture_facts();
    SpokeRanking ranking;

    spoke_policy_rank(rules, &facts, &ranking);

    for (guint i = 0; i < SPOKE_N_PROTOCOLS; i++)
        g_assert_cmpuint(ranking.candidates[i].poll_sec, ==,
                         ranking.candidates[i].protocol == SPOKE_PROTOCOL_HTTPS ? 1500 : 0);
}

/* Returns: (transfer full) */
static char *
explain(const SpokeRules *rules, const SpokeFacts *facts, SpokeProtocol protocol)
{
    SpokeRanking ranking;

    spoke_policy_rank(rules, facts, &ranking);
    for (guint i = 0; i < SPOKE_N_PROTOCOLS; i++)
        if (ranking.candidates[i].protocol == protocol)
            return spoke_policy_explain(rules, facts, &ranking, i);
    g_assert_not_reached();
}

static void
test_explain_names_rule_and_facts(void)
{
    const struct {
        SpokeFacts facts;
        SpokeProtocol protocol;
        const char *text;
    } cases[] = {
        {{.installed = SPOKE_PROTOCOLS_ALL},
         SPOKE_PROTOCOL_MQTT,
         "First: MQTT is the guidance for an ordinary device: small, and pushed to (rule "
         "ordinary-device: 1 identity)"},
        {{.installed = SPOKE_PROTOCOLS_ALL,
          .history[SPOKE_PROTOCOL_MQTT] = FAILED("TcpTimeout", 150, 1)},
         SPOKE_PROTOCOL_MQTT_WS,
         "First, ahead of mqtt: It did not get through when it was last tried on this network "
         "(rule closed-here: TcpTimeout, 2 min ago); MQTT is the guidance for an ordinary device: "
         "small, and pushed to (rule ordinary-device: 1 identity)"},
        {{.installed = SPOKE_PROTOCOLS_ALL,
          .history[SPOKE_PROTOCOL_MQTT] = FAILED("TcpTimeout", 150, 1)},
         SPOKE_PROTOCOL_MQTT,
         "After https: It did not get through when it was last tried on this network (rule "
         "closed-here: TcpTimeout, 2 min ago)"},
        {{.installed = SPOKE_PROTOCOLS_ALL, .memory_bytes = 32 * MIB},
         SPOKE_PROTOCOL_AMQP,
         "Ruled out: AMQP takes more memory than so small a machine should give (rule "
         "memory-small: 32 MiB of memory, no Transport= is set)"},
        {{.installed = SPOKE_PROTOCOLS_ALL, .with_key = 2},
         SPOKE_PROTOCOL_MQTT,
         "Ruled out: A connection of this kind carries 1 identity at most, and there are 3"},
        {{.installed = SPOKE_PROTOCOLS_ALL, .with_certificate = 1},
         SPOKE_PROTOCOL_AMQP,
         "Last resort, for the others are ruled out too: A connection that logs in with a "
         "certificate carries that identity alone, and there are 2"},
        {{.installed = MQTT}, SPOKE_PROTOCOL_HTTPS, "Ruled out: It is not installed"},
        {{.installed = SPOKE_PROTOCOLS_ALL, .named = AMQP},
         SPOKE_PROTOCOL_AMQP,
         "First: The configuration names it (rule named: Transport=amqp)"},
        {{.installed = SPOKE_PROTOCOLS_ALL, .named = AMQP},
         SPOKE_PROTOCOL_MQTT,
         "Ruled out: The configuration names another transport (rule not-named: Transport=amqp)"},
    };
    g_autoptr(SpokeRules) rules = policy_fixture_load_default();

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        SpokeFacts facts = cases[i].facts;
        facts.with_token++;

        g_autofree char *text = explain(rules, &facts, cases[i].protocol);
        g_assert_cmpstr(text, ==, cases[i].text);
    }
}

static SpokeHistory
random_history(void)
{
    const char *const *causes = spoke_condition_get_causes();
    guint n = g_strv_length((char **)causes);
    gint outcome = g_test_rand_int_range(-1, (gint)n + 1);
    SpokeHistory history = {.has_worked = g_test_rand_bit()};

    if (outcome >= 0)
        history.last_outcome = outcome < (gint)n ? causes[outcome] : "";
    history.failures = (guint)g_test_rand_int_range(0, 6);
    history.tried_ago_usec = g_test_rand_int_range(-10, 200000) * SEC;
    history.worked_ago_usec = g_test_rand_int_range(-10, 200000) * SEC;
    return history;
}

static SpokeFacts
random_facts(void)
{
    SpokeFacts facts = {
        .with_key = (guint)g_test_rand_int_range(0, 4),
        .with_token = (guint)g_test_rand_int_range(0, 2),
        .with_certificate = (guint)g_test_rand_int_range(0, 2),
        .needs_push = g_test_rand_bit(),
        .needs_settle = g_test_rand_bit(),
        .has_proxy = g_test_rand_bit(),
        .is_metered = g_test_rand_bit(),
        .memory_bytes = (guint64)g_test_rand_int_range(0, 200) * MIB,
        .free_bytes = (guint64)g_test_rand_int_range(0, 40) * MIB,
        .installed = (guint)g_test_rand_int_range(0, SPOKE_PROTOCOLS_ALL + 1),
        .named = g_test_rand_bit() ? (guint)g_test_rand_int_range(0, SPOKE_PROTOCOLS_ALL + 1) : 0,
    };

    for (guint i = 0; i < SPOKE_N_PROTOCOLS; i++)
        facts.history[i] = random_history();
    return facts;
}

/* Any rules: conditions with any value, so that many hold and many contradict each other. */
static SpokeRules *
random_rules(void)
{
    g_autoptr(GPtrArray) rules = g_ptr_array_new();
    gint n = g_test_rand_int_range(0, SPOKE_RULES_MAX + 1);

    for (gint i = 0; i < n; i++) {
        SpokeRule *rule = g_new0(SpokeRule, 1);

        rule->name = g_strdup_printf("r-%d", i);
        rule->because = g_strdup("So it is");
        rule->effect = (guint)g_test_rand_int_range(0, SPOKE_N_EFFECTS);
        rule->protocols = (guint)g_test_rand_int_range(1, SPOKE_PROTOCOLS_ALL + 1);
        rule->priority = (guint)g_test_rand_int_range(0, 20);
        for (gint k = g_test_rand_int_range(0, 3); k > 0; k--) {
            gint condition = g_test_rand_int_range(0, SPOKE_N_CONDITIONS);
            rule->conditions |= 1u << condition;
            rule->values[condition] = (guint64)g_test_rand_int_range(0, 8);
        }
        g_ptr_array_add(rules, rule);
    }
    return spoke_rules_new(g_steal_pointer(&rules));
}

/* Each protocol is there once; ranks go up from 1 without a gap; what can be used goes before what
 * can't; one stays if anything is installed, and nothing that is not is offered. */
static void
assert_accounts_for_all(const SpokeRanking *ranking, const SpokeFacts *facts)
{
    SpokeProtocols seen = 0;

    for (guint i = 0; i < SPOKE_N_PROTOCOLS; i++) {
        const SpokeCandidate *candidate = &ranking->candidates[i];

        seen |= SPOKE_PROTOCOL_BIT(candidate->protocol);
        g_assert_cmpuint(candidate->rank, ==, i < ranking->n_usable ? i + 1 : 0);
        g_assert_true(candidate->rank == 0 || candidate->ruling == SPOKE_RULING_USABLE ||
                      candidate->is_last_resort);
        g_assert_true(!candidate->is_last_resort || ranking->n_usable == 1);
        if ((facts->installed & SPOKE_PROTOCOL_BIT(candidate->protocol)) == 0)
            g_assert_cmpuint(candidate->rank, ==, 0);
    }
    g_assert_cmpuint(seen, ==, SPOKE_PROTOCOLS_ALL);
    g_assert_true((ranking->n_usable > 0) == (facts->installed != 0));
}

static void
assert_explains_all(const SpokeRules *rules, const SpokeFacts *facts, const SpokeRanking *ranking)
{
    for (guint i = 0; i < SPOKE_N_PROTOCOLS; i++) {
        const SpokeCandidate *candidate = &ranking->candidates[i];
        g_autofree char *text = spoke_policy_explain(rules, facts, ranking, i);

        g_assert_true(g_utf8_validate(text, -1, NULL) && *text != '\0');
        g_assert_true(candidate->ruling != SPOKE_RULING_FORBIDDEN || candidate->decided_by != NULL);
        if (candidate->decided_by != NULL && i > 0)
            g_assert_nonnull(strstr(text, candidate->decided_by->name));
        g_assert_true(g_str_has_prefix(text, "Ruled out: ") == (candidate->rank == 0));
    }
}

/* Of any two neighbours that one can use, the first one has the better of the rule that tells them
 * apart; without one they stand as in the guidance. */
static void
assert_in_order(const SpokeRules *rules, const SpokeRanking *ranking)
{
    for (guint i = 1; i < ranking->n_usable; i++) {
        const SpokeCandidate *a = &ranking->candidates[i - 1], *b = &ranking->candidates[i];
        guint rule = 0;

        while (rule < spoke_rules_get_n(rules) && ((a->held ^ b->held) >> rule & 1) == 0)
            rule++;
        if (rule == spoke_rules_get_n(rules)) {
            g_assert_cmpint(a->protocol, <, b->protocol);
            continue;
        }
        gboolean is_preference = spoke_rules_get(rules, rule)->effect == SPOKE_EFFECT_PREFER;
        g_assert_true((a->held >> rule & 1) == (guint64)is_preference);
    }
}

static void
assert_same(const SpokeCandidate *a, const SpokeCandidate *b)
{
    g_assert_cmpint(a->protocol, ==, b->protocol);
    g_assert_cmpuint(a->rank, ==, b->rank);
    g_assert_cmpint(a->ruling, ==, b->ruling);
    g_assert_true(a->decided_by == b->decided_by);
    g_assert_cmpuint(a->held, ==, b->held);
    g_assert_cmpuint(a->poll_sec, ==, b->poll_sec);
}

static void
assert_properties(const SpokeRules *rules)
{
    SpokeFacts facts = random_facts();
    SpokeRanking ranking, again;

    spoke_policy_rank(rules, &facts, &ranking);
    memset(&again, 0xa5, sizeof again);
    spoke_policy_rank(rules, &facts, &again);

    for (guint i = 0; i < SPOKE_N_PROTOCOLS; i++)
        assert_same(&ranking.candidates[i], &again.candidates[i]);
    assert_accounts_for_all(&ranking, &facts);
    assert_explains_all(rules, &facts, &ranking);
    assert_in_order(rules, &ranking);
}

static void
test_rank_holds_its_promises_by_default(void)
{
    g_autoptr(SpokeRules) rules = policy_fixture_load_default();

    for (guint i = 0; i < 20000; i++)
        assert_properties(rules);
}

static void
test_rank_holds_its_promises_under_any_rules(void)
{
    for (guint i = 0; i < 2000; i++) {
        g_autoptr(SpokeRules) rules = random_rules();

        for (guint k = 0; k < 5; k++)
            assert_properties(rules);
    }
}

/* By the default rules a history moves candidates, but takes none away. */
static void
test_rank_keeps_the_same_candidates_whatever_the_history(void)
{
    g_autoptr(SpokeRules) rules = policy_fixture_load_default();

    for (guint i = 0; i < 5000; i++) {
        SpokeFacts facts = random_facts(), fresh = facts;
        SpokeRanking ranking, without;

        memset(fresh.history, 0, sizeof fresh.history);
        spoke_policy_rank(rules, &facts, &ranking);
        spoke_policy_rank(rules, &fresh, &without);

        g_assert_cmpuint(ranking.n_usable, ==, without.n_usable);
    }
}

/* They are the daemon's, which the policy can't see. */
static void
test_causes_are_the_daemons(void)
{
    const char *const *causes = spoke_condition_get_causes();

    for (guint i = 0; i < SPOKE_N_CAUSES; i++) {
        const char *name = spoke_cause_to_string(i);

        g_assert_true(*name == '\0' || g_strv_contains(causes, name));
    }
    g_assert_cmpuint(g_strv_length((char **)causes), ==, SPOKE_N_CAUSES - 1);
}

/* With -m perf: the whole decision and all its sentences, 20 µs at most. */
static void
test_rank_takes_microseconds(void)
{
    enum { N = 100000 };
    g_autoptr(SpokeRules) rules = policy_fixture_load_default();
    SpokeFacts facts = policy_fixture_facts();
    SpokeRanking ranking;

    for (guint i = 0; i < SPOKE_N_PROTOCOLS; i++)
        facts.history[i] = (SpokeHistory)FAILED("KeepAlive", 100, 4);

    g_test_timer_start();
    for (guint i = 0; i < N; i++)
        spoke_policy_rank(rules, &facts, &ranking);
    double rank_usec = g_test_timer_elapsed() * 1e6 / N;

    g_test_timer_start();
    for (guint i = 0; i < N; i++)
        for (guint k = 0; k < SPOKE_N_PROTOCOLS; k++)
            g_free(spoke_policy_explain(rules, &facts, &ranking, k));
    double explain_usec = g_test_timer_elapsed() * 1e6 / N;

    g_test_minimized_result(rank_usec, "rank: %.2f us", rank_usec);
    g_test_minimized_result(explain_usec, "explain all: %.2f us", explain_usec);
    g_assert_cmpfloat(rank_usec + explain_usec, <=, 20);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/policy/rank/follows-section-11-of-the-guidance",
                    test_rank_follows_section_11_of_the_guidance);
    g_test_add_func("/policy/rank/weighs-history", test_rank_weighs_history);
    g_test_add_func("/policy/rank/obeys-the-admin", test_rank_obeys_the_admin);
    g_test_add_func("/policy/rank/keeps-a-last-resort-only-if-installed",
                    test_rank_keeps_a_last_resort_only_if_installed);
    g_test_add_func("/policy/rank/without-rules-is-the-guidance-order",
                    test_rank_without_rules_is_the_guidance_order);
    g_test_add_func("/policy/rank/heeds-drop-ins", test_rank_heeds_drop_ins);
    g_test_add_func("/policy/rank/tells-how-often-to-poll", test_rank_tells_how_often_to_poll);
    g_test_add_func("/policy/explain/names-rule-and-facts", test_explain_names_rule_and_facts);
    g_test_add_func("/policy/rank/holds-its-promises-by-default",
                    test_rank_holds_its_promises_by_default);
    g_test_add_func("/policy/rank/holds-its-promises-under-any-rules",
                    test_rank_holds_its_promises_under_any_rules);
    g_test_add_func("/policy/rank/keeps-the-same-candidates-whatever-the-history",
                    test_rank_keeps_the_same_candidates_whatever_the_history);
    g_test_add_func("/policy/causes/are-the-daemons", test_causes_are_the_daemons);
    if (g_test_perf())
        g_test_add_func("/policy/rank/takes-microseconds", test_rank_takes_microseconds);
    return g_test_run();
}
