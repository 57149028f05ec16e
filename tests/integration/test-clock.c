/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Steps of the wall clock, as the daemon sees it: a clock that is not set, one that is set later,
 * one that jumps. fake-clock.c shifts the daemon's clock; the kernel's word that the clock was set
 * is had by setting the real clock to what it shows, which needs root and changes nothing.
 */
#include "tests/integration/harness.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define HOUR_SEC 3600

static int
step_file(Harness *h)
{
    g_autofree char *path = g_build_filename(harness_get_dir(h), "step", NULL);

    return open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
}

static void
step_clock(Harness *h, gint64 seconds)
{
    int fd = step_file(h);
    struct timespec now;

    g_assert_cmpint(pwrite(fd, &seconds, sizeof seconds, 0), ==, sizeof seconds);
    close(fd);
    g_assert_cmpint(clock_gettime(CLOCK_REALTIME, &now), ==, 0);
    g_assert_cmpint(clock_settime(CLOCK_REALTIME, &now), ==, 0);
}

static Harness *
harness_at(gint64 seconds)
{
    Harness *h = harness_new();
    g_autofree char *path = g_build_filename(harness_get_dir(h), "step", NULL);

    step_clock(h, seconds);
    harness_set_daemon_env(h, "FAKE_CLOCK_FILE", path);
    harness_set_daemon_env(h, "LD_PRELOAD", g_getenv("SPOKE_FAKE_CLOCK"));
    /* Sanitizers want to be loaded first; the preloaded clock does them no harm. */
    harness_set_daemon_env(h, "ASAN_OPTIONS", "verify_asan_link_order=0");
    return h;
}

static gboolean
last_error_is(Harness *h, gpointer name)
{
    g_autoptr(GVariant) value = harness_property(h, "LastError");
    const char *actual;

    g_variant_get(value, "(&s&s)", &actual, NULL);
    return g_str_equal(actual, name);
}

static void
test_unset_clock_is_named_and_ends_by_itself(void)
{
    g_autoptr(Harness) h = harness_at(-(gint64)(g_get_real_time() / G_USEC_PER_SEC));

    harness_start_daemon(h);
    harness_wait(h, "the cause to be the clock", last_error_is, (gpointer) "Clock");
    g_autoptr(GVariant) reply =
        harness_call(h, NULL, "SendText", "('x', @a{ss} {}, {'ttl': <@t 3600000>})");
    step_clock(h, 0);

    harness_wait_state(h, "connected");
    harness_wait_arrived(h, 1);
}

static void
test_forward_step_expires_nothing(void)
{
    g_autoptr(Harness) h = harness_at(0);

    harness_kill_hub(h, SIGKILL);
    harness_start_daemon(h);
    g_autoptr(GVariant) reply =
        harness_call(h, NULL, "SendText", "('x', @a{ss} {}, {'ttl': <@t 1800000>})");
    step_clock(h, HOUR_SEC);
    harness_start_hub(h);

    harness_wait_arrived(h, 1);
}

static void
test_backward_step_keeps_the_line(void)
{
    g_autoptr(Harness) h = harness_at(0);

    harness_start_daemon(h);
    harness_wait_state(h, "connected");
    step_clock(h, -HOUR_SEC / 2);
    g_autoptr(GVariant) reply = harness_call(h, NULL, "SendText", "('x', @a{ss} {}, @a{sv} {})");

    harness_wait_arrived(h, 1);
    harness_wait_state(h, "connected");
}

static void
test_step_past_the_token_renews_it(void)
{
    g_autoptr(Harness) h = harness_at(0);

    harness_start_daemon(h);
    harness_wait_state(h, "connected");
    guint64 before = harness_counter(h, "TokenExpiry");
    step_clock(h, 2 * HOUR_SEC);

    /* The hub's clock did not step: what counts is that the daemon asked for a fresh token. */
    gint64 deadline = g_get_monotonic_time() + HARNESS_WAIT_SEC * G_USEC_PER_SEC;
    while (harness_counter(h, "TokenExpiry") <= before)
        g_assert_cmpint(g_get_monotonic_time(), <, deadline);
    harness_wait_state(h, "connected");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/clock/unset/is-named-and-ends-by-itself",
                    test_unset_clock_is_named_and_ends_by_itself);
    g_test_add_func("/clock/step/forward-expires-nothing", test_forward_step_expires_nothing);
    g_test_add_func("/clock/step/backward-keeps-the-line", test_backward_step_keeps_the_line);
    g_test_add_func("/clock/step/past-the-token-renews-it", test_step_past_the_token_renews_it);
    return g_test_run();
}
