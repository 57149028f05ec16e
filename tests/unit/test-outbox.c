/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "spool-fixture.h"

#include "daemon/error.h"

#include <string.h>

/* An outbox seen from outside: what is put comes out, in which order, and what is said of it. */

#define COST(body) (SPOKE_MESSAGE_HEAD_COST + strlen(body))

static gboolean
is_emptied(Fixture *fixture)
{
    return fixture->n_empty > 0;
}

static guint64
id_at(Fixture *fixture, guint index)
{
    g_assert_cmpuint(index, <, fixture->ids->len);
    return g_array_index(fixture->ids, guint64, index);
}

static void
test_put_answers_with_rising_ids(void)
{
    g_auto(Fixture) fixture;
    fixture_init(&fixture);
    fixture_open(&fixture);

    fixture_put_all(&fixture, "a1 b1 a2");

    g_assert_cmpuint(fixture.ids->len, ==, 3);
    g_assert_cmpuint(id_at(&fixture, 0), <, id_at(&fixture, 1));
    g_assert_cmpuint(id_at(&fixture, 1), <, id_at(&fixture, 2));
    g_assert_cmpuint(spoke_outbox_get_messages(fixture.outbox), ==, 3);
    g_assert_cmpuint(spoke_outbox_get_bytes(fixture.outbox), ==, 3 * COST("a1"));
}

static void
test_put_answers_after_it_returned(void)
{
    static const SpokeDurability classes[] = {SPOKE_DURABILITY_SYNCED, SPOKE_DURABILITY_FLUSHED,
                                              SPOKE_DURABILITY_VOLATILE};
    g_auto(Fixture) fixture;
    fixture_init(&fixture);
    fixture_open(&fixture);

    for (guint i = 0; i < G_N_ELEMENTS(classes); i++) {
        g_assert_true(fixture_put(&fixture, "a1", classes[i], NULL));
        g_assert_cmpuint(fixture.n_answers, ==, i);
        fixture_settle_down(&fixture);
        g_assert_cmpuint(fixture.n_answers, ==, i + 1);
    }
}

static void
test_put_batch_is_all_or_none(void)
{
    g_auto(Fixture) fixture;
    g_autoptr(GError) error = NULL;
    fixture_init(&fixture);
    fixture.options.bytes_max = 3 * COST("a1");
    fixture_open(&fixture);
    g_autoptr(SpokeMessage) first = fixture_message("a1", SPOKE_DURABILITY_SYNCED);
    g_autoptr(SpokeMessage) second = fixture_message("a2", SPOKE_DURABILITY_SYNCED);
    SpokeMessage *messages[] = {first, second};
    fixture_put_all(&fixture, "b1 b2");

    gboolean is_put = spoke_outbox_put(fixture.outbox, messages, 2, NULL, NULL, &error);

    g_assert_false(is_put);
    g_assert_error(error, SPOKE_ERROR, SPOKE_ERROR_QUEUE_FULL);
    g_assert_cmpuint(spoke_outbox_get_messages(fixture.outbox), ==, 2);
    g_autofree char *names = fixture_send(&fixture, 2);
    g_assert_cmpstr(names, ==, "b1 b2");
}

static void
test_put_refuses_over_limit(void)
{
    g_auto(Fixture) fixture;
    g_autoptr(GError) error = NULL;
    fixture_init(&fixture);
    fixture.options.bytes_max = 2 * COST("a1");
    fixture_open(&fixture);
    fixture_put_all(&fixture, "a1 a2");

    g_assert_false(fixture_put(&fixture, "a3", SPOKE_DURABILITY_SYNCED, &error));

    g_assert_error(error, SPOKE_ERROR, SPOKE_ERROR_QUEUE_FULL);
    g_autofree char *limit = g_strdup_printf("of %zu bytes", 2 * COST("a1"));
    g_assert_nonnull(strstr(error->message, limit));
    g_autofree char *sent = fixture_send(&fixture, 1);
    fixture_put_all(&fixture, "a3");
}

static gboolean
put_batch(Fixture *fixture, const char *bodies, SpokeDurability durability, GError **error)
{
    g_auto(GStrv) names = g_strsplit(bodies, " ", -1);
    g_autoptr(GPtrArray) messages =
        g_ptr_array_new_with_free_func((GDestroyNotify)spoke_message_unref);

    for (guint i = 0; names[i] != NULL; i++)
        g_ptr_array_add(messages, fixture_message(names[i], durability));
    return spoke_outbox_put(fixture->outbox, (SpokeMessage **)messages->pdata, messages->len, NULL,
                            NULL, error);
}

/* Waiting would not help it. */
static void
test_put_calls_too_large_what_can_never_fit(void)
{
    static const SpokeWhenFull policies[] = {SPOKE_WHEN_FULL_REJECT, SPOKE_WHEN_FULL_DROP_OLDEST};

    for (guint i = 0; i < G_N_ELEMENTS(policies); i++) {
        g_auto(Fixture) fixture;
        g_autoptr(GError) error = NULL;
        fixture_init(&fixture);
        fixture.options.when_full = policies[i];
        fixture.options.bytes_max = COST("a12");
        fixture_open(&fixture);
        fixture_put_all(&fixture, "a12");

        g_assert_false(fixture_put(&fixture, "a123", SPOKE_DURABILITY_SYNCED, &error));

        g_assert_error(error, SPOKE_ERROR, SPOKE_ERROR_TOO_LARGE);
        g_assert_cmpstr(error->message, ==,
                        "Message counts 132 bytes in the queue, over the limit of 131 (BytesMax)");
        g_assert_cmpuint(spoke_outbox_get_messages(fixture.outbox), ==, 1);
    }
}

static void
test_put_names_the_one_of_a_batch_that_can_never_fit(void)
{
    g_auto(Fixture) fixture;
    g_autoptr(GError) error = NULL;
    fixture_init(&fixture);
    fixture.options.bytes_max = COST("a12");
    fixture_open(&fixture);

    g_assert_false(put_batch(&fixture, "a1 a123 a1", SPOKE_DURABILITY_SYNCED, &error));

    g_assert_error(error, SPOKE_ERROR, SPOKE_ERROR_TOO_LARGE);
    g_assert_cmpstr(
        error->message, ==,
        "messages[1]: Message counts 132 bytes in the queue, over the limit of 131 (BytesMax)");
    g_assert_cmpuint(spoke_outbox_get_messages(fixture.outbox), ==, 0);
}

static void
test_put_calls_too_large_a_batch_that_can_never_fit(void)
{
    g_auto(Fixture) fixture;
    g_autoptr(GError) error = NULL;
    fixture_init(&fixture);
    fixture.options.bytes_max = 2 * COST("a1") + 1;
    fixture_open(&fixture);

    g_assert_false(put_batch(&fixture, "a1 a2 a3", SPOKE_DURABILITY_SYNCED, &error));

    g_assert_error(error, SPOKE_ERROR, SPOKE_ERROR_TOO_LARGE);
    g_assert_cmpstr(error->message, ==,
                    "Batch of 3 messages counts 390 bytes in the queue, over the limit of 261 "
                    "(BytesMax); send it in parts");
    g_assert_true(put_batch(&fixture, "a1 a2", SPOKE_DURABILITY_SYNCED, NULL));
}

static void
test_put_calls_too_large_a_volatile_batch_that_can_never_fit(void)
{
    g_auto(Fixture) fixture;
    g_autoptr(GError) error = NULL;
    g_autofree char *body = g_strnfill(SPOKE_OUTBOX_LIVE_BYTES_MAX / 2, 'a');
    g_autofree char *bodies = g_strjoin(" ", body, body, NULL);
    fixture_init(&fixture);
    fixture_open(&fixture);

    g_assert_false(put_batch(&fixture, bodies, SPOKE_DURABILITY_VOLATILE, &error));

    g_assert_error(error, SPOKE_ERROR, SPOKE_ERROR_TOO_LARGE);
    g_assert_nonnull(strstr(error->message, "over the limit of 2097152 for volatile ones"));
}

static void
test_take_keeps_order_and_lanes(void)
{
    g_auto(Fixture) fixture;
    fixture_init(&fixture);
    fixture_open(&fixture);
    fixture_put_all(&fixture, "a1 b1 A2 a3 B2");

    g_autofree char *names = fixture_send(&fixture, 5);

    g_assert_cmpstr(names, ==, "A2 B2 a1 b1 a3");
}

static void
test_take_says_ready_once(void)
{
    g_auto(Fixture) fixture;
    SpokeMessage *none[1];
    fixture_init(&fixture);
    fixture_open(&fixture);
    fixture_put_all(&fixture, "a1");
    fixture_put_all(&fixture, "a2 a3");
    g_assert_cmpuint(fixture.n_ready, ==, 1);

    g_autofree char *names = fixture_send(&fixture, 3);
    g_assert_cmpuint(spoke_outbox_take(fixture.outbox, none, 1), ==, 0);
    fixture_settle_down(&fixture);
    g_assert_cmpuint(fixture.n_ready, ==, 1);
    fixture_put_all(&fixture, "a4");
    fixture_settle_down(&fixture);

    g_assert_cmpuint(fixture.n_ready, ==, 2);
}

static void
test_settle_reports_and_empties(void)
{
    g_auto(Fixture) fixture;
    fixture_init(&fixture);
    fixture_open(&fixture);
    fixture_put_all(&fixture, "a1 a2");
    g_autoptr(GPtrArray) messages = fixture_take(&fixture, 2);
    g_assert_cmpuint(spoke_outbox_get_in_flight(fixture.outbox), ==, 2);

    spoke_outbox_settle(fixture.outbox, messages->pdata[1], SPOKE_OUTCOME_REJECTED, "No");
    spoke_outbox_settle(fixture.outbox, messages->pdata[0], SPOKE_OUTCOME_ACCEPTED, "");
    fixture_wait(&fixture, is_emptied);

    g_autofree char *expected =
        g_strdup_printf("%" G_GUINT64_FORMAT ":rejected %" G_GUINT64_FORMAT ":accepted ",
                        id_at(&fixture, 1), id_at(&fixture, 0));
    g_assert_cmpstr(fixture.settled->str, ==, expected);
    g_assert_cmpuint(spoke_outbox_get_in_flight(fixture.outbox), ==, 0);
    g_assert_cmpuint(spoke_outbox_get_messages(fixture.outbox), ==, 0);
    g_assert_cmpuint(spoke_outbox_get_bytes(fixture.outbox), ==, 0);
    g_assert_cmpuint(spoke_outbox_get_accepted(fixture.outbox), ==, 1);
    g_assert_cmpuint(fixture.n_empty, ==, 1);
}

static void
test_give_back_goes_first_in_old_order(void)
{
    g_auto(Fixture) fixture;
    fixture_init(&fixture);
    fixture_open(&fixture);
    fixture_put_all(&fixture, "a1 b1 a2 b2 a3");
    g_autoptr(GPtrArray) taken = fixture_take(&fixture, 4);
    spoke_outbox_settle(fixture.outbox, taken->pdata[1], SPOKE_OUTCOME_ACCEPTED, "");

    /* in two parts, the later one first */
    spoke_outbox_give_back(fixture.outbox, (SpokeMessage **)taken->pdata + 2, 2);
    spoke_outbox_give_back(fixture.outbox, (SpokeMessage **)taken->pdata, 1);
    fixture_put_all(&fixture, "a4 A5");

    g_autofree char *names = fixture_send(&fixture, 6);
    g_assert_cmpstr(names, ==, "A5 a1 a2 b2 a3 a4");
}

static void
test_give_back_twice_keeps_order(void)
{
    g_auto(Fixture) fixture;
    fixture_init(&fixture);
    fixture_open(&fixture);
    fixture_put_all(&fixture, "a1 a2 a3");
    g_autoptr(GPtrArray) all = fixture_take(&fixture, 3);
    spoke_outbox_give_back(fixture.outbox, (SpokeMessage **)all->pdata, 3);

    g_autoptr(GPtrArray) again = fixture_take(&fixture, 1);
    spoke_outbox_give_back(fixture.outbox, (SpokeMessage **)again->pdata, 1);

    g_autofree char *names = fixture_send(&fixture, 3);
    g_assert_cmpstr(names, ==, "a1 a2 a3");
}

static void
test_history_comes_back_in_order(void)
{
    g_auto(Fixture) fixture;
    fixture_init(&fixture);
    fixture_open(&fixture);
    fixture_put_many(&fixture, 'a', 0, 2999);

    g_autofree char *names = fixture_send(&fixture, 3000);

    g_auto(GStrv) each = g_strsplit(names, " ", -1);
    for (guint i = 0; i < 3000; i++) {
        g_autofree char *expected = g_strdup_printf("a%u", i);
        g_assert_cmpstr(each[i], ==, expected);
    }
    fixture_settle_down(&fixture);
    g_assert_cmpuint(spoke_outbox_get_messages(fixture.outbox), ==, 0);
}

static void
test_history_shares_line_with_other_flows(void)
{
    g_auto(Fixture) fixture;
    fixture_init(&fixture);
    fixture_open(&fixture);
    fixture_put_many(&fixture, 'a', 0, 2999);
    g_autofree char *before = fixture_send(&fixture, 600);
    g_autoptr(GPtrArray) in_flight = fixture_take(&fixture, 1);

    fixture_put_all(&fixture, "b0 b1 b2");

    g_autofree char *names = fixture_send(&fixture, 6);
    g_auto(GStrv) each = g_strsplit(names, " ", -1);
    guint n_fresh = 0;
    for (guint i = 0; each[i] != NULL; i++)
        n_fresh += each[i][0] == 'b' ? 1 : 0;
    g_assert_cmpuint(n_fresh, ==, 3); /* one for one */
    g_assert_nonnull(strstr(names, "b0"));
    spoke_outbox_give_back(fixture.outbox, (SpokeMessage **)in_flight->pdata, 1);
}

static void
test_history_is_not_overtaken_by_own_flow(void)
{
    g_auto(Fixture) fixture;
    fixture_init(&fixture);
    fixture_open(&fixture);
    fixture_put_many(&fixture, 'a', 0, 999);
    g_autofree char *before = fixture_send(&fixture, 400);

    fixture_put_many(&fixture, 'a', 1000, 1009);

    g_autofree char *names = fixture_send(&fixture, 610);
    g_assert_true(g_str_has_prefix(names, "a400 a401 a402"));
    g_assert_true(g_str_has_suffix(names, "a1007 a1008 a1009"));
}

static void
test_restart_keeps_everything(void)
{
    g_auto(Fixture) fixture;
    fixture_init(&fixture);
    fixture_open(&fixture);
    fixture_put_all(&fixture, "a1 B1 a2 c1");
    guint64 last_id = id_at(&fixture, 3);
    guint64 bytes = spoke_outbox_get_bytes(fixture.outbox);

    fixture_reopen(&fixture);

    g_assert_cmpuint(spoke_outbox_get_messages(fixture.outbox), ==, 4);
    g_assert_cmpuint(spoke_outbox_get_bytes(fixture.outbox), ==, bytes);
    g_autoptr(GPtrArray) messages = fixture_take(&fixture, 1);
    const SpokeMessage *first = messages->pdata[0];
    g_assert_cmpstr(first->app, ==, "test.service");
    g_assert_cmpstr(first->notify, ==, ":1.1");
    g_assert_cmpint(first->lane, ==, SPOKE_LANE_URGENT);
    g_assert_cmpuint(first->id, ==, id_at(&fixture, 1));
    fixture_accept(&fixture, messages);
    g_autofree char *names = fixture_send(&fixture, 3);
    g_assert_cmpstr(names, ==, "a1 a2 c1");
    fixture_put_all(&fixture, "a3");
    g_assert_cmpuint(id_at(&fixture, 4), >, last_id);
}

static void
test_restart_between_history_keeps_order(void)
{
    g_auto(Fixture) fixture;
    g_autoptr(GString) all = g_string_new(NULL);
    fixture_init(&fixture);
    fixture_open(&fixture);
    fixture_put_many(&fixture, 'a', 0, 1499);

    for (guint i = 0; i < 5; i++) {
        g_autofree char *names = fixture_send(&fixture, 300);
        g_string_append_printf(all, "%s ", names);
        if (i % 2 == 0)
            fixture_reopen(&fixture);
        else
            fixture_crash(&fixture);
    }

    /* After a crash some may come again, but each flow goes on where it was. */
    g_auto(GStrv) each = g_strsplit(g_strchomp(all->str), " ", -1);
    guint next = 0;
    for (guint i = 0; each[i] != NULL; i++) {
        guint number = (guint)g_ascii_strtoull(each[i] + 1, NULL, 10);
        g_assert_cmpuint(number, <=, next);
        next = MAX(next, number + 1);
    }
}

static void
test_restart_knows_which_flows_have_history(void)
{
    g_auto(Fixture) fixture;
    fixture_init(&fixture);
    fixture_open(&fixture);
    fixture_put_many(&fixture, 'a', 0, 999);
    fixture_reopen(&fixture);
    g_autoptr(GPtrArray) in_flight = fixture_take(&fixture, 1);

    fixture_put_all(&fixture, "a1000 b0");

    g_autofree char *names = fixture_send(&fixture, 2);
    g_assert_nonnull(strstr(names, "b0"));
    g_assert_null(strstr(names, "a1000"));
    spoke_outbox_give_back(fixture.outbox, (SpokeMessage **)in_flight->pdata, 1);
}

static void
test_restart_ids_never_repeat(void)
{
    g_auto(Fixture) fixture;
    fixture_init(&fixture);
    fixture_open(&fixture);
    guint64 last_id = 0;

    for (guint i = 0; i < 6; i++) {
        (void)fixture_put(&fixture, "v1", SPOKE_DURABILITY_VOLATILE, NULL);
        fixture_settle_down(&fixture);
        fixture_put_all(&fixture, "a1");
        for (guint j = 0; j < 2; j++)
            g_assert_cmpuint(id_at(&fixture, 2 * i + j), >, last_id);
        last_id = MAX(id_at(&fixture, 2 * i), id_at(&fixture, 2 * i + 1));
        g_autoptr(GPtrArray) messages = fixture_take(&fixture, 10);
        fixture_accept(&fixture, messages);
        fixture_settle_down(&fixture);
        if (i % 2 == 0)
            fixture_reopen(&fixture);
        else
            fixture_crash(&fixture);
    }
}

static void
test_flushed_is_written_within_window(void)
{
    g_auto(Fixture) fixture;
    fixture_init(&fixture);
    fixture_open(&fixture);

    (void)fixture_put(&fixture, "a1", SPOKE_DURABILITY_FLUSHED, NULL);
    fixture_run_for(3 * fixture.flush_window_usec);
    fixture_settle_down(&fixture);
    fixture_crash(&fixture);

    g_autofree char *names = fixture_send(&fixture, 1);
    g_assert_cmpstr(names, ==, "a1");
}

static void
test_flushed_follows_the_window(void)
{
    g_auto(Fixture) fixture;
    fixture_init(&fixture);
    gint64 window_usec = fixture.flush_window_usec;
    fixture.flush_window_usec = G_GINT64_CONSTANT(3600) * G_USEC_PER_SEC;
    fixture_open(&fixture);

    spoke_spool_set_flush_window(fixture.spool, window_usec);
    (void)fixture_put(&fixture, "a1", SPOKE_DURABILITY_FLUSHED, NULL);
    fixture_run_for(3 * window_usec);
    fixture_settle_down(&fixture);
    fixture_crash(&fixture);

    g_autofree char *names = fixture_send(&fixture, 1);
    g_assert_cmpstr(names, ==, "a1");
}

static void
test_flushed_that_is_sent_is_not_written(void)
{
    g_auto(Fixture) fixture;
    fixture_init(&fixture);
    fixture_open(&fixture);

    (void)fixture_put(&fixture, "a1", SPOKE_DURABILITY_FLUSHED, NULL);
    g_autofree char *names = fixture_send(&fixture, 1);
    fixture_settle_down(&fixture);
    fixture_reopen(&fixture);

    g_assert_cmpstr(names, ==, "a1");
    g_assert_cmpuint(spoke_outbox_get_messages(fixture.outbox), ==, 0);
}

static void
test_flushed_survives_close(void)
{
    g_auto(Fixture) fixture;
    fixture_init(&fixture);
    fixture.flush_window_usec = G_GINT64_CONSTANT(3600) * G_USEC_PER_SEC;
    fixture_open(&fixture);

    (void)fixture_put(&fixture, "a1", SPOKE_DURABILITY_FLUSHED, NULL);
    fixture_reopen(&fixture);

    g_autofree char *names = fixture_send(&fixture, 1);
    g_assert_cmpstr(names, ==, "a1");
}

static void
test_flushed_keeps_its_place_in_the_flow(void)
{
    g_auto(Fixture) fixture;
    fixture_init(&fixture);
    fixture_open(&fixture);

    (void)fixture_put(&fixture, "a1", SPOKE_DURABILITY_SYNCED, NULL);
    (void)fixture_put(&fixture, "a2", SPOKE_DURABILITY_FLUSHED, NULL);
    (void)fixture_put(&fixture, "a3", SPOKE_DURABILITY_VOLATILE, NULL);
    (void)fixture_put(&fixture, "a4", SPOKE_DURABILITY_SYNCED, NULL);

    g_autofree char *names = fixture_send(&fixture, 4);
    g_assert_cmpstr(names, ==, "a1 a2 a3 a4");
}

static void
test_flushed_settled_while_written_is_removed(void)
{
    g_auto(Fixture) fixture;
    fixture_init(&fixture);
    fixture.flush_window_usec = 0; /* due at once */
    fixture_open(&fixture);
    for (guint i = 0; i < 50; i++) {
        (void)fixture_put(&fixture, "a1", SPOKE_DURABILITY_FLUSHED, NULL);
        while (!g_main_context_iteration(NULL, FALSE))
            continue; /* answered; the write has gone to the writer */
        g_autofree char *names = fixture_send(&fixture, 1);
    }

    fixture_settle_down(&fixture);
    fixture_reopen(&fixture);

    g_assert_cmpuint(spoke_outbox_get_messages(fixture.outbox), ==, 0);
}

static void
test_volatile_is_memory_only(void)
{
    g_auto(Fixture) fixture;
    fixture_init(&fixture);
    fixture_open(&fixture);

    (void)fixture_put(&fixture, "a1", SPOKE_DURABILITY_VOLATILE, NULL);
    fixture_settle_down(&fixture);
    g_assert_cmpuint(spoke_outbox_get_messages(fixture.outbox), ==, 1);
    fixture_reopen(&fixture);

    g_assert_cmpuint(spoke_outbox_get_messages(fixture.outbox), ==, 0);
}

/* Waiting ones and one that came back; what is on disk stays. */
static void
test_volatile_is_dropped_when_lost(void)
{
    g_auto(Fixture) fixture;
    fixture_init(&fixture);
    fixture_open(&fixture);
    fixture_put_all(&fixture, "a1");
    (void)fixture_put(&fixture, "B1", SPOKE_DURABILITY_VOLATILE, NULL);
    (void)fixture_put(&fixture, "c1", SPOKE_DURABILITY_VOLATILE, NULL);
    fixture_settle_down(&fixture);
    g_autoptr(GPtrArray) taken = fixture_take(&fixture, 1);
    spoke_outbox_give_back(fixture.outbox, (SpokeMessage **)taken->pdata, 1);

    spoke_outbox_lose_volatile(fixture.outbox);

    g_assert_cmpuint(fixture.n_settled, ==, 2);
    g_assert_cmpuint(spoke_outbox_get_messages(fixture.outbox), ==, 1);
    g_autofree char *names = fixture_send(&fixture, 1);
    g_assert_cmpstr(names, ==, "a1");
}

static void
test_volatile_is_refused_over_live_limit(void)
{
    g_auto(Fixture) fixture;
    g_autoptr(GError) error = NULL;
    fixture_init(&fixture);
    fixture_open(&fixture);

    for (guint i = 0; i < SPOKE_OUTBOX_LIVE_MAX; i++)
        g_assert_true(fixture_put(&fixture, "a1", SPOKE_DURABILITY_VOLATILE, NULL));
    g_assert_false(fixture_put(&fixture, "a1", SPOKE_DURABILITY_VOLATILE, &error));

    g_assert_error(error, SPOKE_ERROR, SPOKE_ERROR_QUEUE_FULL);
    fixture_put_all(&fixture, "a2"); /* synced ones still fit, on disk */
}

static SpokeMessage *
message_with_ttl(const char *body, gint64 ttl_usec)
{
    SpokeMessage *message = fixture_message(body, SPOKE_DURABILITY_SYNCED);

    message->ttl_usec = ttl_usec;
    return message;
}

static void
put_with_ttl(Fixture *fixture, const char *body, gint64 ttl_usec)
{
    g_autoptr(SpokeMessage) message = message_with_ttl(body, ttl_usec);

    g_assert_true(spoke_outbox_put(fixture->outbox, &message, 1, NULL, NULL, NULL));
    fixture_settle_down(fixture);
}

static void
test_ttl_expires_in_memory_and_on_disk(void)
{
    g_auto(Fixture) fixture;
    fixture_init(&fixture);
    fixture_open(&fixture);
    put_with_ttl(&fixture, "a1", 10 * G_USEC_PER_SEC);
    put_with_ttl(&fixture, "a2", 30 * G_USEC_PER_SEC);
    put_with_ttl(&fixture, "a3", 0);

    fixture.boottime_usec += 20 * G_USEC_PER_SEC;
    g_autoptr(GPtrArray) alive = fixture_take(&fixture, 10);
    g_autofree char *in_memory = fixture_names(alive);
    spoke_outbox_give_back(fixture.outbox, (SpokeMessage **)alive->pdata, alive->len);
    fixture_reopen(&fixture);
    fixture.boottime_usec += 20 * G_USEC_PER_SEC;
    g_autofree char *on_disk = fixture_send(&fixture, 1);

    g_assert_cmpstr(in_memory, ==, "a2 a3");
    g_assert_cmpstr(on_disk, ==, "a3");
    g_assert_nonnull(strstr(fixture.settled->str, ":expired"));
}

static void
test_ttl_does_not_mind_the_wall_clock(void)
{
    g_auto(Fixture) fixture;
    fixture_init(&fixture);
    fixture_open(&fixture);
    put_with_ttl(&fixture, "a1", 10 * G_USEC_PER_SEC);

    fixture.wall_usec += G_GINT64_CONSTANT(86400) * G_USEC_PER_SEC;
    fixture_reopen(&fixture); /* same boot */
    g_autoptr(GPtrArray) alive = fixture_take(&fixture, 1);
    g_autofree char *names = fixture_names(alive);
    spoke_outbox_give_back(fixture.outbox, (SpokeMessage **)alive->pdata, 1);
    fixture.wall_usec -= G_GINT64_CONSTANT(7 * 86400) * G_USEC_PER_SEC;
    fixture.boottime_usec += 11 * G_USEC_PER_SEC;
    SpokeMessage *none[1];

    g_assert_cmpstr(names, ==, "a1");
    g_assert_cmpuint(spoke_outbox_take(fixture.outbox, none, 1), ==, 0);
    g_assert_cmpuint(spoke_outbox_get_messages(fixture.outbox), ==, 0);
}

static void
test_ttl_default_applies(void)
{
    g_auto(Fixture) fixture;
    SpokeMessage *none[1];
    fixture_init(&fixture);
    fixture.options.default_ttl_usec = 5 * G_USEC_PER_SEC;
    fixture_open(&fixture);
    fixture_put_all(&fixture, "a1");

    fixture.boottime_usec += 6 * G_USEC_PER_SEC;

    g_assert_cmpuint(spoke_outbox_take(fixture.outbox, none, 1), ==, 0);
}

static void
test_ttl_makes_room_in_a_full_queue(void)
{
    g_auto(Fixture) fixture;
    fixture_init(&fixture);
    fixture.options.bytes_max = 2 * COST("a1");
    fixture_open(&fixture);
    put_with_ttl(&fixture, "a1", 10 * G_USEC_PER_SEC);
    put_with_ttl(&fixture, "a2", 10 * G_USEC_PER_SEC);

    fixture.boottime_usec += 11 * G_USEC_PER_SEC;

    fixture_put_all(&fixture, "a3");
    g_assert_cmpuint(spoke_outbox_get_messages(fixture.outbox), ==, 1);
}

static gboolean
is_within_limit(Fixture *fixture)
{
    return spoke_outbox_get_bytes(fixture->outbox) <= fixture->options.bytes_max;
}

static void
test_drop_oldest_keeps_the_newest(void)
{
    g_auto(Fixture) fixture;
    fixture_init(&fixture);
    fixture.options.when_full = SPOKE_WHEN_FULL_DROP_OLDEST;
    fixture.options.bytes_max = 400 * COST("a1000");
    fixture_open(&fixture);

    fixture_put_all(&fixture, "A1");
    fixture_put_many(&fixture, 'a', 1000, 2999);
    fixture_wait(&fixture, is_within_limit);
    fixture_settle_down(&fixture);

    guint64 n = spoke_outbox_get_messages(fixture.outbox);
    g_assert_cmpuint(n, <=, 401);
    g_assert_cmpuint(n, >=, 380); /* dropped in batches */
    g_autofree char *names = fixture_send(&fixture, (guint)n);
    g_assert_true(g_str_has_prefix(names, "A1 a2"));
    g_assert_true(g_str_has_suffix(names, "a2998 a2999"));
    g_assert_nonnull(strstr(fixture.settled->str, ":dropped"));
    fixture_settle_down(&fixture);
    fixture_reopen(&fixture);
    g_assert_cmpuint(spoke_outbox_get_messages(fixture.outbox), ==, 0);
}

static void
test_drop_oldest_spares_what_is_in_flight(void)
{
    g_auto(Fixture) fixture;
    fixture_init(&fixture);
    fixture.options.when_full = SPOKE_WHEN_FULL_DROP_OLDEST;
    fixture.options.bytes_max = 100 * COST("a100");
    fixture_open(&fixture);
    fixture_put_many(&fixture, 'a', 100, 199);
    g_autoptr(GPtrArray) in_flight = fixture_take(&fixture, 10);

    fixture_put_many(&fixture, 'a', 200, 399);
    fixture_wait(&fixture, is_within_limit);

    spoke_outbox_give_back(fixture.outbox, (SpokeMessage **)in_flight->pdata, in_flight->len);
    guint64 n = spoke_outbox_get_messages(fixture.outbox);
    g_autofree char *names = fixture_send(&fixture, (guint)n);
    g_assert_true(g_str_has_prefix(names, "a100 a101 a102 a103 a104 a105 a106 a107 a108 a109 a3"));
}

static void
test_drop_oldest_refuses_what_can_never_fit(void)
{
    g_auto(Fixture) fixture;
    g_autoptr(GError) error = NULL;
    fixture_init(&fixture);
    fixture.options.when_full = SPOKE_WHEN_FULL_DROP_OLDEST;
    fixture.options.bytes_max = 2 * COST("A1");
    fixture_open(&fixture);
    fixture_put_all(&fixture, "A1 A2"); /* urgent ones are not dropped */

    g_assert_false(fixture_put(&fixture, "a1", SPOKE_DURABILITY_SYNCED, &error));

    g_assert_error(error, SPOKE_ERROR, SPOKE_ERROR_QUEUE_FULL);
}

static void
test_free_cancels_pending(void)
{
    g_auto(Fixture) fixture;
    fixture_init(&fixture);
    fixture_open(&fixture);
    g_assert_true(fixture_put(&fixture, "a1", SPOKE_DURABILITY_SYNCED, NULL));

    g_clear_pointer(&fixture.outbox, spoke_outbox_free);

    g_assert_cmpuint(fixture.n_answers, ==, 1);
    g_assert_cmpint(fixture.refusal, ==, SPOKE_ERROR_CANCELLED);
    fixture_settle_down(&fixture);
    g_assert_cmpuint(fixture.n_answers, ==, 1);
}

static void
test_idle_needs_no_timer(void)
{
    g_auto(Fixture) fixture;
    gint priority = 0;
    gint timeout = 0;
    GPollFD fds[8];
    fixture_init(&fixture);
    fixture_open(&fixture);
    fixture_put_all(&fixture, "a1 a2");
    g_autofree char *names = fixture_send(&fixture, 2);
    fixture_run_for(300 * 1000); /* the removal is committed meanwhile */

    GMainContext *context = g_main_context_default();
    g_assert_true(g_main_context_acquire(context));
    gboolean is_ready = g_main_context_prepare(context, &priority);
    (void)g_main_context_query(context, priority, &timeout, fds, G_N_ELEMENTS(fds));
    g_main_context_release(context);

    g_assert_false(is_ready);
    g_assert_cmpint(timeout, ==, -1);
    fixture_reopen(&fixture);
    g_assert_cmpuint(spoke_outbox_get_messages(fixture.outbox), ==, 0);
}

#define N_CROWD     40
#define CROWD_COUNT 32
#define CROWD_BYTES (16 * 1024)
#define CROWD_PAGE                                                                                 \
    (2 * CROWD_BYTES) /* of each, where memory is scarce: with the row that passes it */

typedef struct {
    SpokeOutbox *outbox; /* owned */
    guint n_taken;
} One;

static guint n_crowd_settled;

static void
on_crowd_ready(gpointer user_data)
{
}

static void
on_crowd_settled(guint64 id, const char *notify, SpokeOutcome outcome, const char *detail,
                 gpointer user_data)
{
    n_crowd_settled++;
}

static void
open_one(Fixture *fixture, One *one, guint number)
{
    const SpokeOutboxEvents events = {on_crowd_ready, on_crowd_settled, on_crowd_ready};
    g_autofree char *name = g_strdup_printf("crowd-%u", number);
    g_autoptr(GError) error = NULL;

    one->outbox = spoke_outbox_open(fixture->spool, name, &fixture->options, &events, one, &error);
    g_assert_no_error(error);
}

/* Each begins with its number. */
static void
fill_one(One *one)
{
    g_autofree char *body = g_malloc0(CROWD_BYTES);

    for (guint i = 0; i < CROWD_COUNT; i++) {
        g_snprintf(body, CROWD_BYTES, "%u", i);
        g_autoptr(SpokeMessage) message = spoke_message_new(NULL, 0, NULL, 0, body, CROWD_BYTES);
        g_autoptr(GError) error = NULL;
        (void)spoke_outbox_put(one->outbox, &message, 1, NULL, NULL, &error);
        g_assert_no_error(error);
    }
}

static void
take_from(One *one)
{
    SpokeMessage *message = NULL;

    while (spoke_outbox_take(one->outbox, &message, 1) > 0) {
        g_autofree char *number = g_strdup_printf("%u", one->n_taken++);
        g_assert_cmpstr(spoke_message_body(message), ==, number);
        spoke_outbox_settle(one->outbox, message, SPOKE_OUTCOME_ACCEPTED, NULL);
    }
}

static gboolean
is_crowd_sent(Fixture *fixture)
{
    for (guint i = 0; i < N_CROWD; i++)
        take_from(&((One *)fixture->user_data)[i]);
    return n_crowd_settled == N_CROWD * CROWD_COUNT;
}

/* Twenty megabytes in forty outboxes, none of which holds more than it may. */
static void
test_memory_is_shared_by_all(void)
{
    g_auto(Fixture) fixture;
    One crowd[N_CROWD] = {0};
    fixture_init(&fixture);
    fixture_open(&fixture);
    const gsize *ready_bytes = spoke_spool_get_ready_bytes(fixture.spool);
    n_crowd_settled = 0;
    for (guint i = 0; i < N_CROWD; i++) {
        open_one(&fixture, &crowd[i], i);
        fill_one(&crowd[i]);
        fixture_settle_down(&fixture);
    }

    g_assert_cmpuint(*ready_bytes, >, SPOKE_SPOOL_READY_BYTES_MAX / 2);
    g_assert_cmpuint(*ready_bytes, <=, SPOKE_SPOOL_READY_BYTES_MAX + N_CROWD * CROWD_PAGE);
    fixture.user_data = crowd;
    fixture_wait(&fixture, is_crowd_sent);
    fixture_settle_down(&fixture);
    g_assert_cmpuint(*ready_bytes, ==, 0);
    for (guint i = 0; i < N_CROWD; i++)
        spoke_outbox_free(crowd[i].outbox);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/outbox/put/answers-with-rising-ids", test_put_answers_with_rising_ids);
    g_test_add_func("/outbox/put/answers-after-it-returned", test_put_answers_after_it_returned);
    g_test_add_func("/outbox/put/batch-is-all-or-none", test_put_batch_is_all_or_none);
    g_test_add_func("/outbox/put/refuses-over-limit", test_put_refuses_over_limit);
    g_test_add_func("/outbox/put/calls-too-large-what-can-never-fit",
                    test_put_calls_too_large_what_can_never_fit);
    g_test_add_func("/outbox/put/names-the-one-of-a-batch-that-can-never-fit",
                    test_put_names_the_one_of_a_batch_that_can_never_fit);
    g_test_add_func("/outbox/put/calls-too-large-a-batch-that-can-never-fit",
                    test_put_calls_too_large_a_batch_that_can_never_fit);
    g_test_add_func("/outbox/put/calls-too-large-a-volatile-batch-that-can-never-fit",
                    test_put_calls_too_large_a_volatile_batch_that_can_never_fit);
    g_test_add_func("/outbox/take/keeps-order-and-lanes", test_take_keeps_order_and_lanes);
    g_test_add_func("/outbox/take/says-ready-once", test_take_says_ready_once);
    g_test_add_func("/outbox/settle/reports-and-empties", test_settle_reports_and_empties);
    g_test_add_func("/outbox/give-back/goes-first-in-old-order",
                    test_give_back_goes_first_in_old_order);
    g_test_add_func("/outbox/give-back/twice-keeps-order", test_give_back_twice_keeps_order);
    g_test_add_func("/outbox/history/comes-back-in-order", test_history_comes_back_in_order);
    g_test_add_func("/outbox/history/shares-line-with-other-flows",
                    test_history_shares_line_with_other_flows);
    g_test_add_func("/outbox/history/is-not-overtaken-by-own-flow",
                    test_history_is_not_overtaken_by_own_flow);
    g_test_add_func("/outbox/restart/keeps-everything", test_restart_keeps_everything);
    g_test_add_func("/outbox/restart/between-history-keeps-order",
                    test_restart_between_history_keeps_order);
    g_test_add_func("/outbox/restart/knows-which-flows-have-history",
                    test_restart_knows_which_flows_have_history);
    g_test_add_func("/outbox/restart/ids-never-repeat", test_restart_ids_never_repeat);
    g_test_add_func("/outbox/flushed/follows-the-window", test_flushed_follows_the_window);
    g_test_add_func("/outbox/flushed/is-written-within-window",
                    test_flushed_is_written_within_window);
    g_test_add_func("/outbox/flushed/that-is-sent-is-not-written",
                    test_flushed_that_is_sent_is_not_written);
    g_test_add_func("/outbox/flushed/survives-close", test_flushed_survives_close);
    g_test_add_func("/outbox/flushed/keeps-its-place-in-the-flow",
                    test_flushed_keeps_its_place_in_the_flow);
    g_test_add_func("/outbox/flushed/settled-while-written-is-removed",
                    test_flushed_settled_while_written_is_removed);
    g_test_add_func("/outbox/volatile/is-memory-only", test_volatile_is_memory_only);
    g_test_add_func("/outbox/volatile/is-dropped-when-lost", test_volatile_is_dropped_when_lost);
    g_test_add_func("/outbox/volatile/is-refused-over-live-limit",
                    test_volatile_is_refused_over_live_limit);
    g_test_add_func("/outbox/ttl/expires-in-memory-and-on-disk",
                    test_ttl_expires_in_memory_and_on_disk);
    g_test_add_func("/outbox/ttl/does-not-mind-the-wall-clock",
                    test_ttl_does_not_mind_the_wall_clock);
    g_test_add_func("/outbox/ttl/default-applies", test_ttl_default_applies);
    g_test_add_func("/outbox/ttl/makes-room-in-a-full-queue", test_ttl_makes_room_in_a_full_queue);
    g_test_add_func("/outbox/drop-oldest/keeps-the-newest", test_drop_oldest_keeps_the_newest);
    g_test_add_func("/outbox/drop-oldest/spares-what-is-in-flight",
                    test_drop_oldest_spares_what_is_in_flight);
    g_test_add_func("/outbox/drop-oldest/refuses-what-can-never-fit",
                    test_drop_oldest_refuses_what_can_never_fit);
    g_test_add_func("/outbox/free/cancels-pending", test_free_cancels_pending);
    g_test_add_func("/outbox/idle/needs-no-timer", test_idle_needs_no_timer);
    g_test_add_func("/outbox/memory/is-shared-by-all", test_memory_is_shared_by_all);
    return g_test_run();
}
