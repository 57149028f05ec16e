/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clients/spokectl/runner.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>

typedef struct {
    GMainLoop *loop; /* owned */
    int wait_status;
    guint n_done;
} Outcome;

static void
on_run(SpokeRunner *runner, int wait_status, gpointer user_data)
{
    Outcome *outcome = user_data;

    g_assert_cmpstr(spoke_runner_get_id(runner), ==, "17");
    outcome->wait_status = wait_status;
    outcome->n_done++;
    g_main_loop_quit(outcome->loop);
}

static const SpokeIncoming hello = {.id = "17", .body = "hello", .body_size = 5};

/* Returns: status as of waitpid() */
static int
run(const char *script, const SpokeIncoming *message, guint64 limit_msec)
{
    char *command[] = {(char *)"/bin/sh", (char *)"-c", (char *)script, NULL};
    Outcome outcome = {.loop = g_main_loop_new(NULL, FALSE)};
    g_autoptr(GError) error = NULL;

    g_assert_nonnull(spoke_runner_start(command, message, limit_msec, on_run, &outcome, &error));
    g_assert_no_error(error);
    g_main_loop_run(outcome.loop);
    g_main_loop_unref(outcome.loop);
    g_assert_cmpuint(outcome.n_done, ==, 1);
    return outcome.wait_status;
}

static void
test_judge_knows_the_exits(void)
{
    g_assert_cmpint(spoke_runner_judge(run("true", &hello, 0)), ==, SPOKE_RUN_COMPLETE);
    g_assert_cmpint(spoke_runner_judge(run("exit 75", &hello, 0)), ==, SPOKE_RUN_ABANDON);
    g_assert_cmpint(spoke_runner_judge(run("kill -9 $$", &hello, 0)), ==, SPOKE_RUN_ABANDON);
    g_assert_cmpint(spoke_runner_judge(run("exit 1", &hello, 0)), ==, SPOKE_RUN_REJECT);
    g_assert_cmpint(spoke_runner_judge(run("exit 255", &hello, 0)), ==, SPOKE_RUN_REJECT);
    g_assert_cmpint(spoke_runner_judge(run("exec /nonexistent 2>/dev/null", &hello, 0)), ==,
                    SPOKE_RUN_NO_COMMAND);
}

static void
test_start_passes_the_body(void)
{
    g_assert_cmpint(run("test \"$(cat)\" = hello", &hello, 0), ==, 0);
}

static void
test_start_minds_no_command_that_reads_nothing(void)
{
    g_autofree char *large = g_strnfill(262144, 'x');
    const SpokeIncoming message = {.id = "17", .body = large, .body_size = 262144};

    g_assert_cmpint(run("exit 0", &message, 0), ==, 0);
}

static void
test_start_ends_who_takes_too_long(void)
{
    int wait_status = run("sleep 30 & wait", &hello, 100);

    g_assert_true(WIFSIGNALED(wait_status));
    g_assert_cmpint(WTERMSIG(wait_status), ==, SIGTERM);
}

static void
test_start_kills_what_ignores_its_end(void)
{
    const gint64 start_usec = g_get_monotonic_time();

    int wait_status = run("trap '' TERM; while :; do sleep 0.1; done", &hello, 100);

    gint64 taken_msec = (g_get_monotonic_time() - start_usec) / 1000;
    g_assert_true(WIFSIGNALED(wait_status));
    g_assert_cmpint(WTERMSIG(wait_status), ==, SIGKILL);
    g_assert_cmpint(taken_msec, >=, 100 + SPOKE_RUNNER_GRACE_MSEC);
}

static void
test_start_reports_missing_program(void)
{
    char *command[] = {(char *)"/nonexistent", NULL};
    g_autoptr(GError) error = NULL;

    g_assert_null(spoke_runner_start(command, &hello, 0, on_run, NULL, &error));
    g_assert_error(error, G_SPAWN_ERROR, G_SPAWN_ERROR_NOENT);
}

static void
test_environment_has_the_message(void)
{
    const SpokeProperty properties[] = {
        {"room", "kitchen"}, {"a b=\xc3\xbc", "x"}, {"PATH", "/evil"}};
    const SpokeIncoming message = {.id = "17",
                                   .message_id = "m",
                                   .properties = properties,
                                   .n_properties = 3,
                                   .delivery_count = 2};
    g_auto(GStrv) environment =
        spoke_runner_make_environment(&message, g_strsplit("PATH=/bin", ",", 0));

    g_assert_cmpstr(g_environ_getenv(environment, "PATH"), ==, "/bin");
    g_assert_cmpstr(g_environ_getenv(environment, "SPOKE_ID"), ==, "17");
    g_assert_cmpstr(g_environ_getenv(environment, "SPOKE_MESSAGE_ID"), ==, "m");
    g_assert_cmpstr(g_environ_getenv(environment, "SPOKE_DELIVERY_COUNT"), ==, "2");
    g_assert_cmpstr(g_environ_getenv(environment, "SPOKE_PROPERTY_room"), ==, "kitchen");
    g_assert_cmpstr(g_environ_getenv(environment, "SPOKE_PROPERTY_a_b___"), ==, "x");
    g_assert_cmpstr(g_environ_getenv(environment, "SPOKE_PROPERTIES"), ==,
                    "{\"room\":\"kitchen\",\"a b=\xc3\xbc\":\"x\",\"PATH\":\"/evil\"}");
    g_assert_null(g_environ_getenv(environment, "SPOKE_CONTENT_TYPE"));
}

static void
test_environment_forgets_what_was_there(void)
{
    g_auto(GStrv) environment = spoke_runner_make_environment(
        &hello, g_strsplit("SPOKE_PROPERTY_room=old,SPOKE_MESSAGE_ID=old,HOME=/root", ",", 0));

    g_assert_null(g_environ_getenv(environment, "SPOKE_PROPERTY_room"));
    g_assert_null(g_environ_getenv(environment, "SPOKE_MESSAGE_ID"));
    g_assert_cmpstr(g_environ_getenv(environment, "HOME"), ==, "/root");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/spokectl/runner/judge/knows-the-exits", test_judge_knows_the_exits);
    g_test_add_func("/spokectl/runner/start/passes-the-body", test_start_passes_the_body);
    g_test_add_func("/spokectl/runner/start/minds-no-command-that-reads-nothing",
                    test_start_minds_no_command_that_reads_nothing);
    g_test_add_func("/spokectl/runner/start/ends-who-takes-too-long",
                    test_start_ends_who_takes_too_long);
    g_test_add_func("/spokectl/runner/start/kills-what-ignores-its-end",
                    test_start_kills_what_ignores_its_end);
    g_test_add_func("/spokectl/runner/start/reports-missing-program",
                    test_start_reports_missing_program);
    g_test_add_func("/spokectl/runner/environment/has-the-message",
                    test_environment_has_the_message);
    g_test_add_func("/spokectl/runner/environment/forgets-what-was-there",
                    test_environment_forgets_what_was_there);
    return g_test_run();
}
