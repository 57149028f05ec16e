/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/disk.h"

#include <glib/gstdio.h>

/* The real spool, in a directory of its own that goes with it. */
struct Disk {
    char *directory;
    SpokeSpool *spool; /* owned; NULL: not open */
};

Disk *
disk_new(void)
{
    Disk *disk = g_new0(Disk, 1);
    g_autoptr(GError) error = NULL;

    disk->directory = g_dir_make_tmp("spoke-disk-XXXXXX", &error);
    g_assert_no_error(error);
    return disk;
}

void
disk_free(Disk *disk)
{
    g_autoptr(GDir) directory = g_dir_open(disk->directory, 0, NULL);
    const char *name;

    disk_close(disk);
    while ((name = g_dir_read_name(directory)) != NULL) {
        g_autofree char *path = g_build_filename(disk->directory, name, NULL);

        g_assert_cmpint(g_unlink(path), ==, 0);
    }
    g_assert_cmpint(g_rmdir(disk->directory), ==, 0);
    g_free(disk->directory);
    g_free(disk);
}

SpokeSpool *
disk_open_spool(Disk *disk)
{
    const SpokeSpoolOptions options = {.directory = disk->directory,
                                       .flush_window_usec = G_USEC_PER_SEC};
    g_autoptr(GError) error = NULL;

    disk->spool = spoke_spool_open(&options, &error);
    g_assert_no_error(error);
    return disk->spool;
}

SpokeSpool *
disk_get_spool(Disk *disk)
{
    return disk->spool;
}

SpokeInbox *
disk_open_inbox(Disk *disk)
{
    g_autoptr(GError) error = NULL;
    SpokeInbox *inbox = spoke_inbox_open(disk_open_spool(disk), "self", &error);

    g_assert_no_error(error);
    return inbox;
}

void
disk_close(Disk *disk)
{
    g_clear_pointer(&disk->spool, spoke_spool_free);
}
