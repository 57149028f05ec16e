/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "https-properties.h"

#include "bag.h"

static void
test_add_property_knows_the_headers(void)
{
    g_autoptr(GString) bag = g_string_new(NULL);

    emu_https_add_property(bag, "IoTHub-MessageId", "id 1");
    emu_https_add_property(bag, "iothub-correlationid", "c/2");
    emu_https_add_property(bag, "iothub-contenttype", "text/plain");
    emu_https_add_property(bag, "dt-subject", "part");
    emu_https_add_property(bag, "IOTHUB-APP-Level", "a&b=c%");
    emu_https_add_property(bag, "iothub-app-iothub-creation-time-utc", "2030-01-01T00:00:00Z");

    g_assert_cmpstr(bag->str, ==,
                    "%24.mid=id%201&%24.cid=c%2F2&%24.ct=text%2Fplain&%24.sub=part&"
                    "Level=a%26b%3Dc%25&%24.ctime=2030-01-01T00%3A00%3A00Z");
}

static void
test_add_property_ignores_others(void)
{
    g_autoptr(GString) bag = g_string_new(NULL);

    emu_https_add_property(bag, "Content-Type", "text/plain");
    emu_https_add_property(bag, "iothub-app-", "x");
    emu_https_add_property(bag, "iothub-nonsense", "x");

    g_assert_cmpstr(bag->str, ==, "");
}

static void
add_line(const char *name, const char *value, gpointer user_data)
{
    g_string_append_printf(user_data, "%s: %s\n", name, value);
}

static void
test_list_headers_spells_them_as_sdks_want(void)
{
    g_autoptr(GString) lines = g_string_new(NULL);

    guint lost = emu_https_list_headers("%24.mid=m1&%24.exp=2030-01-01&iothub-ack=full&%24.ct=a%2Fb"
                                        "&%24.ce=utf-8&Level=h%C3%BC",
                                        add_line, lines);

    g_assert_cmpuint(lost, ==, 0);
    g_assert_cmpstr(lines->str, ==,
                    "iothub-messageid: m1\niothub-expiry: 2030-01-01\niothub-ack: full\n"
                    "ContentType: a/b\nContentEncoding: utf-8\niothub-app-Level: hü\n");
}

static void
test_list_headers_leaves_out_what_cannot_go(void)
{
    g_autoptr(GString) lines = g_string_new(NULL);

    guint lost =
        emu_https_list_headers("a%20b=1&c=x%0D%0Ay%3A%20z&d%3A=1&%24.on=1&ok=1", add_line, lines);

    g_assert_cmpuint(lost, ==, 4);
    g_assert_cmpstr(lines->str, ==, "iothub-app-ok: 1\n");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/https-properties/add-property/knows-the-headers",
                    test_add_property_knows_the_headers);
    g_test_add_func("/https-properties/add-property/ignores-others",
                    test_add_property_ignores_others);
    g_test_add_func("/https-properties/list-headers/spells-them-as-sdks-want",
                    test_list_headers_spells_them_as_sdks_want);
    g_test_add_func("/https-properties/list-headers/leaves-out-what-cannot-go",
                    test_list_headers_leaves_out_what_cannot_go);
    return g_test_run();
}
