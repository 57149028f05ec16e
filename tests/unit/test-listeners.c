/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bus-fixture.h"
#include "dbus/listeners.h"

/* Listeners on a private bus. What is noted as sent need not be: what counts is when a program
 * answers. */

static const SpokeListenerLimits limits = {.slow_bytes = 256 * 1024, .slow_bytes_all = 512 * 1024};

typedef struct {
    BusFixture bus;
    SpokeListeners *listeners;
    GString *changes; /* '+': slow, '-': not any more */
    sd_bus *asleep;   /* reads only when told to */
    guint asked;      /* pings that the client has seen */
} Fixture;

static void
on_changed(const char *name, gboolean is_slow, gpointer user_data)
{
    Fixture *fixture = user_data;

    g_string_append_c(fixture->changes, is_slow ? '+' : '-');
}

static sd_bus *
open_asleep(Fixture *fixture)
{
    g_autoptr(sd_bus) bus = NULL;
    const char *name = NULL;

    g_assert_cmpint(sd_bus_new(&bus), >=, 0);
    g_assert_cmpint(sd_bus_set_address(bus, g_test_dbus_get_bus_address(fixture->bus.daemon)), >=,
                    0);
    g_assert_cmpint(sd_bus_set_bus_client(bus, 1), >=, 0);
    g_assert_cmpint(sd_bus_start(bus), >=, 0);
    g_assert_cmpint(sd_bus_get_unique_name(bus, &name), >=, 0);
    return g_steal_pointer(&bus);
}

static void
set_up(Fixture *fixture, gconstpointer data)
{
    bus_fixture_set_up(&fixture->bus);
    fixture->listeners = spoke_listeners_new(fixture->bus.service, &limits, on_changed, fixture);
    fixture->changes = g_string_new(NULL);
    fixture->asleep = open_asleep(fixture);
}

static void
tear_down(Fixture *fixture, gconstpointer data)
{
    spoke_listeners_free(fixture->listeners);
    g_string_free(fixture->changes, TRUE);
    sd_bus_close(fixture->asleep);
    sd_bus_unref(fixture->asleep);
    bus_fixture_tear_down(&fixture->bus);
}

static const char *
name_of(sd_bus *client)
{
    const char *name = NULL;

    g_assert_cmpint(sd_bus_get_unique_name(client, &name), >=, 0);
    return name;
}

static void
wake(Fixture *fixture)
{
    int r;

    do {
        r = sd_bus_process(fixture->asleep, NULL);
        g_assert_cmpint(r, >=, 0);
    } while (r > 0);
}

static void
note(Fixture *fixture, const char *name, gsize bytes)
{
    for (gsize i = 0; i < bytes; i += 1024)
        spoke_listeners_note(fixture->listeners, name, 1024);
}

static int
on_message(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
    Fixture *fixture = userdata;

    if (sd_bus_message_is_method_call(m, "org.freedesktop.DBus.Peer", "Ping"))
        fixture->asked++;
    return 0;
}

static void
test_one_that_reads_is_never_slow(Fixture *fixture, gconstpointer data)
{
    sd_bus *client = bus_fixture_connect(&fixture->bus);
    g_autoptr(sd_bus_slot) slot = NULL;
    g_assert_cmpint(sd_bus_add_filter(client, &slot, on_message, fixture), >=, 0);

    for (guint i = 1; i <= 10; i++) {
        note(fixture, name_of(client), 100 * 1024);
        bus_fixture_wait_for(fixture->asked >= i);
    }

    g_assert_cmpstr(fixture->changes->str, ==, "");
}

static void
test_one_that_sleeps_is_slow_until_it_wakes(Fixture *fixture, gconstpointer data)
{
    const char *name = name_of(fixture->asleep);

    note(fixture, name, limits.slow_bytes + 1024);
    gboolean was_slow = spoke_listeners_is_slow(fixture->listeners, name);
    while (g_main_context_iteration(NULL, FALSE))
        ;
    bus_fixture_wait_for((wake(fixture), !spoke_listeners_is_slow(fixture->listeners, name)));

    g_assert_true(was_slow);
    g_assert_cmpstr(fixture->changes->str, ==, "+-");
}

static void
test_little_is_enough_when_all_owe_much(Fixture *fixture, gconstpointer data)
{
    g_autoptr(sd_bus) second = open_asleep(fixture);
    g_autoptr(sd_bus) third = open_asleep(fixture);

    note(fixture, name_of(fixture->asleep), limits.slow_bytes);
    note(fixture, name_of(second), limits.slow_bytes);
    g_assert_cmpstr(fixture->changes->str, ==, "");
    note(fixture, name_of(third), SPOKE_LISTENER_ASK_BYTES);
    g_assert_cmpstr(fixture->changes->str, ==, "");
    note(fixture, name_of(third), 1024);

    g_assert_true(spoke_listeners_is_slow(fixture->listeners, name_of(third)));
    sd_bus_close(second);
    sd_bus_close(third);
}

static void
test_one_that_leaves_owes_nothing(Fixture *fixture, gconstpointer data)
{
    const char *name = name_of(fixture->asleep);

    note(fixture, name, limits.slow_bytes + 1024);
    g_autofree char *left = g_strdup(name);
    sd_bus_close(fixture->asleep);

    /* The bus answers in its place. */
    bus_fixture_wait_for(!spoke_listeners_is_slow(fixture->listeners, left));
}

static void
test_many_quiet_ones_are_asked(Fixture *fixture, gconstpointer data)
{
    sd_bus *client = bus_fixture_connect(&fixture->bus);
    g_autoptr(sd_bus_slot) slot = NULL;
    g_assert_cmpint(sd_bus_add_filter(client, &slot, on_message, fixture), >=, 0);

    spoke_listeners_note(fixture->listeners, name_of(client), 1);
    for (guint i = 0; i < SPOKE_LISTENERS_QUIET_MAX; i++) {
        g_autofree char *name = g_strdup_printf(":9.%u", i);
        spoke_listeners_note(fixture->listeners, name, 1);
    }

    bus_fixture_wait_for(fixture->asked == 1);
}

#define ADD(path, test) g_test_add(path, Fixture, NULL, set_up, test, tear_down)

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("/listeners/slow/never-one-that-reads", test_one_that_reads_is_never_slow);
    ADD("/listeners/slow/until-it-wakes", test_one_that_sleeps_is_slow_until_it_wakes);
    ADD("/listeners/slow/with-little-when-all-owe-much", test_little_is_enough_when_all_owe_much);
    ADD("/listeners/leaving/owes-nothing", test_one_that_leaves_owes_nothing);
    ADD("/listeners/quiet/are-asked-when-many", test_many_quiet_ones_are_asked);
    return g_test_run();
}
