/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/file-watch.h"

#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A watch on files in a folder of its own; names are below that folder. */
#define QUIET_MSEC 100
#define WAIT_SEC   20

typedef struct {
    char *folder;
    SpokeFileWatch *watch;
    guint n_changed;
} Fixture;

static void
on_changed(gpointer user_data)
{
    Fixture *fixture = user_data;

    fixture->n_changed++;
}

static char *
path_of(Fixture *fixture, const char *name)
{
    return g_build_filename(fixture->folder, name, NULL);
}

static void
put(Fixture *fixture, const char *name, const char *text)
{
    g_autofree char *path = path_of(fixture, name);
    FILE *file = g_fopen(path, "we");

    g_assert_nonnull(file);
    g_assert_cmpint(fputs(text, file), >=, 0);
    g_assert_cmpint(fclose(file), ==, 0);
}

static void
make_folder(Fixture *fixture, const char *name)
{
    g_autofree char *path = path_of(fixture, name);

    g_assert_cmpint(g_mkdir(path, 0700), ==, 0);
}

/* Puts a link in the place of what may be there. */
static void
put_link(Fixture *fixture, const char *name, const char *target)
{
    g_autofree char *path = path_of(fixture, name);
    g_autofree char *new_path = path_of(fixture, "new-link");

    g_assert_cmpint(symlink(target, new_path), ==, 0);
    g_assert_cmpint(g_rename(new_path, path), ==, 0);
}

static void
move(Fixture *fixture, const char *name, const char *new_name)
{
    g_autofree char *path = path_of(fixture, name);
    g_autofree char *new_path = path_of(fixture, new_name);

    g_assert_cmpint(g_rename(path, new_path), ==, 0);
}

static void
watch(Fixture *fixture, const char *name)
{
    g_autofree char *path = path_of(fixture, name);

    spoke_file_watch_add(fixture->watch, path);
}

static void
unwatch(Fixture *fixture, const char *name)
{
    g_autofree char *path = path_of(fixture, name);

    spoke_file_watch_remove(fixture->watch, path);
}

static gboolean
on_timeout(gpointer is_over)
{
    *(gboolean *)is_over = TRUE;
    return G_SOURCE_REMOVE;
}

/* Runs the loop for so long, or until there have been @n_changed. */
static void
run(Fixture *fixture, guint msec, guint n_changed)
{
    gboolean is_over = FALSE;
    guint id = g_timeout_add(msec, on_timeout, &is_over);

    while (!is_over && fixture->n_changed < n_changed)
        g_main_context_iteration(NULL, TRUE);
    if (!is_over)
        g_source_remove(id);
}

/* One more, and not two. */
static void
assert_told(Fixture *fixture)
{
    guint n_changed = fixture->n_changed + 1;

    run(fixture, WAIT_SEC * 1000, n_changed);
    g_assert_cmpuint(fixture->n_changed, ==, n_changed);
}

static void
assert_silent(Fixture *fixture)
{
    guint n_changed = fixture->n_changed;

    run(fixture, 4 * QUIET_MSEC, n_changed + 1);
    g_assert_cmpuint(fixture->n_changed, ==, n_changed);
}

static void
set_up(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    fixture->folder = g_dir_make_tmp("spoke-watch-XXXXXX", &error);
    g_assert_no_error(error);
    fixture->watch = spoke_file_watch_new(QUIET_MSEC, on_changed, fixture);
}

static void
tear_down(Fixture *fixture, gconstpointer data)
{
    const char *argv[] = {"rm", "-rf", "--", fixture->folder, NULL};

    spoke_file_watch_free(fixture->watch);
    g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, NULL,
                 NULL);
    g_free(fixture->folder);
}

static void
test_tells_of_writing(Fixture *fixture, gconstpointer data)
{
    put(fixture, "c.pem", "one");
    watch(fixture, "c.pem");

    put(fixture, "c.pem", "two");

    assert_told(fixture);
    put(fixture, "c.pem", "six");
    assert_told(fixture);
}

static void
test_tells_of_renaming_over(Fixture *fixture, gconstpointer data)
{
    put(fixture, "c.pem", "one");
    put(fixture, "new", "one");
    watch(fixture, "c.pem");

    move(fixture, "new", "c.pem");

    assert_told(fixture);
}

static void
test_tells_of_modes(Fixture *fixture, gconstpointer data)
{
    g_autofree char *path = path_of(fixture, "k.pem");
    put(fixture, "k.pem", "one");
    watch(fixture, "k.pem");

    g_assert_cmpint(chmod(path, 0400), ==, 0);

    assert_told(fixture);
}

static void
test_tells_of_coming_and_going(Fixture *fixture, gconstpointer data)
{
    g_autofree char *path = path_of(fixture, "c.pem");
    watch(fixture, "c.pem");

    put(fixture, "c.pem", "one");
    assert_told(fixture);

    g_assert_cmpint(g_unlink(path), ==, 0);
    assert_told(fixture);
}

static void
test_tells_of_folders_that_come(Fixture *fixture, gconstpointer data)
{
    watch(fixture, "a/b/c.pem");

    make_folder(fixture, "a");
    assert_silent(fixture);
    make_folder(fixture, "a/b");
    put(fixture, "a/b/c.pem", "one");

    assert_told(fixture);
}

static void
test_tells_of_folders_that_are_replaced(Fixture *fixture, gconstpointer data)
{
    make_folder(fixture, "certs");
    put(fixture, "certs/c.pem", "one");
    watch(fixture, "certs/c.pem");

    move(fixture, "certs", "old");
    assert_told(fixture);
    make_folder(fixture, "certs");
    put(fixture, "certs/c.pem", "one");
    assert_told(fixture);
}

/* As certbot does it: live/c.pem leads to archive/c1.pem. */
static void
test_follows_links(Fixture *fixture, gconstpointer data)
{
    make_folder(fixture, "live");
    make_folder(fixture, "archive");
    put(fixture, "archive/c1.pem", "one");
    put_link(fixture, "live/c.pem", "../archive/c1.pem");
    watch(fixture, "live/c.pem");

    put(fixture, "archive/c2.pem", "two");
    assert_silent(fixture);
    put_link(fixture, "live/c.pem", "../archive/c2.pem");
    assert_told(fixture);
    put(fixture, "archive/c2.pem", "six");
    assert_told(fixture);
    put(fixture, "archive/c1.pem", "two");
    assert_silent(fixture);
}

/* As Kubernetes does it: c.pem leads to ..data/c.pem, and ..data to ..1. */
static void
test_follows_links_of_folders(Fixture *fixture, gconstpointer data)
{
    make_folder(fixture, "..1");
    make_folder(fixture, "..2");
    put(fixture, "..1/c.pem", "one");
    put(fixture, "..2/c.pem", "one");
    put_link(fixture, "..data", "..1");
    put_link(fixture, "c.pem", "..data/c.pem");
    watch(fixture, "c.pem");

    put_link(fixture, "..data", "..2");

    assert_told(fixture);
}

/* In a process of its own, for the complaint's sake. */
static void
test_survives_link_loops(Fixture *fixture, gconstpointer data)
{
    if (!g_test_subprocess()) {
        g_test_trap_subprocess(NULL, 0, 0);
        g_test_trap_assert_passed();
        g_test_trap_assert_stderr("*/a changes will not be noticed (Too many levels of symbolic "
                                  "links); reload the configuration after it has*");
        g_test_trap_assert_stderr_unmatched("*noticed*noticed*");
        return;
    }

    g_log_set_always_fatal(G_LOG_FATAL_MASK);
    put_link(fixture, "a", "b");
    put_link(fixture, "b", "a");
    put(fixture, "c.pem", "one");
    watch(fixture, "a");
    watch(fixture, "c.pem");
    put(fixture, "c.pem", "two");
    assert_told(fixture);
    put_link(fixture, "a", "c.pem");
    put(fixture, "c.pem", "six");
    assert_told(fixture);
    unwatch(fixture, "a");
}

static void
test_tells_once_of_many(Fixture *fixture, gconstpointer data)
{
    put(fixture, "c.pem", "one");
    put(fixture, "k.pem", "one");
    watch(fixture, "c.pem");
    watch(fixture, "k.pem");

    put(fixture, "c.pem", "two");
    run(fixture, QUIET_MSEC / 2, 1);
    put(fixture, "k.pem", "two");

    assert_told(fixture);
    assert_silent(fixture);
}

static gboolean
write_on(gpointer user_data)
{
    put(user_data, "c.pem", "more");
    return G_SOURCE_CONTINUE;
}

/* Where it never gets quiet it does not wait for ever. */
static void
test_tells_amid_noise(Fixture *fixture, gconstpointer data)
{
    put(fixture, "c.pem", "one");
    watch(fixture, "c.pem");
    guint id = g_timeout_add(QUIET_MSEC / 10, write_on, fixture);

    run(fixture, WAIT_SEC * 1000, 2);

    g_source_remove(id);
    g_assert_cmpuint(fixture->n_changed, ==, 2);
}

static void
test_ignores_others(Fixture *fixture, gconstpointer data)
{
    put(fixture, "c.pem", "one");
    watch(fixture, "c.pem");

    put(fixture, "c.pem.bak", "one");
    move(fixture, "c.pem.bak", "d.pem");

    assert_silent(fixture);
}

static void
test_counts_users(Fixture *fixture, gconstpointer data)
{
    put(fixture, "c.pem", "one");
    watch(fixture, "c.pem");
    watch(fixture, "c.pem");
    unwatch(fixture, "c.pem");

    put(fixture, "c.pem", "two");
    assert_told(fixture);

    unwatch(fixture, "c.pem");
    put(fixture, "c.pem", "six");
    assert_silent(fixture);
}

/* A change right before the last user goes is nobody's any more. */
static void
test_forgets_what_it_was_to_tell(Fixture *fixture, gconstpointer data)
{
    put(fixture, "c.pem", "one");
    watch(fixture, "c.pem");
    put(fixture, "c.pem", "two");
    run(fixture, QUIET_MSEC / 4, 1);

    unwatch(fixture, "c.pem");

    assert_silent(fixture);
}

#define ADD(path, function) g_test_add(path, Fixture, NULL, set_up, function, tear_down)

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("/file-watch/tells-of-writing", test_tells_of_writing);
    ADD("/file-watch/tells-of-renaming-over", test_tells_of_renaming_over);
    ADD("/file-watch/tells-of-modes", test_tells_of_modes);
    ADD("/file-watch/tells-of-coming-and-going", test_tells_of_coming_and_going);
    ADD("/file-watch/tells-of-folders-that-come", test_tells_of_folders_that_come);
    ADD("/file-watch/tells-of-folders-that-are-replaced", test_tells_of_folders_that_are_replaced);
    ADD("/file-watch/follows-links", test_follows_links);
    ADD("/file-watch/follows-links-of-folders", test_follows_links_of_folders);
    ADD("/file-watch/survives-link-loops", test_survives_link_loops);
    ADD("/file-watch/tells-once-of-many", test_tells_once_of_many);
    ADD("/file-watch/tells-amid-noise", test_tells_amid_noise);
    ADD("/file-watch/ignores-others", test_ignores_others);
    ADD("/file-watch/counts-users", test_counts_users);
    ADD("/file-watch/forgets-what-it-was-to-tell", test_forgets_what_it_was_to_tell);
    return g_test_run();
}
