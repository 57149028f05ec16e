/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The life cycle of cloud-to-device messages, on virtual time. */

#include "bag.h"
#include "c2d.h"
#include "error.h"
#include "store.h"

#include <string.h>

#define SEC      ((gint64)G_USEC_PER_SEC)
#define START    (1800000000 * SEC)
#define LOCK_SEC 60
#define TTL_SEC  3600

typedef struct {
    EmuStore *store;
    EmuC2d *c2d;
    gint64 now_usec;
    guint ready;  /* how often a device was said to have something */
    guint sooner; /* how often an earlier deadline was announced */
} Fixture;

static void
on_ready(const char *device_id, gpointer user_data)
{
    ((Fixture *)user_data)->ready++;
}

static void
on_sooner(gpointer user_data)
{
    ((Fixture *)user_data)->sooner++;
}

static const EmuC2dEvents events = {.ready = on_ready, .sooner = on_sooner};

static EmuC2d *
make_queue(Fixture *fixture, gboolean count_locks)
{
    const EmuC2dLimits limits = {.lock_usec = LOCK_SEC * SEC,
                                 .max_deliveries = 3,
                                 .count_locks = count_locks,
                                 .ttl_usec = TTL_SEC * SEC};

    return emu_c2d_new(fixture->store, &limits, &events, fixture);
}

static void
set_up(Fixture *fixture, gconstpointer count_locks)
{
    fixture->store = emu_store_open(":memory:", NULL);
    fixture->c2d = make_queue(fixture, count_locks != NULL);
    fixture->now_usec = START;
}

static void
tear_down(Fixture *fixture, gconstpointer data)
{
    emu_c2d_free(fixture->c2d);
    emu_store_free(fixture->store);
}

static EmuC2dNew
message_of(const char *id, EmuAck ack)
{
    return (EmuC2dNew){.device_id = "d",
                       .generation_id = "7",
                       .message_id = id,
                       .bag = "k=v",
                       .body = "hello",
                       .body_size = 5,
                       .ack = ack};
}

static guint64
send(Fixture *fixture, const char *id, EmuAck ack)
{
    g_autoptr(GError) error = NULL;
    const EmuC2dNew message = message_of(id, ack);
    guint64 sequence = emu_c2d_send(fixture->c2d, &message, fixture->now_usec, NULL, &error);

    g_assert_no_error(error);
    return sequence;
}

static EmuC2dMessage *
take(Fixture *fixture)
{
    return emu_c2d_take(fixture->c2d, "d", fixture->now_usec);
}

/* Takes the next message, which has to be @id, and answers its lock. */
static guint64
take_lock(Fixture *fixture, const char *id)
{
    g_autoptr(EmuC2dMessage) message = take(fixture);

    g_assert_nonnull(message);
    g_assert_cmpstr(message->message_id, ==, id);
    return message->lock;
}

static void
pass(Fixture *fixture, gint64 sec)
{
    fixture->now_usec += sec * SEC;
    emu_c2d_expire(fixture->c2d, fixture->now_usec);
}

static void
assert_fate(Fixture *fixture, const char *id, EmuC2dState state, const char *reason, guint count)
{
    g_autoptr(EmuC2dMessage) message = emu_c2d_find(fixture->c2d, "d", id);

    g_assert_nonnull(message);
    g_assert_cmpstr(emu_c2d_state_name(message->state), ==, emu_c2d_state_name(state));
    g_assert_cmpstr(message->reason, ==, reason);
    g_assert_cmpuint(message->delivery_count, ==, count);
}

static void
assert_feedback(Fixture *fixture, const char *expected)
{
    g_autoptr(GPtrArray) list = emu_c2d_feedback(fixture->c2d, fixture->now_usec);
    g_autoptr(GString) text = g_string_new(NULL);

    for (guint i = 0; i < list->len; i++) {
        const EmuFeedback *feedback = g_ptr_array_index(list, i);
        g_assert_cmpstr(feedback->generation_id, ==, "7");
        g_string_append_printf(text, "%s %s\n", feedback->original_message_id, feedback->status);
    }
    g_assert_cmpstr(text->str, ==, expected);
}

static void
test_take_gives_what_was_sent(Fixture *fixture, gconstpointer data)
{
    EmuC2dNew new = message_of("m1", EMU_ACK_FULL);
    new.expiry_usec = fixture->now_usec + 600 * SEC;
    g_assert_cmpuint(emu_c2d_send(fixture->c2d, &new, fixture->now_usec, NULL, NULL), ==, 1);

    g_autoptr(EmuC2dMessage) message = take(fixture);

    g_assert_cmpint(message->state, ==, EMU_C2D_INVISIBLE);
    g_assert_cmpuint(message->deliveries, ==, 1);
    g_assert_cmpint(message->locked_until_usec, ==, START + LOCK_SEC * SEC);
    g_assert_cmpstr(message->bag, ==,
                    "%24.mid=m1&%24.exp=2027-01-15T08%3A10%3A00.0000000Z&iothub-ack=full&k=v");
    g_assert_cmpmem(g_bytes_get_data(message->body, NULL), g_bytes_get_size(message->body), "hello",
                    5);
    g_assert_null(take(fixture));
}

static void
test_send_makes_an_id_when_there_is_none(Fixture *fixture, gconstpointer data)
{
    const EmuC2dNew new = message_of(NULL, EMU_ACK_NONE);
    g_autofree char *id = NULL;

    g_assert_cmpuint(emu_c2d_send(fixture->c2d, &new, START, &id, NULL), >, 0);
    g_assert_true(g_uuid_string_is_valid(id));
}

static void
test_send_refuses_the_51st(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    const EmuC2dNew new = message_of("last", EMU_ACK_NONE);

    for (guint i = 0; i < EMU_C2D_QUEUE_MAX; i++)
        send(fixture, NULL, EMU_ACK_NONE);
    g_autoptr(EmuC2dMessage) locked = take(fixture);

    g_assert_cmpuint(emu_c2d_send(fixture->c2d, &new, START, NULL, &error), ==, 0);
    g_assert_error(error, EMU_ERROR, EMU_ERROR_QUEUE_FULL);
    g_assert_true(emu_c2d_complete(fixture->c2d, locked->lock, START, NULL));
    g_assert_cmpuint(emu_c2d_send(fixture->c2d, &new, START, NULL, NULL), >, 0);
}

static void
test_send_refuses_bad_input(Fixture *fixture, gconstpointer data)
{
    static const char big[EMU_C2D_BYTES_MAX + 1];
    EmuC2dNew new = message_of("bad id", EMU_ACK_NONE);
    g_autoptr(GError) id_error = NULL;
    g_autoptr(GError) size_error = NULL;
    g_autoptr(GError) past_error = NULL;
    g_autoptr(GError) future_error = NULL;

    g_assert_cmpuint(emu_c2d_send(fixture->c2d, &new, START, NULL, &id_error), ==, 0);
    g_assert_error(id_error, EMU_ERROR, EMU_ERROR_ARGUMENT);

    new = message_of("m", EMU_ACK_NONE);
    new.body = big;
    new.body_size = EMU_C2D_BYTES_MAX - 1; /* and "k=v" counts 2 */
    g_assert_cmpuint(emu_c2d_send(fixture->c2d, &new, START, NULL, &size_error), ==, 0);
    g_assert_error(size_error, EMU_ERROR, EMU_ERROR_TOO_LARGE);
    new.body_size = EMU_C2D_BYTES_MAX - 2;
    g_assert_cmpuint(emu_c2d_send(fixture->c2d, &new, START, NULL, NULL), >, 0);

    new = message_of("m2", EMU_ACK_NONE);
    new.expiry_usec = START;
    g_assert_cmpuint(emu_c2d_send(fixture->c2d, &new, START, NULL, &past_error), ==, 0);
    g_assert_error(past_error, EMU_ERROR, EMU_ERROR_EXPIRY);
    new.expiry_usec = START + (EMU_C2D_TTL_MAX_SEC + 1) * SEC;
    g_assert_cmpuint(emu_c2d_send(fixture->c2d, &new, START, NULL, &future_error), ==, 0);
    g_assert_error(future_error, EMU_ERROR, EMU_ERROR_EXPIRY);
}

static void
test_complete_ends_it_and_tells(Fixture *fixture, gconstpointer data)
{
    send(fixture, "a", EMU_ACK_POSITIVE);
    send(fixture, "b", EMU_ACK_NEGATIVE);
    send(fixture, "c", EMU_ACK_FULL);

    for (const char *id = "abc"; *id != '\0'; id++)
        g_assert_true(emu_c2d_complete(fixture->c2d, take_lock(fixture, (char[]){*id, 0}),
                                       fixture->now_usec, NULL));

    assert_fate(fixture, "a", EMU_C2D_COMPLETED, "Success", 0);
    assert_feedback(fixture, "a Success\nc Success\n");
    g_assert_cmpuint(emu_c2d_count(fixture->c2d, "d"), ==, 0);
}

static void
test_complete_works_once(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    send(fixture, "a", EMU_ACK_FULL);
    guint64 lock = take_lock(fixture, "a");
    g_assert_true(emu_c2d_complete(fixture->c2d, lock, fixture->now_usec, NULL));

    g_assert_false(emu_c2d_complete(fixture->c2d, lock, fixture->now_usec, &error));
    g_assert_error(error, EMU_ERROR, EMU_ERROR_LOCK_LOST);
    assert_feedback(fixture, "a Success\n");
}

static void
test_reject_dead_letters(Fixture *fixture, gconstpointer data)
{
    send(fixture, "a", EMU_ACK_NEGATIVE);

    g_assert_true(emu_c2d_reject(fixture->c2d, take_lock(fixture, "a"), fixture->now_usec, NULL));

    assert_fate(fixture, "a", EMU_C2D_DEAD_LETTERED, "Rejected", 0);
    assert_feedback(fixture, "a Rejected\n");
}

static void
test_abandon_counts_up_to_the_limit(Fixture *fixture, gconstpointer data)
{
    send(fixture, "a", EMU_ACK_FULL);
    fixture->ready = 0;

    for (guint i = 1; i <= 3; i++)
        g_assert_true(
            emu_c2d_abandon(fixture->c2d, take_lock(fixture, "a"), fixture->now_usec, NULL));

    g_assert_cmpuint(fixture->ready, ==, 2);
    assert_fate(fixture, "a", EMU_C2D_DEAD_LETTERED, "DeliveryCountExceeded", 3);
    assert_feedback(fixture, "a DeliveryCountExceeded\n");
}

static void
test_abandon_lets_later_ones_pass(Fixture *fixture, gconstpointer data)
{
    send(fixture, "a", EMU_ACK_NONE);
    send(fixture, "b", EMU_ACK_NONE);

    guint64 first = take_lock(fixture, "a");
    (void)take_lock(fixture, "b");
    g_assert_true(emu_c2d_abandon(fixture->c2d, first, fixture->now_usec, NULL));

    (void)take_lock(fixture, "a");
}

static void
test_lock_ends_and_the_message_comes_again(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    send(fixture, "a", EMU_ACK_NONE);
    guint64 lost = take_lock(fixture, "a");
    g_assert_cmpint(emu_c2d_next_deadline(fixture->c2d), ==, START + LOCK_SEC * SEC);
    pass(fixture, LOCK_SEC - 1);
    g_assert_null(take(fixture));
    fixture->ready = 0;
    pass(fixture, 1);

    g_assert_cmpuint(fixture->ready, ==, 1);
    g_assert_false(emu_c2d_is_locked(fixture->c2d, lost));
    g_autoptr(EmuC2dMessage) again = take(fixture);
    g_assert_cmpuint(again->deliveries, ==, 2);
    g_assert_cmpuint(again->delivery_count, ==, 0);
    g_assert_false(emu_c2d_complete(fixture->c2d, lost, fixture->now_usec, &error));
    g_assert_error(error, EMU_ERROR, EMU_ERROR_LOCK_LOST);
    g_assert_true(emu_c2d_complete(fixture->c2d, again->lock, fixture->now_usec, NULL));
}

static void
test_lock_timeouts_count_if_asked(Fixture *fixture, gconstpointer data)
{
    send(fixture, "a", EMU_ACK_FULL);

    for (guint i = 0; i < 3; i++) {
        (void)take_lock(fixture, "a");
        pass(fixture, LOCK_SEC);
    }

    assert_fate(fixture, "a", EMU_C2D_DEAD_LETTERED, "DeliveryCountExceeded", 3);
}

static void
test_life_ends_in_the_queue(Fixture *fixture, gconstpointer data)
{
    send(fixture, "a", EMU_ACK_FULL);
    g_assert_cmpint(emu_c2d_next_deadline(fixture->c2d), ==, START + TTL_SEC * SEC);

    pass(fixture, TTL_SEC);

    assert_fate(fixture, "a", EMU_C2D_DEAD_LETTERED, "Expired", 0);
    assert_feedback(fixture, "a Expired\n");
    g_assert_cmpint(emu_c2d_next_deadline(fixture->c2d), ==, G_MAXINT64);
}

static void
test_life_ends_with_the_lock_at_the_earliest(Fixture *fixture, gconstpointer data)
{
    EmuC2dNew new = message_of("a", EMU_ACK_FULL);
    new.expiry_usec = START + 10 * SEC;
    g_assert_cmpuint(emu_c2d_send(fixture->c2d, &new, START, NULL, NULL), >, 0);
    guint64 lock = take_lock(fixture, "a");

    pass(fixture, 20);
    assert_fate(fixture, "a", EMU_C2D_INVISIBLE, NULL, 0);
    g_assert_true(emu_c2d_is_locked(fixture->c2d, lock));
    pass(fixture, LOCK_SEC);

    assert_fate(fixture, "a", EMU_C2D_DEAD_LETTERED, "Expired", 0);
}

static void
test_expired_message_is_not_taken(Fixture *fixture, gconstpointer data)
{
    send(fixture, "a", EMU_ACK_NONE);
    fixture->now_usec += TTL_SEC * SEC;

    g_assert_null(take(fixture));
}

static void
test_purge_drops_what_waits_and_what_is_locked(Fixture *fixture, gconstpointer data)
{
    send(fixture, "a", EMU_ACK_NEGATIVE);
    send(fixture, "b", EMU_ACK_NONE);
    guint64 lock = take_lock(fixture, "a");

    g_assert_cmpuint(emu_c2d_purge(fixture->c2d, "d", fixture->now_usec), ==, 2);

    assert_fate(fixture, "a", EMU_C2D_PURGED, "Purged", 0);
    assert_feedback(fixture, "a Purged\n");
    g_assert_false(emu_c2d_complete(fixture->c2d, lock, fixture->now_usec, NULL));
}

static void
test_finished_ones_leave_after_a_thousand(Fixture *fixture, gconstpointer data)
{
    for (guint i = 0; i <= EMU_C2D_FINISHED_MAX; i++) {
        g_autofree char *id = g_strdup_printf("m%u", i);
        send(fixture, id, EMU_ACK_FULL);
        g_assert_true(
            emu_c2d_complete(fixture->c2d, take_lock(fixture, id), fixture->now_usec, NULL));
    }
    g_autoptr(GPtrArray) list = emu_c2d_list(fixture->c2d, "d");
    g_autoptr(GPtrArray) feedback = emu_c2d_feedback(fixture->c2d, fixture->now_usec);

    g_assert_cmpuint(list->len, ==, EMU_C2D_FINISHED_MAX);
    g_assert_cmpuint(feedback->len, ==, EMU_C2D_FEEDBACK_MAX);
    g_assert_null(emu_c2d_find(fixture->c2d, "d", "m0"));
}

static void
test_feedback_lives_an_hour(Fixture *fixture, gconstpointer data)
{
    send(fixture, "a", EMU_ACK_FULL);
    g_assert_true(emu_c2d_complete(fixture->c2d, take_lock(fixture, "a"), fixture->now_usec, NULL));

    pass(fixture, 3599);
    assert_feedback(fixture, "a Success\n");
    pass(fixture, 1);
    assert_feedback(fixture, "");
}

static void
test_queues_are_apart(Fixture *fixture, gconstpointer data)
{
    send(fixture, "a", EMU_ACK_NONE);

    g_assert_null(emu_c2d_take(fixture->c2d, "e", fixture->now_usec));
    emu_c2d_forget(fixture->c2d, "e");
    g_assert_cmpuint(emu_c2d_count(fixture->c2d, "d"), ==, 1);
    emu_c2d_forget(fixture->c2d, "d");
    g_assert_cmpuint(emu_c2d_count(fixture->c2d, "d"), ==, 0);
}

static void
test_sooner_is_told_for_earlier_deadlines_only(Fixture *fixture, gconstpointer data)
{
    send(fixture, "a", EMU_ACK_NONE);
    g_assert_cmpuint(fixture->sooner, ==, 1);
    send(fixture, "b", EMU_ACK_NONE);
    g_assert_cmpuint(fixture->sooner, ==, 1);
    (void)take_lock(fixture, "a");
    g_assert_cmpuint(fixture->sooner, ==, 2);
}

/* A killed hub leaves the file as it is: another one finds every state. */
static void
test_state_outlives_the_process(void)
{
    g_autofree char *directory = g_dir_make_tmp("emulator-c2d-XXXXXX", NULL);
    g_autofree char *file = g_build_filename(directory, "hub.db", NULL);
    Fixture fixture = {.now_usec = START};

    fixture.store = emu_store_open(file, NULL);
    fixture.c2d = make_queue(&fixture, FALSE);
    send(&fixture, "locked", EMU_ACK_NONE);
    send(&fixture, "waits", EMU_ACK_NONE);
    guint64 lock = take_lock(&fixture, "locked");
    tear_down(&fixture, NULL);

    fixture.store = emu_store_open(file, NULL);
    fixture.c2d = make_queue(&fixture, FALSE);
    assert_fate(&fixture, "locked", EMU_C2D_INVISIBLE, NULL, 0);
    (void)take_lock(&fixture, "waits");
    g_assert_true(emu_c2d_complete(fixture.c2d, lock, fixture.now_usec, NULL));
    g_assert_cmpuint(send(&fixture, "later", EMU_ACK_NONE), ==, 3);
    tear_down(&fixture, NULL);

    g_autofree char *command = g_strdup_printf("rm -r %s", directory);
    g_assert_true(g_spawn_command_line_sync(command, NULL, NULL, NULL, NULL));
}

static void
add(const char *path, void (*test)(Fixture *fixture, gconstpointer data))
{
    g_test_add(path, Fixture, NULL, set_up, test, tear_down);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add("/c2d/take/gives-what-was-sent", test_take_gives_what_was_sent);
    add("/c2d/send/makes-an-id-when-there-is-none", test_send_makes_an_id_when_there_is_none);
    add("/c2d/send/refuses-the-51st", test_send_refuses_the_51st);
    add("/c2d/send/refuses-bad-input", test_send_refuses_bad_input);
    add("/c2d/complete/ends-it-and-tells", test_complete_ends_it_and_tells);
    add("/c2d/complete/works-once", test_complete_works_once);
    add("/c2d/reject/dead-letters", test_reject_dead_letters);
    add("/c2d/abandon/counts-up-to-the-limit", test_abandon_counts_up_to_the_limit);
    add("/c2d/abandon/lets-later-ones-pass", test_abandon_lets_later_ones_pass);
    add("/c2d/lock/ends-and-the-message-comes-again", test_lock_ends_and_the_message_comes_again);
    g_test_add("/c2d/lock/timeouts-count-if-asked", Fixture, GINT_TO_POINTER(TRUE), set_up,
               test_lock_timeouts_count_if_asked, tear_down);
    add("/c2d/life/ends-in-the-queue", test_life_ends_in_the_queue);
    add("/c2d/life/ends-with-the-lock-at-the-earliest",
        test_life_ends_with_the_lock_at_the_earliest);
    add("/c2d/life/expired-message-is-not-taken", test_expired_message_is_not_taken);
    add("/c2d/purge/drops-what-waits-and-what-is-locked",
        test_purge_drops_what_waits_and_what_is_locked);
    add("/c2d/finished/ones-leave-after-a-thousand", test_finished_ones_leave_after_a_thousand);
    add("/c2d/feedback/lives-an-hour", test_feedback_lives_an_hour);
    add("/c2d/queues/are-apart", test_queues_are_apart);
    add("/c2d/sooner/is-told-for-earlier-deadlines-only",
        test_sooner_is_told_for_earlier_deadlines_only);
    g_test_add_func("/c2d/state/outlives-the-process", test_state_outlives_the_process);
    return g_test_run();
}
