/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/certificate-keeper.h"

#include "tests/unit/config-fixture.h"
#include "tests/unit/pem-fixture.h"

#include <string.h>

/* Complaints are lines on stderr: a test that counts them runs in a process of its own. */
#define DAY_SEC  (24 * 3600)
#define DAY_USEC (DAY_SEC * (gint64)G_USEC_PER_SEC)

static gboolean
in_subprocess(void)
{
    if (g_test_subprocess())
        return TRUE;

    g_test_trap_subprocess(NULL, 0, 0);
    g_test_trap_assert_passed();
    return FALSE;
}

/* A certificate that ends so many days after @now_usec, as c.pem and k.pem. */
static void
put_certificate(Fixture *fixture, gint64 now_usec, gint64 days)
{
    g_auto(Pem) pem = {NULL, NULL};
    gint64 now_sec = now_usec / G_USEC_PER_SEC;

    pem_make(&pem, now_sec - 1000 * DAY_SEC, now_sec + days * DAY_SEC);
    put(fixture, "c.pem", pem.certificate);
    put(fixture, "k.pem", pem.key);
}

static SpokeCertificateKeeper *
keep(Fixture *fixture)
{
    SpokeCertificateKeeper *keeper = spoke_certificate_keeper_new("cellar", NULL);
    g_autofree char *certificate_file = expand(fixture, "@/c.pem");
    g_autofree char *key_file = expand(fixture, "@/k.pem");

    spoke_certificate_keeper_take(keeper, certificate_file, key_file);
    return keeper;
}

static void
test_take_knows_what_there_is(Fixture *fixture, gconstpointer data)
{
    gint64 now_usec = g_get_real_time();
    put_certificate(fixture, now_usec, 100);

    g_autoptr(SpokeCertificateKeeper) keeper = keep(fixture);

    g_assert_cmpint(spoke_certificate_keeper_get_expiry(keeper) / G_USEC_PER_SEC, ==,
                    now_usec / G_USEC_PER_SEC + 100 * DAY_SEC);
    g_assert_cmpuint(strlen(spoke_certificate_keeper_get_digest(keeper)), ==, 64);
    spoke_certificate_keeper_take(keeper, NULL, NULL);
    g_assert_cmpint(spoke_certificate_keeper_get_expiry(keeper), ==, 0);
    g_assert_null(spoke_certificate_keeper_get_digest(keeper));
}

static void
test_take_bears_what_is_not_there(Fixture *fixture, gconstpointer data)
{
    g_autoptr(SpokeCertificateKeeper) keeper = keep(fixture);

    g_assert_cmpint(spoke_certificate_keeper_get_expiry(keeper), ==, 0);
    g_assert_null(spoke_certificate_keeper_get_digest(keeper));
    spoke_certificate_keeper_look(keeper, g_get_real_time());
}

static void
test_look_waits_for_the_last_month(Fixture *fixture, gconstpointer data)
{
    gint64 now_usec = g_get_real_time();

    if (in_subprocess()) {
        put_certificate(fixture, now_usec, 40);
        g_autoptr(SpokeCertificateKeeper) keeper = keep(fixture);
        spoke_certificate_keeper_look(keeper, now_usec + 9 * DAY_USEC);
        return;
    }
    g_test_trap_assert_stderr("");
}

static void
test_look_complains_once_a_day(Fixture *fixture, gconstpointer data)
{
    gint64 now_usec = g_get_real_time(), day_usec = now_usec / DAY_USEC * DAY_USEC;

    if (in_subprocess()) {
        put_certificate(fixture, day_usec, 40);
        g_autoptr(SpokeCertificateKeeper) keeper = keep(fixture);
        for (guint hour = 11 * 24; hour < 13 * 24; hour++)
            spoke_certificate_keeper_look(keeper, day_usec + hour * (DAY_USEC / 24));
        return;
    }
    g_test_trap_assert_stderr("*warning: The certificate of device cellar (*/c.pem) ends on *"
                              "*warning: The certificate of device cellar (*/c.pem) ends on *");
    g_test_trap_assert_stderr_unmatched("*ends on*ends on*ends on*");
}

static void
test_look_complains_after_the_end(Fixture *fixture, gconstpointer data)
{
    if (in_subprocess()) {
        put_certificate(fixture, g_get_real_time(), -2);
        g_autoptr(SpokeCertificateKeeper) keeper = keep(fixture);
        return;
    }
    g_test_trap_assert_stderr("*error: The certificate of device cellar (*/c.pem) ended on *");
}

static void
on_changed(gpointer user_data)
{
    (*(guint *)user_data)++;
}

static void
test_take_has_files_watched(Fixture *fixture, gconstpointer data)
{
    guint n_changed = 0;
    g_autoptr(SpokeFileWatch) watch = spoke_file_watch_new(50, on_changed, &n_changed);
    g_autoptr(SpokeCertificateKeeper) keeper = spoke_certificate_keeper_new("cellar", watch);
    g_autofree char *certificate_file = expand(fixture, "@/c.pem");
    g_autofree char *key_file = expand(fixture, "@/k.pem");
    put_certificate(fixture, g_get_real_time(), 100);
    spoke_certificate_keeper_take(keeper, certificate_file, key_file);
    spoke_certificate_keeper_take(keeper, certificate_file, key_file);
    g_autofree char *old_digest = g_strdup(spoke_certificate_keeper_get_digest(keeper));

    put_certificate(fixture, g_get_real_time(), 200);
    while (n_changed == 0)
        g_main_context_iteration(NULL, TRUE);
    spoke_certificate_keeper_take(keeper, certificate_file, key_file);

    g_assert_cmpstr(spoke_certificate_keeper_get_digest(keeper), !=, old_digest);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    fixture_add("/certificate-keeper/take/knows-what-there-is", test_take_knows_what_there_is);
    fixture_add("/certificate-keeper/take/bears-what-is-not-there",
                test_take_bears_what_is_not_there);
    fixture_add("/certificate-keeper/take/has-files-watched", test_take_has_files_watched);
    fixture_add("/certificate-keeper/look/waits-for-the-last-month",
                test_look_waits_for_the_last_month);
    fixture_add("/certificate-keeper/look/complains-once-a-day", test_look_complains_once_a_day);
    fixture_add("/certificate-keeper/look/complains-after-the-end",
                test_look_complains_after_the_end);
    return g_test_run();
}
