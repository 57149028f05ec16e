/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A disk that is full, read-only or damaged. The state directory is a small tmpfs of the test's
 * own, which needs root.
 */
#include "tests/integration/harness.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

typedef struct {
    Harness *h;
    char *dir; /* owned; where the tmpfs is */
} Disk;

static Disk *
disk_new(const char *options)
{
    Disk *disk = g_new0(Disk, 1);

    disk->h = harness_new();
    disk->dir = g_build_filename(harness_get_dir(disk->h), "disk", NULL);
    g_assert_cmpint(g_mkdir(disk->dir, 0700), ==, 0);
    g_assert_cmpint(mount("tmpfs", disk->dir, "tmpfs", 0, options), ==, 0);
    harness_set_state_dir(disk->h, disk->dir);
    return disk;
}

static void
disk_free(Disk *disk)
{
    g_autofree char *dir = g_steal_pointer(&disk->dir);

    if (harness_get_daemon_pid(disk->h) > 0)
        harness_kill_daemon(disk->h, SIGKILL);
    (void)umount2(dir, MNT_DETACH);
    harness_free(disk->h);
    g_free(disk);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Disk, disk_free)

/* Takes all space that is left; removing the file gives it back. */
static void
fill(Disk *disk)
{
    static const char block[4096];
    g_autofree char *path = g_build_filename(disk->dir, "ballast", NULL);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

    while (write(fd, block, sizeof block) > 0)
        ;
    close(fd);
}

static void
drain(Disk *disk)
{
    g_autofree char *path = g_build_filename(disk->dir, "ballast", NULL);

    g_assert_cmpint(g_unlink(path), ==, 0);
}

static void
assert_logged(Disk *disk, const char *text)
{
    g_autofree char *log = harness_read_daemon_log(disk->h);

    if (strstr(log, text) == NULL)
        harness_fail(disk->h, "The log does not say \"%s\"", text);
}

static GVariant *
send_text(Disk *disk, const char *text, GError **error)
{
    return g_dbus_connection_call_sync(harness_get_bus(disk->h), HARNESS_BUS_NAME, HARNESS_SELF,
                                       "org.spoked1.Device", "SendText",
                                       g_variant_new_parsed("(%s, @a{ss} {}, @a{sv} {})", text),
                                       NULL, G_DBUS_CALL_FLAGS_NO_AUTO_START, 30000, NULL, error);
}

static gboolean
is_accepted(Harness *h, gpointer disk)
{
    g_autoptr(GVariant) reply = send_text(disk, "after", NULL);

    return reply != NULL;
}

static void
test_full_disk_refuses_and_recovers(void)
{
    g_autoptr(Disk) disk = disk_new("size=4m");
    g_autofree char *text = g_strnfill(50000, 'x');
    g_autoptr(GError) error = NULL;
    guint accepted = 0;

    harness_kill_hub(disk->h, SIGKILL);
    harness_start_daemon(disk->h);
    fill(disk);
    /* What fits into the files as they are may still be accepted. */
    for (; accepted < 1000; accepted++) {
        g_autoptr(GVariant) reply = send_text(disk, text, &error);
        if (reply == NULL)
            break;
    }
    g_autofree char *name = g_dbus_error_get_remote_error(error);
    g_assert_cmpstr(name, ==, "org.spoked1.Error.QueueFull");
    assert_logged(disk, "The disk of the message store is full");

    drain(disk);
    harness_wait(disk->h, "room on the disk to be noticed", is_accepted, disk);
    harness_start_hub(disk->h);
    harness_wait_counter(disk->h, "QueuedMessages", 0);
    harness_wait_arrived(disk->h, accepted + 1);
    assert_logged(disk, "The disk of the message store has room again");
}

static void
test_full_disk_leaves_c2d_at_the_hub(void)
{
    g_autoptr(Disk) disk = disk_new("size=4m");
    g_autofree char *text = g_strnfill(60000, 'x');

    harness_start_daemon(disk->h);
    harness_wait_state(disk->h, "connected");
    fill(disk);
    for (guint i = 0; i < 20; i++) {
        g_autofree char *body = g_strdup_printf("{\"body\":\"%s\",\"messageId\":\"m%u\"}", text, i);
        g_autoptr(JsonNode) answer =
            harness_hub(disk->h, "POST", "/devices/" HARNESS_DEVICE_ID "/messages", body);
    }
    drain(disk);

    /* All 20 come, each from the inbox or, later, from the hub. */
    for (guint i = 0; i < 20; i++) {
        g_autoptr(GVariant) reply = harness_call(disk->h, NULL, "Receive", "(@t 80000, @a{sv} {})");
    }
    assert_logged(disk, "The disk takes no messages from the hub");
}

/* Each time it connects, the hub offers what the disk can't take; what goes the other way must get
 * through all the same. */
static void
drain_beside_c2d(gboolean is_restarted)
{
    g_autoptr(Disk) disk = disk_new("size=32m");
    g_autofree char *text = g_strnfill(50000, 'x');
    guint accepted = 0;

    g_autoptr(JsonNode) fault =
        harness_hub(disk->h, "POST", "/faults", "{\"kind\":\"refuse\",\"code\":3,\"count\":0}");
    harness_start_daemon(disk->h);
    for (; accepted < 1000; accepted++) {
        g_autoptr(GVariant) reply = send_text(disk, text, NULL);
        if (reply == NULL)
            break;
        if (accepted == 19)
            fill(disk);
    }
    if (is_restarted) {
        harness_kill_daemon(disk->h, SIGKILL);
        fill(disk);
        harness_start_daemon(disk->h);
    }
    for (guint i = 0; i < 20; i++) {
        g_autofree char *body = g_strdup_printf("{\"body\":\"%s\",\"messageId\":\"m%u\"}", text, i);
        g_autoptr(JsonNode) answer =
            harness_hub(disk->h, "POST", "/devices/" HARNESS_DEVICE_ID "/messages", body);
    }
    g_autoptr(JsonNode) cleared = harness_hub(disk->h, "DELETE", "/faults", NULL);

    harness_wait_counter(disk->h, "QueuedMessages", 0);
    harness_wait_arrived(disk->h, accepted);
    g_assert_cmpuint(accepted, >=, 20);
    g_assert_cmpuint(accepted, <, 1000);

    /* They have left the disk as well, which is as full as before. */
    g_assert_cmpint(harness_stop_daemon(disk->h), ==, 0);
    fill(disk);
    harness_start_daemon(disk->h);
    g_assert_cmpuint(harness_counter(disk->h, "QueuedMessages"), ==, 0);

    drain(disk);
    for (guint i = 0; i < 20; i++) {
        g_autoptr(GVariant) reply = harness_call(disk->h, NULL, "Receive", "(@t 80000, @a{sv} {})");
    }
}

static void
test_full_disk_drains_though_c2d_waits(void)
{
    drain_beside_c2d(FALSE);
}

static void
test_full_disk_drains_though_c2d_waits_after_a_restart(void)
{
    drain_beside_c2d(TRUE);
}

static void
test_read_only_disk_is_named_at_start(void)
{
    g_autoptr(Disk) disk = disk_new("size=4m,mode=0700");
    g_autofree char *log = NULL;

    g_assert_cmpint(mount("tmpfs", disk->dir, "tmpfs", MS_REMOUNT | MS_RDONLY, "size=4m"), ==, 0);

    g_assert_cmpint(harness_run_daemon(disk->h, &log), !=, 0);
    g_assert_nonnull(strstr(log, disk->dir));
}

static void
test_damaged_spool_is_set_aside(void)
{
    g_autoptr(Disk) disk = disk_new("size=64m");
    g_autofree char *path = g_build_filename(disk->dir, "spool.db", NULL);
    g_autofree char *aside = g_build_filename(disk->dir, "spool.db.corrupt-1", NULL);

    harness_kill_hub(disk->h, SIGKILL);
    harness_start_daemon(disk->h);
    for (guint i = 0; i < 200; i++) {
        g_autofree char *text = g_strdup_printf("%u%0*d", i, 1000, 0);
        g_autoptr(GVariant) reply = send_text(disk, text, NULL);
        g_assert_nonnull(reply);
    }
    g_assert_cmpint(harness_stop_daemon(disk->h), ==, 0);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    g_autofree char *rubbish = g_strnfill(4096, 'R');
    for (guint page = 10; page < 14; page++)
        g_assert_cmpint(pwrite(fd, rubbish, 4096, 4096 * page), ==, 4096);
    close(fd);

    harness_start_hub(disk->h);
    harness_start_daemon(disk->h);
    harness_wait_counter(disk->h, "QueuedMessages", 0);
    g_assert_true(g_file_test(aside, G_FILE_TEST_EXISTS));
    assert_logged(disk, aside);
    g_autoptr(JsonNode) stats = harness_hub(disk->h, "GET", "/stats", NULL);
    g_assert_cmpint(json_object_get_int_member(json_node_get_object(stats), "messagesReceived"), >,
                    100);
    g_autoptr(GVariant) reply = send_text(disk, "after", NULL);
    g_assert_nonnull(reply);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/disk/full/refuses-and-recovers", test_full_disk_refuses_and_recovers);
    g_test_add_func("/disk/full/leaves-c2d-at-the-hub", test_full_disk_leaves_c2d_at_the_hub);
    g_test_add_func("/disk/full/drains-though-c2d-waits", test_full_disk_drains_though_c2d_waits);
    g_test_add_func("/disk/full/drains-though-c2d-waits-after-a-restart",
                    test_full_disk_drains_though_c2d_waits_after_a_restart);
    g_test_add_func("/disk/read-only/is-named-at-start", test_read_only_disk_is_named_at_start);
    g_test_add_func("/disk/damaged/is-set-aside", test_damaged_spool_is_set_aside);
    return g_test_run();
}
