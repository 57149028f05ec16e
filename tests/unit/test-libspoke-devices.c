/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clients/libspoke/spoke.h"

#include "libspoke-fixture.h"

#include <errno.h>
#include <gio/gunixfdlist.h>
#include <glib-unix.h>
#include <string.h>
#include <unistd.h>

/* Many devices: their statuses by one client, adding and removing them, asking for messages. */

static void
on_done(SpokeClient *client, const SpokeFailure *failure, void *user_data)
{
    *(int *)user_data = failure != NULL ? failure->error : 1;
}

static void
answer(GDBusMethodInvocation *invocation, const char *parameters)
{
    g_dbus_method_invocation_return_value(invocation, g_variant_new_parsed(parameters));
}

static void
fail(GDBusMethodInvocation *invocation, const char *name)
{
    g_dbus_method_invocation_return_dbus_error(invocation, name, "Text");
}

static void
on_status(SpokeClient *client, const SpokeStatus *status, const SpokeFailure *failure,
          void *user_data)
{
    char **seen = user_data;

    *seen = failure != NULL ? g_strdup_printf("failed %d", failure->error)
                            : g_strconcat(status->name, " ", status->state, NULL);
}

static void
test_status_is_read_of_another_device(Fixture *fixture, gconstpointer data)
{
    g_autofree char *seen = NULL;

    fixture_serve_device(fixture, "boiler");
    g_assert_cmpint(spoke_client_get_device_status(fixture->client, "boiler", on_status, &seen), ==,
                    0);
    fixture_wait_for(seen != NULL);

    g_assert_cmpstr(seen, ==, "boiler offline");
}

static void
test_status_of_unknown_device_fails(Fixture *fixture, gconstpointer data)
{
    g_autofree char *seen = NULL;
    g_autofree char *expected = g_strdup_printf("failed %d", -ENODEV);

    g_assert_cmpint(spoke_client_get_device_status(fixture->client, "gone", on_status, &seen), ==,
                    0);
    fixture_wait_for(seen != NULL);

    g_assert_cmpstr(seen, ==, expected);
}

/* What the service finds at the descriptor it was passed. (transfer full) */
static char *
read_credential(GDBusMethodInvocation *invocation)
{
    GUnixFDList *list =
        g_dbus_message_get_unix_fd_list(g_dbus_method_invocation_get_message(invocation));
    char text[64] = "";

    g_assert_nonnull(list);
    g_assert_cmpint(g_unix_fd_list_get_length(list), ==, 1);
    int fd = g_unix_fd_list_get(list, 0, NULL);
    g_assert_cmpint(fd, >=, 0);
    ssize_t n = read(fd, text, sizeof text - 1);
    g_assert_cmpint(n, >=, 0);
    g_assert_cmpint(read(fd, text + n, 1), ==, 0); /* the end: nobody else has the other end */
    close(fd);
    return g_strdup(text);
}

/* The end to read from. */
static int
make_pipe(const char *text)
{
    int ends[2];

    g_assert_true(g_unix_open_pipe(ends, FD_CLOEXEC, NULL));
    g_assert_cmpint(write(ends[1], text, strlen(text)), ==, strlen(text));
    close(ends[1]);
    return ends[0];
}

static void
test_add_passes_the_descriptor(Fixture *fixture, gconstpointer data)
{
    int result = 0;
    int fd = make_pipe("HostName=secret");

    g_assert_cmpint(spoke_client_add_device(fixture->client, "boiler", fd, NULL, on_done, &result),
                    ==, 0);
    close(fd);
    GDBusMethodInvocation *call = fixture_take_call_with(fixture, "AddDevice", "('boiler', {}, 0)");
    g_autofree char *credential = read_credential(call);
    answer(call, "(objectpath '/org/spoked1/device/boiler',)");
    fixture_wait_for(result != 0);

    g_assert_cmpstr(credential, ==, "HostName=secret");
    g_assert_cmpint(result, ==, 1);
}

static void
test_add_passes_all_options(Fixture *fixture, gconstpointer data)
{
    const SpokeAddDeviceOptions options = {SPOKE_ADD_DEVICE_OPTIONS_INIT, .certificate = "/a.pem",
                                           .private_key = "/a.key", .users = "1000 1001",
                                           .own_connection = true};
    int result = 0;
    int fd = make_pipe("x");

    g_assert_cmpint(
        spoke_client_add_device(fixture->client, "boiler", fd, &options, on_done, &result), ==, 0);
    close(fd);
    GDBusMethodInvocation *call =
        fixture_take_call_with(fixture, "AddDevice",
                               "('boiler', {'certificate': <'/a.pem'>, 'private-key': <'/a.key'>, "
                               "'users': <'1000 1001'>, 'own-connection': <true>}, 0)");
    answer(call, "(objectpath '/org/spoked1/device/boiler',)");
    fixture_wait_for(result != 0);

    g_assert_cmpint(result, ==, 1);
}

static void
test_add_tells_failures_apart(Fixture *fixture, gconstpointer data)
{
    static const struct {
        const char *name;
        int error;
    } cases[] = {
        {"org.spoked1.Error.DeviceExists", -EEXIST},
        {"org.spoked1.Error.NotSupported", -EPROTONOSUPPORT},
        {"org.spoked1.Error.InvalidConfig", -EBADMSG},
        {"org.spoked1.Error.NotPermitted", -EPERM},
        {"org.spoked1.Error.Timeout", -ETIMEDOUT},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        int result = 0;
        int fd = make_pipe("x");

        g_assert_cmpint(
            spoke_client_add_device(fixture->client, "boiler", fd, NULL, on_done, &result), ==, 0);
        close(fd);
        fail(fixture_take_call(fixture, "AddDevice"), cases[i].name);
        fixture_wait_for(result != 0);
        g_assert_cmpint(result, ==, cases[i].error);
    }
}

static void
test_add_refuses_nonsense_at_once(Fixture *fixture, gconstpointer data)
{
    const SpokeAddDeviceOptions no_size = {0};

    g_assert_cmpint(spoke_client_add_device(fixture->client, NULL, 0, NULL, on_done, NULL), ==,
                    -EINVAL);
    g_assert_cmpint(spoke_client_add_device(fixture->client, "a", -1, NULL, on_done, NULL), ==,
                    -EINVAL);
    g_assert_cmpint(spoke_client_add_device(fixture->client, "a", 0, &no_size, on_done, NULL), ==,
                    -EINVAL);
    g_assert_cmpint(spoke_client_add_device(fixture->client, "\xff", 0, NULL, on_done, NULL), ==,
                    -EILSEQ);
}

static void
test_remove_names_the_device(Fixture *fixture, gconstpointer data)
{
    int result = 0;

    g_assert_cmpint(spoke_client_remove_device(fixture->client, "boiler", on_done, &result), ==, 0);
    answer(fixture_take_call_with(fixture, "RemoveDevice", "('boiler',)"), "()");
    fixture_wait_for(result != 0);

    g_assert_cmpint(result, ==, 1);
}

static void
test_remove_of_unknown_device_fails(Fixture *fixture, gconstpointer data)
{
    int result = 0;

    g_assert_cmpint(spoke_client_remove_device(fixture->client, "boiler", on_done, &result), ==, 0);
    fail(fixture_take_call(fixture, "RemoveDevice"), "org.spoked1.Error.NoSuchDevice");
    fixture_wait_for(result != 0);

    g_assert_cmpint(result, ==, -ENODEV);
}

static void
test_check_now_asks_the_device(Fixture *fixture, gconstpointer data)
{
    int result = 0;

    g_assert_cmpint(spoke_client_check_now(fixture->client, on_done, &result), ==, 0);
    answer(fixture_take_call_with(fixture, "CheckNow", "()"), "()");
    fixture_wait_for(result != 0);

    g_assert_cmpint(result, ==, 1);
}

static void
test_check_now_without_hub_fails(Fixture *fixture, gconstpointer data)
{
    int result = 0;

    g_assert_cmpint(spoke_client_check_now(fixture->client, on_done, &result), ==, 0);
    fail(fixture_take_call(fixture, "CheckNow"), "org.spoked1.Error.NotConnected");
    fixture_wait_for(result != 0);

    g_assert_cmpint(result, ==, -ENETUNREACH);
}

#define ADD(path, test)                                                                            \
    g_test_add("/libspoke/" path, Fixture, NULL, fixture_set_up, test, fixture_tear_down)

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("device-status/is-read-of-another-device", test_status_is_read_of_another_device);
    ADD("device-status/of-unknown-device-fails", test_status_of_unknown_device_fails);
    ADD("add-device/passes-the-descriptor", test_add_passes_the_descriptor);
    ADD("add-device/passes-all-options", test_add_passes_all_options);
    ADD("add-device/tells-failures-apart", test_add_tells_failures_apart);
    ADD("add-device/refuses-nonsense-at-once", test_add_refuses_nonsense_at_once);
    ADD("remove-device/names-the-device", test_remove_names_the_device);
    ADD("remove-device/of-unknown-device-fails", test_remove_of_unknown_device_fails);
    ADD("check-now/asks-the-device", test_check_now_asks_the_device);
    ADD("check-now/without-hub-fails", test_check_now_without_hub_fails);
    return g_test_run();
}
