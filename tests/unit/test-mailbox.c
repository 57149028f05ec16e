/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/mailbox.h"

/* Letters from several threads, each thread's in its order. */

#define N_THREADS 3
#define N_LETTERS 20000

typedef struct {
    guint thread;
    guint number;
} Letter;

typedef struct {
    SpokeMailbox *mailbox;
    guint received[N_THREADS];
    guint n_received;
    guint n_deliveries;
    GMainLoop *loop; /* owned */
} Fixture;

typedef struct {
    SpokeMailbox *mailbox;
    guint number;
} Sender;

static void
deliver(gpointer *letters, guint n, gpointer user_data)
{
    Fixture *fixture = user_data;

    g_assert_cmpuint(n, >, 0);
    for (guint i = 0; i < n; i++) {
        g_autofree Letter *letter = letters[i];
        g_assert_cmpuint(letter->number, ==, fixture->received[letter->thread]);
        fixture->received[letter->thread]++;
    }
    fixture->n_received += n;
    fixture->n_deliveries++;
    if (fixture->n_received == N_THREADS * N_LETTERS)
        g_main_loop_quit(fixture->loop);
}

static gpointer
send_letters(gpointer data)
{
    Sender *sender = data;

    for (guint i = 0; i < N_LETTERS; i++) {
        Letter *letter = g_new(Letter, 1);
        *letter = (Letter){sender->number, i};
        spoke_mailbox_drop(sender->mailbox, letter);
    }
    return NULL;
}

static void
test_deliver_from_threads(void)
{
    Fixture fixture = {.loop = g_main_loop_new(NULL, FALSE)};
    GThread *threads[N_THREADS];
    Sender senders[N_THREADS];
    fixture.mailbox = spoke_mailbox_new(NULL, deliver, &fixture, g_free);

    for (guint i = 0; i < N_THREADS; i++) {
        senders[i] = (Sender){fixture.mailbox, i};
        threads[i] = g_thread_new("sender", send_letters, &senders[i]);
    }
    g_main_loop_run(fixture.loop);
    for (guint i = 0; i < N_THREADS; i++)
        g_thread_join(threads[i]);

    g_assert_cmpuint(fixture.n_received, ==, N_THREADS * N_LETTERS);
    spoke_mailbox_free(fixture.mailbox);
    g_main_loop_unref(fixture.loop);
}

static void
test_deliver_gathers(void)
{
    Fixture fixture = {0};
    fixture.mailbox = spoke_mailbox_new(NULL, deliver, &fixture, g_free);

    for (guint i = 0; i < 100; i++) {
        Letter *letter = g_new(Letter, 1);
        *letter = (Letter){0, i};
        spoke_mailbox_drop(fixture.mailbox, letter);
    }
    while (fixture.n_received < 100)
        g_main_context_iteration(NULL, TRUE);

    g_assert_cmpuint(fixture.n_deliveries, ==, 1);
    g_assert_false(g_main_context_pending(NULL));
    spoke_mailbox_free(fixture.mailbox);
}

static void
test_free_frees_undelivered(void)
{
    Fixture fixture = {0};
    fixture.mailbox = spoke_mailbox_new(NULL, deliver, &fixture, g_free);

    spoke_mailbox_drop(fixture.mailbox, g_new0(Letter, 1));
    spoke_mailbox_free(fixture.mailbox);

    g_assert_false(g_main_context_iteration(NULL, FALSE));
    g_assert_cmpuint(fixture.n_received, ==, 0);
    spoke_mailbox_free(NULL);
}

static void
free_mailbox(gpointer *letters, guint n, gpointer user_data)
{
    SpokeMailbox **mailbox = user_data;

    for (guint i = 0; i < n; i++)
        g_free(letters[i]);
    g_clear_pointer(mailbox, spoke_mailbox_free);
}

static void
test_free_from_delivery(void)
{
    SpokeMailbox *mailbox = NULL;
    mailbox = spoke_mailbox_new(NULL, free_mailbox, &mailbox, g_free);

    spoke_mailbox_drop(mailbox, g_new0(Letter, 1));
    while (mailbox != NULL)
        g_main_context_iteration(NULL, TRUE);

    g_assert_false(g_main_context_iteration(NULL, FALSE));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/mailbox/deliver/from-threads", test_deliver_from_threads);
    g_test_add_func("/mailbox/deliver/gathers", test_deliver_gathers);
    g_test_add_func("/mailbox/free/frees-undelivered", test_free_frees_undelivered);
    g_test_add_func("/mailbox/free/from-delivery", test_free_from_delivery);
    return g_test_run();
}
