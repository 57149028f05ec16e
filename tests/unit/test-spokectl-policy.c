/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clients/spokectl/policy-facts.h"
#include "clients/spokectl/policy-text.h"
#include "tests/unit/policy-fixture.h"

#include <glib/gstdio.h>
#include <json-glib/json-glib.h>
#include <string.h>

#define SEC ((gint64)G_USEC_PER_SEC)

static void
test_facts_default_to_an_ordinary_machine(void)
{
    g_autoptr(GError) error = NULL;
    SpokeFacts facts;

    g_assert_true(spoke_policy_facts_parse(NULL, &facts, &error));

    g_assert_cmpuint(facts.with_key, ==, 1);
    g_assert_cmpuint(spoke_facts_count_identities(&facts), ==, 1);
    g_assert_false(facts.needs_push || facts.needs_settle || facts.has_proxy || facts.is_metered);
    g_assert_cmpuint(facts.memory_bytes + facts.free_bytes, ==, 0);
    g_assert_cmpuint(facts.installed, ==, SPOKE_PROTOCOLS_ALL);
    g_assert_cmpuint(facts.named, ==, 0);
    for (guint i = 0; i < SPOKE_N_PROTOCOLS; i++)
        g_assert_null(facts.history[i].last_outcome);
}

static void
test_facts_take_every_word(void)
{
    static const char *const words[] = {"identities=2",
                                        "tokens=3",
                                        "certificates=4",
                                        "push=yes",
                                        "settle=yes",
                                        "proxy=yes",
                                        "metered=yes",
                                        "memory=64M",
                                        "free-memory=1000",
                                        "installed=mqtt",
                                        "transport=amqp,https",
                                        "mqtt.last=Tls",
                                        "mqtt.ago=2min",
                                        "mqtt.failures=7",
                                        "mqtt.worked=1h",
                                        "amqp-ws.last=ok",
                                        "amqp-ws.ago=5",
                                        "https.last=Dns",
                                        NULL};
    g_autoptr(GError) error = NULL;
    SpokeFacts facts;

    g_assert_true(spoke_policy_facts_parse((char **)words, &facts, &error));

    g_assert_cmpuint(facts.with_key, ==, 2);
    g_assert_cmpuint(facts.with_token, ==, 3);
    g_assert_cmpuint(facts.with_certificate, ==, 4);
    g_assert_true(facts.needs_push && facts.needs_settle && facts.has_proxy && facts.is_metered);
    g_assert_cmpuint(facts.memory_bytes, ==, 64 << 20);
    g_assert_cmpuint(facts.free_bytes, ==, 1000);
    g_assert_cmpuint(facts.installed, ==, 1);
    g_assert_cmpuint(facts.named, ==, 4 | 16);

    const SpokeHistory *mqtt = &facts.history[SPOKE_PROTOCOL_MQTT];
    g_assert_cmpstr(mqtt->last_outcome, ==, "Tls");
    g_assert_cmpint(mqtt->tried_ago_usec, ==, 120 * SEC);
    g_assert_cmpuint(mqtt->failures, ==, 7);
    g_assert_true(mqtt->has_worked);
    g_assert_cmpint(mqtt->worked_ago_usec, ==, 3600 * SEC);

    const SpokeHistory *amqp_ws = &facts.history[SPOKE_PROTOCOL_AMQP_WS];
    g_assert_cmpstr(amqp_ws->last_outcome, ==, "");
    g_assert_true(amqp_ws->has_worked);
    g_assert_cmpint(amqp_ws->worked_ago_usec, ==, 5 * SEC);
    g_assert_cmpuint(facts.history[SPOKE_PROTOCOL_HTTPS].failures, ==, 1);
}

static void
test_facts_refuse_the_rest(void)
{
    static const char *const cases[] = {"",
                                        "push",
                                        "=",
                                        "push=",
                                        "push=1",
                                        "Push=yes",
                                        "identities=x",
                                        "memory=1Mi",
                                        "installed=",
                                        "installed=ftp",
                                        "mqtt=Tls",
                                        "mqtt.=Tls",
                                        "ftp.last=Tls",
                                        "mqtt.last=tls",
                                        "mqtt.ago=soon",
                                        "transport=",
                                        "mqtt.last=",
                                        ".last=Tls"};

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        const char *words[] = {cases[i], NULL};
        g_autoptr(GError) error = NULL;
        SpokeFacts facts;

        g_assert_false(spoke_policy_facts_parse((char **)words, &facts, &error));
        g_assert_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE);
    }
}

static void
test_text_is_folded_at_the_edge(void)
{
    g_autoptr(SpokeRules) rules = policy_fixture_load_default();
    SpokeFacts facts = policy_fixture_facts();
    SpokeRanking ranking;

    spoke_policy_rank(rules, &facts, &ranking);
    g_autofree char *folded = spoke_policy_text_format(rules, &facts, &ranking, 0, 60);
    g_autofree char *whole = spoke_policy_text_format(rules, &facts, &ranking, 0, 0);

    g_assert_cmpstr(folded, ==,
                    "1  mqtt     First: MQTT is the guidance for an ordinary\n"
                    "            device: small, and pushed to (rule\n"
                    "            ordinary-device: 1 identity)\n");
    g_assert_cmpstr(whole, ==,
                    "1  mqtt     First: MQTT is the guidance for an ordinary device: small, and "
                    "pushed to (rule ordinary-device: 1 identity)\n");
}

static void
test_json_says_all(void)
{
    g_autoptr(SpokeRules) rules = policy_fixture_load_default();
    SpokeFacts facts = policy_fixture_facts();
    SpokeRanking ranking;

    facts.named = SPOKE_PROTOCOL_BIT(SPOKE_PROTOCOL_HTTPS);
    spoke_policy_rank(rules, &facts, &ranking);
    g_autofree char *first = spoke_policy_text_to_json(rules, &facts, &ranking, 0);
    g_autofree char *last = spoke_policy_text_to_json(rules, &facts, &ranking, 4);

    g_assert_true(g_str_has_prefix(first,
                                   "{\"transport\":\"https\",\"rank\":1,\"ruling\":\"usable\","
                                   "\"lastResort\":false,\"pollSec\":1500,"));
    g_autoptr(JsonNode) node = json_from_string(last, NULL);
    JsonObject *object = json_node_get_object(node);
    g_assert_false(json_object_has_member(object, "rank"));
    g_assert_cmpstr(json_object_get_string_member(object, "ruling"), ==, "forbidden");
    g_assert_cmpstr(json_object_get_string_member(object, "decidedBy"), ==, "not-named");
    g_assert_cmpuint(json_array_get_length(json_object_get_array_member(object, "rules")), ==, 2);
    g_assert_true(g_str_has_prefix(json_object_get_string_member(object, "reason"), "Ruled out: "));
}

/* Runs the program itself. */
static void
assert_run(const char *line, const char *file, int exit_code, const char *out_start,
           const char *err_part)
{
    g_autofree char *quoted = g_shell_quote(file);
    g_autofree char *words = g_strjoin(" ", SPOKECTL, line, quoted, NULL);
    g_autofree char *out = NULL;
    g_autofree char *err = NULL;
    g_autoptr(GError) error = NULL;
    int status = 0;

    g_assert_true(g_spawn_command_line_sync(words, &out, &err, &status, &error));
    g_assert_cmpint(WEXITSTATUS(status), ==, exit_code);
    g_assert_true(g_str_has_prefix(out, out_start));
    g_assert_nonnull(strstr(err, err_part));
}

static void
test_program_checks_and_simulates(void)
{
    g_autofree char *directory = g_dir_make_tmp("spoke-policy-XXXXXX", NULL);
    g_autofree char *broken = g_build_filename(directory, "broken.policy", NULL);
    g_autofree char *good = g_build_filename(SPOKE_SOURCE_DIR, "policy", "default.policy", NULL);
    g_autofree char *reason = g_strconcat(broken, ":2: Effect: must be", NULL);

    g_assert_true(g_file_set_contents(broken, "[Rule a]\nEffect=x\n", -1, NULL));
    assert_run("policy check --alone", good, 0, "No fault: 15 rules in 1 file\n", "");
    assert_run("policy check --alone", broken, 1, "", reason);
    assert_run("--json policy check --alone", broken, 1, "", "InvalidConfig");
    assert_run("policy simulate --alone mqtt.last=TcpTimeout --policy", good, 0, "1  mqtt-ws ", "");
    assert_run("policy simulate --alone --policy", broken, 1, "", reason);
    assert_run("policy simulate --alone --policy", "/nonexistent", 1, "", "/nonexistent: No such");
    assert_run("policy simulate", "weather=fine", 2, "", "there is no such fact");
    assert_run("policy check --policy", good, 2, "", "without --policy");
    assert_run("policy", "improve", 2, "", "check or simulate");
    g_assert_cmpint(g_remove(broken), ==, 0);
    g_assert_cmpint(g_rmdir(directory), ==, 0);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/spokectl-policy/facts/default-to-an-ordinary-machine",
                    test_facts_default_to_an_ordinary_machine);
    g_test_add_func("/spokectl-policy/facts/take-every-word", test_facts_take_every_word);
    g_test_add_func("/spokectl-policy/facts/refuse-the-rest", test_facts_refuse_the_rest);
    g_test_add_func("/spokectl-policy/text/is-folded-at-the-edge", test_text_is_folded_at_the_edge);
    g_test_add_func("/spokectl-policy/json/says-all", test_json_says_all);
    g_test_add_func("/spokectl-policy/program/checks-and-simulates",
                    test_program_checks_and_simulates);
    return g_test_run();
}
