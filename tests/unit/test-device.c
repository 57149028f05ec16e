/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/devices.h"

#include "daemon/devices-private.h"
#include "daemon/error.h"
#include "daemon/properties.h"
#include "daemon/strangers.h"
#include "tests/unit/disk.h"
#include "tests/unit/fake-clock.h"
#include "tests/unit/fake-transport.h"

/* One identity from end to end: real queues on a real spool, the real connection, and a transport
 * that does what the test says. Its clocks stand still, save that of Flush. */

#define KEY  "SharedAccessKey=YSB0ZXN0J3Mga2V5LCBubyBzZWNyZXQ="
#define SELF "HostName=hub.example;DeviceId=dev1;" KEY

#define PATIENCE_USEC (20 * G_USEC_PER_SEC)
#define FLUSH_USEC    (PATIENCE_USEC * 4)

typedef struct {
    Disk *disk;
    FakeTransport *hub;
    FakeClock *clock; /* borrowed from the devices */
    SpokeConfig *config;
    SpokeDevices *devices;
    SpokeDevice *device; /* the first */

    guint n_changed;
    guint n_put;
    guint64 settled_id;
    SpokeOutcome settled_outcome;
    char *settled_notify;
    GPtrArray *delivered; /* of char *: "owner body" */
    guint64 delivered_id; /* of the last */
    const SpokeTransportModule *module;
    gint64 flushed; /* what remained; -1: no answer yet */
    gboolean stopped;
} Fixture;

/* The disk is real and takes its time. */
#define wait_until(condition)                                                                      \
    do {                                                                                           \
        gint64 deadline_usec_ = g_get_monotonic_time() + PATIENCE_USEC;                            \
        guint timer_ = g_timeout_add(100, stay_awake, NULL);                                       \
        while (!(condition)) {                                                                     \
            g_assert_cmpint(g_get_monotonic_time(), <, deadline_usec_);                            \
            g_main_context_iteration(NULL, TRUE);                                                  \
        }                                                                                          \
        g_source_remove(timer_);                                                                   \
    } while (0)

static gboolean
stay_awake(gpointer user_data)
{
    return G_SOURCE_CONTINUE;
}

static void
iterate(void)
{
    while (g_main_context_iteration(NULL, FALSE))
        ;
}

static double
no_chance(void)
{
    return 0;
}

static SpokeConfig *
make_config(const char *connection_string)
{
    SpokeConfig *config = g_new0(SpokeConfig, 1);
    g_autoptr(GError) error = NULL;

    SpokeDeviceConfig *self = g_new0(SpokeDeviceConfig, 1);

    self->name = g_strdup("self");
    self->connection_string = spoke_connection_string_parse(connection_string, &error);
    g_assert_no_error(error);
    config->devices = g_ptr_array_new_with_free_func((GDestroyNotify)spoke_device_config_free);
    g_ptr_array_add(config->devices, self);
    config->transport = g_strdup("mqtt");
    config->mqtt_port = 8883;
    config->keepalive_sec = 180;
    config->connect_timeout_sec = 30;
    config->token_lifetime_sec = 3600;
    config->outbox.bytes_max = 1024 * 1024;
    config->delivery = (SpokeDeliveryOptions){4, 1024 * 1024, 10, 100};
    return config;
}

static void
on_changed(SpokeDevice *device, gpointer user_data)
{
    ((Fixture *)user_data)->n_changed++;
}

static void
on_settled(SpokeDevice *device, guint64 id, const char *notify, SpokeOutcome outcome,
           const char *detail, gpointer user_data)
{
    Fixture *fixture = user_data;

    fixture->settled_id = id;
    fixture->settled_outcome = outcome;
    g_free(fixture->settled_notify);
    fixture->settled_notify = g_strdup(notify);
}

static void
on_deliver(SpokeDevice *device, const char *owner, const SpokeDelivered *delivered,
           gpointer user_data)
{
    Fixture *fixture = user_data;

    fixture->delivered_id = delivered->message->id;
    g_ptr_array_add(fixture->delivered,
                    g_strdup_printf("%s %.*s", owner, (int)delivered->message->body_size,
                                    spoke_message_body(delivered->message)));
}

static void
make_device(Fixture *fixture)
{
    static const SpokeDeviceEvents events = {on_changed, on_settled, on_deliver};
    g_autoptr(GError) error = NULL;

    fixture->clock = fake_clock_new();

    const SpokeConnectionParts parts = {
        .module = fixture->module,
        .random = no_chance,
    };
    SpokeClockShare *share = spoke_clock_share_new(&fixture->clock->table);

    fixture->devices =
        spoke_devices_new_from(disk_open_spool(fixture->disk), fixture->config, "/nowhere", share,
                               spoke_lines_new_from(share, &parts), &error);
    g_assert_no_error(error);
    fixture->device = spoke_devices_get_nth(fixture->devices, 0);
    spoke_device_set_events(fixture->device, &events, fixture);
}

static void
free_device(Fixture *fixture)
{
    g_clear_pointer(&fixture->devices, spoke_devices_free);
    disk_close(fixture->disk);
}

static void
set_up(Fixture *fixture, gconstpointer data)
{
    fixture->disk = disk_new();
    fixture->hub = fake_transport_begin();
    fixture->delivered = g_ptr_array_new_with_free_func(g_free);
    fixture->flushed = -1;
    fixture->module = &fake_transport_module;
    fixture->config = make_config(data != NULL ? data : SELF);
    make_device(fixture);
}

static void
tear_down(Fixture *fixture, gconstpointer data)
{
    free_device(fixture);
    iterate();
    fake_transport_finish();
    disk_free(fixture->disk);
    spoke_config_free(fixture->config);
    g_ptr_array_unref(fixture->delivered);
    g_free(fixture->settled_notify);
}

static void
log_in(Fixture *fixture)
{
    spoke_devices_start(fixture->devices);
    wait_until(fixture->hub->is_open);
    fake_transport_opened();
    wait_until(fixture->hub->is_attached_to);
    fake_transport_attached();
    iterate();
}

static SpokeMessage *
make_message(const char *message_id, const char *body)
{
    g_autoptr(GByteArray) system = g_byte_array_new();

    spoke_properties_append(system, SPOKE_PROPERTY_MESSAGE_ID, message_id);
    return spoke_message_new(system->data, system->len, NULL, 0, body, strlen(body));
}

static void
on_put(const guint64 *ids, guint n, const GError *error, gpointer user_data)
{
    g_assert_no_error(error);
    ((Fixture *)user_data)->n_put += n;
}

static void
send_one(Fixture *fixture, const char *message_id)
{
    g_autoptr(SpokeMessage) message = make_message(message_id, "telemetry");
    g_autoptr(GError) error = NULL;
    guint before = fixture->n_put;

    message->notify = g_strdup("somebody");
    spoke_device_send(fixture->device, &message, 1, on_put, fixture, &error);
    g_assert_no_error(error);
    wait_until(fixture->n_put == before + 1);
}

static void
arrive(Fixture *fixture, guint first, guint last)
{
    for (guint i = first; i <= last; i++) {
        g_autofree char *name = g_strdup_printf("c2d-%u", i);
        g_autoptr(SpokeMessage) message = make_message(name, name);

        fake_transport_arrived(message, GUINT_TO_POINTER(i));
    }
}

static const char *
sent_id(Fixture *fixture, guint index)
{
    return spoke_message_lookup_system(g_ptr_array_index(fixture->hub->sent, index),
                                       SPOKE_PROPERTY_MESSAGE_ID);
}

static SpokeVerdict
verdict(Fixture *fixture, guint index)
{
    return g_array_index(fixture->hub->verdicts, SpokeVerdict, index);
}

/* Up */

static void
test_send_reaches_hub(Fixture *fixture, gconstpointer data)
{
    log_in(fixture);

    send_one(fixture, "m1");
    wait_until(fixture->hub->sent->len == 1);
    g_assert_cmpstr(sent_id(fixture, 0), ==, "m1");
    g_assert_cmpuint(fixture->settled_id, ==, 0);
    fake_transport_settled(1, SPOKE_VERDICT_ACCEPT);
    wait_until(fixture->settled_id != 0);

    g_assert_cmpint(fixture->settled_outcome, ==, SPOKE_OUTCOME_ACCEPTED);
    g_assert_cmpstr(fixture->settled_notify, ==, "somebody");
    g_assert_cmpuint(spoke_outbox_get_messages(spoke_device_get_outbox(fixture->device)), ==, 0);
}

static void
test_send_waits_for_connection_over_restart(Fixture *fixture, gconstpointer data)
{
    send_one(fixture, "m1");
    free_device(fixture);
    make_device(fixture);

    log_in(fixture);
    wait_until(fixture->hub->sent->len == 1);

    g_assert_cmpstr(sent_id(fixture, 0), ==, "m1");
}

static void
switch_identity(Fixture *fixture, const char *connection_string)
{
    free_device(fixture);
    g_clear_pointer(&fixture->config, spoke_config_free);
    fixture->config = make_config(connection_string);
    make_device(fixture);
}

static void
test_send_does_not_go_under_another_identity(Fixture *fixture, gconstpointer data)
{
    send_one(fixture, "m1");

    switch_identity(fixture, "HostName=hub.example;DeviceId=dev2;" KEY);
    g_assert_cmpuint(spoke_outbox_get_messages(spoke_device_get_outbox(fixture->device)), ==, 0);
    switch_identity(fixture, "HostName=other.example;DeviceId=dev1;" KEY);
    g_assert_cmpuint(spoke_outbox_get_messages(spoke_device_get_outbox(fixture->device)), ==, 0);
    switch_identity(fixture, "HostName=hub.example;DeviceId=dev1;ModuleId=m;" KEY);
    g_assert_cmpuint(spoke_outbox_get_messages(spoke_device_get_outbox(fixture->device)), ==, 0);

    switch_identity(fixture, "HostName=HUB.example;DeviceId=dev1;" KEY);
    g_assert_cmpuint(spoke_outbox_get_messages(spoke_device_get_outbox(fixture->device)), ==, 1);
}

static void
test_send_names_bad_message(Fixture *fixture, gconstpointer data)
{
    g_autoptr(SpokeMessage) good = make_message("m1", "x");
    g_autoptr(SpokeMessage) bad = make_message("not an id", "x");
    SpokeMessage *messages[] = {good, bad};
    g_autoptr(GError) error = NULL;

    g_assert_false(spoke_device_send(fixture->device, messages, 2, on_put, fixture, &error));

    g_assert_error(error, SPOKE_ERROR, SPOKE_ERROR_INVALID_OPTION);
    g_assert_true(g_str_has_prefix(error->message, "messages[1]: "));
    g_assert_cmpuint(spoke_outbox_get_messages(spoke_device_get_outbox(fixture->device)), ==, 0);
}

/* Flush */

static void
on_flushed(guint64 remaining, gpointer user_data)
{
    Fixture *fixture = user_data;

    g_assert_cmpint(fixture->flushed, ==, -1);
    fixture->flushed = (gint64)remaining;
}

static void
test_flush_answers_when_nothing_is_queued(Fixture *fixture, gconstpointer data)
{
    spoke_device_flush(fixture->device, FLUSH_USEC, on_flushed, fixture);
    g_assert_cmpint(fixture->flushed, ==, -1);

    wait_until(fixture->flushed >= 0);

    g_assert_cmpint(fixture->flushed, ==, 0);
}

static void
test_flush_waits_until_hub_has_all(Fixture *fixture, gconstpointer data)
{
    log_in(fixture);
    send_one(fixture, "m1");
    wait_until(fixture->hub->sent->len == 1);
    spoke_device_flush(fixture->device, FLUSH_USEC, on_flushed, fixture);
    iterate();
    g_assert_cmpint(fixture->flushed, ==, -1);

    fake_transport_settled(1, SPOKE_VERDICT_ACCEPT);
    wait_until(fixture->flushed >= 0);

    g_assert_cmpint(fixture->flushed, ==, 0);
}

static void
test_flush_times_out(Fixture *fixture, gconstpointer data)
{
    send_one(fixture, "m1");

    spoke_device_flush(fixture->device, 1, on_flushed, fixture);
    wait_until(fixture->flushed >= 0);

    g_assert_cmpint(fixture->flushed, ==, 1);
}

static void
test_flush_ends_with_device(Fixture *fixture, gconstpointer data)
{
    send_one(fixture, "m1");
    spoke_device_flush(fixture->device, FLUSH_USEC, on_flushed, fixture);

    free_device(fixture);

    g_assert_cmpint(fixture->flushed, ==, 1);
}

/* Down */

static void
test_arrival_is_accepted_when_on_disk(Fixture *fixture, gconstpointer data)
{
    log_in(fixture);
    g_assert_true(fixture->hub->is_receiving);
    g_assert_cmpuint(spoke_delivery_subscribe(spoke_device_get_delivery(fixture->device), "olga",
                                              SPOKE_SUBSCRIBE_OBSERVE, NULL, 0, 0, NULL),
                     !=, 0);

    arrive(fixture, 1, 1);
    g_assert_cmpuint(fixture->hub->verdicts->len, ==, 0);
    wait_until(fixture->delivered->len == 1);

    g_assert_cmpuint(fixture->hub->verdicts->len, ==, 1);
    g_assert_cmpint(verdict(fixture, 0), ==, SPOKE_VERDICT_ACCEPT);
    g_assert_cmpstr(fixture->delivered->pdata[0], ==, "olga c2d-1");
}

static void
on_received(const SpokeDelivered *delivered, const GError *error, gpointer user_data)
{
    g_assert_no_error(error);
    ++*(guint *)user_data;
}

static void
test_arrival_pauses_when_full(Fixture *fixture, gconstpointer data)
{
    guint received = 0;

    log_in(fixture);
    arrive(fixture, 1, 4);
    wait_until(fixture->hub->verdicts->len == 4 && !fixture->hub->is_receiving);
    g_assert_cmpint(spoke_delivery_get_pause(spoke_device_get_delivery(fixture->device)), ==,
                    SPOKE_PAUSE_FULL);

    for (guint i = 0; i < 2; i++)
        g_assert_true(spoke_delivery_receive(spoke_device_get_delivery(fixture->device), "bob", "0",
                                             0, NULL, 0, FALSE, on_received, &received, NULL));
    wait_until(received == 2 && fixture->hub->is_receiving);

    g_assert_cmpuint(fixture->n_changed, >=, 2);
}

static void
test_arrival_is_released_when_too_many(Fixture *fixture, gconstpointer data)
{
    const guint room = 4 + SPOKE_DELIVERY_SLACK_MESSAGES;

    log_in(fixture);
    arrive(fixture, 1, room + 1);
    wait_until(fixture->hub->verdicts->len == room + 1);

    guint released = 0;

    for (guint i = 0; i < fixture->hub->verdicts->len; i++)
        released += verdict(fixture, i) == SPOKE_VERDICT_RELEASE;
    g_assert_cmpuint(released, ==, 1);
}

static void
test_arrival_waits_at_hub_from_start(Fixture *fixture, gconstpointer data)
{
    log_in(fixture);
    arrive(fixture, 1, 4);
    wait_until(fixture->hub->verdicts->len == 4);
    free_device(fixture);
    make_device(fixture);

    log_in(fixture);

    g_assert_false(fixture->hub->is_receiving);
}

static void
test_arrival_on_its_way_ends_with_device(Fixture *fixture, gconstpointer data)
{
    log_in(fixture);
    arrive(fixture, 1, 3);

    free_device(fixture);

    for (guint i = 0; i < fixture->hub->verdicts->len; i++)
        g_assert_cmpint(verdict(fixture, i), !=, SPOKE_VERDICT_ACCEPT);
}

static void
on_rejected(const GError *error, gpointer user_data)
{
    g_assert_no_error(error);
    *(gboolean *)user_data = TRUE;
}

/* A hub that waited for the verdict can't be told any more: nobody else has the message. */
static void
test_arrival_lost_and_rejected_is_a_dead_letter(Fixture *fixture, gconstpointer data)
{
    gboolean is_rejected = FALSE;

    free_device(fixture);
    fixture->module = &fake_transport_for_many;
    make_device(fixture);
    log_in(fixture);
    SpokeDelivery *delivery = spoke_device_get_delivery(fixture->device);
    spoke_delivery_subscribe(delivery, "alice", SPOKE_SUBSCRIBE_HANDLE, NULL,
                             SPOKE_LOCK_MSEC_DEFAULT, 1, NULL);
    arrive(fixture, 1, 1);
    wait_until(fixture->delivered->len == 1);

    fake_transport_closed(SPOKE_CAUSE_NETWORK);
    g_assert_true(spoke_delivery_settle(delivery, "alice", "0", fixture->delivered_id,
                                        SPOKE_SETTLE_REJECT, on_rejected, &is_rejected, NULL));
    wait_until(is_rejected);

    g_assert_cmpuint(spoke_delivery_get_dead_letters(delivery), ==, 1);
    g_assert_cmpuint(fixture->hub->verdicts->len, ==, 0);
}

static void
test_module_receives_nothing(Fixture *fixture, gconstpointer data)
{
    log_in(fixture);

    g_assert_false(fixture->hub->is_receiving);
}

/* Reload, stop */

static void
test_reconfigure_refuses_other_identity(Fixture *fixture, gconstpointer data)
{
    static const struct {
        const char *connection_string;
        const char *text;
    } others[] = {
        {"HostName=other.example;DeviceId=dev1;" KEY,
         "The hub has changed from \"hub.example\" to \"other.example\""},
        {"HostName=hub.example;DeviceId=Dev1;" KEY,
         "The device id has changed from \"dev1\" to \"Dev1\""},
        {"HostName=hub.example;DeviceId=dev2;" KEY,
         "The device id has changed from \"dev1\" to \"dev2\""},
        {"HostName=hub.example;DeviceId=dev1;ModuleId=mod;" KEY,
         "The module id has changed from \"\" to \"mod\""},
    };

    for (guint i = 0; i < G_N_ELEMENTS(others); i++) {
        g_autoptr(SpokeConfig) config = make_config(others[i].connection_string);
        g_autoptr(GError) error = NULL;

        config->outbox.bytes_max = 1;
        g_assert_false(spoke_devices_reconfigure(fixture->devices, config, &error));

        g_assert_error(error, SPOKE_ERROR, SPOKE_ERROR_INVALID_CONFIG);
        g_assert_true(g_str_has_prefix(error->message, others[i].text));
        g_assert_cmpuint(spoke_device_get_queue_bytes_max(fixture->device), ==, 1024 * 1024);
    }
}

/* Host names know no case. */
static void
test_reconfigure_takes_hub_in_other_case(Fixture *fixture, gconstpointer data)
{
    g_autoptr(SpokeConfig) config = make_config("HostName=HUB.example;DeviceId=dev1;" KEY);
    g_autoptr(GError) error = NULL;

    g_assert_true(spoke_devices_reconfigure(fixture->devices, config, &error));

    g_assert_no_error(error);
}

static void
test_reconfigure_applies(Fixture *fixture, gconstpointer data)
{
    g_autoptr(SpokeConfig) config = make_config(SELF);
    g_autoptr(GError) error = NULL;

    config->outbox.bytes_max = 5000;
    config->delivery.messages_max = 1;
    log_in(fixture);
    arrive(fixture, 1, 1);
    wait_until(fixture->hub->verdicts->len == 1);

    g_assert_true(spoke_devices_reconfigure(fixture->devices, config, &error));
    wait_until(!fixture->hub->is_receiving);

    g_assert_cmpuint(spoke_device_get_queue_bytes_max(fixture->device), ==, 5000);
}

static void
on_stopped(gpointer user_data)
{
    ((Fixture *)user_data)->stopped = TRUE;
}

static void
test_stop_drains_and_refuses(Fixture *fixture, gconstpointer data)
{
    g_autoptr(SpokeMessage) late = make_message("m2", "x");
    g_autoptr(GError) error = NULL;

    log_in(fixture);
    send_one(fixture, "m1");
    wait_until(fixture->hub->sent->len == 1);
    spoke_device_flush(fixture->device, FLUSH_USEC, on_flushed, fixture);
    spoke_devices_stop(fixture->devices, PATIENCE_USEC, on_stopped, fixture);
    g_assert_false(spoke_device_send(fixture->device, &late, 1, on_put, fixture, &error));
    g_assert_error(error, SPOKE_ERROR, SPOKE_ERROR_SHUTDOWN);
    g_clear_error(&error);
    g_assert_false(spoke_delivery_receive(spoke_device_get_delivery(fixture->device), "bob", "0", 0,
                                          NULL, 0, FALSE, on_received, NULL, &error));
    g_assert_error(error, SPOKE_ERROR, SPOKE_ERROR_SHUTDOWN);
    g_assert_false(fixture->stopped);

    fake_transport_settled(1, SPOKE_VERDICT_ACCEPT);
    wait_until(fixture->hub->is_closing);
    fake_transport_closed(SPOKE_CAUSE_CLOSED);
    wait_until(fixture->stopped);

    g_assert_cmpint(fixture->flushed, ==, 0);
}

static void
test_stop_without_connection_ends_at_once(Fixture *fixture, gconstpointer data)
{
    send_one(fixture, "m1");
    spoke_device_flush(fixture->device, FLUSH_USEC, on_flushed, fixture);

    spoke_devices_stop(fixture->devices, PATIENCE_USEC, on_stopped, fixture);
    g_assert_false(fixture->stopped);
    wait_until(fixture->stopped);

    g_assert_cmpint(fixture->flushed, ==, 1);
}

/* Messages of an identity that is not served */

typedef struct {
    SpokeDevices *devices;
    GPtrArray *found;
} Strangers;

static void
on_stranger(const char *identity, guint64 queued, guint64 received, gpointer user_data)
{
    const Strangers *strangers = user_data;

    if (!spoke_devices_serve(strangers->devices, identity))
        g_ptr_array_add(strangers->found,
                        g_strdup_printf("%s %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT, identity,
                                        queued, received));
}

static GPtrArray *
find_strangers(Fixture *fixture)
{
    Strangers strangers = {fixture->devices, g_ptr_array_new_with_free_func(g_free)};
    g_autoptr(GError) error = NULL;
    gboolean ok =
        spoke_strangers_find(disk_get_spool(fixture->disk), on_stranger, &strangers, &error);

    g_assert_no_error(error);
    g_assert_true(ok);
    return strangers.found;
}

static void
test_strangers_are_found(Fixture *fixture, gconstpointer data)
{
    log_in(fixture);
    arrive(fixture, 1, 1);
    wait_until(fixture->hub->verdicts->len == 1);
    send_one(fixture, "m1");
    send_one(fixture, "m2");

    switch_identity(fixture, "HostName=hub.example;DeviceId=dev2;" KEY);
    g_autoptr(GPtrArray) found = find_strangers(fixture);

    g_assert_cmpuint(found->len, ==, 1);
    g_assert_cmpstr(found->pdata[0], ==, "hub.example/dev1 2 1");
}

static void
test_strangers_are_not_those_with_nothing(Fixture *fixture, gconstpointer data)
{
    switch_identity(fixture, "HostName=hub.example;DeviceId=dev2;" KEY);
    send_one(fixture, "m1");

    g_autoptr(GPtrArray) found = find_strangers(fixture);

    g_assert_cmpuint(found->len, ==, 0);
}

static void
add(const char *path, void (*test)(Fixture *fixture, gconstpointer data))
{
    g_test_add(path, Fixture, NULL, set_up, test, tear_down);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add("/device/send/reaches-hub", test_send_reaches_hub);
    add("/device/send/waits-for-connection-over-restart",
        test_send_waits_for_connection_over_restart);
    add("/device/send/does-not-go-under-another-identity",
        test_send_does_not_go_under_another_identity);
    add("/device/send/names-bad-message", test_send_names_bad_message);
    add("/device/flush/answers-when-nothing-is-queued", test_flush_answers_when_nothing_is_queued);
    add("/device/flush/waits-until-hub-has-all", test_flush_waits_until_hub_has_all);
    add("/device/flush/times-out", test_flush_times_out);
    add("/device/flush/ends-with-device", test_flush_ends_with_device);
    add("/device/arrival/is-accepted-when-on-disk", test_arrival_is_accepted_when_on_disk);
    add("/device/arrival/pauses-when-full", test_arrival_pauses_when_full);
    add("/device/arrival/is-released-when-too-many", test_arrival_is_released_when_too_many);
    add("/device/arrival/waits-at-hub-from-start", test_arrival_waits_at_hub_from_start);
    add("/device/arrival/on-its-way-ends-with-device", test_arrival_on_its_way_ends_with_device);
    add("/device/arrival/lost-and-rejected-is-a-dead-letter",
        test_arrival_lost_and_rejected_is_a_dead_letter);
    g_test_add("/device/module/receives-nothing", Fixture,
               "HostName=hub.example;DeviceId=dev1;ModuleId=mod;" KEY, set_up,
               test_module_receives_nothing, tear_down);
    add("/device/reconfigure/refuses-other-identity", test_reconfigure_refuses_other_identity);
    add("/device/reconfigure/takes-hub-in-other-case", test_reconfigure_takes_hub_in_other_case);
    add("/device/reconfigure/applies", test_reconfigure_applies);
    add("/device/stop/drains-and-refuses", test_stop_drains_and_refuses);
    add("/device/stop/without-connection-ends-at-once", test_stop_without_connection_ends_at_once);
    add("/strangers/find/lists-them", test_strangers_are_found);
    add("/strangers/find/leaves-out-those-with-nothing", test_strangers_are_not_those_with_nothing);
    return g_test_run();
}
