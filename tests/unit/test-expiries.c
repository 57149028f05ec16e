/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/expiries.h"

/* Expiries of many messages in little memory: never later than they are, and not much earlier. */
#define MILLION 1000000

static void
test_next_is_the_earliest(void)
{
    g_auto(SpokeExpiries) expiries;
    spoke_expiries_init(&expiries);
    spoke_expiries_add(&expiries, 10, 700);
    spoke_expiries_add(&expiries, 5000, 300);
    spoke_expiries_add(&expiries, 9000, 500);

    g_assert_cmpint(spoke_expiries_get_next(&expiries, 0), ==, 300);
    g_assert_cmpint(spoke_expiries_get_next(&expiries, 300), ==, 500);
    g_assert_cmpint(spoke_expiries_get_next(&expiries, 700), ==, SPOKE_EXPIRY_NEVER);
}

static void
test_endless_messages_cost_nothing(void)
{
    g_auto(SpokeExpiries) expiries;
    spoke_expiries_init(&expiries);

    spoke_expiries_add(&expiries, 1, 0);
    spoke_expiries_add(&expiries, 2, SPOKE_EXPIRY_NEVER);

    g_assert_cmpuint(expiries.n_blocks, ==, 0);
}

static void
test_due_block_holds_the_id(void)
{
    g_auto(SpokeExpiries) expiries;
    guint64 first_id = 0;
    guint64 last_id = 0;
    spoke_expiries_init(&expiries);
    spoke_expiries_add(&expiries, 10, 700);
    spoke_expiries_add(&expiries, 5000, 300);

    g_assert_false(spoke_expiries_take_due(&expiries, 299, &first_id, &last_id));
    g_assert_true(spoke_expiries_take_due(&expiries, 300, &first_id, &last_id));

    g_assert_cmpuint(first_id, <=, 5000);
    g_assert_cmpuint(last_id, >=, 5000);
    g_assert_cmpuint(first_id, >, 10);
    g_assert_cmpint(spoke_expiries_get_next(&expiries, 0), ==, 700);
}

static void
test_put_back_meets_what_was_added_meanwhile(void)
{
    g_auto(SpokeExpiries) expiries;
    guint64 first_id = 0;
    guint64 last_id = 0;
    spoke_expiries_init(&expiries);
    spoke_expiries_add(&expiries, 1, 300);
    g_assert_true(spoke_expiries_take_due(&expiries, 300, &first_id, &last_id));

    spoke_expiries_add(&expiries, 2, 500);
    spoke_expiries_put_back(&expiries, 1, 400);

    g_assert_cmpuint(expiries.n_blocks, ==, 1);
    g_assert_cmpint(spoke_expiries_get_next(&expiries, 0), ==, 400);
}

static void
test_put_back_finds_its_place(void)
{
    g_auto(SpokeExpiries) expiries;
    guint64 first_id = 0;
    guint64 last_id = 0;
    spoke_expiries_init(&expiries);
    for (guint64 id = 0; id < 5 * SPOKE_EXPIRY_BLOCK_IDS; id++)
        spoke_expiries_add(&expiries, id, id / SPOKE_EXPIRY_BLOCK_IDS == 2 ? 1 : 500);
    g_assert_true(spoke_expiries_take_due(&expiries, 1, &first_id, &last_id));

    spoke_expiries_put_back(&expiries, first_id, 400);

    g_assert_cmpuint(expiries.n_blocks, ==, 5);
    for (guint i = 0; i < expiries.n_blocks; i++)
        g_assert_cmpuint(expiries.blocks[i].number, ==, i);
    g_assert_cmpint(expiries.blocks[2].first_usec, ==, 400);
}

static void
test_millions_stay_in_few_blocks(void)
{
    g_auto(SpokeExpiries) expiries;
    spoke_expiries_init(&expiries);

    for (guint64 id = 1; id <= 5 * MILLION; id++)
        spoke_expiries_add(&expiries, id, (gint64)(id == 3 * MILLION ? 7 : id));

    guint64 first_id = 0;
    guint64 last_id = 0;
    g_assert_cmpuint(expiries.n_blocks, <=, SPOKE_EXPIRY_BLOCKS_MAX);
    g_assert_true(spoke_expiries_take_due(&expiries, 1, &first_id, &last_id));
    g_assert_cmpuint(first_id, ==, 0);
    g_assert_true(spoke_expiries_take_due(&expiries, 7, &first_id, &last_id));
    g_assert_cmpuint(first_id, <=, 3 * MILLION);
    g_assert_cmpuint(last_id, >=, 3 * MILLION);
    g_assert_cmpuint(last_id - first_id, <, 5 * MILLION / (SPOKE_EXPIRY_BLOCKS_MAX / 2));
    g_assert_false(spoke_expiries_take_due(&expiries, 7, &first_id, &last_id));
}

static void
test_unknown_is_due_all_over(void)
{
    g_auto(SpokeExpiries) expiries;
    guint64 expected = 777;
    guint64 first_id = 0;
    guint64 last_id = 0;
    spoke_expiries_init(&expiries);

    spoke_expiries_set_unknown(&expiries, expected, 2 * MILLION);

    g_assert_cmpuint(expiries.n_blocks, <=, SPOKE_EXPIRY_BLOCKS_MAX / 2);
    while (spoke_expiries_take_due(&expiries, 0, &first_id, &last_id)) {
        g_assert_cmpuint(first_id, <=, expected);
        expected = last_id + 1;
    }
    g_assert_cmpuint(expected, >, 2 * MILLION);
}

static void
test_forget_leaves_what_is_above(void)
{
    g_auto(SpokeExpiries) expiries;
    spoke_expiries_init(&expiries);
    spoke_expiries_add(&expiries, 10, 300);
    spoke_expiries_add(&expiries, 5000, 700);

    spoke_expiries_forget(&expiries, 4999);
    g_assert_cmpint(spoke_expiries_get_next(&expiries, 0), ==, 700);
    spoke_expiries_forget(&expiries, 50000);

    g_assert_cmpint(spoke_expiries_get_next(&expiries, 0), ==, SPOKE_EXPIRY_NEVER);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/expiries/next/is-the-earliest", test_next_is_the_earliest);
    g_test_add_func("/expiries/add/endless-messages-cost-nothing",
                    test_endless_messages_cost_nothing);
    g_test_add_func("/expiries/due/block-holds-the-id", test_due_block_holds_the_id);
    g_test_add_func("/expiries/put-back/meets-what-was-added-meanwhile",
                    test_put_back_meets_what_was_added_meanwhile);
    g_test_add_func("/expiries/put-back/finds-its-place", test_put_back_finds_its_place);
    g_test_add_func("/expiries/add/millions-stay-in-few-blocks", test_millions_stay_in_few_blocks);
    g_test_add_func("/expiries/unknown/is-due-all-over", test_unknown_is_due_all_over);
    g_test_add_func("/expiries/forget/leaves-what-is-above", test_forget_leaves_what_is_above);
    return g_test_run();
}
