/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/inbox.h"

#include "daemon/error.h"
#include "daemon/spool-private.h"
#include "daemon/store-inbox.h"

/*
 * Rows and nothing more, except that each message is held in memory as well: it is there anyway, in
 * delivery, and if the store has to be replaced it is written again. One kind of operation serves
 * all; what it does is its class. Operations hold a reference, so that an inbox that is freed lives
 * on, closed, until the last has come back.
 */
struct SpokeInbox {
    guint ref_count; /* main loop only */
    gboolean is_closed;
    SpokeSpool *spool; /* borrowed, outlives us */
    guint identity;
    guint generation;
    GHashTable *arrivals; /* owned; id → SpokeStoreArrival: what is on disk */
    GQueue changes;       /* borrowed, of Change: on their way */
};

typedef struct {
    SpokeSpoolOp op;
    SpokeInbox *inbox; /* owned */
    guint64 id;
    SpokeStoreArrival arrival; /* its message is owned; NULL for a removal */
    SpokeInboxFunc done;       /* nullable */
    gpointer user_data;
    GError *refusal; /* owned; of a put that was never written */
} Change;

typedef struct {
    SpokeSpoolOp op;
    const char *name; /* borrowed */
    guint identity;
    guint generation;
} Opening;

/* Reads some rows. */
typedef struct {
    SpokeSpoolOp op;
    guint identity;
    guint64 after;
    guint64 last_id;  /* of the rows read */
    GArray *arrivals; /* owned, of SpokeStoreArrival */
    GArray *damaged;  /* owned, of guint64 */
} Loading;

typedef struct {
    SpokeSpoolOp op;
    SpokeInbox *inbox;        /* owned */
    SpokeSpoolDamage *damage; /* owned */
    GArray *arrivals;         /* owned, of SpokeStoreArrival */
    guint n_inserted;
} Restore;

static SpokeInbox *
inbox_ref(SpokeInbox *inbox)
{
    inbox->ref_count++;
    return inbox;
}

static void
inbox_unref(SpokeInbox *inbox)
{
    if (--inbox->ref_count > 0)
        return;

    g_queue_clear(&inbox->changes);
    g_hash_table_unref(inbox->arrivals);
    g_free(inbox);
}

static void
arrival_clear(gpointer data)
{
    SpokeStoreArrival *arrival = data;

    g_clear_pointer(&arrival->message, spoke_message_unref);
}

static void
arrival_free(gpointer data)
{
    arrival_clear(data);
    g_free(data);
}

static GArray *
arrivals_new(void)
{
    GArray *arrivals = g_array_new(FALSE, FALSE, sizeof(SpokeStoreArrival));

    g_array_set_clear_func(arrivals, arrival_clear);
    return arrivals;
}

static void
keep(SpokeInbox *inbox, const SpokeStoreArrival *arrival)
{
    SpokeStoreArrival *kept = g_memdup2(arrival, sizeof *arrival);

    kept->message = spoke_message_ref(arrival->message);
    g_hash_table_insert(inbox->arrivals, &kept->message->id, kept);
}

/* Changes */

static gboolean
put_run(SpokeSpoolOp *op, SpokeStore *store, GError **error)
{
    Change *change = (Change *)op;

    return spoke_store_insert_inbox(store, change->inbox->identity, &change->arrival, error);
}

static gboolean
update_run(SpokeSpoolOp *op, SpokeStore *store, GError **error)
{
    Change *change = (Change *)op;

    return spoke_store_update_inbox(store, change->inbox->identity, change->id,
                                    change->arrival.delivery_count, change->arrival.dead, error);
}

static gboolean
remove_run(SpokeSpoolOp *op, SpokeStore *store, GError **error)
{
    Change *change = (Change *)op;

    return spoke_store_delete_inbox(store, change->inbox->identity, change->id, error);
}

static void
change_done(SpokeSpoolOp *op, const GError *error)
{
    Change *change = (Change *)op;
    SpokeInbox *inbox = change->inbox;

    if (inbox->is_closed)
        return;
    g_queue_remove(&inbox->changes, change);
    if (change->op.class->need == SPOKE_SPOOL_ADDS && error == NULL)
        keep(inbox, &change->arrival);
    if (change->done != NULL)
        change->done(error, change->user_data);
}

static void
change_free(SpokeSpoolOp *op)
{
    Change *change = (Change *)op;

    arrival_clear(&change->arrival);
    g_clear_error(&change->refusal);
    inbox_unref(change->inbox);
    g_free(change);
}

static const SpokeSpoolOpClass put_class = {
    .need = SPOKE_SPOOL_ADDS,
    .run = put_run,
    .done = change_done,
    .free = change_free,
};

/* Without an id there is nothing to write: comes back with the error it has. */
static gboolean
refused_run(SpokeSpoolOp *op, SpokeStore *store, GError **error)
{
    return TRUE;
}

static void
refused_done(SpokeSpoolOp *op, const GError *error)
{
    Change *change = (Change *)op;

    if (change->inbox->is_closed)
        return;
    g_queue_remove(&change->inbox->changes, change);
    if (change->done != NULL)
        change->done(change->refusal, change->user_data);
}

static const SpokeSpoolOpClass refused_class = {
    .need = SPOKE_SPOOL_READS,
    .run = refused_run,
    .done = refused_done,
    .free = change_free,
};

static const SpokeSpoolOpClass update_class = {
    .need = SPOKE_SPOOL_REMOVES,
    .is_kept = TRUE,
    .run = update_run,
    .done = change_done,
    .free = change_free,
};

static const SpokeSpoolOpClass remove_class = {
    .need = SPOKE_SPOOL_REMOVES,
    .is_kept = TRUE,
    .run = remove_run,
    .done = change_done,
    .free = change_free,
};

static Change *
change_new(SpokeInbox *inbox, const SpokeSpoolOpClass *class, SpokeInboxFunc done,
           gpointer user_data)
{
    Change *change = g_new0(Change, 1);

    change->op.class = class;
    change->inbox = inbox_ref(inbox);
    change->done = done;
    change->user_data = user_data;
    g_queue_push_tail(&inbox->changes, change);
    return change;
}

/* Restoring what a damaged store took with it */

static gboolean
restore_run(SpokeSpoolOp *op, SpokeStore *store, GError **error)
{
    Restore *restore = (Restore *)op;
    guint identity = restore->inbox->identity;

    restore->n_inserted = 0;
    for (guint i = 0; i < restore->arrivals->len; i++) {
        const SpokeStoreArrival *arrival = &g_array_index(restore->arrivals, SpokeStoreArrival, i);
        if (!spoke_store_insert_inbox(store, identity, arrival, error))
            return FALSE;
        restore->n_inserted += spoke_store_get_changes(store) > 0 ? 1 : 0;
        if (!spoke_store_update_inbox(store, identity, arrival->message->id,
                                      arrival->delivery_count, arrival->dead, error))
            return FALSE;
    }
    return TRUE;
}

static void
restore_done(SpokeSpoolOp *op, const GError *error)
{
    Restore *restore = (Restore *)op;

    restore->damage->restored += restore->n_inserted;
}

static void
restore_free(SpokeSpoolOp *op)
{
    Restore *restore = (Restore *)op;

    spoke_spool_damage_unref(restore->damage);
    g_array_unref(restore->arrivals);
    inbox_unref(restore->inbox);
    g_free(restore);
}

static const SpokeSpoolOpClass restore_class = {
    .need = SPOKE_SPOOL_ADDS,
    .is_kept = TRUE,
    .run = restore_run,
    .done = restore_done,
    .free = restore_free,
};

static void
on_recovered(gpointer view, SpokeSpoolDamage *damage)
{
    SpokeInbox *inbox = view;
    GHashTableIter iter;
    gpointer value = NULL;

    if (damage->generation <= inbox->generation || g_hash_table_size(inbox->arrivals) == 0)
        return;
    inbox->generation = damage->generation;
    Restore *restore = g_new0(Restore, 1);
    restore->op.class = &restore_class;
    restore->inbox = inbox_ref(inbox);
    restore->damage = spoke_spool_damage_ref(damage);
    restore->arrivals = arrivals_new();
    g_hash_table_iter_init(&iter, inbox->arrivals);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        SpokeStoreArrival arrival = *(const SpokeStoreArrival *)value;
        arrival.message = spoke_message_ref(arrival.message);
        g_array_append_val(restore->arrivals, arrival);
    }
    spoke_spool_push(inbox->spool, &restore->op);
}

/* Opening and loading */

static gboolean
opening_run(SpokeSpoolOp *op, SpokeStore *store, GError **error)
{
    Opening *opening = (Opening *)op;
    SpokeStoreIdentity *identity = spoke_store_ensure_identity(store, opening->name, 0, error);
    if (identity == NULL)
        return FALSE;

    opening->identity = identity->key;
    opening->generation = spoke_store_get_generation(store);
    return TRUE;
}

static gboolean
loading_run(SpokeSpoolOp *op, SpokeStore *store, GError **error)
{
    Loading *loading = (Loading *)op;

    loading->last_id = loading->after;
    g_array_set_size(loading->arrivals, 0);
    g_array_set_size(loading->damaged, 0);
    return spoke_store_read_inbox(store, loading->identity, &loading->last_id, loading->arrivals,
                                  loading->damaged, error);
}

static const SpokeSpoolOpClass opening_class = {.need = SPOKE_SPOOL_READS, .run = opening_run};
static const SpokeSpoolOpClass loading_class = {.need = SPOKE_SPOOL_READS, .run = loading_run};

static void
hand_out(SpokeInbox *inbox, const Loading *loading, SpokeInboxRowFunc row, gpointer user_data)
{
    for (guint i = 0; i < loading->arrivals->len; i++) {
        const SpokeStoreArrival *arrival = &g_array_index(loading->arrivals, SpokeStoreArrival, i);
        keep(inbox, arrival);
        row(arrival->message, arrival->received_usec, arrival->delivery_count,
            (SpokeDeadReason)arrival->dead, user_data);
    }
    for (guint i = 0; i < loading->damaged->len; i++) {
        guint64 id = g_array_index(loading->damaged, guint64, i);
        spoke_spool_report_bad_row(inbox->spool, id);
        spoke_inbox_remove(inbox, id, NULL, NULL);
    }
}

SpokeInbox *
spoke_inbox_open(SpokeSpool *spool, const char *name, GError **error)
{
    Opening opening = {.op.class = &opening_class, .name = name};
    if (!spoke_spool_call(spool, &opening.op, error))
        return NULL;

    SpokeInbox *inbox = g_new0(SpokeInbox, 1);
    inbox->ref_count = 1;
    inbox->spool = spool;
    inbox->identity = opening.identity;
    inbox->generation = opening.generation;
    inbox->arrivals = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, arrival_free);
    spoke_spool_add_view(spool, inbox, on_recovered);
    return inbox;
}

void
spoke_inbox_free(SpokeInbox *inbox)
{
    g_autoptr(GError) cancelled =
        g_error_new_literal(SPOKE_ERROR, SPOKE_ERROR_CANCELLED, "The inbox was closed");
    if (inbox == NULL)
        return;

    inbox->is_closed = TRUE;
    spoke_spool_remove_view(inbox->spool, inbox);
    while (!g_queue_is_empty(&inbox->changes)) {
        Change *change = g_queue_pop_head(&inbox->changes);
        if (change->done != NULL)
            change->done(cancelled, change->user_data);
    }
    inbox_unref(inbox);
}

gboolean
spoke_inbox_load(SpokeInbox *inbox, SpokeInboxRowFunc row, gpointer user_data, GError **error)
{
    g_autoptr(GArray) arrivals = arrivals_new();
    g_autoptr(GArray) damaged = g_array_new(FALSE, FALSE, sizeof(guint64));
    Loading loading = {
        .op.class = &loading_class,
        .identity = inbox->identity,
        .arrivals = arrivals,
        .damaged = damaged,
    };

    do {
        loading.after = loading.last_id;
        if (!spoke_spool_call(inbox->spool, &loading.op, error))
            return FALSE;
        hand_out(inbox, &loading, row, user_data);
    } while (loading.last_id > loading.after);
    return TRUE;
}

void
spoke_inbox_put(SpokeInbox *inbox, SpokeMessage *message, gint64 received_usec, SpokeInboxFunc done,
                gpointer user_data)
{
    g_autoptr(GError) error = NULL;
    gboolean is_refused = !spoke_spool_allot_ids(inbox->spool, 1, &message->id, &error);
    Change *change = change_new(inbox, is_refused ? &refused_class : &put_class, done, user_data);

    if (message->ttl_usec > 0)
        message->expiry_usec = spoke_spool_now(inbox->spool) + message->ttl_usec;
    change->arrival.message = spoke_message_ref(message);
    change->arrival.received_usec = received_usec;
    change->refusal = g_steal_pointer(&error);
    spoke_spool_push(inbox->spool, &change->op);
}

void
spoke_inbox_update(SpokeInbox *inbox, guint64 id, guint delivery_count, SpokeDeadReason dead,
                   SpokeInboxFunc done, gpointer user_data)
{
    SpokeStoreArrival *kept = g_hash_table_lookup(inbox->arrivals, &id);
    Change *change = change_new(inbox, &update_class, done, user_data);

    change->id = id;
    change->arrival.delivery_count = delivery_count;
    change->arrival.dead = dead;
    if (kept != NULL) {
        kept->delivery_count = delivery_count;
        kept->dead = dead;
    }
    spoke_spool_push(inbox->spool, &change->op);
}

void
spoke_inbox_remove(SpokeInbox *inbox, guint64 id, SpokeInboxFunc done, gpointer user_data)
{
    Change *change = change_new(inbox, &remove_class, done, user_data);

    change->id = id;
    (void)g_hash_table_remove(inbox->arrivals, &id);
    spoke_spool_push(inbox->spool, &change->op);
}
