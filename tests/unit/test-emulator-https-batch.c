/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "error.h"
#include "https-batch.h"

#include <string.h>

static GPtrArray *
parse(const char *text)
{
    g_autoptr(GError) error = NULL;
    GPtrArray *messages = emu_https_batch_parse(text, strlen(text), &error);

    g_assert_no_error(error);
    return messages;
}

static void
assert_message(const GPtrArray *messages, guint i, const char *body, const char *bag)
{
    const EmuHttpsMessage *message = g_ptr_array_index(messages, i);

    g_assert_cmpmem(g_bytes_get_data(message->body, NULL), g_bytes_get_size(message->body), body,
                    strlen(body));
    g_assert_cmpstr(message->bag, ==, bag);
}

static void
test_parse_reads_both_forms_of_a_body(void)
{
    g_autoptr(GPtrArray) messages =
        parse("[{\"body\": \"eyJ0IjoxfQ==\"},{\"body\":\"{\\\"a\\\":[]}\",\"base64Encoded\":false},"
              "{\"body\":\"\",\"base64Encoded\":true}]");

    g_assert_cmpuint(messages->len, ==, 3);
    assert_message(messages, 0, "{\"t\":1}", "");
    assert_message(messages, 1, "{\"a\":[]}", "");
    assert_message(messages, 2, "", "");
}

static void
test_parse_reads_properties(void)
{
    g_autoptr(GPtrArray) messages = parse(
        "[{\"body\":\"eA==\",\"properties\":{\"iothub-app-k\":\"v \\u00fc\","
        "\"iothub-messageid\":\"m\",\"Host\":\"x\"}},{\"body\":\"eA==\",\"properties\":null}]");

    assert_message(messages, 0, "x", "k=v%20%C3%BC&%24.mid=m");
    assert_message(messages, 1, "x", "");
}

static void
test_parse_takes_an_empty_batch(void)
{
    g_autoptr(GPtrArray) messages = parse("[]");

    g_assert_cmpuint(messages->len, ==, 0);
}

static void
assert_fails(const char *text)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(emu_https_batch_parse(text, strlen(text), &error));
    g_assert_error(error, EMU_ERROR, EMU_ERROR_ARGUMENT);
}

static void
test_parse_refuses_what_is_no_batch(void)
{
    assert_fails("");
    assert_fails("{}");
    assert_fails("[{\"body\":\"eA==\"}");
    assert_fails("[1]");
    assert_fails("[{}]");
    assert_fails("[{\"body\":1}]");
    assert_fails("[{\"body\":\"not base64\"}]");
    assert_fails("[{\"body\":\"eA==\",\"properties\":[]}]");
    assert_fails("[{\"body\":\"eA==\",\"properties\":{\"iothub-app-k\":1}}]");
    assert_fails("[{\"body\":\"\xff\",\"base64Encoded\":false}]");
}

/* A comment that hides a quotation mark must not hide the brackets behind it. */
static void
test_parse_refuses_depth(void)
{
    g_autoptr(GString) text = g_string_new(NULL);

    for (guint i = 0; i < 200 * 1000; i++)
        g_string_append_c(text, '[');
    assert_fails(text->str);
    g_string_prepend(text, "/* \" */");
    assert_fails(text->str);
    g_string_prepend(text, "#\"\n");
    assert_fails(text->str);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/https-batch/parse/reads-both-forms-of-a-body",
                    test_parse_reads_both_forms_of_a_body);
    g_test_add_func("/https-batch/parse/reads-properties", test_parse_reads_properties);
    g_test_add_func("/https-batch/parse/takes-an-empty-batch", test_parse_takes_an_empty_batch);
    g_test_add_func("/https-batch/parse/refuses-what-is-no-batch",
                    test_parse_refuses_what_is_no_batch);
    g_test_add_func("/https-batch/parse/refuses-depth", test_parse_refuses_depth);
    return g_test_run();
}
