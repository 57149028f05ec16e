/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/delivery.h"

#include "daemon/error.h"
#include "daemon/properties.h"
#include "tests/unit/disk.h"
#include "tests/unit/fake-clock.h"

/*
 * Random lives: apps come, go, take, settle and forget; the disk stalls, fails and loses power; the
 * daemon is restarted. A ledger on the side knows what was promised, and checks at every step that
 *
 * - a message is with one handler or receiver at a time, and never beyond a handler's credit;
 * - its delivery count rises with every hand-out, over restarts too, up to the limit, and the
 *   disk knows it before the handler does;
 * - what was said to be completed, or dead, is never handed out again;
 * and at the end that nothing that was taken over is missing.
 *
 * Repeat a failure with the seed that the test prints.
 */
#define LIVES              40
#define STEPS              400
#define OWNERS             5
#define DELIVERY_COUNT_MAX 4
#define LOCK_MSEC          10000

typedef struct {
    char *body;
    char kind; /* value of the app property "kind": 'x' or 'y' */
    guint64 id;
    gboolean sent;       /* the hub is waiting for an answer */
    gboolean taken;      /* it was told that we have it */
    gboolean repeatable; /* taken since the start: repeats must be known */
    gboolean completed;
    gboolean dead;
    gboolean gone;    /* a dead letter that was taken */
    gboolean unknown; /* a settlement failed or was not answered: either way is right */
    gboolean observed;
    guint count;
    char *holder; /* owner or, for receivers, user; NULL: nobody */
    guint32 subscription;
    gint64 lock_end_usec;
} Entry;

typedef struct {
    guint32 number;
    guint owner;
    SpokeSubscribeMode mode;
    char kind; /* of its filter; 0: none */
    guint credit;
} Listener;

typedef struct {
    Disk *disk;
    FakeClock *clock;  /* borrowed from delivery */
    SpokeInbox *inbox; /* borrowed from delivery */
    SpokeDelivery *delivery;
    GPtrArray *entries; /* of Entry */
    GArray *listeners;  /* of Listener */
    guint waiting;      /* receivers not answered */
    gboolean stopping;
} World;

typedef struct {
    World *world;
    Entry *entry;
    char *user; /* owned */
    SpokeSettle settle;
    gboolean dead_letter;
} Question;

static const char *const owners[OWNERS] = {"alice", "anna", "olga", "bob", "ben"};

static Question *
question_new(World *world, Entry *entry)
{
    Question *question = g_new0(Question, 1);

    question->world = world;
    question->entry = entry;
    return question;
}

static void
question_free(Question *question)
{
    g_free(question->user);
    g_free(question);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Question, question_free)

static gboolean
chance(guint percent)
{
    return g_test_rand_int_range(0, 100) < (gint)percent;
}

static Entry *
find_entry(World *world, SpokeMessage *message)
{
    for (guint i = 0; i < world->entries->len; i++) {
        Entry *entry = g_ptr_array_index(world->entries, i);

        if (strlen(entry->body) == message->body_size &&
            memcmp(entry->body, spoke_message_body(message), message->body_size) == 0)
            return entry;
    }
    g_assert_not_reached();
}

static Listener *
find_listener(World *world, guint32 number)
{
    for (guint i = 0; i < world->listeners->len; i++) {
        Listener *listener = &g_array_index(world->listeners, Listener, i);

        if (listener->number == number)
            return listener;
    }
    return NULL;
}

static void
release(Entry *entry)
{
    g_clear_pointer(&entry->holder, g_free);
    entry->subscription = 0;
}

static gint64
boot_now(World *world)
{
    return world->clock->now_usec[SPOKE_CLOCK_BOOT];
}

/* To a handler or a receiver, with a lock or for good. */
static Entry *
check_hand_out(World *world, const SpokeDelivered *delivered)
{
    Entry *entry = find_entry(world, delivered->message);

    if (entry->holder != NULL && entry->lock_end_usec <= boot_now(world))
        release(entry);
    g_assert_null(entry->holder);
    g_assert_false(entry->completed);
    g_assert_false(entry->dead);
    g_assert_cmpuint(delivered->delivery_count, >, entry->count);
    g_assert_cmpuint(delivered->delivery_count, <=, DELIVERY_COUNT_MAX);
    entry->count = delivered->delivery_count;
    entry->id = delivered->message->id;
    return entry;
}

static void
hold(World *world, Entry *entry, const char *holder, const SpokeDelivered *delivered)
{
    g_assert_cmpuint(disk_get_count(world->disk, entry->id), >=, entry->count);
    entry->holder = g_strdup(holder);
    entry->subscription = delivered->subscription;
    entry->lock_end_usec = boot_now(world) + (gint64)delivered->lock_msec * 1000;
}

static guint
count_held(World *world, guint32 subscription)
{
    guint held = 0;

    for (guint i = 0; i < world->entries->len; i++) {
        Entry *entry = g_ptr_array_index(world->entries, i);

        held += entry->subscription == subscription && entry->lock_end_usec > boot_now(world);
    }
    return held;
}

static void
on_deliver(const char *owner, const SpokeDelivered *delivered, gpointer user_data)
{
    World *world = user_data;
    Listener *listener = find_listener(world, delivered->subscription);

    g_assert_nonnull(listener);
    g_assert_cmpstr(owner, ==, owners[listener->owner]);
    g_assert_cmpint(delivered->mode, ==, listener->mode);

    Entry *entry = find_entry(world, delivered->message);

    g_assert_true(listener->kind == 0 || listener->kind == entry->kind);
    if (listener->mode == SPOKE_SUBSCRIBE_OBSERVE) {
        g_assert_false(entry->completed);
        entry->observed = TRUE;
        return;
    }
    hold(world, check_hand_out(world, delivered), owner, delivered);
    g_assert_cmpuint(count_held(world, listener->number), <=, listener->credit);
}

static void
on_paused(SpokePause pause, gpointer user_data)
{
}

static void
on_dead_letter(guint64 id, SpokeDeadReason reason, guint delivery_count, gpointer user_data)
{
    World *world = user_data;

    for (guint i = 0; i < world->entries->len; i++) {
        Entry *entry = g_ptr_array_index(world->entries, i);

        if (entry->id == id) {
            g_assert_false(entry->completed);
            entry->dead = TRUE;
        }
    }
}

static void
start(World *world)
{
    static const SpokeDeliveryEvents events = {on_deliver, on_paused, on_dead_letter};
    static const SpokeDeliveryOptions options = {
        .messages_max = 60,
        .bytes_max = 1024 * 1024,
        .delivery_count_max = DELIVERY_COUNT_MAX,
        .dead_letters_max = 100000,
    };
    FakeClock *clock = fake_clock_new();
    g_autoptr(GError) error = NULL;

    if (world->clock != NULL)
        memcpy(clock->now_usec, world->clock->now_usec, sizeof clock->now_usec);
    world->clock = clock;
    world->inbox = disk_open_inbox(world->disk);
    world->delivery =
        spoke_delivery_new(world->inbox, &clock->table, &options, &events, world, &error);
    g_assert_no_error(error);
}

static void
restart(World *world)
{
    FakeClock before = *world->clock;

    disk_fail(world->disk, -1);
    world->stopping = TRUE;
    spoke_delivery_free(world->delivery);
    disk_close(world->disk);
    world->stopping = FALSE;
    g_assert_cmpuint(world->waiting, ==, 0);
    g_array_set_size(world->listeners, 0);
    for (guint i = 0; i < world->entries->len; i++) {
        Entry *entry = g_ptr_array_index(world->entries, i);

        release(entry);
        entry->repeatable = FALSE;
    }
    world->clock = &before;
    start(world);
    disk_hold(world->disk, FALSE);
}

static void
lose_power(World *world)
{
    disk_lose_power(world->disk);
    restart(world);
}

static void
on_taken_over(const GError *error, gpointer user_data)
{
    g_autoptr(Question) question = user_data;

    question->entry->sent = FALSE;
    if (error == NULL)
        question->entry->taken = question->entry->repeatable = TRUE;
}

static SpokeMessage *
make_message(World *world, const Entry *entry)
{
    const char kind[] = {entry->kind, '\0'};
    g_autoptr(GByteArray) system = g_byte_array_new();
    g_autoptr(GByteArray) properties = g_byte_array_new();

    spoke_properties_append(system, SPOKE_PROPERTY_MESSAGE_ID, entry->body);
    spoke_properties_append(properties, "kind", kind);
    return spoke_message_new(system->data, system->len, properties->data, properties->len,
                             entry->body, strlen(entry->body));
}

static void
offer(World *world, Entry *entry)
{
    g_autoptr(SpokeMessage) message = make_message(world, entry);

    entry->sent = TRUE;
    spoke_delivery_take_over(world->delivery, message, on_taken_over, question_new(world, entry));
    if (message->id != 0)
        entry->id = message->id;
}

static Entry *
any_entry(World *world)
{
    if (world->entries->len == 0)
        return NULL;
    return g_ptr_array_index(world->entries,
                             (guint)g_test_rand_int_range(0, (gint)world->entries->len));
}

static void
step_send(World *world)
{
    Entry *entry = g_new0(Entry, 1);

    entry->body = g_strdup_printf("%u", world->entries->len);
    entry->kind = chance(50) ? 'x' : 'y';
    g_ptr_array_add(world->entries, entry);
    offer(world, entry);
}

/* What the hub does when it heard an error, or nothing. Not if the message may have left before the
 * last restart: then it would rightly come in again. */
static void
step_send_again(World *world)
{
    Entry *entry = any_entry(world);

    if (entry == NULL || entry->sent)
        return;
    if (entry->repeatable ||
        (!entry->taken && !entry->completed && !entry->gone && !entry->unknown))
        offer(world, entry);
}

static void
step_subscribe(World *world)
{
    static const char kinds[] = {0, 0, 'x', 'y'};
    Listener listener = {
        .owner = (guint)g_test_rand_int_range(0, OWNERS),
        .mode = chance(80) ? SPOKE_SUBSCRIBE_HANDLE : SPOKE_SUBSCRIBE_OBSERVE,
        .kind = kinds[g_test_rand_int_range(0, G_N_ELEMENTS(kinds))],
        .credit = (guint)g_test_rand_int_range(1, 4),
    };
    const char kind[] = {listener.kind, '\0'};
    GByteArray *list = g_byte_array_new();

    if (listener.kind != 0)
        spoke_properties_append(list, "kind", kind);

    g_autoptr(GBytes) filter = g_byte_array_free_to_bytes(list);

    listener.number =
        spoke_delivery_subscribe(world->delivery, owners[listener.owner], listener.mode, filter,
                                 LOCK_MSEC, listener.credit, NULL);
    if (listener.number != 0)
        g_array_append_val(world->listeners, listener);
}

static void
forget_listener(World *world, guint index)
{
    guint32 number = g_array_index(world->listeners, Listener, index).number;

    for (guint i = 0; i < world->entries->len; i++) {
        Entry *entry = g_ptr_array_index(world->entries, i);

        if (entry->subscription == number)
            release(entry);
    }
    g_array_remove_index(world->listeners, index);
}

static void
step_unsubscribe(World *world)
{
    if (world->listeners->len == 0)
        return;

    guint index = (guint)g_test_rand_int_range(0, (gint)world->listeners->len);
    const Listener *listener = &g_array_index(world->listeners, Listener, index);

    g_assert_true(spoke_delivery_unsubscribe(world->delivery, owners[listener->owner],
                                             listener->number, NULL));
    forget_listener(world, index);
}

static void
step_leave(World *world)
{
    guint owner = (guint)g_test_rand_int_range(0, OWNERS);

    for (guint i = world->listeners->len; i-- > 0;) {
        if (g_array_index(world->listeners, Listener, i).owner == owner)
            forget_listener(world, i);
    }
    spoke_delivery_drop_owner(world->delivery, owners[owner]);
}

static void
on_received(const SpokeDelivered *delivered, const GError *error, gpointer user_data)
{
    g_autoptr(Question) question = user_data;
    World *world = question->world;

    world->waiting--;
    if (error != NULL)
        return;
    if (world->stopping) { /* whether it is off the disk, nobody knows */
        find_entry(world, delivered->message)->unknown = TRUE;
        return;
    }
    if (question->dead_letter) {
        Entry *entry = find_entry(world, delivered->message);

        g_assert_false(entry->completed);
        g_assert_false(entry->gone);
        /* Nobody may have heard of its death, if the daemon ended meanwhile. */
        g_assert_true(entry->dead || entry->unknown ||
                      delivered->delivery_count >= DELIVERY_COUNT_MAX);
        entry->dead = entry->gone = TRUE;
        return;
    }

    Entry *entry = check_hand_out(world, delivered);

    if (delivered->lock_msec != 0)
        hold(world, entry, question->user, delivered);
    else
        entry->completed = TRUE;
}

static void
receive(World *world, gint64 timeout_sec, guint64 lock_msec, gboolean dead_letter)
{
    guint owner = (guint)g_test_rand_int_range(0, OWNERS);
    Question *question = question_new(world, NULL);

    question->user = g_strconcat("user of ", owners[owner], NULL);
    question->dead_letter = dead_letter;
    if (spoke_delivery_receive(world->delivery, owners[owner], question->user,
                               timeout_sec * G_USEC_PER_SEC, NULL, lock_msec, dead_letter,
                               on_received, question, NULL))
        world->waiting++;
    else
        question_free(question);
}

static void
step_receive(World *world)
{
    gboolean dead_letter = chance(20);

    receive(world, g_test_rand_int_range(0, 20), dead_letter || chance(30) ? 0 : LOCK_MSEC / 2,
            dead_letter);
}

static void
on_settled(const GError *error, gpointer user_data)
{
    g_autoptr(Question) question = user_data;
    Entry *entry = question->entry;

    if (error != NULL)
        entry->unknown = TRUE;
    else if (question->settle == SPOKE_SETTLE_COMPLETE)
        entry->completed = TRUE;
    else if (question->settle == SPOKE_SETTLE_REJECT)
        g_assert_true(entry->dead);
}

static void
step_settle(World *world)
{
    Entry *entry = any_entry(world);

    if (entry == NULL || entry->holder == NULL)
        return;

    Question *question = question_new(world, entry);
    g_autoptr(GError) error = NULL;

    question->settle = chance(60)   ? SPOKE_SETTLE_COMPLETE
                       : chance(80) ? SPOKE_SETTLE_ABANDON
                                    : SPOKE_SETTLE_REJECT;
    if (spoke_delivery_settle(world->delivery, entry->holder, entry->holder, entry->id,
                              question->settle, on_settled, question, &error)) {
        release(entry);
        return;
    }
    /* Nobody else has taken the lock away: it must have run out. */
    g_assert_error(error, SPOKE_ERROR, SPOKE_ERROR_NO_SUCH_MESSAGE);
    g_assert_cmpint(entry->lock_end_usec, <=, boot_now(world));
    question_free(question);
}

static void
iterate(gpointer user_data)
{
    while (g_main_context_iteration(NULL, FALSE))
        ;
}

static void
step_wait(World *world)
{
    fake_clock_advance(world->clock, g_test_rand_int_range(1, 8) * G_USEC_PER_SEC, iterate, NULL);
}

static void
step_disk(World *world)
{
    disk_hold(world->disk, chance(50));
    disk_fail(world->disk, chance(20) ? SPOKE_ERROR_STORAGE_FAILED : -1);
    for (gint n = g_test_rand_int_range(0, 5); n > 0; n--)
        disk_commit(world->disk);
}

static void
step_iterate(World *world)
{
    for (gint n = g_test_rand_int_range(1, 10); n > 0; n--)
        g_main_context_iteration(NULL, FALSE);
}

static const struct {
    guint weight;
    void (*step)(World *world);
} steps[] = {
    {20, step_send}, {3, step_send_again}, {6, step_subscribe}, {3, step_unsubscribe},
    {3, step_leave}, {10, step_receive},   {40, step_settle},   {8, step_wait},
    {10, step_disk}, {60, step_iterate},   {1, restart},        {1, lose_power},
};

static void
take_step(World *world)
{
    guint total = 0;

    for (guint i = 0; i < G_N_ELEMENTS(steps); i++)
        total += steps[i].weight;

    guint number = (guint)g_test_rand_int_range(0, (gint)total);

    for (guint i = 0; i < G_N_ELEMENTS(steps); i++) {
        if (number < steps[i].weight) {
            steps[i].step(world);
            return;
        }
        number -= steps[i].weight;
    }
}

/* Nobody listens any more: what is there comes out through Receive. */
static void
drain(World *world)
{
    restart(world);
    iterate(NULL);
    for (gboolean dead_letter = FALSE; dead_letter <= TRUE; dead_letter++) {
        while (dead_letter ? spoke_delivery_get_dead_letters(world->delivery) > 0
                           : spoke_delivery_get_waiting(world->delivery) > 0) {
            receive(world, 0, 0, dead_letter);
            iterate(NULL);
        }
    }
}

static void
check_ledger(World *world)
{
    for (guint i = 0; i < world->entries->len; i++) {
        const Entry *entry = g_ptr_array_index(world->entries, i);
        gboolean observers_had_it = entry->observed && entry->count == 0;

        if (entry->taken)
            g_assert_true(entry->completed || entry->gone || entry->unknown || observers_had_it);
        else if (entry->completed || entry->gone)
            g_test_message("%s came in although the hub was told it didn't", entry->body);
    }
}

static void
entry_free(gpointer data)
{
    Entry *entry = data;

    release(entry);
    g_free(entry->body);
    g_free(entry);
}

static void
test_random_lives(void)
{
    for (guint life = 0; life < LIVES; life++) {
        World world = {.disk = disk_new(),
                       .entries = g_ptr_array_new_with_free_func(entry_free),
                       .listeners = g_array_new(FALSE, FALSE, sizeof(Listener))};

        start(&world);
        for (guint step = 0; step < STEPS; step++)
            take_step(&world);
        drain(&world);
        check_ledger(&world);

        spoke_delivery_free(world.delivery);
        disk_close(world.disk);
        disk_free(world.disk);
        iterate(NULL);
        g_ptr_array_unref(world.entries);
        g_array_unref(world.listeners);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/delivery-random/lives", test_random_lives);
    return g_test_run();
}
