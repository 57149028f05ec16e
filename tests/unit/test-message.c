/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/error.h"
#include "daemon/message.h"
#include "daemon/properties.h"

#include <string.h>

/* A message's layout, and every rule of spoke_message_check() at its border. */

static SpokeMessage *
message_with(GByteArray *system, GByteArray *properties, size_t body_size)
{
    g_autofree char *body = g_malloc0(body_size + 1);

    return spoke_message_new(system != NULL ? system->data : NULL, system != NULL ? system->len : 0,
                             properties != NULL ? properties->data : NULL,
                             properties != NULL ? properties->len : 0, body, body_size);
}

static void
assert_system(const char *name, const char *value, int code)
{
    g_autoptr(GByteArray) system = g_byte_array_new();
    g_autoptr(GError) error = NULL;

    spoke_properties_append(system, name, value);
    g_autoptr(SpokeMessage) message = message_with(system, NULL, 1);
    gboolean passed = spoke_message_check(message, &error);

    if (code < 0) {
        g_assert_no_error(error);
        g_assert_true(passed);
        return;
    }
    g_assert_false(passed);
    g_assert_error(error, SPOKE_ERROR, code);
    g_assert_true(g_utf8_validate(error->message, -1, NULL));
}

static void
assert_property(const char *name, const char *value, int code)
{
    g_autoptr(GByteArray) properties = g_byte_array_new();
    g_autoptr(GError) error = NULL;

    spoke_properties_append(properties, name, value);
    g_autoptr(SpokeMessage) message = message_with(NULL, properties, 1);
    gboolean passed = spoke_message_check(message, &error);

    if (code < 0) {
        g_assert_no_error(error);
        g_assert_true(passed);
        return;
    }
    g_assert_false(passed);
    g_assert_error(error, SPOKE_ERROR, code);
    g_assert_true(g_utf8_validate(error->message, -1, NULL));
}

static char *
repeat(const char *text, guint times)
{
    GString *all = g_string_new(NULL);

    for (guint i = 0; i < times; i++)
        g_string_append(all, text);
    return g_string_free(all, FALSE);
}

static void
test_new_keeps_all_parts(void)
{
    g_autoptr(GByteArray) system = g_byte_array_new();
    g_autoptr(GByteArray) properties = g_byte_array_new();
    spoke_properties_append(system, SPOKE_PROPERTY_CONTENT_TYPE, "text/plain");
    spoke_properties_append(properties, "room", "kitchen");

    g_autoptr(SpokeMessage) message =
        spoke_message_new(system->data, system->len, properties->data, properties->len, "body", 4);

    g_assert_cmpstr(spoke_message_lookup_system(message, SPOKE_PROPERTY_CONTENT_TYPE), ==,
                    "text/plain");
    g_assert_null(spoke_message_lookup_system(message, SPOKE_PROPERTY_MESSAGE_ID));
    g_assert_cmpstr(spoke_properties_lookup(spoke_message_properties(message),
                                            message->properties_size, "room"),
                    ==, "kitchen");
    g_assert_cmpmem(spoke_message_body(message), message->body_size, "body", 4);
    g_assert_cmpuint(spoke_message_cost(message), ==, 128 + system->len + properties->len + 4);
    g_assert_cmpint(message->lane, ==, SPOKE_LANE_NORMAL);
}

static void
test_new_empty(void)
{
    g_autoptr(SpokeMessage) message = spoke_message_new(NULL, 0, NULL, 0, NULL, 0);
    g_autoptr(GError) error = NULL;

    g_assert_true(spoke_message_check(message, &error));
    g_assert_no_error(error);
    g_assert_cmpuint(spoke_message_cost(message), ==, 128);
}

static void
test_unref_frees_owned_fields(void)
{
    SpokeMessage *message = spoke_message_new(NULL, 0, NULL, 0, "x", 1);
    message->app = g_ref_string_new("thermostat.service");
    message->notify = g_strdup(":1.5");

    spoke_message_ref(message);
    spoke_message_unref(message);

    g_assert_cmpstr(message->app, ==, "thermostat.service");
    spoke_message_unref(message);
    spoke_message_unref(NULL);
}

static void
test_check_body_size(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(SpokeMessage) fits =
        message_with(NULL, NULL, SPOKE_MESSAGE_BYTES_MAX - SPOKE_MESSAGE_ID_MADE_BYTES);
    g_autoptr(SpokeMessage) large = message_with(NULL, NULL, SPOKE_MESSAGE_BYTES_MAX + 1);

    g_assert_true(spoke_message_check(fits, NULL));
    g_assert_false(spoke_message_check(large, &error));
    g_assert_error(error, SPOKE_ERROR, SPOKE_ERROR_TOO_LARGE);
    g_assert_nonnull(strstr(error->message, "262145"));
    g_assert_nonnull(strstr(error->message, "262144"));
}

static void
test_check_counts_values_and_app_names(void)
{
    g_autoptr(GByteArray) system = g_byte_array_new();
    g_autoptr(GByteArray) properties = g_byte_array_new();
    g_autoptr(GError) error = NULL;
    spoke_properties_append(system, SPOKE_PROPERTY_MESSAGE_ID, "12345"); /* the value counts */
    spoke_properties_append(properties, "abc", "de");                    /* both count */

    g_autoptr(SpokeMessage) fits = message_with(system, properties, SPOKE_MESSAGE_BYTES_MAX - 10);
    g_autoptr(SpokeMessage) large = message_with(system, properties, SPOKE_MESSAGE_BYTES_MAX - 9);

    g_assert_true(spoke_message_check(fits, NULL));
    g_assert_false(spoke_message_check(large, &error));
    g_assert_error(error, SPOKE_ERROR, SPOKE_ERROR_TOO_LARGE);
}

/* The daemon makes a message-id where there is none: the hub counts that, too. */
static void
test_check_counts_message_id_to_come(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(SpokeMessage) large =
        message_with(NULL, NULL, SPOKE_MESSAGE_BYTES_MAX - SPOKE_MESSAGE_ID_MADE_BYTES + 1);

    g_assert_false(spoke_message_check(large, &error));
    g_assert_error(error, SPOKE_ERROR, SPOKE_ERROR_TOO_LARGE);
}

static void
test_check_system_values(void)
{
    g_autofree char *id_128 = repeat("i", 128);
    g_autofree char *id_129 = repeat("i", 129);
    g_autofree char *text_1024 = repeat("t", 1024);
    g_autofree char *text_1025 = repeat("t", 1025);

    assert_system(SPOKE_PROPERTY_MESSAGE_ID, "aZ9-:.+%_#*?!(),=@;$'", -1);
    assert_system(SPOKE_PROPERTY_MESSAGE_ID, id_128, -1);
    assert_system(SPOKE_PROPERTY_MESSAGE_ID, id_129, SPOKE_ERROR_INVALID_OPTION);
    assert_system(SPOKE_PROPERTY_MESSAGE_ID, "", SPOKE_ERROR_INVALID_OPTION);
    assert_system(SPOKE_PROPERTY_MESSAGE_ID, "with space", SPOKE_ERROR_INVALID_OPTION);
    assert_system(SPOKE_PROPERTY_MESSAGE_ID, "é", SPOKE_ERROR_INVALID_OPTION);
    assert_system(SPOKE_PROPERTY_CORRELATION_ID, "any text, é too", -1);
    assert_system(SPOKE_PROPERTY_CORRELATION_ID, text_1024, -1);
    assert_system(SPOKE_PROPERTY_CORRELATION_ID, text_1025, SPOKE_ERROR_INVALID_OPTION);
    assert_system(SPOKE_PROPERTY_USER_ID, "", SPOKE_ERROR_INVALID_OPTION);
    assert_system(SPOKE_PROPERTY_CONTENT_TYPE, "a\nb", SPOKE_ERROR_INVALID_OPTION);
    assert_system(SPOKE_PROPERTY_CONTENT_TYPE, "\xff", SPOKE_ERROR_INVALID_OPTION);
    assert_system(SPOKE_PROPERTY_CREATION_TIME, "1700000000000000", -1);
    assert_system(SPOKE_PROPERTY_CREATION_TIME, "yesterday", SPOKE_ERROR_INVALID_OPTION);
    assert_system(SPOKE_PROPERTY_EXPIRY, "-1", SPOKE_ERROR_INVALID_OPTION);
    assert_system(SPOKE_PROPERTY_TO, "elsewhere", SPOKE_ERROR_INVALID_OPTION);
    assert_system("unheard-of", "x", SPOKE_ERROR_INVALID_OPTION);
}

static void
test_check_property_text(void)
{
    g_autofree char *name_256 = repeat("n", 256);
    g_autofree char *name_257 = repeat("n", 257);

    assert_property("room", "", -1);
    assert_property("ключ & = % /#+", "значение & = % /#+", -1);
    assert_property("$", "x", -1);
    assert_property(name_256, "x", -1);
    assert_property(name_257, "x", SPOKE_ERROR_INVALID_PROPERTY);
    assert_property("", "x", SPOKE_ERROR_INVALID_PROPERTY);
    assert_property("$.mid", "x", SPOKE_ERROR_INVALID_PROPERTY);
    assert_property("a\x01", "x", SPOKE_ERROR_INVALID_PROPERTY);
    assert_property("a", "x\x7f", SPOKE_ERROR_INVALID_PROPERTY);
    assert_property("a", "x\xc2\x85", SPOKE_ERROR_INVALID_PROPERTY); /* U+0085 */
    assert_property("a", "x\xc2\xa0", -1);                           /* U+00A0 */
    assert_property("a", "\xed\xa0\x80", SPOKE_ERROR_INVALID_PROPERTY);
}

static void
test_check_number_of_properties(void)
{
    g_autoptr(GByteArray) properties = g_byte_array_new();
    g_autoptr(GError) error = NULL;
    for (guint i = 0; i < SPOKE_PROPERTIES_MAX; i++) {
        g_autofree char *name = g_strdup_printf("p%u", i);
        spoke_properties_append(properties, name, "v");
    }

    g_autoptr(SpokeMessage) fits = message_with(NULL, properties, 0);
    spoke_properties_append(properties, "one more", "v");
    g_autoptr(SpokeMessage) many = message_with(NULL, properties, 0);

    g_assert_true(spoke_message_check(fits, NULL));
    g_assert_false(spoke_message_check(many, &error));
    g_assert_error(error, SPOKE_ERROR, SPOKE_ERROR_INVALID_PROPERTY);
}

static void
test_check_encoded_size(void)
{
    g_autoptr(GByteArray) fitting = g_byte_array_new();
    g_autoptr(GByteArray) large = g_byte_array_new();
    g_autoptr(GError) error = NULL;
    g_autofree char *value = repeat("é", 9990); /* six bytes each, encoded */
    g_autofree char *longer = repeat("é", 10000);
    spoke_properties_append(fitting, "n", value);
    spoke_properties_append(large, "n", longer);

    g_autoptr(SpokeMessage) fits = message_with(NULL, fitting, 0);
    g_autoptr(SpokeMessage) over = message_with(NULL, large, 0);

    g_assert_true(spoke_message_check(fits, NULL));
    g_assert_false(spoke_message_check(over, &error));
    g_assert_error(error, SPOKE_ERROR, SPOKE_ERROR_TOO_LARGE);
}

/* AMQP has them as symbols, and an app must not have to know what the line speaks. */
static void
test_check_refuses_symbols_that_are_not_ascii(void)
{
    static const char *const names[] = {SPOKE_PROPERTY_CONTENT_TYPE,
                                        SPOKE_PROPERTY_CONTENT_ENCODING};

    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autoptr(GByteArray) system = g_byte_array_new();
        g_autoptr(GError) error = NULL;

        spoke_properties_append(system, names[i], "text/größe");
        g_autoptr(SpokeMessage) message =
            spoke_message_new(system->data, system->len, NULL, 0, "", 0);

        g_assert_false(spoke_message_check(message, &error));
        g_assert_error(error, SPOKE_ERROR, SPOKE_ERROR_INVALID_OPTION);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/message/new/keeps-all-parts", test_new_keeps_all_parts);
    g_test_add_func("/message/new/empty", test_new_empty);
    g_test_add_func("/message/unref/frees-owned-fields", test_unref_frees_owned_fields);
    g_test_add_func("/message/check/body-size", test_check_body_size);
    g_test_add_func("/message/check/counts-values-and-app-names",
                    test_check_counts_values_and_app_names);
    g_test_add_func("/message/check/counts-message-id-to-come",
                    test_check_counts_message_id_to_come);
    g_test_add_func("/message/check/system-values", test_check_system_values);
    g_test_add_func("/message/check/property-text", test_check_property_text);
    g_test_add_func("/message/check/number-of-properties", test_check_number_of_properties);
    g_test_add_func("/message/check/encoded-size", test_check_encoded_size);
    g_test_add_func("/message/check/refuses-symbols-that-are-not-ascii",
                    test_check_refuses_symbols_that_are_not_ascii);
    return g_test_run();
}
