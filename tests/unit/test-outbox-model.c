/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "spool-fixture.h"

/*
 * A random life of an outbox beside a model of it: puts of all sizes, lanes and flows, takes,
 * settlements in any order, messages given back, restarts, crashes, time that runs out. What must
 * hold at each step: a flow keeps its order, nothing is handed out twice or settled twice, what was
 * answered is not lost, ids rise.
 */
#define N_FLOWS  5
#define TAKE_MAX 40
#define TTL_SEC  60

typedef enum {
    ITEM_PUT,     /* not answered yet */
    ITEM_WAITING, /* answered, to be taken */
    ITEM_TAKEN,
    ITEM_MAYBE, /* after a restart: may come or not */
    ITEM_GONE,
} ItemState;

typedef struct {
    SpokeMessage *message; /* owned */
    guint64 id;
    ItemState state;
} Item;

typedef struct {
    Fixture fixture;
    GHashTable *by_id;                        /* owned; id → Item */
    GPtrArray *lines[SPOKE_N_LANES][N_FLOWS]; /* owned, of owned Item, in order */
    guint first_open[SPOKE_N_LANES][N_FLOWS]; /* before it all are gone */
    GPtrArray *taken;                         /* owned, of Item */
    guint64 last_id;
    guint n_put;
    guint n_dropped;
    guint n_expired;
    gboolean is_expiring; /* some messages have an end */
} Model;

/* One put and the items it holds. */
typedef struct {
    Model *model;
    GPtrArray *items; /* owned */
} Put;

static guint
flow_of(const SpokeMessage *message)
{
    return (guint)(message->flow - 1);
}

static void
item_free(gpointer data)
{
    Item *item = data;

    spoke_message_unref(item->message);
    g_free(item);
}

static void
on_settled(guint64 id, SpokeOutcome outcome, gpointer user_data)
{
    Model *model = user_data;
    Item *item = g_hash_table_lookup(model->by_id, &id);

    g_assert_nonnull(item);
    if (outcome == SPOKE_OUTCOME_DROPPED) {
        g_assert_cmpint(item->message->lane, ==, SPOKE_LANE_NORMAL);
        g_assert_true(item->state == ITEM_WAITING || item->state == ITEM_MAYBE);
        model->n_dropped++;
    } else if (outcome == SPOKE_OUTCOME_EXPIRED) {
        g_assert_cmpint(item->message->ttl_usec, >, 0);
        g_assert_cmpint(item->state, !=, ITEM_TAKEN);
        g_assert_cmpint(item->state, !=, ITEM_GONE);
        model->n_expired++;
    } else {
        g_assert_cmpint(item->state, ==, ITEM_TAKEN);
    }
    item->state = ITEM_GONE;
}

static void
model_init(Model *model)
{
    *model = (Model){0};
    fixture_init(&model->fixture);
    model->fixture.on_settled = on_settled;
    model->fixture.user_data = model;
    model->by_id = g_hash_table_new(g_int64_hash, g_int64_equal);
    model->taken = g_ptr_array_new();
    for (guint lane = 0; lane < SPOKE_N_LANES; lane++) {
        for (guint flow = 0; flow < N_FLOWS; flow++)
            model->lines[lane][flow] = g_ptr_array_new_with_free_func(item_free);
    }
}

static void
model_clear(Model *model)
{
    fixture_clear(&model->fixture);
    g_hash_table_unref(model->by_id);
    g_ptr_array_unref(model->taken);
    for (guint lane = 0; lane < SPOKE_N_LANES; lane++) {
        for (guint flow = 0; flow < N_FLOWS; flow++)
            g_ptr_array_unref(model->lines[lane][flow]);
    }
}

static void
on_put(const guint64 *ids, guint n, const GError *error, gpointer user_data)
{
    Put *put = user_data;

    for (guint i = 0; i < put->items->len; i++) {
        Item *item = put->items->pdata[i];
        if (item->state != ITEM_PUT)
            continue;
        item->state = error == NULL ? ITEM_WAITING : ITEM_MAYBE;
        g_assert_true(error != NULL || ids[i] == item->id);
    }
    g_ptr_array_unref(put->items);
    g_free(put);
}

static SpokeMessage *
make_message(SpokeDurability durability)
{
    static char body[4096];
    guint size = g_test_rand_int_range(0, 10) == 0 ? (guint)g_test_rand_int_range(0, 4096)
                                                   : (guint)g_test_rand_int_range(0, 200);
    SpokeMessage *message = spoke_message_new(NULL, 0, "a\0b", 4, body, size);

    message->lane = g_test_rand_int_range(0, 10) == 0 ? SPOKE_LANE_URGENT : SPOKE_LANE_NORMAL;
    message->flow = 1 + (guint64)g_test_rand_int_range(0, N_FLOWS);
    message->durability = durability;
    message->notify = g_strdup("x");
    return message;
}

static void
put_some(Model *model)
{
    SpokeMessage *messages[30];
    SpokeDurability durability =
        g_test_rand_int_range(0, 4) == 0 ? SPOKE_DURABILITY_FLUSHED : SPOKE_DURABILITY_SYNCED;
    guint n = (guint)g_test_rand_int_range(1, G_N_ELEMENTS(messages));
    Put *put = g_new0(Put, 1);

    for (guint i = 0; i < n; i++)
        messages[i] = make_message(durability);
    for (guint i = 0; i < n && model->is_expiring; i++)
        messages[i]->ttl_usec =
            MAX(0, g_test_rand_int_range(-TTL_SEC, TTL_SEC) * (gint64)G_USEC_PER_SEC);
    put->model = model;
    put->items = g_ptr_array_new();
    if (!spoke_outbox_put(model->fixture.outbox, messages, n, on_put, put, NULL)) {
        g_ptr_array_unref(put->items);
        g_free(put);
        for (guint i = 0; i < n; i++)
            spoke_message_unref(messages[i]);
        return;
    }
    for (guint i = 0; i < n; i++) {
        Item *item = g_new0(Item, 1);
        *item = (Item){messages[i], messages[i]->id, ITEM_PUT};
        g_assert_cmpuint(item->id, >, model->last_id);
        model->last_id = item->id;
        g_hash_table_insert(model->by_id, &item->id, item);
        g_ptr_array_add(model->lines[messages[i]->lane][flow_of(messages[i])], item);
        g_ptr_array_add(put->items, item);
    }
    model->n_put += n;
}

/* @item comes out now: all before it in its flow must have gone, or be under way. */
static void
check_order(Model *model, Item *item)
{
    SpokeLane lane = item->message->lane;
    guint flow = flow_of(item->message);
    GPtrArray *line = model->lines[lane][flow];
    guint i = model->first_open[lane][flow];

    for (; i < line->len && line->pdata[i] != item; i++) {
        Item *before = line->pdata[i];
        g_assert_cmpint(before->state, !=, ITEM_PUT);
        g_assert_cmpint(before->state, !=, ITEM_WAITING);
        if (before->state == ITEM_MAYBE)
            before->state = ITEM_GONE;
    }
    g_assert_cmpuint(i, <, line->len);
    while (model->first_open[lane][flow] < line->len &&
           ((Item *)line->pdata[model->first_open[lane][flow]])->state == ITEM_GONE)
        model->first_open[lane][flow]++;
}

static guint
take_some(Model *model)
{
    SpokeMessage *messages[TAKE_MAX];
    guint n = spoke_outbox_take(model->fixture.outbox, messages,
                                (guint)g_test_rand_int_range(1, TAKE_MAX + 1));

    for (guint i = 0; i < n; i++) {
        Item *item = g_hash_table_lookup(model->by_id, &messages[i]->id);
        g_assert_nonnull(item);
        /* A flushed one may be taken before its put is answered. */
        g_assert_true(
            item->state == ITEM_WAITING || item->state == ITEM_MAYBE ||
            (item->state == ITEM_PUT && item->message->durability == SPOKE_DURABILITY_FLUSHED));
        check_order(model, item);
        item->state = ITEM_TAKEN;
        if (item->message != messages[i]) { /* read back */
            messages[i]->ttl_usec = item->message->ttl_usec;
            spoke_message_unref(item->message);
            item->message = spoke_message_ref(messages[i]);
        }
        g_ptr_array_add(model->taken, item);
    }
    g_assert_cmpuint(spoke_outbox_get_in_flight(model->fixture.outbox), ==, model->taken->len);
    return n;
}

static void
settle_some(Model *model)
{
    guint n = (guint)g_test_rand_int_range(0, (gint)model->taken->len + 1);

    for (guint i = 0; i < n; i++) {
        guint index = (guint)g_test_rand_int_range(0, (gint)model->taken->len);
        Item *item = g_ptr_array_remove_index_fast(model->taken, index);
        spoke_outbox_settle(model->fixture.outbox, item->message, SPOKE_OUTCOME_ACCEPTED, "");
    }
}

static void
give_back_all(Model *model)
{
    for (guint i = 0; i < model->taken->len; i++) {
        Item *item = model->taken->pdata[i];
        SpokeMessage *message = item->message;
        item->state = ITEM_WAITING;
        spoke_outbox_give_back(model->fixture.outbox, &message, 1);
        model->first_open[message->lane][flow_of(message)] = 0;
    }
    g_ptr_array_set_size(model->taken, 0);
}

/* After a restart; @is_clean: what was settled does not come again. */
static void
forget_memory(Model *model, gboolean is_clean)
{
    GHashTableIter iter;
    gpointer value = NULL;

    g_hash_table_iter_init(&iter, model->by_id);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        Item *item = value;
        if (item->state == ITEM_PUT || (item->state == ITEM_GONE && !is_clean))
            item->state = ITEM_MAYBE;
    }
    for (guint lane = 0; lane < SPOKE_N_LANES; lane++) {
        for (guint flow = 0; flow < N_FLOWS; flow++)
            model->first_open[lane][flow] = 0;
    }
}

static void
restart(Model *model)
{
    gboolean is_clean = g_test_rand_bit();

    give_back_all(model);
    fixture_settle_down(&model->fixture); /* flushed ones would be lost by design */
    fixture_run_for(2 * model->fixture.flush_window_usec);
    if (is_clean)
        fixture_reopen(&model->fixture);
    else
        fixture_crash(&model->fixture);
    forget_memory(model, is_clean);
}

static void
step(Model *model, gboolean is_online)
{
    gint choice = g_test_rand_int_range(0, 400);

    if (choice < 2)
        restart(model);
    else if (choice < 10)
        give_back_all(model);
    else if (choice < (is_online ? 60 : 300))
        put_some(model);
    else if (is_online && choice < 250)
        (void)take_some(model);
    else if (is_online)
        settle_some(model);
    if (model->is_expiring && choice % 20 == 0)
        fixture_advance(&model->fixture, g_test_rand_int_range(0, 4) * (gint64)G_USEC_PER_SEC);
    for (gint i = g_test_rand_int_range(0, 4); i > 0; i--)
        g_main_context_iteration(NULL, FALSE);
}

static void
drain(Model *model)
{
    while (spoke_outbox_get_messages(model->fixture.outbox) > 0) {
        if (take_some(model) == 0)
            g_main_context_iteration(NULL, model->taken->len == 0);
        settle_some(model);
    }
    fixture_settle_down(&model->fixture);
}

static void
assert_all_gone(Model *model)
{
    GHashTableIter iter;
    gpointer value = NULL;

    g_hash_table_iter_init(&iter, model->by_id);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        const Item *item = value;
        g_assert_true(item->state == ITEM_GONE || item->state == ITEM_MAYBE);
    }
}

static void
run(Model *model)
{
    fixture_open(&model->fixture);
    for (guint phase = 0; phase < 24; phase++) {
        for (guint i = 0; i < 200; i++)
            step(model, phase % 2 == 1);
    }
    drain(model);
    fixture_reopen(&model->fixture);

    g_assert_cmpuint(spoke_outbox_get_messages(model->fixture.outbox), ==, 0);
    g_assert_cmpuint(spoke_outbox_get_bytes(model->fixture.outbox), ==, 0);
    g_assert_cmpuint(model->fixture.n_failed + model->fixture.n_corrupt, ==, 0);
    assert_all_gone(model);
    g_test_message("%u messages, %u of them dropped, %u expired", model->n_put, model->n_dropped,
                   model->n_expired);
}

static void
test_random_life_keeps_all_promises(void)
{
    Model model;
    model_init(&model);

    run(&model);

    model_clear(&model);
}

static void
test_random_life_with_drop_oldest(void)
{
    Model model;
    model_init(&model);
    model.fixture.options.when_full = SPOKE_WHEN_FULL_DROP_OLDEST;
    model.fixture.options.bytes_max = 500 * 1000;

    run(&model);

    g_assert_cmpuint(model.n_dropped, >, 0);
    model_clear(&model);
}

static void
test_random_life_with_ends(void)
{
    Model model;
    model_init(&model);
    model.is_expiring = TRUE;

    run(&model);

    g_assert_cmpuint(model.n_expired, >, 0);
    model_clear(&model);
}

static void
test_random_life_with_ends_and_drop_oldest(void)
{
    Model model;
    model_init(&model);
    model.is_expiring = TRUE;
    model.fixture.options.when_full = SPOKE_WHEN_FULL_DROP_OLDEST;
    model.fixture.options.bytes_max = 500 * 1000;

    run(&model);

    g_assert_cmpuint(model.n_expired, >, 0);
    g_assert_cmpuint(model.n_dropped, >, 0);
    model_clear(&model);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/outbox/random-life/keeps-all-promises", test_random_life_keeps_all_promises);
    g_test_add_func("/outbox/random-life/with-drop-oldest", test_random_life_with_drop_oldest);
    g_test_add_func("/outbox/random-life/with-ends", test_random_life_with_ends);
    g_test_add_func("/outbox/random-life/with-ends-and-drop-oldest",
                    test_random_life_with_ends_and_drop_oldest);
    return g_test_run();
}
