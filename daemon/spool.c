/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/spool-private.h"

#include "daemon/error.h"
#include "daemon/store-schema.h"

#include <errno.h>
#include <unistd.h>

/*
 * The main loop's side: it opens the store, starts the writer on it, and brings back what the
 * writer has done. Ids are given out here; the store only notes a bound far above them, so that
 * they never repeat although hardly a commit writes it.
 */
#define IDS_RESERVED_AHEAD (G_GUINT64_CONSTANT(1) << 20)

typedef struct {
    gpointer view; /* borrowed; removes itself */
    SpokeSpoolRecoveredFunc recovered;
} View;

struct SpokeSpool {
    char *path; /* owned; of the database */
    gint64 flush_window_usec;
    SpokeSpoolEvents events;
    gpointer events_data;

    SpokeSpoolClock clock;
    char id[SPOKE_SPOOL_ID_SIZE];
    SpokeMailbox *mailbox;    /* owned */
    SpokeSpoolWriter *writer; /* owned */

    guint64 next_id;
    guint64 reserved_id; /* ids below it may be given out */
    gboolean is_reserving;

    gsize ready_bytes;   /* see spoke_spool_get_ready_bytes() */
    GArray *views;       /* owned, of View */
    SpokeChores *chores; /* owned */
    SpokeChores *alarms; /* owned; on CLOCK_BOOTTIME */
};

typedef struct {
    SpokeSpoolOp op;
    SpokeSpool *spool;
    gboolean is_full;
    char *failure;            /* owned */
    SpokeSpoolDamage *damage; /* owned */
} EventOp;

typedef struct {
    SpokeSpoolOp op;
    SpokeSpool *spool;
    guint64 next_id;
} ReserveOp;

static void
ignore_corrupt(const char *set_aside, guint64 saved, guint64 lost, gpointer user_data)
{
}

static void
ignore_full(gboolean is_full, gpointer user_data)
{
}

static void
ignore_failed(const char *text, gpointer user_data)
{
}

static const SpokeSpoolEvents no_events = {
    .corrupt = ignore_corrupt,
    .full = ignore_full,
    .failed = ignore_failed,
};

/* Events: made on the writer's thread, told on the main loop. */

static void
event_op_free(SpokeSpoolOp *op)
{
    EventOp *event = (EventOp *)op;

    g_clear_pointer(&event->damage, spoke_spool_damage_unref);
    g_free(event->failure);
    g_free(event);
}

static void
full_done(SpokeSpoolOp *op, const GError *error)
{
    EventOp *event = (EventOp *)op;

    event->spool->events.full(event->is_full, event->spool->events_data);
}

static void
failed_done(SpokeSpoolOp *op, const GError *error)
{
    EventOp *event = (EventOp *)op;

    event->spool->events.failed(event->failure, event->spool->events_data);
}

static void
recovered_done(SpokeSpoolOp *op, const GError *error)
{
    EventOp *event = (EventOp *)op;
    GArray *views = event->spool->views;

    for (guint i = 0; i < views->len; i++) {
        const View *view = &g_array_index(views, View, i);
        view->recovered(view->view, event->damage);
    }
}

static const SpokeSpoolOpClass full_class = {.done = full_done, .free = event_op_free};
static const SpokeSpoolOpClass failed_class = {.done = failed_done, .free = event_op_free};
static const SpokeSpoolOpClass recovered_class = {.done = recovered_done, .free = event_op_free};

static EventOp *
event_op_new(SpokeSpool *spool, const SpokeSpoolOpClass *class)
{
    EventOp *event = g_new0(EventOp, 1);

    event->op.class = class;
    event->spool = spool;
    return event;
}

static SpokeSpoolOp *
on_full(gboolean is_full, gpointer user_data)
{
    EventOp *event = event_op_new(user_data, &full_class);

    event->is_full = is_full;
    return &event->op;
}

static SpokeSpoolOp *
on_failed(const GError *error, gpointer user_data)
{
    EventOp *event = event_op_new(user_data, &failed_class);

    event->failure = g_strdup(error->message);
    return &event->op;
}

/* Replaces a damaged store. @damaged: (transfer full) (nullable). Returns what to tell views. */
static SpokeSpoolOp *
recover(SpokeSpool *spool, SpokeStore *damaged, SpokeStore **ret_store, GError **error)
{
    EventOp *event = event_op_new(spool, &recovered_class);
    SpokeSpoolDamage *damage = g_new0(SpokeSpoolDamage, 1);

    damage->ref_count = 1;
    damage->spool = spool;
    event->damage = damage;
    *ret_store = spoke_store_recover(spool->path, damaged, &damage->store, error);
    if (*ret_store == NULL) {
        spoke_store_damage_clear(&damage->store);
        g_free(g_steal_pointer(&event->damage));
        event_op_free(&event->op);
        return NULL;
    }
    damage->generation = spoke_store_get_generation(*ret_store);
    return &event->op;
}

static SpokeSpoolOp *
on_damaged(SpokeStore **store, GError **error, gpointer user_data)
{
    SpokeSpool *spool = user_data;

    SpokeSpoolOp *op = recover(spool, g_steal_pointer(store), store, error);
    if (op != NULL)
        spoke_store_set_clock(*store, &spool->clock);
    return op;
}

static const SpokeSpoolWriterEvents writer_events = {
    .full = on_full,
    .failed = on_failed,
    .recover = on_damaged,
};

SpokeSpoolDamage *
spoke_spool_damage_ref(SpokeSpoolDamage *damage)
{
    damage->ref_count++;
    return damage;
}

void
spoke_spool_damage_unref(SpokeSpoolDamage *damage)
{
    if (--damage->ref_count > 0)
        return;

    SpokeSpool *spool = damage->spool;
    const SpokeStoreDamage *store = &damage->store;
    spool->events.corrupt(store->set_aside, store->saved + damage->restored,
                          store->lost - MIN(store->lost, damage->restored), spool->events_data);
    spoke_store_damage_clear(&damage->store);
    g_free(damage);
}

/* Letters */

static void
deliver(gpointer *letters, guint n, gpointer user_data)
{
    SpokeSpool *spool = user_data;

    spoke_chores_hold(spool->chores);
    for (guint i = 0; i < n; i++) {
        g_autoptr(GPtrArray) ops = letters[i]; /* frees them */
        for (guint j = 0; j < ops->len; j++) {
            SpokeSpoolOp *op = ops->pdata[j];
            op->class->done(op, op->error);
        }
    }
    spoke_chores_run_due(spool->chores);
}

static void
free_letter(gpointer letter)
{
    g_ptr_array_unref(letter);
}

/* Ids */

static gboolean
reserve_run(SpokeSpoolOp *op, SpokeStore *store, GError **error)
{
    SpokeStoreMeta meta = *spoke_store_get_meta(store);

    meta.next_id = ((ReserveOp *)op)->next_id;
    spoke_store_set_meta(store, &meta);
    return TRUE;
}

static void
reserve_done(SpokeSpoolOp *op, const GError *error)
{
    ReserveOp *reserve = (ReserveOp *)op;

    reserve->spool->reserved_id = reserve->next_id;
    reserve->spool->is_reserving = FALSE;
}

static void
reserve_free(SpokeSpoolOp *op)
{
    g_free(op);
}

static const SpokeSpoolOpClass reserve_class = {
    .need = SPOKE_SPOOL_REMOVES,
    .is_kept = TRUE,
    .run = reserve_run,
    .done = reserve_done,
    .free = reserve_free,
};

/* Notes in the store that ids below @next_id may be in use. */
static void
reserve_ids(SpokeSpool *spool, guint64 next_id)
{
    ReserveOp *reserve = g_new0(ReserveOp, 1);

    reserve->op.class = &reserve_class;
    reserve->spool = spool;
    reserve->next_id = next_id;
    spool->is_reserving = TRUE;
    spoke_spool_writer_push(spool->writer, &reserve->op);
}

gboolean
spoke_spool_allot_ids(SpokeSpool *spool, guint n, guint64 *ret_first, GError **error)
{
    if (!spool->is_reserving && spool->next_id + n + IDS_RESERVED_AHEAD / 2 > spool->reserved_id)
        reserve_ids(spool, spool->next_id + IDS_RESERVED_AHEAD);
    if (spool->next_id + n > spool->reserved_id) {
        g_set_error_literal(error, SPOKE_ERROR, SPOKE_ERROR_QUEUE_FULL,
                            "The disk of the message store is full or does not answer");
        return FALSE;
    }
    *ret_first = spool->next_id;
    spool->next_id += n;
    return TRUE;
}

/* Opening */

/* The first reservation is made while the store is still ours. A full disk only delays it. */
static gboolean
reserve_first_ids(SpokeSpool *spool, SpokeStore *store, GError **error)
{
    g_autoptr(GError) local_error = NULL;
    SpokeStoreMeta meta = *spoke_store_get_meta(store);

    spool->next_id = meta.next_id;
    spool->reserved_id = meta.next_id;
    meta.next_id = MIN(meta.next_id + IDS_RESERVED_AHEAD, SPOKE_ID_MAX);
    if (spoke_store_begin(store, &local_error)) {
        spoke_store_set_meta(store, &meta);
        if (spoke_store_commit(store, &local_error)) {
            spool->reserved_id = meta.next_id;
            return TRUE;
        }
    }
    spoke_store_rollback(store);
    if (g_error_matches(local_error, SPOKE_STORE_ERROR, SPOKE_STORE_ERROR_FULL))
        return TRUE;
    g_propagate_error(error, g_steal_pointer(&local_error));
    return FALSE;
}

/* The store, recovered if it must be; then *@ret_event tells of it. */
static SpokeStore *
open_store(SpokeSpool *spool, const SpokeTimeSource *time, SpokeSpoolOp **ret_event, GError **error)
{
    g_autoptr(GError) local_error = NULL;
    SpokeStore *store = NULL;

    if (spoke_store_ensure(spool->path, &local_error))
        store = spoke_store_open(spool->path, &local_error);
    if (store == NULL &&
        !g_error_matches(local_error, SPOKE_STORE_ERROR, SPOKE_STORE_ERROR_DAMAGED)) {
        g_propagate_error(error, g_steal_pointer(&local_error));
        return NULL;
    }
    if (store == NULL)
        *ret_event = recover(spool, NULL, &store, error);
    if (store == NULL)
        return NULL;

    const SpokeStoreMeta *meta = spoke_store_get_meta(store);
    (void)g_strlcpy(spool->id, meta->spool_id, sizeof spool->id);
    spoke_spool_clock_start(&spool->clock, time, &meta->mark);
    spoke_store_set_clock(store, &spool->clock);
    return store;
}

static gboolean
check_directory(const char *directory, GError **error)
{
    if (access(directory, R_OK | W_OK | X_OK) == 0)
        return TRUE;
    g_set_error(error, SPOKE_ERROR, SPOKE_ERROR_STORAGE_FAILED,
                "The directory of the message store, %s, can't be written: %s", directory,
                g_strerror(errno));
    return FALSE;
}

/* A store's error as the outside knows it. */
static void
raise_store_error(GError **error, const GError *store_error)
{
    gboolean is_full = g_error_matches(store_error, SPOKE_STORE_ERROR, SPOKE_STORE_ERROR_FULL);

    g_set_error_literal(error, SPOKE_ERROR,
                        is_full ? SPOKE_ERROR_QUEUE_FULL : SPOKE_ERROR_STORAGE_FAILED,
                        store_error->message);
}

static void
post_event(SpokeSpool *spool, SpokeSpoolOp *event)
{
    GPtrArray *letter = g_ptr_array_new_with_free_func(spoke_spool_op_free);

    g_ptr_array_add(letter, event);
    spoke_mailbox_drop(spool->mailbox, letter);
}

static SpokeSpool *
spool_new(const SpokeSpoolOptions *options, SpokeClock *clock)
{
    SpokeSpool *spool = g_new0(SpokeSpool, 1);

    spool->path = g_build_filename(options->directory, "spool.db", NULL);
    spool->flush_window_usec = options->flush_window_usec;
    spool->events = options->events != NULL ? *options->events : no_events;
    spool->events_data = options->user_data;
    spool->views = g_array_new(FALSE, FALSE, sizeof(View));
    spool->chores = spoke_chores_new();
    spool->alarms = spoke_chores_new_on(clock);
    spool->mailbox = spoke_mailbox_new(NULL, deliver, spool, free_letter);
    return spool;
}

SpokeSpool *
spoke_spool_open_with_clock(const SpokeSpoolOptions *options, const SpokeTimeSource *time,
                            SpokeClock *clock, GError **error)
{
    g_autoptr(SpokeSpool) spool = spool_new(options, clock);
    g_autoptr(GError) local_error = NULL;
    SpokeSpoolOp *event = NULL;

    if (!check_directory(options->directory, error))
        return NULL;
    SpokeStore *store = open_store(spool, time, &event, &local_error);
    if (event != NULL)
        post_event(spool, event);
    if (store == NULL || !reserve_first_ids(spool, store, &local_error)) {
        spoke_store_close(store);
        raise_store_error(error, local_error);
        return NULL;
    }
    spool->writer = spoke_spool_writer_new(store, spool->mailbox, &writer_events, spool);
    if (spool->reserved_id == spool->next_id) /* the disk is full; when it is not any more */
        reserve_ids(spool, spool->next_id + IDS_RESERVED_AHEAD);
    return g_steal_pointer(&spool);
}

SpokeSpool *
spoke_spool_open(const SpokeSpoolOptions *options, GError **error)
{
    SpokeTimeSource time;

    SpokeClock *clock = spoke_clock_new(error);
    if (clock == NULL)
        return NULL;
    spoke_time_source_init(&time);
    return spoke_spool_open_with_clock(options, &time, clock, error);
}

void
spoke_spool_free(SpokeSpool *spool)
{
    if (spool == NULL)
        return;

    if (spool->writer != NULL)
        reserve_ids(spool, spool->next_id); /* the exact number, and the time */
    spoke_spool_writer_free(spool->writer);
    spoke_mailbox_free(spool->mailbox); /* tells of a damage that was not told of yet */
    spoke_chores_free(spool->alarms);
    spoke_chores_free(spool->chores);
    g_array_unref(spool->views);
    g_free(spool->path);
    g_free(spool);
}

void
spoke_spool_push(SpokeSpool *spool, SpokeSpoolOp *op)
{
    spoke_spool_writer_push(spool->writer, op);
}

gboolean
spoke_spool_call(SpokeSpool *spool, SpokeSpoolOp *op, GError **error)
{
    return spoke_spool_writer_call(spool->writer, op, error);
}

void
spoke_spool_report_bad_row(SpokeSpool *spool, guint64 id)
{
    g_autofree char *text =
        g_strdup_printf("Message %" G_GUINT64_FORMAT " on disk makes no sense and is left out", id);

    spool->events.failed(text, spool->events_data);
}

void
spoke_spool_add_view(SpokeSpool *spool, gpointer view, SpokeSpoolRecoveredFunc recovered)
{
    View entry = {view, recovered};

    g_array_append_val(spool->views, entry);
}

void
spoke_spool_remove_view(SpokeSpool *spool, gpointer view)
{
    for (guint i = 0; i < spool->views->len; i++) {
        if (g_array_index(spool->views, View, i).view == view) {
            g_array_remove_index_fast(spool->views, i);
            return;
        }
    }
}

gsize *
spoke_spool_get_ready_bytes(SpokeSpool *spool)
{
    return &spool->ready_bytes;
}

SpokeChores *
spoke_spool_get_chores(SpokeSpool *spool)
{
    return spool->chores;
}

void
spoke_spool_set_alarm(SpokeSpool *spool, SpokeChore *chore, gint64 at_usec)
{
    gint64 due_usec = at_usec != SPOKE_CHORE_NEVER ? at_usec - spool->clock.offset_usec : at_usec;

    if (due_usec > chore->due_usec)
        spoke_chores_cancel(spool->alarms, chore);
    if (due_usec < chore->due_usec)
        spoke_chores_schedule(spool->alarms, chore, due_usec);
}

void
spoke_spool_set_flush_window(SpokeSpool *spool, gint64 flush_window_usec)
{
    spool->flush_window_usec = flush_window_usec;
}

gint64
spoke_spool_get_flush_window(SpokeSpool *spool)
{
    return spool->flush_window_usec;
}

gint64
spoke_spool_now(SpokeSpool *spool)
{
    return spoke_spool_clock_now(&spool->clock);
}

const char *
spoke_spool_get_id(SpokeSpool *spool)
{
    return spool->id;
}

void
spoke_spool_format_message_id(SpokeSpool *spool, guint64 id, char *buffer)
{
    (void)g_snprintf(buffer, SPOKE_SPOOL_MESSAGE_ID_SIZE, "%s-%" G_GUINT64_FORMAT, spool->id, id);
}
