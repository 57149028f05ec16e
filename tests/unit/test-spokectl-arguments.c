/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clients/spokectl/advice.h"
#include "clients/spokectl/duration.h"
#include "clients/spokectl/flags.h"
#include "clients/spokectl/message-text.h"
#include "clients/spokectl/pairs.h"

#include <errno.h>
#include <string.h>

static void
test_duration_parse_takes_units(void)
{
    static const struct {
        const char *text;
        guint64 msec;
    } cases[] = {
        {"0", 0},         {"30", 30000},    {"1.5", 1500},  {"500ms", 500},
        {"2 s", 2000},    {"2sec", 2000},   {"2m", 120000}, {"2min", 120000},
        {"1h", 3600000},  {"1d", 86400000}, {"0.1ms", 1}, /* never less than asked for */
        {"1e3", 1000000},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        guint64 msec = 77;

        g_assert_true(spoke_duration_parse(cases[i].text, &msec, &error));
        g_assert_no_error(error);
        g_assert_cmpuint(msec, ==, cases[i].msec);
    }
}

static void
test_duration_parse_refuses_the_rest(void)
{
    static const char *const cases[] = {
        "", " 1", "-1", "s", "1x", "1 s s", "nan", "inf", "1,5", "0x10x", "99999999999999d", "1ss"};

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        guint64 msec = 77;

        g_assert_false(spoke_duration_parse(cases[i], &msec, &error));
        g_assert_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE);
        g_assert_cmpuint(msec, ==, 77);
    }
}

static void
test_duration_format_is_short(void)
{
    static const struct {
        guint64 usec;
        const char *text;
    } cases[] = {
        {0, "0 ms"},
        {999999, "999 ms"},
        {59 * G_USEC_PER_SEC, "59 s"},
        {3599 * (guint64)G_USEC_PER_SEC, "59 min"},
        {7500 * (guint64)G_USEC_PER_SEC, "2 h 5 min"},
        {(86400 * 4 + 3 * 3600) * (guint64)G_USEC_PER_SEC, "4 d 3 h"},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *text = spoke_duration_format(cases[i].usec);

        g_assert_cmpstr(text, ==, cases[i].text);
    }
}

static void
test_pairs_parse_cuts_at_first_equals(void)
{
    g_auto(GStrv) pairs = g_strsplit("room=kitchen,formula=a=b,empty=", ",", 0);
    g_autoptr(GError) error = NULL;
    gsize n = 0;

    g_autofree SpokeProperty *properties = spoke_pairs_parse(pairs, &n, &error);

    g_assert_no_error(error);
    g_assert_cmpuint(n, ==, 3);
    g_assert_cmpstr(properties[0].name, ==, "room");
    g_assert_cmpstr(properties[0].value, ==, "kitchen");
    g_assert_cmpstr(properties[1].name, ==, "formula");
    g_assert_cmpstr(properties[1].value, ==, "a=b");
    g_assert_cmpstr(properties[2].name, ==, "empty");
    g_assert_cmpstr(properties[2].value, ==, "");
}

static void
test_pairs_parse_refuses_half_a_pair(void)
{
    static const char *const cases[] = {"room", "=kitchen", "", "="};

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_auto(GStrv) pairs = g_strsplit(cases[i][0] != '\0' ? cases[i] : " ", ",", 0);
        g_autoptr(GError) error = NULL;
        gsize n = 77;

        g_assert_null(spoke_pairs_parse(pairs, &n, &error));
        g_assert_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE);
    }
}

static void
test_pairs_parse_takes_none(void)
{
    gsize n = 77;

    g_autofree SpokeProperty *properties = spoke_pairs_parse(NULL, &n, NULL);

    g_assert_nonnull(properties);
    g_assert_cmpuint(n, ==, 0);
}

static void
test_output_parse_follows_json(void)
{
    SpokeOutput output = SPOKE_OUTPUT_BODY;
    g_autoptr(GError) error = NULL;

    g_assert_true(spoke_output_parse(NULL, FALSE, &output, NULL));
    g_assert_cmpint(output, ==, SPOKE_OUTPUT_FULL);
    g_assert_true(spoke_output_parse(NULL, TRUE, &output, NULL));
    g_assert_cmpint(output, ==, SPOKE_OUTPUT_JSON);
    g_assert_true(spoke_output_parse("body", TRUE, &output, NULL));
    g_assert_cmpint(output, ==, SPOKE_OUTPUT_BODY);
    g_assert_false(spoke_output_parse("xml", FALSE, &output, &error));
    g_assert_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE);
}

static void
test_exit_tells_kinds_apart(void)
{
    g_assert_cmpint(spoke_advice_get_exit(-EHOSTUNREACH), ==, SPOKE_EXIT_UNREACHABLE);
    g_assert_cmpint(spoke_advice_get_exit(-ETIMEDOUT), ==, SPOKE_EXIT_TIMEOUT);
    g_assert_cmpint(spoke_advice_get_exit(-EACCES), ==, SPOKE_EXIT_FAILURE);
    g_assert_cmpint(spoke_advice_get_exit(-EINVAL), ==, SPOKE_EXIT_FAILURE);
    g_assert_cmpint(spoke_advice_get_outcome_exit(SPOKE_OUTCOME_ACCEPTED), ==, SPOKE_EXIT_OK);
    g_assert_cmpint(spoke_advice_get_outcome_exit(SPOKE_OUTCOME_REJECTED), ==, SPOKE_EXIT_REJECTED);
    g_assert_cmpint(spoke_advice_get_outcome_exit(SPOKE_OUTCOME_EXPIRED), ==, SPOKE_EXIT_EXPIRED);
    g_assert_cmpint(spoke_advice_get_outcome_exit(SPOKE_OUTCOME_DROPPED), ==, SPOKE_EXIT_DROPPED);
    g_assert_cmpint(spoke_advice_get_outcome_exit(SPOKE_OUTCOME_UNKNOWN), ==, SPOKE_EXIT_FAILURE);
}

static void
test_flags_check_refuses_a_value(void)
{
    static const struct {
        const char *argument;
        gboolean is_right;
    } cases[] = {
        {"--wait", TRUE},      {"--wait=5", FALSE},   {"--wait=", FALSE},
        {"--waiting=5", TRUE}, {"--timeout=5", TRUE}, {"wait=5", TRUE},
    };
    gboolean wait = FALSE;
    char *timeout = NULL;
    const GOptionEntry entries[] = {
        {"wait", 'w', 0, G_OPTION_ARG_NONE, &wait, "", NULL},
        {"timeout", 't', 0, G_OPTION_ARG_FILENAME, &timeout, "", "TIME"},
        {NULL},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        char *argv[] = {(char *)"send", (char *)cases[i].argument, NULL};
        g_autoptr(GError) error = NULL;

        gboolean is_right = spoke_flags_check(entries, 2, argv, &error);

        g_assert_cmpint(is_right, ==, cases[i].is_right);
        if (!is_right)
            g_assert_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE);
    }
}

static void
test_advice_knows_a_private_bus(void)
{
    static const struct {
        const char *address;
        gboolean is_system;
    } cases[] = {
        {NULL, TRUE},
        {"", TRUE},
        {"unix:path=/run/dbus/system_bus_socket", TRUE},
        {"unix:path=/var/run/dbus/system_bus_socket", TRUE},
        {"unix:path=/tmp/bus", FALSE},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        const char *text = spoke_advice_get_text(-EHOSTUNREACH, cases[i].address);

        g_assert_cmpint(strstr(text, "systemctl") != NULL, ==, cases[i].is_system);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/spokectl/duration/parse/takes-units", test_duration_parse_takes_units);
    g_test_add_func("/spokectl/duration/parse/refuses-the-rest",
                    test_duration_parse_refuses_the_rest);
    g_test_add_func("/spokectl/duration/format/is-short", test_duration_format_is_short);
    g_test_add_func("/spokectl/pairs/parse/cuts-at-first-equals",
                    test_pairs_parse_cuts_at_first_equals);
    g_test_add_func("/spokectl/pairs/parse/refuses-half-a-pair",
                    test_pairs_parse_refuses_half_a_pair);
    g_test_add_func("/spokectl/pairs/parse/takes-none", test_pairs_parse_takes_none);
    g_test_add_func("/spokectl/output/parse/follows-json", test_output_parse_follows_json);
    g_test_add_func("/spokectl/exit/tells-kinds-apart", test_exit_tells_kinds_apart);
    g_test_add_func("/spokectl/flags/check/refuses-a-value", test_flags_check_refuses_a_value);
    g_test_add_func("/spokectl/advice/knows-a-private-bus", test_advice_knows_a_private_bus);
    return g_test_run();
}
