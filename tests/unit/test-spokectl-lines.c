/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clients/spokectl/lines.h"

#include <string.h>

/* Takes what there is: "[one][two]" */
static void
take_all(SpokeLines *lines, GString *taken)
{
    const char *line = NULL;
    gsize size = 0;

    while (spoke_lines_next(lines, &line, &size)) {
        g_string_append_c(taken, '[');
        g_string_append_len(taken, line, (gssize)size);
        g_string_append_c(taken, ']');
    }
}

static void
feed(SpokeLines *lines, const char *text, GString *taken)
{
    spoke_lines_feed(lines, text, strlen(text));
    take_all(lines, taken);
}

static void
test_next_cuts_at_newlines(void)
{
    g_autoptr(SpokeLines) lines = spoke_lines_new();
    g_autoptr(GString) taken = g_string_new(NULL);

    feed(lines, "one\ntwo\n\nthree\r\n", taken);

    g_assert_cmpstr(taken->str, ==, "[one][two][][three\r]");
}

static void
test_next_waits_for_the_end_of_a_line(void)
{
    g_autoptr(SpokeLines) lines = spoke_lines_new();
    g_autoptr(GString) taken = g_string_new(NULL);

    feed(lines, "on", taken);
    g_assert_cmpstr(taken->str, ==, "");
    g_assert_cmpuint(spoke_lines_get_pending(lines), ==, 2);
    feed(lines, "e\nt", taken);
    g_assert_cmpstr(taken->str, ==, "[one]");
    feed(lines, "wo\n", taken);

    g_assert_cmpstr(taken->str, ==, "[one][two]");
    g_assert_cmpuint(spoke_lines_get_pending(lines), ==, 0);
}

static void
test_end_makes_the_rest_a_line(void)
{
    g_autoptr(SpokeLines) lines = spoke_lines_new();
    g_autoptr(GString) taken = g_string_new(NULL);

    feed(lines, "one\ntwo", taken);
    spoke_lines_end(lines);
    take_all(lines, taken);
    take_all(lines, taken);

    g_assert_cmpstr(taken->str, ==, "[one][two]");
}

static void
test_end_makes_no_line_of_nothing(void)
{
    g_autoptr(SpokeLines) lines = spoke_lines_new();
    g_autoptr(GString) taken = g_string_new(NULL);

    feed(lines, "one\n", taken);
    spoke_lines_end(lines);
    take_all(lines, taken);

    g_assert_cmpstr(taken->str, ==, "[one]");
}

static void
test_feed_may_cut_anywhere(void)
{
    static const char text[] = "a\nbb\n\nccc\ndddd\n";

    for (gsize step = 1; step < sizeof text; step++) {
        g_autoptr(SpokeLines) lines = spoke_lines_new();
        g_autoptr(GString) taken = g_string_new(NULL);

        for (gsize i = 0; i < sizeof text - 1; i += step) {
            spoke_lines_feed(lines, text + i, MIN(step, sizeof text - 1 - i));
            take_all(lines, taken);
        }
        g_assert_cmpstr(taken->str, ==, "[a][bb][][ccc][dddd]");
    }
}

static void
test_feed_keeps_lines_not_taken(void)
{
    g_autoptr(SpokeLines) lines = spoke_lines_new();
    g_autoptr(GString) taken = g_string_new(NULL);
    const char *line = NULL;
    gsize size = 0;

    spoke_lines_feed(lines, "one\ntwo\nthr", 11);
    g_assert_true(spoke_lines_next(lines, &line, &size));
    spoke_lines_feed(lines, "ee\n", 3);
    take_all(lines, taken);

    g_assert_cmpstr(taken->str, ==, "[two][three]");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/spokectl/lines/next/cuts-at-newlines", test_next_cuts_at_newlines);
    g_test_add_func("/spokectl/lines/next/waits-for-the-end-of-a-line",
                    test_next_waits_for_the_end_of_a_line);
    g_test_add_func("/spokectl/lines/end/makes-the-rest-a-line", test_end_makes_the_rest_a_line);
    g_test_add_func("/spokectl/lines/end/makes-no-line-of-nothing",
                    test_end_makes_no_line_of_nothing);
    g_test_add_func("/spokectl/lines/feed/may-cut-anywhere", test_feed_may_cut_anywhere);
    g_test_add_func("/spokectl/lines/feed/keeps-lines-not-taken", test_feed_keeps_lines_not_taken);
    return g_test_run();
}
