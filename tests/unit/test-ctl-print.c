/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl-print.h"

#include <glib.h>

static const CtlColumn columns[] = {
    {"NUMBER", TRUE},
    {"NAME", FALSE},
    {"BODY", FALSE},
    {NULL, FALSE},
};

static JsonObject *
parse_object(const char *text)
{
    g_autoptr(JsonNode) node = json_from_string(text, NULL);

    g_assert_nonnull(node);
    return json_node_dup_object(node);
}

static void
test_escape_keeps_one_line(void)
{
    g_autofree char *text = ctl_escape("a\nb\tc\rd\\e");

    g_assert_cmpstr(text, ==, "a\\nb\\tc\\u000dd\\\\e");
}

static void
test_escape_disarms_the_terminal(void)
{
    g_autofree char *color = ctl_escape("\033[31mred");
    g_autofree char *direction = ctl_escape("\u202etxt.exe");
    g_autofree char *control = ctl_escape("\302\2332J");

    g_assert_cmpstr(color, ==, "\\u001b[31mred");
    g_assert_cmpstr(direction, ==, "\\u202etxt.exe");
    g_assert_cmpstr(control, ==, "\\u009b2J");
}

static void
test_escape_keeps_what_people_read(void)
{
    g_autofree char *text = ctl_escape("na\u00efve \u65e5\u672c \U0001f680");

    g_assert_cmpstr(text, ==, "na\u00efve \u65e5\u672c \U0001f680");
}

static void
test_escape_takes_invalid_bytes(void)
{
    g_autofree char *text = ctl_escape("a\xff\xc3");

    g_assert_true(g_utf8_validate(text, -1, NULL));
    g_assert_true(g_str_has_prefix(text, "a"));
}

static void
test_member_knows_all_kinds(void)
{
    g_autoptr(JsonObject) object =
        parse_object("{\"text\":\"a\\u001bb\",\"number\":9007199254740993,\"truth\":true,"
                     "\"nothing\":null,\"object\":{\"5\":2}}");
    g_autofree char *text = ctl_member(object, "text");
    g_autofree char *number = ctl_member(object, "number");
    g_autofree char *truth = ctl_member(object, "truth");
    g_autofree char *inner = ctl_member(object, "object");

    g_assert_cmpstr(text, ==, "a\\u001bb");
    g_assert_cmpstr(number, ==, "9007199254740993");
    g_assert_cmpstr(truth, ==, "true");
    g_assert_cmpstr(inner, ==, "{\"5\":2}");
    g_assert_null(ctl_member(object, "nothing"));
    g_assert_null(ctl_member(object, "absent"));
}

static void
test_member_time_shows_what_is_no_time(void)
{
    g_autoptr(JsonObject) object =
        parse_object("{\"then\":\"2001-02-03T04:05:06.789Z\",\"never\":\"soon\"}");
    g_autofree char *then = ctl_member_time(object, "then");
    g_autofree char *never = ctl_member_time(object, "never");

    g_assert_true(g_str_has_prefix(then, "2001-02-0"));
    g_assert_true(g_str_has_suffix(then, ":06.789"));
    g_assert_cmpstr(never, ==, "soon");
}

static void
print_table(void)
{
    g_autoptr(CtlTable) table = ctl_table_new(columns);

    ctl_table_add(table, g_strdup("7"));
    ctl_table_add(table, g_strdup("\u65e5\u672c"));
    ctl_table_add(table, g_strdup("x"));
    ctl_table_add(table, g_strdup("12345678"));
    ctl_table_add(table, NULL);
    ctl_table_add(table, NULL);
    ctl_table_print(table, "Nothing");
}

static void
test_table_print_aligns(void)
{
    if (g_test_subprocess()) {
        print_table();
        return;
    }

    g_test_trap_subprocess(NULL, 0, 0);

    g_test_trap_assert_passed();
    g_test_trap_assert_stdout("*  NUMBER  NAME  BODY\n"
                              "       7  \u65e5\u672c  x\n"
                              "12345678\n*");
}

static void
test_table_print_says_when_empty(void)
{
    if (g_test_subprocess()) {
        g_autoptr(CtlTable) table = ctl_table_new(columns);
        ctl_table_print(table, "Nothing");
        return;
    }

    g_test_trap_subprocess(NULL, 0, 0);

    g_test_trap_assert_passed();
    g_test_trap_assert_stdout("*Nothing\n*");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);

    g_test_add_func("/ctl-print/escape/keeps-one-line", test_escape_keeps_one_line);
    g_test_add_func("/ctl-print/escape/disarms-the-terminal", test_escape_disarms_the_terminal);
    g_test_add_func("/ctl-print/escape/keeps-what-people-read", test_escape_keeps_what_people_read);
    g_test_add_func("/ctl-print/escape/takes-invalid-bytes", test_escape_takes_invalid_bytes);
    g_test_add_func("/ctl-print/member/knows-all-kinds", test_member_knows_all_kinds);
    g_test_add_func("/ctl-print/member-time/shows-what-is-no-time",
                    test_member_time_shows_what_is_no_time);
    g_test_add_func("/ctl-print/table/print-aligns", test_table_print_aligns);
    g_test_add_func("/ctl-print/table/print-says-when-empty", test_table_print_says_when_empty);
    return g_test_run();
}
