/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/config-fixture.h"

#include "daemon/error.h"

#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>

void
fixture_set_environment(Fixture *fixture, const char *name, const char *value)
{
    fixture->environment = g_environ_setenv(fixture->environment, name, value, TRUE);
}

void
fixture_set_up(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    fixture->folder = g_dir_make_tmp("spoke-config-XXXXXX", &error);
    g_assert_no_error(error);
    fixture->vendor = g_build_filename(fixture->folder, "vendor.conf", NULL);
    fixture->path = g_build_filename(fixture->folder, "spoked.conf", NULL);

    g_autofree char *credentials = g_build_filename(fixture->folder, "creds", NULL);
    fixture_set_environment(fixture, "CREDENTIALS_DIRECTORY", credentials);
}

static void
remove_folder(const char *folder)
{
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *name = NULL;

    while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *path = g_build_filename(folder, name, NULL);

        if (g_file_test(path, G_FILE_TEST_IS_DIR))
            remove_folder(path);
        else
            g_unlink(path);
    }
    g_rmdir(folder);
}

void
fixture_tear_down(Fixture *fixture, gconstpointer data)
{
    remove_folder(fixture->folder);
    g_free(fixture->folder);
    g_free(fixture->vendor);
    g_free(fixture->path);
    g_strfreev(fixture->environment);
}

char *
write_file(Fixture *fixture, const char *name, mode_t mode, const char *text)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *path = g_build_filename(fixture->folder, name, NULL);
    g_autofree char *folder = g_path_get_dirname(path);

    g_assert_cmpint(g_mkdir_with_parents(folder, 0700), ==, 0);
    g_file_set_contents(path, text, -1, &error);
    g_assert_no_error(error);
    g_assert_cmpint(chmod(path, mode), ==, 0);
    return g_steal_pointer(&path);
}

char *
expand(Fixture *fixture, const char *text)
{
    g_auto(GStrv) parts = g_strsplit(text, "@/", 0);
    g_autofree char *start = g_strconcat(fixture->folder, "/", NULL);

    return g_strjoinv(start, parts);
}

void
put(Fixture *fixture, const char *name, const char *text)
{
    g_autofree char *expanded = expand(fixture, text);
    g_autofree char *path = write_file(fixture, name, 0600, expanded);
}

SpokeConfig *
load(Fixture *fixture)
{
    g_autoptr(GError) error = NULL;
    SpokeConfig *config =
        spoke_config_load_full(fixture->vendor, fixture->path, fixture->environment, &error);

    g_assert_no_error(error);
    g_assert_nonnull(config);
    return config;
}

SpokeConfig *
load_text(Fixture *fixture, const char *text)
{
    put(fixture, "spoked.conf", text);
    return load(fixture);
}

void
assert_refused(Fixture *fixture, const char *expected)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *text = expand(fixture, expected);
    g_autoptr(SpokeConfig) config =
        spoke_config_load_full(fixture->vendor, fixture->path, fixture->environment, &error);

    g_assert_null(config);
    g_assert_error(error, SPOKE_ERROR, SPOKE_ERROR_INVALID_CONFIG);
    g_assert_cmpstr(error->message, ==, text);
    g_assert_null(strstr(error->message, "S3CR3T"));
}

void
assert_text_refused(Fixture *fixture, const char *text, const char *expected)
{
    put(fixture, "spoked.conf", text);
    assert_refused(fixture, expected);
}
