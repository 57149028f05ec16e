/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clients/spokectl/batch.h"

#include <string.h>

/* Lines that travel together: when a batch is full, and what halving does to it. */

static SpokeBatch *
batch_of(const char *const *lines, guint64 number)
{
    SpokeBatch *batch = spoke_batch_new(NULL);

    for (guint i = 0; lines[i] != NULL; i++)
        spoke_batch_add(batch, lines[i], strlen(lines[i]), number + i);
    return batch;
}

static void
assert_line(SpokeBatch *batch, guint i, const char *text, guint64 number)
{
    gsize start = i > 0 ? g_array_index(batch->ends, gsize, i - 1) : 0;
    gsize end = g_array_index(batch->ends, gsize, i);

    g_assert_cmpmem(batch->bytes->data + start, end - start, text, strlen(text));
    g_assert_cmpuint(spoke_batch_get_number(batch, i), ==, number);
}

static void
test_is_full_counts_lines(void)
{
    g_autoptr(SpokeBatch) batch = spoke_batch_new(NULL);

    for (guint i = 1; i < SPOKE_BATCH_FILL_MESSAGES; i++)
        spoke_batch_add(batch, "x", 1, i);
    g_assert_false(spoke_batch_is_full(batch));
    spoke_batch_add(batch, "x", 1, SPOKE_BATCH_FILL_MESSAGES);

    g_assert_true(spoke_batch_is_full(batch));
}

static void
test_split_keeps_lines_numbers_and_time(void)
{
    static const char *const lines[] = {"one", "twenty", "3", "four", "5five", NULL};
    g_autoptr(SpokeBatch) batch = batch_of(lines, 11);
    guint64 created_usec = batch->created_usec = 4711;

    g_autoptr(SpokeBatch) rest = spoke_batch_split(batch);

    g_assert_cmpuint(spoke_batch_count(batch), ==, 2);
    assert_line(batch, 0, "one", 11);
    assert_line(batch, 1, "twenty", 12);
    g_assert_cmpuint(batch->bytes->len, ==, strlen("onetwenty"));
    g_assert_cmpuint(spoke_batch_count(rest), ==, 3);
    assert_line(rest, 0, "3", 13);
    assert_line(rest, 1, "four", 14);
    assert_line(rest, 2, "5five", 15);
    g_assert_cmpuint(rest->created_usec, ==, created_usec);
}

static void
test_split_of_two_leaves_one_each(void)
{
    static const char *const lines[] = {"a", "b", NULL};
    g_autoptr(SpokeBatch) batch = batch_of(lines, 1);

    g_autoptr(SpokeBatch) rest = spoke_batch_split(batch);

    g_assert_cmpuint(spoke_batch_count(batch), ==, 1);
    assert_line(batch, 0, "a", 1);
    g_assert_cmpuint(spoke_batch_count(rest), ==, 1);
    assert_line(rest, 0, "b", 2);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);

    g_test_add_func("/batch/is-full/counts-lines", test_is_full_counts_lines);
    g_test_add_func("/batch/split/keeps-lines-numbers-and-time",
                    test_split_keeps_lines_numbers_and_time);
    g_test_add_func("/batch/split/of-two-leaves-one-each", test_split_of_two_leaves_one_each);

    return g_test_run();
}
