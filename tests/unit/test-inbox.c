/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "spool-fixture.h"

#include "daemon/error.h"
#include "daemon/inbox.h"
#include "daemon/properties.h"

/* Rows of the inbox: there when done() says so, with all they had, until they are removed. */

typedef struct {
    Fixture spool;
    SpokeInbox *inbox; /* owned */
    guint n_done;
    int code;      /* of the last error; -1: none */
    GString *rows; /* owned; what load() found: "body/count/dead " */
    GArray *ids;   /* owned, of guint64: of those rows */
} InboxFixture;

static void
inbox_fixture_open(InboxFixture *fixture)
{
    g_autoptr(GError) error = NULL;

    fixture_open(&fixture->spool);
    fixture->inbox = spoke_inbox_open(fixture->spool.spool, "self", &error);
    g_assert_no_error(error);
}

static void
inbox_fixture_init(InboxFixture *fixture)
{
    *fixture = (InboxFixture){
        .code = -1, .rows = g_string_new(NULL), .ids = g_array_new(FALSE, FALSE, sizeof(guint64))};
    fixture_init(&fixture->spool);
    inbox_fixture_open(fixture);
}

static void
inbox_fixture_clear(InboxFixture *fixture)
{
    g_clear_pointer(&fixture->inbox, spoke_inbox_free);
    fixture_clear(&fixture->spool);
    g_string_free(fixture->rows, TRUE);
    g_array_unref(fixture->ids);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(InboxFixture, inbox_fixture_clear)

static void
on_done(const GError *error, gpointer user_data)
{
    InboxFixture *fixture = user_data;

    fixture->n_done++;
    fixture->code = error != NULL ? error->code : -1;
}

static void
on_row(SpokeMessage *message, gint64 received_usec, guint delivery_count, SpokeDeadReason dead,
       gpointer user_data)
{
    InboxFixture *fixture = user_data;

    g_string_append_len(fixture->rows, spoke_message_body(message), (gssize)message->body_size);
    g_string_append_printf(fixture->rows, "/%u/%u ", delivery_count, dead);
    g_array_append_val(fixture->ids, message->id);
}

static void
load(InboxFixture *fixture)
{
    g_autoptr(GError) error = NULL;

    g_string_truncate(fixture->rows, 0);
    g_array_set_size(fixture->ids, 0);
    (void)spoke_inbox_load(fixture->inbox, on_row, fixture, &error);
    g_assert_no_error(error);
}

static void
reload(InboxFixture *fixture)
{
    g_clear_pointer(&fixture->inbox, spoke_inbox_free);
    fixture_close(&fixture->spool);
    inbox_fixture_open(fixture);
    load(fixture);
}

/* Returns its id. */
static guint64
put(InboxFixture *fixture, const char *body)
{
    g_autoptr(SpokeMessage) message = fixture_message(body, SPOKE_DURABILITY_SYNCED);
    guint n_done = fixture->n_done;

    spoke_inbox_put(fixture->inbox, message, 4711, on_done, fixture);
    g_assert_cmpuint(message->id, >, 0);
    g_assert_cmpuint(fixture->n_done, ==, n_done);
    while (fixture->n_done == n_done)
        g_main_context_iteration(NULL, TRUE);
    g_assert_cmpint(fixture->code, ==, -1);
    return message->id;
}

static void
test_put_is_there_after_restart(void)
{
    g_auto(InboxFixture) fixture;
    inbox_fixture_init(&fixture);
    guint64 id = put(&fixture, "one");
    put(&fixture, "two");

    reload(&fixture);

    g_assert_cmpstr(fixture.rows->str, ==, "one/0/0 two/0/0 ");
    g_assert_cmpuint(g_array_index(fixture.ids, guint64, 0), ==, id);
}

static void
check_contents(SpokeMessage *message, gint64 received_usec, guint delivery_count,
               SpokeDeadReason dead, gpointer user_data)
{
    gboolean *is_checked = user_data;

    g_assert_cmpint(received_usec, ==, 99);
    g_assert_cmpstr(spoke_message_lookup_system(message, SPOKE_PROPERTY_MESSAGE_ID), ==, "m1");
    g_assert_cmpstr(spoke_properties_lookup(spoke_message_properties(message),
                                            message->properties_size, "room"),
                    ==, "kitchen");
    g_assert_cmpmem(spoke_message_body(message), message->body_size, "\0\1\2", 3);
    *is_checked = TRUE;
}

static void
test_put_keeps_all_contents(void)
{
    g_auto(InboxFixture) fixture;
    gboolean is_checked = FALSE;
    inbox_fixture_init(&fixture);
    g_autoptr(SpokeMessage) message =
        spoke_message_new("message-id\0m1", 14, "room\0kitchen", 13, "\0\1\2", 3);
    spoke_inbox_put(fixture.inbox, message, 99, NULL, NULL);

    g_clear_pointer(&fixture.inbox, spoke_inbox_free);
    fixture_close(&fixture.spool);
    inbox_fixture_open(&fixture);
    g_assert_true(spoke_inbox_load(fixture.inbox, check_contents, &is_checked, NULL));

    g_assert_true(is_checked);
}

static void
test_load_reads_many_in_order(void)
{
    g_auto(InboxFixture) fixture;
    inbox_fixture_init(&fixture);
    for (guint i = 0; i < 100; i++)
        put(&fixture, "x");

    reload(&fixture);

    g_assert_cmpuint(fixture.ids->len, ==, 100);
    for (guint i = 1; i < 100; i++)
        g_assert_cmpuint(g_array_index(fixture.ids, guint64, i), >,
                         g_array_index(fixture.ids, guint64, i - 1));
}

static void
test_update_is_on_disk(void)
{
    g_auto(InboxFixture) fixture;
    inbox_fixture_init(&fixture);
    guint64 id = put(&fixture, "one");

    spoke_inbox_update(fixture.inbox, id, 3, SPOKE_DEAD_REJECTED, on_done, &fixture);
    while (fixture.n_done < 2)
        g_main_context_iteration(NULL, TRUE);
    reload(&fixture);

    g_assert_cmpint(fixture.code, ==, -1);
    g_assert_cmpstr(fixture.rows->str, ==, "one/3/1 ");
}

static void
test_remove_is_on_disk(void)
{
    g_auto(InboxFixture) fixture;
    inbox_fixture_init(&fixture);
    guint64 id = put(&fixture, "one");
    put(&fixture, "two");

    spoke_inbox_remove(fixture.inbox, id, on_done, &fixture);
    while (fixture.n_done < 3)
        g_main_context_iteration(NULL, TRUE);
    reload(&fixture);

    g_assert_cmpint(fixture.code, ==, -1);
    g_assert_cmpstr(fixture.rows->str, ==, "two/0/0 ");
}

static void
test_outbox_is_apart(void)
{
    g_auto(InboxFixture) fixture;
    inbox_fixture_init(&fixture);
    put(&fixture, "down");

    fixture_put_all(&fixture.spool, "a1");
    reload(&fixture);

    g_assert_cmpstr(fixture.rows->str, ==, "down/0/0 ");
    g_assert_cmpuint(spoke_outbox_get_messages(fixture.spool.outbox), ==, 1);
    g_autofree char *names = fixture_send(&fixture.spool, 1);
    g_assert_cmpstr(names, ==, "a1");
}

static void
test_free_cancels_pending(void)
{
    g_auto(InboxFixture) fixture;
    inbox_fixture_init(&fixture);
    g_autoptr(SpokeMessage) message = fixture_message("one", SPOKE_DURABILITY_SYNCED);
    spoke_inbox_put(fixture.inbox, message, 1, on_done, &fixture);

    g_clear_pointer(&fixture.inbox, spoke_inbox_free);
    fixture_settle_down(&fixture.spool);

    g_assert_cmpuint(fixture.n_done, ==, 1);
    g_assert_cmpint(fixture.code, ==, SPOKE_ERROR_CANCELLED);
}

static void
test_odd_rows_are_removed(void)
{
    g_auto(InboxFixture) fixture;
    sqlite3 *db = NULL;
    inbox_fixture_init(&fixture);
    put(&fixture, "one");
    put(&fixture, "two");
    g_clear_pointer(&fixture.inbox, spoke_inbox_free);
    fixture_close(&fixture.spool);
    g_autofree char *path = fixture_path(&fixture.spool, "spool.db");
    g_assert_cmpint(sqlite3_open(path, &db), ==, SQLITE_OK);
    g_assert_cmpint(sqlite3_exec(db,
                                 "UPDATE inbox SET system=x'ff' WHERE place="
                                 "(SELECT min(place) FROM inbox)",
                                 NULL, NULL, NULL),
                    ==, SQLITE_OK);
    g_assert_cmpint(sqlite3_close(db), ==, SQLITE_OK);

    inbox_fixture_open(&fixture);
    load(&fixture);
    g_assert_cmpstr(fixture.rows->str, ==, "two/0/0 ");
    g_assert_cmpuint(fixture.spool.n_failed, ==, 1);
    reload(&fixture);

    g_assert_cmpuint(fixture.spool.n_failed, ==, 1);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/inbox/put/is-there-after-restart", test_put_is_there_after_restart);
    g_test_add_func("/inbox/put/keeps-all-contents", test_put_keeps_all_contents);
    g_test_add_func("/inbox/load/reads-many-in-order", test_load_reads_many_in_order);
    g_test_add_func("/inbox/update/is-on-disk", test_update_is_on_disk);
    g_test_add_func("/inbox/remove/is-on-disk", test_remove_is_on_disk);
    g_test_add_func("/inbox/outbox/is-apart", test_outbox_is_apart);
    g_test_add_func("/inbox/free/cancels-pending", test_free_cancels_pending);
    g_test_add_func("/inbox/odd-rows/are-removed", test_odd_rows_are_removed);
    return g_test_run();
}
