/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clients/examples/json-text.h"

#include <math.h>

/* Nodes to text: as short as it was written, and JSON in any case. */

static void
test_new_writes_what_was_read(void)
{
    static const char text[] =
        "{\"b\":[1.5,-2,{},[]],\"a\":\"tab\\t \\\"quoted\\\" \\\\ \xc3\xa9\",\"\\n\":1e+300,"
        "\"n\":9223372036854775807}";
    g_autoptr(JsonNode) node = json_from_string(text, NULL);

    g_autofree char *written = json_text_new(node);

    g_assert_cmpstr(written, ==, text);
}

static void
test_new_writes_decimals_as_they_were(void)
{
    static const char text[] = "[5.45,0.1,0,100,1271.98,0.07,-47.8,3.14159265358979]";
    g_autoptr(JsonNode) node = json_from_string(text, NULL);

    g_autofree char *written = json_text_new(node);

    g_assert_cmpstr(written, ==, text);
}

static void
test_new_writes_null_for_what_is_no_number(void)
{
    g_autoptr(JsonNode) infinite = json_node_init_double(json_node_alloc(), INFINITY);
    g_autoptr(JsonNode) nan = json_node_init_double(json_node_alloc(), NAN);

    g_autofree char *infinite_text = json_text_new(infinite);
    g_autofree char *nan_text = json_text_new(nan);

    g_assert_cmpstr(infinite_text, ==, "null");
    g_assert_cmpstr(nan_text, ==, "null");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);

    g_test_add_func("/json-text/new/writes-what-was-read", test_new_writes_what_was_read);
    g_test_add_func("/json-text/new/writes-decimals-as-they-were",
                    test_new_writes_decimals_as_they_were);
    g_test_add_func("/json-text/new/writes-null-for-what-is-no-number",
                    test_new_writes_null_for_what_is_no_number);

    return g_test_run();
}
