/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/shelf.h"

/*
 * Answers of the disk find their parcel by its id: it may have left while a change of it was under
 * way.
 */
struct SpokeShelf {
    SpokeInbox *inbox;  /* owned */
    GQueue alive;       /* of SpokeParcel, owned; by id, which is the order of arrival */
    GQueue dead;        /* of SpokeParcel, owned */
    GHashTable *by_id;  /* (element-type guint64 SpokeParcel), the key inside the parcel */
    SpokeRecent recent; /* what has left */
    SpokeShelfTotals totals;
};

typedef struct {
    SpokeShelf *shelf; /* borrowed, outlives us */
    guint64 id;
    SpokeParcel *stored;    /* borrowed; of _store() */
    guint count;            /* of _raise_count() */
    SpokeDeadReason reason; /* of _bury() */
    SpokeShelfFunc done;
    gpointer user_data;
} Errand;

static Errand *
errand_new(SpokeShelf *shelf, SpokeParcel *parcel, SpokeShelfFunc done, gpointer user_data)
{
    Errand *errand = g_new0(Errand, 1);

    errand->shelf = shelf;
    errand->id = parcel->message->id;
    errand->done = done;
    errand->user_data = user_data;
    shelf->totals.writes++;
    return errand;
}

static void
finish(Errand *errand, SpokeParcel *parcel, const GError *error)
{
    errand->shelf->totals.writes--;
    if (errand->done != NULL)
        errand->done(parcel, error, errand->user_data);
    g_free(errand);
}

static void
add_alive(SpokeShelf *shelf, SpokeParcel *parcel)
{
    g_queue_push_tail_link(&shelf->alive, &parcel->link);
    shelf->totals.messages++;
    shelf->totals.bytes += spoke_message_cost(parcel->message);
}

static void
unlink_alive(SpokeShelf *shelf, SpokeParcel *parcel)
{
    g_queue_unlink(&shelf->alive, &parcel->link);
    shelf->totals.messages--;
    shelf->totals.bytes -= spoke_message_cost(parcel->message);
}

/* Dead letters that are leaving already don't count: they must not push out others. */
static void
count_dead(SpokeShelf *shelf, SpokeParcel *parcel)
{
    parcel->state = SPOKE_PARCEL_DEAD;
    shelf->totals.dead++;
    shelf->totals.dead_bytes += spoke_message_cost(parcel->message);
}

static void
add_dead(SpokeShelf *shelf, SpokeParcel *parcel)
{
    g_queue_push_tail_link(&shelf->dead, &parcel->link);
    count_dead(shelf, parcel);
}

static void
start_leaving(SpokeShelf *shelf, SpokeParcel *parcel)
{
    if (parcel->state == SPOKE_PARCEL_DEAD) {
        shelf->totals.dead--;
        shelf->totals.dead_bytes -= spoke_message_cost(parcel->message);
    }
    parcel->state = SPOKE_PARCEL_LEAVING;
}

static void
stay(SpokeShelf *shelf, SpokeParcel *parcel)
{
    if (parcel->dead == SPOKE_DEAD_NOT)
        parcel->state = SPOKE_PARCEL_WAITING;
    else
        count_dead(shelf, parcel);
}

static void
on_row(SpokeMessage *message, gint64 received_usec, guint delivery_count, SpokeDeadReason dead,
       gpointer user_data)
{
    SpokeShelf *shelf = user_data;
    SpokeParcel *parcel = spoke_parcel_new(message, received_usec);

    parcel->state = SPOKE_PARCEL_WAITING;
    parcel->count = parcel->count_stored = delivery_count;
    parcel->announced = delivery_count > 0;
    parcel->dead = dead;
    g_hash_table_insert(shelf->by_id, &parcel->message->id, parcel);
    if (dead == SPOKE_DEAD_NOT)
        add_alive(shelf, parcel);
    else
        add_dead(shelf, parcel);
}

SpokeShelf *
spoke_shelf_new(SpokeInbox *inbox, GError **error)
{
    g_autoptr(SpokeShelf) shelf = g_new0(SpokeShelf, 1);

    shelf->inbox = inbox;
    shelf->by_id = g_hash_table_new(g_int64_hash, g_int64_equal);
    if (!spoke_inbox_load(inbox, on_row, shelf, error))
        return NULL;
    return g_steal_pointer(&shelf);
}

static void
free_parcels(GQueue *queue)
{
    GList *link;

    /* The links are inside the parcels. */
    while ((link = g_queue_pop_head_link(queue)) != NULL)
        spoke_parcel_free(link->data);
}

void
spoke_shelf_free(SpokeShelf *shelf)
{
    if (shelf == NULL)
        return;

    spoke_inbox_free(shelf->inbox);
    g_hash_table_destroy(shelf->by_id);
    free_parcels(&shelf->alive);
    free_parcels(&shelf->dead);
    spoke_recent_clear(&shelf->recent);
    g_free(shelf);
}

GList *
spoke_shelf_peek_alive(SpokeShelf *shelf)
{
    return shelf->alive.head;
}

GList *
spoke_shelf_peek_dead(SpokeShelf *shelf)
{
    return shelf->dead.head;
}

SpokeParcel *
spoke_shelf_find(SpokeShelf *shelf, guint64 id)
{
    return g_hash_table_lookup(shelf->by_id, &id);
}

const SpokeShelfTotals *
spoke_shelf_get_totals(SpokeShelf *shelf)
{
    return &shelf->totals;
}

static SpokeParcel *
find_digest(GList *parcels, SpokeDigest digest)
{
    for (GList *link = parcels; link != NULL; link = link->next) {
        SpokeParcel *parcel = link->data;

        if (spoke_digest_equal(parcel->digest, digest))
            return parcel;
    }
    return NULL;
}

SpokeParcel *
spoke_shelf_find_repeated(SpokeShelf *shelf, SpokeDigest digest)
{
    SpokeParcel *parcel = find_digest(shelf->alive.head, digest);

    return parcel != NULL ? parcel : find_digest(shelf->dead.head, digest);
}

gboolean
spoke_shelf_has_had(SpokeShelf *shelf, SpokeDigest digest, SpokeVerdict *ret_verdict)
{
    return spoke_recent_find(&shelf->recent, digest, ret_verdict);
}

/* Only now can it be found by its id: one that could not be stored may not even have got one. */
static void
on_stored(const GError *error, gpointer user_data)
{
    Errand *errand = user_data;
    SpokeShelf *shelf = errand->shelf;
    SpokeParcel *parcel = errand->stored;

    shelf->totals.storing--;
    if (error == NULL) {
        g_hash_table_insert(shelf->by_id, &parcel->message->id, parcel);
        parcel->state = SPOKE_PARCEL_WAITING;
        finish(errand, parcel, NULL);
        return;
    }

    unlink_alive(shelf, parcel);
    finish(errand, parcel, error);
    spoke_parcel_free(parcel);
}

SpokeParcel *
spoke_shelf_store(SpokeShelf *shelf, SpokeMessage *message, gint64 received_usec,
                  SpokeShelfFunc done, gpointer user_data)
{
    SpokeParcel *parcel = spoke_parcel_new(message, received_usec);
    Errand *errand = errand_new(shelf, parcel, done, user_data);

    errand->stored = parcel;
    spoke_inbox_put(shelf->inbox, message, received_usec, on_stored, errand);
    parcel->state = SPOKE_PARCEL_STORING;
    shelf->totals.storing++;
    add_alive(shelf, parcel);
    return parcel;
}

static void
on_count_raised(const GError *error, gpointer user_data)
{
    Errand *errand = user_data;
    SpokeParcel *parcel = spoke_shelf_find(errand->shelf, errand->id);

    if (parcel != NULL) {
        parcel->count_storing = 0;
        if (error == NULL)
            parcel->count_stored = errand->count;
    }
    finish(errand, parcel, error);
}

void
spoke_shelf_raise_count(SpokeShelf *shelf, SpokeParcel *parcel, SpokeShelfFunc done,
                        gpointer user_data)
{
    g_return_if_fail(parcel->count_storing == 0);

    Errand *errand = errand_new(shelf, parcel, done, user_data);

    errand->count = parcel->count_storing = parcel->count + 1;
    spoke_inbox_update(shelf->inbox, errand->id, errand->count, SPOKE_DEAD_NOT, on_count_raised,
                       errand);
}

static void
on_removed(const GError *error, gpointer user_data)
{
    Errand *errand = user_data;
    SpokeShelf *shelf = errand->shelf;
    SpokeParcel *parcel = spoke_shelf_find(shelf, errand->id);

    if (error != NULL) {
        stay(shelf, parcel);
        finish(errand, parcel, error);
        return;
    }

    if (parcel->dead == SPOKE_DEAD_NOT)
        unlink_alive(shelf, parcel);
    else
        g_queue_unlink(&shelf->dead, &parcel->link);
    g_hash_table_remove(shelf->by_id, &errand->id);
    if (parcel->hub_verdict != SPOKE_VERDICT_RELEASE) /* else the hub will send it again */
        spoke_recent_add(&shelf->recent, parcel->digest, parcel->hub_verdict);
    finish(errand, parcel, NULL);
    spoke_parcel_free(parcel);
}

void
spoke_shelf_remove(SpokeShelf *shelf, SpokeParcel *parcel, SpokeShelfFunc done, gpointer user_data)
{
    Errand *errand = errand_new(shelf, parcel, done, user_data);

    start_leaving(shelf, parcel);
    spoke_inbox_remove(shelf->inbox, errand->id, on_removed, errand);
}

static void
on_buried(const GError *error, gpointer user_data)
{
    Errand *errand = user_data;
    SpokeShelf *shelf = errand->shelf;
    SpokeParcel *parcel = spoke_shelf_find(shelf, errand->id);

    if (error != NULL) {
        stay(shelf, parcel);
    } else {
        unlink_alive(shelf, parcel);
        parcel->dead = errand->reason;
        add_dead(shelf, parcel);
    }
    finish(errand, parcel, error);
}

void
spoke_shelf_bury(SpokeShelf *shelf, SpokeParcel *parcel, SpokeDeadReason reason,
                 SpokeShelfFunc done, gpointer user_data)
{
    Errand *errand = errand_new(shelf, parcel, done, user_data);

    start_leaving(shelf, parcel);
    errand->reason = reason;
    spoke_inbox_update(shelf->inbox, errand->id, parcel->count, reason, on_buried, errand);
}

void
spoke_shelf_trim_dead(SpokeShelf *shelf, guint messages_max, guint64 bytes_max, SpokeShelfFunc done,
                      gpointer user_data)
{
    for (GList *link = shelf->dead.head; link != NULL; link = link->next) {
        SpokeParcel *parcel = link->data;
        gboolean too_many = shelf->totals.dead > messages_max;
        gboolean too_big = shelf->totals.dead_bytes > bytes_max && shelf->totals.dead > 1;

        if (!too_many && !too_big)
            return;
        if (parcel->state == SPOKE_PARCEL_DEAD)
            spoke_shelf_remove(shelf, parcel, done, user_data);
    }
}
