/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/retry.h"

/* Time and chance are arguments, so nothing here waits. Source of the figures: iot-hub-protocol.md,
 * 7.4. */
#define ALMOST_ONE (1.0 - 1e-15)

static void
assert_ceilings(SpokePace pace, const guint *ceilings_sec, guint n)
{
    SpokeRetry retry = {0};

    for (guint i = 0; i < n; i++) {
        SpokeRetry copy = retry;
        gint64 longest = spoke_retry_next(&retry, pace, ALMOST_ONE);
        gint64 half = spoke_retry_next(&copy, pace, 0.5);

        g_assert_cmpint(longest, >=, ceilings_sec[i] * G_USEC_PER_SEC - 1);
        g_assert_cmpint(longest, <=, ceilings_sec[i] * G_USEC_PER_SEC);
        g_assert_cmpint(half, ==, ceilings_sec[i] * G_USEC_PER_SEC / 2);
    }
}

static void
test_next_normal_doubles_to_cap(void)
{
    static const guint ceilings_sec[] = {1, 2, 4, 8, 16, 32, 60, 60, 60};

    assert_ceilings(SPOKE_PACE_NORMAL, ceilings_sec, G_N_ELEMENTS(ceilings_sec));
}

static void
test_next_slow_doubles_to_cap(void)
{
    static const guint ceilings_sec[] = {10, 20, 40, 80, 160, 300, 300};

    assert_ceilings(SPOKE_PACE_SLOW, ceilings_sec, G_N_ELEMENTS(ceilings_sec));
}

static void
test_next_reaches_down_to_zero(void)
{
    SpokeRetry retry = {.failures = 5};

    g_assert_cmpint(spoke_retry_next(&retry, SPOKE_PACE_NORMAL, 0), ==, 0);
}

static void
test_next_keeps_cap_after_many_failures(void)
{
    SpokeRetry retry = {.failures = G_MAXUINT - 1};

    for (guint i = 0; i < 3; i++) {
        gint64 wait = spoke_retry_next(&retry, SPOKE_PACE_SLOW, 0.5);
        g_assert_cmpint(wait, ==, 150 * G_USEC_PER_SEC);
    }
    g_assert_cmpuint(retry.failures, ==, G_MAXUINT);
}

static void
test_reset_starts_at_base(void)
{
    SpokeRetry retry = {.failures = 8};

    spoke_retry_reset(&retry);

    g_assert_cmpint(spoke_retry_next(&retry, SPOKE_PACE_NORMAL, 0.5), ==, G_USEC_PER_SEC / 2);
    g_assert_cmpuint(retry.failures, ==, 1);
}

static int
compare_waits(gconstpointer a, gconstpointer b)
{
    return *(const gint64 *)a < *(const gint64 *)b ? -1 : *(const gint64 *)a > *(const gint64 *)b;
}

/* A fleet of 20,000 that lost its hub together and has failed six times: by the Kolmogorov-Smirnov
 * bound for one in a million, the waits are spread evenly over the whole minute. */
static void
test_next_spreads_a_fleet_evenly(void)
{
    enum { N = 20000 };
    g_autofree gint64 *waits = g_new(gint64, N);
    double worst = 0;

    for (guint i = 0; i < N; i++) {
        SpokeRetry retry = {.failures = 6};
        waits[i] = spoke_retry_next(&retry, SPOKE_PACE_NORMAL, spoke_retry_random());
    }
    qsort(waits, N, sizeof *waits, compare_waits);
    for (guint i = 0; i < N; i++) {
        double expected = (double)waits[i] / (60.0 * G_USEC_PER_SEC);
        worst = MAX(worst, ABS((double)i / N - expected));
    }

    g_assert_cmpfloat(worst, <, 2.7 / 141.4); /* sqrt(N) */
}

static void
test_random_stays_in_range(void)
{
    double first = spoke_retry_random();
    gboolean differs = FALSE;

    for (guint i = 0; i < 10000; i++) {
        double random = spoke_retry_random();

        g_assert_cmpfloat(random, >=, 0);
        g_assert_cmpfloat(random, <, 1);
        differs = differs || random != first;
    }
    g_assert_true(differs);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/retry/next/normal-doubles-to-cap", test_next_normal_doubles_to_cap);
    g_test_add_func("/retry/next/slow-doubles-to-cap", test_next_slow_doubles_to_cap);
    g_test_add_func("/retry/next/reaches-down-to-zero", test_next_reaches_down_to_zero);
    g_test_add_func("/retry/next/keeps-cap-after-many-failures",
                    test_next_keeps_cap_after_many_failures);
    g_test_add_func("/retry/reset/starts-at-base", test_reset_starts_at_base);
    g_test_add_func("/retry/next/spreads-a-fleet-evenly", test_next_spreads_a_fleet_evenly);
    g_test_add_func("/retry/random/stays-in-range", test_random_stays_in_range);
    return g_test_run();
}
