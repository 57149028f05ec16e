/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/outbox-private.h"

#include <string.h>

/*
 * Three operations: a put, whose messages wait for it; a write of messages that are in a lane
 * already (flushed ones whose time has come, or all of them after the store was replaced); and a
 * deletion. A message settled while it is being written can be deleted only when it has been.
 */
#define DELETION_ROWS_MAX   512
#define DELETION_DELAY_USEC (100 * 1000)
#define DELETION_JOIN_ROWS  64 /* that many, or that old: they go along with a put */
#define DELETION_JOIN_USEC  (20 * 1000)

typedef struct {
    SpokeSpoolOp op;
    SpokeOutbox *outbox;      /* owned */
    GPtrArray *messages;      /* owned */
    SpokeSpoolDamage *damage; /* owned; what it makes good; NULL for flushed messages */
    SpokeTally inserted[SPOKE_N_LANES];
} Write;

static gboolean
insert(SpokeStore *store, const SpokeOutbox *outbox, const SpokeMessage *message,
       gboolean *ret_inserted, GError **error)
{
    SpokeStoreIdentity *identity = spoke_store_find_identity(store, outbox->identity);

    return spoke_store_insert_outbox(store, identity, message, ret_inserted, error);
}

/* Puts */

static gboolean
put_run(SpokeSpoolOp *op, SpokeStore *store, GError **error)
{
    SpokeOutboxPut *put = (SpokeOutboxPut *)op;
    gboolean is_inserted = FALSE;

    for (guint i = 0; i < put->n; i++) {
        if (put->messages[i]->durability != SPOKE_DURABILITY_VOLATILE &&
            !insert(store, put->outbox, put->messages[i], &is_inserted, error))
            return FALSE;
    }
    return TRUE;
}

static void
put_done(SpokeSpoolOp *op, const GError *error)
{
    SpokeOutboxPut *put = (SpokeOutboxPut *)op;

    for (guint i = 0; i < put->n && error == NULL; i++) {
        if (put->messages[i]->durability != SPOKE_DURABILITY_VOLATILE)
            put->messages[i]->stored = SPOKE_STORED;
    }
    if (!put->outbox->is_closed)
        spoke_outbox_resolve(put->outbox, put, error);
}

static void
put_free(SpokeSpoolOp *op)
{
    spoke_outbox_put_unref((SpokeOutboxPut *)op);
}

static const SpokeSpoolOpClass synced_put_class = {
    .need = SPOKE_SPOOL_ADDS,
    .run = put_run,
    .done = put_done,
    .free = put_free,
};

/* Answered already, so it must not fail. */
static const SpokeSpoolOpClass flushed_put_class = {
    .need = SPOKE_SPOOL_ADDS,
    .is_kept = TRUE,
    .run = put_run,
    .done = put_done,
    .free = put_free,
};

SpokeOutboxPut *
spoke_outbox_put_new(SpokeOutbox *outbox, SpokeMessage **messages, guint n, SpokePutFunc done,
                     gpointer user_data)
{
    SpokeOutboxPut *put = g_malloc(sizeof(SpokeOutboxPut) + n * sizeof(SpokeMessage *));

    *put = (SpokeOutboxPut){
        .ref_count = 1,
        .outbox = spoke_outbox_ref(outbox),
        .done = done,
        .user_data = user_data,
        .durability = SPOKE_DURABILITY_VOLATILE,
        .n = n,
    };
    for (guint i = 0; i < n; i++) {
        put->messages[i] = spoke_message_ref(messages[i]);
        put->durability = MIN(put->durability, messages[i]->durability);
    }
    put->op.class =
        put->durability == SPOKE_DURABILITY_SYNCED ? &synced_put_class : &flushed_put_class;
    return put;
}

void
spoke_outbox_put_unref(SpokeOutboxPut *put)
{
    if (--put->ref_count > 0)
        return;

    for (guint i = 0; i < put->n; i++)
        spoke_message_unref(put->messages[i]);
    spoke_outbox_unref(put->outbox);
    g_free(put);
}

/* Whether what is to be deleted should go along with a put. */
static gboolean
should_join(const SpokeOutbox *outbox)
{
    return outbox->deletion != NULL &&
           (outbox->deletion->rows->len >= DELETION_JOIN_ROWS ||
            g_get_monotonic_time() >=
                outbox->deletion_due_usec - DELETION_DELAY_USEC + DELETION_JOIN_USEC);
}

void
spoke_outbox_push_put(SpokeOutbox *outbox, SpokeOutboxPut *put)
{
    if (should_join(outbox))
        spoke_outbox_push_deletion(outbox);
    put->ref_count++;
    spoke_spool_push(outbox->spool, &put->op);
}

/* Deletions */

static gboolean
deletion_run(SpokeSpoolOp *op, SpokeStore *store, GError **error)
{
    SpokeOutboxDeletion *deletion = (SpokeOutboxDeletion *)op;
    SpokeStoreIdentity *identity = spoke_store_find_identity(store, deletion->outbox->identity);

    memset(deletion->missing, 0, sizeof deletion->missing);
    for (guint i = 0; i < deletion->rows->len; i++) {
        const SpokeStoreRow *row = &g_array_index(deletion->rows, SpokeStoreRow, i);
        gboolean is_deleted = FALSE;
        if (!spoke_store_delete_outbox(store, identity, row, &is_deleted, error))
            return FALSE;
        if (!is_deleted)
            spoke_tally_add(&deletion->missing[row->lane], 1, row->cost);
    }
    return TRUE;
}

static void
deletion_done(SpokeSpoolOp *op, const GError *error)
{
    SpokeOutboxDeletion *deletion = (SpokeOutboxDeletion *)op;
    SpokeOutbox *outbox = deletion->outbox;

    if (outbox->is_closed)
        return;
    g_queue_remove(&outbox->deletions, deletion);
    /* Rows that a damaged file took with it were counted off with its losses and when they were
     * settled. */
    for (SpokeLane lane = 0; lane < SPOKE_N_LANES; lane++)
        spoke_tally_add(&outbox->tallies[lane], deletion->missing[lane].messages,
                        deletion->missing[lane].bytes);
    spoke_outbox_tend_soon(outbox);
}

static void
deletion_free(SpokeSpoolOp *op)
{
    SpokeOutboxDeletion *deletion = (SpokeOutboxDeletion *)op;

    g_array_unref(deletion->rows);
    spoke_outbox_unref(deletion->outbox);
    g_free(deletion);
}

static const SpokeSpoolOpClass deletion_class = {
    .need = SPOKE_SPOOL_REMOVES,
    .is_kept = TRUE,
    .run = deletion_run,
    .done = deletion_done,
    .free = deletion_free,
};

static SpokeOutboxDeletion *
deletion_new(SpokeOutbox *outbox)
{
    SpokeOutboxDeletion *deletion = g_new0(SpokeOutboxDeletion, 1);

    deletion->op.class = &deletion_class;
    deletion->outbox = spoke_outbox_ref(outbox);
    deletion->rows = g_array_new(FALSE, FALSE, sizeof(SpokeStoreRow));
    return deletion;
}

void
spoke_outbox_push_deletion(SpokeOutbox *outbox)
{
    if (outbox->deletion == NULL)
        return;
    g_queue_push_tail(&outbox->deletions, outbox->deletion);
    spoke_spool_push(outbox->spool, &g_steal_pointer(&outbox->deletion)->op);
}

void
spoke_outbox_delete_row(SpokeOutbox *outbox, const SpokeStoreRow *row)
{
    if (outbox->deletion == NULL) {
        outbox->deletion = deletion_new(outbox);
        outbox->deletion_due_usec = g_get_monotonic_time() + DELETION_DELAY_USEC;
        spoke_chores_schedule(spoke_spool_get_chores(outbox->spool), &outbox->chore,
                              outbox->deletion_due_usec);
    }
    g_array_append_val(outbox->deletion->rows, *row);
    if (outbox->deletion->rows->len >= DELETION_ROWS_MAX)
        spoke_outbox_push_deletion(outbox);
}

static void
list_ids(const SpokeOutboxDeletion *deletion, SpokeLane lane, guint64 after, GArray *ids)
{
    for (guint i = 0; i < deletion->rows->len; i++) {
        const SpokeStoreRow *row = &g_array_index(deletion->rows, SpokeStoreRow, i);
        if (row->lane == lane && row->id > after)
            g_array_append_val(ids, row->id);
    }
}

static gint
compare_ids(gconstpointer a, gconstpointer b)
{
    guint64 first = *(const guint64 *)a;
    guint64 second = *(const guint64 *)b;

    return first < second ? -1 : first > second;
}

void
spoke_outbox_sort_ids(GArray *ids)
{
    g_array_sort(ids, compare_ids);
}

/* A row that is being written may be there before its removal is. */
static void
list_in_vain(const Write *write, SpokeLane lane, guint64 after, GArray *ids)
{
    for (guint i = 0; i < write->messages->len; i++) {
        const SpokeMessage *message = write->messages->pdata[i];
        if (message->stored == SPOKE_STORED_IN_VAIN && message->lane == lane && message->id > after)
            g_array_append_val(ids, message->id);
    }
}

GArray *
spoke_outbox_list_dying(SpokeOutbox *outbox, SpokeLane lane, guint64 after)
{
    GArray *ids = g_array_new(FALSE, FALSE, sizeof(guint64));

    for (const GList *link = outbox->deletions.head; link != NULL; link = link->next)
        list_ids(link->data, lane, after, ids);
    if (outbox->deletion != NULL)
        list_ids(outbox->deletion, lane, after, ids);
    for (const GList *link = outbox->writes.head; link != NULL; link = link->next)
        list_in_vain(link->data, lane, after, ids);
    spoke_outbox_sort_ids(ids);
    return ids;
}

/* Writes */

static gboolean
write_run(SpokeSpoolOp *op, SpokeStore *store, GError **error)
{
    Write *write = (Write *)op;

    memset(write->inserted, 0, sizeof write->inserted);
    for (guint i = 0; i < write->messages->len; i++) {
        const SpokeMessage *message = write->messages->pdata[i];
        gboolean is_inserted = FALSE;
        if (!insert(store, write->outbox, message, &is_inserted, error))
            return FALSE;
        if (is_inserted)
            spoke_tally_add(&write->inserted[message->lane], 1, spoke_message_cost(message));
    }
    return TRUE;
}

static void
delete_message(SpokeOutbox *outbox, const SpokeMessage *message)
{
    SpokeStoreRow row = {message->id, (guint32)spoke_message_cost(message), message->lane};

    spoke_outbox_delete_row(outbox, &row);
}

/* What was lost with the damaged file and is there again counts again. */
static void
count_restored(Write *write)
{
    for (SpokeLane lane = 0; lane < SPOKE_N_LANES; lane++) {
        const SpokeTally *inserted = &write->inserted[lane];
        spoke_tally_add(&write->outbox->tallies[lane], inserted->messages, inserted->bytes);
        write->damage->restored += inserted->messages;
    }
}

static void
write_done(SpokeSpoolOp *op, const GError *error)
{
    Write *write = (Write *)op;
    SpokeOutbox *outbox = write->outbox;

    if (outbox->is_closed)
        return;
    g_queue_remove(&outbox->writes, write);
    if (write->damage != NULL)
        count_restored(write);
    for (guint i = 0; i < write->messages->len; i++) {
        SpokeMessage *message = write->messages->pdata[i];
        if (message->stored == SPOKE_STORED_IN_VAIN)
            delete_message(outbox, message);
        message->stored = SPOKE_STORED;
    }
}

static void
write_free(SpokeSpoolOp *op)
{
    Write *write = (Write *)op;

    g_clear_pointer(&write->damage, spoke_spool_damage_unref);
    g_ptr_array_unref(write->messages);
    spoke_outbox_unref(write->outbox);
    g_free(write);
}

static const SpokeSpoolOpClass write_class = {
    .need = SPOKE_SPOOL_ADDS,
    .is_kept = TRUE,
    .run = write_run,
    .done = write_done,
    .free = write_free,
};

static void
unref_message(gpointer data)
{
    spoke_message_unref(data);
}

/* @messages: (transfer full) */
static void
push_write(SpokeOutbox *outbox, GPtrArray *messages, SpokeSpoolDamage *damage)
{
    Write *write = g_new0(Write, 1);

    write->op.class = &write_class;
    write->outbox = spoke_outbox_ref(outbox);
    write->messages = messages;
    write->damage = damage != NULL ? spoke_spool_damage_ref(damage) : NULL;
    for (guint i = 0; i < messages->len; i++)
        ((SpokeMessage *)messages->pdata[i])->stored = SPOKE_STORED_SOON;
    g_queue_push_tail(&outbox->writes, write);
    spoke_spool_push(outbox->spool, &write->op);
}

void
spoke_outbox_push_unwritten(SpokeOutbox *outbox)
{
    g_autoptr(GPtrArray) unwritten = g_steal_pointer(&outbox->unwritten);
    g_autoptr(GPtrArray) rest = g_ptr_array_new_with_free_func(unref_message);

    outbox->unwritten = g_ptr_array_new_with_free_func(unref_message);
    for (guint i = 0; i < unwritten->len; i++) {
        SpokeMessage *message = unwritten->pdata[i];
        if (g_hash_table_contains(outbox->held, &message->id))
            g_ptr_array_add(rest, spoke_message_ref(message));
    }
    if (rest->len > 0)
        push_write(outbox, g_steal_pointer(&rest), NULL);
}

void
spoke_outbox_restore(SpokeOutbox *outbox, SpokeSpoolDamage *damage)
{
    g_autoptr(GPtrArray) messages = g_ptr_array_new_with_free_func(unref_message);
    GHashTableIter iter;
    gpointer value = NULL;

    g_hash_table_iter_init(&iter, outbox->held);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        SpokeMessage *message = value;
        if (message->stored == SPOKE_STORED)
            g_ptr_array_add(messages, spoke_message_ref(message));
    }
    if (messages->len > 0)
        push_write(outbox, g_steal_pointer(&messages), damage);
}

void
spoke_outbox_delete_in_vain(SpokeOutbox *outbox)
{
    for (const GList *link = outbox->writes.head; link != NULL; link = link->next) {
        const Write *write = link->data;
        for (guint i = 0; i < write->messages->len; i++) {
            const SpokeMessage *message = write->messages->pdata[i];
            if (message->stored == SPOKE_STORED_IN_VAIN)
                delete_message(outbox, message);
        }
    }
}
