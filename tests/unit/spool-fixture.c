/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "spool-fixture.h"

#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEADLINE_SEC 20

static gint64
fake_boottime(gpointer user_data)
{
    return atomic_load(&((Fixture *)user_data)->boottime_usec);
}

static gint64
fake_wall(gpointer user_data)
{
    return atomic_load(&((Fixture *)user_data)->wall_usec);
}

/* An alarm clock that rings when the test moves the time */
typedef struct {
    SpokeClock table;
    Fixture *fixture;
} AlarmClock;

static gint64
alarm_now(SpokeClock *self, SpokeClockKind kind)
{
    g_assert_cmpint(kind, ==, SPOKE_CLOCK_BOOT);
    return fake_boottime(((AlarmClock *)self)->fixture);
}

static void
alarm_set(SpokeClock *self, SpokeClockKind kind, gint64 at_usec)
{
    g_assert_cmpint(kind, ==, SPOKE_CLOCK_BOOT);
    ((AlarmClock *)self)->fixture->alarm_usec = at_usec;
}

static void
alarm_free(SpokeClock *self)
{
    Fixture *fixture = ((AlarmClock *)self)->fixture;

    fixture->clock = NULL;
    fixture->alarm_usec = SPOKE_CLOCK_NEVER;
    g_free(self);
}

static SpokeClock *
alarm_clock_new(Fixture *fixture)
{
    AlarmClock *clock = g_new0(AlarmClock, 1);

    clock->table = (SpokeClock){.now = alarm_now, .set_alarm = alarm_set, .free = alarm_free};
    clock->fixture = fixture;
    return &clock->table;
}

static void
ring_if_due(Fixture *fixture)
{
    if (fixture->clock == NULL || fixture->alarm_usec > fake_boottime(fixture))
        return;
    fixture->alarm_usec = SPOKE_CLOCK_NEVER;
    fixture->n_alarms++;
    fixture->clock->due(fixture->clock->user_data);
}

static void
on_corrupt(const char *set_aside, guint64 saved, guint64 lost, gpointer user_data)
{
    Fixture *fixture = user_data;

    fixture->n_corrupt++;
    g_free(fixture->set_aside);
    fixture->set_aside = g_strdup(set_aside);
    fixture->saved = saved;
    fixture->lost = lost;
}

static void
on_full(gboolean is_full, gpointer user_data)
{
    Fixture *fixture = user_data;

    g_assert_cmpint(fixture->is_full, !=, is_full);
    fixture->is_full = is_full;
    fixture->n_full++;
}

static void
on_failed(const char *text, gpointer user_data)
{
    Fixture *fixture = user_data;

    fixture->n_failed++;
    g_free(fixture->failure);
    fixture->failure = g_strdup(text);
}

static const SpokeSpoolEvents spool_events = {
    .corrupt = on_corrupt,
    .full = on_full,
    .failed = on_failed,
};

static void
on_ready(gpointer user_data)
{
    ((Fixture *)user_data)->n_ready++;
}

static void
on_settled(guint64 id, const char *notify, SpokeOutcome outcome, const char *detail,
           gpointer user_data)
{
    static const char *const names[] = {"accepted", "rejected", "expired", "dropped"};
    Fixture *fixture = user_data;

    fixture->n_settled++;
    if (fixture->on_settled != NULL)
        fixture->on_settled(id, outcome, fixture->user_data);
    if (notify != NULL)
        g_string_append_printf(fixture->settled, "%" G_GUINT64_FORMAT ":%s ", id, names[outcome]);
}

static void
on_empty(gpointer user_data)
{
    ((Fixture *)user_data)->n_empty++;
}

static const SpokeOutboxEvents outbox_events = {
    .ready = on_ready,
    .settled = on_settled,
    .empty = on_empty,
};

void
fixture_init(Fixture *fixture)
{
    *fixture = (Fixture){
        .directory = g_dir_make_tmp("spoke-test-XXXXXX", NULL),
        .boottime_usec = G_GINT64_CONSTANT(1000) * G_USEC_PER_SEC,
        .wall_usec = G_GINT64_CONSTANT(1800000000) * G_USEC_PER_SEC,
        .alarm_usec = SPOKE_CLOCK_NEVER,
        .flush_window_usec = 50 * 1000,
        .options = {.bytes_max = G_GUINT64_CONSTANT(1) << 30},
        .ids = g_array_new(FALSE, FALSE, sizeof(guint64)),
        .settled = g_string_new(NULL),
    };
    g_assert_nonnull(fixture->directory);
    fixture->time = (SpokeTimeSource){
        .boottime = fake_boottime, .wall = fake_wall, .boot_id = "boot-1", .user_data = fixture};
}

static void
remove_directory(const char *directory)
{
    g_autoptr(GDir) dir = g_dir_open(directory, 0, NULL);
    const char *name = NULL;

    while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *path = g_build_filename(directory, name, NULL);
        g_unlink(path);
    }
    g_rmdir(directory);
}

void
fixture_clear(Fixture *fixture)
{
    fixture_close(fixture);
    remove_directory(fixture->directory);
    g_clear_pointer(&fixture->directory, g_free);
    g_clear_pointer(&fixture->ids, g_array_unref);
    g_string_free(g_steal_pointer(&fixture->settled), TRUE);
    g_clear_pointer(&fixture->set_aside, g_free);
    g_clear_pointer(&fixture->failure, g_free);
}

void
fixture_open(Fixture *fixture)
{
    g_autoptr(GError) error = NULL;
    SpokeSpoolOptions options = {
        .directory = fixture->directory,
        .flush_window_usec = fixture->flush_window_usec,
        .events = &spool_events,
        .user_data = fixture,
    };

    fixture->clock = alarm_clock_new(fixture);
    fixture->spool = spoke_spool_open_with_clock(&options, &fixture->time, fixture->clock, &error);
    g_assert_no_error(error);
    fixture->outbox = spoke_outbox_open(fixture->spool, "self", &fixture->options, &outbox_events,
                                        fixture, &error);
    g_assert_no_error(error);
}

void
fixture_close(Fixture *fixture)
{
    g_clear_pointer(&fixture->outbox, spoke_outbox_free);
    g_clear_pointer(&fixture->spool, spoke_spool_free);
}

void
fixture_reopen(Fixture *fixture)
{
    fixture_close(fixture);
    fixture_open(fixture);
}

char *
fixture_path(Fixture *fixture, const char *name)
{
    return g_build_filename(fixture->directory, name, NULL);
}

static void
copy_file(Fixture *fixture, const char *to_directory, const char *name)
{
    g_autofree char *from = fixture_path(fixture, name);
    g_autofree char *to = g_build_filename(to_directory, name, NULL);
    g_autofree char *contents = NULL;
    gsize size = 0;

    g_assert_true(g_file_get_contents(from, &contents, &size, NULL));
    g_assert_true(g_file_set_contents(to, contents, (gssize)size, NULL));
}

void
fixture_crash(Fixture *fixture)
{
    g_autofree char *copy = g_dir_make_tmp("spoke-test-XXXXXX", NULL);

    /* The second time the writer is idle: the log has been moved into the file if it was full. */
    fixture_settle_down(fixture);
    copy_file(fixture, copy, "spool.db");
    copy_file(fixture, copy, "spool.db-wal");
    fixture_close(fixture);
    remove_directory(fixture->directory);
    g_free(fixture->directory);
    fixture->directory = g_steal_pointer(&copy);
    fixture_open(fixture);
}

static gboolean
on_deadline(gpointer user_data)
{
    g_error("Waited in vain");
    return G_SOURCE_REMOVE;
}

void
fixture_wait(Fixture *fixture, gboolean (*is_done)(Fixture *fixture))
{
    guint deadline = g_timeout_add_seconds(DEADLINE_SEC, on_deadline, fixture);

    while (!is_done(fixture))
        g_main_context_iteration(NULL, TRUE);
    g_source_remove(deadline);
}

typedef struct {
    SpokeSpoolOp op;
    gboolean *is_done;
} Marker;

static gboolean
marker_run(SpokeSpoolOp *op, SpokeStore *store, GError **error)
{
    return TRUE;
}

static void
marker_done(SpokeSpoolOp *op, const GError *error)
{
    *((Marker *)op)->is_done = TRUE;
}

static void
marker_free(SpokeSpoolOp *op)
{
    g_free(op);
}

static const SpokeSpoolOpClass marker_class = {
    .need = SPOKE_SPOOL_READS,
    .is_kept = TRUE,
    .run = marker_run,
    .done = marker_done,
    .free = marker_free,
};

void
fixture_settle_down(Fixture *fixture)
{
    /* Twice: what the first brought back may have led to more. */
    for (guint i = 0; i < 2; i++) {
        Marker *marker = g_new0(Marker, 1);
        gboolean is_done = FALSE;
        marker->op.class = &marker_class;
        marker->is_done = &is_done;
        spoke_spool_push(fixture->spool, &marker->op);
        while (!is_done)
            g_main_context_iteration(NULL, TRUE);
        while (g_main_context_iteration(NULL, FALSE))
            continue;
    }
}

void
fixture_advance(Fixture *fixture, gint64 usec)
{
    fixture->boottime_usec += usec;
    fixture->wall_usec += usec;
    ring_if_due(fixture);
    fixture_settle_down(fixture);
}

static gboolean
on_time_up(gpointer user_data)
{
    *(gboolean *)user_data = TRUE;
    return G_SOURCE_REMOVE;
}

void
fixture_run_for(gint64 usec)
{
    gboolean is_up = FALSE;

    g_timeout_add((guint)(usec / 1000), on_time_up, &is_up);
    while (!is_up)
        g_main_context_iteration(NULL, TRUE);
}

SpokeMessage *
fixture_message(const char *body, SpokeDurability durability)
{
    SpokeMessage *message = spoke_message_new(NULL, 0, NULL, 0, body, strlen(body));

    message->lane = g_ascii_isupper(body[0]) ? SPOKE_LANE_URGENT : SPOKE_LANE_NORMAL;
    message->flow = (guint64)g_ascii_tolower(body[0]) * G_GUINT64_CONSTANT(0x100000001b3);
    message->durability = durability;
    message->app = g_ref_string_new("test.service");
    message->notify = g_strdup(":1.1");
    return message;
}

static void
on_put(const guint64 *ids, guint n, const GError *error, gpointer user_data)
{
    Fixture *fixture = user_data;

    fixture->n_answers++;
    if (error != NULL) {
        fixture->n_refused++;
        fixture->refusal = error->code;
        return;
    }
    g_array_append_vals(fixture->ids, ids, n);
}

gboolean
fixture_put(Fixture *fixture, const char *body, SpokeDurability durability, GError **error)
{
    g_autoptr(SpokeMessage) message = fixture_message(body, durability);

    return spoke_outbox_put(fixture->outbox, &message, 1, on_put, fixture, error);
}

static void
wait_for_answers(Fixture *fixture, guint n)
{
    while (fixture->n_answers < n)
        g_main_context_iteration(NULL, TRUE);
}

void
fixture_put_all(Fixture *fixture, const char *bodies)
{
    g_auto(GStrv) names = g_strsplit(bodies, " ", -1);
    g_autoptr(GError) error = NULL;
    guint n = fixture->n_answers + g_strv_length(names);

    for (guint i = 0; names[i] != NULL; i++) {
        (void)fixture_put(fixture, names[i], SPOKE_DURABILITY_SYNCED, &error);
        g_assert_no_error(error);
    }
    wait_for_answers(fixture, n);
    g_assert_cmpuint(fixture->n_refused, ==, 0);
}

void
fixture_put_many(Fixture *fixture, char letter, guint first, guint last)
{
    g_autoptr(GError) error = NULL;
    guint n = fixture->n_answers + last - first + 1;

    for (guint i = first; i <= last; i++) {
        g_autofree char *name = g_strdup_printf("%c%u", letter, i);
        (void)fixture_put(fixture, name, SPOKE_DURABILITY_SYNCED, &error);
        g_assert_no_error(error);
    }
    wait_for_answers(fixture, n);
    g_assert_cmpuint(fixture->n_refused, ==, 0);
}

static void
unref_message(gpointer data)
{
    spoke_message_unref(data);
}

GPtrArray *
fixture_take(Fixture *fixture, guint max)
{
    GPtrArray *messages = g_ptr_array_new_with_free_func(unref_message);
    guint deadline = g_timeout_add_seconds(DEADLINE_SEC, on_deadline, fixture);
    guint n = 0;

    g_ptr_array_set_size(messages, (gint)max);
    while ((n = spoke_outbox_take(fixture->outbox, (SpokeMessage **)messages->pdata, max)) == 0)
        g_main_context_iteration(NULL, TRUE);
    g_source_remove(deadline);
    for (guint i = 0; i < n; i++)
        spoke_message_ref(messages->pdata[i]);
    g_ptr_array_set_free_func(messages, NULL);
    g_ptr_array_set_size(messages, (gint)n);
    g_ptr_array_set_free_func(messages, unref_message);
    return messages;
}

char *
fixture_names(GPtrArray *messages)
{
    GString *names = g_string_new(NULL);

    for (guint i = 0; i < messages->len; i++) {
        const SpokeMessage *message = messages->pdata[i];
        if (i > 0)
            g_string_append_c(names, ' ');
        g_string_append_len(names, spoke_message_body(message), (gssize)message->body_size);
    }
    return g_string_free(names, FALSE);
}

void
fixture_accept(Fixture *fixture, GPtrArray *messages)
{
    for (guint i = 0; i < messages->len; i++)
        spoke_outbox_settle(fixture->outbox, messages->pdata[i], SPOKE_OUTCOME_ACCEPTED, "");
}

char *
fixture_send(Fixture *fixture, guint n)
{
    GString *names = g_string_new(NULL);

    while (n > 0) {
        g_autoptr(GPtrArray) messages = fixture_take(fixture, MIN(n, 64));
        g_autofree char *part = fixture_names(messages);
        fixture_accept(fixture, messages);
        n -= messages->len;
        g_string_append_printf(names, "%s%s", names->len > 0 ? " " : "", part);
    }
    return g_string_free(names, FALSE);
}
