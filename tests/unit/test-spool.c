/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "spool-fixture.h"

#include "daemon/error.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * Opening a spool, on what it finds there; and being killed. The program runs itself as the victim:
 * a child puts, sends and removes messages and says what it was told, until it is killed.
 */
#define ROUNDS       60
#define KILL_MSEC    25
#define CHILD_WINDOW 16

static const SpokeOutboxEvents no_events;

static SpokeSpool *
try_to_open(const char *directory, GError **error)
{
    SpokeSpoolOptions options = {.directory = directory, .flush_window_usec = G_USEC_PER_SEC};

    return spoke_spool_open(&options, error);
}

static void
test_open_gives_a_lasting_id(void)
{
    g_auto(Fixture) fixture;
    char message_id[SPOKE_SPOOL_MESSAGE_ID_SIZE];
    fixture_init(&fixture);
    fixture_open(&fixture);
    g_autofree char *id = g_strdup(spoke_spool_get_id(fixture.spool));

    fixture_reopen(&fixture);
    spoke_spool_format_message_id(fixture.spool, 42, message_id);

    g_assert_cmpuint(strlen(id), ==, 16);
    g_assert_cmpstr(spoke_spool_get_id(fixture.spool), ==, id);
    g_autofree char *expected = g_strdup_printf("%s-42", id);
    g_assert_cmpstr(message_id, ==, expected);
}

static void
test_open_keeps_the_file_private(void)
{
    g_auto(Fixture) fixture;
    struct stat status;
    fixture_init(&fixture);
    fixture_open(&fixture);

    g_autofree char *path = fixture_path(&fixture, "spool.db");
    g_assert_cmpint(stat(path, &status), ==, 0);

    g_assert_cmpuint(status.st_mode & 0777, ==, 0600);
}

static void
test_open_refuses_missing_directory(void)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(try_to_open("/nonexistent/spool", &error));

    g_assert_error(error, SPOKE_ERROR, SPOKE_ERROR_STORAGE_FAILED);
    g_assert_nonnull(strstr(error->message, "/nonexistent/spool"));
}

static void
test_open_refuses_read_only_disk(void)
{
    g_auto(Fixture) fixture;
    g_autoptr(GError) error = NULL;
    fixture_init(&fixture);
    fixture_open(&fixture);
    fixture_close(&fixture);
    g_assert_cmpint(mount("tmpfs", fixture.directory, "tmpfs", MS_RDONLY, NULL), ==, 0);

    SpokeSpool *spool = try_to_open(fixture.directory, &error);

    g_assert_cmpint(umount(fixture.directory), ==, 0);
    g_assert_null(spool);
    g_assert_error(error, SPOKE_ERROR, SPOKE_ERROR_STORAGE_FAILED);
    g_assert_nonnull(strstr(error->message, fixture.directory));
    g_assert_nonnull(strstr(error->message, g_strerror(EROFS)));
}

static void
test_open_refuses_what_another_has_open(void)
{
    g_auto(Fixture) fixture;
    g_autoptr(GError) error = NULL;
    fixture_init(&fixture);
    fixture_open(&fixture);

    g_assert_null(try_to_open(fixture.directory, &error));

    g_assert_error(error, SPOKE_ERROR, SPOKE_ERROR_STORAGE_FAILED);
    g_assert_nonnull(strstr(error->message, "another process"));
    fixture_put_all(&fixture, "a1"); /* which goes on undisturbed */
}

static void
run_sql(Fixture *fixture, const char *sql)
{
    g_autofree char *path = fixture_path(fixture, "spool.db");
    sqlite3 *db = NULL;

    g_assert_cmpint(sqlite3_open(path, &db), ==, SQLITE_OK);
    g_assert_cmpint(sqlite3_exec(db, sql, NULL, NULL, NULL), ==, SQLITE_OK);
    g_assert_cmpint(sqlite3_close(db), ==, SQLITE_OK);
}

static void
test_open_refuses_newer_schema(void)
{
    g_auto(Fixture) fixture;
    g_autoptr(GError) error = NULL;
    fixture_init(&fixture);
    fixture_open(&fixture);
    fixture_put_all(&fixture, "a1");
    fixture_close(&fixture);
    run_sql(&fixture, "PRAGMA user_version=99; CREATE TABLE later(number INTEGER PRIMARY KEY)");

    g_assert_null(try_to_open(fixture.directory, &error));

    g_assert_error(error, SPOKE_ERROR, SPOKE_ERROR_STORAGE_FAILED);
    g_assert_nonnull(strstr(error->message, "newer"));
    g_assert_nonnull(strstr(error->message, "99"));
    run_sql(&fixture, "PRAGMA user_version=1; DROP TABLE later");
    fixture_open(&fixture);
    g_assert_cmpuint(spoke_outbox_get_messages(fixture.outbox), ==, 1);
    g_assert_cmpuint(fixture.n_corrupt, ==, 0);
}

static void
test_open_finishes_interrupted_replacement(void)
{
    g_auto(Fixture) fixture;
    fixture_init(&fixture);
    fixture_open(&fixture);
    fixture_put_all(&fixture, "a1");
    fixture_close(&fixture);
    g_autofree char *path = fixture_path(&fixture, "spool.db");
    g_autofree char *new_path = fixture_path(&fixture, "spool.db.new");
    g_assert_cmpint(g_rename(path, new_path), ==, 0);

    fixture_open(&fixture);

    g_assert_cmpuint(spoke_outbox_get_messages(fixture.outbox), ==, 1);
}

static void
test_open_ignores_unfinished_creation(void)
{
    g_auto(Fixture) fixture;
    fixture_init(&fixture);
    g_autofree char *new_path = fixture_path(&fixture, "spool.db.new");
    g_assert_true(g_file_set_contents(new_path, "half", 4, NULL));

    fixture_open(&fixture);

    fixture_put_all(&fixture, "a1");
    g_assert_cmpuint(fixture.n_corrupt, ==, 0);
}

static void
test_identities_are_apart(void)
{
    g_auto(Fixture) fixture;
    g_autoptr(GError) error = NULL;
    SpokeMessage *none[1];
    fixture_init(&fixture);
    fixture_open(&fixture);
    fixture_put_all(&fixture, "a1 a2");

    g_autoptr(SpokeOutbox) other =
        spoke_outbox_open(fixture.spool, "other", &fixture.options, &no_events, NULL, &error);

    g_assert_no_error(error);
    g_assert_cmpuint(spoke_outbox_get_messages(other), ==, 0);
    g_assert_cmpuint(spoke_outbox_take(other, none, 1), ==, 0);
    g_autofree char *names = fixture_send(&fixture, 2);
    g_assert_cmpstr(names, ==, "a1 a2");
}

/* The victim */

typedef struct {
    SpokeSpool *spool;
    SpokeOutbox *outbox;
} Victim;

/* One line, at once: what is not in the pipe when the kill comes was not said. */
static void
say(char sign, guint64 id)
{
    g_autofree char *line = g_strdup_printf("%c%" G_GUINT64_FORMAT "\n", sign, id);

    if (write(STDOUT_FILENO, line, strlen(line)) < 0)
        _exit(1);
}

static void put_more(Victim *victim);

static void
victim_put_done(const guint64 *ids, guint n, const GError *error, gpointer user_data)
{
    if (error != NULL)
        _exit(2);
    for (guint i = 0; i < n; i++)
        say('+', ids[i]);
    put_more(user_data);
}

static void
put_more(Victim *victim)
{
    SpokeMessage *messages[8];
    guint n = (guint)g_random_int_range(1, G_N_ELEMENTS(messages));

    for (guint i = 0; i < n; i++)
        messages[i] = fixture_message("a1", SPOKE_DURABILITY_SYNCED);
    if (!spoke_outbox_put(victim->outbox, messages, n, victim_put_done, victim, NULL))
        _exit(3);
    for (guint i = 0; i < n; i++)
        spoke_message_unref(messages[i]);
}

static void
victim_ready(gpointer user_data)
{
    Victim *victim = user_data;
    SpokeMessage *messages[5];

    guint n = spoke_outbox_take(victim->outbox, messages, G_N_ELEMENTS(messages));
    for (guint i = 0; i < n; i++) {
        say('-', messages[i]->id); /* from now on it need not be there */
        spoke_outbox_settle(victim->outbox, messages[i], SPOKE_OUTCOME_ACCEPTED, "");
    }
}

static void
victim_settled(guint64 id, const char *notify, SpokeOutcome outcome, const char *detail,
               gpointer user_data)
{
}

static void
victim_empty(gpointer user_data)
{
}

static int
be_victim(const char *directory)
{
    static const SpokeOutboxEvents events = {
        .ready = victim_ready, .settled = victim_settled, .empty = victim_empty};
    SpokeOutboxOptions options = {.bytes_max = G_GUINT64_CONSTANT(1) << 30};
    Victim victim = {.spool = try_to_open(directory, NULL)};

    if (victim.spool == NULL)
        return 4;
    victim.outbox = spoke_outbox_open(victim.spool, "self", &options, &events, &victim, NULL);
    if (victim.outbox == NULL)
        return 5;
    for (guint i = 0; i < CHILD_WINDOW; i++)
        put_more(&victim);
    while (TRUE) {
        g_main_context_iteration(NULL, TRUE);
        victim_ready(&victim);
    }
}

/* Starts a victim, lets it say something, kills it a moment later. Returns all it said. */
static char *
kill_one(char *directory)
{
    g_autoptr(GError) error = NULL;
    char *arguments[] = {(char *)"/proc/self/exe", (char *)"--victim", directory, NULL};
    GString *said = g_string_new(NULL);
    char buffer[4096];
    gint64 end_usec = 0;
    gssize n = 0;
    GPid pid = 0;
    int output = -1;
    int status = 0;

    (void)g_spawn_async_with_pipes(NULL, arguments, NULL, G_SPAWN_DO_NOT_REAP_CHILD, NULL, NULL,
                                   &pid, NULL, &output, NULL, &error);
    g_assert_no_error(error);
    while ((n = read(output, buffer, sizeof buffer)) > 0) {
        g_string_append_len(said, buffer, n);
        if (end_usec == 0)
            end_usec = g_get_monotonic_time() + g_random_int_range(0, KILL_MSEC) * 1000;
        if (g_get_monotonic_time() >= end_usec)
            g_assert_cmpint(kill(pid, SIGKILL), ==, 0);
    }
    close(output);
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    g_assert_true(WIFSIGNALED(status));
    return g_string_free(said, FALSE);
}

/* The ids that were answered and not sent. */
static GHashTable *
parse_said(const char *said, guint64 *last_id)
{
    GHashTable *alive = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
    g_auto(GStrv) lines = g_strsplit(said, "\n", -1);
    g_autoptr(GHashTable) sent = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);

    for (guint i = 0; lines[i] != NULL && lines[i + 1] != NULL; i++) { /* the last may be cut */
        guint64 id = g_ascii_strtoull(lines[i] + 1, NULL, 10);
        if (lines[i][0] == '-')
            g_hash_table_add(sent, g_memdup2(&id, sizeof id));
        else
            g_hash_table_add(alive, g_memdup2(&id, sizeof id));
        *last_id = MAX(*last_id, id);
    }
    GHashTableIter iter;
    gpointer key = NULL;
    g_hash_table_iter_init(&iter, sent);
    while (g_hash_table_iter_next(&iter, &key, NULL))
        (void)g_hash_table_remove(alive, key);
    return alive;
}

/* Takes all there is, checks it against @alive, and settles it. */
static void
check_survivors(Fixture *fixture, GHashTable *alive)
{
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
    guint64 n = spoke_outbox_get_messages(fixture->outbox);
    guint64 last_id = 0;

    while (n > 0) {
        g_autoptr(GPtrArray) messages = fixture_take(fixture, 64);
        for (guint i = 0; i < messages->len; i++) {
            guint64 id = ((SpokeMessage *)messages->pdata[i])->id;
            g_assert_cmpuint(id, >, last_id); /* one flow: in order, none twice */
            last_id = id;
            (void)g_hash_table_remove(alive, &id);
            g_hash_table_add(seen, g_memdup2(&id, sizeof id));
        }
        n -= messages->len;
        fixture_accept(fixture, messages);
    }
    g_assert_cmpuint(g_hash_table_size(alive), ==, 0); /* nothing answered is missing */
    g_assert_cmpuint(spoke_outbox_get_messages(fixture->outbox), ==, 0);
    g_assert_cmpuint(spoke_outbox_get_bytes(fixture->outbox), ==, 0);
}

static void
test_kill_loses_nothing_answered(void)
{
    g_auto(Fixture) fixture;
    guint64 last_id = 0;
    guint n_survived = 0;
    fixture_init(&fixture);

    for (guint round = 0; round < ROUNDS; round++) {
        guint64 before = last_id;
        g_autofree char *said = kill_one(fixture.directory);
        g_autoptr(GHashTable) alive = parse_said(said, &last_id);
        g_assert_cmpuint(last_id, >, before);
        n_survived += g_hash_table_size(alive);

        fixture_open(&fixture);
        check_survivors(&fixture, alive);
        fixture_put_all(&fixture, "a1");
        guint64 id = g_array_index(fixture.ids, guint64, fixture.ids->len - 1);
        g_assert_cmpuint(id, >, last_id);
        last_id = id;
        fixture_close(&fixture);
    }
    g_assert_cmpuint(fixture.n_corrupt + fixture.n_failed, ==, 0);
    g_test_message("%u answered messages outlived %d kills", n_survived, ROUNDS);
}

int
main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--victim") == 0)
        return be_victim(argv[2]);

    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/spool/open/gives-a-lasting-id", test_open_gives_a_lasting_id);
    g_test_add_func("/spool/open/keeps-the-file-private", test_open_keeps_the_file_private);
    g_test_add_func("/spool/open/refuses-missing-directory", test_open_refuses_missing_directory);
    g_test_add_func("/spool/open/refuses-what-another-has-open",
                    test_open_refuses_what_another_has_open);
    g_test_add_func("/spool/open/refuses-newer-schema", test_open_refuses_newer_schema);
    g_test_add_func("/spool/open/finishes-interrupted-replacement",
                    test_open_finishes_interrupted_replacement);
    g_test_add_func("/spool/open/ignores-unfinished-creation",
                    test_open_ignores_unfinished_creation);
    g_test_add_func("/spool/identities/are-apart", test_identities_are_apart);
    g_test_add_func("/spool/kill/loses-nothing-answered", test_kill_loses_nothing_answered);

    /* A mount of our own needs root; CI is. */
    if (geteuid() == 0 && unshare(CLONE_NEWNS) == 0 &&
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0)
        g_test_add_func("/spool/open/refuses-read-only-disk", test_open_refuses_read_only_disk);
    return g_test_run();
}
