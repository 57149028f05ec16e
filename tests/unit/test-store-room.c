/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "spool-fixture.h"

#include "daemon/error.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * A full disk: a small tmpfs in a mount namespace of our own, filled by the queue itself or by
 * somebody else.
 */
#define BODY 1000

static void
put_long(Fixture *fixture, guint number, SpokeDurability durability)
{
    g_autofree char *body = g_strdup_printf("a%-*u", BODY - 1, number);

    g_assert_true(fixture_put(fixture, body, durability, NULL));
}

static void
mount_small(Fixture *fixture)
{
    fixture_init(fixture);
    g_assert_cmpint(mount("tmpfs", fixture->directory, "tmpfs", 0, "size=24m"), ==, 0);
}

static void
unmount(Fixture *fixture)
{
    fixture_close(fixture);
    g_assert_cmpint(umount(fixture->directory), ==, 0);
}

/* Puts until one is refused. Returns how many were accepted. */
static guint
fill(Fixture *fixture)
{
    guint n = 0;

    fixture->n_refused = 0;
    while (fixture->n_refused == 0) {
        guint n_answers = fixture->n_answers;
        for (guint i = 0; i < 20; i++)
            put_long(fixture, n++, SPOKE_DURABILITY_SYNCED);
        while (fixture->n_answers < n_answers + 20)
            g_main_context_iteration(NULL, TRUE);
    }
    g_assert_cmpint(fixture->refusal, ==, SPOKE_ERROR_QUEUE_FULL);
    return n - fixture->n_refused;
}

static guint
drain(Fixture *fixture)
{
    guint n_taken = 0;
    guint64 last_id = 0;

    while (spoke_outbox_get_messages(fixture->outbox) > 0) {
        SpokeMessage *messages[64];
        guint n = spoke_outbox_take(fixture->outbox, messages, G_N_ELEMENTS(messages));
        for (guint i = 0; i < n; i++) {
            g_assert_cmpuint(messages[i]->id, >, last_id);
            last_id = messages[i]->id;
            spoke_outbox_settle(fixture->outbox, messages[i], SPOKE_OUTCOME_ACCEPTED, "");
        }
        n_taken += n;
        if (n == 0)
            g_main_context_iteration(NULL, TRUE);
    }
    return n_taken;
}

/* Takes all that is left on the disk. */
static int
eat_disk(Fixture *fixture)
{
    g_autofree char *path = fixture_path(fixture, "eater");
    static char zeros[65536];

    int fd = g_open(path, O_WRONLY | O_CREAT, 0600);
    g_assert_cmpint(fd, >=, 0);
    while (write(fd, zeros, sizeof zeros) > 0)
        continue;
    while (write(fd, zeros, 1024) > 0)
        continue;
    return fd;
}

static void
free_disk(Fixture *fixture, int fd)
{
    g_autofree char *path = fixture_path(fixture, "eater");

    close(fd);
    g_assert_cmpint(g_unlink(path), ==, 0);
}

static gboolean
is_full(Fixture *fixture)
{
    return fixture->is_full;
}

static gboolean
has_room(Fixture *fixture)
{
    return !fixture->is_full;
}

static void
test_queue_that_fills_its_disk_drains(void)
{
    g_auto(Fixture) fixture;
    mount_small(&fixture);
    fixture_open(&fixture);

    guint n = fill(&fixture);
    fixture_wait(&fixture, is_full);
    g_assert_cmpuint(spoke_outbox_get_messages(fixture.outbox), ==, n);
    g_assert_cmpuint(drain(&fixture), ==, n);
    fixture_wait(&fixture, has_room);
    guint again = fill(&fixture);

    g_assert_cmpuint(n, >, 5000);
    g_assert_cmpuint(again, >, n / 2);
    fixture_reopen(&fixture);
    g_assert_cmpuint(spoke_outbox_get_messages(fixture.outbox), ==, again);
    g_assert_cmpuint(drain(&fixture), ==, again);
    fixture_reopen(&fixture);
    g_assert_cmpuint(spoke_outbox_get_messages(fixture.outbox), ==, 0);
    g_assert_cmpuint(fixture.n_failed + fixture.n_corrupt, ==, 0);
    unmount(&fixture);
}

/* What is small may still fit where what is large does not. */
static void
test_full_disk_is_told_of_once(void)
{
    g_auto(Fixture) fixture;
    mount_small(&fixture);
    fixture_open(&fixture);
    (void)fill(&fixture);

    for (guint i = 0; i < 20; i++) {
        g_assert_true(fixture_put(&fixture, "b", SPOKE_DURABILITY_SYNCED, NULL));
        fixture_settle_down(&fixture);
        put_long(&fixture, i, SPOKE_DURABILITY_SYNCED);
        fixture_settle_down(&fixture);
    }

    g_assert_true(fixture.is_full);
    g_assert_cmpuint(fixture.n_full, ==, 1);
    unmount(&fixture);
}

static void
test_full_disk_recovers_by_itself(void)
{
    g_auto(Fixture) fixture;
    mount_small(&fixture);
    fixture_open(&fixture);
    for (guint i = 0; i < 2000; i++)
        put_long(&fixture, i, SPOKE_DURABILITY_SYNCED);
    fixture_settle_down(&fixture);
    int eater = eat_disk(&fixture);
    guint n = 2000 + fill(&fixture);
    fixture_wait(&fixture, is_full);

    g_assert_cmpuint(drain(&fixture), ==, n); /* the disk is still full */
    fixture_settle_down(&fixture);
    free_disk(&fixture, eater);
    fixture_wait(&fixture, has_room);
    fixture.n_refused = 0;
    put_long(&fixture, 0, SPOKE_DURABILITY_SYNCED);
    fixture_settle_down(&fixture);

    g_assert_cmpuint(fixture.n_refused, ==, 0);
    fixture_reopen(&fixture);
    g_assert_cmpuint(spoke_outbox_get_messages(fixture.outbox), ==, 1); /* the rest was removed */
    unmount(&fixture);
}

static void
test_full_disk_keeps_flushed(void)
{
    g_auto(Fixture) fixture;
    mount_small(&fixture);
    fixture_open(&fixture);
    int eater = eat_disk(&fixture);
    (void)fill(&fixture);
    guint before = (guint)spoke_outbox_get_messages(fixture.outbox);
    fixture.n_refused = 0;

    for (guint i = 0; i < 100; i++)
        put_long(&fixture, i, SPOKE_DURABILITY_FLUSHED);
    fixture_run_for(3 * fixture.flush_window_usec);
    g_assert_cmpuint(fixture.n_refused, ==, 0);
    g_assert_true(fixture.is_full);
    free_disk(&fixture, eater);
    fixture_wait(&fixture, has_room);
    fixture_settle_down(&fixture);

    fixture_reopen(&fixture);
    g_assert_cmpuint(spoke_outbox_get_messages(fixture.outbox), ==, before + 100);
    unmount(&fixture);
}

static void
test_open_on_full_disk_delivers(void)
{
    g_auto(Fixture) fixture;
    mount_small(&fixture);
    fixture_open(&fixture);
    for (guint i = 0; i < 1000; i++)
        put_long(&fixture, i, SPOKE_DURABILITY_SYNCED);
    fixture_settle_down(&fixture);
    fixture_close(&fixture);
    int eater = eat_disk(&fixture);

    fixture_open(&fixture);
    g_assert_cmpuint(drain(&fixture), ==, 1000);
    free_disk(&fixture, eater);
    fixture_settle_down(&fixture);
    fixture_run_for(1200 * 1000); /* what was kept back is tried again */
    fixture_settle_down(&fixture);

    fixture_reopen(&fixture);
    g_assert_cmpuint(spoke_outbox_get_messages(fixture.outbox), ==, 0);
    unmount(&fixture);
}

/* What can't be dropped can still be sent. */
static void
test_open_on_full_disk_delivers_what_is_too_much(void)
{
    g_auto(Fixture) fixture;
    mount_small(&fixture);
    fixture_open(&fixture);
    for (guint i = 0; i < 1000; i++)
        put_long(&fixture, i, SPOKE_DURABILITY_SYNCED);
    fixture_settle_down(&fixture);
    fixture_close(&fixture);
    int eater = eat_disk(&fixture);
    fixture.options.when_full = SPOKE_WHEN_FULL_DROP_OLDEST;
    fixture.options.bytes_max = 64 * 1024;

    fixture_open(&fixture);
    guint n = drain(&fixture);

    g_assert_cmpuint(n + fixture.n_settled, >=, 1000);
    g_assert_cmpuint(n, >, 0);
    free_disk(&fixture, eater);
    unmount(&fixture);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    /* A mount of our own needs root; CI is. */
    if (geteuid() != 0 || unshare(CLONE_NEWNS) != 0 ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) {
        g_print("1..0 # SKIP mounts of our own need root\n");
        return 0;
    }
    g_test_add_func("/store-room/full/queue-that-fills-its-disk-drains",
                    test_queue_that_fills_its_disk_drains);
    g_test_add_func("/store-room/full/is-told-of-once", test_full_disk_is_told_of_once);
    g_test_add_func("/store-room/full/recovers-by-itself", test_full_disk_recovers_by_itself);
    g_test_add_func("/store-room/full/keeps-flushed", test_full_disk_keeps_flushed);
    g_test_add_func("/store-room/full/open-delivers", test_open_on_full_disk_delivers);
    g_test_add_func("/store-room/full/open-delivers-what-is-too-much",
                    test_open_on_full_disk_delivers_what_is_too_much);
    return g_test_run();
}
