/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/cause.h"

#include <string.h>

static void
test_to_string_is_unique(void)
{
    g_autoptr(GHashTable) names = g_hash_table_new(g_str_hash, g_str_equal);

    for (guint cause = SPOKE_CAUSE_NONE + 1; cause < SPOKE_N_CAUSES; cause++) {
        const char *name = spoke_cause_to_string(cause);

        g_assert_true(g_ascii_isupper(name[0]));
        for (const char *c = name; *c != '\0'; c++)
            g_assert_true(g_ascii_isalpha(*c));
        g_assert_true(g_hash_table_add(names, (gpointer)name));
    }
}

/* Programs compare these. */
static void
test_to_string_keeps_public_names(void)
{
    g_assert_cmpstr(spoke_cause_to_string(SPOKE_CAUSE_DNS), ==, "Dns");
    g_assert_cmpstr(spoke_cause_to_string(SPOKE_CAUSE_TCP_REFUSED), ==, "TcpRefused");
    g_assert_cmpstr(spoke_cause_to_string(SPOKE_CAUSE_TCP_TIMEOUT), ==, "TcpTimeout");
    g_assert_cmpstr(spoke_cause_to_string(SPOKE_CAUSE_CERTIFICATE), ==, "Certificate");
    g_assert_cmpstr(spoke_cause_to_string(SPOKE_CAUSE_AUTHENTICATION_FAILED), ==,
                    "AuthenticationFailed");
    g_assert_cmpstr(spoke_cause_to_string(SPOKE_CAUSE_EVICTED), ==, "Evicted");
}

static void
test_get_remedy_is_a_sentence(void)
{
    for (guint cause = SPOKE_CAUSE_NONE + 1; cause < SPOKE_N_CAUSES; cause++) {
        const char *remedy = spoke_cause_get_remedy(cause);

        g_assert_cmpuint(strlen(remedy), >, 20);
        g_assert_true(g_ascii_isupper(remedy[0]));
        g_assert_true(g_str_has_suffix(remedy, "."));
        g_assert_false(g_str_has_suffix(remedy, ".."));
        g_assert_null(strstr(remedy, "  "));
    }
}

static void
test_none_is_empty(void)
{
    g_assert_cmpstr(spoke_cause_to_string(SPOKE_CAUSE_NONE), ==, "");
    g_assert_cmpstr(spoke_cause_get_remedy(SPOKE_CAUSE_NONE), ==, "");
}

/* Source: iot-hub-protocol.md, 7.5. */
static void
test_get_pace_7_5(void)
{
    g_assert_cmpint(spoke_cause_get_pace(SPOKE_CAUSE_DNS), ==, SPOKE_PACE_NORMAL);
    g_assert_cmpint(spoke_cause_get_pace(SPOKE_CAUSE_TCP_TIMEOUT), ==, SPOKE_PACE_NORMAL);
    g_assert_cmpint(spoke_cause_get_pace(SPOKE_CAUSE_KEEPALIVE), ==, SPOKE_PACE_NORMAL);
    g_assert_cmpint(spoke_cause_get_pace(SPOKE_CAUSE_CLOSED_BY_HUB), ==, SPOKE_PACE_NORMAL);
    g_assert_cmpint(spoke_cause_get_pace(SPOKE_CAUSE_CERTIFICATE), ==, SPOKE_PACE_SLOW);
    g_assert_cmpint(spoke_cause_get_pace(SPOKE_CAUSE_AUTHENTICATION_FAILED), ==, SPOKE_PACE_SLOW);
    g_assert_cmpint(spoke_cause_get_pace(SPOKE_CAUSE_EVICTED), ==, SPOKE_PACE_SLOW);
    g_assert_cmpint(spoke_cause_get_pace(SPOKE_CAUSE_UNAVAILABLE), ==, SPOKE_PACE_SLOW);
}

static void
test_names_are_in_the_man_page(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *page = NULL;

    g_file_get_contents(SPOKE_SOURCE_DIR "/data/man/spoked.8.rst", &page, NULL, &error);
    g_assert_no_error(error);
    for (guint cause = SPOKE_CAUSE_NONE + 1; cause < SPOKE_N_CAUSES; cause++) {
        const char *star = spoke_cause_get_pace(cause) == SPOKE_PACE_SLOW ? " \\*" : "";
        g_autofree char *head = g_strdup_printf("\n%s%s\n    ", spoke_cause_to_string(cause), star);

        g_assert_nonnull(strstr(page, head));
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cause/to-string/is-unique", test_to_string_is_unique);
    g_test_add_func("/cause/to-string/keeps-public-names", test_to_string_keeps_public_names);
    g_test_add_func("/cause/get-remedy/is-a-sentence", test_get_remedy_is_a_sentence);
    g_test_add_func("/cause/none/is-empty", test_none_is_empty);
    g_test_add_func("/cause/get-pace/7.5", test_get_pace_7_5);
    g_test_add_func("/cause/names/are-in-the-man-page", test_names_are_in_the_man_page);
    return g_test_run();
}
