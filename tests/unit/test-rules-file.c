/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/rules-file.h"
#include "policy/rules-load.h"
#include "tests/unit/policy-fixture.h"

#include <glib/gstdio.h>
#include <string.h>

#define WHOLE "[Rule a]\nTransports=mqtt\nEffect=avoid\nBecause=So it is\n"

static const SpokeRule *
find_rule(const SpokeRules *rules, const char *name)
{
    for (guint i = 0; i < spoke_rules_get_n(rules); i++)
        if (g_str_equal(spoke_rules_get(rules, i)->name, name))
            return spoke_rules_get(rules, i);
    return NULL;
}

static void
test_read_takes_every_key(void)
{
    g_autoptr(SpokeRules) rules = policy_fixture_parse("\xef\xbb\xbf# a comment\n"
                                                       "; another\n"
                                                       "\r\n"
                                                       "  [Rule all-keys]\r\n"
                                                       "Transports = mqtt,amqp-ws  https\n"
                                                       "Effect=forbid\n"
                                                       "Priority=7\n"
                                                       "PollSec=60\n"
                                                       "Because=Söö.\n"
                                                       "IdentitiesMin=2\n"
                                                       "IdentitiesMax=9\n"
                                                       "Credentials=key certificate\n"
                                                       "NeedsPush=yes\n"
                                                       "NeedsSettle=no\n"
                                                       "Proxy=yes\n"
                                                       "Metered=no\n"
                                                       "MemoryBelow=64M\n"
                                                       "FreeMemoryBelow=1000\n"
                                                       "Named=none this\n"
                                                       "LastOutcome=Closed, Dns\n"
                                                       "FailuresMin=3\n"
                                                       "FailedWithinSec=60\n"
                                                       "WorkedWithinSec=0");
    static const guint64 values[SPOKE_N_CONDITIONS] = {2,        9,    5, 1, 0, 1,  0,
                                                       64 << 20, 1000, 3, 3, 3, 60, 0};

    g_assert_cmpuint(spoke_rules_get_n(rules), ==, 1);
    const SpokeRule *rule = spoke_rules_get(rules, 0);
    g_assert_cmpstr(rule->name, ==, "all-keys");
    g_assert_cmpstr(rule->because, ==, "Söö");
    g_assert_cmpint(rule->effect, ==, SPOKE_EFFECT_FORBID);
    g_assert_cmpuint(rule->protocols, ==, 1 | 8 | 16);
    g_assert_cmpuint(rule->priority, ==, 7);
    g_assert_cmpuint(rule->poll_sec, ==, 60);
    g_assert_cmpuint(rule->conditions, ==, (1u << SPOKE_N_CONDITIONS) - 1);
    g_assert_cmpmem(rule->values, sizeof rule->values, values, sizeof values);
}

static void
test_read_refuses_with_line_and_reason(void)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"\nfoo\n", "f.policy:2: neither a [Rule NAME] nor a Key=Value nor a # comment"},
        {"[Rule a]\n=x\n", "f.policy:2: neither a [Rule NAME] nor a Key=Value nor a # comment"},
        {"Effect=avoid\n", "f.policy:1: a key before the first [Rule NAME]"},
        {"[Rule a] # x\n", "f.policy:1: a section is written [Rule NAME], alone on its line"},
        {"[\n", "f.policy:1: a section is written [Rule NAME], alone on its line"},
        {"[]\n", "f.policy:1: the only kind of section is [Rule NAME]"},
        {"[Rules a]\n", "f.policy:1: the only kind of section is [Rule NAME]"},
        {"[Rule ]\n", "f.policy:1: the name of a rule is 1 to 64 of a-z, 0-9 and -"},
        {"[Rule A]\n", "f.policy:1: the name of a rule is 1 to 64 of a-z, 0-9 and -"},
        {WHOLE "\n[Rule b]\n[Rule a]\n",
         "f.policy:7: rule a stands in this file already, on line 1"},
        {"[Rule a]\nEffect=avoid\nEffect=avoid\n",
         "f.policy:3: Effect stands in this rule for the second time"},
        {"[Rule a]\nEffects=avoid\n", "f.policy:2: Effects: there is no such key"},
        {"[Rule a]\na\x1b[1m=avoid\n", "f.policy:2: a\\033[1m: there is no such key"},
        {"[Rule a]\nEffect=Avoid\n", "f.policy:2: Effect: must be prefer, avoid, forbid or none"},
        {"[Rule a]\nTransports=mqtt ftp\n",
         "f.policy:2: Transports: must be a list of some of mqtt, mqtt-ws, amqp, amqp-ws and "
         "https"},
        {"[Rule a]\nTransports=,\n",
         "f.policy:2: Transports: must be a list of some of mqtt, mqtt-ws, amqp, amqp-ws and "
         "https"},
        {"[Rule a]\nPriority=1000\n", "f.policy:2: Priority: must be a whole number from 0 to 999"},
        {"[Rule a]\nPollSec=-1\n", "f.policy:2: PollSec: must be a whole number from 0 to 86400"},
        {"[Rule a]\nBecause=a\x07z\n",
         "f.policy:2: Because: there is a character in it that can't be shown"},
        {"[Rule a]\nIdentitiesMin=+2\n",
         "f.policy:2: IdentitiesMin: \"+2\" is not a whole number from 0 to 2147483647"},
        {"[Rule a]\nProxy=true\n", "f.policy:2: Proxy: \"true\" is not yes or no"},
        {"[Rule a]\nMemoryBelow=64MB\n",
         "f.policy:2: MemoryBelow: \"64MB\" is not a size (a whole number of bytes, or with K, M, "
         "G or T)"},
        {"[Rule a]\nMemoryBelow=9999999999T\n",
         "f.policy:2: MemoryBelow: \"9999999999T\" is not a size (a whole number of bytes, or with "
         "K, M, G or T)"},
        {"[Rule a]\nNamed=that\n",
         "f.policy:2: Named: \"that\" is not a list of some of these words: none, this, other"},
        {"[Rule a]\nFailedWithinSec=1.5\n",
         "f.policy:2: FailedWithinSec: \"1.5\" is not a whole number of seconds from 0 to "
         "2147483647"},
        {"[Rule a]\nBecause=\xff\n", "f.policy:2: not text in UTF-8"},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(SpokeRulesDraft) draft = spoke_rules_draft_new();
        g_autoptr(GError) error = NULL;

        g_assert_false(spoke_rules_draft_read(draft, "f.policy", cases[i].text,
                                              strlen(cases[i].text), &error));
        g_assert_error(error, SPOKE_RULES_ERROR, SPOKE_RULES_ERROR_INVALID);
        g_assert_cmpstr(error->message, ==, cases[i].message);
    }
}

static void
test_read_names_the_outcomes_there_are(void)
{
    static const char text[] = "[Rule a]\nLastOutcome=TcpTimout\n";
    g_autoptr(SpokeRulesDraft) draft = spoke_rules_draft_new();
    g_autoptr(GError) error = NULL;

    g_assert_false(spoke_rules_draft_read(draft, "f.policy", text, strlen(text), &error));

    g_assert_nonnull(strstr(error->message, ":2: LastOutcome: \"TcpTimout\" is not a list"));
    g_assert_nonnull(strstr(error->message, "TcpTimeout, "));
}

static void
test_read_refuses_a_nul(void)
{
    static const char text[] = "[Rule a]\nEffect=a\0void\n";
    g_autoptr(SpokeRulesDraft) draft = spoke_rules_draft_new();
    g_autoptr(GError) error = NULL;

    g_assert_false(spoke_rules_draft_read(draft, "f.policy", text, sizeof text - 1, &error));
    g_assert_cmpstr(error->message, ==, "f.policy:2: not text in UTF-8");
}

static void
test_read_has_limits(void)
{
    g_autoptr(GString) text = g_string_new(NULL);
    g_autoptr(SpokeRulesDraft) draft = spoke_rules_draft_new();
    g_autoptr(GError) error = NULL;
    g_autofree char *long_text = g_strnfill(SPOKE_RULES_FILE_BYTES_MAX + 1, '\n');
    g_autofree char *long_reason = g_strnfill(SPOKE_RULE_BECAUSE_MAX + 1, 'x');

    for (guint i = 0; i <= SPOKE_RULES_MAX; i++)
        g_string_append_printf(text, "[Rule r-%u]\n", i);
    g_assert_false(spoke_rules_draft_read(draft, "f.policy", text->str, text->len, &error));
    g_assert_cmpstr(error->message, ==, "f.policy:65: there are more than 64 rules");
    g_clear_error(&error);

    g_assert_false(spoke_rules_draft_read(draft, "f.policy", long_text,
                                          SPOKE_RULES_FILE_BYTES_MAX + 1, &error));
    g_assert_cmpstr(error->message, ==, "f.policy:1: 262145 bytes are over the limit of 262144");
    g_clear_error(&error);

    g_string_printf(text, "[Rule r-1]\nBecause=%s", long_reason);
    g_assert_false(spoke_rules_draft_read(draft, "g.policy", text->str, text->len, &error));
    g_assert_cmpstr(error->message, ==, "g.policy:2: Because: 201 bytes are over the limit of 200");
}

static void
test_finish_wants_whole_rules(void)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"\n[Rule a]\n", "f.policy:2: rule a has no Effect="},
        {"[Rule a]\nEffect=avoid\n", "f.policy:1: rule a has no Transports="},
        {"[Rule a]\nEffect=avoid\nTransports=mqtt\nBecause=.\n",
         "f.policy:1: rule a has no Because="},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(SpokeRulesDraft) draft = spoke_rules_draft_new();
        g_autoptr(GError) error = NULL;

        g_assert_true(spoke_rules_draft_read(draft, "f.policy", cases[i].text,
                                             strlen(cases[i].text), &error));
        g_assert_null(spoke_rules_draft_finish(draft, &error));
        g_assert_cmpstr(error->message, ==, cases[i].message);
    }
}

static void
test_read_lets_the_later_file_win_key_by_key(void)
{
    static const char first[] = WHOLE "Proxy=yes\nPriority=3\n[Rule b]\nTransports=https\n"
                                      "Effect=avoid\nBecause=No\n";
    static const char second[] = "[Rule a]\nProxy=\nMetered=yes\nPriority=\n[Rule b]\nEffect=none";
    g_autoptr(SpokeRulesDraft) draft = spoke_rules_draft_new();
    g_autoptr(GError) error = NULL;

    g_assert_true(spoke_rules_draft_read(draft, "1", first, strlen(first), &error));
    g_assert_true(spoke_rules_draft_read(draft, "2", second, strlen(second), &error));
    g_autoptr(SpokeRules) rules = spoke_rules_draft_finish(draft, &error);

    g_assert_no_error(error);
    const SpokeRule *rule = find_rule(rules, "a");
    g_assert_cmpuint(rule->conditions, ==, 1u << SPOKE_CONDITION_METERED);
    g_assert_cmpint(rule->effect, ==, SPOKE_EFFECT_AVOID);
    g_assert_cmpuint(rule->priority, ==, 500);
    g_assert_null(find_rule(rules, "b"));
}

static void
test_finish_orders_by_priority_then_reading(void)
{
#define REST "Transports=mqtt\nEffect=avoid\nBecause=So it is\n"
    static const char text[] = "[Rule c]\n" REST "[Rule b]\n" REST "[Rule d]\nPriority=501\n" REST
                               "[Rule a]\n" REST "[Rule e]\nPriority=499\n" REST;
    g_autoptr(SpokeRules) rules = policy_fixture_parse(text);
    g_autoptr(GString) order = g_string_new(NULL);

    for (guint i = 0; i < spoke_rules_get_n(rules); i++)
        g_string_append(order, spoke_rules_get(rules, i)->name);

    g_assert_cmpstr(order->str, ==, "dcbae");
}

static void
write_file(const char *directory, const char *name, const char *text)
{
    g_autofree char *path = g_build_filename(directory, name, NULL);

    g_assert_true(g_file_set_contents(path, text, -1, NULL));
}

static void
remove_directory(const char *directory)
{
    g_autoptr(GDir) dir = g_dir_open(directory, 0, NULL);
    const char *name = NULL;

    while ((name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *path = g_build_filename(directory, name, NULL);
        g_assert_cmpint(g_remove(path), ==, 0);
    }
    g_assert_cmpint(g_rmdir(directory), ==, 0);
}

static void
test_load_reads_default_first_then_by_name(void)
{
    g_autofree char *directory = g_dir_make_tmp("spoke-rules-XXXXXX", NULL);
    g_autoptr(SpokeRulesDraft) draft = spoke_rules_draft_new();
    g_autoptr(GError) error = NULL;
    guint n = 0;

    write_file(directory, "default.policy", WHOLE);
    write_file(directory, "10-vendor.policy", "[Rule a]\nEffect=prefer\nPriority=1\n");
    write_file(directory, "20-vendor.policy", "[Rule a]\nPriority=2\n");
    write_file(directory, ".hidden.policy", "nonsense");
    write_file(directory, "README", "nonsense");
    gboolean is_read = spoke_rules_load_directory(draft, directory, &n, &error);
    remove_directory(directory);

    g_assert_no_error(error);
    g_assert_true(is_read);
    g_assert_cmpuint(n, ==, 3);
    g_autoptr(SpokeRules) rules = spoke_rules_draft_finish(draft, &error);
    g_assert_cmpint(spoke_rules_get(rules, 0)->effect, ==, SPOKE_EFFECT_PREFER);
    g_assert_cmpuint(spoke_rules_get(rules, 0)->priority, ==, 2);
}

static void
test_load_finds_nothing_in_a_directory_that_is_not_there(void)
{
    g_autoptr(SpokeRulesDraft) draft = spoke_rules_draft_new();
    g_autoptr(GError) error = NULL;
    guint n = 77;

    g_assert_true(spoke_rules_load_directory(draft, "/nonexistent/spoked", &n, &error));
    g_assert_cmpuint(n, ==, 0);
}

static void
test_load_says_why_a_file_is_not_read(void)
{
    g_autoptr(SpokeRulesDraft) draft = spoke_rules_draft_new();
    g_autoptr(GError) error = NULL;

    g_assert_false(spoke_rules_load_file(draft, "/nonexistent/a.policy", &error));
    g_assert_cmpstr(error->message, ==, "/nonexistent/a.policy: No such file or directory");
    g_clear_error(&error);
    g_assert_false(spoke_rules_load_file(draft, "/dev/null", &error));
    g_assert_cmpstr(error->message, ==, "/dev/null: not a regular file");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/rules-file/read/takes-every-key", test_read_takes_every_key);
    g_test_add_func("/rules-file/read/refuses-with-line-and-reason",
                    test_read_refuses_with_line_and_reason);
    g_test_add_func("/rules-file/read/names-the-outcomes-there-are",
                    test_read_names_the_outcomes_there_are);
    g_test_add_func("/rules-file/read/refuses-a-nul", test_read_refuses_a_nul);
    g_test_add_func("/rules-file/read/has-limits", test_read_has_limits);
    g_test_add_func("/rules-file/read/lets-the-later-file-win-key-by-key",
                    test_read_lets_the_later_file_win_key_by_key);
    g_test_add_func("/rules-file/finish/wants-whole-rules", test_finish_wants_whole_rules);
    g_test_add_func("/rules-file/finish/orders-by-priority-then-reading",
                    test_finish_orders_by_priority_then_reading);
    g_test_add_func("/rules-load/directory/reads-default-first-then-by-name",
                    test_load_reads_default_first_then_by_name);
    g_test_add_func("/rules-load/directory/finds-nothing-in-one-that-is-not-there",
                    test_load_finds_nothing_in_a_directory_that_is_not_there);
    g_test_add_func("/rules-load/file/says-why-it-is-not-read",
                    test_load_says_why_a_file_is_not_read);
    return g_test_run();
}
