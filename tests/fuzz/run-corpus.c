/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/fuzz/fuzz.h"

#include <glib.h>

/*
 * Stands in for libFuzzer in the test suite: run-corpus FOLDER… feeds each file of each folder to
 * the target once, then a few mutilations of it that need no luck: every shorter prefix of small
 * files, and each of their bytes turned over.
 */
#define SMALL_BYTES_MAX 4096

static void
feed_copy(const char *data, gsize size)
{
    /* A block of its exact size, so that a read past its end is seen. */
    g_autofree uint8_t *copy = g_memdup2(data, size);

    (void)LLVMFuzzerTestOneInput(copy, size);
}

static void
feed_mutilated(char *data, gsize size)
{
    for (gsize i = 0; i < size; i++)
        feed_copy(data, i);

    for (gsize i = 0; i < size; i++) {
        data[i] = (char)~data[i];
        feed_copy(data, size);
        data[i] = (char)~data[i];
    }
}

static gboolean
run_file(const char *path)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *data = NULL;
    gsize size = 0;

    if (!g_file_get_contents(path, &data, &size, &error)) {
        g_printerr("%s\n", error->message);
        return FALSE;
    }

    feed_copy(data, size);
    if (size <= SMALL_BYTES_MAX)
        feed_mutilated(data, size);
    return TRUE;
}

/* Returns: how many files were run; 0 is a failure, for an empty corpus tests nothing. */
static guint
run_folder(const char *folder)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GDir) dir = g_dir_open(folder, 0, &error);
    const char *name = NULL;
    guint n = 0;

    if (dir == NULL) {
        g_printerr("%s\n", error->message);
        return 0;
    }
    while ((name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *path = g_build_filename(folder, name, NULL);

        if (!run_file(path))
            return 0;
        n++;
    }
    return n;
}

int
main(int argc, char **argv)
{
    if (argc < 2) {
        g_printerr("Usage: %s FOLDER…\n", argv[0]);
        return 2;
    }

    for (int i = 1; i < argc; i++) {
        guint n = run_folder(argv[i]);

        if (n == 0)
            return 1;
        g_print("%s: %u files\n", argv[i], n);
    }
    return 0;
}
