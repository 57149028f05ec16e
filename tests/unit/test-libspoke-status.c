/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clients/libspoke/spoke.h"

#include "libspoke-fixture.h"

#include <errno.h>

typedef struct {
    guint n_calls;
    guint n_failures;
    int error;
    char *printed; /* owned; of the last status */
} Seen;

static void
seen_clear(Seen *seen)
{
    g_free(seen->printed);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Seen, seen_clear)

static char *
print_status(const SpokeStatus *s)
{
    g_autofree char *capabilities = g_strjoinv("+", (char **)s->capabilities);

    return g_strdup_printf(
        "%s %s %s %s %s %s %s %s %s %d %d %d %d %d %d %d %d %d %d %d %d %d", s->name, s->device_id,
        s->module_id, s->hub, s->state, s->transport, capabilities, s->last_error_name,
        s->last_error_text, (int)s->connected_since_usec, (int)s->next_attempt_usec,
        (int)s->token_expiry_usec, s->receive_paused, (int)s->queued_messages, (int)s->queued_bytes,
        (int)s->queue_bytes_max, (int)s->in_flight_messages, (int)s->waiting_messages,
        (int)s->dead_letters, (int)s->sent_messages, (int)s->received_messages,
        (int)s->certificate_expiry_usec);
}

static void
on_status(SpokeClient *client, const SpokeStatus *status, const SpokeFailure *failure,
          void *user_data)
{
    Seen *seen = user_data;

    g_assert_true((status == NULL) != (failure == NULL));
    seen->n_calls++;
    if (failure != NULL) {
        seen->n_failures++;
        seen->error = failure->error;
        return;
    }
    g_free(seen->printed);
    seen->printed = print_status(status);
}

static void
emit_change(Fixture *fixture)
{
    g_autoptr(GError) error = NULL;

    g_dbus_connection_emit_signal(
        fixture->connection, NULL, "/org/spoked1/device/self", "org.freedesktop.DBus.Properties",
        "PropertiesChanged",
        g_variant_new_parsed("('org.spoked1.Device', {'State': <'offline'>}, @as [])"), &error);
    g_assert_no_error(error);
}

static void
test_status_reads_all_properties(Fixture *fixture, gconstpointer data)
{
    g_auto(Seen) seen = {0};

    g_assert_cmpint(spoke_client_get_status(fixture->client, on_status, &seen), ==, 0);
    fixture_wait_for(seen.n_calls > 0);

    g_assert_cmpstr(seen.printed, ==,
                    "self dev1 mod1 hub.example connected mqtt push+settle TcpRefused Nobody "
                    "listens 1 2 3 1 4 5 6 7 8 9 10 11 12");
}

static void
test_status_of_unknown_device_fails(Fixture *fixture, gconstpointer data)
{
    g_auto(Seen) seen = {0};
    SpokeClient *client = NULL;

    g_assert_cmpint(spoke_client_open("some other", &client), ==, 0);
    g_assert_cmpint(spoke_client_get_status(client, on_status, &seen), ==, 0);
    spoke_client_free(client);

    g_assert_cmpuint(seen.n_failures, ==, 1);
}

static void
test_watch_tells_at_once_and_after_a_change(Fixture *fixture, gconstpointer data)
{
    g_auto(Seen) seen = {0};

    g_assert_cmpint(spoke_client_watch(fixture->client, on_status, &seen), ==, 0);
    fixture_wait_for(seen.n_calls == 1);
    emit_change(fixture);
    fixture_wait_for(seen.n_calls == 2);

    g_assert_cmpuint(seen.n_failures, ==, 0);
}

static void
test_watch_reads_a_burst_together(Fixture *fixture, gconstpointer data)
{
    g_auto(Seen) seen = {0};

    g_assert_cmpint(spoke_client_watch(fixture->client, on_status, &seen), ==, 0);
    fixture_wait_for(seen.n_calls == 1);
    for (guint i = 0; i < 50; i++)
        emit_change(fixture);
    fixture_wait_for(seen.n_calls >= 2);
    fixture_settle_down(fixture);
    fixture_settle_down(fixture);

    g_assert_cmpuint(seen.n_calls, <, 50);
}

static void
test_watch_follows_the_daemon(Fixture *fixture, gconstpointer data)
{
    g_auto(Seen) seen = {0};

    g_assert_cmpint(spoke_client_watch(fixture->client, on_status, &seen), ==, 0);
    fixture_wait_for(seen.n_calls == 1);
    fixture_kill_service(fixture);
    fixture_wait_for(seen.n_failures == 1);
    g_assert_cmpint(seen.error, ==, -EHOSTUNREACH);
    fixture_start_service(fixture);
    fixture_wait_for(seen.n_calls == 3);

    g_assert_cmpuint(seen.n_failures, ==, 1);
}

static void
test_watch_ends(Fixture *fixture, gconstpointer data)
{
    g_auto(Seen) seen = {0};

    g_assert_cmpint(spoke_client_watch(fixture->client, on_status, &seen), ==, 0);
    fixture_wait_for(seen.n_calls == 1);
    g_assert_cmpint(spoke_client_watch(fixture->client, NULL, NULL), ==, 0);
    emit_change(fixture);
    fixture_settle_down(fixture);

    g_assert_cmpuint(seen.n_calls, ==, 1);
}

static void
on_devices(SpokeClient *client, const char *const *names, size_t n, const SpokeFailure *failure,
           void *user_data)
{
    char **joined = user_data;

    g_assert_null(failure);
    g_assert_cmpuint(n, ==, 2);
    *joined = g_strconcat(names[0], "+", names[1], NULL);
}

static void
test_devices_lists_names(Fixture *fixture, gconstpointer data)
{
    g_autofree char *joined = NULL;

    g_assert_cmpint(spoke_client_list_devices(fixture->client, on_devices, &joined), ==, 0);
    g_dbus_method_invocation_return_value(
        fixture_take_call(fixture, "ListDevices"),
        g_variant_new_parsed("([('self', objectpath '/a'), ('other', '/b')],)"));
    fixture_wait_for(joined != NULL);

    g_assert_cmpstr(joined, ==, "self+other");
}

static void
on_done(SpokeClient *client, const SpokeFailure *failure, void *user_data)
{
    *(int *)user_data = failure != NULL ? failure->error : 1;
}

static void
test_reload_reports_fault(Fixture *fixture, gconstpointer data)
{
    int result = 0;

    g_assert_cmpint(spoke_client_reload(fixture->client, on_done, &result), ==, 0);
    g_dbus_method_invocation_return_dbus_error(fixture_take_call(fixture, "Reload"),
                                               "org.spoked1.Error.InvalidConfig", "line 3");
    fixture_wait_for(result != 0);

    g_assert_cmpint(result, ==, -EBADMSG);
}

#define ADD(path, test)                                                                            \
    g_test_add("/libspoke/" path, Fixture, NULL, fixture_set_up, test, fixture_tear_down)

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("status/reads-all-properties", test_status_reads_all_properties);
    ADD("status/of-unknown-device-fails", test_status_of_unknown_device_fails);
    ADD("watch/tells-at-once-and-after-a-change", test_watch_tells_at_once_and_after_a_change);
    ADD("watch/reads-a-burst-together", test_watch_reads_a_burst_together);
    ADD("watch/follows-the-daemon", test_watch_follows_the_daemon);
    ADD("watch/ends", test_watch_ends);
    ADD("devices/lists-names", test_devices_lists_names);
    ADD("reload/reports-fault", test_reload_reports_fault);
    return g_test_run();
}
