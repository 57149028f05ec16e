/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clients/spokectl/client-source.h"

#include "bus-fixture.h"

#include <errno.h>

/* A client of libspoke on the main loop: it sleeps while nothing happens, and keeps deadlines. */
typedef struct {
    BusFixture bus;
    sd_bus_slot *slot;   /* owned; the service hears calls and answers none */
    SpokeClient *client; /* owned */
    guint source;
    int error; /* of a call; 1 before it is answered */
} Fixture;

static guint polls;

static gint
count_poll(GPollFD *fds, guint n, gint timeout_msec)
{
    polls++;
    return g_poll(fds, n, timeout_msec);
}

static int
swallow(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
    return sd_bus_message_is_method_call(m, SPOKE_BUS_NAME ".Device", NULL);
}

static void
on_lost(gpointer user_data)
{
    g_assert_not_reached();
}

static void
on_flushed(SpokeClient *client, uint64_t remaining, const SpokeFailure *failure, void *user_data)
{
    ((Fixture *)user_data)->error = failure != NULL ? failure->error : 0;
}

static void
on_sent(SpokeClient *client, const uint64_t *ids, size_t n, const SpokeFailure *failure,
        void *user_data)
{
    ((Fixture *)user_data)->error = failure != NULL ? failure->error : 0;
}

static gboolean
set_flag(gpointer user_data)
{
    *(gboolean *)user_data = TRUE;
    return G_SOURCE_REMOVE;
}

static guint
count_polls_for(guint msec)
{
    gboolean over = FALSE;

    g_main_context_set_poll_func(NULL, count_poll);
    polls = 0;
    g_timeout_add(msec, set_flag, &over);
    while (!over)
        g_main_context_iteration(NULL, TRUE);
    g_main_context_set_poll_func(NULL, NULL);
    return polls;
}

static void
set_up(Fixture *fixture, gconstpointer data)
{
    fixture->error = 1;
    bus_fixture_set_up(&fixture->bus);
    g_assert_cmpint(sd_bus_add_filter(fixture->bus.service, &fixture->slot, swallow, NULL), >=, 0);
    g_setenv("DBUS_SYSTEM_BUS_ADDRESS", g_test_dbus_get_bus_address(fixture->bus.daemon), TRUE);
    g_assert_cmpint(spoke_client_open(NULL, &fixture->client), >=, 0);
    fixture->source = spoke_client_source_attach(fixture->client, on_lost, fixture);
}

static void
tear_down(Fixture *fixture, gconstpointer data)
{
    g_source_remove(fixture->source);
    spoke_client_free(fixture->client);
    sd_bus_slot_unref(fixture->slot);
    bus_fixture_tear_down(&fixture->bus);
}

static void
test_waiting_for_an_answer_sleeps(Fixture *fixture, gconstpointer data)
{
    g_assert_cmpint(spoke_client_flush(fixture->client, 600000, on_flushed, fixture), >=, 0);
    (void)count_polls_for(100);

    guint woken = count_polls_for(300);

    g_assert_cmpuint(woken, <=, 2);
    g_assert_cmpint(fixture->error, ==, 1);
}

static void
test_deadline_is_kept(Fixture *fixture, gconstpointer data)
{
    const SpokeOutgoing message = {SPOKE_OUTGOING_INIT, .body = "x", .body_size = 1};

    gint64 begin_usec = g_get_monotonic_time();
    g_assert_cmpint(spoke_client_send(fixture->client, &message, on_sent, NULL, fixture), >=, 0);
    while (fixture->error == 1)
        g_main_context_iteration(NULL, TRUE);

    g_assert_cmpint(fixture->error, ==, -ECONNRESET);
    g_assert_cmpint(g_get_monotonic_time() - begin_usec, >=, 500000);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_setenv("SYSTEMD_BUS_TIMEOUT", "500ms", TRUE);

    g_test_add("/client-source/waiting-for-an-answer-sleeps", Fixture, NULL, set_up,
               test_waiting_for_an_answer_sleeps, tear_down);
    g_test_add("/client-source/deadline-is-kept", Fixture, NULL, set_up, test_deadline_is_kept,
               tear_down);

    return g_test_run();
}
