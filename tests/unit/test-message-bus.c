/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dbus/message-bus.h"

#include "daemon/error.h"
#include "daemon/properties.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * Messages from and to the bus. A call is built as a client would, sealed and read back; it never
 * travels. Malformed bytes, which no client library will build, do travel, over a socket pair.
 */
#define NOW_USEC G_GINT64_CONSTANT(1700000000000000)
#define BUS_ID   "0123456789abcdef0123456789abcdef"

typedef struct {
    sd_bus *bus;
    int peer_fd;
    sd_bus_message *m;
    SpokeMessageReader *reader;
} Fixture;

static void
set_up(Fixture *fixture, gconstpointer data)
{
    int fds[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), ==, 0);
    g_assert_cmpint(sd_bus_new(&fixture->bus), >=, 0);
    g_assert_cmpint(sd_bus_set_fd(fixture->bus, fds[0], fds[0]), >=, 0);
    g_assert_cmpint(sd_bus_start(fixture->bus), >=, 0);
    fixture->peer_fd = fds[1];
    g_assert_cmpint(sd_bus_message_new_method_call(fixture->bus, &fixture->m, "org.spoked1",
                                                   "/org/spoked1/device/self", "org.spoked1.Device",
                                                   "Send"),
                    >=, 0);
    g_assert_cmpint(sd_bus_message_set_sender(fixture->m, ":1.7"), >=, 0);
    fixture->reader = spoke_message_reader_new(BUS_ID);
}

static void
tear_down(Fixture *fixture, gconstpointer data)
{
    spoke_message_reader_free(fixture->reader);
    sd_bus_message_unref(fixture->m);
    sd_bus_close(fixture->bus);
    sd_bus_unref(fixture->bus);
    (void)close(fixture->peer_fd);
}

static void
seal(Fixture *fixture)
{
    g_assert_cmpint(sd_bus_message_seal(fixture->m, 1, 0), >=, 0);
    g_assert_cmpint(sd_bus_message_rewind(fixture->m, 1), >=, 0);
}

static SpokeMessage *
read_text(Fixture *fixture, GError **error)
{
    seal(fixture);
    return spoke_message_reader_read(fixture->reader, fixture->m, SPOKE_BODY_TEXT, NOW_USEC, error);
}

static SpokeMessage *
assert_reads(Fixture *fixture)
{
    g_autoptr(GError) error = NULL;
    SpokeMessage *message = read_text(fixture, &error);

    g_assert_no_error(error);
    g_assert_nonnull(message);
    return message;
}

static void
assert_refused(Fixture *fixture, int code, const char *part)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(SpokeMessage) message = read_text(fixture, &error);

    g_assert_null(message);
    g_assert_error(error, SPOKE_ERROR, code);
    g_assert_nonnull(strstr(error->message, part));
    g_assert_true(g_utf8_validate(error->message, -1, NULL));
}

/* One option of any type: @signature and values as for sd_bus_message_append(). */
#define APPEND_OPTION(fixture, name, ...)                                                          \
    g_assert_cmpint(                                                                               \
        sd_bus_message_append((fixture)->m, "sa{ss}a{sv}", "hello", 0, 1, name, __VA_ARGS__), >=,  \
        0)

static void
test_read_packs_body_and_properties(Fixture *fixture, gconstpointer data)
{
    const guint8 body[] = {0, 1, 255};
    g_autoptr(GError) error = NULL;

    g_assert_cmpint(sd_bus_message_append_array(fixture->m, 'y', body, sizeof body), >=, 0);
    g_assert_cmpint(sd_bus_message_append(fixture->m, "a{ss}a{sv}", 2, "room", "küche", "", "", 0),
                    >=, 0);
    seal(fixture);
    g_autoptr(SpokeMessage) message =
        spoke_message_reader_read(fixture->reader, fixture->m, SPOKE_BODY_BYTES, NOW_USEC, &error);

    g_assert_no_error(error);
    g_assert_cmpmem(spoke_message_body(message), message->body_size, body, sizeof body);
    g_assert_cmpmem(spoke_message_properties(message), message->properties_size, "room\0küche\0\0",
                    14);
    g_assert_cmpuint(message->system_size, ==, 0);
    g_assert_cmpint(message->lane, ==, SPOKE_LANE_NORMAL);
    g_assert_cmpint(message->durability, ==, SPOKE_DURABILITY_SYNCED);
    g_assert_cmpint(message->ttl_usec, ==, 0);
    g_assert_null(message->notify);
}

static void
test_read_takes_every_option(Fixture *fixture, gconstpointer data)
{
    g_assert_cmpint(
        sd_bus_message_append(fixture->m, "sa{ss}a{sv}", "hello", 0, 11, "message-id", "s", "m-1",
                              "correlation-id", "s", "c-1", "user-id", "s", "alice", "content-type",
                              "s", "text/plain", "content-encoding", "s", "utf-8", "creation-time",
                              "t", (uint64_t)NOW_USEC - 1, "expiry", "t",
                              (uint64_t)NOW_USEC + 5000000, "ttl", "t", (uint64_t)9000, "priority",
                              "s", "urgent", "durability", "s", "flushed", "notify", "b", 1),
        >=, 0);

    g_autoptr(SpokeMessage) message = assert_reads(fixture);

    g_assert_cmpmem(spoke_message_body(message), message->body_size, "hello", 5);
    g_assert_cmpstr(spoke_message_lookup_system(message, "message-id"), ==, "m-1");
    g_assert_cmpstr(spoke_message_lookup_system(message, "correlation-id"), ==, "c-1");
    g_assert_cmpstr(spoke_message_lookup_system(message, "user-id"), ==, "alice");
    g_assert_cmpstr(spoke_message_lookup_system(message, "content-type"), ==, "text/plain");
    g_assert_cmpstr(spoke_message_lookup_system(message, "content-encoding"), ==, "utf-8");
    g_assert_cmpstr(spoke_message_lookup_system(message, "creation-time"), ==, "1699999999999999");
    g_assert_cmpstr(spoke_message_lookup_system(message, "expiry"), ==, "1700000005000000");
    g_assert_null(spoke_message_lookup_system(message, "ttl"));
    g_assert_cmpint(message->ttl_usec, ==, 5000000);
    g_assert_cmpint(message->lane, ==, SPOKE_LANE_URGENT);
    g_assert_cmpint(message->durability, ==, SPOKE_DURABILITY_FLUSHED);
    g_assert_cmpstr(message->notify, ==, BUS_ID "/:1.7");
    g_autoptr(GError) error = NULL;
    g_assert_true(spoke_message_check(message, &error));
}

static void
test_read_lets_the_earlier_end_count(Fixture *fixture, gconstpointer data)
{
    g_assert_cmpint(sd_bus_message_append(fixture->m, "sa{ss}a{sv}", "", 0, 2, "expiry", "t",
                                          (uint64_t)NOW_USEC + 5000000, "ttl", "t", (uint64_t)1000),
                    >=, 0);

    g_autoptr(SpokeMessage) message = assert_reads(fixture);

    g_assert_cmpint(message->ttl_usec, ==, 1000000);
}

static void
test_read_takes_false_notify(Fixture *fixture, gconstpointer data)
{
    APPEND_OPTION(fixture, "notify", "b", 0);

    g_autoptr(SpokeMessage) message = assert_reads(fixture);

    g_assert_null(message->notify);
}

static void
test_read_takes_volatile_and_normal(Fixture *fixture, gconstpointer data)
{
    g_assert_cmpint(sd_bus_message_append(fixture->m, "sa{ss}a{sv}", "", 0, 2, "durability", "s",
                                          "volatile", "priority", "s", "normal"),
                    >=, 0);

    g_autoptr(SpokeMessage) message = assert_reads(fixture);

    g_assert_cmpint(message->durability, ==, SPOKE_DURABILITY_VOLATILE);
    g_assert_cmpint(message->lane, ==, SPOKE_LANE_NORMAL);
}

static void
append_ttl(Fixture *fixture, char type, gint64 value)
{
    char signature[2] = {type, '\0'};

    /* Integers narrower than int are passed as int. */
    if (strchr("xt", type))
        APPEND_OPTION(fixture, "ttl", signature, value);
    else
        APPEND_OPTION(fixture, "ttl", signature, (int)value);
}

static void
test_read_takes_integers_of_any_width(Fixture *fixture, gconstpointer data)
{
    append_ttl(fixture, *(const char *)data, 100);

    g_autoptr(SpokeMessage) message = assert_reads(fixture);

    g_assert_cmpint(message->ttl_usec, ==, 100000);
}

static void
test_read_refuses_negative_ttl(Fixture *fixture, gconstpointer data)
{
    append_ttl(fixture, *(const char *)data, -100);
    assert_refused(fixture, SPOKE_ERROR_INVALID_OPTION, "-100");
}

static void
test_read_refuses_least_ttl(Fixture *fixture, gconstpointer data)
{
    append_ttl(fixture, 'x', G_MININT64);
    assert_refused(fixture, SPOKE_ERROR_INVALID_OPTION, "-9223372036854775808");
}

static void
test_read_refuses_zero_ttl(Fixture *fixture, gconstpointer data)
{
    append_ttl(fixture, 't', 0);
    assert_refused(fixture, SPOKE_ERROR_INVALID_OPTION, "ttl");
}

static void
test_read_refuses_endless_ttl(Fixture *fixture, gconstpointer data)
{
    append_ttl(fixture, 't', -1);
    assert_refused(fixture, SPOKE_ERROR_INVALID_OPTION, "18446744073709551615");
}

static void
test_read_refuses_past_expiry(Fixture *fixture, gconstpointer data)
{
    APPEND_OPTION(fixture, "expiry", "t", (uint64_t)NOW_USEC - 2000);
    assert_refused(fixture, SPOKE_ERROR_INVALID_OPTION,
                   "is 1699999999998000 (2023-11-14T22:13:19.998Z), which is in the past: now is "
                   "1700000000000000 (2023-11-14T22:13:20.000Z)");
}

static void
test_read_refuses_expiry_in_seconds(Fixture *fixture, gconstpointer data)
{
    APPEND_OPTION(fixture, "expiry", "t", (uint64_t)NOW_USEC / 1000000 + 60);
    assert_refused(fixture, SPOKE_ERROR_INVALID_OPTION, "in the past");
}

static void
test_read_refuses_expiry_after_year_9999(Fixture *fixture, gconstpointer data)
{
    APPEND_OPTION(fixture, "expiry", "t", G_GUINT64_CONSTANT(253402300800000000));
    assert_refused(fixture, SPOKE_ERROR_INVALID_OPTION, "expiry");
}

static void
test_read_refuses_unknown_option(Fixture *fixture, gconstpointer data)
{
    APPEND_OPTION(fixture, "colour", "s", "red");
    assert_refused(fixture, SPOKE_ERROR_UNKNOWN_OPTION, "\"colour\"");
}

static void
test_read_refuses_unknown_option_of_any_shape(Fixture *fixture, gconstpointer data)
{
    APPEND_OPTION(fixture, "x", "a{s(av)}", 1, "y", 1, "v", "s", "z");
    assert_refused(fixture, SPOKE_ERROR_UNKNOWN_OPTION, "\"x\"");
}

static void
test_read_shortens_long_option_names(Fixture *fixture, gconstpointer data)
{
    g_autofree char *name = g_strnfill(100000, 'n');
    g_autoptr(GError) error = NULL;

    APPEND_OPTION(fixture, name, "s", "");
    g_autoptr(SpokeMessage) message = read_text(fixture, &error);

    g_assert_null(message);
    g_assert_error(error, SPOKE_ERROR, SPOKE_ERROR_UNKNOWN_OPTION);
    g_assert_cmpuint(strlen(error->message), <, 400);
}

static void
test_read_refuses_empty_option_name(Fixture *fixture, gconstpointer data)
{
    APPEND_OPTION(fixture, "", "s", "");
    assert_refused(fixture, SPOKE_ERROR_UNKNOWN_OPTION, "\"\"");
}

static void
test_read_refuses_option_given_twice(Fixture *fixture, gconstpointer data)
{
    g_assert_cmpint(sd_bus_message_append(fixture->m, "sa{ss}a{sv}", "", 0, 2, "ttl", "t",
                                          (uint64_t)5, "ttl", "t", (uint64_t)6),
                    >=, 0);
    assert_refused(fixture, SPOKE_ERROR_INVALID_OPTION, "twice");
}

static void
test_read_refuses_number_as_text(Fixture *fixture, gconstpointer data)
{
    APPEND_OPTION(fixture, "ttl", "s", "5");
    assert_refused(fixture, SPOKE_ERROR_INVALID_OPTION, "type s, it needs t");
}

static void
test_read_refuses_fraction(Fixture *fixture, gconstpointer data)
{
    APPEND_OPTION(fixture, "ttl", "d", 5.0);
    assert_refused(fixture, SPOKE_ERROR_INVALID_OPTION, "type d, it needs t");
}

static void
test_read_refuses_text_as_number(Fixture *fixture, gconstpointer data)
{
    APPEND_OPTION(fixture, "content-type", "u", 5);
    assert_refused(fixture, SPOKE_ERROR_INVALID_OPTION, "type u, it needs s");
}

static void
test_read_refuses_flag_as_text(Fixture *fixture, gconstpointer data)
{
    APPEND_OPTION(fixture, "notify", "s", "yes");
    assert_refused(fixture, SPOKE_ERROR_INVALID_OPTION, "type s, it needs b");
}

static void
test_read_refuses_nested_variant(Fixture *fixture, gconstpointer data)
{
    APPEND_OPTION(fixture, "message-id", "v", "s", "m");
    assert_refused(fixture, SPOKE_ERROR_INVALID_OPTION, "type v, it needs s");
}

static void
test_read_refuses_unknown_choice(Fixture *fixture, gconstpointer data)
{
    APPEND_OPTION(fixture, "priority", "s", "high\n");
    assert_refused(fixture, SPOKE_ERROR_INVALID_OPTION, "\"high?\", it can be one of: urgent");
}

static void
test_read_refuses_empty_text(Fixture *fixture, gconstpointer data)
{
    APPEND_OPTION(fixture, "message-id", "s", "");
    assert_refused(fixture, SPOKE_ERROR_INVALID_OPTION, "message-id");
}

static void
test_read_refuses_long_message_id(Fixture *fixture, gconstpointer data)
{
    g_autofree char *id = g_strnfill(129, 'i');

    APPEND_OPTION(fixture, "message-id", "s", id);
    assert_refused(fixture, SPOKE_ERROR_INVALID_OPTION, "129");
}

static void
test_read_refuses_long_user_id(Fixture *fixture, gconstpointer data)
{
    g_autofree char *id = g_strnfill(1025, 'i');

    APPEND_OPTION(fixture, "user-id", "s", id);
    assert_refused(fixture, SPOKE_ERROR_INVALID_OPTION, "1025");
}

static void
test_read_refuses_large_body(Fixture *fixture, gconstpointer data)
{
    g_autofree char *body = g_strnfill(SPOKE_MESSAGE_BYTES_MAX + 1, 'b');

    g_assert_cmpint(sd_bus_message_append(fixture->m, "sa{ss}a{sv}", body, 0, 0), >=, 0);
    assert_refused(fixture, SPOKE_ERROR_TOO_LARGE, "262145");
}

static void
append_properties(Fixture *fixture, guint n, const char *value)
{
    g_assert_cmpint(sd_bus_message_append(fixture->m, "s", ""), >=, 0);
    g_assert_cmpint(sd_bus_message_open_container(fixture->m, 'a', "{ss}"), >=, 0);
    for (guint i = 0; i < n; i++) {
        g_autofree char *name = g_strdup_printf("n%u", i);
        g_assert_cmpint(sd_bus_message_append(fixture->m, "{ss}", name, value), >=, 0);
    }
    g_assert_cmpint(sd_bus_message_close_container(fixture->m), >=, 0);
    g_assert_cmpint(sd_bus_message_append(fixture->m, "a{sv}", 0), >=, 0);
}

static void
test_read_refuses_a_property_given_twice(Fixture *fixture, gconstpointer data)
{
    g_assert_cmpint(sd_bus_message_append(fixture->m, "sa{ss}a{sv}", "", 3, "a", "1", "room", "1",
                                          "room", "2", 0),
                    >=, 0);
    assert_refused(fixture, SPOKE_ERROR_INVALID_PROPERTY, "Property \"room\" is given twice");
}

/* Beyond the few that are compared one by one */
static void
test_read_refuses_one_of_many_properties_given_twice(Fixture *fixture, gconstpointer data)
{
    g_assert_cmpint(sd_bus_message_append(fixture->m, "s", ""), >=, 0);
    g_assert_cmpint(sd_bus_message_open_container(fixture->m, 'a', "{ss}"), >=, 0);
    for (guint i = 0; i < 200; i++) {
        g_autofree char *name = g_strdup_printf("n%u", i < 199 ? i : 3);
        g_assert_cmpint(sd_bus_message_append(fixture->m, "{ss}", name, "v"), >=, 0);
    }
    g_assert_cmpint(sd_bus_message_close_container(fixture->m), >=, 0);
    g_assert_cmpint(sd_bus_message_append(fixture->m, "a{sv}", 0), >=, 0);
    assert_refused(fixture, SPOKE_ERROR_INVALID_PROPERTY, "Property \"n3\" is given twice");
}

static void
test_read_takes_as_many_properties_as_allowed(Fixture *fixture, gconstpointer data)
{
    append_properties(fixture, SPOKE_PROPERTIES_MAX, "v");

    g_autoptr(SpokeMessage) message = assert_reads(fixture);

    g_autoptr(GError) error = NULL;
    g_assert_true(spoke_message_check(message, &error));
}

static void
test_read_refuses_thousands_of_properties(Fixture *fixture, gconstpointer data)
{
    append_properties(fixture, 5000, "v");
    assert_refused(fixture, SPOKE_ERROR_INVALID_PROPERTY, "512");
}

static void
test_read_refuses_megabytes_of_properties(Fixture *fixture, gconstpointer data)
{
    g_autofree char *value = g_strnfill(100000, 'v');

    append_properties(fixture, 30, value);
    assert_refused(fixture, SPOKE_ERROR_TOO_LARGE, "262144");
}

static void
test_read_forgets_a_refused_message(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(sd_bus_message) good = NULL;

    g_assert_cmpint(sd_bus_message_append(fixture->m, "sa{ss}a{sv}", "", 1, "a", "b", 2,
                                          "message-id", "s", "m", "ttl", "s", ""),
                    >=, 0);
    assert_refused(fixture, SPOKE_ERROR_INVALID_OPTION, "ttl");
    g_assert_cmpint(
        sd_bus_message_new_method_call(fixture->bus, &good, "org.spoked1", "/", "a.b", "Send"), >=,
        0);
    g_assert_cmpint(sd_bus_message_append(good, "sa{ss}a{sv}", "", 0, 0), >=, 0);
    g_assert_cmpint(sd_bus_message_seal(good, 2, 0), >=, 0);
    g_autoptr(SpokeMessage) message =
        spoke_message_reader_read(fixture->reader, good, SPOKE_BODY_TEXT, NOW_USEC, &error);

    g_assert_no_error(error);
    g_assert_cmpuint(message->properties_size, ==, 0);
    g_assert_cmpuint(message->system_size, ==, 0);
}

static void
append_batch(Fixture *fixture, guint n, const char *option)
{
    g_assert_cmpint(sd_bus_message_open_container(fixture->m, 'a', "(aya{ss}a{sv})"), >=, 0);
    for (guint i = 0; i < n; i++)
        g_assert_cmpint(sd_bus_message_append(fixture->m, "(aya{ss}a{sv})", 1, i & 0xff, 1, "k",
                                              "v", option && i == n - 1 ? 1 : 0, option, "s", ""),
                        >=, 0);
    g_assert_cmpint(sd_bus_message_close_container(fixture->m), >=, 0);
    seal(fixture);
}

static void
assert_batch_refused(Fixture *fixture, int code, const char *part)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) messages =
        spoke_message_reader_read_batch(fixture->reader, fixture->m, NOW_USEC, &error);

    g_assert_null(messages);
    g_assert_error(error, SPOKE_ERROR, code);
    g_assert_nonnull(strstr(error->message, part));
}

static void
test_batch_keeps_the_order(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    append_batch(fixture, SPOKE_BATCH_MAX, NULL);
    g_autoptr(GPtrArray) messages =
        spoke_message_reader_read_batch(fixture->reader, fixture->m, NOW_USEC, &error);

    g_assert_no_error(error);
    g_assert_cmpuint(messages->len, ==, SPOKE_BATCH_MAX);
    for (guint i = 0; i < messages->len; i++) {
        const SpokeMessage *message = messages->pdata[i];
        g_assert_cmpuint(message->body_size, ==, 1);
        g_assert_cmpuint((guint8)spoke_message_body(message)[0], ==, i & 0xff);
    }
}

static void
test_batch_refuses_none(Fixture *fixture, gconstpointer data)
{
    append_batch(fixture, 0, NULL);
    assert_batch_refused(fixture, SPOKE_ERROR_INVALID_ARGUMENT, "none");
}

static void
test_batch_refuses_too_many(Fixture *fixture, gconstpointer data)
{
    append_batch(fixture, SPOKE_BATCH_MAX + 1, NULL);
    assert_batch_refused(fixture, SPOKE_ERROR_INVALID_ARGUMENT, "1024");
}

static void
test_batch_names_the_message_at_fault(Fixture *fixture, gconstpointer data)
{
    append_batch(fixture, 3, "colour");
    assert_batch_refused(fixture, SPOKE_ERROR_UNKNOWN_OPTION, "messages[2]: ");
}

static void
test_write_gives_what_the_message_has(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GByteArray) system = g_byte_array_new();
    g_autoptr(GByteArray) properties = g_byte_array_new();
    const char *id = NULL;
    const char *name = NULL;
    const char *value = NULL;
    const char *text = NULL;
    const void *body = NULL;
    size_t size = 0;
    uint64_t number = 0;
    uint32_t count = 0;

    spoke_properties_append(system, "message-id", "m-1");
    spoke_properties_append(system, "expiry", "1700000000000001");
    spoke_properties_append(properties, "k", "ü");
    g_autoptr(SpokeMessage) message =
        spoke_message_new(system->data, system->len, properties->data, properties->len, "\0b", 2);
    message->id = 42;
    const SpokeDelivered delivered = {
        .message = message,
        .received_usec = NOW_USEC,
        .delivery_count = 3,
        .subscription = 9,
        .mode = SPOKE_SUBSCRIBE_HANDLE,
        .lock_msec = 60000,
    };

    g_assert_cmpint(spoke_message_write(fixture->m, &delivered), >=, 0);
    seal(fixture);

    g_assert_cmpstr(sd_bus_message_get_signature(fixture->m, 1), ==, "saya{ss}a{sv}");
    g_assert_cmpint(sd_bus_message_read(fixture->m, "s", &id), >, 0);
    g_assert_cmpstr(id, ==, "42");
    g_assert_cmpint(sd_bus_message_read_array(fixture->m, 'y', &body, &size), >, 0);
    g_assert_cmpmem(body, size, "\0b", 2);
    g_assert_cmpint(sd_bus_message_read(fixture->m, "a{ss}", 1, &name, &value), >, 0);
    g_assert_cmpstr(name, ==, "k");
    g_assert_cmpstr(value, ==, "ü");
    g_assert_cmpint(sd_bus_message_enter_container(fixture->m, 'a', "{sv}"), >, 0);
    g_assert_cmpint(sd_bus_message_read(fixture->m, "{sv}", &name, "s", &text), >, 0);
    g_assert_cmpstr(name, ==, "message-id");
    g_assert_cmpstr(text, ==, "m-1");
    g_assert_cmpint(sd_bus_message_read(fixture->m, "{sv}", &name, "t", &number), >, 0);
    g_assert_cmpstr(name, ==, "expiry");
    g_assert_cmpuint(number, ==, 1700000000000001);
    g_assert_cmpint(sd_bus_message_read(fixture->m, "{sv}", &name, "t", &number), >, 0);
    g_assert_cmpstr(name, ==, "received-time");
    g_assert_cmpuint(number, ==, NOW_USEC);
    g_assert_cmpint(sd_bus_message_read(fixture->m, "{sv}", &name, "u", &count), >, 0);
    g_assert_cmpstr(name, ==, "delivery-count");
    g_assert_cmpuint(count, ==, 3);
    g_assert_cmpint(sd_bus_message_read(fixture->m, "{sv}", &name, "u", &count), >, 0);
    g_assert_cmpstr(name, ==, "subscription");
    g_assert_cmpuint(count, ==, 9);
    g_assert_cmpint(sd_bus_message_read(fixture->m, "{sv}", &name, "s", &text), >, 0);
    g_assert_cmpstr(name, ==, "mode");
    g_assert_cmpstr(text, ==, "handle");
    g_assert_cmpint(sd_bus_message_read(fixture->m, "{sv}", &name, "t", &number), >, 0);
    g_assert_cmpstr(name, ==, "lock");
    g_assert_cmpuint(number, ==, 60000);
    g_assert_cmpint(sd_bus_message_at_end(fixture->m, 0), >, 0);
}

/* The hub passes them on, older rows of the inbox hold them: they must not keep a message back. */
static void
test_write_replaces_noncharacters(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GByteArray) system = g_byte_array_new();
    g_autoptr(GByteArray) properties = g_byte_array_new();
    const char *name = NULL;
    const char *value = NULL;

    spoke_properties_append(system, "correlation-id", "\xef\xb7\x90");
    spoke_properties_append(properties, "k\xef\xbf\xbf", "\xef\xbf\xbe!");
    g_autoptr(SpokeMessage) message =
        spoke_message_new(system->data, system->len, properties->data, properties->len, "b", 1);
    message->id = 42;

    g_assert_cmpint(spoke_message_write(fixture->m, &(SpokeDelivered){.message = message}), >=, 0);
    seal(fixture);

    g_assert_cmpint(sd_bus_message_skip(fixture->m, "say"), >, 0);
    g_assert_cmpint(sd_bus_message_read(fixture->m, "a{ss}", 1, &name, &value), >, 0);
    g_assert_cmpstr(name, ==, "k\ufffd");
    g_assert_cmpstr(value, ==, "\ufffd!");
    g_assert_cmpint(sd_bus_message_enter_container(fixture->m, 'a', "{sv}"), >, 0);
    g_assert_cmpint(sd_bus_message_read(fixture->m, "{sv}", &name, "s", &value), >, 0);
    g_assert_cmpstr(name, ==, "correlation-id");
    g_assert_cmpstr(value, ==, "\ufffd");
}

static void
test_write_says_why_a_letter_is_dead(Fixture *fixture, gconstpointer data)
{
    const char *name = NULL;
    const char *text = NULL;
    g_autoptr(SpokeMessage) message = spoke_message_new(NULL, 0, NULL, 0, NULL, 0);
    const SpokeDelivered delivered = {.message = message, .dead = SPOKE_DEAD_DELIVERY_COUNT};

    message->id = 1;
    g_assert_cmpint(spoke_message_write(fixture->m, &delivered), >=, 0);
    seal(fixture);

    g_assert_cmpint(sd_bus_message_skip(fixture->m, "saya{ss}"), >, 0);
    g_assert_cmpint(sd_bus_message_enter_container(fixture->m, 'a', "{sv}"), >, 0);
    g_assert_cmpint(sd_bus_message_skip(fixture->m, "{sv}{sv}"), >, 0);
    g_assert_cmpint(sd_bus_message_read(fixture->m, "{sv}", &name, "s", &text), >, 0);
    g_assert_cmpstr(name, ==, "dead-letter");
    g_assert_cmpstr(text, ==, "delivery-count");
    g_assert_cmpint(sd_bus_message_at_end(fixture->m, 0), >, 0);
}

static void
test_parse_id_takes_only_its_own_form(void)
{
    static const char *const strange[] = {
        "",    "0",  "-1",  "+1", " 1",  "1 ",  "01",
        "0x1", "1a", "one", "٣",  "1.0", "1e3", "99999999999999999999"};
    guint64 id = 0;

    g_assert_true(spoke_message_parse_id("18446744073709551615", &id));
    g_assert_cmpuint(id, ==, G_MAXUINT64);
    g_assert_true(spoke_message_parse_id("1", &id));
    g_assert_cmpuint(id, ==, 1);
    for (guint i = 0; i < G_N_ELEMENTS(strange); i++)
        g_assert_false(spoke_message_parse_id(strange[i], &id));
    g_assert_cmpuint(id, ==, 1);
}

static void
test_notify_name_is_of_this_bus_only(void)
{
    g_assert_cmpstr(spoke_message_notify_name(BUS_ID "/:1.7", BUS_ID), ==, ":1.7");
    g_assert_null(spoke_message_notify_name("ffffffffffffffffffffffffffffffff/:1.7", BUS_ID));
    g_assert_null(spoke_message_notify_name("", BUS_ID));
    g_assert_null(spoke_message_notify_name(BUS_ID, BUS_ID));
    g_assert_null(spoke_message_notify_name(BUS_ID "/", BUS_ID));
    g_assert_null(spoke_message_notify_name(BUS_ID "/org.spoked1", BUS_ID));
}

static int
on_malformed(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
    Fixture *fixture = userdata;
    g_autoptr(GError) error = NULL;

    if (!sd_bus_message_is_method_call(m, NULL, "Send"))
        return 0;
    g_autoptr(SpokeMessage) message =
        spoke_message_reader_read(fixture->reader, m, SPOKE_BODY_TEXT, NOW_USEC, &error);
    g_assert_null(message);
    g_assert_error(error, SPOKE_ERROR, SPOKE_ERROR_INVALID_ARGUMENT);
    fixture->m = sd_bus_message_unref(fixture->m);
    return 1;
}

/* What dbus-daemon would never pass on, but dbus-broker, which does not look into bodies, does. */
static void
test_read_refuses_malformed_bytes(Fixture *fixture, gconstpointer data)
{
    static const guint8 head[] = {'l', 1, 0, 1};
    static const guint8 fields[] = {
        1, 1, 'o', 0, 2,  0,   0,   0,   '/', 'a', 0,   0,   0,   0,   0,   0,      /* path */
        3, 1, 's', 0, 4,  0,   0,   0,   'S', 'e', 'n', 'd', 0,   0,   0,   0,      /* member */
        8, 1, 'g', 0, 11, 's', 'a', '{', 's', 's', '}', 'a', '{', 's', 'v', '}', 0, /* signature */
    };
    const char *body = data;
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    guint32 numbers[3] = {12, 1, sizeof fields};
    static const char greeting[] = "\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n";
    g_autoptr(sd_bus_slot) slot = NULL;

    g_byte_array_append(bytes, (const guint8 *)greeting, sizeof greeting - 1);
    g_byte_array_append(bytes, head, sizeof head);
    g_byte_array_append(bytes, (const guint8 *)numbers, sizeof numbers);
    g_byte_array_append(bytes, fields, sizeof fields);
    while (bytes->len % 8 != (sizeof greeting - 1) % 8)
        g_byte_array_append(bytes, (const guint8 *)"", 1);
    g_byte_array_append(bytes, (const guint8 *)body, 12);

    int fds[2];
    g_autoptr(sd_bus) server = NULL;
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), ==, 0);
    g_assert_cmpint(sd_bus_new(&server), >=, 0);
    g_assert_cmpint(sd_bus_set_fd(server, fds[0], fds[0]), >=, 0);
    g_assert_cmpint(sd_bus_set_server(server, 1, (sd_id128_t){.bytes = {1}}), >=, 0);
    g_assert_cmpint(sd_bus_start(server), >=, 0);
    g_assert_cmpint(sd_bus_add_filter(server, &slot, on_malformed, fixture), >=, 0);
    g_assert_cmpint(write(fds[1], bytes->data, bytes->len), ==, (gssize)bytes->len);
    for (guint i = 0; i < 50 && fixture->m; i++) {
        int r = sd_bus_process(server, NULL);
        g_assert_cmpint(r, >=, 0);
        if (r == 0)
            g_assert_cmpint(sd_bus_wait(server, 5000000), >=, 0);
    }

    g_assert_null(fixture->m);
    sd_bus_close(server);
    (void)close(fds[1]);
}

#define ADD(path, test, data) g_test_add(path, Fixture, data, set_up, test, tear_down)

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);

    ADD("/message-bus/read/packs-body-and-properties", test_read_packs_body_and_properties, NULL);
    ADD("/message-bus/read/takes-every-option", test_read_takes_every_option, NULL);
    ADD("/message-bus/read/lets-the-earlier-end-count", test_read_lets_the_earlier_end_count, NULL);
    ADD("/message-bus/read/takes-false-notify", test_read_takes_false_notify, NULL);
    ADD("/message-bus/read/takes-volatile-and-normal", test_read_takes_volatile_and_normal, NULL);
    ADD("/message-bus/read/takes-bytes-as-integer", test_read_takes_integers_of_any_width, "y");
    ADD("/message-bus/read/takes-int16", test_read_takes_integers_of_any_width, "n");
    ADD("/message-bus/read/takes-uint16", test_read_takes_integers_of_any_width, "q");
    ADD("/message-bus/read/takes-int32", test_read_takes_integers_of_any_width, "i");
    ADD("/message-bus/read/takes-uint32", test_read_takes_integers_of_any_width, "u");
    ADD("/message-bus/read/takes-int64", test_read_takes_integers_of_any_width, "x");
    ADD("/message-bus/read/takes-uint64", test_read_takes_integers_of_any_width, "t");
    ADD("/message-bus/read/refuses-negative-int16", test_read_refuses_negative_ttl, "n");
    ADD("/message-bus/read/refuses-negative-int32", test_read_refuses_negative_ttl, "i");
    ADD("/message-bus/read/refuses-negative-int64", test_read_refuses_negative_ttl, "x");
    ADD("/message-bus/read/refuses-least-ttl", test_read_refuses_least_ttl, NULL);
    ADD("/message-bus/read/refuses-zero-ttl", test_read_refuses_zero_ttl, NULL);
    ADD("/message-bus/read/refuses-endless-ttl", test_read_refuses_endless_ttl, NULL);
    ADD("/message-bus/read/refuses-past-expiry", test_read_refuses_past_expiry, NULL);
    ADD("/message-bus/read/refuses-expiry-in-seconds", test_read_refuses_expiry_in_seconds, NULL);
    ADD("/message-bus/read/refuses-expiry-after-year-9999",
        test_read_refuses_expiry_after_year_9999, NULL);
    ADD("/message-bus/read/refuses-unknown-option", test_read_refuses_unknown_option, NULL);
    ADD("/message-bus/read/refuses-unknown-option-of-any-shape",
        test_read_refuses_unknown_option_of_any_shape, NULL);
    ADD("/message-bus/read/shortens-long-option-names", test_read_shortens_long_option_names, NULL);
    ADD("/message-bus/read/refuses-empty-option-name", test_read_refuses_empty_option_name, NULL);
    ADD("/message-bus/read/refuses-a-property-given-twice",
        test_read_refuses_a_property_given_twice, NULL);
    ADD("/message-bus/read/refuses-one-of-many-properties-given-twice",
        test_read_refuses_one_of_many_properties_given_twice, NULL);
    ADD("/message-bus/read/refuses-option-given-twice", test_read_refuses_option_given_twice, NULL);
    ADD("/message-bus/read/refuses-number-as-text", test_read_refuses_number_as_text, NULL);
    ADD("/message-bus/read/refuses-fraction", test_read_refuses_fraction, NULL);
    ADD("/message-bus/read/refuses-text-as-number", test_read_refuses_text_as_number, NULL);
    ADD("/message-bus/read/refuses-flag-as-text", test_read_refuses_flag_as_text, NULL);
    ADD("/message-bus/read/refuses-nested-variant", test_read_refuses_nested_variant, NULL);
    ADD("/message-bus/read/refuses-unknown-choice", test_read_refuses_unknown_choice, NULL);
    ADD("/message-bus/read/refuses-empty-text", test_read_refuses_empty_text, NULL);
    ADD("/message-bus/read/refuses-long-message-id", test_read_refuses_long_message_id, NULL);
    ADD("/message-bus/read/refuses-long-user-id", test_read_refuses_long_user_id, NULL);
    ADD("/message-bus/read/refuses-large-body", test_read_refuses_large_body, NULL);
    ADD("/message-bus/read/takes-as-many-properties-as-allowed",
        test_read_takes_as_many_properties_as_allowed, NULL);
    ADD("/message-bus/read/refuses-thousands-of-properties",
        test_read_refuses_thousands_of_properties, NULL);
    ADD("/message-bus/read/refuses-megabytes-of-properties",
        test_read_refuses_megabytes_of_properties, NULL);
    ADD("/message-bus/read/forgets-a-refused-message", test_read_forgets_a_refused_message, NULL);
    /* Text of one byte that is not UTF-8; text longer than the message; dictionary likewise. */
    ADD("/message-bus/read/refuses-invalid-utf8", test_read_refuses_malformed_bytes,
        "\1\0\0\0\377\0\0\0\0\0\0\0");
    ADD("/message-bus/read/refuses-noncharacters", test_read_refuses_malformed_bytes,
        "\3\0\0\0\357\277\276\0\0\0\0\0");
    ADD("/message-bus/read/refuses-text-without-end", test_read_refuses_malformed_bytes,
        "\377\0\0\0a\0\0\0\0\0\0\0");
    ADD("/message-bus/read/refuses-dictionary-without-end", test_read_refuses_malformed_bytes,
        "\1\0\0\0a\0\0\0\377\0\0\0");
    ADD("/message-bus/batch/keeps-the-order", test_batch_keeps_the_order, NULL);
    ADD("/message-bus/batch/refuses-none", test_batch_refuses_none, NULL);
    ADD("/message-bus/batch/refuses-too-many", test_batch_refuses_too_many, NULL);
    ADD("/message-bus/batch/names-the-message-at-fault", test_batch_names_the_message_at_fault,
        NULL);
    ADD("/message-bus/write/gives-what-the-message-has", test_write_gives_what_the_message_has,
        NULL);
    ADD("/message-bus/write/replaces-noncharacters", test_write_replaces_noncharacters, NULL);
    ADD("/message-bus/write/says-why-a-letter-is-dead", test_write_says_why_a_letter_is_dead, NULL);
    g_test_add_func("/message-bus/parse-id/takes-only-its-own-form",
                    test_parse_id_takes_only_its_own_form);
    g_test_add_func("/message-bus/notify-name/is-of-this-bus-only",
                    test_notify_name_is_of_this_bus_only);
    return g_test_run();
}
