/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/events.h"

#include "daemon/log.h"

#include <string.h>
#include <syslog.h>

/*
 * Each test runs in a process of its own, whose stderr is not the journal, and looks at the lines
 * there.
 */
static SpokeStreak streak;

static gboolean
in_subprocess(void)
{
    if (g_test_subprocess())
        return TRUE;

    g_test_trap_subprocess(NULL, 0, 0);
    g_test_trap_assert_passed();
    return FALSE;
}

static void
test_link_down_is_logged_once_per_streak(void)
{
    if (in_subprocess()) {
        spoke_event_link_down(&streak, "h", "self", SPOKE_CAUSE_DNS, "no address", 500000);
        spoke_event_link_down(&streak, "h", "self", SPOKE_CAUSE_DNS, "no address", 1700000);
        spoke_event_link_down(&streak, "h", "self", SPOKE_CAUSE_TCP_REFUSED, NULL, 2000000);
        spoke_event_link_down(&streak, "h", "self", SPOKE_CAUSE_TCP_REFUSED, NULL, 4000000);
        spoke_event_link_up(&streak, "mqtt", "h", 8883, 12345678);
        spoke_event_link_down(&streak, "h", "self", SPOKE_CAUSE_TCP_REFUSED, "again", 2000000);
        return;
    }
    g_test_trap_assert_stderr(
        "spoked: warning: Not connected: Dns (no address); next attempt in "
        "500 ms. Check *.\n"
        "spoked: warning: Not connected: TcpRefused; next attempt in 2.0 s. *.\n"
        "spoked: info: Connected to h:8883 over mqtt in 12.3 s, after 4 "
        "failed attempts\n"
        "spoked: warning: Not connected: TcpRefused (again); *.\n");
    g_test_trap_assert_stderr_unmatched("*Dns*Dns*");
}

static void
test_link_down_level_follows_pace(void)
{
    if (in_subprocess()) {
        spoke_event_link_down(&streak, "h", "self", SPOKE_CAUSE_AUTHENTICATION_FAILED, NULL, 0);
        return;
    }
    g_test_trap_assert_stderr("spoked: error: Not connected: AuthenticationFailed*");
}

static void
test_link_down_says_at_once(void)
{
    if (in_subprocess()) {
        spoke_event_link_down(&streak, "h", "self", SPOKE_CAUSE_DNS, NULL, 0);
        spoke_event_link_down(&streak, "h", "self", SPOKE_CAUSE_TCP_REFUSED, NULL, 999);
        spoke_event_link_down(&streak, "h", "self", SPOKE_CAUSE_DNS, NULL, 1000);
        return;
    }
    g_test_trap_assert_stderr("spoked: warning: Not connected: Dns; next attempt at once. *.\n"
                              "spoked: warning: Not connected: TcpRefused; next attempt at once. "
                              "*.\n"
                              "spoked: warning: Not connected: Dns; next attempt in 1 ms. *.\n");
}

static void
test_link_up_without_failures(void)
{
    if (in_subprocess()) {
        spoke_event_link_up(&streak, "mqtt", "h", 8883, 180000);
        return;
    }
    g_test_trap_assert_stderr("spoked: info: Connected to h:8883 over mqtt in 180 ms\n");
}

static void
test_token_renewed_is_a_debug_line(void)
{
    if (in_subprocess()) {
        spoke_event_token_renewed("self", 1893456000 * (gint64)G_USEC_PER_SEC, 90000);
        spoke_log_setup(TRUE);
        spoke_event_token_renewed("self", 1893456000 * (gint64)G_USEC_PER_SEC, 90000);
        return;
    }
    g_test_trap_assert_stderr("spoked: debug: Token renewed, good until 2030-01-01T00:00:00Z; the "
                              "link was away for 90 ms\n");
}

static void
test_every_event_is_one_line(void)
{
    if (in_subprocess()) {
        spoke_event_started("0.1.0", "h", "d");
        spoke_event_stopped(0);
        spoke_event_stopped(7);
        spoke_event_failed("/x is in use");
        spoke_event_config_reloaded("/etc/spoked/spoked.conf");
        spoke_event_config_rejected("a:1: [Hub] x: wrong");
        spoke_event_spool_corrupt("/var/lib/spoked/spool.db.corrupt-1", 9, 1);
        spoke_event_spool_full(TRUE);
        spoke_event_spool_full(FALSE);
        spoke_event_spool_failed("disk I/O error");
        spoke_event_strangers("h/old", 7, 1);
        spoke_event_rejected("boiler", 11, "meter.service", 5, "the hub minds");
        spoke_event_dead_letter("self", 12, "delivery-count", 10);
        spoke_event_receive_paused("self", SPOKE_PAUSE_FULL);
        spoke_event_receive_paused("self", SPOKE_PAUSE_STORAGE);
        spoke_event_receive_paused("self", SPOKE_PAUSE_NOT);
        spoke_event_clock_unset();
        return;
    }
    g_test_trap_assert_stderr(
        "spoked: info: spoked 0.1.0 started for device d of h\n"
        "spoked: info: spoked stopped; nothing is left to send\n"
        "spoked: info: spoked stopped; 7 messages wait on disk for the next start\n"
        "spoked: error: spoked can't go on: /x is in use\n"
        "spoked: info: Configuration read again from /etc/spoked/spoked.conf\n"
        "spoked: error: Configuration rejected: a:1: [Hub] x: wrong\n"
        "spoked: error: *spool.db.corrupt-1; 9 messages were saved from it, 1 are known to be "
        "lost\n"
        "spoked: error: The disk of the message store is full; *\n"
        "spoked: info: The disk of the message store has room again\n"
        "spoked: error: The message store failed: disk I/O error\n"
        "spoked: warning: The message store holds messages of another identity, h/old: 7 to send "
        "and 1 received; *\n"
        "spoked: error: boiler: Message 11 from meter.service, 5 bytes, is given up: the hub "
        "minds\n"
        "spoked: warning: Message 12 became a dead letter: delivery-count, handed out 10 times\n"
        "spoked: warning: The inbox is full; *\n"
        "spoked: warning: The disk takes no messages *\n"
        "spoked: info: Messages from the hub are taken again\n"
        "spoked: notice: The clock is not set; *\n");
}

/* What the hub says may be meant for the admin's terminal. */
static void
test_text_is_kept_on_its_line(void)
{
    if (in_subprocess()) {
        spoke_event_spool_failed("a\nspoked: info: b\x1b[2J");
        return;
    }
    g_test_trap_assert_stderr("spoked: error: The message store failed: a spoked: info: b [2J\n");
}

static void
test_debug_lines_come_when_asked_for(void)
{
    if (in_subprocess()) {
        g_unsetenv("G_MESSAGES_DEBUG");
        spoke_log_setup(FALSE);
        g_debug("unseen");
        g_message("seen");
        spoke_log_setup(TRUE);
        g_debug("seen too");
        g_log_structured("other", G_LOG_LEVEL_DEBUG, "MESSAGE", "unseen of others");
        spoke_log_setup(FALSE);
        g_debug("unseen again");
        return;
    }
    g_test_trap_assert_stderr("spoked: notice: seen\nspoked: debug: seen too\n");
}

static void
test_warnings_can_be_fatal(void)
{
    if (g_test_subprocess()) {
        g_log_set_always_fatal(G_LOG_FATAL_MASK | G_LOG_LEVEL_WARNING);
        spoke_log_setup(FALSE);
        g_warning("the end");
        return;
    }
    g_test_trap_subprocess(NULL, 0, 0);
    g_test_trap_assert_failed();
    g_test_trap_assert_stderr("spoked: warning: the end\n");
}

/* Each MESSAGE_ID of events.c has its entry in the catalog, once, and the other way round; and it
 * is in the man page. */
static void
test_catalog_has_every_id(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *source = NULL, *catalog = NULL, *page = NULL;
    g_autoptr(GRegex) id = g_regex_new("\"([0-9a-f]{32})\"", 0, 0, &error);
    g_autoptr(GMatchInfo) match = NULL;
    guint n = 0;

    g_file_get_contents(SPOKE_SOURCE_DIR "/daemon/events.c", &source, NULL, &error);
    g_assert_no_error(error);
    g_file_get_contents(SPOKE_SOURCE_DIR "/data/spoked.catalog", &catalog, NULL, &error);
    g_assert_no_error(error);
    g_file_get_contents(SPOKE_SOURCE_DIR "/data/man/spoked.8.rst", &page, NULL, &error);
    g_assert_no_error(error);
    for (g_regex_match(id, source, 0, &match); g_match_info_matches(match);
         g_match_info_next(match, NULL)) {
        g_autofree char *value = g_match_info_fetch(match, 1);
        g_autofree char *head = g_strdup_printf("\n-- %s\nSubject: ", value);
        const char *found = strstr(catalog, head);

        g_assert_nonnull(found);
        g_assert_null(strstr(found + 1, head));
        g_assert_nonnull(strstr(page, value));
        n++;
    }

    g_auto(GStrv) entries = g_strsplit(catalog, "\n-- ", 0);
    g_assert_cmpuint(g_strv_length(entries) - 1, ==, n);
}

int
main(int argc, char **argv)
{
    g_unsetenv("JOURNAL_STREAM");
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/events/link-down/is-logged-once-per-streak",
                    test_link_down_is_logged_once_per_streak);
    g_test_add_func("/events/link-down/level-follows-pace", test_link_down_level_follows_pace);
    g_test_add_func("/events/link-down/says-at-once", test_link_down_says_at_once);
    g_test_add_func("/events/link-up/without-failures", test_link_up_without_failures);
    g_test_add_func("/events/token-renewed/is-a-debug-line", test_token_renewed_is_a_debug_line);
    g_test_add_func("/events/all/are-one-line", test_every_event_is_one_line);
    g_test_add_func("/events/text/is-kept-on-its-line", test_text_is_kept_on_its_line);
    g_test_add_func("/events/catalog/has-every-id", test_catalog_has_every_id);
    g_test_add_func("/log/setup/debug-lines-come-when-asked-for",
                    test_debug_lines_come_when_asked_for);
    g_test_add_func("/log/setup/warnings-can-be-fatal", test_warnings_can_be_fatal);
    return g_test_run();
}
