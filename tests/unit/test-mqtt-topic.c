/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/properties.h"
#include "daemon/transports/mqtt/bag.h"
#include "daemon/transports/mqtt/topic.h"
#include "daemon/utc.h"

#include <string.h>

/*
 * What MQTT carries in its topics: names, bags, times. The expected texts are those of
 * iot-hub-protocol.md or are written out by hand; nothing here asks the emulator.
 */

#define USEC_2030 G_GINT64_CONSTANT(1893456000000000) /* 2030-01-01T00:00:00Z */

/* NULL-terminated: name, value, … (transfer full) */
static GByteArray *
list_of(const char *name, ...)
{
    GByteArray *list = g_byte_array_new();
    va_list arguments;

    va_start(arguments, name);
    for (; name != NULL; name = va_arg(arguments, const char *)) {
        const char *value = va_arg(arguments, const char *);

        spoke_properties_append(list, name, value);
    }
    va_end(arguments);
    return list;
}

static char *
encode(GByteArray *system, const char *message_id, GByteArray *properties)
{
    GString *bag = g_string_new(NULL);

    spoke_bag_append(bag, system != NULL ? system->data : NULL, system != NULL ? system->len : 0,
                     message_id, properties != NULL ? properties->data : NULL,
                     properties != NULL ? properties->len : 0);
    return g_string_free(bag, FALSE);
}

static void
assert_list(GByteArray *list, const char *expected)
{
    SpokePropertiesIter iter;
    const char *name = NULL, *value = NULL;
    g_autoptr(GString) text = g_string_new(NULL);

    g_assert_true(spoke_properties_is_valid(list->data, list->len));
    spoke_properties_iter_init(&iter, list->data, list->len);
    while (spoke_properties_iter_next(&iter, &name, &value))
        g_string_append_printf(text, "[%s|%s]", name, value);
    g_assert_cmpstr(text->str, ==, expected);
}

static void
assert_parsed(const char *bag, const char *system, const char *properties)
{
    g_autoptr(GByteArray) system_list = g_byte_array_new();
    g_autoptr(GByteArray) properties_list = g_byte_array_new();

    spoke_bag_parse(bag, strlen(bag), system_list, properties_list);

    assert_list(system_list, system);
    assert_list(properties_list, properties);
}

static void
test_names_of_device(void)
{
    g_autoptr(SpokeIdentity) identity =
        spoke_identity_new("self", "contoso.azure-devices.net", "dev-1", NULL);
    g_autofree char *client_id = spoke_topic_client_id(identity);
    g_autofree char *user_name = spoke_topic_user_name(identity, "spoked/0.1.0 (Debian)");
    g_autofree char *events = spoke_topic_events(identity);
    g_autofree char *devicebound = spoke_topic_devicebound(identity);

    g_assert_cmpstr(client_id, ==, "dev-1");
    g_assert_cmpstr(user_name, ==,
                    "contoso.azure-devices.net/dev-1/?api-version=2021-04-12"
                    "&DeviceClientType=spoked%2F0.1.0%20%28Debian%29");
    g_assert_cmpstr(events, ==, "devices/dev-1/messages/events/");
    g_assert_cmpstr(devicebound, ==, "devices/dev-1/messages/devicebound/");
}

static void
test_names_of_module(void)
{
    g_autoptr(SpokeIdentity) identity = spoke_identity_new("self", "hub.test", "dev-1", "mod-a");
    g_autofree char *client_id = spoke_topic_client_id(identity);
    g_autofree char *user_name = spoke_topic_user_name(identity, "x");
    g_autofree char *events = spoke_topic_events(identity);

    g_assert_cmpstr(client_id, ==, "dev-1/mod-a");
    g_assert_true(g_str_has_prefix(user_name, "hub.test/dev-1/mod-a/?api-version="));
    g_assert_cmpstr(events, ==, "devices/dev-1/modules/mod-a/messages/events/");
    g_assert_null(spoke_topic_devicebound(identity));
}

static void
test_names_keep_ids_raw(void)
{
    g_autoptr(SpokeIdentity) identity =
        spoke_identity_new("self", "hub.test", "a%2F+#*?!(),=@$'", NULL);
    g_autofree char *client_id = spoke_topic_client_id(identity);
    g_autofree char *events = spoke_topic_events(identity);

    g_assert_cmpstr(client_id, ==, "a%2F+#*?!(),=@$'");
    g_assert_cmpstr(events, ==, "devices/a%2F+#*?!(),=@$'/messages/events/");
}

static void
test_encode_every_system_property(void)
{
    g_autoptr(GByteArray) system =
        list_of(SPOKE_PROPERTY_MESSAGE_ID, "id 1", SPOKE_PROPERTY_CORRELATION_ID, "c/2",
                SPOKE_PROPERTY_USER_ID, "me", SPOKE_PROPERTY_TO, "/somewhere",
                SPOKE_PROPERTY_CONTENT_TYPE, "application/json", SPOKE_PROPERTY_CONTENT_ENCODING,
                "utf-8", SPOKE_PROPERTY_CREATION_TIME, "1893456000000000", SPOKE_PROPERTY_EXPIRY,
                "1893456000123000", SPOKE_PROPERTY_ACK, "full", NULL);
    g_autofree char *bag = encode(system, NULL, NULL);

    g_assert_cmpstr(bag, ==,
                    "%24.mid=id%201&%24.cid=c%2F2&%24.uid=me&%24.to=%2Fsomewhere"
                    "&%24.ct=application%2Fjson&%24.ce=utf-8"
                    "&%24.ctime=2030-01-01T00%3A00%3A00.000Z"
                    "&%24.exp=2030-01-01T00%3A00%3A00.123Z&iothub-ack=full");
}

static void
test_encode_system_before_app(void)
{
    g_autoptr(GByteArray) system = list_of(SPOKE_PROPERTY_CONTENT_TYPE, "text/plain", NULL);
    g_autoptr(GByteArray) properties = list_of("k", "v", "z", "", NULL);
    g_autofree char *bag = encode(system, NULL, properties);

    g_assert_cmpstr(bag, ==, "%24.ct=text%2Fplain&k=v&z=");
}

static void
test_encode_adds_message_id(void)
{
    g_autoptr(GByteArray) with = list_of(SPOKE_PROPERTY_MESSAGE_ID, "own", NULL);
    g_autoptr(GByteArray) without = list_of(SPOKE_PROPERTY_USER_ID, "me", NULL);
    g_autofree char *kept = encode(with, "made-1", NULL);
    g_autofree char *added = encode(without, "made-1", NULL);

    g_assert_cmpstr(kept, ==, "%24.mid=own");
    g_assert_cmpstr(added, ==, "%24.mid=made-1&%24.uid=me");
}

static void
test_encode_hard_characters(void)
{
    g_autoptr(GByteArray) properties =
        list_of("k ey", "v&l=~'()*é/#+%", "日本", "\t\n\x7f$", "-_.~", "aZ09", NULL);
    g_autofree char *bag = encode(NULL, NULL, properties);

    g_assert_cmpstr(bag, ==,
                    "k%20ey=v%26l%3D~%27%28%29%2A%C3%A9%2F%23%2B%25"
                    "&%E6%97%A5%E6%9C%AC=%09%0A%7F%24&-_.~=aZ09");
}

/* What goes out is outside the characters that MQTT and the hub give a meaning to. */
static void
test_encode_every_byte(void)
{
    char text[256] = "";

    for (int i = 1; i < 256; i++)
        text[i - 1] = (char)i;

    g_autoptr(GString) out = g_string_new(NULL);

    spoke_bag_append_encoded(out, text);

    g_assert_cmpuint(strspn(out->str, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                      "0123456789-_.~%"),
                     ==, out->len);
    g_assert_cmpuint(out->len, ==, 66 + 3 * (255 - 66));
}

static void
test_encode_leaves_out_what_no_calendar_has(void)
{
    g_autoptr(GByteArray) system =
        list_of(SPOKE_PROPERTY_EXPIRY, "9223372036854775807", SPOKE_PROPERTY_CREATION_TIME, "soon",
                "unknown-name", "x", SPOKE_PROPERTY_USER_ID, "me", NULL);
    g_autofree char *bag = encode(system, NULL, NULL);

    g_assert_cmpstr(bag, ==, "%24.uid=me");
}

static void
test_encode_appends(void)
{
    g_autoptr(GByteArray) properties = list_of("k", "v", NULL);
    g_autoptr(GString) topic = g_string_new("devices/d/messages/events/");

    spoke_bag_append(topic, NULL, 0, NULL, properties->data, properties->len);

    g_assert_cmpstr(topic->str, ==, "devices/d/messages/events/k=v");
}

/* The example of iot-hub-protocol.md, 2.6. */
static void
test_parse_devicebound(void)
{
    assert_parsed("%24.to=%2Fdevices%2Fdev-1%2Fmessages%2FdeviceBound&%24.mid=m1&iothub-ack=full"
                  "&k=v",
                  "[to|/devices/dev-1/messages/deviceBound][message-id|m1][ack|full]", "[k|v]");
}

static void
test_parse_every_system_property(void)
{
    assert_parsed("$.mid=1&%24.cid=2&%24.uid=3&%24.to=4&%24.ct=5&%24.ce=6"
                  "&%24.ctime=2030-01-01T00:00:00Z&%24.exp=2030-01-01T01%3A00%3A00.5%2B01:00"
                  "&iothub-ack=none",
                  "[message-id|1][correlation-id|2][user-id|3][to|4][content-type|5]"
                  "[content-encoding|6][creation-time|1893456000000000]"
                  "[expiry|1893456000500000][ack|none]",
                  "");
    assert_parsed("iothub-creation-time-utc=2030-01-01T00:00:00Z",
                  "[creation-time|1893456000000000]", "");
}

static void
test_parse_leaves_out_foreign_system_properties(void)
{
    assert_parsed("%24.cdid=other&%24.on=out&%24.exp=tomorrow&k=v", "", "[k|v]");
}

static void
test_parse_leniently(void)
{
    assert_parsed("", "", "");
    assert_parsed("&&&", "", "");
    assert_parsed("=value&k", "", "[k|]");
    assert_parsed("k=&a=b=c", "", "[k|][a|b=c]");
    assert_parsed("a+b=c+d", "", "[a+b|c+d]");
    assert_parsed("p=100%&q=%4&r=%zz&s=%41", "", "[p|100%][q|%4][r|%zz][s|A]");
    assert_parsed("a/b=c/d", "", "[a/b|c/d]");
}

static void
test_parse_makes_valid_text(void)
{
    assert_parsed("%C3=%FFx&nul=a%00b", "",
                  "[\xef\xbf\xbd|\xef\xbf\xbdx][nul|a\xef\xbf\xbd"
                  "b]");
}

static void
test_round_trip(void)
{
    g_autoptr(GByteArray) system =
        list_of(SPOKE_PROPERTY_MESSAGE_ID, "a-:.+%_#*?!(),=@;$'", SPOKE_PROPERTY_CONTENT_TYPE,
                "text/plain; charset=utf-8", SPOKE_PROPERTY_EXPIRY, "1893456000123456", NULL);
    g_autoptr(GByteArray) properties =
        list_of("\xf0\x9f\x8c\xa1",
                "23 \xc2\xb0"
                "C",
                "&=%25/+#", "$.mid", "", "nameless", "empty", "", NULL);
    g_autofree char *bag = encode(system, NULL, properties);
    g_autoptr(GByteArray) system_again = g_byte_array_new();
    g_autoptr(GByteArray) properties_again = g_byte_array_new();

    spoke_bag_parse(bag, strlen(bag), system_again, properties_again);

    g_assert_cmpmem(system_again->data, system_again->len, system->data, system->len);
    assert_list(properties_again, "[\xf0\x9f\x8c\xa1|23 \xc2\xb0"
                                  "C][&=%25/+#|$.mid][empty|]");
}

static void
test_utc_format(void)
{
    static const struct {
        gint64 usec;
        const char *text;
    } rows[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {-1, "1969-12-31T23:59:59.999999Z"},
        {-1000, "1969-12-31T23:59:59.999Z"},
        {USEC_2030, "2030-01-01T00:00:00.000Z"},
        {USEC_2030 + 1, "2030-01-01T00:00:00.000001Z"},
        {G_GINT64_CONSTANT(951782400000000), "2000-02-29T00:00:00.000Z"},
        {G_GINT64_CONSTANT(4107542399000000), "2100-02-28T23:59:59.000Z"},
        {G_GINT64_CONSTANT(4107542400000000), "2100-03-01T00:00:00.000Z"},
        {G_GINT64_CONSTANT(-62135596800000000), "0001-01-01T00:00:00.000Z"},
        {G_GINT64_CONSTANT(253402300799999999), "9999-12-31T23:59:59.999999Z"},
    };
    char text[SPOKE_UTC_SIZE];

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_assert_true(spoke_utc_format(rows[i].usec, text));
        g_assert_cmpstr(text, ==, rows[i].text);
    }
    g_assert_false(spoke_utc_format(G_GINT64_CONSTANT(253402300800000000), text));
    g_assert_false(spoke_utc_format(G_GINT64_CONSTANT(-62135596800000001), text));
    g_assert_false(spoke_utc_format(G_MAXINT64, text));
    g_assert_false(spoke_utc_format(G_MININT64, text));
}

/* Every day of eight centuries, against GLib's calendar. */
static void
test_utc_agrees_with_glib(void)
{
    for (guint32 julian = 584389; julian < 584389 + 800 * 366; julian += 1) {
        GDate date;
        char text[SPOKE_UTC_SIZE];
        g_autofree char *expected = NULL;
        gint64 usec = ((gint64)julian - 719163) * 86400 * G_USEC_PER_SEC, again = 0;

        g_date_clear(&date, 1);
        g_date_set_julian(&date, julian);
        expected = g_strdup_printf("%04d-%02d-%02dT00:00:00.000Z", g_date_get_year(&date),
                                   g_date_get_month(&date), g_date_get_day(&date));

        g_assert_true(spoke_utc_format(usec, text));
        g_assert_cmpstr(text, ==, expected);
        g_assert_true(spoke_utc_parse(text, &again));
        g_assert_cmpint(again, ==, usec);
    }
}

static void
test_utc_parse(void)
{
    static const char *const good[] = {
        "2030-01-01T00:00:00Z",         "2030-01-01T00:00:00",       "2030-01-01 00:00:00.000Z",
        "2030-01-01t00:00:00.0000000z", "2030-01-01T01:30:00+01:30", "2029-12-31T22:00:00-02:00",
        "2029-12-31T23:59:60Z",
    };
    static const char *const bad[] = {
        "",
        "2030",
        "2030-01-01",
        "2030-13-01T00:00:00Z",
        "2030-02-30T00:00:00Z",
        "2030-00-01T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "2030-01-01T24:00:00Z",
        "2030-01-01T00:60:00Z",
        "2030-01-01T00:00:00.Z",
        "2030-01-01T00:00:00X",
        "2030-01-01T00:00:00+1:00",
        "2030-01-01T00:00:00+01:00x",
        "2030-1-1T0:0:0Z",
        "+2030-01-01T00:00:00Z",
    };
    gint64 usec = 0;

    for (size_t i = 0; i < G_N_ELEMENTS(good); i++) {
        g_assert_true(spoke_utc_parse(good[i], &usec));
        g_assert_cmpint(usec, ==, USEC_2030);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++)
        g_assert_false(spoke_utc_parse(bad[i], &usec));
    g_assert_true(spoke_utc_parse("2030-01-01T00:00:00.1234567Z", &usec));
    g_assert_cmpint(usec, ==, USEC_2030 + 123456);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/mqtt/names/device", test_names_of_device);
    g_test_add_func("/mqtt/names/module", test_names_of_module);
    g_test_add_func("/mqtt/names/keep-ids-raw", test_names_keep_ids_raw);
    g_test_add_func("/mqtt/encode/every-system-property", test_encode_every_system_property);
    g_test_add_func("/mqtt/encode/system-before-app", test_encode_system_before_app);
    g_test_add_func("/mqtt/encode/adds-message-id", test_encode_adds_message_id);
    g_test_add_func("/mqtt/encode/hard-characters", test_encode_hard_characters);
    g_test_add_func("/mqtt/encode/every-byte", test_encode_every_byte);
    g_test_add_func("/mqtt/encode/leaves-out-what-no-calendar-has",
                    test_encode_leaves_out_what_no_calendar_has);
    g_test_add_func("/mqtt/encode/appends", test_encode_appends);
    g_test_add_func("/mqtt/parse/2.6-devicebound", test_parse_devicebound);
    g_test_add_func("/mqtt/parse/every-system-property", test_parse_every_system_property);
    g_test_add_func("/mqtt/parse/leaves-out-foreign-system-properties",
                    test_parse_leaves_out_foreign_system_properties);
    g_test_add_func("/mqtt/parse/leniently", test_parse_leniently);
    g_test_add_func("/mqtt/parse/makes-valid-text", test_parse_makes_valid_text);
    g_test_add_func("/mqtt/bag/round-trip", test_round_trip);
    g_test_add_func("/mqtt/utc/format", test_utc_format);
    g_test_add_func("/mqtt/utc/agrees-with-glib", test_utc_agrees_with_glib);
    g_test_add_func("/mqtt/utc/parse", test_utc_parse);
    return g_test_run();
}
