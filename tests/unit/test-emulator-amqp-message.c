/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the emulator makes of AMQP messages: sections, batches, and the bag that their properties
 * become. The bytes with names in them are those that Microsoft's SDK for C was seen to send.
 * Source: protocol page, 3.5. */

#include "amqp-address.h"
#include "amqp-bag.h"
#include "amqp-batch.h"
#include "amqp-frame.h"

#include <string.h>

/* Properties, application properties and body of one message; the size before it makes it an
 * entry of a batch. */
static const guint8 sdk_entry[] = "\x00\x53\x75\xa0\x82"
                                  "\x00\x53\x73\xc0\x29\x08\xa1\x04id 1@@@@\xa1\x03"
                                  "c/2\xa3\x10"
                                  "application/json\xa3\x05utf-8"
                                  "\x00\x53\x74\xc1\x43\x04\xa1\x04k ey\xa1\x0a"
                                  "v l=~'()*x\xa1\x18iothub-creation-time-utc\xa1\x14"
                                  "2030-01-01T00:00:00Z"
                                  "\x00\x53\x75\xa0\x07{\"t\":1}";
#define SDK_ENTRY_SIZE (sizeof sdk_entry - 1)
#define SDK_BAG                                                                                    \
    "%24.mid=id%201&%24.cid=c%2F2&%24.ct=application%2Fjson&%24.ce=utf-8"                          \
    "&k%20ey=v%20l%3D~%27%28%29%2Ax&%24.ctime=2030-01-01T00%3A00%3A00Z"

static const guint8 minimal_entry[] = {0x00, 0x53, 0x75, 0xa0, 0x0a, 0x00, 0x53, 0x73,
                                       0x45, 0x00, 0x53, 0x75, 0xa0, 0x01, 0x78};

static void
assert_bag(const EmuAmqpMessage *message, const char *expected)
{
    g_autoptr(GString) bag = g_string_new(NULL);

    emu_amqp_to_bag(message, bag);

    g_assert_cmpstr(bag->str, ==, expected);
}

static void
assert_body(const EmuAmqpMessage *message, const char *expected)
{
    g_autoptr(GByteArray) scratch = g_byte_array_new();
    EmuAmqpReader body = emu_amqp_message_body(message, scratch);

    g_assert_cmpmem(body.data, body.size, expected, strlen(expected));
}

static void
test_message_takes_what_the_sdk_sends(void)
{
    EmuAmqpMessage message;

    g_assert_null(emu_amqp_message_parse(sdk_entry + 5, SDK_ENTRY_SIZE - 5, &message));

    assert_bag(&message, SDK_BAG);
    assert_body(&message, "{\"t\":1}");
}

static void
test_message_takes_sections_in_any_order(void)
{
    static const guint8 bytes[] = "\x00\x53\x75\xa0\x01x"
                                  "\x00\x53\x72\xc1\x10\x02\xa3\x0a"
                                  "dt-subject\xa1\x01s"
                                  "\x00\x53\x73\xc0\x05\x01\xa1\x02m1";
    EmuAmqpMessage message;

    g_assert_null(emu_amqp_message_parse(bytes, sizeof bytes - 1, &message));

    assert_bag(&message, "%24.mid=m1&%24.sub=s");
    assert_body(&message, "x");
}

static void
test_message_spells_out_what_is_no_text(void)
{
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    const guint8 uuid[16] = {0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0x4d, 0xef,
                             0x80, 0x01, 2,    3,    4,    5,    6,    7};
    EmuAmqpMessage message;
    emu_amqp_write_descriptor(bytes, EMU_AMQP_PROPERTIES);
    guint begun = emu_amqp_begin_list(bytes);
    emu_amqp_write_ulong(bytes, 12345678901);
    for (int i = EMU_AMQP_USER_ID; i < EMU_AMQP_CORRELATION_ID; i++)
        emu_amqp_write_null(bytes);
    emu_amqp_write_uuid(bytes, uuid);
    emu_amqp_write_null(bytes);
    emu_amqp_write_null(bytes);
    emu_amqp_write_timestamp(bytes, 1893456000001);
    emu_amqp_end(bytes, begun, EMU_AMQP_EXPIRY_TIME + 1);
    emu_amqp_write_descriptor(bytes, EMU_AMQP_APPLICATION_PROPERTIES);
    begun = emu_amqp_begin_map(bytes);
    emu_amqp_write_string(bytes, "n");
    emu_amqp_write_int(bytes, -3);
    emu_amqp_write_string(bytes, "null");
    emu_amqp_write_null(bytes);
    emu_amqp_end(bytes, begun, 4);

    g_assert_null(emu_amqp_message_parse(bytes->data, bytes->len, &message));

    assert_bag(&message, "%24.mid=12345678901&%24.cid=01234567-89ab-4def-8001-020304050607"
                         "&%24.exp=2030-01-01T00%3A00%3A00.001Z&n=-3&null");
}

static void
test_message_joins_data_sections(void)
{
    static const guint8 bytes[] = "\x00\x53\x75\xa0\x02"
                                  "ab"
                                  "\x00\x80\x00\x00\x00\x00\x00\x00\x00\x75\xb0\x00\x00\x00\x02"
                                  "cd";
    EmuAmqpMessage message;

    g_assert_null(emu_amqp_message_parse(bytes, sizeof bytes - 1, &message));

    assert_body(&message, "abcd");
}

static void
test_message_takes_a_value_as_body(void)
{
    static const guint8 bytes[] = "\x00\x53\x77\xa1\x05hello";
    EmuAmqpMessage message;

    g_assert_null(emu_amqp_message_parse(bytes, sizeof bytes - 1, &message));

    assert_body(&message, "hello");
}

/* Every message that ends too early, and every section of the wrong type. */
static void
test_message_refuses_what_is_none(void)
{
    static const guint8 wrong[][8] = {
        {0x00, 0x53, 0x75, 0xa1, 0x01, 'x'}, /* data that is a string */
        {0x00, 0x53, 0x73, 0xa0, 0x01, 'x'}, /* properties that are no list */
        {0x00, 0x53, 0x74, 0x45},            /* application properties that are no map */
        {0x00, 0x53, 0x10, 0x45},            /* no section of a message */
        {0x41, 0x41, 0x41, 0x41},
    };
    EmuAmqpMessage message;

    for (size_t size = 6; size < SDK_ENTRY_SIZE - 5; size++) {
        gboolean whole = size == 0x29 + 5 || size == 0x29 + 5 + 0x43 + 5;
        g_assert_true(whole == (emu_amqp_message_parse(sdk_entry + 5, size, &message) == NULL));
    }
    for (size_t i = 0; i < G_N_ELEMENTS(wrong); i++)
        g_assert_nonnull(emu_amqp_message_parse(wrong[i], sizeof wrong[i], &message));
}

static void
test_batch_finds_every_message(void)
{
    g_autoptr(EmuAmqpBatch) batch = emu_amqp_batch_new();
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    g_byte_array_append(bytes, sdk_entry, SDK_ENTRY_SIZE);
    g_byte_array_append(bytes, minimal_entry, sizeof minimal_entry);

    g_assert_null(emu_amqp_batch_parse(batch, EMU_AMQP_FORMAT_BATCH, bytes->data, bytes->len));

    g_assert_cmpuint(batch->messages->len, ==, 2);
    assert_bag(&g_array_index(batch->messages, EmuAmqpMessage, 0), SDK_BAG);
    assert_bag(&g_array_index(batch->messages, EmuAmqpMessage, 1), "");
    assert_body(&g_array_index(batch->messages, EmuAmqpMessage, 1), "x");
}

/* Format 0 says that the data is the body, whatever it looks like. */
static void
test_batch_believes_the_format(void)
{
    g_autoptr(EmuAmqpBatch) batch = emu_amqp_batch_new();

    g_assert_null(emu_amqp_batch_parse(batch, 0, minimal_entry, sizeof minimal_entry));
    g_assert_cmpuint(batch->messages->len, ==, 1);
    g_assert_cmpuint(g_array_index(batch->messages, EmuAmqpMessage, 0).first_data.size, ==, 10);

    g_assert_nonnull(emu_amqp_batch_parse(batch, 7, minimal_entry, sizeof minimal_entry));
}

static void
test_batch_is_refused_whole(void)
{
    g_autoptr(EmuAmqpBatch) batch = emu_amqp_batch_new();
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    static const guint8 bad_entry[] = {0x00, 0x53, 0x75, 0xa0, 0x01, 0xff};
    g_byte_array_append(bytes, minimal_entry, sizeof minimal_entry);
    g_byte_array_append(bytes, bad_entry, sizeof bad_entry);

    g_assert_nonnull(emu_amqp_batch_parse(batch, EMU_AMQP_FORMAT_BATCH, bytes->data, bytes->len));

    g_assert_cmpuint(batch->messages->len, ==, 0);
}

static void
test_frame_tells_the_message_format(void)
{
    /* A transfer as the SDK for C sends it: handle 0, delivery 0, a tag, the batch format. */
    static const guint8 bytes[] = {0,    0,    0,    0x1f, 2,    0,    0,    0,   0x00, 0x53, 0x14,
                                   0xc0, 0x12, 0x06, 0x43, 0x43, 0xa0, 0x04, 0,   0,    0,    0,
                                   0x70, 0x80, 0x01, 0x37, 0x00, 0x42, 0x42, 'x', 'y',  'z'};
    EmuAmqpFrame frame;

    g_assert_cmpuint(emu_amqp_frame_next(bytes, 7, &frame), ==, 0);
    g_assert_cmpuint(emu_amqp_frame_next(bytes, 30, &frame), ==, 0);
    g_assert_cmpuint(emu_amqp_frame_next(bytes, sizeof bytes, &frame), ==, 31);

    g_assert_true(frame.is_transfer);
    g_assert_cmpuint(frame.message_format, ==, EMU_AMQP_FORMAT_BATCH);
}

static void
test_frame_takes_headers_for_units(void)
{
    EmuAmqpFrame frame;

    g_assert_cmpuint(emu_amqp_frame_next((const guint8 *)"AMQP\0\1\0\0rest", 12, &frame), ==, 8);
    g_assert_false(frame.is_transfer);
    g_assert_cmpuint(emu_amqp_frame_next((const guint8 *)"GET / HTTP/1.1", 14, &frame), ==, 14);
}

static void
test_address_takes_both_forms(void)
{
    static const struct {
        const char *text;
        EmuAmqpNode node;
        const char *device_id;
        const char *module_id;
    } good[] = {
        {"$cbs", EMU_AMQP_NODE_CBS, NULL, NULL},
        {"/devices/d/messages/events", EMU_AMQP_NODE_EVENTS, "d", NULL},
        {"amqps://hub.test/devices/d/messages/events", EMU_AMQP_NODE_EVENTS, "d", NULL},
        {"/devices/d/modules/m/messages/events", EMU_AMQP_NODE_EVENTS, "d", "m"},
        {"/devices/a%2fb/messages/deviceBound", EMU_AMQP_NODE_DEVICEBOUND, "a%2fb", NULL},
        {"/Devices/d/Messages/devicebound", EMU_AMQP_NODE_DEVICEBOUND, "d", NULL},
        {"/devices/d/methods/devicebound", EMU_AMQP_NODE_METHODS, "d", NULL},
        {"amqps://hub.test/devices/d/modules/m/twin", EMU_AMQP_NODE_TWIN, "d", "m"},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(good); i++) {
        g_auto(EmuAmqpAddress) address = {0};

        g_assert_true(emu_amqp_address_parse(good[i].text, &address));

        g_assert_cmpint(address.node, ==, good[i].node);
        g_assert_cmpstr(address.device_id, ==, good[i].device_id);
        g_assert_cmpstr(address.module_id, ==, good[i].module_id);
    }
}

static void
test_address_refuses_others(void)
{
    static const char *const bad[] = {
        "",
        "/",
        "devices/d/messages/events",
        "/devices//messages/events",
        "/devices/d",
        "/devices/d/messages",
        "/devices/d/messages/events/more",
        "/devices/d/modules/messages/events",
        "amqps://hub.test:5671/devices/d/messages/events", /* 404006 at the real hub */
        "https://hub.test/devices/d/messages/events",
        "$cbs/",
    };

    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_auto(EmuAmqpAddress) address = {0};
        g_assert_false(emu_amqp_address_parse(bad[i], &address));
    }
}

static void
test_audience_is_taken_encoded_or_not(void)
{
    static const char *const good[] = {"hub.test/devices/d/modules/m",
                                       "hub.test%2Fdevices%2Fd%2fmodules%2Fm"};
    static const char *const bad[] = {"hub.test", "hub.test/devices", "hub.test/devices/d/twin",
                                      ""};

    for (size_t i = 0; i < G_N_ELEMENTS(good); i++) {
        g_auto(EmuAmqpAddress) address = {0};
        g_assert_true(emu_amqp_audience_parse(good[i], &address));
        g_assert_cmpstr(address.host, ==, "hub.test");
        g_assert_cmpstr(address.device_id, ==, "d");
        g_assert_cmpstr(address.module_id, ==, "m");
    }
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_auto(EmuAmqpAddress) address = {0};
        g_assert_false(emu_amqp_audience_parse(bad[i], &address));
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/amqp-message/parse/takes-what-the-sdk-sends",
                    test_message_takes_what_the_sdk_sends);
    g_test_add_func("/amqp-message/parse/takes-sections-in-any-order",
                    test_message_takes_sections_in_any_order);
    g_test_add_func("/amqp-message/parse/spells-out-what-is-no-text",
                    test_message_spells_out_what_is_no_text);
    g_test_add_func("/amqp-message/parse/joins-data-sections", test_message_joins_data_sections);
    g_test_add_func("/amqp-message/parse/takes-a-value-as-body",
                    test_message_takes_a_value_as_body);
    g_test_add_func("/amqp-message/parse/refuses-what-is-none", test_message_refuses_what_is_none);
    g_test_add_func("/amqp-batch/parse/finds-every-message", test_batch_finds_every_message);
    g_test_add_func("/amqp-batch/parse/believes-the-format", test_batch_believes_the_format);
    g_test_add_func("/amqp-batch/parse/is-refused-whole", test_batch_is_refused_whole);
    g_test_add_func("/amqp-frame/next/tells-the-message-format",
                    test_frame_tells_the_message_format);
    g_test_add_func("/amqp-frame/next/takes-headers-for-units", test_frame_takes_headers_for_units);
    g_test_add_func("/amqp-address/parse/takes-both-forms", test_address_takes_both_forms);
    g_test_add_func("/amqp-address/parse/refuses-others", test_address_refuses_others);
    g_test_add_func("/amqp-address/audience/is-taken-encoded-or-not",
                    test_audience_is_taken_encoded_or_not);
    return g_test_run();
}
