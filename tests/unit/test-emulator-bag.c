/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The emulator's property bags, among them those that Microsoft's SDKs were seen to send. */

#include "bag.h"

#include <string.h>

/* Reads a whole bag back as lines of `key=value`, or `key` alone. */
static char *
read_all(const char *bag)
{
    g_autoptr(GString) text = g_string_new(NULL);
    EmuBagReader reader;

    emu_bag_reader_init(&reader, bag, strlen(bag));
    while (TRUE) {
        g_auto(EmuProperty) property = {NULL, NULL};
        if (!emu_bag_reader_next(&reader, &property))
            return g_strdup(text->str);
        g_string_append(text, property.key);
        if (property.value != NULL)
            g_string_append_printf(text, "=%s", property.value);
        g_string_append_c(text, '\n');
    }
}

static void
assert_reads(const char *bag, const char *expected)
{
    g_autofree char *text = read_all(bag);

    g_assert_cmpstr(text, ==, expected);
}

static void
test_read_takes_what_node_sends(void)
{
    assert_reads("%24.mid=id%201&%24.cid=c%2F2&%24.ct=application%2Fjson&%24.ce=utf-8"
                 "&%24.exp=2030-01-01T00%3A00%3A00.000Z&k%20ey=v%26l%3D~'()*%C3%A9",
                 "$.mid=id 1\n$.cid=c/2\n$.ct=application/json\n$.ce=utf-8\n"
                 "$.exp=2030-01-01T00:00:00.000Z\nk ey=v&l=~'()*é\n");
}

static void
test_read_takes_what_c_sends_encoded(void)
{
    assert_reads("k%20ey=v%20l%3d%7e%27()*x&%24.cid=c%2f2&%24.mid=id%201"
                 "&%24.ctime=2030-01-01T00%3a00%3a00Z",
                 "k ey=v l=~'()*x\n$.cid=c/2\n$.mid=id 1\n$.ctime=2030-01-01T00:00:00Z\n");
}

static void
test_read_takes_what_c_sends_raw(void)
{
    assert_reads("k ey=v l=~'()*x&%24.cid=c/2&%24.mid=id 1",
                 "k ey=v l=~'()*x\n$.cid=c/2\n$.mid=id 1\n");
}

static void
test_read_tells_null_from_empty(void)
{
    assert_reads("null&empty=&value=1", "null\nempty=\nvalue=1\n");
}

static void
test_read_splits_at_the_first_equals_sign(void)
{
    assert_reads("a=b=c", "a=b=c\n");
}

static void
test_read_leaves_stray_percent_signs(void)
{
    assert_reads("a=100%&b=%zz&c=%4&d=%00x&e=+", "a=100%\nb=%zz\nc=%4\nd=%00x\ne=+\n");
}

static void
test_read_skips_empty_pieces(void)
{
    assert_reads("", "");
    assert_reads("&&a=1&&", "a=1\n");
}

static void
test_read_makes_invalid_text_valid(void)
{
    g_autofree char *text = read_all("a=%FF%FE");

    g_assert_true(g_utf8_validate(text, -1, NULL));
}

static void
test_find_knows_both_spellings(void)
{
    g_autofree char *encoded = emu_bag_find("a=1&%24.mid=x%2Fy", 17, "$.mid");
    g_autofree char *plain = emu_bag_find("$.mid=x", 7, "$.mid");
    g_autofree char *absent = emu_bag_find("a=1", 3, "$.mid");

    g_assert_cmpstr(encoded, ==, "x/y");
    g_assert_cmpstr(plain, ==, "x");
    g_assert_null(absent);
}

static void
test_append_encodes_all_but_unreserved(void)
{
    g_autoptr(GString) bag = g_string_new(NULL);

    emu_bag_append(bag, "$.to", "/devices/d/messages/deviceBound");
    emu_bag_append(bag, "k", "v =&%+#é~-_.");

    g_assert_cmpstr(bag->str, ==,
                    "%24.to=%2Fdevices%2Fd%2Fmessages%2FdeviceBound"
                    "&k=v%20%3D%26%25%2B%23%C3%A9~-_.");
}

static void
test_append_survives_the_way_back(void)
{
    g_autoptr(GString) bag = g_string_new(NULL);
    g_autoptr(GString) value = g_string_new(NULL);
    EmuBagReader reader;
    g_auto(EmuProperty) property = {NULL, NULL};

    for (gunichar c = 1; c < 0x3000; c++)
        g_string_append_unichar(value, c);
    emu_bag_append(bag, value->str, value->str);
    emu_bag_reader_init(&reader, bag->str, bag->len);

    g_assert_true(emu_bag_reader_next(&reader, &property));
    g_assert_cmpstr(property.key, ==, value->str);
    g_assert_cmpstr(property.value, ==, value->str);
}

static void
test_size_counts_as_the_hub_does(void)
{
    /* Source: protocol page, 7.1: names count for application properties only. */
    static const char bag[] = "%24.mid=1234&ab=%20%20&n";

    g_assert_cmpuint(emu_bag_size(bag, strlen(bag)), ==, 4 + 2 + 2 + 1);
}

static void
test_system_name_maps_and_keeps(void)
{
    g_assert_cmpstr(emu_bag_system_name("$.mid"), ==, "message-id");
    g_assert_cmpstr(emu_bag_system_name("$.sub"), ==, "dt-subject");
    g_assert_cmpstr(emu_bag_system_name("$.new"), ==, "$.new");
    g_assert_null(emu_bag_system_name("mid"));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/bag/read/takes-what-node-sends", test_read_takes_what_node_sends);
    g_test_add_func("/bag/read/takes-what-c-sends-encoded", test_read_takes_what_c_sends_encoded);
    g_test_add_func("/bag/read/takes-what-c-sends-raw", test_read_takes_what_c_sends_raw);
    g_test_add_func("/bag/read/tells-null-from-empty", test_read_tells_null_from_empty);
    g_test_add_func("/bag/read/splits-at-the-first-equals-sign",
                    test_read_splits_at_the_first_equals_sign);
    g_test_add_func("/bag/read/leaves-stray-percent-signs", test_read_leaves_stray_percent_signs);
    g_test_add_func("/bag/read/skips-empty-pieces", test_read_skips_empty_pieces);
    g_test_add_func("/bag/read/makes-invalid-text-valid", test_read_makes_invalid_text_valid);
    g_test_add_func("/bag/find/knows-both-spellings", test_find_knows_both_spellings);
    g_test_add_func("/bag/append/encodes-all-but-unreserved",
                    test_append_encodes_all_but_unreserved);
    g_test_add_func("/bag/append/survives-the-way-back", test_append_survives_the_way_back);
    g_test_add_func("/bag/size/counts-as-the-hub-does", test_size_counts_as_the_hub_does);
    g_test_add_func("/bag/system-name/maps-and-keeps", test_system_name_maps_and_keeps);
    return g_test_run();
}
