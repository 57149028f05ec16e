/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * kill -9 of daemon, hub and applications at random moments under load, with a ledger on both
 * ends. What an application's ledger says was accepted must be in the hub's journal; what was sent
 * down must be in a handler's ledger. SPOKE_KILLS sets how often, SPOKE_KILL_SEED what chance does.
 *
 * Then once more with messages of all kinds, and with a hub that misbehaves in between.
 *
 * test-kill [TRANSPORT]: over that one, by default over mqtt. The short round is for the others.
 */
#include "tests/integration/harness.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KILLS_DEFAULT 200
#define KILLS_SHORT   30
#define MIXED_SHARE   4 /* of the kills, for the second test */
#define APPS          3

typedef struct {
    Harness *h; /* borrowed */
    const char *kind;
    GRand *chance;
    GSubprocess *apps[APPS];
    char *ledgers[APPS];
    guint c2d_sent;
    GHashTable *handled;      /* owned; ids of the C2D messages that were handled … */
    off_t handled_upto[APPS]; /* … as far as the ledgers have been read */
} Battle;

static void
start_app(Battle *battle, guint i)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *name = g_strdup_printf("app%u", i);

    battle->apps[i] = g_subprocess_new(
        G_SUBPROCESS_FLAGS_NONE, &error, g_getenv("SPOKE_LEDGER_APP"),
        harness_get_bus_address(battle->h), name, battle->ledgers[i], battle->kind, NULL);
    g_assert_no_error(error);
}

static void
kill_app(Battle *battle, guint i)
{
    g_subprocess_force_exit(battle->apps[i]);
    g_assert_true(g_subprocess_wait(battle->apps[i], NULL, NULL));
    g_clear_object(&battle->apps[i]);
}

static gboolean
on_time(gpointer done)
{
    *(gboolean *)done = TRUE;
    return G_SOURCE_REMOVE;
}

/* Lets the programs work for a while: the length of the while is what is random here. */
static void
let_work(Battle *battle, int msec)
{
    gboolean done = FALSE;

    g_timeout_add(msec, on_time, &done);
    while (!done)
        g_main_context_iteration(NULL, TRUE);
}

static void
send_c2d(Battle *battle)
{
    g_autofree char *body =
        g_strdup_printf("{\"body\":\"x\",\"messageId\":\"down-%u\"}", battle->c2d_sent);
    guint status =
        harness_hub_status(battle->h, "POST", "/devices/" HARNESS_DEVICE_ID "/messages", body);

    /* The hub's queue of 50 may be full while the daemon is away. */
    if (status == 201)
        battle->c2d_sent++;
    else
        g_assert_cmpuint(status, ==, 403);
}

static void
strike(Battle *battle)
{
    switch (g_rand_int_range(battle->chance, 0, 4)) {
    case 0:
        harness_kill_hub(battle->h, SIGKILL);
        let_work(battle, g_rand_int_range(battle->chance, 0, 50));
        harness_start_hub(battle->h);
        break;
    case 1: {
        guint i = g_rand_int_range(battle->chance, 0, APPS);
        kill_app(battle, i);
        start_app(battle, i);
        break;
    }
    default:
        harness_kill_daemon(battle->h, SIGKILL);
        harness_start_daemon(battle->h);
        break;
    }
}

/* A hub in a bad mood, for a while. */
static void
annoy(Battle *battle)
{
    static const char *const faults[] = {
        "{\"kind\": \"cut-after\", \"after\": 20}",
        "{\"kind\": \"cut-after\", \"after\": 100, \"store\": true}",
        "{\"kind\": \"stall-acks\"}",
        "{\"kind\": \"delay\", \"ms\": 30}",
        "{\"kind\": \"throttle\", \"rate\": 500}",
        "{\"kind\": \"refuse\", \"code\": 3}",
        "{\"kind\": \"refuse-tcp\"}",
        "{\"kind\": \"black-hole\"}",
        "{\"kind\": \"drop\"}",
    };
    gint32 i = g_rand_int_range(battle->chance, 0, G_N_ELEMENTS(faults));

    json_node_unref(harness_hub(battle->h, "POST", "/faults", faults[i]));
    let_work(battle, g_rand_int_range(battle->chance, 0, 600));
    if (g_rand_boolean(battle->chance))
        strike(battle);
    json_node_unref(harness_hub(battle->h, "DELETE", "/faults", NULL));
}

typedef void (*LineFunc)(const char *line, gpointer user_data);

/* Calls @func for each complete line, without its end. Files grow while they are read, to a hundred
 * megabytes: so line by line. Returns: where reading goes on next time */
static off_t
read_lines(const char *path, off_t from, LineFunc func, gpointer user_data)
{
    FILE *file = fopen(path, "re");
    char *line = NULL;
    size_t capacity = 0;
    ssize_t size;

    if (file == NULL)
        return from;
    (void)fseeko(file, from, SEEK_SET);
    while ((size = getline(&line, &capacity, file)) > 0 && line[size - 1] == '\n') {
        from += size;
        line[size - 1] = '\0';
        func(line, user_data);
    }
    free(line);
    (void)fclose(file);
    return from;
}

typedef struct {
    GHashTable *ids;
    const char *what;
} Entries;

static void
add_entry(const char *line, gpointer user_data)
{
    const Entries *entries = user_data;

    if (g_str_has_prefix(line, entries->what))
        g_hash_table_add(entries->ids, g_strdup(line + strlen(entries->what)));
}

/* Adds the second word of each line that begins with @what. Returns as read_lines(). */
static off_t
read_ledger(GHashTable *ids, const char *path, off_t from, const char *what)
{
    return read_lines(path, from, add_entry, &(Entries){ids, what});
}

/* Notes that @id arrived, and that what precedes it in its lane arrived before. That holds for what
 * was @answered: whose the call of a killed application was may be past finding out. */
static void
note_arrival(Battle *battle, GHashTable *ids, GHashTable *last, GHashTable *answered,
             const char *id)
{
    if (!g_hash_table_add(ids, g_strdup(id)) || !g_hash_table_contains(answered, id))
        return; /* a repeat may come late */

    const char *digits = strrchr(id, '-') + 1;
    char *lane = g_strndup(id, (gsize)(digits - id));
    guint64 number = g_ascii_strtoull(digits, NULL, 10) + 1;
    guint64 before = GPOINTER_TO_SIZE(g_hash_table_lookup(last, lane));
    if (number <= before)
        harness_fail(battle->h, "%s arrived after number %" G_GUINT64_FORMAT, id, before - 1);
    g_hash_table_insert(last, lane, GSIZE_TO_POINTER(number));
}

typedef struct {
    Battle *battle;
    GHashTable *ids, *last, *answered;
    guint n_lines;
} Journal;

/* The journal's third column is the message-id. */
static void
add_arrival(const char *line, gpointer user_data)
{
    Journal *journal = user_data;
    g_auto(GStrv) columns = g_strsplit(line, "\t", -1);

    if (g_strv_length(columns) < 4)
        return;
    note_arrival(journal->battle, journal->ids, journal->last, journal->answered, columns[2]);
    journal->n_lines++;
}

static GHashTable *
read_hub(Battle *battle, GHashTable *answered, guint *ret_lines)
{
    g_autofree char *path = harness_get_hub_journal(battle->h);
    g_autoptr(GHashTable) last = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    Journal journal = {.battle = battle,
                       .ids = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL),
                       .last = last,
                       .answered = answered};

    (void)read_lines(path, 0, add_arrival, &journal);
    *ret_lines = journal.n_lines;
    return journal.ids;
}

static void
assert_none_lost(Battle *battle)
{
    g_autoptr(GHashTable) promised = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autoptr(GHashTable) answered = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    guint lines = 0;
    guint lost = 0;
    GHashTableIter iter;
    gpointer id;

    for (guint i = 0; i < APPS; i++) {
        read_ledger(promised, battle->ledgers[i], 0, "sent ");
        read_ledger(answered, battle->ledgers[i], 0, "sent ");
        read_ledger(answered, battle->ledgers[i], 0, "told ");
    }
    g_autoptr(GHashTable) arrived = read_hub(battle, answered, &lines);
    g_hash_table_iter_init(&iter, promised);
    while (g_hash_table_iter_next(&iter, &id, NULL))
        if (!g_hash_table_contains(arrived, id) && lost++ < 10)
            g_printerr("lost: %s\n", (char *)id);
    g_test_message("%u promised, %u arrivals of %u messages, %u lost", g_hash_table_size(promised),
                   lines, g_hash_table_size(arrived), lost);
    if (lost > 0)
        harness_fail(battle->h, "%u of %u promised messages are lost", lost,
                     g_hash_table_size(promised));
    g_assert_cmpuint(g_hash_table_size(promised), >, 1000);
}

static gboolean
all_handled(Harness *h, gpointer user_data)
{
    Battle *battle = user_data;

    for (guint i = 0; i < APPS; i++)
        battle->handled_upto[i] =
            read_ledger(battle->handled, battle->ledgers[i], battle->handled_upto[i], "handled ");
    return g_hash_table_size(battle->handled) == battle->c2d_sent;
}

static guint
get_kills(void)
{
    const char *kills = g_getenv("SPOKE_KILLS");

    return kills != NULL ? (guint)atoi(kills) : KILLS_DEFAULT;
}

static void
fight(const char *transport, const char *kind, guint rounds, gboolean is_hub_moody)
{
    g_autoptr(Harness) h = harness_new();
    const char *seed = g_getenv("SPOKE_KILL_SEED");
    Battle battle = {.h = h,
                     .kind = kind,
                     .handled = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL),
                     .chance = seed != NULL ? g_rand_new_with_seed(atoi(seed)) : g_rand_new()};

    harness_set_transport(h, transport);
    harness_configure(h, "PollIntervalSec=1\n"); /* where C2D is not pushed */
    harness_start_daemon(h);
    for (guint i = 0; i < APPS; i++) {
        battle.ledgers[i] = g_strdup_printf("%s/app%u.ledger", harness_get_dir(h), i);
        start_app(&battle, i);
    }

    for (guint i = 0; i < rounds; i++) {
        let_work(&battle, g_rand_int_range(battle.chance, 5, 400));
        send_c2d(&battle);
        if (is_hub_moody && g_rand_boolean(battle.chance))
            annoy(&battle);
        else
            strike(&battle);
    }
    harness_kill_daemon(h, SIGKILL); /* it may have backed off for long */
    harness_start_daemon(h);
    harness_wait(h, "the handling of all C2D messages", all_handled, &battle);
    for (guint i = 0; i < APPS; i++)
        kill_app(&battle, i);
    harness_wait_counter(h, "QueuedMessages", 0);
    harness_wait_counter(h, "QueuedBytes", 0);
    harness_wait_counter(h, "InFlightMessages", 0);

    assert_none_lost(&battle);
    g_assert_cmpuint(battle.c2d_sent, >, rounds / 4);
    g_hash_table_unref(battle.handled);
    for (guint i = 0; i < APPS; i++)
        g_free(battle.ledgers[i]);
    g_rand_free(battle.chance);
}

static void
test_nothing_promised_is_lost(gconstpointer transport)
{
    fight(transport, "plain", get_kills(), FALSE);
}

static void
test_nothing_mixed_is_lost(gconstpointer transport)
{
    fight(transport, "mixed", get_kills() / MIXED_SHARE, TRUE);
}

static void
test_nothing_is_lost_in_a_short_round(gconstpointer transport)
{
    fight(transport, "mixed", KILLS_SHORT, TRUE);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    if (argc > 1) {
        g_test_add_data_func("/kill/ledger/nothing-is-lost-in-a-short-round", argv[1],
                             test_nothing_is_lost_in_a_short_round);
        return g_test_run();
    }
    g_test_add_data_func("/kill/ledger/nothing-promised-is-lost", "mqtt",
                         test_nothing_promised_is_lost);
    g_test_add_data_func("/kill/ledger/nothing-mixed-is-lost", "mqtt", test_nothing_mixed_is_lost);
    return g_test_run();
}
