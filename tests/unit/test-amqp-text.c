/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/properties.h"
#include "daemon/transports/amqp/address.h"
#include "daemon/transports/amqp/condition.h"
#include "daemon/transports/amqp/decode.h"
#include "daemon/transports/amqp/encode.h"
#include "daemon/transports/amqp/format.h"
#include "daemon/transports/amqp/wire.h"

#include <string.h>

/* What crosses the wire in AMQP, byte by byte, without a wire. */

#define assert_bytes(array, literal)                                                               \
    g_assert_cmpmem((array)->data, (array)->len, literal, sizeof(literal) - 1)

typedef struct {
    GByteArray *system;
    GByteArray *properties;
    GByteArray *out;
} Fixture;

static void
set_up(Fixture *fixture, gconstpointer unused)
{
    fixture->system = g_byte_array_new();
    fixture->properties = g_byte_array_new();
    fixture->out = g_byte_array_new();
}

static void
tear_down(Fixture *fixture, gconstpointer unused)
{
    g_byte_array_unref(fixture->system);
    g_byte_array_unref(fixture->properties);
    g_byte_array_unref(fixture->out);
}

/* (transfer full) */
static SpokeMessage *
make_message(Fixture *fixture, const char *body)
{
    return spoke_message_new(fixture->system->data, fixture->system->len, fixture->properties->data,
                             fixture->properties->len, body, strlen(body));
}

static const char *
find_system(SpokeMessage *message, const char *name)
{
    return spoke_message_lookup_system(message, name);
}

static const char *
find_property(SpokeMessage *message, const char *name)
{
    return spoke_properties_lookup(spoke_message_properties(message), message->properties_size,
                                   name);
}

/* Encoding */

static void
test_encode_minimal(Fixture *fixture, gconstpointer unused)
{
    g_autoptr(SpokeMessage) message = make_message(fixture, "x");

    spoke_amqp_encode(fixture->out, message, NULL);

    assert_bytes(fixture->out, "\x00\x53\x75\xa0\x01x");
}

/* The example of iot-hub-protocol.md, 3.5, with our order of the properties. */
static void
test_encode_entry_as_sdk(Fixture *fixture, gconstpointer unused)
{
    spoke_properties_append(fixture->system, SPOKE_PROPERTY_MESSAGE_ID, "id 1");
    spoke_properties_append(fixture->system, SPOKE_PROPERTY_CORRELATION_ID, "c/2");
    spoke_properties_append(fixture->system, SPOKE_PROPERTY_CONTENT_TYPE, "application/json");
    spoke_properties_append(fixture->system, SPOKE_PROPERTY_CONTENT_ENCODING, "utf-8");
    spoke_properties_append(fixture->system, SPOKE_PROPERTY_CREATION_TIME, "1893456000000000");
    spoke_properties_append(fixture->properties, "k ey", "v l=~'()*x");
    g_autoptr(SpokeMessage) message = make_message(fixture, "{\"t\":1}");

    spoke_amqp_encode_entry(fixture->out, message, "not this one");

    assert_bytes(fixture->out, "\x00\x53\x75\xa0\x86"
                               "\x00\x53\x73\xc0\x29\x08\xa1\x04id 1\x40\x40\x40\x40\xa1\x03"
                               "c/2\xa3\x10"
                               "application/json\xa3\x05utf-8"
                               "\x00\x53\x74\xc1\x47\x04\xa1\x04k ey\xa1\x0av l=~'()*x\xa1\x18"
                               "iothub-creation-time-utc\xa1\x18"
                               "2030-01-01T00:00:00.000Z"
                               "\x00\x53\x75\xa0\x07{\"t\":1}");
}

static void
test_encode_made_id(Fixture *fixture, gconstpointer unused)
{
    g_autoptr(SpokeMessage) message = make_message(fixture, "x");

    spoke_amqp_encode(fixture->out, message, "made");

    assert_bytes(fixture->out, "\x00\x53\x73\xc0\x07\x01\xa1\x04made\x00\x53\x75\xa0\x01x");
}

static void
test_encode_user_id_and_expiry(Fixture *fixture, gconstpointer unused)
{
    spoke_properties_append(fixture->system, SPOKE_PROPERTY_EXPIRY, "1893456000000999");
    spoke_properties_append(fixture->system, SPOKE_PROPERTY_USER_ID, "u");
    g_autoptr(SpokeMessage) message = make_message(fixture, "");

    spoke_amqp_encode(fixture->out, message, NULL);

    assert_bytes(fixture->out, "\x00\x53\x73\xc0\x14\x09\x40\xa0\x01u\x40\x40\x40\x40\x40\x40"
                               "\x83\x00\x00\x01\xb8\xda\xc5\xb4\x00"
                               "\x00\x53\x75\xa0\x00");
}

static void
test_encode_large(Fixture *fixture, gconstpointer unused)
{
    g_autofree char *value = g_strnfill(1000, 'v');
    g_autofree char *body = g_strnfill(70000, 'b');

    spoke_properties_append(fixture->properties, "k", value);
    g_autoptr(SpokeMessage) message = make_message(fixture, body);
    spoke_amqp_encode_entry(fixture->out, message, "id");
    SpokeAmqpReader reader = {fixture->out->data, fixture->out->data + fixture->out->len};
    SpokeAmqpValue entry;
    guint64 descriptor = 0;

    g_assert_true(spoke_amqp_read_described(&reader, &descriptor, &entry));
    g_assert_cmpuint(descriptor, ==, SPOKE_AMQP_DATA);
    g_assert_true(reader.at == reader.end);
    g_autoptr(SpokeMessage) again = spoke_amqp_decode(entry.data, entry.size);
    g_assert_cmpstr(find_property(again, "k"), ==, value);
    g_assert_cmpstr(find_system(again, SPOKE_PROPERTY_MESSAGE_ID), ==, "id");
    g_assert_cmpmem(spoke_message_body(again), again->body_size, body, 70000);
}

/* Many short pairs take more room for heads than for text. */
static void
test_encode_many_properties(Fixture *fixture, gconstpointer unused)
{
    for (guint i = 0; i < SPOKE_PROPERTIES_MAX; i++)
        spoke_properties_append(fixture->properties, "k", "");
    g_autoptr(SpokeMessage) message = make_message(fixture, "x");

    spoke_amqp_encode(fixture->out, message, NULL);

    g_assert_cmpuint(fixture->out->len, <=, spoke_amqp_encoded_max(message, NULL));
    g_autoptr(SpokeMessage) again = spoke_amqp_decode(fixture->out->data, fixture->out->len);
    g_assert_cmpmem(spoke_message_properties(again), again->properties_size,
                    fixture->properties->data, fixture->properties->len);
}

static void
test_encode_comes_back(Fixture *fixture, gconstpointer unused)
{
    spoke_properties_append(fixture->system, SPOKE_PROPERTY_MESSAGE_ID, "id");
    spoke_properties_append(fixture->system, SPOKE_PROPERTY_USER_ID, "é");
    spoke_properties_append(fixture->system, SPOKE_PROPERTY_TO, "/devices/d");
    spoke_properties_append(fixture->system, SPOKE_PROPERTY_CORRELATION_ID, "corr / é");
    spoke_properties_append(fixture->system, SPOKE_PROPERTY_CONTENT_TYPE, "text/plain");
    spoke_properties_append(fixture->system, SPOKE_PROPERTY_CONTENT_ENCODING, "utf-8");
    spoke_properties_append(fixture->system, SPOKE_PROPERTY_EXPIRY, "1893456000000000");
    spoke_properties_append(fixture->system, SPOKE_PROPERTY_CREATION_TIME, "1893456000123456");
    spoke_properties_append(fixture->system, SPOKE_PROPERTY_ACK, "full");
    spoke_properties_append(fixture->properties, "k ey", "v&l=é/#+$%");
    spoke_properties_append(fixture->properties, "empty", "");
    g_autoptr(SpokeMessage) message = make_message(fixture, "b\n");

    spoke_amqp_encode(fixture->out, message, NULL);
    g_autoptr(SpokeMessage) again = spoke_amqp_decode(fixture->out->data, fixture->out->len);

    g_assert_cmpmem(spoke_message_system(again), again->system_size, fixture->system->data,
                    fixture->system->len);
    g_assert_cmpmem(spoke_message_properties(again), again->properties_size,
                    fixture->properties->data, fixture->properties->len);
    g_assert_cmpmem(spoke_message_body(again), again->body_size, "b\n", 2);
}

static void
test_encode_put_token(Fixture *fixture, gconstpointer unused)
{
    spoke_amqp_encode_put_token(fixture->out, 1, "h/devices/d", "token");

    assert_bytes(fixture->out,
                 "\x00\x53\x73\xc0\x17\x05\x80\x00\x00\x00\x00\x00\x00\x00\x01\x40\xa1\x04"
                 "$cbs\x40\xa1\x03"
                 "cbs"
                 "\x00\x53\x74\xc1\x51\x06\xa1\x09operation\xa1\x09put-token\xa1\x04type\xa1\x1f"
                 "servicebus.windows.net:sastoken\xa1\x04name\xa1\x0bh/devices/d"
                 "\x00\x53\x77\xa1\x05token");
}

static void
test_fault_needs_ascii_symbols(Fixture *fixture, gconstpointer unused)
{
    g_autoptr(SpokeMessage) plain = make_message(fixture, "x");
    spoke_properties_append(fixture->system, SPOKE_PROPERTY_CONTENT_TYPE, "té");
    g_autoptr(SpokeMessage) message = make_message(fixture, "x");

    g_assert_null(spoke_amqp_find_fault(plain));
    g_assert_nonnull(spoke_amqp_find_fault(message));
}

/* Decoding */

/* As the hub sends it: iot-hub-protocol.md, 3.6. */
static void
test_decode_c2d(Fixture *fixture, gconstpointer unused)
{
    guint8 buffer[1024];
    guint8 *map = spoke_amqp_put_descriptor(buffer, SPOKE_AMQP_MESSAGE_ANNOTATIONS);
    guint8 *end = spoke_amqp_put_symbol(map + SPOKE_AMQP_OVERHEAD, "x-opt-sequence-number");
    end = spoke_amqp_put_ulong(end, 7);
    end = spoke_amqp_put_symbol(end, "iothub-deliverycount");
    *end++ = 0x50; /* a ubyte */
    *end++ = 2;
    end = spoke_amqp_close_map(map, end, 4);
    guint8 *list = spoke_amqp_put_descriptor(end, SPOKE_AMQP_PROPERTIES);
    static const guint8 uuid[] = {0x98, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef,
                                  0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef};
    end = memcpy(list + SPOKE_AMQP_OVERHEAD, uuid, sizeof uuid);
    end = spoke_amqp_put_binary(end + sizeof uuid, "hub", 3);
    end = spoke_amqp_put_string(end, "/devices/dev-1/messages/deviceBound");
    end = spoke_amqp_put_null(spoke_amqp_put_null(end));
    end = spoke_amqp_put_ulong(end, 42);
    end = spoke_amqp_put_symbol(end, "text/plain");
    end = spoke_amqp_put_null(end);
    end = spoke_amqp_put_timestamp(end, 1893456000000);
    end = spoke_amqp_close_list(list, end, 9);
    map = spoke_amqp_put_descriptor(end, SPOKE_AMQP_APPLICATION_PROPERTIES);
    end = spoke_amqp_put_string(map + SPOKE_AMQP_OVERHEAD, "iothub-ack");
    end = spoke_amqp_put_string(end, "full");
    end = spoke_amqp_put_string(end, "n");
    *end++ = 0x54; /* a small int */
    *end++ = 0xff;
    end = spoke_amqp_put_string(end, "nothing");
    end = spoke_amqp_put_null(end);
    end = spoke_amqp_close_map(map, end, 6);
    end = spoke_amqp_put_binary(spoke_amqp_put_descriptor(end, SPOKE_AMQP_DATA), "ab", 2);
    end = spoke_amqp_put_binary(spoke_amqp_put_descriptor(end, SPOKE_AMQP_DATA), "c", 1);

    g_autoptr(SpokeMessage) message = spoke_amqp_decode(buffer, (gsize)(end - buffer));

    g_assert_nonnull(message);
    g_assert_cmpstr(find_system(message, SPOKE_PROPERTY_MESSAGE_ID), ==,
                    "01234567-89ab-cdef-0123-456789abcdef");
    g_assert_cmpstr(find_system(message, SPOKE_PROPERTY_USER_ID), ==, "hub");
    g_assert_cmpstr(find_system(message, SPOKE_PROPERTY_TO), ==,
                    "/devices/dev-1/messages/deviceBound");
    g_assert_cmpstr(find_system(message, SPOKE_PROPERTY_CORRELATION_ID), ==, "42");
    g_assert_cmpstr(find_system(message, SPOKE_PROPERTY_CONTENT_TYPE), ==, "text/plain");
    g_assert_null(find_system(message, SPOKE_PROPERTY_CONTENT_ENCODING));
    g_assert_cmpstr(find_system(message, SPOKE_PROPERTY_EXPIRY), ==, "1893456000000000");
    g_assert_cmpstr(find_system(message, SPOKE_PROPERTY_ACK), ==, "full");
    g_assert_cmpstr(find_property(message, "n"), ==, "-1");
    g_assert_cmpstr(find_property(message, "nothing"), ==, "");
    g_assert_null(find_property(message, "iothub-ack"));
    g_assert_cmpmem(spoke_message_body(message), message->body_size, "abc", 3);
    g_assert_cmpuint(message->delivery_count, ==, 2);
}

/* With and without the count among the header's five fields. */
static void
test_decode_delivery_count_in_header(Fixture *fixture, gconstpointer unused)
{
    g_autoptr(SpokeMessage) counted =
        spoke_amqp_decode("\x00\x53\x70\xc0\x07\x05\x40\x40\x40\x40\x52\x03", 12);
    g_autoptr(SpokeMessage) uncounted = spoke_amqp_decode("\x00\x53\x70\xc0\x02\x01\x40", 7);

    g_assert_cmpuint(counted->delivery_count, ==, 3);
    g_assert_cmpuint(uncounted->delivery_count, ==, 0);
}

static void
test_decode_cut_short(Fixture *fixture, gconstpointer unused)
{
    spoke_properties_append(fixture->properties, "k", "v");
    g_autoptr(SpokeMessage) message = make_message(fixture, "body");
    spoke_amqp_encode(fixture->out, message, "id");

    for (guint size = 0; size < fixture->out->len; size++) {
        g_autofree guint8 *part = g_memdup2(fixture->out->data, size);
        g_autoptr(SpokeMessage) unused_message = spoke_amqp_decode(part, size);
    }
    g_assert_null(spoke_amqp_decode(fixture->out->data, fixture->out->len - 1));
}

static void
test_decode_text_is_valid(Fixture *fixture, gconstpointer unused)
{
    static const char data[] = "\x00\x53\x74\xc1\x0b\x02\xa1\x03k\x00k\xa1\x03\xff\x00v";

    g_autoptr(SpokeMessage) message = spoke_amqp_decode(data, sizeof data - 1);

    g_assert_nonnull(message);
    g_assert_true(
        spoke_properties_is_valid(spoke_message_properties(message), message->properties_size));
    g_assert_cmpstr(find_property(message, "k\xef\xbf\xbdk"), ==, "\xef\xbf\xbd\xef\xbf\xbdv");
}

static void
test_decode_value_body(Fixture *fixture, gconstpointer unused)
{
    g_autoptr(SpokeMessage) message = spoke_amqp_decode("\x00\x53\x77\xa1\x02hi", 7);

    g_assert_cmpmem(spoke_message_body(message), message->body_size, "hi", 2);
}

static void
test_decode_answer(Fixture *fixture, gconstpointer unused)
{
    static const char data[] =
        "\x00\x53\x73\xc0\x0f\x06\x40\x40\x40\x40\x40\x80\x00\x00\x00\x00\x00\x00\x00\x07"
        "\x00\x53\x74\xc1\x2b\x04\xa1\x0bstatus-code\x71\x00\x00\x01\x91\xa1\x12"
        "status-description\xa1\x02no"
        "\x00\x53\x77\x40";
    g_auto(SpokeAmqpAnswer) answer = {0};

    g_assert_true(spoke_amqp_decode_answer(data, sizeof data - 1, &answer));

    g_assert_cmpint(answer.correlation_id, ==, 7);
    g_assert_cmpint(answer.status, ==, 401);
    g_assert_cmpstr(answer.description, ==, "no");
}

/* Conditions */

static void
test_condition_causes(void)
{
    static const struct {
        const char *name;
        SpokeAmqpScope scope;
        const char *cause;
    } rows[] = {
        {"amqp:unauthorized-access", SPOKE_AMQP_SCOPE_LINK, "AuthenticationFailed"},
        {"amqp:not-found", SPOKE_AMQP_SCOPE_LINK, "NotFound"},
        {"com.microsoft:device-container-throttled", SPOKE_AMQP_SCOPE_LINK, "Throttled"},
        {"amqp:resource-limit-exceeded", SPOKE_AMQP_SCOPE_LINK, "QuotaExceeded"},
        {"amqp:resource-limit-exceeded", SPOKE_AMQP_SCOPE_CONNECTION, "KeepAlive"},
        {"com.microsoft:quota-exceeded", SPOKE_AMQP_SCOPE_LINK, "QuotaExceeded"},
        {"amqp:link:stolen", SPOKE_AMQP_SCOPE_LINK, "Evicted"},
        {"amqp:connection:forced", SPOKE_AMQP_SCOPE_CONNECTION, "Unavailable"},
        {"amqp:link:detach-forced", SPOKE_AMQP_SCOPE_LINK, "Unavailable"},
        {"amqp:connection:framing-error", SPOKE_AMQP_SCOPE_CONNECTION, "Protocol"},
        {"what:ever", SPOKE_AMQP_SCOPE_LINK, "ClosedByHub"},
        {NULL, SPOKE_AMQP_SCOPE_CONNECTION, "ClosedByHub"},
    };

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        SpokeCause cause = spoke_amqp_condition_get_cause(rows[i].name, rows[i].scope);

        g_assert_cmpstr(spoke_cause_to_string(cause), ==, rows[i].cause);
    }
}

static void
test_condition_whose_fault(void)
{
    g_assert_true(spoke_amqp_condition_is_message_fault("amqp:link:message-size-exceeded"));
    g_assert_true(spoke_amqp_condition_is_message_fault("com.microsoft:argument-error"));
    g_assert_true(spoke_amqp_condition_is_message_fault(NULL));
    g_assert_false(
        spoke_amqp_condition_is_message_fault("com.microsoft:device-container-throttled"));
    g_assert_false(spoke_amqp_condition_is_message_fault("amqp:unauthorized-access"));
}

static void
test_condition_statuses(void)
{
    g_assert_cmpint(spoke_amqp_status_get_cause(200), ==, SPOKE_CAUSE_NONE);
    g_assert_cmpint(spoke_amqp_status_get_cause(202), ==, SPOKE_CAUSE_NONE);
    g_assert_cmpint(spoke_amqp_status_get_cause(401), ==, SPOKE_CAUSE_AUTHENTICATION_FAILED);
    g_assert_cmpint(spoke_amqp_status_get_cause(404), ==, SPOKE_CAUSE_NOT_FOUND);
    g_assert_cmpint(spoke_amqp_status_get_cause(429), ==, SPOKE_CAUSE_THROTTLED);
    g_assert_cmpint(spoke_amqp_status_get_cause(503), ==, SPOKE_CAUSE_UNAVAILABLE);
    g_assert_cmpint(spoke_amqp_status_get_cause(-1), ==, SPOKE_CAUSE_PROTOCOL);
}

static void
test_condition_hides_token(void)
{
    g_autofree char *detail = spoke_amqp_condition_format(
        "amqp:unauthorized-access", "Bad\ntoken SharedAccessSignature sr=a&sig=secret");

    g_assert_cmpstr(detail, ==, "amqp:unauthorized-access: Bad token …");
}

static void
test_condition_bounds_detail(void)
{
    g_autofree char *description = g_strnfill(100000, 'x');
    g_autofree char *detail = spoke_amqp_condition_format(NULL, description);
    g_autofree char *nothing = spoke_amqp_condition_format(NULL, NULL);

    g_assert_cmpuint(strlen(detail), <=, 512);
    g_assert_null(nothing);
}

/* The format of batches */

/* A greeting, a frame of another kind, a batch's transfer, one that is no batch. */
static const char stream[] = "AMQP\x00\x01\x00\x00"
                             "\x00\x00\x00\x08\x02\x00\x00\x00"
                             "\x00\x00\x00\x36\x02\x00\x00\x00"
                             "\x00\x53\x14\xc0\x14\x06\x52\x01\x43\xa0\x08"
                             "\x07\x00\x00\x00\x00\x00\x00\x00\x43\x40\x41"
                             "body body body body body"
                             "\x00\x00\x00\x30\x02\x00\x00\x00"
                             "\x00\x53\x14\xc0\x10\x06\x52\x01\x43\xa0\x04\x08\x00\x00\x00\x43\x40"
                             "\x41"
                             "body body body body bo";

static void
assert_patched(const guint8 *data)
{
    static const char head[] = "\x00\x53\x14\xc0\x14\x06\x52\x01\x43\xa0\x04"
                               "\x07\x00\x00\x00\x70\x80\x01\x37\x00\x40\x41";

    g_assert_cmpmem(data, 24, stream, 24);
    g_assert_cmpmem(data + 24, sizeof head - 1, head, sizeof head - 1);
    g_assert_cmpmem(data + 24 + sizeof head - 1, sizeof stream - 1 - 24 - (sizeof head - 1),
                    stream + 24 + sizeof head - 1, sizeof stream - 1 - 24 - (sizeof head - 1));
}

static void
test_format_marks_batches(void)
{
    SpokeAmqpFormat format = {0};
    g_autofree guint8 *data = g_memdup2(stream, sizeof stream - 1);

    g_assert_cmpuint(spoke_amqp_format_patch(&format, data, sizeof stream - 1), ==,
                     sizeof stream - 1);

    assert_patched(data);
}

/* Wherever the bytes are cut. */
static void
test_format_in_pieces(void)
{
    for (gsize step = 1; step < sizeof stream; step++) {
        SpokeAmqpFormat format = {0};
        g_autofree guint8 *data = g_memdup2(stream, sizeof stream - 1);
        gsize fit = 0;

        for (gsize size = step; fit < sizeof stream - 1; size += step) {
            gsize have = MIN(size, sizeof stream - 1);

            fit += spoke_amqp_format_patch(&format, data + fit, have - fit);
            g_assert_cmpuint(fit, <=, have);
        }
        assert_patched(data);
    }
}

static void
add(const char *path, void (*test)(Fixture *, gconstpointer))
{
    g_test_add(path, Fixture, NULL, set_up, test, tear_down);
}

static void
test_address_encodes_ids(void)
{
    static const struct {
        const char *device_id, *module_id, *address;
    } cases[] = {
        {"dev-1.a_b", NULL, "/devices/dev-1.a_b"},
        {"g%41", NULL, "/devices/g%2541"},
        {"a?b#c", "m%2F", "/devices/a%3Fb%23c/modules/m%252F"},
        {"00:1a=b;c,d$e'f!g*(h)@i+j", NULL, "/devices/00:1a=b;c,d$e'f!g*(h)@i+j"},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        SpokeIdentity *identity =
            spoke_identity_new("self", "hub", cases[i].device_id, cases[i].module_id);
        g_autofree char *address = spoke_amqp_address_new(identity);

        g_assert_cmpstr(address, ==, cases[i].address);
        spoke_identity_unref(identity);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add("/amqp-text/encode/minimal", test_encode_minimal);
    add("/amqp-text/encode/entry-as-sdk", test_encode_entry_as_sdk);
    add("/amqp-text/encode/made-id", test_encode_made_id);
    add("/amqp-text/encode/user-id-and-expiry", test_encode_user_id_and_expiry);
    add("/amqp-text/encode/large", test_encode_large);
    add("/amqp-text/encode/many-properties", test_encode_many_properties);
    add("/amqp-text/encode/comes-back", test_encode_comes_back);
    add("/amqp-text/encode/put-token", test_encode_put_token);
    add("/amqp-text/fault/needs-ascii-symbols", test_fault_needs_ascii_symbols);
    add("/amqp-text/decode/c2d", test_decode_c2d);
    add("/amqp-text/decode/delivery-count-in-header", test_decode_delivery_count_in_header);
    add("/amqp-text/decode/cut-short", test_decode_cut_short);
    add("/amqp-text/decode/text-is-valid", test_decode_text_is_valid);
    add("/amqp-text/decode/value-body", test_decode_value_body);
    add("/amqp-text/decode/answer", test_decode_answer);
    g_test_add_func("/amqp-text/condition/causes", test_condition_causes);
    g_test_add_func("/amqp-text/condition/whose-fault", test_condition_whose_fault);
    g_test_add_func("/amqp-text/condition/statuses", test_condition_statuses);
    g_test_add_func("/amqp-text/condition/hides-token", test_condition_hides_token);
    g_test_add_func("/amqp-text/condition/bounds-detail", test_condition_bounds_detail);
    g_test_add_func("/amqp-text/format/marks-batches", test_format_marks_batches);
    g_test_add_func("/amqp-text/format/in-pieces", test_format_in_pieces);
    g_test_add_func("/amqp-text/address/encodes-ids", test_address_encodes_ids);
    return g_test_run();
}
