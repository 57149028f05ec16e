/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "spool-fixture.h"

#include "daemon/inbox.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Damage of every kind done to the file, before it is opened and while it is open. */

#define PAGE    4096
#define N_QUEUE 3000
#define BODY    1000 /* bytes of a long message: four to a page */

static void
put_long(Fixture *fixture, char letter, guint first, guint last)
{
    guint n = fixture->n_answers;

    for (guint i = first; i <= last; i++) {
        g_autofree char *body = g_strdup_printf("%c%-*u", letter, BODY - 1, i);
        g_assert_true(fixture_put(fixture, body, SPOKE_DURABILITY_SYNCED, NULL));
    }
    while (fixture->n_answers < n + last - first + 1)
        g_main_context_iteration(NULL, TRUE);
}

/* A closed spool with a long queue. */
static void
make_queue(Fixture *fixture)
{
    fixture_init(fixture);
    fixture_open(fixture);
    put_long(fixture, 'a', 0, N_QUEUE - 1);
    fixture_close(fixture);
}

static void
write_at(Fixture *fixture, off_t offset, gsize size)
{
    g_autofree char *path = fixture_path(fixture, "spool.db");
    g_autofree guint8 *noise = g_malloc(size);
    for (gsize i = 0; i < size; i++)
        noise[i] = (guint8)g_test_rand_int();

    int fd = g_open(path, O_RDWR, 0);
    g_assert_cmpint(pwrite(fd, noise, size, offset), ==, (gssize)size);
    close(fd);
}

static void
write_byte(Fixture *fixture, off_t offset, guint8 byte)
{
    g_autofree char *path = fixture_path(fixture, "spool.db");

    int fd = g_open(path, O_RDWR, 0);
    g_assert_cmpint(pwrite(fd, &byte, 1, offset), ==, 1);
    close(fd);
}

static void
cut_to(Fixture *fixture, off_t size)
{
    g_autofree char *path = fixture_path(fixture, "spool.db");

    g_assert_cmpint(truncate(path, size), ==, 0);
}

static off_t
file_size(Fixture *fixture)
{
    g_autofree char *path = fixture_path(fixture, "spool.db");
    struct stat status;

    g_assert_cmpint(stat(path, &status), ==, 0);
    return status.st_size;
}

static gboolean
on_deadline(gpointer user_data)
{
    g_error("It does not come to an end");
    return G_SOURCE_REMOVE;
}

static gboolean
is_reported(Fixture *fixture)
{
    return fixture->n_corrupt > 0;
}

/* Takes and settles what there is. Returns how many; they come in order, none twice. */
static guint
drain(Fixture *fixture)
{
    guint64 last_id = 0;
    guint n_taken = 0;

    while (spoke_outbox_get_messages(fixture->outbox) > 0) {
        SpokeMessage *messages[64];
        guint n = spoke_outbox_take(fixture->outbox, messages, G_N_ELEMENTS(messages));
        for (guint i = 0; i < n; i++) {
            g_assert_cmpuint(messages[i]->id, >, last_id);
            last_id = messages[i]->id;
            g_assert_cmpuint(messages[i]->body_size, ==, BODY);
            spoke_outbox_settle(fixture->outbox, messages[i], SPOKE_OUTCOME_ACCEPTED, "");
        }
        n_taken += n;
        if (n == 0)
            g_main_context_iteration(NULL, TRUE);
    }
    return n_taken;
}

/* Opens the damaged spool: says so, delivers what was saved, and works on. */
static void
assert_recovers(Fixture *fixture, guint saved_min, guint lost_max)
{
    guint64 last_id = g_array_index(fixture->ids, guint64, fixture->ids->len - 1);

    fixture_open(fixture);
    fixture_wait(fixture, is_reported);

    g_assert_cmpuint(fixture->n_corrupt, ==, 1);
    g_assert_cmpuint(fixture->saved, >=, saved_min);
    g_assert_cmpuint(fixture->lost, <=, lost_max);
    g_assert_true(g_file_test(fixture->set_aside, G_FILE_TEST_EXISTS));
    g_assert_cmpuint(spoke_outbox_get_messages(fixture->outbox), ==, fixture->saved);
    g_assert_cmpuint(drain(fixture), ==, fixture->saved);
    put_long(fixture, 'a', 0, 0);
    g_assert_cmpuint(g_array_index(fixture->ids, guint64, fixture->ids->len - 1), >, last_id);
    fixture_reopen(fixture);
    g_assert_cmpuint(drain(fixture), ==, 1);
    g_assert_cmpuint(fixture->n_corrupt, ==, 1);
}

static void
run_sql(Fixture *fixture, const char *sql)
{
    g_autofree char *path = fixture_path(fixture, "spool.db");
    sqlite3 *db = NULL;
    char *message = NULL;

    g_assert_cmpint(sqlite3_open(path, &db), ==, SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK)
        g_error("%s", message);
    g_assert_cmpint(sqlite3_close(db), ==, SQLITE_OK);
}

static void
test_truncated_keeps_what_is_left(void)
{
    g_auto(Fixture) fixture;
    make_queue(&fixture);
    cut_to(&fixture, file_size(&fixture) * 6 / 10 / PAGE * PAGE);

    assert_recovers(&fixture, N_QUEUE / 2, N_QUEUE / 2);

    g_assert_cmpuint(fixture.saved + fixture.lost, ==, N_QUEUE);
}

static void
test_cut_within_page_keeps_what_is_left(void)
{
    g_auto(Fixture) fixture;
    make_queue(&fixture);
    cut_to(&fixture, file_size(&fixture) - PAGE - 1000);

    assert_recovers(&fixture, N_QUEUE - 12, 12);
}

static void
test_emptied_starts_anew(void)
{
    g_auto(Fixture) fixture;
    make_queue(&fixture);
    cut_to(&fixture, 0);

    assert_recovers(&fixture, 0, G_MAXUINT);

    g_assert_cmpuint(fixture.saved, ==, 0);
}

static void
test_garbage_header_loses_nothing(void)
{
    g_auto(Fixture) fixture;
    make_queue(&fixture);
    write_at(&fixture, 0, 100);

    assert_recovers(&fixture, N_QUEUE, 0);
}

/* One byte each. Source: sqlite.org/fileformat2, 1.3: 18 and 47 are versions of the file's format.
 */
static void
test_garbage_format_loses_nothing(void)
{
    for (guint i = 0; i < 2; i++) {
        g_auto(Fixture) fixture;
        make_queue(&fixture);
        write_byte(&fixture, i == 0 ? 18 : 47, 99);

        assert_recovers(&fixture, N_QUEUE, 0);
    }
}

/* The version of the schema, of which a greater one would be a newer program's. */
static void
test_garbage_schema_version_loses_nothing(void)
{
    for (guint i = 0; i < 4; i++) {
        g_auto(Fixture) fixture;
        make_queue(&fixture);
        write_byte(&fixture, 60 + i, 2);

        assert_recovers(&fixture, N_QUEUE, 0);
    }
}

static void
test_garbage_first_page_loses_nothing(void)
{
    g_auto(Fixture) fixture;
    make_queue(&fixture);
    write_at(&fixture, 0, PAGE);

    assert_recovers(&fixture, N_QUEUE, 0);
}

static void
test_garbage_first_page_after_shrinking(void)
{
    g_auto(Fixture) fixture;
    fixture_init(&fixture);
    fixture_open(&fixture);
    for (guint i = 0; i < 20; i++)
        put_long(&fixture, 'a', 0, 999);
    (void)drain(&fixture);
    fixture_run_for(300 * 1000);
    fixture_settle_down(&fixture);
    put_long(&fixture, 'a', 0, 99);
    fixture_close(&fixture);
    g_assert_cmpint(file_size(&fixture), <, 5 * 1024 * 1024); /* given back to the disk */
    write_at(&fixture, 0, PAGE);

    assert_recovers(&fixture, 100, 0);
}

static void
test_other_file_is_set_aside(void)
{
    g_auto(Fixture) fixture;
    make_queue(&fixture);
    g_autofree char *path = fixture_path(&fixture, "spool.db");
    g_assert_true(g_file_set_contents(path, "Something else entirely\n", -1, NULL));

    assert_recovers(&fixture, 0, G_MAXUINT);
}

static void
test_lost_tables_of_names_and_ids(void)
{
    g_auto(Fixture) fixture;
    make_queue(&fixture);
    write_at(&fixture, PAGE, 3 * PAGE); /* meta, identities, flows */

    assert_recovers(&fixture, N_QUEUE, 1);
}

static guint32
read_number(const guint8 *page, guint offset, guint size)
{
    guint32 number = 0;

    for (guint i = 0; i < size; i++)
        number = number << 8 | page[offset + i];
    return number;
}

static void
write_number(guint8 *page, guint offset, guint32 number)
{
    for (guint i = 0; i < 4; i++)
        page[offset + i] = (guint8)(number >> (24 - 8 * i));
}

/* The tree leads back to its beginning and then nowhere: reading on after each error, in the order
 * of what was read last, would never end. Source: SQLite, Database File Format, 1.6. */
static void
test_tree_that_leads_back_comes_to_an_end(void)
{
    g_auto(Fixture) fixture;
    guint8 root[PAGE];
    make_queue(&fixture);
    g_autofree char *path = fixture_path(&fixture, "spool.db");
    int fd = g_open(path, O_RDWR, 0);
    g_assert_cmpint(pread(fd, root, PAGE, 4 * PAGE), ==, PAGE);
    g_assert_cmpuint(root[0], ==, 5);                 /* an interior page of a table */
    g_assert_cmpuint(read_number(root, 3, 2), >=, 2); /* cells */
    guint32 first_child = read_number(root, read_number(root, 12, 2), 4);
    write_number(root, read_number(root, 14, 2), first_child);
    write_number(root, 8, G_MAXINT32); /* the last child */
    g_assert_cmpint(pwrite(fd, root, PAGE, 4 * PAGE), ==, PAGE);
    close(fd);

    guint deadline = g_timeout_add_seconds(20, on_deadline, NULL);
    fixture_open(&fixture);
    guint n = drain(&fixture);
    g_source_remove(deadline);

    g_assert_cmpuint(n, ==, N_QUEUE); /* the leaves are whole */
    g_assert_cmpuint(fixture.n_corrupt, ==, 1);
}

static void
test_lost_tree_is_found_by_its_leaves(void)
{
    g_auto(Fixture) fixture;
    make_queue(&fixture);
    write_at(&fixture, 0, 6 * PAGE); /* all tables' roots */

    assert_recovers(&fixture, N_QUEUE, 1);
}

static void
test_lost_tree_brings_nothing_back(void)
{
    g_auto(Fixture) fixture;
    make_queue(&fixture);
    fixture_open(&fixture);
    for (guint i = 0; i < 2000;) {
        g_autoptr(GPtrArray) messages = fixture_take(&fixture, 50);
        fixture_accept(&fixture, messages);
        i += messages->len;
    }
    guint64 n_left = spoke_outbox_get_messages(fixture.outbox);
    fixture_close(&fixture);
    write_at(&fixture, 4 * PAGE, PAGE);

    fixture_open(&fixture);
    fixture_wait(&fixture, is_reported);

    g_assert_cmpuint(fixture.saved, ==, n_left);
    g_assert_cmpuint(fixture.lost, ==, 0);
}

static void
test_lost_tree_of_large_messages(void)
{
    g_auto(Fixture) fixture;
    g_autofree char *body = g_strnfill(100000, 'x');
    fixture_init(&fixture);
    fixture_open(&fixture);
    for (guint i = 0; i < 20; i++)
        g_assert_true(fixture_put(&fixture, body, SPOKE_DURABILITY_SYNCED, NULL));
    fixture_settle_down(&fixture);
    guint64 bytes = spoke_outbox_get_bytes(fixture.outbox);
    fixture_close(&fixture);
    run_sql(&fixture, "PRAGMA user_version"); /* the file is whole */
    write_at(&fixture, 0, 100);
    write_at(&fixture, 4 * PAGE, 100); /* a root that is a leaf, too: what is on it is gone */

    fixture_open(&fixture);
    fixture_wait(&fixture, is_reported);
    g_autoptr(GPtrArray) messages = fixture_take(&fixture, 1);

    g_assert_cmpuint(fixture.saved, >=, 10);
    g_assert_cmpuint(spoke_outbox_get_bytes(fixture.outbox), ==, bytes / 20 * fixture.saved);
    const SpokeMessage *message = messages->pdata[0];
    g_assert_cmpmem(spoke_message_body(message), message->body_size, body, 100000);
    spoke_outbox_give_back(fixture.outbox, (SpokeMessage **)messages->pdata, 1);
}

static void
test_overwritten_pages_lose_only_themselves(void)
{
    g_auto(Fixture) fixture;
    make_queue(&fixture);
    off_t n_pages = file_size(&fixture) / PAGE;
    write_at(&fixture, n_pages / 2 * PAGE, 4 * PAGE);
    write_at(&fixture, n_pages / 3 * PAGE, PAGE);

    fixture_open(&fixture); /* which is too quick to see it */
    g_assert_cmpuint(spoke_outbox_get_messages(fixture.outbox), ==, N_QUEUE);
    guint n_taken = drain(&fixture);
    fixture_settle_down(&fixture);

    g_assert_cmpuint(fixture.n_corrupt, ==, 1);
    g_assert_cmpuint(fixture.lost, >, 0);
    g_assert_cmpuint(fixture.lost, <=, 5 * 4);
    g_assert_cmpuint(n_taken, ==, N_QUEUE - fixture.lost);
    g_assert_cmpuint(spoke_outbox_get_bytes(fixture.outbox), ==, 0);
    fixture_reopen(&fixture);
    g_assert_cmpuint(spoke_outbox_get_messages(fixture.outbox), ==, 0);
    g_assert_cmpuint(fixture.n_corrupt, ==, 1);
}

static void
test_damage_while_running_keeps_what_is_in_memory(void)
{
    g_auto(Fixture) fixture;
    make_queue(&fixture);
    fixture_open(&fixture);
    g_autoptr(GPtrArray) in_flight = fixture_take(&fixture, 30);
    put_long(&fixture, 'b', 0, 9); /* live */
    off_t n_pages = file_size(&fixture) / PAGE;
    write_at(&fixture, 6 * PAGE, 20 * PAGE); /* the oldest: what is in flight */
    write_at(&fixture, n_pages / 2 * PAGE, PAGE);

    guint n_answers = fixture.n_answers;
    g_assert_true(fixture_put(&fixture, "a1", SPOKE_DURABILITY_SYNCED, NULL));
    guint n_wanted = 0;
    while (fixture.n_corrupt == 0) { /* reads on until it meets the damage */
        SpokeMessage *messages[64];
        guint n = spoke_outbox_take(fixture.outbox, messages, G_N_ELEMENTS(messages));
        for (guint i = 0; i < n; i++)
            spoke_outbox_settle(fixture.outbox, messages[i], SPOKE_OUTCOME_ACCEPTED, "");
        n_wanted += n;
        if (n == 0)
            g_main_context_iteration(NULL, TRUE);
    }
    spoke_outbox_give_back(fixture.outbox, (SpokeMessage **)in_flight->pdata, in_flight->len);
    fixture_settle_down(&fixture);
    fixture_crash(&fixture);

    g_assert_cmpuint(fixture.n_answers, ==, n_answers + 1);
    g_autoptr(GPtrArray) first = fixture_take(&fixture, 10);
    g_autofree char *names = fixture_names(first);
    g_assert_true(g_str_has_prefix(names, "a0 ")); /* it was in flight, its page destroyed */
    spoke_outbox_give_back(fixture.outbox, (SpokeMessage **)first->pdata, first->len);
    g_assert_cmpuint(fixture.n_corrupt, ==, 1);
    g_assert_cmpuint(fixture.n_failed, ==, 0);
}

static void
test_odd_rows_are_left_out(void)
{
    static const char *const oddities[] = {
        "UPDATE outbox SET properties=x'6162' WHERE body='a2'",     /* no NUL */
        "UPDATE outbox SET properties=x'ff00ff00' WHERE body='a3'", /* no UTF-8 */
        "UPDATE outbox SET system=7 WHERE body='a4'",               /* no blob */
        "UPDATE outbox SET app=x'00', notify=1.5 WHERE body='a5'",  /* no text */
        "UPDATE outbox SET body=zeroblob(9000000) WHERE body='a6'", /* far too large */
        "UPDATE outbox SET app=printf('%.*c', 5000, 'x') WHERE body='a7'",
    };
    g_auto(Fixture) fixture;
    fixture_init(&fixture);
    fixture_open(&fixture);
    fixture_put_all(&fixture, "a1 a2 a3 a4 a5 a6 a7 a8");
    fixture_close(&fixture);
    run_sql(&fixture, "UPDATE outbox SET body=CAST(body AS TEXT)");
    for (guint i = 0; i < G_N_ELEMENTS(oddities); i++)
        run_sql(&fixture, oddities[i]);
    run_sql(&fixture, "UPDATE outbox SET body=CAST(body AS BLOB)");

    fixture_open(&fixture);
    g_autofree char *names = fixture_send(&fixture, 2);
    fixture_settle_down(&fixture);

    g_assert_cmpstr(names, ==, "a1 a8");
    g_assert_cmpuint(fixture.n_failed, ==, G_N_ELEMENTS(oddities));
    g_assert_nonnull(strstr(fixture.failure, "makes no sense"));
    g_assert_cmpuint(spoke_outbox_get_messages(fixture.outbox), ==, 0);
    g_assert_cmpuint(spoke_outbox_get_bytes(fixture.outbox), ==, 0);
    fixture_reopen(&fixture);
    g_assert_cmpuint(spoke_outbox_get_messages(fixture.outbox), ==, 0);
    g_assert_cmpuint(fixture.n_corrupt, ==, 0);
}

static void
test_tallies_that_lie_are_counted_anew(void)
{
    g_auto(Fixture) fixture;
    fixture_init(&fixture);
    fixture_open(&fixture);
    fixture_put_all(&fixture, "a1 a2");
    guint64 bytes = spoke_outbox_get_bytes(fixture.outbox);
    fixture_close(&fixture);
    run_sql(&fixture, "UPDATE identities SET normal_messages=0, normal_bytes=0");

    fixture_open(&fixture);

    g_assert_cmpuint(spoke_outbox_get_messages(fixture.outbox), ==, 2);
    g_assert_cmpuint(spoke_outbox_get_bytes(fixture.outbox), ==, bytes);
}

/* Whatever is done to it, it opens, and all that is counted comes out or is given up. */
static void
test_random_damage_is_survived(void)
{
    for (guint round = 0; round < 30; round++) {
        g_auto(Fixture) fixture;
        fixture_init(&fixture);
        fixture_open(&fixture);
        put_long(&fixture, 'a', 0, 299);
        fixture_close(&fixture);
        gint size = (gint)file_size(&fixture);
        for (gint i = g_test_rand_int_range(1, 6); i > 0; i--)
            write_at(&fixture, g_test_rand_int_range(0, size),
                     (gsize)1 << g_test_rand_int_range(0, 14));

        fixture_open(&fixture);
        guint deadline = g_timeout_add_seconds(20, on_deadline, NULL);
        while (spoke_outbox_get_messages(fixture.outbox) > 0) {
            SpokeMessage *messages[64];
            guint n = spoke_outbox_take(fixture.outbox, messages, G_N_ELEMENTS(messages));
            for (guint i = 0; i < n; i++)
                spoke_outbox_settle(fixture.outbox, messages[i], SPOKE_OUTCOME_ACCEPTED, "");
            if (n == 0)
                g_main_context_iteration(NULL, TRUE);
        }
        g_source_remove(deadline);
        put_long(&fixture, 'b', 0, 0);
    }
}

static void
count_row(SpokeMessage *message, gint64 received_usec, guint delivery_count, SpokeDeadReason dead,
          gpointer user_data)
{
    guint *n_rows = user_data;

    g_assert_cmpint(received_usec, ==, 12345);
    (*n_rows)++;
}

static void
test_inbox_is_saved_too(void)
{
    g_auto(Fixture) fixture;
    guint n_rows = 0;
    fixture_init(&fixture);
    fixture_open(&fixture);
    fixture_put_all(&fixture, "a1");
    SpokeInbox *inbox = spoke_inbox_open(fixture.spool, "self", NULL);
    for (guint i = 0; i < 40; i++) {
        g_autoptr(SpokeMessage) message = fixture_message("c2d", SPOKE_DURABILITY_SYNCED);
        spoke_inbox_put(inbox, message, 12345, NULL, NULL);
    }
    fixture_settle_down(&fixture);
    spoke_inbox_free(inbox);
    fixture_close(&fixture);
    write_at(&fixture, 0, 100);

    fixture_open(&fixture);
    fixture_wait(&fixture, is_reported);
    g_autoptr(SpokeInbox) saved = spoke_inbox_open(fixture.spool, "self", NULL);
    g_assert_true(spoke_inbox_load(saved, count_row, &n_rows, NULL));

    g_assert_cmpuint(n_rows, ==, 40);
    g_assert_cmpuint(fixture.saved, ==, 41);
    g_assert_cmpuint(fixture.lost, ==, 0);
}

/* As when the start fails for another reason before the main loop runs. */
static void
test_set_aside_is_told_of_at_the_latest_when_closed(void)
{
    g_auto(Fixture) fixture;
    fixture_init(&fixture);
    fixture_open(&fixture);
    fixture_put_all(&fixture, "a1");
    fixture_close(&fixture);
    write_at(&fixture, 0, 100);

    fixture_open(&fixture);
    fixture_close(&fixture);

    g_assert_cmpuint(fixture.n_corrupt, ==, 1);
    g_assert_cmpuint(fixture.saved, ==, 1);
    g_assert_nonnull(fixture.set_aside);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/store-recover/set-aside/is-told-of-at-the-latest-when-closed",
                    test_set_aside_is_told_of_at_the_latest_when_closed);
    g_test_add_func("/store-recover/truncated/keeps-what-is-left",
                    test_truncated_keeps_what_is_left);
    g_test_add_func("/store-recover/truncated/within-page",
                    test_cut_within_page_keeps_what_is_left);
    g_test_add_func("/store-recover/truncated/emptied-starts-anew", test_emptied_starts_anew);
    g_test_add_func("/store-recover/garbage/format-loses-nothing",
                    test_garbage_format_loses_nothing);
    g_test_add_func("/store-recover/garbage/schema-version-loses-nothing",
                    test_garbage_schema_version_loses_nothing);
    g_test_add_func("/store-recover/garbage/header-loses-nothing",
                    test_garbage_header_loses_nothing);
    g_test_add_func("/store-recover/garbage/first-page-loses-nothing",
                    test_garbage_first_page_loses_nothing);
    g_test_add_func("/store-recover/garbage/first-page-after-shrinking",
                    test_garbage_first_page_after_shrinking);
    g_test_add_func("/store-recover/garbage/other-file-is-set-aside", test_other_file_is_set_aside);
    g_test_add_func("/store-recover/garbage/tables-of-names-and-ids",
                    test_lost_tables_of_names_and_ids);
    g_test_add_func("/store-recover/lost-tree/is-found-by-its-leaves",
                    test_lost_tree_is_found_by_its_leaves);
    g_test_add_func("/store-recover/lost-tree/brings-nothing-back",
                    test_lost_tree_brings_nothing_back);
    g_test_add_func("/store-recover/lost-tree/of-large-messages", test_lost_tree_of_large_messages);
    g_test_add_func("/store-recover/garbage/pages-lose-only-themselves",
                    test_overwritten_pages_lose_only_themselves);
    g_test_add_func("/store-recover/lost-tree/that-leads-back-comes-to-an-end",
                    test_tree_that_leads_back_comes_to_an_end);
    g_test_add_func("/store-recover/random-damage/is-survived", test_random_damage_is_survived);
    g_test_add_func("/store-recover/running/keeps-what-is-in-memory",
                    test_damage_while_running_keeps_what_is_in_memory);
    g_test_add_func("/store-recover/odd-rows/are-left-out", test_odd_rows_are_left_out);
    g_test_add_func("/store-recover/tallies/that-lie-are-counted-anew",
                    test_tallies_that_lie_are_counted_anew);
    g_test_add_func("/store-recover/inbox/is-saved-too", test_inbox_is_saved_too);
    return g_test_run();
}
