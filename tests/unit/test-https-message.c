/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/properties.h"
#include "daemon/transports/https/batch.h"
#include "daemon/transports/https/headers.h"

#include <string.h>

/*
 * A message as HTTP carries it: as headers beside a bare body, as an entry of a batch, and from the
 * headers of an answer. The expected texts are written out by hand.
 */

/* NULL-terminated: name, value, … (transfer full) */
static GByteArray *
list_of(const char *name, ...)
{
    GByteArray *list = g_byte_array_new();
    va_list arguments;

    va_start(arguments, name);
    for (; name != NULL; name = va_arg(arguments, const char *))
        spoke_properties_append(list, name, va_arg(arguments, const char *));
    va_end(arguments);
    return list;
}

/* (transfer full): takes both lists over; either may be NULL */
static SpokeMessage *
make(GByteArray *system, GByteArray *properties, const void *body, size_t size)
{
    SpokeMessage *message =
        spoke_message_new(system != NULL ? system->data : NULL, system != NULL ? system->len : 0,
                          properties != NULL ? properties->data : NULL,
                          properties != NULL ? properties->len : 0, body, size);

    if (system != NULL)
        g_byte_array_unref(system);
    if (properties != NULL)
        g_byte_array_unref(properties);
    return message;
}

/* Headers up */

static void
assert_lines(SpokeMessage *message, const char *id, const char *expected)
{
    g_autoptr(GPtrArray) lines = spoke_headers_format(message, id);

    g_assert_nonnull(lines);
    g_ptr_array_add(lines, NULL);
    g_autofree char *text = g_strjoinv("\n", (char **)lines->pdata);
    g_assert_cmpstr(text, ==, expected);
}

static gboolean
can_be_headers(const char *name, const char *value)
{
    g_autoptr(SpokeMessage) message = make(NULL, list_of(name, value, NULL), NULL, 0);
    g_autoptr(GPtrArray) lines = spoke_headers_format(message, NULL);

    return lines != NULL;
}

static void
test_format_all(void)
{
    g_autoptr(SpokeMessage) message =
        make(list_of(SPOKE_PROPERTY_MESSAGE_ID, "m1", SPOKE_PROPERTY_CORRELATION_ID, "c1",
                     SPOKE_PROPERTY_USER_ID, "u1", SPOKE_PROPERTY_CONTENT_TYPE, "text/plain",
                     SPOKE_PROPERTY_CONTENT_ENCODING, "utf-8", SPOKE_PROPERTY_CREATION_TIME,
                     "1893456000000000", SPOKE_PROPERTY_EXPIRY, "1893459600000000", NULL),
             list_of("k", "v w", "l", "1", NULL), NULL, 0);

    assert_lines(message, "made",
                 "iothub-messageid: m1\n"
                 "iothub-correlationid: c1\n"
                 "iothub-userid: u1\n"
                 "iothub-contenttype: text/plain\n"
                 "iothub-contentencoding: utf-8\n"
                 "iothub-app-iothub-creation-time-utc: 2030-01-01T00:00:00.000Z\n"
                 "iothub-expiry: 2030-01-01T01:00:00.000Z\n"
                 "iothub-app-k: v w\n"
                 "iothub-app-l: 1");
}

static void
test_format_adds_message_id(void)
{
    g_autoptr(SpokeMessage) message = make(NULL, NULL, NULL, 0);

    assert_lines(message, "made", "iothub-messageid: made");
    assert_lines(message, NULL, "");
}

static void
test_format_leaves_out_what_is_not_ours(void)
{
    g_autoptr(SpokeMessage) message =
        make(list_of(SPOKE_PROPERTY_TO, "/elsewhere", SPOKE_PROPERTY_EXPIRY, "9223372036854775807",
                     "unknown", "x", NULL),
             NULL, NULL, 0);

    assert_lines(message, NULL, "");
}

static void
test_format_refuses_what_no_header_carries(void)
{
    static const char *const bad_names[] = {"a b", "a:b", "", "é", "a\nb", "a/b", "a(b)"};
    static const char *const bad_values[] = {"", " a", "a ", "é", "a\r\nx: y", "\t", "a\x7f"};

    g_assert_true(can_be_headers("a!#$%&'*+-.^_`|~9", "any (thing): \"{}\" ~"));
    for (size_t i = 0; i < G_N_ELEMENTS(bad_names); i++)
        g_assert_false(can_be_headers(bad_names[i], "v"));
    for (size_t i = 0; i < G_N_ELEMENTS(bad_values); i++)
        g_assert_false(can_be_headers("n", bad_values[i]));
}

static void
test_format_refuses_names_that_differ_in_case_only(void)
{
    g_autoptr(SpokeMessage) clash = make(NULL, list_of("ab", "1", "AB", "2", NULL), NULL, 0);
    g_autoptr(SpokeMessage) fine = make(NULL, list_of("ab", "1", "ABC", "2", NULL), NULL, 0);

    g_assert_null(spoke_headers_format(clash, NULL));
    assert_lines(fine, NULL, "iothub-app-ab: 1\niothub-app-ABC: 2");
}

static void
test_format_refuses_too_many(void)
{
    GByteArray *many = g_byte_array_new();
    g_autofree char *large = g_strnfill(SPOKE_HEADERS_BYTES_MAX, 'x');

    for (guint i = 0; i <= SPOKE_HEADERS_MAX; i++) {
        g_autofree char *name = g_strdup_printf("n%u", i);

        spoke_properties_append(many, name, "v");
    }
    g_autoptr(SpokeMessage) message = make(NULL, many, NULL, 0);

    g_assert_null(spoke_headers_format(message, NULL));
    g_assert_false(can_be_headers("n", large));
}

/* Batches */

static void
assert_batch(SpokeMessage *message, const char *id, const char *expected)
{
    SpokeBatch batch;

    spoke_batch_init(&batch);
    g_assert_true(spoke_batch_add(&batch, message, id));
    g_assert_cmpstr(spoke_batch_end(&batch)->str, ==, expected);
    spoke_batch_clear(&batch);
}

static void
test_batch_entry_in_base64(void)
{
    g_autoptr(SpokeMessage) message = make(NULL, list_of("k", "v", NULL), "\0\1\2\377", 4);
    g_autoptr(SpokeMessage) empty = make(NULL, NULL, NULL, 0);
    g_autoptr(SpokeMessage) brief = make(NULL, NULL, "{\"t\":1}", 7);

    assert_batch(message, "m1",
                 "[{\"body\":\"AAEC/w==\",\"properties\":"
                 "{\"iothub-messageid\":\"m1\",\"iothub-app-k\":\"v\"}}]");
    assert_batch(empty, NULL, "[{\"body\":\"\"}]");
    assert_batch(brief, NULL, "[{\"body\":\"eyJ0IjoxfQ==\"}]");
}

static void
test_batch_entry_as_text(void)
{
    static const char text[] = "a longer text with \"quotes\", a \\, a \n, a \t, an \xc3\xa9, "
                               "and then enough to be worth it, which takes a few words";
    g_autoptr(SpokeMessage) message = make(NULL, NULL, text, strlen(text));

    assert_batch(message, NULL,
                 "[{\"body\":\"a longer text with \\\"quotes\\\", a \\\\, a \\n, a \\t, "
                 "an \xc3\xa9, and then enough to be worth it, which takes a few words\","
                 "\"base64Encoded\":false}]");
}

static void
test_batch_carries_any_name_and_value(void)
{
    g_autoptr(SpokeMessage) message =
        make(NULL, list_of("k \"e\\y:", "\xc3\xa9\x01\n ", "e", "", NULL), "x", 1);

    assert_batch(message, NULL,
                 "[{\"body\":\"eA==\",\"properties\":{\"iothub-app-k \\\"e\\\\y:\":"
                 "\"\xc3\xa9\\u0001\\n \",\"iothub-app-e\":\"\"}}]");
}

static void
test_batch_keeps_the_order(void)
{
    g_autoptr(SpokeMessage) first = make(NULL, NULL, "1", 1);
    g_autoptr(SpokeMessage) second = make(NULL, NULL, "2", 1);
    SpokeBatch batch;

    spoke_batch_init(&batch);
    spoke_batch_add(&batch, first, NULL);
    spoke_batch_add(&batch, second, NULL);

    g_assert_cmpstr(spoke_batch_end(&batch)->str, ==, "[{\"body\":\"MQ==\"},{\"body\":\"Mg==\"}]");
    spoke_batch_clear(&batch);
}

static void
test_batch_stops_at_its_size(void)
{
    g_autofree char *bytes = g_malloc0(1000); /* no text: base64 */
    g_autoptr(SpokeMessage) message = make(NULL, NULL, bytes, 1000);
    g_autofree char *large = g_malloc0(SPOKE_BATCH_BYTES_MAX / 4 * 3);
    g_autoptr(SpokeMessage) too_large = make(NULL, NULL, large, SPOKE_BATCH_BYTES_MAX / 4 * 3);
    SpokeBatch batch;
    guint n = 0;

    spoke_batch_init(&batch);
    while (spoke_batch_add(&batch, message, "some-id"))
        n++;
    g_assert_false(spoke_batch_add(&batch, too_large, NULL));

    g_assert_cmpuint(n, ==, batch.n);
    g_assert_cmpuint(n, >, 150);
    g_assert_cmpuint(batch.counted, <=, SPOKE_BATCH_BYTES_MAX);
    g_assert_cmpuint(spoke_batch_end(&batch)->len, <=, SPOKE_BATCH_BYTES_MAX);
    g_assert_true(g_str_has_suffix(batch.text->str, "\"}}]"));
    spoke_batch_clear(&batch);
}

static void
test_batch_counts_as_the_hub_does(void)
{
    g_autoptr(SpokeMessage) message = make(NULL, list_of("ab", "cde", NULL), "xyz", 3);
    SpokeBatch batch;

    spoke_batch_init(&batch);
    spoke_batch_add(&batch, message, NULL);

    g_assert_cmpuint(batch.counted, ==, 3 + 384 + 5 + 16);
    spoke_batch_clear(&batch);
}

/* Headers down */

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

/* NULL-terminated: name, value, … of headers */
static void
assert_parsed(const char *system_expected, const char *properties_expected, const char *name, ...)
{
    g_autoptr(GByteArray) system = g_byte_array_new();
    g_autoptr(GByteArray) properties = g_byte_array_new();
    va_list arguments;

    va_start(arguments, name);
    for (; name != NULL; name = va_arg(arguments, const char *))
        spoke_headers_parse(name, va_arg(arguments, const char *), system, properties);
    va_end(arguments);
    assert_list(system, system_expected);
    assert_list(properties, properties_expected);
}

static void
test_parse_all(void)
{
    assert_parsed("[message-id|m][correlation-id|c][user-id|u][to|/devices/d][ack|full]"
                  "[expiry|1893456000000000][content-type|text/plain][content-encoding|utf-8]"
                  "[creation-time|1893456000000000]",
                  "[K-x|v w]", "Date", "Tue, 01 Jan 2030 00:00:00 GMT", "iothub-messageid", "m",
                  "IoTHub-CorrelationId", "c", "iothub-userid", "u", "iothub-to", "/devices/d",
                  "iothub-ack", "full", "iothub-expiry", "2030-01-01T00:00:00Z", "contenttype",
                  "text/plain", "ContentEncoding", "utf-8", "iothub-sequencenumber", "7",
                  "iothub-app-iothub-creation-time-utc", "2030-01-01T00:00:00Z", "iothub-app-K-x",
                  "v w", "Content-Type", "application/octet-stream", NULL);
}

static void
test_parse_takes_a_property_once(void)
{
    assert_parsed("[content-type|a/b]", "", "ContentType", "a/b", "iothub-contenttype", "c/d",
                  NULL);
}

static void
test_parse_times_of_dotnet(void)
{
    assert_parsed("[expiry|1893589509000000]", "", "iothub-expiry", "1/2/2030 1:05:09 PM", NULL);
    assert_parsed("[expiry|1893543309000000]", "", "iothub-expiry", "01/02/2030 00:15:09", NULL);
    assert_parsed("[expiry|1893543309000000]", "", "iothub-expiry", "1/2/2030 12:15:09 AM", NULL);
    assert_parsed("", "", "iothub-expiry", "13/13/2030 12:15:09 AM", NULL);
    assert_parsed("", "", "iothub-expiry", "1/2/2030 12:15:09 XM", NULL);
    assert_parsed("", "", "iothub-expiry", "soon", NULL);
}

static void
test_parse_makes_valid_text(void)
{
    assert_parsed("[user-id|\xef\xbf\xbd]", "[k|\xc3\xa9\xef\xbf\xbd]", "iothub-userid", "\xff",
                  "iothub-app-k", "\xc3\xa9\xc3", NULL);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/https/headers/format/4.1-all", test_format_all);
    g_test_add_func("/https/headers/format/adds-message-id", test_format_adds_message_id);
    g_test_add_func("/https/headers/format/leaves-out-what-is-not-ours",
                    test_format_leaves_out_what_is_not_ours);
    g_test_add_func("/https/headers/format/refuses-what-no-header-carries",
                    test_format_refuses_what_no_header_carries);
    g_test_add_func("/https/headers/format/refuses-names-that-differ-in-case-only",
                    test_format_refuses_names_that_differ_in_case_only);
    g_test_add_func("/https/headers/format/refuses-too-many", test_format_refuses_too_many);
    g_test_add_func("/https/batch/entry-in-base64", test_batch_entry_in_base64);
    g_test_add_func("/https/batch/entry-as-text", test_batch_entry_as_text);
    g_test_add_func("/https/batch/carries-any-name-and-value",
                    test_batch_carries_any_name_and_value);
    g_test_add_func("/https/batch/keeps-the-order", test_batch_keeps_the_order);
    g_test_add_func("/https/batch/stops-at-its-size", test_batch_stops_at_its_size);
    g_test_add_func("/https/batch/counts-as-the-hub-does", test_batch_counts_as_the_hub_does);
    g_test_add_func("/https/headers/parse/4.3-all", test_parse_all);
    g_test_add_func("/https/headers/parse/takes-a-property-once", test_parse_takes_a_property_once);
    g_test_add_func("/https/headers/parse/times-of-dotnet", test_parse_times_of_dotnet);
    g_test_add_func("/https/headers/parse/makes-valid-text", test_parse_makes_valid_text);
    return g_test_run();
}
