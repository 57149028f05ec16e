/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/delivery.h"

#include "daemon/error.h"
#include "daemon/properties.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * Delivery on the real spool, killed at any moment. A child takes messages over, hands them out and
 * settles them at random, and writes what it knows to a ledger, a line at a time; SIGKILL ends it
 * some milliseconds later, and another child goes on from there. At the end a last one tells what
 * is left, and the ledger must add up:
 *
 *     T n     taken over: the hub was told so      D n c   handed out for the c-th time
 *     S n     about to be settled                  C n     completed: the app was told so
 *     V n     shown to an observer                 R n     rejected: the app was told so
 *     L n     left at the end
 */
#define KILLS              40
#define ALIVE_MSEC_MAX     60
#define MESSAGES_MAX       64
#define DELIVERY_COUNT_MAX 100

/* A life that is to be killed */

typedef struct {
    int ledger_fd;
    guint64 next;
    SpokeDelivery *delivery;
    GArray *held; /* of guint64: locked to us */
    guint32 handler;
    guint32 observer;
    gboolean waiting; /* for an answer to Receive */
} Life;

typedef struct {
    Life *life;
    char letter;
    char *name; /* owned */
} Promise;

G_GNUC_PRINTF(2, 3)
static void
note(Life *life, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_autofree char *line = g_strdup_vprintf(format, args);
    va_end(args);

    g_assert_cmpint(write(life->ledger_fd, line, strlen(line)), ==, strlen(line));
}

static char *
name_of(SpokeMessage *message)
{
    return g_strndup(spoke_message_body(message), message->body_size);
}

static Promise *
promise_new(Life *life, char letter, const char *name)
{
    Promise *promise = g_new0(Promise, 1);

    promise->life = life;
    promise->letter = letter;
    promise->name = g_strdup(name);
    return promise;
}

static void
on_done(const GError *error, gpointer user_data)
{
    Promise *promise = user_data;

    if (error == NULL && promise->letter != 0)
        note(promise->life, "%c %s\n", promise->letter, promise->name);
    g_free(promise->name);
    g_free(promise);
}

static void
take_over(Life *life)
{
    g_autofree char *name = g_strdup_printf("%" G_GUINT64_FORMAT, life->next++);
    g_autoptr(GByteArray) system = g_byte_array_new();

    spoke_properties_append(system, SPOKE_PROPERTY_MESSAGE_ID, name);

    g_autoptr(SpokeMessage) message =
        spoke_message_new(system->data, system->len, NULL, 0, name, strlen(name));

    spoke_delivery_take_over(life->delivery, message, on_done, promise_new(life, 'T', name));
}

/* Names are numbers of the ledger, ids those of the spool: the message is looked up when it is
 * handed out, and remembered by its id. */
static GHashTable *names;

static void
on_deliver(const char *owner, const SpokeDelivered *delivered, gpointer user_data)
{
    Life *life = user_data;
    char *name = name_of(delivered->message);

    if (delivered->mode == SPOKE_SUBSCRIBE_OBSERVE) {
        note(life, "V %s\n", name);
        g_free(name);
        return;
    }
    note(life, "D %s %u\n", name, delivered->delivery_count);
    g_array_append_val(life->held, delivered->message->id);
    g_hash_table_replace(names, g_memdup2(&delivered->message->id, sizeof(guint64)), name);
}

static void
on_paused(SpokePause pause, gpointer user_data)
{
}

static void
on_dead_letter(guint64 id, SpokeDeadReason reason, guint delivery_count, gpointer user_data)
{
}

static void
settle_one(Life *life)
{
    guint index = (guint)g_random_int_range(0, (gint)life->held->len);
    guint64 id = g_array_index(life->held, guint64, index);
    const char *name = g_hash_table_lookup(names, &id);
    guint choice = (guint)g_random_int_range(0, 10);
    SpokeSettle settle = choice < 6   ? SPOKE_SETTLE_COMPLETE
                         : choice < 9 ? SPOKE_SETTLE_ABANDON
                                      : SPOKE_SETTLE_REJECT;
    const char letter = settle == SPOKE_SETTLE_COMPLETE ? 'C'
                        : settle == SPOKE_SETTLE_REJECT ? 'R'
                                                        : 0;

    g_array_remove_index_fast(life->held, index);
    if (letter != 0)
        note(life, "S %s\n", name);
    g_assert_true(spoke_delivery_settle(life->delivery, "app", "0", id, settle, on_done,
                                        promise_new(life, letter, name), NULL));
}

static void
toggle(Life *life, guint32 *subscription, SpokeSubscribeMode mode)
{
    if (*subscription == 0) {
        *subscription = spoke_delivery_subscribe(life->delivery, "app", mode, NULL,
                                                 SPOKE_LOCK_MSEC_MAX, 8, NULL);
        return;
    }
    g_assert_true(spoke_delivery_unsubscribe(life->delivery, "app", *subscription, NULL));
    *subscription = 0;
    if (mode == SPOKE_SUBSCRIBE_HANDLE)
        g_array_set_size(life->held, 0);
}

static gboolean
live(gpointer user_data)
{
    Life *life = user_data;
    guint choice = (guint)g_random_int_range(0, 100);

    if (choice < 40 && spoke_delivery_get_waiting(life->delivery) < MESSAGES_MAX)
        take_over(life);
    else if (choice < 90 && life->held->len > 0)
        settle_one(life);
    else if (choice == 98)
        toggle(life, &life->handler, SPOKE_SUBSCRIBE_HANDLE);
    else if (choice == 99)
        toggle(life, &life->observer, SPOKE_SUBSCRIBE_OBSERVE);
    return G_SOURCE_CONTINUE;
}

static void
on_left(const SpokeDelivered *delivered, const GError *error, gpointer user_data)
{
    Life *life = user_data;

    g_assert_no_error(error);

    g_autofree char *name = name_of(delivered->message);

    life->waiting = FALSE;
    note(life, "L %s\n", name);
}

static void
list_what_is_left(Life *life)
{
    for (gboolean dead_letter = FALSE; dead_letter <= TRUE; dead_letter++) {
        while (dead_letter ? spoke_delivery_get_dead_letters(life->delivery) > 0
                           : spoke_delivery_get_waiting(life->delivery) > 0) {
            life->waiting = TRUE;
            g_assert_true(spoke_delivery_receive(life->delivery, "app", "0", G_USEC_PER_SEC, NULL,
                                                 0, dead_letter, on_left, life, NULL));
            while (life->waiting)
                g_main_context_iteration(NULL, TRUE);
        }
    }
}

static int
be_child(const char *directory, const char *ledger, guint64 next, gboolean last)
{
    static const SpokeDeliveryEvents events = {on_deliver, on_paused, on_dead_letter};
    const SpokeDeliveryOptions options = {MESSAGES_MAX * 2, 1 << 20, DELIVERY_COUNT_MAX, 100000};
    const SpokeSpoolOptions spool_options = {.directory = directory,
                                             .flush_window_usec = G_USEC_PER_SEC};
    Life life = {.next = next, .held = g_array_new(FALSE, FALSE, sizeof(guint64))};
    g_autoptr(GError) error = NULL;

    names = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, g_free);
    life.ledger_fd = open(ledger, O_WRONLY | O_APPEND | O_CLOEXEC);
    g_assert_cmpint(life.ledger_fd, >=, 0);

    SpokeSpool *spool = spoke_spool_open(&spool_options, &error);

    g_assert_no_error(error);
    life.delivery = spoke_delivery_new(spoke_inbox_open(spool, "self", &error),
                                       spoke_clock_new(&error), &options, &events, &life, &error);
    g_assert_no_error(error);

    if (last) {
        list_what_is_left(&life);
    } else {
        toggle(&life, &life.handler, SPOKE_SUBSCRIBE_HANDLE);
        g_idle_add(live, &life);
        for (;;)
            g_main_context_iteration(NULL, TRUE);
    }
    spoke_delivery_free(life.delivery);
    spoke_spool_free(spool);
    g_array_unref(life.held);
    g_hash_table_destroy(names);
    close(life.ledger_fd);
    return EXIT_SUCCESS;
}

/* The one who kills */

typedef struct {
    gboolean taken, settling, completed, rejected, shown, left;
    guint count;
} Account;

static GPid
start_child(const char *directory, const char *ledger, guint64 next, gboolean last)
{
    g_autofree char *number = g_strdup_printf("%" G_GUINT64_FORMAT, next);
    g_autofree char *self = g_file_read_link("/proc/self/exe", NULL); /* right under valgrind too */
    const char *argv[] = {self, "--child", directory, ledger, number, last ? "last" : "no", NULL};
    g_autoptr(GError) error = NULL;
    GPid pid = 0;

    g_spawn_async(NULL, (char **)argv, NULL,
                  G_SPAWN_DO_NOT_REAP_CHILD | G_SPAWN_LEAVE_DESCRIPTORS_OPEN, NULL, NULL, &pid,
                  &error);
    g_assert_no_error(error);
    return pid;
}

static Account *
account_of(GHashTable *accounts, const char *name)
{
    Account *account = g_hash_table_lookup(accounts, name);

    if (account == NULL) {
        account = g_new0(Account, 1);
        g_hash_table_insert(accounts, g_strdup(name), account);
    }
    return account;
}

static void
enter(GHashTable *accounts, const char *line)
{
    g_auto(GStrv) words = g_strsplit(line, " ", 3);

    if (g_strv_length(words) < 2)
        return; /* cut short by the kill, or the end of the file */

    Account *account = account_of(accounts, words[1]);

    switch (words[0][0]) {
    case 'T':
        account->taken = TRUE;
        break;
    case 'D': {
        guint count = (guint)g_ascii_strtoull(words[2], NULL, 10);

        g_assert_false(account->completed);
        g_assert_false(account->rejected);
        g_assert_cmpuint(count, >, account->count);
        account->count = count;
        break;
    }
    case 'S':
        account->settling = TRUE;
        break;
    case 'C':
        account->completed = TRUE;
        break;
    case 'R':
        account->rejected = TRUE;
        break;
    case 'V':
        g_assert_false(account->completed);
        account->shown = TRUE;
        break;
    case 'L':
        g_assert_false(account->completed);
        g_assert_false(account->left);
        account->left = TRUE;
        break;
    default:
        g_assert_not_reached();
    }
}

static void
check_ledger(const char *ledger)
{
    g_autoptr(GHashTable) accounts = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    g_autofree char *text = NULL;
    GHashTableIter iter;
    gpointer name, value;
    guint taken = 0, completed = 0, handed_out_again = 0;

    g_assert_true(g_file_get_contents(ledger, &text, NULL, NULL));

    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

    for (guint i = 0; lines[i] != NULL; i++)
        enter(accounts, lines[i]);

    g_hash_table_iter_init(&iter, accounts);
    while (g_hash_table_iter_next(&iter, &name, &value)) {
        const Account *account = value;
        gboolean observers_had_it = account->shown && account->count == 0;

        if (account->taken && !account->left && !account->settling && !observers_had_it)
            g_error("Message %s is lost", (const char *)name);
        if (account->rejected && !account->left)
            g_error("Dead letter %s is lost", (const char *)name);
        taken += account->taken;
        completed += account->completed;
        handed_out_again += account->count > 1;
    }
    g_test_message("%u taken over, %u completed, %u handed out more than once", taken, completed,
                   handed_out_again);
    g_assert_cmpuint(taken, >, 0);
}

static void
wait_for(GPid pid, int expected_signal)
{
    int status = 0;

    while (waitpid(pid, &status, 0) < 0)
        g_assert_cmpint(errno, ==, EINTR);
    if (expected_signal != 0)
        g_assert_true(WIFSIGNALED(status) && WTERMSIG(status) == expected_signal);
    else
        g_assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    g_spawn_close_pid(pid);
}

static void
test_kill_loses_nothing(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *directory = g_dir_make_tmp("spoke-kill-XXXXXX", &error);
    g_autofree char *ledger = g_strconcat(directory, ".ledger", NULL);
    g_autofree char *remove = g_strdup_printf("rm -r -- '%s' '%s'", directory, ledger);

    g_assert_no_error(error);
    g_assert_true(g_file_set_contents(ledger, "", 0, NULL));
    for (guint i = 0; i < KILLS; i++) {
        GPid pid = start_child(directory, ledger, i * 1000000, FALSE);

        g_usleep((gulong)g_test_rand_int_range(1, ALIVE_MSEC_MAX) * 1000);
        g_assert_cmpint(kill(pid, SIGKILL), ==, 0);
        wait_for(pid, SIGKILL);
    }
    wait_for(start_child(directory, ledger, 0, TRUE), 0);

    check_ledger(ledger);
    g_assert_cmpint(system(remove), ==, 0);
}

int
main(int argc, char **argv)
{
    if (argc == 6 && g_str_equal(argv[1], "--child"))
        return be_child(argv[2], argv[3], g_ascii_strtoull(argv[4], NULL, 10),
                        g_str_equal(argv[5], "last"));

    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/delivery-kill/loses-nothing", test_kill_loses_nothing);
    return g_test_run();
}
