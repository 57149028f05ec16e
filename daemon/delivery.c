/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/delivery.h"

#include "daemon/delivery-private.h"
#include "daemon/error.h"
#include "daemon/filter.h"

/*
 * What the outside asks for: take this over, I listen, I wait, I am done with it, I have gone.
 * What follows from it is delivery-run.c.
 */

const char *
spoke_dead_reason_to_string(SpokeDeadReason reason)
{
    static const char *const names[] = {
        [SPOKE_DEAD_NOT] = "",
        [SPOKE_DEAD_REJECTED] = "rejected",
        [SPOKE_DEAD_EXPIRED] = "expired",
        [SPOKE_DEAD_DELIVERY_COUNT] = "delivery-count",
    };

    return names[reason];
}

static void
answer_later(SpokeDelivery *self, SpokeInboxFunc done, gpointer user_data, GError *error)
{
    SpokeDeliveryAnswer *answer = g_new0(SpokeDeliveryAnswer, 1);

    answer->done = done;
    answer->user_data = user_data;
    answer->error = error;
    g_queue_push_tail(&self->answers, answer);
    spoke_delivery_ask_for_run(self);
}

static void
on_due(gpointer user_data)
{
    spoke_delivery_ask_for_run(user_data);
}

SpokeDelivery *
spoke_delivery_new(SpokeInbox *inbox, SpokeClock *clock, const SpokeDeliveryOptions *options,
                   const SpokeDeliveryEvents *events, gpointer user_data, GError **error)
{
    g_autoptr(SpokeDelivery) self = g_new0(SpokeDelivery, 1);

    self->clock = clock;
    self->clock->due = on_due;
    self->clock->user_data = self;
    self->options = *options;
    self->events = *events;
    self->user_data = user_data;
    self->shelf = spoke_shelf_new(inbox, error);
    if (self->shelf == NULL)
        return NULL;

    spoke_delivery_trim_dead(self);
    self->pause = spoke_delivery_look_full(self) ? SPOKE_PAUSE_FULL : SPOKE_PAUSE_NOT;
    spoke_delivery_ask_for_run(self);
    return g_steal_pointer(&self);
}

/* They are ours: they are on disk. Those that are being given back are not. */
void
spoke_delivery_end_holds(SpokeDelivery *self)
{
    self->holds_ended++;
    for (GList *link = spoke_shelf_peek_alive(self->shelf); link != NULL; link = link->next) {
        SpokeParcel *parcel = link->data;

        spoke_parcel_end_hold(parcel, parcel->hub_verdict);
    }
}

void
spoke_delivery_free(SpokeDelivery *self)
{
    if (self == NULL)
        return;

    if (self->shelf != NULL) {
        spoke_delivery_stop(self);
        spoke_delivery_end_holds(self);
    }
    while (!g_queue_is_empty(&self->receivers))
        spoke_receiver_refuse(g_queue_pop_head(&self->receivers), SPOKE_ERROR_SHUTDOWN,
                              "The daemon is stopping");
    spoke_shelf_free(self->shelf);
    spoke_delivery_give_answers(self);
    spoke_subscriptions_clear(&self->subscriptions);
    g_clear_handle_id(&self->run_id, g_source_remove);
    self->clock->free(self->clock);
    g_free(self);
}

void
spoke_delivery_set_options(SpokeDelivery *self, const SpokeDeliveryOptions *options)
{
    self->options = *options;
    spoke_delivery_trim_dead(self);
    spoke_delivery_ask_for_run(self);
}

/* Takes back what is promised to @number, or locked to it, or promised to a receiver of @owner
 * (each 0 or NULL for nobody's). */
static void
take_back(SpokeDelivery *self, guint32 number, const char *owner)
{
    for (GList *link = spoke_shelf_peek_alive(self->shelf); link != NULL; link = link->next) {
        SpokeParcel *parcel = link->data;
        SpokeReceiver *receiver = parcel->receiver;

        if (receiver != NULL && g_strcmp0(receiver->owner, owner) == 0) {
            parcel->receiver = NULL;
            spoke_delivery_let_go(self, parcel);
            g_queue_push_tail(&self->receivers, receiver); /* to be refused with the others */
        } else if (number != 0 && parcel->subscription == number) {
            spoke_delivery_let_go(self, parcel);
        }
    }
}

void
spoke_delivery_stop(SpokeDelivery *self)
{
    self->stopped = TRUE;
    for (GList *link = spoke_shelf_peek_alive(self->shelf); link != NULL; link = link->next) {
        SpokeParcel *parcel = link->data;

        if (parcel->state != SPOKE_PARCEL_PROMISED)
            continue;
        if (parcel->receiver != NULL)
            g_queue_push_tail(&self->receivers, g_steal_pointer(&parcel->receiver));
        spoke_delivery_let_go(self, parcel);
    }
    spoke_delivery_ask_for_run(self);
}

static void
on_stored(SpokeParcel *parcel, const GError *error, gpointer user_data)
{
    SpokeDelivery *self = user_data;

    spoke_delivery_note_storage(self, error);
    if (error == NULL)
        self->received++;
    spoke_parcel_answer_waiters(parcel, error);
}

/* The slack is for what was on its way when receiving paused. */
static gboolean
check_room(SpokeDelivery *self, GError **error)
{
    const SpokeShelfTotals *totals = spoke_shelf_get_totals(self->shelf);
    guint64 messages_max = (guint64)self->options.messages_max + SPOKE_DELIVERY_SLACK_MESSAGES;
    guint64 bytes_max = self->options.bytes_max + SPOKE_DELIVERY_SLACK_BYTES;

    if (totals->messages < messages_max && totals->bytes < bytes_max)
        return TRUE;

    g_set_error(error, SPOKE_ERROR, SPOKE_ERROR_QUEUE_FULL,
                "Inbox of %u messages and %" G_GUINT64_FORMAT " bytes is over the limit of %u or "
                "%" G_GUINT64_FORMAT,
                totals->messages, totals->bytes, self->options.messages_max,
                self->options.bytes_max);
    return FALSE;
}

static void
store(SpokeDelivery *self, SpokeMessage *message, SpokeInboxFunc done, gpointer user_data,
      SpokeParcel **ret_parcel)
{
    SpokeParcel *parcel = spoke_shelf_store(
        self->shelf, message, spoke_delivery_now(self, SPOKE_CLOCK_WALL), on_stored, self);

    *ret_parcel = parcel;
    spoke_parcel_add_waiter(parcel, done, user_data);
    /* A handler is free: its count goes to the disk in the same commit, not in one of its own. */
    if (!self->stopped && spoke_subscriptions_get_room(&self->subscriptions, message) >=
                              spoke_shelf_get_totals(self->shelf)->storing)
        spoke_shelf_raise_count(self->shelf, parcel, spoke_delivery_on_counted, self);
    spoke_delivery_ask_for_run(self);
}

static gboolean
is_given_back(const SpokeParcel *parcel)
{
    return parcel->state == SPOKE_PARCEL_LEAVING && parcel->hub_verdict != SPOKE_VERDICT_ACCEPT;
}

/* @ret_parcel: what has been stored; NULL if that was not needed or not possible */
static void
take_over(SpokeDelivery *self, SpokeMessage *message, SpokeInboxFunc done, gpointer user_data,
          SpokeParcel **ret_parcel)
{
    SpokeDigest digest = spoke_digest_of(message);
    SpokeParcel *repeated = spoke_shelf_find_repeated(self->shelf, digest);
    SpokeVerdict verdict = SPOKE_VERDICT_REJECT;
    GError *error = NULL;

    *ret_parcel = NULL;
    if (repeated != NULL && repeated->state == SPOKE_PARCEL_STORING)
        spoke_parcel_add_waiter(repeated, done, user_data);
    else if (repeated != NULL && !is_given_back(repeated))
        answer_later(self, done, user_data, NULL);
    else if (spoke_shelf_has_had(self->shelf, digest, &verdict) && verdict == SPOKE_VERDICT_ACCEPT)
        answer_later(self, done, user_data, NULL);
    else if (!check_room(self, &error))
        answer_later(self, done, user_data, error);
    else
        store(self, message, done, user_data, ret_parcel);
}

void
spoke_delivery_take_over(SpokeDelivery *self, SpokeMessage *message, SpokeInboxFunc done,
                         gpointer user_data)
{
    SpokeParcel *unused;

    take_over(self, message, done, user_data, &unused);
}

/* The hub waits for a verdict on a message that is on its way to the disk. */
typedef struct {
    SpokeDelivery *delivery; /* borrowed, outlives us */
    SpokeParcel *parcel;     /* borrowed; NULL: a repeat */
    SpokeVerdict verdict;    /* on a repeat */
    guint holds_ended;       /* as it was at first */
    SpokeVerdictFunc done;
    gpointer user_data;
} Hold;

static void
hold(SpokeDelivery *self, SpokeParcel *parcel, SpokeVerdictFunc done, gpointer user_data)
{
    spoke_parcel_hold(parcel, done, user_data,
                      spoke_delivery_now(self, SPOKE_CLOCK_BOOT) + SPOKE_DELIVERY_HOLD_USEC);
    spoke_delivery_ask_for_run(self);
}

static void
on_held_stored(const GError *error, gpointer user_data)
{
    g_autofree Hold *self = user_data;

    if (error != NULL)
        self->done(SPOKE_VERDICT_RELEASE, self->user_data);
    else if (self->parcel == NULL || self->holds_ended != self->delivery->holds_ended)
        self->done(self->verdict, self->user_data);
    else
        hold(self->delivery, self->parcel, self->done, self->user_data);
}

/* It can be told what becomes of the message: sooner or later something does. */
static gboolean
is_pending(const SpokeParcel *parcel)
{
    return parcel->state != SPOKE_PARCEL_STORING && parcel->dead == SPOKE_DEAD_NOT;
}

void
spoke_delivery_hold(SpokeDelivery *self, SpokeMessage *message, SpokeVerdictFunc done,
                    gpointer user_data)
{
    SpokeDigest digest = spoke_digest_of(message);
    SpokeParcel *repeated = spoke_shelf_find_repeated(self->shelf, digest);

    /* After a lost connection the hub sends again what it has no verdict on. */
    if (repeated != NULL && is_pending(repeated)) {
        hold(self, repeated, done, user_data);
        return;
    }

    Hold *waiting = g_new0(Hold, 1);

    waiting->delivery = self;
    waiting->holds_ended = self->holds_ended;
    waiting->done = done;
    waiting->user_data = user_data;
    if (repeated == NULL && spoke_shelf_has_had(self->shelf, digest, &waiting->verdict))
        answer_later(self, on_held_stored, waiting, NULL);
    else
        take_over(self, message, on_held_stored, waiting, &waiting->parcel);
}

static gboolean
check_running(SpokeDelivery *self, GError **error)
{
    if (self->stopped)
        g_set_error_literal(error, SPOKE_ERROR, SPOKE_ERROR_SHUTDOWN, "The daemon is stopping");
    return !self->stopped;
}

guint32
spoke_delivery_subscribe(SpokeDelivery *self, const char *owner, SpokeSubscribeMode mode,
                         GBytes *filter, guint64 lock_msec, guint credit, GError **error)
{
    g_return_val_if_fail(mode == SPOKE_SUBSCRIBE_OBSERVE ||
                             (lock_msec >= SPOKE_LOCK_MSEC_MIN && lock_msec <= SPOKE_LOCK_MSEC_MAX),
                         0);
    g_return_val_if_fail(
        mode == SPOKE_SUBSCRIBE_OBSERVE || (credit >= 1 && credit <= SPOKE_CREDIT_MAX), 0);

    if (!check_running(self, error))
        return 0;

    SpokeSubscription *subscription =
        spoke_subscriptions_add(&self->subscriptions, owner, mode, filter, error);

    if (subscription == NULL)
        return 0;
    subscription->lock_msec = lock_msec;
    subscription->credit = credit;
    spoke_delivery_ask_for_run(self);
    return subscription->number;
}

static void
end_subscription(SpokeDelivery *self, SpokeSubscription *subscription)
{
    take_back(self, subscription->number, NULL);
    spoke_subscriptions_remove(&self->subscriptions, subscription);
}

gboolean
spoke_delivery_unsubscribe(SpokeDelivery *self, const char *owner, guint32 number, GError **error)
{
    SpokeSubscription *subscription = spoke_subscriptions_find(&self->subscriptions, number);

    if (subscription == NULL || !g_str_equal(subscription->owner, owner)) {
        g_set_error(error, SPOKE_ERROR, SPOKE_ERROR_NO_SUCH_SUBSCRIPTION,
                    "Caller has no subscription %u", number);
        return FALSE;
    }

    end_subscription(self, subscription);
    return TRUE;
}

void
spoke_delivery_drop_owner(SpokeDelivery *self, const char *owner)
{
    SpokeSubscription *subscription;
    SpokeReceiver *receiver;

    while ((subscription = spoke_subscriptions_find_owned(&self->subscriptions, owner)) != NULL)
        end_subscription(self, subscription);
    take_back(self, 0, owner);
    while ((receiver = spoke_receivers_take_owned(&self->receivers, owner)) != NULL)
        spoke_receiver_refuse(receiver, SPOKE_ERROR_CANCELLED, "The caller has left");
}

void
spoke_delivery_set_slow(SpokeDelivery *self, const char *owner, gboolean is_slow)
{
    for (GList *link = self->subscriptions.all.head; link != NULL; link = link->next) {
        SpokeSubscription *subscription = link->data;

        if (g_str_equal(subscription->owner, owner))
            subscription->is_slow = is_slow;
    }
    spoke_delivery_ask_for_run(self);
}

gboolean
spoke_delivery_receive(SpokeDelivery *self, const char *owner, const char *user,
                       gint64 timeout_usec, GBytes *filter, guint64 lock_msec, gboolean dead_letter,
                       SpokeReceiveFunc done, gpointer user_data, GError **error)
{
    g_return_val_if_fail(!dead_letter || lock_msec == 0, FALSE);

    if (!check_running(self, error) || !spoke_filter_check(filter, error))
        return FALSE;
    if (self->receivers.length >= SPOKE_RECEIVERS_MAX) {
        g_set_error(error, SPOKE_ERROR, SPOKE_ERROR_LIMIT_REACHED,
                    "%u callers wait for a message, the limit is %u", self->receivers.length,
                    SPOKE_RECEIVERS_MAX);
        return FALSE;
    }

    SpokeReceiver *receiver = spoke_receiver_new(owner, user, filter);
    gint64 now_usec = spoke_delivery_now(self, SPOKE_CLOCK_BOOT);

    receiver->lock_msec = lock_msec;
    receiver->dead_letter = dead_letter;
    receiver->deadline_usec = timeout_usec < SPOKE_CLOCK_NEVER - now_usec
                                  ? now_usec + MAX(timeout_usec, 0)
                                  : SPOKE_CLOCK_NEVER;
    receiver->done = done;
    receiver->user_data = user_data;
    g_queue_push_tail(&self->receivers, receiver);
    spoke_delivery_ask_for_run(self);
    return TRUE;
}

static gboolean
is_locked_to(SpokeDelivery *self, const SpokeParcel *parcel, const char *owner, const char *user)
{
    if (parcel == NULL || parcel->state != SPOKE_PARCEL_LOCKED)
        return FALSE;
    if (parcel->user != NULL)
        return g_strcmp0(parcel->user, user) == 0;

    SpokeSubscription *holder =
        spoke_subscriptions_find(&self->subscriptions, parcel->subscription);

    return g_strcmp0(holder->owner, owner) == 0;
}

gboolean
spoke_delivery_set_no_message(GError **error, const char *id)
{
    g_set_error(error, SPOKE_ERROR, SPOKE_ERROR_NO_SUCH_MESSAGE,
                "No message \"%s\" is locked to this caller; its lock may have run out, or it is "
                "settled already",
                id);
    return FALSE;
}

gboolean
spoke_delivery_settle(SpokeDelivery *self, const char *owner, const char *user, guint64 id,
                      SpokeSettle settle, SpokeInboxFunc done, gpointer user_data, GError **error)
{
    SpokeParcel *parcel = spoke_shelf_find(self->shelf, id);

    if (!is_locked_to(self, parcel, owner, user)) {
        g_autofree char *text = g_strdup_printf("%" G_GUINT64_FORMAT, id);
        return spoke_delivery_set_no_message(error, text);
    }

    spoke_delivery_let_go(self, parcel);
    if (settle == SPOKE_SETTLE_COMPLETE)
        spoke_delivery_remove(self, parcel, done, user_data);
    else if (parcel->hub_done != NULL)
        spoke_delivery_give_back(self, parcel,
                                 settle == SPOKE_SETTLE_REJECT ? SPOKE_VERDICT_REJECT
                                                               : SPOKE_VERDICT_RELEASE,
                                 done, user_data);
    else if (settle == SPOKE_SETTLE_REJECT)
        spoke_delivery_bury(self, parcel, SPOKE_DEAD_REJECTED, done, user_data);
    else if (parcel->count >= self->options.delivery_count_max)
        spoke_delivery_bury(self, parcel, SPOKE_DEAD_DELIVERY_COUNT, done, user_data);
    else
        answer_later(self, done, user_data, NULL); /* its count is on disk since the hand-out */
    return TRUE;
}

guint64
spoke_delivery_get_waiting(SpokeDelivery *self)
{
    const SpokeShelfTotals *totals = spoke_shelf_get_totals(self->shelf);

    return totals->messages - totals->storing;
}

guint64
spoke_delivery_get_dead_letters(SpokeDelivery *self)
{
    return spoke_shelf_get_totals(self->shelf)->dead;
}

guint64
spoke_delivery_get_received(SpokeDelivery *self)
{
    return self->received;
}

SpokePause
spoke_delivery_get_pause(SpokeDelivery *self)
{
    return self->pause;
}
