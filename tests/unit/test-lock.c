/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/lock.h"

#include "daemon/error.h"

#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

/* The lock on a state directory, in directories of the test's own. */
typedef struct {
    char *directory;
} Fixture;

static void
set_up(Fixture *fixture, gconstpointer data)
{
    fixture->directory = g_dir_make_tmp("spoke-lock-XXXXXX", NULL);
    g_assert_nonnull(fixture->directory);
}

static void
tear_down(Fixture *fixture, gconstpointer data)
{
    g_autofree char *path = g_build_filename(fixture->directory, "lock", NULL);

    (void)g_unlink(path);
    g_assert_cmpint(g_rmdir(fixture->directory), ==, 0);
    g_free(fixture->directory);
}

static void
test_take_refuses_a_second_one(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *pid = g_strdup_printf("process %d", getpid());
    gboolean busy = FALSE;

    int first = spoke_lock_take(fixture->directory, &busy, &error);
    g_assert_no_error(error);
    g_assert_cmpint(first, >=, 0);
    int second = spoke_lock_take(fixture->directory, &busy, &error);

    g_assert_cmpint(second, ==, -1);
    g_assert_true(busy);
    g_assert_error(error, SPOKE_ERROR, SPOKE_ERROR_FAILED);
    g_assert_nonnull(strstr(error->message, fixture->directory));
    g_assert_nonnull(strstr(error->message, pid));
    (void)close(first);
}

static void
test_take_succeeds_after_the_first_has_gone(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    gboolean busy = FALSE;

    (void)close(spoke_lock_take(fixture->directory, &busy, &error));
    int second = spoke_lock_take(fixture->directory, &busy, &error);

    g_assert_no_error(error);
    g_assert_cmpint(second, >=, 0);
    (void)close(second);
}

static void
test_take_makes_the_directory(Fixture *fixture, gconstpointer data)
{
    g_autofree char *directory = g_build_filename(fixture->directory, "new", NULL);
    g_autofree char *path = g_build_filename(directory, "lock", NULL);
    g_autoptr(GError) error = NULL;
    gboolean busy = FALSE;

    int fd = spoke_lock_take(directory, &busy, &error);

    g_assert_no_error(error);
    g_assert_cmpint(fd, >=, 0);
    (void)close(fd);
    g_assert_cmpint(g_unlink(path), ==, 0);
    g_assert_cmpint(g_rmdir(directory), ==, 0);
}

static void
test_take_names_a_directory_it_cannot_use(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    gboolean busy = FALSE;

    int fd = spoke_lock_take("/proc/self/attr", &busy, &error);

    g_assert_cmpint(fd, ==, -1);
    g_assert_false(busy);
    g_assert_nonnull(strstr(error->message, "/proc/self/attr"));
}

static void
test_take_follows_no_link(Fixture *fixture, gconstpointer data)
{
    g_autofree char *path = g_build_filename(fixture->directory, "lock", NULL);
    g_autoptr(GError) error = NULL;
    gboolean busy = FALSE;

    g_assert_cmpint(symlink("/dev/null", path), ==, 0);
    int fd = spoke_lock_take(fixture->directory, &busy, &error);

    g_assert_cmpint(fd, ==, -1);
    g_assert_nonnull(error);
}

#define ADD(path, test) g_test_add(path, Fixture, NULL, set_up, test, tear_down)

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("/lock/take/refuses-a-second-one", test_take_refuses_a_second_one);
    ADD("/lock/take/succeeds-after-the-first-has-gone",
        test_take_succeeds_after_the_first_has_gone);
    ADD("/lock/take/makes-the-directory", test_take_makes_the_directory);
    ADD("/lock/take/names-a-directory-it-cannot-use", test_take_names_a_directory_it_cannot_use);
    ADD("/lock/take/follows-no-link", test_take_follows_no_link);
    return g_test_run();
}
