/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clients/spokectl/device-table.h"
#include "clients/spokectl/json.h"
#include "clients/spokectl/message-text.h"
#include "clients/spokectl/progress.h"
#include "clients/spokectl/status-text.h"
#include "clients/spokectl/terminal.h"

#include <string.h>

static const SpokeProperty properties[] = {{"room", "k\xc3\xbc"
                                                    "che"},
                                           {"q\"", "\x1b[2J"}};

static const SpokeIncoming message = {
    .id = "17",
    .body = "hi \x1b]0;x\x07",
    .body_size = 9,
    .properties = properties,
    .n_properties = 2,
    .message_id = "m",
    .expiry_usec = G_GUINT64_CONSTANT(1700000000123456),
    .lock_msec = 60000,
    .delivery_count = 2,
    .mode = SPOKE_MODE_HANDLE,
};

static void
test_json_leaves_out_what_is_not_there(void)
{
    const SpokeIncoming bare = {.id = "1", .body = "", .body_size = 0};
    g_autofree char *json = spoke_json_incoming(&bare);

    g_assert_cmpstr(json, ==, "{\"id\":\"1\",\"properties\":{},\"body\":\"\"}");
}

static void
test_json_has_all_that_is_there(void)
{
    g_autofree char *json = spoke_json_incoming(&message);

    g_assert_cmpstr(json, ==,
                    "{\"id\":\"17\",\"messageId\":\"m\",\"expiry\":\"2023-11-14T22:13:20.123456Z\","
                    "\"deliveryCount\":2,\"lockMsec\":60000,\"properties\":{\"room\":\"k\xc3\xbc"
                    "che\",\"q\\\"\":\"\\u001b[2J\"},\"body\":\"hi \\u001b]0;x\\u0007\"}");
}

static void
test_json_encodes_bytes(void)
{
    const SpokeIncoming nul = {.id = "1", .body = "a\0b", .body_size = 3};
    const SpokeIncoming bytes = {.id = "1", .body = "\xff", .body_size = 1};
    g_autofree char *with_nul = spoke_json_incoming(&nul);
    g_autofree char *with_bytes = spoke_json_incoming(&bytes);

    g_assert_cmpstr(with_nul, ==, "{\"id\":\"1\",\"properties\":{},\"bodyBase64\":\"YQBi\"}");
    g_assert_cmpstr(with_bytes, ==, "{\"id\":\"1\",\"properties\":{},\"bodyBase64\":\"/w==\"}");
}

static void
test_json_mends_what_is_not_utf8(void)
{
    JsonBuilder *builder = spoke_json_begin();

    spoke_json_add_string(builder, "name", "a\xff");
    g_autofree char *json = spoke_json_end(builder);

    g_assert_cmpstr(json, ==, "{\"name\":\"a\xef\xbf\xbd\"}");
}

static void
test_message_is_safe_for_a_terminal(void)
{
    g_autofree char *text = spoke_message_format(&message, TRUE);

    g_assert_true(g_str_has_prefix(text, "Message 17, delivery 2, locked for 1 min\n"));
    g_assert_nonnull(strstr(text, "\n  room = k\xc3\xbc"
                                  "che\n"));
    g_assert_nonnull(strstr(text, "\n  q\" = \\x1b[2J\n"));
    g_assert_nonnull(strstr(text, "\nhi \\x1b]0;x\\x07\n"));
    g_assert_null(strchr(text, '\x1b'));
}

static void
test_message_is_whole_for_a_file(void)
{
    g_autofree char *text = spoke_message_format(&message, FALSE);

    g_assert_nonnull(strstr(text, "\nhi \x1b]0;x\x07\n"));
}

static void
test_escape_shows_what_is_not_text(void)
{
    static const struct {
        const char *text;
        gboolean multiline;
        const char *safe;
    } cases[] = {
        {"plain \xe2\x82\xac", FALSE, "plain \xe2\x82\xac"},
        {"a\tb\n", TRUE, "a\tb\n"},
        {"a\tb\n", FALSE, "a\\x09b\\x0a"},
        {"\x7f\r", TRUE, "\\x7f\\x0d"},
        {"\xc2\x9b", TRUE, "\\xc2\\x9b"},          /* CSI in one character */
        {"\xe2\x80\xae", TRUE, "\\xe2\\x80\\xae"}, /* turns the text around */
        {"\xff\xc3", TRUE, "\\xff\\xc3"},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *safe =
            spoke_terminal_escape(cases[i].text, strlen(cases[i].text), cases[i].multiline);

        g_assert_cmpstr(safe, ==, cases[i].safe);
    }
}

static void
test_numbers_have_commas(void)
{
    static const struct {
        guint64 number;
        const char *text;
        const char *bytes;
    } cases[] = {
        {0, "0", "0 B"},
        {999, "999", "999 B"},
        {1024, "1,024", "1.0 KiB"},
        {123456, "123,456", "121 KiB"},
        {G_GUINT64_CONSTANT(1234567890), "1,234,567,890", "1.1 GiB"},
        {G_MAXUINT64, "18,446,744,073,709,551,615", "16777216 TiB"},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *text = spoke_terminal_format_number(cases[i].number);
        g_autofree char *bytes = spoke_terminal_format_bytes(cases[i].number);

        g_assert_cmpstr(text, ==, cases[i].text);
        g_assert_cmpstr(bytes, ==, cases[i].bytes);
    }
}

static void
test_rows_count_what_wraps(void)
{
    g_assert_cmpuint(spoke_terminal_count_rows("", 10), ==, 0);
    g_assert_cmpuint(spoke_terminal_count_rows("\n", 10), ==, 1);
    g_assert_cmpuint(spoke_terminal_count_rows("0123456789\n", 10), ==, 1);
    g_assert_cmpuint(spoke_terminal_count_rows("01234567890\nb\n", 10), ==, 3);
    g_assert_cmpuint(spoke_terminal_count_rows("\x1b[31m0123456789\x1b[0m\n", 10), ==, 1);
    g_assert_cmpuint(spoke_terminal_count_rows("\xc3\xbc\xc3\xbc\n", 2), ==, 1);
}

static void
test_status_tells_what_is_wrong(void)
{
    static const char *const none[] = {NULL};
    const gint64 now_usec = 1700000000 * (gint64)G_USEC_PER_SEC;
    const SpokeStatus status = {
        .name = "self",
        .device_id = "dev1",
        .module_id = "",
        .hub = "hub.example",
        .state = "offline",
        .transport = "",
        .capabilities = none,
        .last_error_name = "TcpRefused",
        .last_error_text = "Nobody listens",
        .next_attempt_usec = (guint64)now_usec + 12 * G_USEC_PER_SEC,
        .queued_messages = 1,
        .queued_bytes = 2048,
        .queue_bytes_max = 1 << 20,
        .dead_letters = 3,
    };
    g_autofree char *text = spoke_status_format(&status, now_usec);

    g_assert_true(g_str_has_prefix(text, "self is device dev1 of hub.example\n"));
    g_assert_nonnull(strstr(text, "State: offline\n"));
    g_assert_nonnull(strstr(text, "Last error: TcpRefused: Nobody listens\n"));
    g_assert_nonnull(strstr(text, "(in 12 s)\n"));
    g_assert_nonnull(strstr(text, "Queue: 1 message, 2.0 KiB of 1.0 MiB; 0 in flight\n"));
    g_assert_nonnull(strstr(text, "Dead letters: 3 "));
    g_assert_null(strstr(text, "Since"));
}

static const SpokeStatus connected = {
    .name = "self",
    .device_id = "dev1",
    .module_id = "",
    .hub = "hub.example",
    .state = "connected",
    .transport = "amqp",
    .last_error_name = "",
    .last_error_text = "",
};

static void
test_status_says_capabilities_in_words(void)
{
    static const char *const all[] = {"push", "settle", "multiplex", NULL};
    static const char *const none[] = {NULL};
    SpokeStatus status = connected;

    status.capabilities = all;
    g_autofree char *with_all = spoke_status_format(&status, 1);
    status.capabilities = none;
    g_autofree char *with_none = spoke_status_format(&status, 1);
    status.transport = "";
    g_autofree char *unknown = spoke_status_format(&status, 1);

    g_assert_nonnull(strstr(with_all, "Cloud messages: come by themselves; verdicts on them reach "
                                      "the hub\n"));
    g_assert_nonnull(strstr(with_all, "Connection: carries many devices\n"));
    g_assert_nonnull(strstr(with_none, "Cloud messages: are asked for ('spokectl check-now' does "
                                       "it now); verdicts on them are kept here\n"));
    g_assert_nonnull(strstr(with_none, "Connection: carries one device\n"));
    g_assert_null(strstr(unknown, "Cloud messages"));
}

static void
test_status_tells_when_the_certificate_ends(void)
{
    static const char *const none[] = {NULL};
    const guint64 now_usec = 1700000000 * (guint64)G_USEC_PER_SEC;
    SpokeStatus status = connected;

    status.capabilities = none;
    g_autofree char *without = spoke_status_format(&status, (gint64)now_usec);
    status.certificate_expiry_usec = now_usec + 29 * G_TIME_SPAN_DAY + G_TIME_SPAN_HOUR;
    g_autofree char *ahead = spoke_status_format(&status, (gint64)now_usec);
    status.certificate_expiry_usec = now_usec + 5 * G_TIME_SPAN_HOUR;
    g_autofree char *soon = spoke_status_format(&status, (gint64)now_usec);
    status.certificate_expiry_usec = now_usec - 3 * G_TIME_SPAN_DAY;
    g_autofree char *past = spoke_status_format(&status, (gint64)now_usec);

    g_assert_null(strstr(without, "Certificate"));
    g_assert_nonnull(strstr(ahead, "Certificate ends: 2023-12-1"));
    g_assert_nonnull(strstr(ahead, " (in 29 days)\n"));
    g_assert_nonnull(strstr(soon, " (in 5 h 0 min)\n"));
    g_assert_nonnull(strstr(past, "Certificate ended: 2023-11-1"));
    g_assert_nonnull(strstr(past, " (3 days ago)\n"));
}

static void
test_table_cuts_the_last_column(void)
{
    g_autoptr(SpokeDeviceTable) table = spoke_device_table_new();
    SpokeStatus status = connected;

    status.last_error_name = "TcpRefused";
    status.last_error_text = "Nobody listens \x1b";
    spoke_device_table_add(table, &status);
    g_autofree char *cut = spoke_device_table_format(table, 63);
    g_autofree char *whole = spoke_device_table_format(table, 0);
    g_autofree char *narrow = spoke_device_table_format(table, 20);

    g_assert_true(g_str_has_suffix(cut, "connected  amqp            0  TcpRefused: Nobody…\n"));
    g_assert_true(g_str_has_suffix(whole, "  TcpRefused: Nobody listens \\x1b\n"));
    g_assert_cmpstr(narrow, ==, whole);
}

static void
test_table_sums_up_states(void)
{
    g_autoptr(SpokeDeviceTable) table = spoke_device_table_new();
    SpokeStatus status = connected;

    g_assert_null(spoke_device_table_summarise(table));
    spoke_device_table_add(table, &status);
    g_autofree char *one = spoke_device_table_summarise(table);
    status.state = "offline";
    spoke_device_table_add(table, &status);
    status.state = "connected";
    spoke_device_table_add(table, &status);
    g_autofree char *three = spoke_device_table_summarise(table);

    g_assert_cmpstr(one, ==, "1 more device: 1 connected; 'spokectl devices' lists them\n");
    g_assert_cmpstr(three, ==,
                    "3 more devices: 2 connected, 1 offline; 'spokectl devices' lists them\n");
}

static void
test_progress_has_counts_and_rate(void)
{
    g_autofree SpokeProgressLine *line = spoke_progress_line_new(0);
    const SpokeProgress progress = {
        .accepted = 20000, .waiting = 512, .wait = TRUE, .settled = 10000, .failed = 2};
    g_autofree char *text = spoke_progress_line_format(line, &progress, 2 * G_USEC_PER_SEC);
    g_autofree char *summary = spoke_progress_line_summarise(line, &progress, 4 * G_USEC_PER_SEC);

    g_assert_cmpstr(text, ==, "9,998 of 20,512 so far delivered, 2 lost  5,000/s");
    g_assert_cmpstr(summary, ==, "9,998 messages delivered in 4.0 s (2,499/s)");
}

/* Ticks through @sec seconds in which @counter grows by @per_sec. (transfer full): the last line */
static char *
run_line(SpokeProgressLine *line, SpokeProgress *progress, guint64 *counter, guint64 per_sec,
         gint64 *now_usec, guint sec)
{
    for (guint i = 0; i < sec * 10; i++) {
        *now_usec += G_USEC_PER_SEC / 10;
        *counter += per_sec / 10;
        g_free(spoke_progress_line_format(line, progress, *now_usec));
    }
    return spoke_progress_line_format(line, progress, *now_usec);
}

static void
test_progress_rate_follows_smoothly(void)
{
    g_autofree SpokeProgressLine *line = spoke_progress_line_new(0);
    SpokeProgress progress = {0};
    gint64 now_usec = 0;

    g_autofree char *steady = run_line(line, &progress, &progress.accepted, 1000, &now_usec, 5);
    g_assert_cmpstr(steady, ==, "5,000 accepted  1,000/s");
    g_autofree char *halt = run_line(line, &progress, &progress.accepted, 0, &now_usec, 1);
    g_assert_true(g_str_has_prefix(halt, "5,000 accepted  6") ||
                  g_str_has_prefix(halt, "5,000 accepted  7"));
    g_autofree char *slow = run_line(line, &progress, &progress.accepted, 10, &now_usec, 60);
    g_assert_cmpstr(slow, ==, "5,600 accepted  10/s");
}

static void
test_progress_tells_when_it_will_end(void)
{
    g_autofree SpokeProgressLine *line = spoke_progress_line_new(0);
    SpokeProgress progress = {.accepted = 100000, .wait = TRUE};
    gint64 now_usec = 0;

    g_autofree char *open = run_line(line, &progress, &progress.settled, 1000, &now_usec, 5);
    progress.all_read = TRUE;
    g_autofree char *closed = run_line(line, &progress, &progress.settled, 1000, &now_usec, 5);

    g_assert_cmpstr(open, ==, "5,000 of 100,000 so far delivered  1,000/s");
    g_assert_cmpstr(closed, ==, "10,000 of 100,000 delivered  1,000/s  about 1 min left");
}

static void
test_progress_tells_what_it_waits_for(void)
{
    g_autofree SpokeProgressLine *line = spoke_progress_line_new(0);
    SpokeProgress progress = {
        .accepted = 20000, .waiting = 512, .wait = TRUE, .settled = 3, .all_read = TRUE};

    progress.hub = (char *)"the hub is away (TcpRefused)";
    g_autofree char *hub = spoke_progress_line_format(line, &progress, G_USEC_PER_SEC);
    progress.note = "spoked is away";
    g_autofree char *daemon = spoke_progress_line_format(line, &progress, G_USEC_PER_SEC);

    g_assert_cmpstr(hub, ==, "3 of 20,512 delivered  the hub is away (TcpRefused): waiting");
    g_assert_cmpstr(daemon, ==, "3 of 20,512 delivered  spoked is away: 512 waiting");
}

static void
test_progress_tells_of_a_silent_hub(void)
{
    g_autofree SpokeProgressLine *line = spoke_progress_line_new(0);
    SpokeProgress progress = {.accepted = 10, .wait = TRUE, .all_read = TRUE};
    gint64 now_usec = 0;

    g_autofree char *first = run_line(line, &progress, &progress.settled, 10, &now_usec, 1);
    progress.accepted = 20;
    g_autofree char *silent = run_line(line, &progress, &progress.settled, 0, &now_usec, 12);

    g_assert_cmpstr(first, ==, "10 of 10 delivered  10/s");
    g_assert_cmpstr(silent, ==, "10 of 20 delivered  no answer from the hub for 12 s");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_setenv("TERM", "dumb", TRUE);
    g_test_add_func("/spokectl/json/leaves-out-what-is-not-there",
                    test_json_leaves_out_what_is_not_there);
    g_test_add_func("/spokectl/json/has-all-that-is-there", test_json_has_all_that_is_there);
    g_test_add_func("/spokectl/json/encodes-bytes", test_json_encodes_bytes);
    g_test_add_func("/spokectl/json/mends-what-is-not-utf8", test_json_mends_what_is_not_utf8);
    g_test_add_func("/spokectl/message/is-safe-for-a-terminal",
                    test_message_is_safe_for_a_terminal);
    g_test_add_func("/spokectl/message/is-whole-for-a-file", test_message_is_whole_for_a_file);
    g_test_add_func("/spokectl/escape/shows-what-is-not-text", test_escape_shows_what_is_not_text);
    g_test_add_func("/spokectl/numbers/have-commas", test_numbers_have_commas);
    g_test_add_func("/spokectl/rows/count-what-wraps", test_rows_count_what_wraps);
    g_test_add_func("/spokectl/status/tells-what-is-wrong", test_status_tells_what_is_wrong);
    g_test_add_func("/spokectl/status/says-capabilities-in-words",
                    test_status_says_capabilities_in_words);
    g_test_add_func("/spokectl/status/tells-when-the-certificate-ends",
                    test_status_tells_when_the_certificate_ends);
    g_test_add_func("/spokectl/table/cuts-the-last-column", test_table_cuts_the_last_column);
    g_test_add_func("/spokectl/table/sums-up-states", test_table_sums_up_states);
    g_test_add_func("/spokectl/progress/has-counts-and-rate", test_progress_has_counts_and_rate);
    g_test_add_func("/spokectl/progress/rate-follows-smoothly",
                    test_progress_rate_follows_smoothly);
    g_test_add_func("/spokectl/progress/tells-when-it-will-end",
                    test_progress_tells_when_it_will_end);
    g_test_add_func("/spokectl/progress/tells-what-it-waits-for",
                    test_progress_tells_what_it_waits_for);
    g_test_add_func("/spokectl/progress/tells-of-a-silent-hub",
                    test_progress_tells_of_a_silent_hub);
    return g_test_run();
}
