/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/properties.h"

/* Packed lists, good ones and what a damaged disk may hold. */

static GByteArray *
make_list(void)
{
    GByteArray *list = g_byte_array_new();

    spoke_properties_append(list, "room", "kitchen");
    spoke_properties_append(list, "empty", "");
    spoke_properties_append(list, "ключ", "значение");
    spoke_properties_append(list, "room", "second");
    return list;
}

static void
test_iterate_in_order(void)
{
    g_autoptr(GByteArray) list = make_list();
    SpokePropertiesIter iter;
    const char *name = NULL;
    const char *value = NULL;

    spoke_properties_iter_init(&iter, list->data, list->len);

    g_assert_true(spoke_properties_iter_next(&iter, &name, &value));
    g_assert_cmpstr(name, ==, "room");
    g_assert_cmpstr(value, ==, "kitchen");
    g_assert_true(spoke_properties_iter_next(&iter, &name, &value));
    g_assert_cmpstr(name, ==, "empty");
    g_assert_cmpstr(value, ==, "");
    g_assert_true(spoke_properties_iter_next(&iter, &name, &value));
    g_assert_cmpstr(name, ==, "ключ");
    g_assert_cmpstr(value, ==, "значение");
    g_assert_true(spoke_properties_iter_next(&iter, &name, &value));
    g_assert_false(spoke_properties_iter_next(&iter, &name, &value));
    g_assert_false(spoke_properties_iter_next(&iter, &name, &value));
}

static void
test_iterate_empty_list(void)
{
    SpokePropertiesIter iter;
    const char *name = NULL;
    const char *value = NULL;

    spoke_properties_iter_init(&iter, NULL, 0);

    g_assert_false(spoke_properties_iter_next(&iter, &name, &value));
}

static void
test_iterate_stops_at_incomplete_pair(void)
{
    SpokePropertiesIter iter;
    const char *name = NULL;
    const char *value = NULL;
    const char cut[] = {'a', 0, 'b', 0, 'c', 0, 'd'};

    spoke_properties_iter_init(&iter, cut, sizeof cut);

    g_assert_true(spoke_properties_iter_next(&iter, &name, &value));
    g_assert_false(spoke_properties_iter_next(&iter, &name, &value));
}

static void
test_lookup_finds_first(void)
{
    g_autoptr(GByteArray) list = make_list();

    g_assert_cmpstr(spoke_properties_lookup(list->data, list->len, "room"), ==, "kitchen");
    g_assert_cmpstr(spoke_properties_lookup(list->data, list->len, "empty"), ==, "");
    g_assert_null(spoke_properties_lookup(list->data, list->len, "kitchen"));
    g_assert_null(spoke_properties_lookup(NULL, 0, "room"));
}

static void
test_is_valid_judges(void)
{
    g_autoptr(GByteArray) list = make_list();

    g_assert_true(spoke_properties_is_valid(list->data, list->len));
    g_assert_true(spoke_properties_is_valid(NULL, 0));
    g_assert_true(spoke_properties_is_valid("a\0b", 4));
    g_assert_false(spoke_properties_is_valid("a\0b", 3));        /* no last NUL */
    g_assert_false(spoke_properties_is_valid("a\0b\0c", 6));     /* half a pair */
    g_assert_false(spoke_properties_is_valid("\xff\xfe\0b", 5)); /* no UTF-8 */
    g_assert_false(spoke_properties_is_valid("a\0\xc3", 4));     /* cut UTF-8 */
    g_assert_false(spoke_properties_is_valid(list->data, list->len - 1));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/properties/iterate/in-order", test_iterate_in_order);
    g_test_add_func("/properties/iterate/empty-list", test_iterate_empty_list);
    g_test_add_func("/properties/iterate/stops-at-incomplete-pair",
                    test_iterate_stops_at_incomplete_pair);
    g_test_add_func("/properties/lookup/finds-first", test_lookup_finds_first);
    g_test_add_func("/properties/is-valid/judges", test_is_valid_judges);
    return g_test_run();
}
