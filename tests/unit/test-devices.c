/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/devices.h"

#include "daemon/devices-private.h"
#include "daemon/error.h"
#include "tests/unit/disk.h"
#include "tests/unit/fake-clock.h"
#include "tests/unit/fake-transport.h"

/* The list of devices and the lines they are on: a real spool, and a transport that carries one
 * identity, or three. */

#define KEY "SharedAccessKey=YSB0ZXN0J3Mga2V5LCBubyBzZWNyZXQ="

typedef struct {
    Disk *disk;
    FakeTransport *hub;
    SpokeConfig *config;
    SpokeDevices *devices;
    GString *said; /* "+name" and "-name" */
} Fixture;

static double
no_chance(void)
{
    return 0;
}

static SpokeDeviceConfig *
make_own(const char *name, const char *device_id)
{
    g_autofree char *text = g_strdup_printf("HostName=hub.example;DeviceId=%s;" KEY, device_id);
    g_autoptr(GError) error = NULL;
    SpokeDeviceConfig *own = g_new0(SpokeDeviceConfig, 1);

    own->name = g_strdup(name);
    own->connection_string = spoke_connection_string_parse(text, &error);
    g_assert_no_error(error);
    return own;
}

/* "self" and those named, whose device ids are their names. */
static SpokeConfig *
make_config(const char *names)
{
    SpokeConfig *config = g_new0(SpokeConfig, 1);
    g_auto(GStrv) words = g_strsplit(names, " ", -1);

    config->devices = g_ptr_array_new_with_free_func((GDestroyNotify)spoke_device_config_free);
    g_ptr_array_add(config->devices, make_own(SPOKE_DEVICE_SELF, "machine"));
    for (char **word = words; *word != NULL; word++)
        if (**word != '\0')
            g_ptr_array_add(config->devices, make_own(*word, *word));
    config->transport = g_strdup("mqtt");
    config->mqtt_port = 8883;
    config->token_lifetime_sec = 3600;
    config->poll_interval_usec = 1500 * (gint64)G_USEC_PER_SEC;
    config->outbox.bytes_max = 1024 * 1024;
    config->delivery = (SpokeDeliveryOptions){4, 1024 * 1024, 10, 100};
    return config;
}

static void
on_added(SpokeDevice *device, gpointer user_data)
{
    g_string_append_printf(user_data, "+%s", spoke_device_get_name(device));
}

static void
on_removed(SpokeDevice *device, gpointer user_data)
{
    g_string_append_printf(user_data, "-%s", spoke_device_get_name(device));
}

static const SpokeDevicesEvents devices_events = {.added = on_added, .removed = on_removed};

static void
start(Fixture *fixture, const SpokeTransportModule *module, const char *names)
{
    const SpokeConnectionParts parts = {.module = module, .random = no_chance};
    SpokeClockShare *share = spoke_clock_share_new(&fake_clock_new()->table);
    g_autoptr(GError) error = NULL;

    fixture->config = make_config(names);
    fixture->devices =
        spoke_devices_new_from(disk_open_spool(fixture->disk), fixture->config, "/nowhere", share,
                               spoke_lines_new_from(share, &parts), &error);
    g_assert_no_error(error);
    spoke_devices_set_events(fixture->devices, &devices_events, fixture->said);
    spoke_devices_start(fixture->devices);
    if (fixture->hub->n_alive > 0)
        fake_transport_opened();
}

static void
set_up(Fixture *fixture, gconstpointer unused)
{
    fixture->disk = disk_new();
    fixture->hub = fake_transport_begin();
    fixture->said = g_string_new(NULL);
}

static void
tear_down(Fixture *fixture, gconstpointer unused)
{
    spoke_devices_free(fixture->devices);
    disk_close(fixture->disk);
    while (g_main_context_iteration(NULL, FALSE))
        ;
    fake_transport_finish();
    disk_free(fixture->disk);
    spoke_config_free(fixture->config);
    g_string_free(fixture->said, TRUE);
}

static SpokeCause
last_error(Fixture *fixture, const char *name)
{
    SpokeDevice *device = spoke_devices_find(fixture->devices, name);

    g_assert_nonnull(device);
    return spoke_attachment_get_last_error(spoke_device_get_attachment(device), NULL);
}

static void
reconfigure(Fixture *fixture, const char *names)
{
    SpokeConfig *config = make_config(names);
    g_autoptr(GError) error = NULL;

    g_assert_true(spoke_devices_reconfigure(fixture->devices, config, &error));
    g_assert_no_error(error);
    spoke_config_free(fixture->config);
    fixture->config = config;
}

static void
assert_refused(Fixture *fixture, const char *name, const char *device_id, gint code)
{
    g_autoptr(GError) error = NULL;
    guint n = spoke_devices_get_n(fixture->devices);

    g_assert_null(spoke_devices_add(fixture->devices, make_own(name, device_id), &error));

    g_assert_error(error, SPOKE_ERROR, code);
    g_assert_cmpuint(spoke_devices_get_n(fixture->devices), ==, n);
}

static void
test_configured_share_a_connection(Fixture *fixture, gconstpointer unused)
{
    start(fixture, &fake_transport_for_many, "boiler pump");

    g_assert_cmpuint(spoke_devices_get_n(fixture->devices), ==, 3);
    g_assert_cmpuint(fixture->hub->n_created, ==, 1);
    g_assert_cmpuint(fixture->hub->asked->len, ==, 3);
}

static void
test_full_connection_is_followed_by_another(Fixture *fixture, gconstpointer unused)
{
    start(fixture, &fake_transport_for_many, "boiler pump lamp");

    g_assert_cmpuint(fixture->hub->n_created, ==, 2);
}

/* MQTT. The machine's own goes on, and the second one says why not. */
static void
test_second_identity_is_refused(Fixture *fixture, gconstpointer unused)
{
    start(fixture, &fake_transport_module, "boiler");

    g_assert_cmpuint(fixture->hub->n_created, ==, 1);
    g_assert_cmpuint(fixture->hub->asked->len, ==, 1);
    g_assert_cmpint(last_error(fixture, SPOKE_DEVICE_SELF), ==, SPOKE_CAUSE_NONE);
    g_assert_cmpint(last_error(fixture, "boiler"), ==, SPOKE_CAUSE_UNSUPPORTED);
    assert_refused(fixture, "pump", "pump", SPOKE_ERROR_NOT_SUPPORTED);
}

static void
test_add_attaches(Fixture *fixture, gconstpointer unused)
{
    g_autoptr(GError) error = NULL;

    start(fixture, &fake_transport_for_many, "");
    SpokeDevice *device =
        spoke_devices_add(fixture->devices, make_own("boiler", "boiler-7"), &error);

    g_assert_no_error(error);
    g_assert_true(device == spoke_devices_find(fixture->devices, "boiler"));
    g_assert_cmpstr(fixture->said->str, ==, "+boiler");
    while (fixture->hub->asked->len < 2)
        g_main_context_iteration(NULL, TRUE);
}

static void
test_add_refuses_what_is_there(Fixture *fixture, gconstpointer unused)
{
    start(fixture, &fake_transport_for_many, "boiler");

    assert_refused(fixture, "boiler", "other", SPOKE_ERROR_DEVICE_EXISTS);
    assert_refused(fixture, "other", "boiler", SPOKE_ERROR_DEVICE_EXISTS);
    assert_refused(fixture, "other", "machine", SPOKE_ERROR_DEVICE_EXISTS);
    g_assert_cmpstr(fixture->said->str, ==, "");
}

static void
test_certificate_needs_a_line_of_its_own(Fixture *fixture, gconstpointer unused)
{
    SpokeDeviceConfig *shared = make_own("boiler", "boiler"), *alone = make_own("pump", "pump");
    g_autoptr(GError) error = NULL;

    start(fixture, &fake_transport_for_many, "");
    shared->certificate_file = g_strdup("/boiler.pem");
    shared->key_file = g_strdup("/boiler-key.pem");
    g_assert_null(spoke_devices_add(fixture->devices, shared, &error));
    g_assert_error(error, SPOKE_ERROR, SPOKE_ERROR_NOT_SUPPORTED);
    g_clear_error(&error);

    alone->certificate_file = g_strdup("/pump.pem");
    alone->key_file = g_strdup("/pump-key.pem");
    alone->owns_connection = TRUE;
    g_assert_nonnull(spoke_devices_add(fixture->devices, alone, &error));

    g_assert_cmpuint(fixture->hub->n_created, ==, 2);
}

static void
test_remove_lets_go(Fixture *fixture, gconstpointer unused)
{
    g_autoptr(GError) error = NULL;

    start(fixture, &fake_transport_for_many, "");
    g_assert_nonnull(spoke_devices_add(fixture->devices, make_own("boiler", "boiler"), &error));
    while (fixture->hub->asked->len < 2)
        g_main_context_iteration(NULL, TRUE);

    g_assert_true(spoke_devices_remove(fixture->devices, "boiler", &error));

    g_assert_cmpstr(fixture->said->str, ==, "+boiler-boiler");
    g_assert_cmpuint(fixture->hub->let_go->len, ==, 1);
    g_assert_null(spoke_devices_find(fixture->devices, "boiler"));
    g_assert_false(spoke_devices_remove(fixture->devices, "boiler", &error));
    g_assert_error(error, SPOKE_ERROR, SPOKE_ERROR_NO_SUCH_DEVICE);
}

static void
test_remove_refuses_the_configurations(Fixture *fixture, gconstpointer unused)
{
    static const char *const names[] = {SPOKE_DEVICE_SELF, "boiler"};

    start(fixture, &fake_transport_for_many, "boiler");

    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_false(spoke_devices_remove(fixture->devices, names[i], &error));
        g_assert_error(error, SPOKE_ERROR, SPOKE_ERROR_NOT_PERMITTED);
        /* The machine's own can't be taken out of a configuration. */
        g_assert_cmpint(strstr(error->message, "take it out") != NULL, ==, i > 0);
    }
    g_assert_cmpuint(spoke_devices_get_n(fixture->devices), ==, 2);
}

/* What was added while it ran is not the configuration's to take away. */
static void
test_reconfigure_adds_and_removes(Fixture *fixture, gconstpointer unused)
{
    g_autoptr(GError) error = NULL;

    start(fixture, &fake_transport_for_many, "boiler");
    g_assert_nonnull(spoke_devices_add(fixture->devices, make_own("lamp", "lamp"), &error));
    g_string_truncate(fixture->said, 0);

    reconfigure(fixture, "pump");

    g_assert_cmpstr(fixture->said->str, ==, "-boiler+pump");
    g_assert_nonnull(spoke_devices_find(fixture->devices, "lamp"));
    g_assert_cmpuint(spoke_devices_get_n(fixture->devices), ==, 3);
}

static void
test_reconfigure_is_all_or_nothing(Fixture *fixture, gconstpointer unused)
{
    g_autoptr(SpokeConfig) config = make_config("pump");
    g_autoptr(GError) error = NULL;

    start(fixture, &fake_transport_for_many, "boiler");
    g_ptr_array_add(config->devices, make_own("boiler", "other"));

    g_assert_false(spoke_devices_reconfigure(fixture->devices, config, &error));

    g_assert_error(error, SPOKE_ERROR, SPOKE_ERROR_INVALID_CONFIG);
    g_assert_true(g_str_has_prefix(error->message, "[Device boiler]: "));
    g_assert_cmpstr(fixture->said->str, ==, "");
}

static void
test_reconfigure_renames(Fixture *fixture, gconstpointer unused)
{
    SpokeConfig *config = make_config("");
    g_autoptr(GError) error = NULL;

    start(fixture, &fake_transport_for_many, "boiler");
    g_ptr_array_add(config->devices, make_own("heater", "boiler"));

    g_assert_true(spoke_devices_reconfigure(fixture->devices, config, &error));

    g_assert_no_error(error);
    spoke_config_free(fixture->config);
    fixture->config = config;
    g_assert_cmpstr(fixture->said->str, ==, "-boiler+heater");
}

static void
test_users_are_let_in(Fixture *fixture, gconstpointer unused)
{
    SpokeDeviceConfig *own = make_own("boiler", "boiler");
    g_autoptr(GError) error = NULL;

    start(fixture, &fake_transport_for_many, "");
    own->users = g_strsplit("1000 1002", " ", -1);
    SpokeDevice *device = spoke_devices_add(fixture->devices, own, &error);

    g_assert_true(spoke_device_allows(device, 0));
    g_assert_true(spoke_device_allows(device, 1000));
    g_assert_false(spoke_device_allows(device, 1001));
    g_assert_false(spoke_device_allows(device, 100));
    g_assert_true(
        spoke_device_allows(spoke_devices_find(fixture->devices, SPOKE_DEVICE_SELF), 1001));
}

static void
add(const char *path, void (*test)(Fixture *, gconstpointer))
{
    g_test_add(path, Fixture, NULL, set_up, test, tear_down);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add("/devices/configured/share-a-connection", test_configured_share_a_connection);
    add("/devices/configured/a-full-connection-is-followed-by-another",
        test_full_connection_is_followed_by_another);
    add("/devices/configured/second-identity-is-refused", test_second_identity_is_refused);
    add("/devices/add/attaches", test_add_attaches);
    add("/devices/add/refuses-what-is-there", test_add_refuses_what_is_there);
    add("/devices/add/certificate-needs-a-line-of-its-own",
        test_certificate_needs_a_line_of_its_own);
    add("/devices/remove/lets-go", test_remove_lets_go);
    add("/devices/remove/refuses-the-configurations", test_remove_refuses_the_configurations);
    add("/devices/reconfigure/adds-and-removes", test_reconfigure_adds_and_removes);
    add("/devices/reconfigure/renames", test_reconfigure_renames);
    add("/devices/reconfigure/is-all-or-nothing", test_reconfigure_is_all_or_nothing);
    add("/devices/users/are-let-in", test_users_are_let_in);
    return g_test_run();
}
