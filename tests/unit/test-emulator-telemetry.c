/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What arrived: the ring and its bounds, the journal, and the JSON made of it. */

#include "error.h"
#include "journal.h"
#include "json-text.h"
#include "telemetry.h"

#include <gio/gio.h>
#include <glib/gstdio.h>
#include <json-glib/json-glib.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>

typedef struct {
    char *directory;
    char *journal;
    EmuOrigin *origin;
} Fixture;

static void
set_up(Fixture *fixture, gconstpointer data)
{
    fixture->directory = g_dir_make_tmp("emulator-telemetry-XXXXXX", NULL);
    fixture->journal = g_build_filename(fixture->directory, "journal", NULL);
    fixture->origin = emu_origin_new("d", NULL, "7", "dtmi:x;1", "sas");
}

static void
tear_down(Fixture *fixture, gconstpointer data)
{
    (void)g_unlink(fixture->journal);
    (void)g_rmdir(fixture->directory);
    g_free(fixture->directory);
    g_free(fixture->journal);
    emu_origin_unref(fixture->origin);
}

static EmuTelemetry *
make(guint keep, const char *journal)
{
    g_autoptr(GError) error = NULL;
    EmuTelemetry *telemetry = emu_telemetry_new(keep, journal, &error);

    g_assert_no_error(error);
    return telemetry;
}

static void
add(EmuTelemetry *telemetry, EmuOrigin *origin, const char *bag, const void *body, size_t size)
{
    const EmuArrival arrival = {.origin = origin,
                                .bag = bag,
                                .bag_size = strlen(bag),
                                .body = body,
                                .body_size = size,
                                .enqueued_usec = 1893456000123456};

    g_assert_true(emu_telemetry_add(telemetry, &arrival, NULL));
}

static void
add_and_commit(EmuTelemetry *telemetry, EmuOrigin *origin, const char *bag)
{
    add(telemetry, origin, bag, "b", 1);
    g_assert_true(emu_telemetry_commit(telemetry, NULL));
}

static guint
count_readable(EmuTelemetry *telemetry)
{
    EmuMessage message = {0};
    guint n = 0;

    while (emu_telemetry_next(telemetry, message.sequence, NULL, &message))
        n++;
    return n;
}

static void
test_commit_makes_it_readable(Fixture *fixture, gconstpointer data)
{
    g_autoptr(EmuTelemetry) telemetry = make(10, NULL);
    EmuMessage message;

    add(telemetry, fixture->origin, "k=v", "body", 4);
    g_assert_false(emu_telemetry_next(telemetry, 0, NULL, &message));
    g_assert_true(emu_telemetry_commit(telemetry, NULL));

    g_assert_true(emu_telemetry_next(telemetry, 0, NULL, &message));
    g_assert_cmpuint(message.sequence, ==, 1);
    g_assert_cmpmem(message.arrival.bag, message.arrival.bag_size, "k=v", 3);
    g_assert_cmpmem(message.arrival.body, message.arrival.body_size, "body", 4);
    g_assert_cmpuint(emu_telemetry_count(telemetry), ==, 1);
    g_assert_cmpuint(emu_telemetry_bytes(telemetry), ==, 4);
}

static void
test_ring_keeps_the_last(Fixture *fixture, gconstpointer data)
{
    g_autoptr(EmuTelemetry) telemetry = make(3, NULL);
    EmuMessage message;

    for (guint i = 0; i < 10; i++)
        add_and_commit(telemetry, fixture->origin, "");

    g_assert_true(emu_telemetry_next(telemetry, 0, NULL, &message));
    g_assert_cmpuint(message.sequence, ==, 8);
    g_assert_cmpuint(count_readable(telemetry), ==, 3);
    g_assert_cmpuint(emu_telemetry_last(telemetry), ==, 10);
}

static void
test_ring_is_bounded_by_bytes_too(Fixture *fixture, gconstpointer data)
{
    g_autoptr(EmuTelemetry) telemetry = make(10000, NULL);
    g_autofree char *body = g_malloc0(EMU_MESSAGE_BYTES_MAX);

    for (guint i = 0; i < 400; i++) {
        add(telemetry, fixture->origin, "", body, EMU_MESSAGE_BYTES_MAX);
        g_assert_true(emu_telemetry_commit(telemetry, NULL));
    }

    g_assert_cmpuint(count_readable(telemetry), <=,
                     EMU_TELEMETRY_BYTES_MAX / EMU_MESSAGE_BYTES_MAX);
    g_assert_cmpuint(count_readable(telemetry), >=, 250);
}

static void
test_ring_outlives_a_batch_larger_than_itself(Fixture *fixture, gconstpointer data)
{
    g_autoptr(EmuTelemetry) telemetry = make(3, fixture->journal);

    for (guint i = 0; i < 100; i++)
        add(telemetry, fixture->origin, "", "b", 1);
    g_assert_true(emu_telemetry_commit(telemetry, NULL));

    g_assert_cmpuint(count_readable(telemetry), ==, 3);
    g_assert_cmpuint(emu_telemetry_count(telemetry), ==, 100);
    g_assert_cmpuint(emu_telemetry_bytes(telemetry), ==, 100);
}

static void
test_next_picks_one_device(Fixture *fixture, gconstpointer data)
{
    g_autoptr(EmuTelemetry) telemetry = make(10, NULL);
    g_autoptr(EmuOrigin) other = emu_origin_new("e", NULL, "8", NULL, "sas");
    EmuMessage message;

    add_and_commit(telemetry, fixture->origin, "");
    add_and_commit(telemetry, other, "");
    add_and_commit(telemetry, fixture->origin, "");

    g_assert_true(emu_telemetry_next(telemetry, 0, "e", &message));
    g_assert_cmpuint(message.sequence, ==, 2);
    g_assert_false(emu_telemetry_next(telemetry, 2, "e", &message));
}

static void
test_clear_goes_on_counting(Fixture *fixture, gconstpointer data)
{
    g_autoptr(EmuTelemetry) telemetry = make(10, NULL);
    EmuMessage message;

    add_and_commit(telemetry, fixture->origin, "");
    emu_telemetry_clear(telemetry);
    g_assert_cmpuint(count_readable(telemetry), ==, 0);
    add_and_commit(telemetry, fixture->origin, "");

    g_assert_true(emu_telemetry_next(telemetry, 0, NULL, &message));
    g_assert_cmpuint(message.sequence, ==, 2);
}

static void
test_add_refuses_what_is_too_large(Fixture *fixture, gconstpointer data)
{
    g_autoptr(EmuTelemetry) telemetry = make(10, NULL);
    g_autoptr(GError) error = NULL;
    g_autofree char *body = g_malloc0(EMU_MESSAGE_BYTES_MAX);
    EmuArrival arrival = {.origin = fixture->origin,
                          .bag = "%24.mid=12&k=34",
                          .bag_size = 15,
                          .body = body,
                          .body_size = EMU_MESSAGE_BYTES_MAX - 5};

    /* The properties count 5: a system value, an application name and value. */
    g_assert_true(emu_telemetry_add(telemetry, &arrival, NULL));
    arrival.body_size++;
    g_assert_false(emu_telemetry_add(telemetry, &arrival, &error));
    g_assert_error(error, EMU_ERROR, EMU_ERROR_TOO_LARGE);
}

static void
count_call(gpointer user_data)
{
    (*(guint *)user_data)++;
}

static void
test_watch_runs_once_per_commit(Fixture *fixture, gconstpointer data)
{
    g_autoptr(EmuTelemetry) telemetry = make(10, NULL);
    guint calls = 0;
    guint id = emu_telemetry_watch(telemetry, count_call, &calls);

    add(telemetry, fixture->origin, "", "b", 1);
    add_and_commit(telemetry, fixture->origin, "");
    g_assert_true(emu_telemetry_commit(telemetry, NULL));
    g_assert_cmpuint(calls, ==, 1);

    emu_telemetry_unwatch(telemetry, id);
    add_and_commit(telemetry, fixture->origin, "");
    g_assert_cmpuint(calls, ==, 1);
}

static void
test_journal_has_a_line_per_message(Fixture *fixture, gconstpointer data)
{
    g_autoptr(EmuTelemetry) telemetry = make(10, fixture->journal);
    g_autofree char *text = NULL;

    add(telemetry, fixture->origin, "a=b&%24.mid=m%2F1", "hello", 5);
    add(telemetry, fixture->origin, "", "", 0);
    add(telemetry, fixture->origin, "$.mid=x%0Ay%09z", "b", 1);
    g_assert_true(emu_telemetry_commit(telemetry, NULL));

    g_assert_true(g_file_get_contents(fixture->journal, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, "1\td\tm/1\t5\n2\td\t\t0\n3\td\tx%0Ay%09z\t1\n");
}

static void
test_journal_goes_on_after_a_restart(Fixture *fixture, gconstpointer data)
{
    EmuMessage message;

    EmuTelemetry *first = make(10, fixture->journal);
    add_and_commit(first, fixture->origin, "");
    add_and_commit(first, fixture->origin, "");
    emu_telemetry_free(first);
    g_autoptr(EmuTelemetry) second = make(10, fixture->journal);
    add_and_commit(second, fixture->origin, "");

    g_assert_true(emu_telemetry_next(second, 0, NULL, &message));
    g_assert_cmpuint(message.sequence, ==, 3);
}

static void
test_journal_cuts_a_torn_line(Fixture *fixture, gconstpointer data)
{
    g_autofree char *text = NULL;
    guint64 last = 0;

    g_assert_true(g_file_set_contents(fixture->journal, "41\td\t\t1\n42\td\t", -1, NULL));
    g_autoptr(EmuJournal) journal = emu_journal_open(fixture->journal, &last, NULL);

    g_assert_nonnull(journal);
    g_assert_cmpuint(last, ==, 41);
    g_assert_true(g_file_get_contents(fixture->journal, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, "41\td\t\t1\n");
}

/* A file size limit stands in for a full disk: the write stops half way. */
static void
test_journal_failure_takes_the_messages_back(Fixture *fixture, gconstpointer data)
{
    g_autoptr(EmuTelemetry) telemetry = make(10, fixture->journal);
    g_autoptr(GError) error = NULL;
    g_autofree char *text = NULL;
    struct rlimit before;
    EmuMessage message;

    add_and_commit(telemetry, fixture->origin, "");
    signal(SIGXFSZ, SIG_IGN);
    g_assert_cmpint(getrlimit(RLIMIT_FSIZE, &before), ==, 0);
    g_assert_cmpint(
        setrlimit(RLIMIT_FSIZE, &(struct rlimit){.rlim_cur = 10, .rlim_max = before.rlim_max}), ==,
        0);
    add(telemetry, fixture->origin, "", "b", 1);
    add(telemetry, fixture->origin, "", "b", 1);
    gboolean committed = emu_telemetry_commit(telemetry, &error);
    g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &before), ==, 0);

    g_assert_false(committed);
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_FAILED);
    g_assert_cmpuint(count_readable(telemetry), ==, 1);
    g_assert_true(g_file_get_contents(fixture->journal, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, "1\td\t\t1\n");
    add_and_commit(telemetry, fixture->origin, "");
    g_assert_true(emu_telemetry_next(telemetry, 1, NULL, &message));
    g_assert_cmpuint(message.sequence, ==, 2);
}

static JsonNode *
json_of(const EmuMessage *message)
{
    g_autoptr(GString) text = g_string_new(NULL);
    g_autoptr(GError) error = NULL;

    emu_json_append_message(text, message);
    JsonNode *node = json_from_string(text->str, &error);
    g_assert_no_error(error);
    return node;
}

static void
test_json_has_the_hubs_names(Fixture *fixture, gconstpointer data)
{
    static const char bag[] = "%24.mid=m1&%24.ct=text%2Fplain&a=1&n&%22q%22=%5C%0A&a=2";
    const EmuMessage message = {.sequence = 5,
                                .arrival = {.origin = fixture->origin,
                                            .bag = bag,
                                            .bag_size = strlen(bag),
                                            .body = "hé\n",
                                            .body_size = 4,
                                            .enqueued_usec = 1893456000123456,
                                            .flags = EMU_ARRIVAL_RETAIN | EMU_ARRIVAL_WILL}};
    g_autoptr(JsonNode) node = json_of(&message);
    JsonObject *json = json_node_get_object(node);
    JsonObject *system = json_object_get_object_member(json, "systemProperties");
    JsonObject *properties = json_object_get_object_member(json, "properties");

    g_assert_cmpint(json_object_get_int_member(json, "sequence"), ==, 5);
    g_assert_cmpstr(json_object_get_string_member(json, "enqueuedTime"), ==,
                    "2030-01-01T00:00:00.123Z");
    g_assert_cmpstr(json_object_get_string_member(json, "body"), ==, "hé\n");
    g_assert_cmpint(json_object_get_int_member(json, "bodySize"), ==, 4);
    g_assert_false(json_object_get_boolean_member(json, "duplicate"));
    g_assert_cmpstr(json_object_get_string_member(system, "iothub-connection-device-id"), ==, "d");
    g_assert_cmpstr(json_object_get_string_member(system, "iothub-connection-auth-generation-id"),
                    ==, "7");
    g_assert_cmpstr(
        json_object_get_string_member(system, "iothub-connection-auth-method"), ==,
        "{\"scope\":\"device\",\"type\":\"sas\",\"issuer\":\"iothub\",\"acceptingIpFilterRule\":"
        "null}");
    g_assert_cmpstr(json_object_get_string_member(system, "iothub-message-source"), ==,
                    "Telemetry");
    g_assert_cmpstr(json_object_get_string_member(system, "iothub-MessageType"), ==, "Will");
    g_assert_cmpstr(json_object_get_string_member(system, "dt-dataschema"), ==, "dtmi:x;1");
    g_assert_cmpstr(json_object_get_string_member(system, "message-id"), ==, "m1");
    g_assert_cmpstr(json_object_get_string_member(system, "content-type"), ==, "text/plain");
    g_assert_cmpstr(json_object_get_string_member(properties, "a"), ==, "2");
    g_assert_true(json_object_get_null_member(properties, "n"));
    g_assert_cmpstr(json_object_get_string_member(properties, "\"q\""), ==, "\\\n");
    g_assert_cmpstr(json_object_get_string_member(properties, "mqtt-retain"), ==, "true");
}

static void
test_json_keeps_bytes_that_are_no_text(Fixture *fixture, gconstpointer data)
{
    const EmuMessage message = {
        .sequence = 1,
        .arrival = {.origin = fixture->origin, .bag = "", .body = "\xff\0x", .body_size = 3}};
    g_autoptr(JsonNode) node = json_of(&message);
    JsonObject *json = json_node_get_object(node);

    g_assert_cmpstr(json_object_get_string_member(json, "bodyBase64"), ==, "/wB4");
    g_assert_false(json_object_has_member(json, "body"));
}

static void
test(const char *path, void (*func)(Fixture *fixture, gconstpointer data))
{
    g_test_add(path, Fixture, NULL, set_up, func, tear_down);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    test("/telemetry/commit/makes-it-readable", test_commit_makes_it_readable);
    test("/telemetry/ring/keeps-the-last", test_ring_keeps_the_last);
    test("/telemetry/ring/is-bounded-by-bytes-too", test_ring_is_bounded_by_bytes_too);
    test("/telemetry/ring/outlives-a-batch-larger-than-itself",
         test_ring_outlives_a_batch_larger_than_itself);
    test("/telemetry/next/picks-one-device", test_next_picks_one_device);
    test("/telemetry/clear/goes-on-counting", test_clear_goes_on_counting);
    test("/telemetry/add/refuses-what-is-too-large", test_add_refuses_what_is_too_large);
    test("/telemetry/watch/runs-once-per-commit", test_watch_runs_once_per_commit);
    test("/journal/write/has-a-line-per-message", test_journal_has_a_line_per_message);
    test("/journal/open/goes-on-after-a-restart", test_journal_goes_on_after_a_restart);
    test("/journal/open/cuts-a-torn-line", test_journal_cuts_a_torn_line);
    test("/journal/write/failure-takes-the-messages-back",
         test_journal_failure_takes_the_messages_back);
    test("/json-text/message/has-the-hubs-names", test_json_has_the_hubs_names);
    test("/json-text/message/keeps-bytes-that-are-no-text", test_json_keeps_bytes_that_are_no_text);
    return g_test_run();
}
