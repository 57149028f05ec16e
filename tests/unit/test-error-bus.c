/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dbus/error-bus.h"

#include <string.h>

/* The names a client may rely on, and that nothing of the daemon's inside gets out with them. */

static char *logged; /* owned: the last line */

static GLogWriterOutput
keep_line(GLogLevelFlags level, const GLogField *fields, gsize n, gpointer user_data)
{
    for (gsize i = 0; i < n; i++) {
        if (g_str_equal(fields[i].key, "MESSAGE")) {
            g_free(logged);
            logged = g_strdup(fields[i].value);
        }
    }
    return G_LOG_WRITER_HANDLED;
}

static void
test_names_all_differ(void)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);

    for (int code = 0; code < SPOKE_N_ERRORS; code++) {
        const char *name = spoke_error_get_bus_name((SpokeError)code);
        g_assert_true(g_str_has_prefix(name, "org.spoked1.Error."));
        g_assert_true(sd_bus_interface_name_is_valid(name) > 0);
        g_assert_true(g_hash_table_add(seen, (gpointer)name));
    }
}

static void
test_to_bus_keeps_name_and_text(void)
{
    g_autoptr(GError) error =
        g_error_new(SPOKE_ERROR, SPOKE_ERROR_TOO_LARGE, "Body of %d bytes", 7);
    g_auto(sd_bus_error) bus_error = SD_BUS_ERROR_NULL;

    g_assert_cmpint(spoke_error_to_bus(error, &bus_error), <, 0);

    g_assert_cmpstr(bus_error.name, ==, "org.spoked1.Error.TooLarge");
    g_assert_cmpstr(bus_error.message, ==, "Body of 7 bytes");
}

static void
test_to_bus_hides_foreign_texts(void)
{
    g_autoptr(GError) error =
        g_error_new_literal(G_FILE_ERROR, G_FILE_ERROR_ACCES, "/var/lib/spoked/spool.db: denied");
    g_auto(sd_bus_error) bus_error = SD_BUS_ERROR_NULL;

    g_assert_cmpint(spoke_error_to_bus(error, &bus_error), <, 0);

    g_assert_cmpstr(bus_error.name, ==, "org.spoked1.Error.Failed");
    g_assert_null(strstr(bus_error.message, "spool"));
    g_assert_nonnull(strstr(logged, "/var/lib/spoked/spool.db: denied"));
}

static void
test_to_bus_mends_texts_that_are_not_utf8(void)
{
    g_autoptr(GError) error =
        g_error_new_literal(SPOKE_ERROR, SPOKE_ERROR_FAILED, "caf\xe9 is closed");
    g_auto(sd_bus_error) bus_error = SD_BUS_ERROR_NULL;

    g_assert_cmpint(spoke_error_to_bus(error, &bus_error), <, 0);

    g_assert_true(g_utf8_validate(bus_error.message, -1, NULL));
}

static void
test_to_bus_replaces_noncharacters(void)
{
    g_autoptr(GError) error =
        g_error_new_literal(SPOKE_ERROR, SPOKE_ERROR_FAILED, "The hub says \xef\xbf\xbe");
    g_auto(sd_bus_error) bus_error = SD_BUS_ERROR_NULL;

    g_assert_cmpint(spoke_error_to_bus(error, &bus_error), <, 0);

    g_assert_cmpstr(bus_error.message, ==, "The hub says \ufffd");
}

static void
test_quote_cuts_between_characters(void)
{
    g_autofree char *text = g_strnfill(63, 'a');
    g_autofree char *longer = g_strconcat(text, "éb", NULL);

    g_autofree char *whole = spoke_error_quote(text);
    g_autofree char *cut = spoke_error_quote(longer);

    g_assert_cmpstr(whole, ==, text);
    g_assert_true(g_utf8_validate(cut, -1, NULL));
    g_assert_true(g_str_has_prefix(cut, text));
    g_assert_cmpstr(cut + 63, ==, "…");
}

static void
test_quote_replaces_control_characters(void)
{
    g_autofree char *quote = spoke_error_quote("a\x1b[2Jb\n");

    g_assert_cmpstr(quote, ==, "a?[2Jb?");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_log_set_writer_func(keep_line, NULL, NULL);
    g_test_add_func("/error-bus/names/all-differ", test_names_all_differ);
    g_test_add_func("/error-bus/to-bus/keeps-name-and-text", test_to_bus_keeps_name_and_text);
    g_test_add_func("/error-bus/to-bus/hides-foreign-texts", test_to_bus_hides_foreign_texts);
    g_test_add_func("/error-bus/to-bus/mends-texts-that-are-not-utf8",
                    test_to_bus_mends_texts_that_are_not_utf8);
    g_test_add_func("/error-bus/to-bus/replaces-noncharacters", test_to_bus_replaces_noncharacters);
    g_test_add_func("/error-bus/quote/cuts-between-characters", test_quote_cuts_between_characters);
    g_test_add_func("/error-bus/quote/replaces-control-characters",
                    test_quote_replaces_control_characters);
    int status = g_test_run();
    g_free(logged);
    return status;
}
