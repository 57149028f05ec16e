/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/inflight.h"

/* The list of what is on its way, without anybody who sends. */

static void
add(SpokeInflight *inflight, guint64 first, guint64 last)
{
    for (guint64 id = first; id <= last; id++) {
        SpokeMessage *message = spoke_message_new(NULL, 0, NULL, 0, "x", 1);

        message->id = id;
        spoke_inflight_add(inflight, message);
    }
}

static void
send_all(SpokeInflight *inflight)
{
    while (spoke_inflight_peek(inflight) != NULL)
        spoke_inflight_advance(inflight);
}

/* Ids in order, as "1 2 3"; empties the list. (transfer full) */
static char *
steal_ids(SpokeInflight *inflight)
{
    guint n = 0;
    g_autofree SpokeMessage **messages = spoke_inflight_steal(inflight, &n);
    g_autoptr(GString) ids = g_string_new(NULL);

    for (guint i = 0; i < n; i++) {
        g_string_append_printf(ids, "%s%" G_GUINT64_FORMAT, i > 0 ? " " : "", messages[i]->id);
        spoke_message_unref(messages[i]);
    }
    return g_strdup(ids->str);
}

static void
remove_oldest(SpokeInflight *inflight)
{
    SpokeMessage *message = spoke_inflight_get_oldest(inflight);

    g_assert_true(spoke_inflight_remove(inflight, message));
    spoke_message_unref(message);
}

static void
test_counts_what_is_sent(void)
{
    g_autoptr(SpokeInflight) inflight = spoke_inflight_new();
    g_autofree char *ids = NULL;

    add(inflight, 1, 3);
    g_assert_cmpuint(spoke_inflight_get_sent(inflight), ==, 0);
    g_assert_null(spoke_inflight_get_oldest(inflight));
    size_t cost = spoke_message_cost(spoke_inflight_peek(inflight));
    spoke_inflight_advance(inflight);
    spoke_inflight_advance(inflight);

    g_assert_cmpuint(spoke_inflight_get_sent(inflight), ==, 2);
    g_assert_cmpuint(spoke_inflight_get_sent_bytes(inflight), ==, 2 * cost);
    g_assert_cmpuint(spoke_inflight_peek(inflight)->id, ==, 3);
    ids = steal_ids(inflight);
    g_assert_cmpstr(ids, ==, "1 2 3");
    g_assert_cmpuint(spoke_inflight_get_sent(inflight), ==, 0);
    g_assert_cmpuint(spoke_inflight_get_sent_bytes(inflight), ==, 0);
}

static void
test_remove_out_of_order(void)
{
    g_autoptr(SpokeInflight) inflight = spoke_inflight_new();
    g_autofree char *ids = NULL;

    add(inflight, 1, 1);
    SpokeMessage *first = spoke_inflight_peek(inflight);
    add(inflight, 2, 2);
    spoke_inflight_advance(inflight);
    SpokeMessage *second = spoke_inflight_peek(inflight);
    add(inflight, 3, 4);
    spoke_inflight_advance(inflight);
    spoke_inflight_advance(inflight);

    g_assert_true(spoke_inflight_remove(inflight, second));
    spoke_message_unref(second);
    g_assert_cmpuint(spoke_inflight_get_oldest(inflight)->id, ==, 1);
    g_assert_true(spoke_inflight_remove(inflight, first));
    spoke_message_unref(first);
    g_assert_cmpuint(spoke_inflight_get_oldest(inflight)->id, ==, 3);

    ids = steal_ids(inflight);
    g_assert_cmpstr(ids, ==, "3 4");
}

static void
test_remove_only_what_was_sent(void)
{
    g_autoptr(SpokeInflight) inflight = spoke_inflight_new();
    g_autofree char *ids = NULL;

    add(inflight, 1, 1);

    g_assert_false(spoke_inflight_remove(inflight, spoke_inflight_peek(inflight)));
    ids = steal_ids(inflight);
    g_assert_cmpstr(ids, ==, "1");
}

static void
test_grows_and_turns(void)
{
    g_autoptr(SpokeInflight) inflight = spoke_inflight_new();
    guint64 id = 0;

    for (guint round = 0; round < 1000; round++) {
        add(inflight, id + 1, id + round % 7);
        id += round % 7;
        send_all(inflight);
        while (spoke_inflight_get_sent(inflight) > (round * 31) % 300)
            remove_oldest(inflight);
    }
    while (spoke_inflight_get_sent(inflight) > 1)
        remove_oldest(inflight);
    g_assert_cmpuint(spoke_inflight_get_oldest(inflight)->id, ==, id);
    remove_oldest(inflight);
    g_assert_null(spoke_inflight_get_oldest(inflight));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/inflight/counts-what-is-sent", test_counts_what_is_sent);
    g_test_add_func("/inflight/remove/out-of-order", test_remove_out_of_order);
    g_test_add_func("/inflight/remove/only-what-was-sent", test_remove_only_what_was_sent);
    g_test_add_func("/inflight/grows-and-turns", test_grows_and_turns);
    return g_test_run();
}
