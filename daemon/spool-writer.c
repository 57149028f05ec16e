/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/spool-writer.h"

#include "daemon/error.h"

#include <pthread.h>
#include <time.h>

/*
 * Shared with the main loop is only what the lock guards. It is pthread's, as thread sanitizers
 * can't see through GMutex. Between transactions the thread sleeps on the condition, without a
 * time-out unless something is kept back or the disk was full.
 */
#define RETRY_SEC             1
#define RECOVER_INTERVAL_USEC (10 * G_USEC_PER_SEC)

struct SpokeSpoolWriter {
    pthread_t thread;
    SpokeMailbox *mailbox; /* borrowed */
    SpokeSpoolWriterEvents events;
    gpointer user_data;

    pthread_mutex_t lock;
    pthread_cond_t pushed;
    pthread_cond_t called; /* the operation that the main loop waits for is done */
    GPtrArray *queue;      /* guarded; owned */
    SpokeSpoolOp *call;    /* guarded; the one waited for, NULL when it is done */
    gboolean is_stopping;  /* guarded */

    /* The thread's own */
    SpokeStore *store; /* owned; NULL when it was damaged and could not be replaced */
    GPtrArray *kept;   /* owned; failed and to be tried again */
    GPtrArray *letter; /* owned; what goes to the main loop next */
    gboolean is_full;
    gboolean is_failing;
    gint64 recovered_usec; /* when a damaged store was last replaced; 0: never */
};

void
spoke_spool_op_free(gpointer data)
{
    SpokeSpoolOp *op = data;

    g_clear_error(&op->error);
    op->class->free(op);
}

static void
report_full(SpokeSpoolWriter *writer, gboolean is_full)
{
    if (writer->is_full == is_full)
        return;
    writer->is_full = is_full;
    g_ptr_array_add(writer->letter, writer->events.full(is_full, writer->user_data));
}

static void
report_failure(SpokeSpoolWriter *writer, const GError *error)
{
    if (g_error_matches(error, SPOKE_STORE_ERROR, SPOKE_STORE_ERROR_FULL)) {
        report_full(writer, TRUE);
        return;
    }
    if (writer->is_failing)
        return;
    writer->is_failing = TRUE;
    g_ptr_array_add(writer->letter, writer->events.failed(error, writer->user_data));
}

/* One transaction with all of @ops. */
static gboolean
run_once(SpokeSpoolWriter *writer, GPtrArray *ops, GError **error)
{
    if (!spoke_store_begin(writer->store, error))
        return FALSE;
    for (guint i = 0; i < ops->len; i++) {
        SpokeSpoolOp *op = ops->pdata[i];
        if (!op->class->run(op, writer->store, error))
            return FALSE;
    }
    return spoke_store_commit(writer->store, error);
}

/* Replaces a damaged store, but not over and over: what is damaged again at once has a disk that
 * can't be helped. @damage: what was found; NULL if there was no store */
static gboolean
recover(SpokeSpoolWriter *writer, const GError *damage, GError **error)
{
    gint64 now_usec = g_get_monotonic_time();
    if (writer->recovered_usec != 0 && now_usec - writer->recovered_usec < RECOVER_INTERVAL_USEC) {
        g_set_error(error, SPOKE_STORE_ERROR, SPOKE_STORE_ERROR_FAILED, "it is damaged: %s",
                    damage != NULL ? damage->message : "and could not be replaced");
        return FALSE;
    }

    SpokeSpoolOp *event = writer->events.recover(&writer->store, error, writer->user_data);
    writer->recovered_usec = g_get_monotonic_time();
    if (event != NULL)
        g_ptr_array_add(writer->letter, event);
    return event != NULL;
}

static gboolean
run_transaction(SpokeSpoolWriter *writer, GPtrArray *ops, GError **error)
{
    g_autoptr(GError) local_error = NULL;

    if (writer->store == NULL && !recover(writer, NULL, error))
        return FALSE;
    if (run_once(writer, ops, &local_error))
        return TRUE;

    spoke_store_rollback(writer->store);
    if (!g_error_matches(local_error, SPOKE_STORE_ERROR, SPOKE_STORE_ERROR_DAMAGED)) {
        g_propagate_error(error, g_steal_pointer(&local_error));
        return FALSE;
    }
    if (!recover(writer, local_error, error))
        return FALSE;
    if (run_once(writer, ops, error))
        return TRUE;
    spoke_store_rollback(writer->store);
    return FALSE;
}

/* Moves the operations that need @need or more from @ops to @rest. */
static void
set_apart(GPtrArray *ops, SpokeSpoolNeed need, GPtrArray *rest)
{
    guint n_left = 0;

    for (guint i = 0; i < ops->len; i++) {
        SpokeSpoolOp *op = ops->pdata[i];
        if (op->class->need >= need)
            g_ptr_array_add(rest, op);
        else
            ops->pdata[n_left++] = op;
    }
    g_ptr_array_set_size(ops, (gint)n_left);
}

static GError *
translate(const GError *error)
{
    if (g_error_matches(error, SPOKE_STORE_ERROR, SPOKE_STORE_ERROR_FULL))
        return g_error_new_literal(SPOKE_ERROR, SPOKE_ERROR_QUEUE_FULL,
                                   "The disk of the message store is full");
    return g_error_new(SPOKE_ERROR, SPOKE_ERROR_STORAGE_FAILED, "The message store failed: %s",
                       error->message);
}

static gboolean
is_any_adding(GPtrArray *ops)
{
    for (guint i = 0; i < ops->len; i++) {
        if (((SpokeSpoolOp *)ops->pdata[i])->class->need == SPOKE_SPOOL_ADDS)
            return TRUE;
    }
    return FALSE;
}

/* Operations are finished: back to the main loop, or to who waits for one. */
static void
finish(SpokeSpoolWriter *writer, GPtrArray *ops)
{
    for (guint i = 0; i < ops->len; i++) {
        pthread_mutex_lock(&writer->lock);
        gboolean is_called = ops->pdata[i] == writer->call;
        if (is_called) {
            writer->call = NULL;
            pthread_cond_signal(&writer->called);
        }
        pthread_mutex_unlock(&writer->lock);
        if (!is_called)
            g_ptr_array_add(writer->letter, ops->pdata[i]);
    }
}

/* What could not be done is kept, or fails. */
static void
give_up(SpokeSpoolWriter *writer, GPtrArray *ops, const GError *error)
{
    g_autoptr(GPtrArray) failed = g_ptr_array_new();

    for (guint i = 0; i < ops->len; i++) {
        SpokeSpoolOp *op = ops->pdata[i];
        if (op->class->is_kept) {
            g_ptr_array_add(writer->kept, op);
            continue;
        }
        op->error = translate(error);
        g_ptr_array_add(failed, op);
    }
    finish(writer, failed);
}

/* Does @ops, or as many of them as the disk lets. */
static void
run_group(SpokeSpoolWriter *writer, GPtrArray *ops)
{
    g_autoptr(GPtrArray) rest = g_ptr_array_new();
    g_autoptr(GError) first_error = NULL;

    for (gint need = SPOKE_SPOOL_ADDS; need >= SPOKE_SPOOL_READS && ops->len > 0; need--) {
        g_autoptr(GError) error = NULL;
        if (run_transaction(writer, ops, &error))
            break;
        report_failure(writer, error);
        if (first_error == NULL)
            first_error = g_steal_pointer(&error);
        if (writer->store != NULL)
            spoke_store_make_room(writer->store);
        set_apart(ops, (SpokeSpoolNeed)need, rest);
    }
    if (first_error != NULL) {
        give_up(writer, rest, first_error);
    } else {
        writer->is_failing = FALSE;
        /* A few that still fit are no sign of room: it would come and go with each commit. */
        if (writer->is_full && is_any_adding(ops) && spoke_store_has_room(writer->store))
            report_full(writer, FALSE);
    }
    finish(writer, ops);
}

/* Hands over all that has happened since. */
static void
post_letter(SpokeSpoolWriter *writer)
{
    if (writer->letter->len == 0)
        return;
    spoke_mailbox_drop(writer->mailbox, g_steal_pointer(&writer->letter));
    writer->letter = g_ptr_array_new_with_free_func(spoke_spool_op_free);
}

/* Until something is pushed, or it is time to try again. Returns FALSE to stop. */
static gboolean
wait_for_work(SpokeSpoolWriter *writer, GPtrArray **ret_queue)
{
    gboolean is_waiting = writer->kept->len > 0 || writer->is_full;
    struct timespec until = {0};
    int result = 0;

    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += RETRY_SEC;
    pthread_mutex_lock(&writer->lock);
    while (writer->queue->len == 0 && !writer->is_stopping && result == 0)
        result = is_waiting ? pthread_cond_timedwait(&writer->pushed, &writer->lock, &until)
                            : pthread_cond_wait(&writer->pushed, &writer->lock);
    gboolean is_on = writer->queue->len > 0 || !writer->is_stopping;
    *ret_queue = g_steal_pointer(&writer->queue);
    writer->queue = g_ptr_array_new();
    pthread_mutex_unlock(&writer->lock);
    return is_on;
}

static gboolean
is_idle(SpokeSpoolWriter *writer)
{
    pthread_mutex_lock(&writer->lock);
    gboolean idle = writer->queue->len == 0 && !writer->is_stopping;
    pthread_mutex_unlock(&writer->lock);
    return idle;
}

/* What was kept comes first. */
static void
work_on(SpokeSpoolWriter *writer, GPtrArray *queue)
{
    g_autoptr(GPtrArray) ops = g_steal_pointer(&writer->kept);

    writer->kept = g_ptr_array_new();
    g_ptr_array_extend(ops, queue, NULL, NULL);
    if (ops->len > 0)
        run_group(writer, ops);
    if (writer->is_full && queue->len == 0 && writer->store != NULL &&
        spoke_store_has_room(writer->store))
        report_full(writer, FALSE);
    post_letter(writer);
    if (writer->store != NULL)
        spoke_store_tidy(writer->store, is_idle(writer));
}

static void *
run_thread(void *data)
{
    SpokeSpoolWriter *writer = data;
    gboolean is_on = TRUE;

    pthread_setname_np(pthread_self(), "spool");
    while (is_on) {
        g_autoptr(GPtrArray) queue = NULL;
        is_on = wait_for_work(writer, &queue);
        work_on(writer, queue);
    }
    spoke_store_close(g_steal_pointer(&writer->store));
    return NULL;
}

SpokeSpoolWriter *
spoke_spool_writer_new(SpokeStore *store, SpokeMailbox *mailbox,
                       const SpokeSpoolWriterEvents *events, gpointer user_data)
{
    SpokeSpoolWriter *writer = g_new0(SpokeSpoolWriter, 1);
    pthread_condattr_t monotonic;

    writer->mailbox = mailbox;
    writer->events = *events;
    writer->user_data = user_data;
    writer->store = store;
    writer->queue = g_ptr_array_new();
    writer->kept = g_ptr_array_new();
    writer->letter = g_ptr_array_new_with_free_func(spoke_spool_op_free);
    pthread_mutex_init(&writer->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&writer->pushed, &monotonic);
    pthread_cond_init(&writer->called, NULL);
    pthread_condattr_destroy(&monotonic);
    if (pthread_create(&writer->thread, NULL, run_thread, writer) != 0)
        g_error("Can't start the spool's thread");
    return writer;
}

void
spoke_spool_writer_free(SpokeSpoolWriter *writer)
{
    if (writer == NULL)
        return;

    pthread_mutex_lock(&writer->lock);
    writer->is_stopping = TRUE;
    pthread_cond_signal(&writer->pushed);
    pthread_mutex_unlock(&writer->lock);
    pthread_join(writer->thread, NULL);

    g_ptr_array_set_free_func(writer->kept, spoke_spool_op_free);
    g_ptr_array_unref(writer->kept);
    g_ptr_array_unref(writer->queue);
    g_ptr_array_unref(writer->letter);
    pthread_cond_destroy(&writer->called);
    pthread_cond_destroy(&writer->pushed);
    pthread_mutex_destroy(&writer->lock);
    g_free(writer);
}

void
spoke_spool_writer_push(SpokeSpoolWriter *writer, SpokeSpoolOp *op)
{
    pthread_mutex_lock(&writer->lock);
    g_ptr_array_add(writer->queue, op);
    if (writer->queue->len == 1)
        pthread_cond_signal(&writer->pushed);
    pthread_mutex_unlock(&writer->lock);
}

gboolean
spoke_spool_writer_call(SpokeSpoolWriter *writer, SpokeSpoolOp *op, GError **error)
{
    pthread_mutex_lock(&writer->lock);
    writer->call = op;
    g_ptr_array_add(writer->queue, op);
    pthread_cond_signal(&writer->pushed);
    while (writer->call != NULL)
        pthread_cond_wait(&writer->called, &writer->lock);
    pthread_mutex_unlock(&writer->lock);

    if (op->error == NULL)
        return TRUE;
    g_propagate_error(error, g_steal_pointer(&op->error));
    return FALSE;
}
