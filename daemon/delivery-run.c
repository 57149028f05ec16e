/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/delivery-private.h"

/*
 * One run: end locks, bury what is past help, announce what is new, find takers, answer who waited
 * long enough, set the alarms. What a walk over the messages finds to be said is noted as errands
 * and said after the walk, because who is called may call back in.
 */
typedef struct {
    guint64 id;
    guint32 observer; /* subscription that gets a copy; 0: the message goes to its taker */
} Errand;

static void
add_errand(GArray *errands, const SpokeParcel *parcel, guint32 observer)
{
    Errand errand = {parcel->message->id, observer};

    g_array_append_val(errands, errand);
}

void
spoke_delivery_note_storage(SpokeDelivery *self, const GError *error)
{
    self->storage_failing = error != NULL;
    if (error != NULL)
        self->storage_retry_usec =
            spoke_delivery_now(self, SPOKE_CLOCK_BOOT) + SPOKE_DELIVERY_STORAGE_RETRY_USEC;
    spoke_delivery_ask_for_run(self);
}

void
spoke_delivery_give_answers(SpokeDelivery *self)
{
    SpokeDeliveryAnswer *answer;

    while ((answer = g_queue_pop_head(&self->answers)) != NULL) {
        answer->done(answer->error, answer->user_data);
        g_clear_error(&answer->error);
        g_free(answer);
    }
}

static void
hand_out(SpokeDelivery *self, SpokeParcel *parcel)
{
    parcel->state = SPOKE_PARCEL_LOCKED;
    parcel->count++;
    parcel->lock_end_usec =
        spoke_delivery_now(self, SPOKE_CLOCK_BOOT) + (gint64)parcel->lock_msec * 1000;
    spoke_delivery_ask_for_run(self);

    SpokeDelivered delivered = spoke_parcel_describe(parcel);

    if (parcel->receiver != NULL) {
        spoke_receiver_answer(g_steal_pointer(&parcel->receiver), &delivered, NULL);
        return;
    }

    SpokeSubscription *handler =
        spoke_subscriptions_find(&self->subscriptions, parcel->subscription);
    g_autofree char *owner = g_strdup(handler->owner);

    self->events.deliver(owner, &delivered, self->user_data);
}

static gboolean
is_in(const GArray *numbers, guint32 number)
{
    for (guint i = 0; i < numbers->len; i++)
        if (g_array_index(numbers, guint32, i) == number)
            return TRUE;
    return FALSE;
}

/* The oldest that is promised and may be handed out: not before an older one that is promised to
 * the same handler, whose count the disk has yet to take. */
static SpokeParcel *
find_ready(SpokeDelivery *self)
{
    g_autoptr(GArray) waiting = g_array_new(FALSE, FALSE, sizeof(guint32));

    for (GList *link = spoke_shelf_peek_alive(self->shelf); link != NULL; link = link->next) {
        SpokeParcel *parcel = link->data;

        if (parcel->state != SPOKE_PARCEL_PROMISED)
            continue;
        if (parcel->count_stored <= parcel->count)
            g_array_append_val(waiting, parcel->subscription);
        else if (parcel->receiver != NULL || !is_in(waiting, parcel->subscription))
            return parcel;
    }
    return NULL;
}

/* Who is called may call back in, so the search begins anew each time. */
static void
hand_out_ready(SpokeDelivery *self)
{
    SpokeParcel *parcel;

    while ((parcel = find_ready(self)) != NULL)
        hand_out(self, parcel);
}

void
spoke_delivery_on_counted(SpokeParcel *parcel, const GError *error, gpointer user_data)
{
    SpokeDelivery *self = user_data;

    spoke_delivery_note_storage(self, error);
    if (parcel == NULL || parcel->state != SPOKE_PARCEL_PROMISED)
        return; /* written ahead of a taker, or the taker has left */

    if (error == NULL) {
        hand_out_ready(self);
        return;
    }

    SpokeReceiver *receiver = g_steal_pointer(&parcel->receiver);

    spoke_delivery_let_go(self, parcel);
    if (receiver != NULL)
        spoke_receiver_answer(receiver, NULL, error);
}

/* Kept as soon as the count is on disk. */
static void
promise(SpokeDelivery *self, SpokeParcel *parcel, GArray *errands)
{
    parcel->state = SPOKE_PARCEL_PROMISED;
    if (parcel->count_stored > parcel->count)
        add_errand(errands, parcel, 0);
    else if (parcel->count_storing == 0)
        spoke_shelf_raise_count(self->shelf, parcel, spoke_delivery_on_counted, self);
}

static void
find_taker(SpokeDelivery *self, SpokeParcel *parcel, GArray *errands)
{
    SpokeSubscription *handler =
        spoke_subscriptions_pick_handler(&self->subscriptions, parcel->message, parcel->last_held);

    if (handler != NULL) {
        handler->held++;
        parcel->subscription = handler->number;
        parcel->lock_msec = handler->lock_msec;
        promise(self, parcel, errands);
        return;
    }

    SpokeReceiver *receiver = spoke_receivers_take_for(&self->receivers, parcel->message, FALSE);

    if (receiver == NULL)
        return;
    if (receiver->lock_msec == 0) {
        spoke_delivery_remove_for(self, parcel, receiver);
        return;
    }
    parcel->user = g_strdup(receiver->user);
    parcel->lock_msec = receiver->lock_msec;
    parcel->receiver = receiver;
    promise(self, parcel, errands);
}

static void
announce(SpokeDelivery *self, SpokeParcel *parcel, GArray *errands)
{
    gboolean has_taker = spoke_subscriptions_have_handler(&self->subscriptions, parcel->message) ||
                         spoke_receivers_want(&self->receivers, parcel->message, FALSE);
    g_autoptr(GArray) observers =
        spoke_subscriptions_list_observers(&self->subscriptions, parcel->message);

    if (!has_taker && observers->len == 0)
        return;

    parcel->announced = TRUE;
    for (guint i = 0; i < observers->len; i++)
        add_errand(errands, parcel, g_array_index(observers, guint32, i));

    /* It leaves the disk in the next run: the copies go first. */
    if (!has_taker) {
        parcel->completed = TRUE;
        spoke_delivery_ask_for_run(self);
    }
}

static void
distribute_one(SpokeDelivery *self, SpokeParcel *parcel, gint64 wall_usec, GArray *errands)
{
    if (parcel->completed) {
        spoke_delivery_remove(self, parcel, NULL, NULL);
        return;
    }
    if (parcel->expiry_usec <= wall_usec) {
        spoke_delivery_bury(self, parcel, SPOKE_DEAD_EXPIRED, NULL, NULL);
        return;
    }
    if (parcel->count >= self->options.delivery_count_max) {
        spoke_delivery_bury(self, parcel, SPOKE_DEAD_DELIVERY_COUNT, NULL, NULL);
        return;
    }

    if (!parcel->announced)
        announce(self, parcel, errands);
    if (parcel->announced && !parcel->completed)
        find_taker(self, parcel, errands);
}

static void
run_errands(SpokeDelivery *self, GArray *errands)
{
    for (guint i = 0; i < errands->len; i++) {
        const Errand *errand = &g_array_index(errands, Errand, i);
        SpokeParcel *parcel = spoke_shelf_find(self->shelf, errand->id);
        SpokeSubscription *observer =
            spoke_subscriptions_find(&self->subscriptions, errand->observer);

        if (parcel == NULL)
            continue;
        if (errand->observer == 0) {
            hand_out_ready(self);
        } else if (observer != NULL) {
            SpokeDelivered copy = {.message = parcel->message,
                                   .received_usec = parcel->received_usec,
                                   .subscription = observer->number,
                                   .mode = SPOKE_SUBSCRIBE_OBSERVE};
            g_autofree char *owner = g_strdup(observer->owner);

            self->events.deliver(owner, &copy, self->user_data);
        }
    }
}

static void
distribute(SpokeDelivery *self)
{
    g_autoptr(GArray) errands = g_array_new(FALSE, FALSE, sizeof(Errand));
    gint64 wall_usec = spoke_delivery_now(self, SPOKE_CLOCK_WALL);

    for (GList *link = spoke_shelf_peek_alive(self->shelf); link != NULL; link = link->next) {
        SpokeParcel *parcel = link->data;

        if (parcel->state == SPOKE_PARCEL_WAITING)
            distribute_one(self, parcel, wall_usec, errands);
    }
    for (GList *link = spoke_shelf_peek_dead(self->shelf);
         link != NULL && self->receivers.length > 0; link = link->next) {
        SpokeParcel *parcel = link->data;

        if (parcel->state != SPOKE_PARCEL_DEAD)
            continue;

        SpokeReceiver *receiver = spoke_receivers_take_for(&self->receivers, parcel->message, TRUE);

        if (receiver != NULL)
            spoke_delivery_remove_for(self, parcel, receiver);
    }
    run_errands(self, errands);
}

static void
end_locks(SpokeDelivery *self, gint64 now_usec)
{
    for (GList *link = spoke_shelf_peek_alive(self->shelf); link != NULL; link = link->next) {
        SpokeParcel *parcel = link->data;

        if (parcel->state == SPOKE_PARCEL_LOCKED && parcel->lock_end_usec <= now_usec)
            spoke_delivery_let_go(self, parcel);
    }
}

/* The hub need not wait for a message that nobody here wants now, nor for long for one that
 * somebody does: it is on our disk. */
static void
end_holds(SpokeDelivery *self, gint64 now_usec)
{
    for (GList *link = spoke_shelf_peek_alive(self->shelf); link != NULL; link = link->next) {
        SpokeParcel *parcel = link->data;
        gboolean is_unwanted = parcel->state == SPOKE_PARCEL_WAITING && !parcel->announced;

        if (parcel->hub_done == NULL || parcel->state == SPOKE_PARCEL_LEAVING)
            continue;
        if (parcel->hub_end_usec <= now_usec || is_unwanted || self->stopped)
            spoke_parcel_end_hold(parcel, SPOKE_VERDICT_ACCEPT);
    }
}

static void
refuse_receivers(SpokeDelivery *self, gint64 now_usec)
{
    SpokeReceiver *receiver;

    while (self->stopped && (receiver = g_queue_pop_head(&self->receivers)) != NULL)
        spoke_receiver_refuse(receiver, SPOKE_ERROR_SHUTDOWN, "The daemon is stopping");
    while ((receiver = spoke_receivers_take_overdue(&self->receivers, now_usec)) != NULL)
        spoke_receiver_refuse(receiver, SPOKE_ERROR_TIMEOUT, "No message came in time");
}

gboolean
spoke_delivery_look_full(SpokeDelivery *self)
{
    const SpokeShelfTotals *totals = spoke_shelf_get_totals(self->shelf);
    const SpokeDeliveryOptions *options = &self->options;

    if (self->full)
        self->full = totals->messages > options->messages_max / 4 * 3 ||
                     totals->bytes > options->bytes_max / 4 * 3;
    else
        self->full =
            totals->messages >= options->messages_max || totals->bytes >= options->bytes_max;
    return self->full;
}

/* A disk that has failed is tried with what there is to write; if there is nothing, with what the
 * hub may have. */
static gboolean
is_storage_failing(SpokeDelivery *self)
{
    if (self->storage_retry_usec == 0 && spoke_shelf_get_totals(self->shelf)->writes == 0)
        self->storage_failing = FALSE;
    return self->storage_retry_usec != 0 || self->storage_failing;
}

static void
say_paused(SpokeDelivery *self)
{
    gboolean failing = is_storage_failing(self);
    gboolean full = spoke_delivery_look_full(self);
    SpokePause pause = failing ? SPOKE_PAUSE_STORAGE : full ? SPOKE_PAUSE_FULL : SPOKE_PAUSE_NOT;

    if (pause == self->pause)
        return;

    self->pause = pause;
    self->events.paused(pause, self->user_data);
}

static void
set_alarms(SpokeDelivery *self)
{
    gboolean idle = self->stopped || self->storage_retry_usec != 0;
    gint64 boot_usec = spoke_receivers_get_deadline(&self->receivers);
    gint64 wall_usec = SPOKE_CLOCK_NEVER;

    if (self->storage_retry_usec != 0)
        boot_usec = MIN(boot_usec, self->storage_retry_usec);
    for (GList *link = spoke_shelf_peek_alive(self->shelf); link != NULL; link = link->next) {
        const SpokeParcel *parcel = link->data;

        if (parcel->hub_done != NULL && parcel->state != SPOKE_PARCEL_LEAVING)
            boot_usec = MIN(boot_usec, parcel->hub_end_usec);
        if (parcel->state == SPOKE_PARCEL_LOCKED)
            boot_usec = MIN(boot_usec, parcel->lock_end_usec);
        else if (parcel->state == SPOKE_PARCEL_WAITING && !idle)
            wall_usec = MIN(wall_usec, parcel->expiry_usec);
    }
    self->clock->set_alarm(self->clock, SPOKE_CLOCK_BOOT, boot_usec);
    self->clock->set_alarm(self->clock, SPOKE_CLOCK_WALL, wall_usec);
}

static gboolean
run(gpointer user_data)
{
    SpokeDelivery *self = user_data;
    gint64 now_usec = spoke_delivery_now(self, SPOKE_CLOCK_BOOT);

    self->run_id = 0;
    if (self->storage_retry_usec <= now_usec)
        self->storage_retry_usec = 0;

    end_locks(self, now_usec);
    if (!self->stopped && self->storage_retry_usec == 0)
        distribute(self);
    end_holds(self, now_usec);
    refuse_receivers(self, now_usec);
    spoke_delivery_give_answers(self);
    say_paused(self);
    set_alarms(self);
    return G_SOURCE_REMOVE;
}

void
spoke_delivery_ask_for_run(SpokeDelivery *self)
{
    if (self->run_id == 0)
        self->run_id = g_idle_add_full(G_PRIORITY_DEFAULT, run, self, NULL);
}
