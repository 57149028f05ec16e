/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dbus/bus-source.h"

#include "bus-fixture.h"

#include <errno.h>

/* sd-bus on the main loop: it sleeps while nothing happens, keeps deadlines, hears of the end. */
static guint polls;

static gint
count_poll(GPollFD *fds, guint n, gint timeout_msec)
{
    polls++;
    return g_poll(fds, n, timeout_msec);
}

static int
on_answer(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
    sd_bus_message **answer = userdata;

    *answer = sd_bus_message_ref(m);
    return 1;
}

static int
swallow(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
    return sd_bus_message_is_method_call(m, "test.Silent", NULL);
}

static gboolean
set_flag(gpointer user_data)
{
    *(gboolean *)user_data = TRUE;
    return G_SOURCE_REMOVE;
}

static void
call_async(sd_bus *client, const char *member, uint64_t timeout_usec, sd_bus_message **answer)
{
    g_autoptr(sd_bus_message) m = NULL;

    g_assert_cmpint(
        sd_bus_message_new_method_call(client, &m, SPOKE_BUS_NAME, "/", "test.Silent", member), >=,
        0);
    g_assert_cmpint(sd_bus_call_async(client, NULL, m, on_answer, answer, timeout_usec), >=, 0);
}

static void
test_idle_source_sleeps(BusFixture *fixture, gconstpointer data)
{
    g_autoptr(sd_bus_message) answer = NULL;
    sd_bus *client = bus_fixture_connect(fixture);
    gboolean over = FALSE;

    g_assert_cmpint(sd_bus_call_method_async(client, NULL, SPOKE_BUS_NAME, "/",
                                             "org.freedesktop.DBus.Peer", "Ping", on_answer,
                                             &answer, NULL),
                    >=, 0);
    bus_fixture_wait_for(answer);
    while (g_main_context_iteration(NULL, FALSE))
        ;

    g_main_context_set_poll_func(NULL, count_poll);
    polls = 0;
    g_timeout_add(300, set_flag, &over);
    while (!over)
        g_main_context_iteration(NULL, TRUE);
    g_main_context_set_poll_func(NULL, NULL);

    g_assert_cmpuint(polls, <=, 2);
}

static void
test_waiting_for_an_answer_sleeps(BusFixture *fixture, gconstpointer data)
{
    g_autoptr(sd_bus_slot) slot = NULL;
    g_autoptr(sd_bus_message) answer = NULL;
    gboolean over = FALSE;

    g_assert_cmpint(sd_bus_add_filter(fixture->service, &slot, swallow, NULL), >=, 0);
    call_async(bus_fixture_connect(fixture), "Wait", 5000000, &answer);
    g_main_context_set_poll_func(NULL, count_poll);
    polls = 0;
    g_timeout_add(300, set_flag, &over);
    while (!over)
        g_main_context_iteration(NULL, TRUE);
    g_main_context_set_poll_func(NULL, NULL);

    g_assert_cmpuint(polls, <=, 10);
    g_assert_null(answer);
    slot = sd_bus_slot_unref(slot);
}

static void
test_deadline_is_kept(BusFixture *fixture, gconstpointer data)
{
    g_autoptr(sd_bus_slot) slot = NULL;
    g_autoptr(sd_bus_message) answer = NULL;

    g_assert_cmpint(sd_bus_add_filter(fixture->service, &slot, swallow, NULL), >=, 0);
    gint64 begin_usec = g_get_monotonic_time();
    call_async(bus_fixture_connect(fixture), "Wait", 100000, &answer);
    while (!answer)
        g_main_context_iteration(NULL, TRUE);

    g_assert_cmpint(sd_bus_message_get_errno(answer), ==, ETIMEDOUT);
    g_assert_cmpint(g_get_monotonic_time() - begin_usec, >=, 100000);
    slot = sd_bus_slot_unref(slot);
}

typedef struct {
    guint served;
    guint served_before; /* when the other source last had its turn */
    guint most;          /* between two turns of it */
} Turns;

static int
serve_slowly(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
    Turns *turns = userdata;

    if (!sd_bus_message_is_method_call(m, "test.Silent", NULL))
        return 0;
    g_usleep(2000); /* as reading a batch of a thousand messages would take */
    turns->served++;
    return 1;
}

static gboolean
take_turn(gpointer user_data)
{
    Turns *turns = user_data;

    turns->most = MAX(turns->most, turns->served - turns->served_before);
    turns->served_before = turns->served;
    return G_SOURCE_CONTINUE;
}

static void
test_burst_of_long_calls_leaves_others_their_turn(BusFixture *fixture, gconstpointer data)
{
    g_autoptr(sd_bus_slot) slot = NULL;
    sd_bus *client = bus_fixture_connect(fixture);
    Turns turns = {0};

    g_assert_cmpint(sd_bus_add_filter(fixture->service, &slot, serve_slowly, &turns), >=, 0);
    for (guint i = 0; i < 20; i++) {
        g_autoptr(sd_bus_message) m = NULL;
        g_assert_cmpint(
            sd_bus_message_new_method_call(client, &m, SPOKE_BUS_NAME, "/", "test.Silent", "Take"),
            >=, 0);
        g_assert_cmpint(sd_bus_send(client, m, NULL), >=, 0);
    }
    guint id = g_idle_add_full(G_PRIORITY_DEFAULT, take_turn, &turns, NULL);
    bus_fixture_wait_for(turns.served == 20);
    g_source_remove(id);

    g_assert_cmpuint(turns.most, <=, 1);
    slot = sd_bus_slot_unref(slot);
}

static void
on_closed(int bus_errno, gpointer user_data)
{
    guint *closed = user_data;

    g_assert_cmpint(bus_errno, >, 0);
    ++*closed;
}

static void
test_end_is_told_once(BusFixture *fixture, gconstpointer data)
{
    guint closed = 0;
    g_autoptr(sd_bus) bus = NULL;

    g_assert_cmpint(sd_bus_new(&bus), >=, 0);
    g_assert_cmpint(sd_bus_set_address(bus, g_test_dbus_get_bus_address(fixture->daemon)), >=, 0);
    g_assert_cmpint(sd_bus_set_bus_client(bus, 1), >=, 0);
    g_assert_cmpint(sd_bus_start(bus), >=, 0);
    GSource *source = spoke_bus_source_new(bus, on_closed, &closed);
    g_source_attach(source, NULL);
    bus_fixture_wait_for(sd_bus_is_ready(bus) > 0);

    g_test_dbus_stop(fixture->daemon);
    bus_fixture_wait_for(closed > 0);
    for (guint i = 0; i < 20; i++)
        g_main_context_iteration(NULL, FALSE);

    g_assert_cmpuint(closed, ==, 1);
    g_assert_true(g_source_is_destroyed(source));
    g_source_unref(source);
}

static void
set_up(BusFixture *fixture, gconstpointer data)
{
    bus_fixture_set_up(fixture);
}

static void
tear_down(BusFixture *fixture, gconstpointer data)
{
    bus_fixture_tear_down(fixture);
}

#define ADD(path, test) g_test_add(path, BusFixture, NULL, set_up, test, tear_down)

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("/bus-source/sleep/idle", test_idle_source_sleeps);
    ADD("/bus-source/sleep/waiting-for-an-answer", test_waiting_for_an_answer_sleeps);
    ADD("/bus-source/deadline/is-kept", test_deadline_is_kept);
    ADD("/bus-source/burst/of-long-calls-leaves-others-their-turn",
        test_burst_of_long_calls_leaves_others_their_turn);
    ADD("/bus-source/end/is-told-once", test_end_is_told_once);
    return g_test_run();
}
