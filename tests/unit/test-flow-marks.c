/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/flow-marks.h"

static void
test_get_knows_what_was_set(void)
{
    SpokeFlowMarks marks = {NULL};

    /* A prime's multiples: every mark once, in no order. */
    for (guint i = 0; i < SPOKE_FLOW_MARKS; i++)
        spoke_flow_marks_set(&marks, i * 4099 % SPOKE_FLOW_MARKS, i + 1);

    g_assert_cmpuint(marks.n, ==, SPOKE_FLOW_MARKS);
    for (guint i = 0; i < SPOKE_FLOW_MARKS; i++)
        g_assert_cmpuint(spoke_flow_marks_get(&marks, i * 4099 % SPOKE_FLOW_MARKS), ==, i + 1);
    spoke_flow_marks_clear(&marks);
}

static void
test_get_of_another_is_zero(void)
{
    SpokeFlowMarks marks = {NULL};

    g_assert_cmpuint(spoke_flow_marks_get(&marks, 7), ==, 0);
    spoke_flow_marks_set(&marks, 6, 60);
    spoke_flow_marks_set(&marks, 8, 80);

    g_assert_cmpuint(spoke_flow_marks_get(&marks, 7), ==, 0);
    g_assert_cmpuint(spoke_flow_marks_get(&marks, 9), ==, 0);
    spoke_flow_marks_clear(&marks);
}

static void
test_set_replaces(void)
{
    SpokeFlowMarks marks = {NULL};
    spoke_flow_marks_set(&marks, 6, 60);

    spoke_flow_marks_set(&marks, 6, 0);

    g_assert_cmpuint(spoke_flow_marks_get(&marks, 6), ==, 0);
    g_assert_cmpuint(marks.n, ==, 1);
    spoke_flow_marks_clear(&marks);
}

static void
test_limit_lowers_what_is_above(void)
{
    SpokeFlowMarks marks = {NULL};
    spoke_flow_marks_set(&marks, 1, 10);
    spoke_flow_marks_set(&marks, 2, 30);

    spoke_flow_marks_limit(&marks, 20);

    g_assert_cmpuint(spoke_flow_marks_get(&marks, 1), ==, 10);
    g_assert_cmpuint(spoke_flow_marks_get(&marks, 2), ==, 20);
    spoke_flow_marks_clear(&marks);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/flow-marks/get/knows-what-was-set", test_get_knows_what_was_set);
    g_test_add_func("/flow-marks/get/of-another-is-zero", test_get_of_another_is_zero);
    g_test_add_func("/flow-marks/set/replaces", test_set_replaces);
    g_test_add_func("/flow-marks/limit/lowers-what-is-above", test_limit_lowers_what_is_above);
    return g_test_run();
}
