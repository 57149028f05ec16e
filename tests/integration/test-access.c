/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who may do what, with the bus policy as it is installed: root and group spoked get in, another
 * user gets nowhere, with any member. Needs root, to become somebody else.
 */
#include "tests/integration/harness.h"

#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODY 65534

/* What a user may hold. Source: dbus/org.spoked1.Device.xml. */
#define USER_SHARE 64

/* Every member there is; the lists are compared with the daemon's introspection. */
static const char *const device_methods[][2] = {
    {"SendText", "('x', @a{ss} {}, @a{sv} {})"},
    {"Send", "(b'x', @a{ss} {}, @a{sv} {})"},
    {"SendBatch", "([(b'a', @a{ss} {}, @a{sv} {})],)"},
    {"Flush", "(@t 0,)"},
    {"Subscribe", "(@a{sv} {},)"},
    {"Unsubscribe", "(@u 1,)"},
    {"Receive", "(@t 0, @a{sv} {})"},
    {"Complete", "('1',)"},
    {"Abandon", "('1',)"},
    {"Reject", "('1',)"},
    {"CheckNow", "()"},
};

static const char *const manager_methods[][2] = {
    {"ListDevices", "()"},
    {"GetDevice", "('self',)"},
    {"AddDevice", "('boiler', @a{sv} {}, handle 0)"},
    {"RemoveDevice", "('boiler',)"},
    {"Reload", "()"},
};

static gboolean
is_denied(GDBusConnection *bus, const char *path, const char *interface, const char *method,
          const char *parameters)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GVariant) reply = g_dbus_connection_call_sync(
        bus, HARNESS_BUS_NAME, path, interface, method, g_variant_new_parsed(parameters), NULL,
        G_DBUS_CALL_FLAGS_NO_AUTO_START, 5000, NULL, &error);

    return g_error_matches(error, G_DBUS_ERROR, G_DBUS_ERROR_ACCESS_DENIED);
}

/* Runs in a process of user nobody. Returns: exit status, the number of members that let it in. */
static int
try_everything(const char *address)
{
    int let_in = 0;
    g_autoptr(GDBusConnection) bus =
        g_dbus_connection_new_for_address_sync(address,
                                               G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT |
                                                   G_DBUS_CONNECTION_FLAGS_MESSAGE_BUS_CONNECTION,
                                               NULL, NULL, NULL);

    if (bus == NULL)
        return 100;
    for (guint i = 0; i < G_N_ELEMENTS(device_methods); i++)
        let_in += !is_denied(bus, HARNESS_SELF, "org.spoked1.Device", device_methods[i][0],
                             device_methods[i][1]);
    for (guint i = 0; i < G_N_ELEMENTS(manager_methods); i++)
        let_in += !is_denied(bus, HARNESS_MANAGER, "org.spoked1.Manager", manager_methods[i][0],
                             manager_methods[i][1]);
    let_in += !is_denied(bus, HARNESS_SELF, "org.freedesktop.DBus.Properties", "GetAll",
                         "('org.spoked1.Device',)");
    let_in += !is_denied(bus, HARNESS_MANAGER, "org.freedesktop.DBus.ObjectManager",
                         "GetManagedObjects", "()");
    return let_in;
}

/* Runs this program anew, as another user: see main(). Returns: its exit status */
static int
as_user(uid_t uid, gid_t gid, const char *what, const char *address)
{
    g_autofree char *user = g_strdup_printf("%u", uid);
    g_autofree char *group = g_strdup_printf("%u", gid);
    g_autoptr(GError) error = NULL;
    int status = 0;

    g_assert_true(g_spawn_sync(
        NULL,
        (char *[]){(char *)"/proc/self/exe", (char *)what, (char *)address, user, group, NULL},
        NULL, G_SPAWN_DEFAULT, NULL, NULL, NULL, NULL, &status, &error));
    g_assert_no_error(error);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void
test_another_user_is_let_in_nowhere(void)
{
    g_autoptr(Harness) h = harness_new();

    harness_start_daemon(h);
    harness_wait_state(h, "connected");

    g_assert_cmpint(as_user(NOBODY, NOBODY, "try-everything", harness_get_bus_address(h)), ==, 0);
    g_assert_cmpuint(harness_counter(h, "SentMessages"), ==, 0);
}

/* The package makes the group; the test makes it where the package isn't installed. */
static struct group *
get_group(void)
{
    if (getgrnam("spoked") == NULL)
        g_assert_true(
            g_spawn_command_line_sync("groupadd --system spoked", NULL, NULL, NULL, NULL));
    struct group *group = getgrnam("spoked");
    g_assert_nonnull(group);
    return group;
}

static int
call_reload(const char *address)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GDBusConnection) bus =
        g_dbus_connection_new_for_address_sync(address,
                                               G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT |
                                                   G_DBUS_CONNECTION_FLAGS_MESSAGE_BUS_CONNECTION,
                                               NULL, NULL, NULL);
    g_autoptr(GVariant) sent =
        g_dbus_connection_call_sync(bus, HARNESS_BUS_NAME, HARNESS_SELF, "org.spoked1.Device",
                                    "SendText", g_variant_new_parsed("('x', @a{ss} {}, @a{sv} {})"),
                                    NULL, G_DBUS_CALL_FLAGS_NO_AUTO_START, 5000, NULL, &error);

    if (sent == NULL)
        return 2;
    g_autoptr(GVariant) reloaded = g_dbus_connection_call_sync(
        bus, HARNESS_BUS_NAME, HARNESS_MANAGER, "org.spoked1.Manager", "Reload", NULL, NULL,
        G_DBUS_CALL_FLAGS_NO_AUTO_START, 5000, NULL, &error);
    g_autofree char *name = error != NULL ? g_dbus_error_get_remote_error(error) : NULL;
    return g_strcmp0(name, "org.spoked1.Error.NotPermitted") == 0 ? 0 : 3;
}

static GDBusConnection *
connect_to(const char *address)
{
    return g_dbus_connection_new_for_address_sync(
        address,
        G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT |
            G_DBUS_CONNECTION_FLAGS_MESSAGE_BUS_CONNECTION,
        NULL, NULL, NULL);
}

/* Returns: number of the subscription, 0 when refused with LimitReached */
static guint
subscribe(GDBusConnection *bus)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GVariant) reply =
        g_dbus_connection_call_sync(bus, HARNESS_BUS_NAME, HARNESS_SELF, "org.spoked1.Device",
                                    "Subscribe", g_variant_new_parsed("(@a{sv} {},)"), NULL,
                                    G_DBUS_CALL_FLAGS_NO_AUTO_START, 5000, NULL, &error);
    g_autofree char *name = error != NULL ? g_dbus_error_get_remote_error(error) : NULL;
    guint subscription = 0;

    if (reply != NULL)
        g_variant_get(reply, "(u)", &subscription);
    else
        g_assert_cmpstr(name, ==, "org.spoked1.Error.LimitReached");
    return subscription;
}

static gboolean
unsubscribe(GDBusConnection *bus, guint subscription)
{
    g_autoptr(GVariant) reply =
        g_dbus_connection_call_sync(bus, HARNESS_BUS_NAME, HARNESS_SELF, "org.spoked1.Device",
                                    "Unsubscribe", g_variant_new("(u)", subscription), NULL,
                                    G_DBUS_CALL_FLAGS_NO_AUTO_START, 5000, NULL, NULL);

    return reply != NULL;
}

/* Takes all a user can get, over several connections, and gives one back. */
static int
take_all(const char *address)
{
    GDBusConnection *buses[3];
    guint subscription = 0;

    for (guint i = 0; i < G_N_ELEMENTS(buses); i++)
        buses[i] = connect_to(address);
    for (guint i = 0; i < USER_SHARE; i++) {
        subscription = subscribe(buses[i % 2]);
        if (subscription == 0)
            return 4;
    }
    if (subscribe(buses[2]) != 0)
        return 5;
    if (!unsubscribe(buses[(USER_SHARE - 1) % 2], subscription))
        return 6;
    if (subscribe(buses[2]) == 0 || subscribe(buses[0]) != 0)
        return 7;
    return 0;
}

static void
test_a_user_gets_a_share_and_no_more(void)
{
    struct group *group = get_group();
    g_autoptr(Harness) h = harness_new();

    harness_start_daemon(h);

    g_assert_cmpint(as_user(NOBODY, group->gr_gid, "take-all", harness_get_bus_address(h)), ==, 0);
    /* It has left, and all is there again. */
    g_assert_cmpint(as_user(NOBODY, group->gr_gid, "take-all", harness_get_bus_address(h)), ==, 0);
}

static void
test_root_gets_more_than_a_share(void)
{
    g_autoptr(Harness) h = harness_new();

    harness_start_daemon(h);

    g_autoptr(GDBusConnection) first = connect_to(harness_get_bus_address(h));
    g_autoptr(GDBusConnection) second = connect_to(harness_get_bus_address(h));
    for (guint i = 0; i < USER_SHARE; i++)
        g_assert_cmpuint(subscribe(first), !=, 0);
    g_assert_cmpuint(subscribe(second), !=, 0);
}

static void
test_a_member_of_the_group_may_send_but_not_reload(void)
{
    struct group *group = get_group();
    g_autoptr(Harness) h = harness_new();

    harness_start_daemon(h);
    harness_wait_state(h, "connected");

    g_assert_cmpint(as_user(NOBODY, group->gr_gid, "call-reload", harness_get_bus_address(h)), ==,
                    0);
    harness_wait_counter(h, "SentMessages", 1);
}

static guint
count_methods(Harness *h, const char *path, const char *interface)
{
    g_autoptr(GError) error = NULL;
    const char *xml;
    g_autoptr(GVariant) reply = g_dbus_connection_call_sync(
        harness_get_bus(h), HARNESS_BUS_NAME, path, "org.freedesktop.DBus.Introspectable",
        "Introspect", NULL, NULL, G_DBUS_CALL_FLAGS_NONE, -1, NULL, &error);
    guint n = 0;

    g_assert_no_error(error);
    g_variant_get(reply, "(&s)", &xml);
    g_autoptr(GDBusNodeInfo) node = g_dbus_node_info_new_for_xml(xml, &error);
    g_assert_no_error(error);
    GDBusInterfaceInfo *info = g_dbus_node_info_lookup_interface(node, interface);
    g_assert_nonnull(info);
    for (GDBusMethodInfo **method = info->methods; method != NULL && *method != NULL; method++)
        n++;
    return n;
}

static void
test_no_method_is_left_out_here(void)
{
    g_autoptr(Harness) h = harness_new();

    harness_start_daemon(h);

    g_assert_cmpuint(count_methods(h, HARNESS_SELF, "org.spoked1.Device"), ==,
                     G_N_ELEMENTS(device_methods));
    g_assert_cmpuint(count_methods(h, HARNESS_MANAGER, "org.spoked1.Manager"), ==,
                     G_N_ELEMENTS(manager_methods));
}

/* The part of another user: WHAT BUS-ADDRESS UID GID */
static int
act_as_user(char **argv)
{
    gid_t gid = (gid_t)atoi(argv[4]);

    if (setgroups(0, NULL) < 0 || setgid(gid) < 0 || setuid((uid_t)atoi(argv[3])) < 0)
        return 101;
    if (g_str_equal(argv[1], "try-everything"))
        return try_everything(argv[2]);
    return g_str_equal(argv[1], "take-all") ? take_all(argv[2]) : call_reload(argv[2]);
}

int
main(int argc, char **argv)
{
    if (argc == 5)
        return act_as_user(argv);
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/access/nobody/is-let-in-nowhere", test_another_user_is_let_in_nowhere);
    g_test_add_func("/access/group/may-send-but-not-reload",
                    test_a_member_of_the_group_may_send_but_not_reload);
    g_test_add_func("/access/share/a-user-gets-one-and-no-more",
                    test_a_user_gets_a_share_and_no_more);
    g_test_add_func("/access/share/root-gets-more", test_root_gets_more_than_a_share);
    g_test_add_func("/access/methods/none-is-left-out-here", test_no_method_is_left_out_here);
    return g_test_run();
}
