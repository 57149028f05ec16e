/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "spool-fixture.h"

#include "daemon/inbox.h"

#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

/*
 * Damage to the log of a spool that was killed. A history of puts and acknowledgements is lived
 * through once and kept as the two files it left; each test puts them back, changes some bytes and
 * starts anew.
 */
#define PAGE       4096
#define HEADER     32
#define FRAME_HEAD 24
#define FRAME      (FRAME_HEAD + PAGE)
#define BODY       1000 /* bytes: three or four to a page, or */
#define LARGE_BODY 6000 /* more than a page */
#define CELL_HEAD  80   /* so much of a row lies before its body, at most */
#define PAGE_HEAD  40   /* and of a page before its rows */
#define SEED       20240229

#define ACKNOWLEDGED_USEC (200 * 1000) /* more than they wait to be written together */

typedef struct {
    Fixture fixture;
    char *db;  /* owned */
    char *wal; /* owned */
    gsize db_size;
    gsize wal_size;
    gsize body_size;
    GPtrArray *alive; /* owned, of char *: accepted and not acknowledged, in order */

    /* Results of a start */
    GHashTable *found; /* owned; of char * */
    guint n_lost;      /* of those alive, not hit themselves */
    guint n_hit;       /* of those that are lost, hit themselves */
} History;

/* Where the damage is in the log. */
typedef struct {
    gsize from;
    gsize upto;
} Span;

/* The name over and over. */
static char *
body_of(const History *history, const char *name)
{
    GString *body = g_string_new(NULL);

    while (body->len < history->body_size)
        g_string_append_printf(body, "%s ", name);
    g_string_truncate(body, history->body_size);
    return g_string_free(body, FALSE);
}

static void
put_one(History *history, const char *name)
{
    Fixture *fixture = &history->fixture;
    g_autofree char *body = body_of(history, name);
    guint n = fixture->n_answers;

    g_assert_true(fixture_put(fixture, body, SPOKE_DURABILITY_SYNCED, NULL));
    while (fixture->n_answers == n)
        g_main_context_iteration(NULL, TRUE);
    g_ptr_array_add(history->alive, g_strdup(name));
}

/* Each in a transaction of its own. */
static void
put_many(History *history, guint first, guint last)
{
    for (guint i = first; i <= last; i++) {
        g_autofree char *name = g_strdup_printf("a%u", i);
        put_one(history, name);
    }
}

/* In one transaction, and not to be counted on. */
static void
put_at_once(History *history, guint n)
{
    Fixture *fixture = &history->fixture;
    g_autoptr(GPtrArray) messages =
        g_ptr_array_new_with_free_func((GDestroyNotify)spoke_message_unref);

    for (guint i = 0; i < n; i++) {
        g_autofree char *body = body_of(history, "c");
        g_ptr_array_add(messages, fixture_message(body, SPOKE_DURABILITY_SYNCED));
    }
    g_assert_true(
        spoke_outbox_put(fixture->outbox, (SpokeMessage **)messages->pdata, n, NULL, NULL, NULL));
    fixture_settle_down(fixture);
}

static void
acknowledge(History *history, guint n)
{
    g_autofree char *bodies = fixture_send(&history->fixture, n);

    g_assert_nonnull(bodies);
    fixture_run_for(ACKNOWLEDGED_USEC);
    g_ptr_array_remove_range(history->alive, 0, n);
}

/* Not synced, as g_file_set_contents() would have it. */
static void
write_file(History *history, const char *name, const char *contents, gsize size)
{
    g_autofree char *path = fixture_path(&history->fixture, name);

    (void)g_unlink(path); /* which would not be cut off */
    g_assert_true(g_file_set_contents_full(path, contents, (gssize)size, G_FILE_SET_CONTENTS_NONE,
                                           0600, NULL));
}

static void
write_files(History *history, const char *wal, gsize wal_size)
{
    static const char *const rest[] = {
        "spool.db.corrupt-1", "spool.db.corrupt-1-wal", "spool.db.new",
        "spool.db.view",      "spool.db.view-wal",
    };
    Fixture *fixture = &history->fixture;

    fixture_close(fixture);
    for (guint i = 0; i < G_N_ELEMENTS(rest); i++) {
        g_autofree char *path = fixture_path(fixture, rest[i]);
        (void)g_unlink(path);
    }
    write_file(history, "spool.db", history->db, history->db_size);
    write_file(history, "spool.db-wal", wal, wal_size);
}

/* Keeps the files as they are now. */
static void
keep(History *history)
{
    g_autofree char *db_path = fixture_path(&history->fixture, "spool.db");
    g_autofree char *wal_path = fixture_path(&history->fixture, "spool.db-wal");

    g_clear_pointer(&history->db, g_free);
    g_clear_pointer(&history->wal, g_free);
    g_assert_true(g_file_get_contents(db_path, &history->db, &history->db_size, NULL));
    g_assert_true(g_file_get_contents(wal_path, &history->wal, &history->wal_size, NULL));
    g_assert_cmpuint((history->wal_size - HEADER) % FRAME, ==, 0);
}

/* What SQLite by itself makes of the files. */
static guint
count_by_sqlite(History *history)
{
    g_autofree char *path = fixture_path(&history->fixture, "spool.db");
    sqlite3_stmt *row = NULL;
    sqlite3 *db = NULL;

    g_assert_cmpint(sqlite3_open(path, &db), ==, SQLITE_OK);
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    g_assert_cmpint(sqlite3_prepare_v2(db, "SELECT count(*) FROM outbox", -1, &row, NULL), ==,
                    SQLITE_OK);
    g_assert_cmpint(sqlite3_step(row), ==, SQLITE_ROW);
    guint n = (guint)sqlite3_column_int(row, 0);
    sqlite3_finalize(row);
    g_assert_cmpint(sqlite3_close(db), ==, SQLITE_OK);
    g_autofree char *shm = fixture_path(&history->fixture, "spool.db-shm");
    (void)g_unlink(shm);
    return n;
}

static void
history_init(History *history, gsize body_size)
{
    *history = (History){.body_size = body_size,
                         .alive = g_ptr_array_new_with_free_func(g_free),
                         .found = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL)};
    fixture_init(&history->fixture);
    fixture_open(&history->fixture);
}

/* Some of it in the file, the rest in the log: 60 are alive, the last one came last. */
static void
live_through(History *history)
{
    put_many(history, 0, 29);
    fixture_reopen(&history->fixture);
    put_many(history, 30, 59);
    for (guint i = 0; i < 4; i++) {
        acknowledge(history, 5);
        put_many(history, 60 + 5 * i, 64 + 5 * i);
    }
    fixture_settle_down(&history->fixture);
    keep(history);
}

static gpointer
copy_name(gconstpointer name, gpointer user_data)
{
    return g_strdup(name);
}

static void
history_clear(History *history)
{
    fixture_clear(&history->fixture);
    g_free(history->db);
    g_free(history->wal);
    g_ptr_array_unref(history->alive);
    g_hash_table_unref(history->found);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(History, history_clear)

/* A copy of what was lived through once. */
static void
make_history(History *history, gsize body_size)
{
    static History lived[2]; /* with messages that fit into a page, and others */
    History *one = &lived[body_size > PAGE ? 1 : 0];
    if (one->db == NULL) {
        history_init(one, body_size);
        live_through(one);
        fixture_clear(&one->fixture);
    }

    history_init(history, body_size);
    history->db = g_memdup2(one->db, one->db_size);
    history->wal = g_memdup2(one->wal, one->wal_size);
    history->db_size = one->db_size;
    history->wal_size = one->wal_size;
    g_ptr_array_extend(history->alive, one->alive, copy_name, NULL);
    write_files(history, history->wal, history->wal_size);
    g_assert_cmpuint(count_by_sqlite(history), ==, history->alive->len);
}

/* One that was hit may come back, but doesn't count. */
static void
note_found(History *history, const SpokeMessage *message)
{
    const char *body = spoke_message_body(message);
    g_autofree char *name = g_strndup(body, MIN(message->body_size, 8));
    name[strcspn(name, " ")] = '\0';
    g_autofree char *wanted = body_of(history, name);

    if (message->body_size == history->body_size && memcmp(body, wanted, history->body_size) == 0)
        g_hash_table_add(history->found, g_steal_pointer(&name));
}

static void
take_all(History *history)
{
    SpokeOutbox *outbox = history->fixture.outbox;

    g_hash_table_remove_all(history->found);
    while (spoke_outbox_get_messages(outbox) > 0) {
        SpokeMessage *messages[64];
        guint n = spoke_outbox_take(outbox, messages, G_N_ELEMENTS(messages));
        for (guint i = 0; i < n; i++) {
            note_found(history, messages[i]);
            spoke_outbox_settle(outbox, messages[i], SPOKE_OUTCOME_ACCEPTED, "");
        }
        if (n == 0)
            g_main_context_iteration(NULL, TRUE);
    }
}

static gboolean
meets(const Span *span, gsize from, gsize upto)
{
    return span->from < upto && from < span->upto;
}

/* Whether the damage hit the row's newest image, or what says where on the page it is. */
static gboolean
is_hit_on_page(const History *history, const char *name, const Span *span)
{
    g_autofree char *body = body_of(history, name);
    const char *newest = NULL;
    const char *end = history->wal + history->wal_size;

    for (const char *at = history->wal; at != NULL; at = memmem(at, (gsize)(end - at), body, BODY))
        newest = at++;
    if (newest == history->wal)
        return FALSE; /* it is in the file */
    gsize from = (gsize)(newest - history->wal);
    gsize page = (from - HEADER) / FRAME * FRAME + HEADER + FRAME_HEAD;
    return meets(span, from - CELL_HEAD, from + BODY) || meets(span, page, page + PAGE_HEAD);
}

/* Whether the damage hit a frame that has some of the row. */
static gboolean
is_hit_anywhere(const History *history, const char *name, const Span *span)
{
    g_autofree char *part = g_strdup_printf(" %s %s ", name, name);

    for (gsize from = HEADER; from < history->wal_size; from += FRAME) {
        if (meets(span, from, from + FRAME) &&
            memmem(history->wal + from, FRAME, part, strlen(part)) != NULL)
            return TRUE;
    }
    return FALSE;
}

static gboolean
is_hit(const History *history, const char *name, const Span *span)
{
    return history->body_size > PAGE ? is_hit_anywhere(history, name, span)
                                     : is_hit_on_page(history, name, span);
}

/* A transaction that was the last and whose end was hit is like one that a crash cut off. */
static gboolean
is_cut_off(const History *history, const char *name, const Span *span)
{
    return strcmp(name, history->alive->pdata[history->alive->len - 1]) == 0 &&
           meets(span, history->wal_size - FRAME, history->wal_size);
}

/* Starts with the files as they are and counts what is missing. */
static void
start(History *history, const Span *span)
{
    history->fixture.n_corrupt = 0;
    history->n_lost = history->n_hit = 0;
    fixture_open(&history->fixture);
    take_all(history);
    fixture_settle_down(&history->fixture);
    for (guint i = 0; i < history->alive->len; i++) {
        const char *name = history->alive->pdata[i];
        if (g_hash_table_contains(history->found, name))
            continue;
        if (is_hit(history, name, span) || is_cut_off(history, name, span))
            history->n_hit++;
        else
            history->n_lost++;
    }
}

/* Starts after @span of the log was overwritten. */
static void
start_with_noise(History *history, GRand *rand, const Span *span)
{
    g_autofree char *wal = g_memdup2(history->wal, history->wal_size);

    for (gsize i = span->from; i < span->upto; i++)
        wal[i] = (char)g_rand_int(rand);
    write_files(history, wal, history->wal_size);
    start(history, span);
}

static void
start_with_flip(History *history, gsize offset)
{
    const Span span = {offset, offset + 1};
    g_autofree char *wal = g_memdup2(history->wal, history->wal_size);

    wal[offset] ^= 0x10;
    write_files(history, wal, history->wal_size);
    start(history, &span);
}

static gsize
offset_of(guint frame)
{
    return HEADER + (gsize)frame * FRAME;
}

static guint
count_frames(const History *history)
{
    return (guint)((history->wal_size - HEADER) / FRAME);
}

/* As SQLite would have it, and without a word. */
static void
assert_silent(History *history, const char *wal, gsize wal_size)
{
    const Span nowhere = {0};
    write_files(history, wal, wal_size);
    guint n = count_by_sqlite(history);

    write_files(history, wal, wal_size);
    start(history, &nowhere);

    g_assert_cmpuint(history->fixture.n_corrupt, ==, 0);
    g_assert_cmpuint(g_hash_table_size(history->found), ==, n);
}

static void
test_torn_cut_is_silent(void)
{
    g_auto(History) history;
    make_history(&history, BODY);

    for (gsize cut = 0; cut <= 3 * FRAME; cut += 512)
        assert_silent(&history, history.wal, history.wal_size - cut);
    for (gsize size = 0; size <= HEADER + FRAME; size += 512)
        assert_silent(&history, history.wal, size);
}

/* The log is written over its last use, and a crash stops that anywhere. */
static void
test_torn_over_older_is_silent(void)
{
    g_auto(History) history;
    history_init(&history, BODY);
    put_many(&history, 0, 39);
    fixture_settle_down(&history.fixture);
    keep(&history);
    g_autofree char *older = g_memdup2(history.wal, history.wal_size);
    gsize older_size = history.wal_size;
    fixture_reopen(&history.fixture);
    put_many(&history, 40, 49);
    fixture_settle_down(&history.fixture);
    keep(&history);
    g_assert_cmpuint(older_size, >, history.wal_size);

    for (gsize cut = 0; cut <= 3 * FRAME; cut += 512) {
        g_autofree char *wal = g_memdup2(older, older_size);
        memcpy(wal, history.wal, history.wal_size - cut);
        assert_silent(&history, wal, older_size);
    }
}

/* Zeros: what a file system shows where data never came. */
static void
test_torn_zeros_are_silent(void)
{
    g_auto(History) history;
    make_history(&history, BODY);

    for (gsize cut = 512; cut <= FRAME; cut += 512) {
        g_autofree char *wal = g_memdup2(history.wal, history.wal_size);
        memset(wal + history.wal_size - cut, 0, cut);
        assert_silent(&history, wal, history.wal_size);
    }
}

/* A power cut may keep the end of the last transaction and not its beginning. It is told of as
 * damage, and nothing is missing that SQLite would have. */
static void
test_torn_out_of_order_keeps_all(void)
{
    g_auto(History) history;
    make_history(&history, BODY);
    g_autofree char *wal = g_memdup2(history.wal, history.wal_size);
    const Span span = {offset_of(count_frames(&history) - 2),
                       offset_of(count_frames(&history) - 1)};
    memset(wal + span.from, 0, FRAME);
    write_files(&history, wal, history.wal_size);
    guint n = count_by_sqlite(&history);

    write_files(&history, wal, history.wal_size);
    start(&history, &span);

    g_assert_cmpuint(g_hash_table_size(history.found), >=, n);
    g_assert_cmpuint(history.n_lost, ==, 0);
}

/* A commit whose sync failed was rolled back and written over by a shorter one. Its rest is still
 * there, with the log's salts: like damage to look at, but it must not hide what came after it. */
static void
test_torn_rest_of_failed_commit_hides_nothing(void)
{
    g_auto(History) history;
    const Span nowhere = {0};
    make_history(&history, BODY);
    write_files(&history, history.wal, history.wal_size);
    fixture_open(&history.fixture);
    put_at_once(&history, 30);
    g_autofree char *path = fixture_path(&history.fixture, "spool.db-wal");
    g_autofree char *failed = NULL;
    gsize failed_size = 0;
    g_assert_true(g_file_get_contents(path, &failed, &failed_size, NULL));
    write_files(&history, history.wal, history.wal_size);
    fixture_open(&history.fixture);
    put_many(&history, 80, 81);
    fixture_settle_down(&history.fixture);
    keep(&history);
    g_assert_cmpuint(failed_size, >, history.wal_size);

    memcpy(failed, history.wal, history.wal_size);
    write_files(&history, failed, failed_size);
    start(&history, &nowhere);

    g_assert_cmpuint(history.n_lost, ==, 0);
}

static void
test_flip_in_middle_loses_nothing(void)
{
    g_auto(History) history;
    make_history(&history, BODY);

    start_with_flip(&history, offset_of(count_frames(&history) / 3) + 2000);

    g_assert_cmpuint(history.fixture.n_corrupt, ==, 1);
    g_assert_true(g_file_test(history.fixture.set_aside, G_FILE_TEST_EXISTS));
    g_autofree char *log = g_strconcat(history.fixture.set_aside, "-wal", NULL);
    g_assert_true(g_file_test(log, G_FILE_TEST_EXISTS));
    g_assert_cmpuint(history.n_lost, ==, 0);
    g_assert_cmpuint(history.fixture.lost, ==, 0);
}

/* Each field of the log's header, and of a frame's. */
static void
test_flip_in_heads_loses_nothing(void)
{
    g_auto(History) history;
    make_history(&history, BODY);

    for (gsize i = 0; i < HEADER; i += 4) {
        start_with_flip(&history, i);
        g_assert_cmpuint(history.fixture.n_corrupt, ==, 1);
        g_assert_cmpuint(history.n_lost + history.n_hit, ==, 0);
    }
    for (gsize i = 3; i < FRAME_HEAD; i += 4) {
        start_with_flip(&history, offset_of(count_frames(&history) - 8) + i);
        g_assert_cmpuint(history.fixture.n_corrupt, ==, 1);
        g_assert_cmpuint(history.n_lost + history.n_hit, ==, 0);
    }
}

/* Whatever an image was good for, later ones are whole: what was acknowledged stays so. */
static void
test_flip_in_replaced_image_brings_little_back(void)
{
    g_auto(History) history;
    make_history(&history, BODY);

    start_with_flip(&history, offset_of(2) + 3000);

    g_assert_cmpuint(history.fixture.n_corrupt, ==, 1);
    g_assert_cmpuint(history.n_lost, ==, 0);
    g_assert_cmpuint(g_hash_table_size(history.found), <=, history.alive->len + 4);
}

/* The log has been moved into the file, but is there still: the file has it all. */
static void
test_moved_into_file_loses_nothing(void)
{
    g_auto(History) history;
    g_autoptr(GRand) rand = g_rand_new_with_seed(SEED);
    sqlite3 *db = NULL;
    make_history(&history, BODY);
    write_files(&history, history.wal, history.wal_size);
    g_autofree char *path = fixture_path(&history.fixture, "spool.db");
    g_assert_cmpint(sqlite3_open(path, &db), ==, SQLITE_OK);
    g_assert_cmpint(sqlite3_exec(db, "PRAGMA wal_checkpoint", NULL, NULL, NULL), ==, SQLITE_OK);
    keep(&history);
    g_assert_cmpint(sqlite3_close(db), ==, SQLITE_OK);

    for (guint i = 0; i < 10; i++) {
        gsize from = (gsize)g_rand_int_range(rand, 0, (gint)(history.wal_size - 2 * FRAME));
        const Span span = {from, from + (gsize)g_rand_int_range(rand, 1, FRAME)};
        start_with_noise(&history, rand, &span);
        g_assert_cmpuint(history.n_lost + history.n_hit, ==, 0);
    }
}

static void
test_file_and_log_are_both_hit(void)
{
    g_auto(History) history;
    const Span nowhere = {0};
    make_history(&history, BODY);
    g_autofree char *wal = g_memdup2(history.wal, history.wal_size);
    wal[offset_of(count_frames(&history) / 2) + 100] ^= 1;
    memset(history.db, 0x55, PAGE);

    write_files(&history, wal, history.wal_size);
    start(&history, &nowhere);

    g_assert_cmpuint(history.fixture.n_corrupt, ==, 1);
    g_assert_cmpuint(history.n_lost, ==, 0);
}

/* Ids that were given out must not be given out again, be the number of the next one lost or not.
 */
static void
test_ids_go_on(void)
{
    g_auto(History) history;
    make_history(&history, BODY);
    const guint64 last_id = 80; /* of as many messages */
    const Span span = {HEADER, history.wal_size - FRAME};
    g_autoptr(GRand) rand = g_rand_new_with_seed(SEED);

    start_with_noise(&history, rand, &span);
    put_one(&history, "b1");

    g_assert_cmpuint(g_array_index(history.fixture.ids, guint64, history.fixture.ids->len - 1), >,
                     last_id);
}

static void
count_row(SpokeMessage *message, gint64 received_usec, guint delivery_count, SpokeDeadReason dead,
          gpointer user_data)
{
    guint *n_rows = user_data;

    g_assert_cmpuint(delivery_count, ==, 3);
    (*n_rows)++;
}

static void
test_inbox_is_saved_too(void)
{
    g_auto(History) history;
    const Span nowhere = {0};
    guint n_rows = 0;
    history_init(&history, BODY);
    put_many(&history, 0, 3);
    SpokeInbox *inbox = spoke_inbox_open(history.fixture.spool, "self", NULL);
    for (guint i = 0; i < 10; i++) {
        g_autoptr(SpokeMessage) message = fixture_message("c2d", SPOKE_DURABILITY_SYNCED);
        spoke_inbox_put(inbox, message, 12345, NULL, NULL);
        spoke_inbox_update(inbox, message->id, 3, 0, NULL, NULL);
    }
    fixture_settle_down(&history.fixture);
    spoke_inbox_free(inbox);
    put_many(&history, 4, 9);
    fixture_settle_down(&history.fixture);
    keep(&history);
    history.wal[offset_of(1) + 1000] ^= 1;

    write_files(&history, history.wal, history.wal_size);
    start(&history, &nowhere);
    g_autoptr(SpokeInbox) saved = spoke_inbox_open(history.fixture.spool, "self", NULL);
    g_assert_true(spoke_inbox_load(saved, count_row, &n_rows, NULL));

    g_assert_cmpuint(history.fixture.n_corrupt, ==, 1);
    g_assert_cmpuint(history.n_lost, ==, 0);
    g_assert_cmpuint(n_rows, ==, 10);
}

/* The power goes just when the damaged file is set aside and its log is not yet: that log must not
 * be taken for the new file's. */
static void
test_log_left_behind_is_set_aside(void)
{
    g_auto(History) history;
    const Span nowhere = {0};
    make_history(&history, BODY);
    g_autofree char *wal = g_memdup2(history.wal, history.wal_size);
    wal[offset_of(3) + 100] ^= 1;
    write_files(&history, wal, history.wal_size);
    fixture_open(&history.fixture);
    fixture_close(&history.fixture);
    g_autofree char *path = fixture_path(&history.fixture, "spool.db");
    g_autofree char *new_path = fixture_path(&history.fixture, "spool.db.new");
    g_autofree char *wal_path = fixture_path(&history.fixture, "spool.db-wal");
    g_autofree char *aside = fixture_path(&history.fixture, "spool.db.corrupt-1-wal");
    g_assert_cmpint(g_rename(path, new_path), ==, 0);
    g_assert_cmpint(g_rename(aside, wal_path), ==, 0);

    start(&history, &nowhere);

    g_assert_cmpuint(history.fixture.n_corrupt, ==, 0);
    g_assert_cmpuint(history.n_lost, ==, 0);
    g_assert_true(g_file_test(aside, G_FILE_TEST_EXISTS));
}

static void
assert_loses_only_what_is_hit(gsize body_size, guint n_rounds)
{
    g_auto(History) history;
    g_autoptr(GRand) rand = g_rand_new_with_seed(SEED);
    guint n_lost = 0;
    guint n_hit = 0;
    guint n_again = 0;
    guint n_told = 0;
    make_history(&history, body_size);

    for (guint round = 0; round < n_rounds; round++) {
        gsize from = (gsize)g_rand_int_range(rand, 0, (gint)history.wal_size);
        gsize size = (gsize)1 << g_rand_int_range(rand, 0, 15);
        const Span span = {from, MIN(from + size, history.wal_size)};
        start_with_noise(&history, rand, &span);
        if (history.n_lost > 0)
            g_test_message("Round %u: %u lost, %zu bytes at %zu", round, history.n_lost,
                           span.upto - span.from, span.from);
        n_lost += history.n_lost;
        n_hit += history.n_hit;
        n_told += history.fixture.n_corrupt;
        n_again +=
            g_hash_table_size(history.found) + history.n_lost + history.n_hit - history.alive->len;
    }

    g_test_message("%u damages, %u told of; of %u messages %u lost, and %u that were hit; %u again",
                   n_rounds, n_told, n_rounds * history.alive->len, n_lost, n_hit, n_again);
    g_assert_cmpuint(n_lost, ==, 0);
}

/* What is not hit itself comes back. With -m slow there are 150 damages. */
static void
test_random_damage_loses_only_what_it_hits(void)
{
    assert_loses_only_what_is_hit(BODY, g_test_slow() ? 150 : 30);
}

static void
test_random_damage_to_large_messages(void)
{
    assert_loses_only_what_is_hit(LARGE_BODY, g_test_slow() ? 150 : 15);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    /* A disk's time is not what is tested: hundreds of starts wait for it twenty times each. */
    if (g_access("/dev/shm", R_OK | W_OK | X_OK) == 0)
        g_setenv("TMPDIR", "/dev/shm", FALSE);
    g_test_add_func("/store-wal/torn/cut-is-silent", test_torn_cut_is_silent);
    g_test_add_func("/store-wal/torn/over-older-is-silent", test_torn_over_older_is_silent);
    g_test_add_func("/store-wal/torn/zeros-are-silent", test_torn_zeros_are_silent);
    g_test_add_func("/store-wal/torn/out-of-order-keeps-all", test_torn_out_of_order_keeps_all);
    g_test_add_func("/store-wal/torn/rest-of-failed-commit-hides-nothing",
                    test_torn_rest_of_failed_commit_hides_nothing);
    g_test_add_func("/store-wal/flip/in-middle-loses-nothing", test_flip_in_middle_loses_nothing);
    g_test_add_func("/store-wal/flip/in-heads-loses-nothing", test_flip_in_heads_loses_nothing);
    g_test_add_func("/store-wal/flip/in-replaced-image-brings-little-back",
                    test_flip_in_replaced_image_brings_little_back);
    g_test_add_func("/store-wal/moved-into-file/loses-nothing", test_moved_into_file_loses_nothing);
    g_test_add_func("/store-wal/both-hit/loses-nothing", test_file_and_log_are_both_hit);
    g_test_add_func("/store-wal/ids/go-on", test_ids_go_on);
    g_test_add_func("/store-wal/inbox/is-saved-too", test_inbox_is_saved_too);
    g_test_add_func("/store-wal/left-behind/is-set-aside", test_log_left_behind_is_set_aside);
    g_test_add_func("/store-wal/random-damage/loses-only-what-it-hits",
                    test_random_damage_loses_only_what_it_hits);
    g_test_add_func("/store-wal/random-damage/to-large-messages",
                    test_random_damage_to_large_messages);
    return g_test_run();
}
