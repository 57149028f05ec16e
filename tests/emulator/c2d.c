/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The queue lives in hub.db alone: there is no second copy to disagree with, and a kill leaves
 * every message in the state it had. A lock is named by the message and the number of its
 * delivery, so that a settlement that comes too late finds nothing.
 *
 * Whether a lock that runs out counts as a delivery is told in two ways by the hub's own
 * documentation; here it is a setting, and by default only an abandon counts. When a link is
 * lost, locks go on until they run out: nobody settles them earlier. */

#include "c2d.h"

#include "bag.h"
#include "error.h"
#include "store.h"

#include <string.h>

#define MESSAGE_ID_MAX         128
#define MESSAGE_ID_PUNCTUATION "-:.+%_#*?!(),=@;$'"
#define FEEDBACK_TTL_USEC      ((gint64)60 * 60 * G_USEC_PER_SEC)
#define LOCK_DELIVERY_BITS     16

/* Columns of a message without its body, in the order in which read_message() takes them. */
#define COLUMNS                                                                                    \
    "sequence, device_id, message_id, state, delivery_count, deliveries, enqueued_usec,"           \
    " expiry_usec, deadline_usec, ack, bag, reason, completed_usec, generation_id"
#define COLUMN_BODY 14

struct EmuC2d {
    EmuStore *store; /* borrowed, outlives us */
    EmuC2dLimits limits;
    const EmuC2dEvents *events; /* static */
    gpointer user_data;
    gint64 told_usec; /* the deadline that was last answered */
};

typedef struct {
    guint64 sequence;
    char *device_id;     /* owned */
    char *message_id;    /* owned */
    char *generation_id; /* owned */
    EmuC2dState state;
    guint delivery_count;
    gint64 expiry_usec;
    EmuAck ack;
} Row;

static const char *const state_names[] = {
    [EMU_C2D_ENQUEUED] = "Enqueued",   [EMU_C2D_INVISIBLE] = "Invisible",
    [EMU_C2D_COMPLETED] = "Completed", [EMU_C2D_DEAD_LETTERED] = "DeadLettered",
    [EMU_C2D_PURGED] = "Purged",
};

static const char *const ack_names[] = {
    [EMU_ACK_NONE] = "none",
    [EMU_ACK_POSITIVE] = "positive",
    [EMU_ACK_NEGATIVE] = "negative",
    [EMU_ACK_FULL] = "full",
};

static void
row_clear(Row *row)
{
    g_clear_pointer(&row->device_id, g_free);
    g_clear_pointer(&row->message_id, g_free);
    g_clear_pointer(&row->generation_id, g_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Row, row_clear)

void
emu_c2d_message_free(EmuC2dMessage *message)
{
    if (message == NULL)
        return;

    g_free(message->device_id);
    g_free(message->message_id);
    g_free(message->bag);
    g_clear_pointer(&message->body, g_bytes_unref);
    g_free(message->reason);
    g_free(message);
}

void
emu_feedback_free(EmuFeedback *feedback)
{
    if (feedback == NULL)
        return;

    g_free(feedback->original_message_id);
    g_free(feedback->status);
    g_free(feedback->device_id);
    g_free(feedback->generation_id);
    g_free(feedback);
}

EmuC2d *
emu_c2d_new(EmuStore *store, const EmuC2dLimits *limits, const EmuC2dEvents *events,
            gpointer user_data)
{
    EmuC2d *self = g_new0(EmuC2d, 1);

    self->store = store;
    self->limits = *limits;
    self->events = events;
    self->user_data = user_data;
    self->told_usec = G_MAXINT64;
    return self;
}

void
emu_c2d_free(EmuC2d *self)
{
    g_free(self);
}

/* Runs a change that only a broken disk can make fail: the hub goes on, the log says so. */
static void
change(EmuC2d *self, sqlite3_stmt *statement)
{
    g_autoptr(GError) error = NULL;

    if (!emu_store_finish(self->store, statement, &error))
        g_warning("C2D queue: %s", error->message);
}

static void
commit(EmuC2d *self)
{
    g_autoptr(GError) error = NULL;

    if (!emu_store_commit(self->store, &error))
        g_warning("C2D queue: %s", error->message);
}

static void
tell_deadline(EmuC2d *self, gint64 deadline_usec)
{
    if (deadline_usec >= self->told_usec)
        return;
    self->told_usec = deadline_usec;
    self->events->sooner(self->user_data);
}

static gboolean
message_id_is_valid(const char *id)
{
    size_t size = strlen(id);

    if (size < 1 || size > MESSAGE_ID_MAX)
        return FALSE;
    for (size_t i = 0; i < size; i++) {
        if (!g_ascii_isalnum(id[i]) && strchr(MESSAGE_ID_PUNCTUATION, id[i]) == NULL)
            return FALSE;
    }
    return TRUE;
}

static gboolean
check_new(EmuC2d *self, const EmuC2dNew *message, gint64 now_usec, GError **error)
{
    size_t bag_size = strlen(message->bag);
    size_t size = message->body_size + emu_bag_size(message->bag, bag_size);

    if (message->message_id != NULL && !message_id_is_valid(message->message_id)) {
        g_set_error(error, EMU_ERROR, EMU_ERROR_ARGUMENT,
                    "A message id is 1 to %d characters of A-Z a-z 0-9 %s", MESSAGE_ID_MAX,
                    MESSAGE_ID_PUNCTUATION);
        return FALSE;
    }
    if (size > EMU_C2D_BYTES_MAX || bag_size > EMU_C2D_BAG_MAX) {
        g_set_error(error, EMU_ERROR, EMU_ERROR_TOO_LARGE,
                    "Message of %zu bytes with properties is over the limit of %d", size,
                    EMU_C2D_BYTES_MAX);
        return FALSE;
    }
    if (message->expiry_usec != 0 &&
        (message->expiry_usec <= now_usec ||
         message->expiry_usec > now_usec + (gint64)EMU_C2D_TTL_MAX_SEC * G_USEC_PER_SEC)) {
        g_set_error(error, EMU_ERROR, EMU_ERROR_EXPIRY, "Expiry is not within the next %d seconds",
                    EMU_C2D_TTL_MAX_SEC);
        return FALSE;
    }
    if (emu_c2d_count(self, message->device_id) >= EMU_C2D_QUEUE_MAX) {
        g_set_error(error, EMU_ERROR, EMU_ERROR_QUEUE_FULL,
                    "Device %s has %d messages waiting, which is the limit", message->device_id,
                    EMU_C2D_QUEUE_MAX);
        return FALSE;
    }
    return TRUE;
}

/* What the device gets to see, ready for the wire. */
static char *
full_bag(const EmuC2dNew *message, const char *message_id)
{
    GString *bag = g_string_new(NULL);

    emu_bag_append(bag, "$.mid", message_id);
    if (message->expiry_usec != 0) {
        g_autoptr(GDateTime) time =
            g_date_time_new_from_unix_utc(message->expiry_usec / G_USEC_PER_SEC);
        g_autofree char *text = g_date_time_format(time, "%Y-%m-%dT%H:%M:%S.0000000Z");
        emu_bag_append(bag, "$.exp", text);
    }
    if (message->ack != EMU_ACK_NONE)
        emu_bag_append(bag, "iothub-ack", emu_ack_name(message->ack));
    if (*message->bag != '\0')
        g_string_append_printf(bag, "&%s", message->bag);
    return g_string_free(bag, FALSE);
}

static gboolean
insert(EmuC2d *self, guint64 sequence, const EmuC2dNew *message, const char *message_id,
       gint64 now_usec, gint64 expiry_usec, GError **error)
{
    g_autofree char *bag = full_bag(message, message_id);
    sqlite3_stmt *row = emu_store_prepare(
        self->store,
        "INSERT INTO c2d (sequence, device_id, message_id, state, delivery_count, deliveries,"
        " enqueued_usec, expiry_usec, deadline_usec, generation_id, ack, bag, body)"
        " VALUES (?1, ?2, ?3, 0, 0, 0, ?4, ?5, ?5, ?6, ?7, ?8, ?9)");

    sqlite3_bind_int64(row, 1, (gint64)sequence);
    emu_bind_text(row, 2, message->device_id);
    emu_bind_text(row, 3, message_id);
    sqlite3_bind_int64(row, 4, now_usec);
    sqlite3_bind_int64(row, 5, expiry_usec);
    emu_bind_text(row, 6, message->generation_id);
    sqlite3_bind_int(row, 7, message->ack);
    emu_bind_text(row, 8, bag);
    sqlite3_bind_blob(row, 9, message->body_size > 0 ? message->body : "", (int)message->body_size,
                      SQLITE_TRANSIENT);
    return emu_store_finish(self->store, row, error);
}

guint64
emu_c2d_send(EmuC2d *self, const EmuC2dNew *message, gint64 now_usec, char **ret_message_id,
             GError **error)
{
    if (!check_new(self, message, now_usec, error))
        return 0;

    g_autofree char *message_id =
        message->message_id != NULL ? g_strdup(message->message_id) : g_uuid_string_random();
    gint64 expiry_usec =
        message->expiry_usec != 0 ? message->expiry_usec : now_usec + self->limits.ttl_usec;
    guint64 sequence = (guint64)emu_store_next_number(self->store, "c2d-sequence");
    if (!insert(self, sequence, message, message_id, now_usec, expiry_usec, error))
        return 0;

    if (ret_message_id != NULL)
        *ret_message_id = g_steal_pointer(&message_id);
    tell_deadline(self, expiry_usec);
    self->events->ready(message->device_id, self->user_data);
    return sequence;
}

static guint64
lock_of(guint64 sequence, guint deliveries)
{
    return sequence << LOCK_DELIVERY_BITS | (deliveries & ((1u << LOCK_DELIVERY_BITS) - 1));
}

static EmuC2dMessage *
read_message(sqlite3_stmt *row)
{
    EmuC2dMessage *message = g_new0(EmuC2dMessage, 1);

    message->sequence = (guint64)sqlite3_column_int64(row, 0);
    message->device_id = emu_column_text(row, 1);
    message->message_id = emu_column_text(row, 2);
    message->state = (EmuC2dState)sqlite3_column_int(row, 3);
    message->delivery_count = (guint)sqlite3_column_int(row, 4);
    message->deliveries = (guint)sqlite3_column_int(row, 5);
    message->enqueued_usec = sqlite3_column_int64(row, 6);
    message->expiry_usec = sqlite3_column_int64(row, 7);
    if (message->state == EMU_C2D_INVISIBLE) {
        message->locked_until_usec = sqlite3_column_int64(row, 8);
        message->lock = lock_of(message->sequence, message->deliveries);
    }
    message->ack = (EmuAck)sqlite3_column_int(row, 9);
    message->bag = emu_column_text(row, 10);
    message->reason = emu_column_text(row, 11);
    message->completed_usec = sqlite3_column_int64(row, 12);
    return message;
}

EmuC2dMessage *
emu_c2d_take(EmuC2d *self, const char *device_id, gint64 now_usec)
{
    sqlite3_stmt *row = emu_store_prepare(
        self->store, "UPDATE c2d SET state = 1, deliveries = deliveries + 1, deadline_usec = ?3"
                     " WHERE sequence = (SELECT sequence FROM c2d WHERE device_id = ?1"
                     "  AND state = 0 AND expiry_usec > ?2 ORDER BY sequence LIMIT 1)"
                     " RETURNING " COLUMNS ", body");
    gint64 until_usec = now_usec + self->limits.lock_usec;

    emu_bind_text(row, 1, device_id);
    sqlite3_bind_int64(row, 2, now_usec);
    sqlite3_bind_int64(row, 3, until_usec);
    if (sqlite3_step(row) != SQLITE_ROW) {
        sqlite3_reset(row);
        return NULL;
    }

    EmuC2dMessage *message = read_message(row);
    message->body = g_bytes_new(sqlite3_column_blob(row, COLUMN_BODY),
                                (gsize)sqlite3_column_bytes(row, COLUMN_BODY));
    sqlite3_reset(row);
    tell_deadline(self, until_usec);
    return message;
}

static void
read_row(sqlite3_stmt *statement, Row *ret_row)
{
    ret_row->sequence = (guint64)sqlite3_column_int64(statement, 0);
    ret_row->device_id = emu_column_text(statement, 1);
    ret_row->message_id = emu_column_text(statement, 2);
    ret_row->state = (EmuC2dState)sqlite3_column_int(statement, 3);
    ret_row->delivery_count = (guint)sqlite3_column_int(statement, 4);
    ret_row->expiry_usec = sqlite3_column_int64(statement, 7);
    ret_row->ack = (EmuAck)sqlite3_column_int(statement, 9);
    ret_row->generation_id = emu_column_text(statement, 13);
}

/* Finds the message that @lock holds. */
static gboolean
find_locked(EmuC2d *self, guint64 lock, gint64 now_usec, Row *ret_row, GError **error)
{
    sqlite3_stmt *row = emu_store_prepare(
        self->store, "SELECT " COLUMNS " FROM c2d WHERE sequence = ?1 AND state = 1"
                     " AND (deliveries & 65535) = ?2 AND deadline_usec > ?3");

    sqlite3_bind_int64(row, 1, (gint64)(lock >> LOCK_DELIVERY_BITS));
    sqlite3_bind_int64(row, 2, (gint64)(lock & ((1u << LOCK_DELIVERY_BITS) - 1)));
    sqlite3_bind_int64(row, 3, now_usec);
    gboolean found = sqlite3_step(row) == SQLITE_ROW;
    if (found)
        read_row(row, ret_row);
    else
        g_set_error(error, EMU_ERROR, EMU_ERROR_LOCK_LOST, "The message is not locked so any more");
    sqlite3_reset(row);
    return found;
}

static void
add_feedback(EmuC2d *self, const Row *row, const char *status, gint64 now_usec)
{
    sqlite3_stmt *statement = emu_store_prepare(
        self->store, "INSERT INTO feedback (message_id, time_usec, status, device_id,"
                     " generation_id) VALUES (?1, ?2, ?3, ?4, ?5)");

    emu_bind_text(statement, 1, row->message_id);
    sqlite3_bind_int64(statement, 2, now_usec);
    emu_bind_text(statement, 3, status);
    emu_bind_text(statement, 4, row->device_id);
    emu_bind_text(statement, 5, row->generation_id);
    change(self, statement);

    sqlite3_stmt *prune =
        emu_store_prepare(self->store, "DELETE FROM feedback WHERE number <= ?1 - ?2");
    sqlite3_bind_int64(prune, 1, emu_store_next_number(self->store, "feedback"));
    sqlite3_bind_int(prune, 2, EMU_C2D_FEEDBACK_MAX);
    change(self, prune);
}

static gboolean
wants_feedback(EmuAck ack, EmuC2dState state)
{
    EmuAck half = state == EMU_C2D_COMPLETED ? EMU_ACK_POSITIVE : EMU_ACK_NEGATIVE;

    return ack == EMU_ACK_FULL || ack == half;
}

/* The end of a message: it stays visible, without its body, until newer ones push it out. */
static void
finish(EmuC2d *self, const Row *row, EmuC2dState state, const char *status, gint64 now_usec)
{
    emu_store_begin(self->store);
    gint64 finished = emu_store_next_number(self->store, "c2d-finished");
    sqlite3_stmt *update = emu_store_prepare(
        self->store, "UPDATE c2d SET state = ?2, reason = ?3, completed_usec = ?4, finished = ?5,"
                     " delivery_count = ?6, deadline_usec = NULL, body = '' WHERE sequence = ?1");
    sqlite3_bind_int64(update, 1, (gint64)row->sequence);
    sqlite3_bind_int(update, 2, state);
    emu_bind_text(update, 3, status);
    sqlite3_bind_int64(update, 4, now_usec);
    sqlite3_bind_int64(update, 5, finished);
    sqlite3_bind_int(update, 6, (int)row->delivery_count);
    change(self, update);

    sqlite3_stmt *prune = emu_store_prepare(self->store, "DELETE FROM c2d WHERE finished <= ?1");
    sqlite3_bind_int64(prune, 1, finished - EMU_C2D_FINISHED_MAX);
    change(self, prune);
    if (wants_feedback(row->ack, state))
        add_feedback(self, row, status, now_usec);
    commit(self);
}

/* A delivery came to nothing: back into the queue, unless that was the last try. Returns whether
 * the message waits again. */
static gboolean
give_back(EmuC2d *self, Row *row, gboolean counts, gint64 now_usec)
{
    row->delivery_count += counts ? 1 : 0;
    if (row->expiry_usec <= now_usec) {
        finish(self, row, EMU_C2D_DEAD_LETTERED, "Expired", now_usec);
        return FALSE;
    }
    if (row->delivery_count >= self->limits.max_deliveries) {
        finish(self, row, EMU_C2D_DEAD_LETTERED, "DeliveryCountExceeded", now_usec);
        return FALSE;
    }

    sqlite3_stmt *update =
        emu_store_prepare(self->store, "UPDATE c2d SET state = 0, delivery_count = ?2,"
                                       " deadline_usec = expiry_usec WHERE sequence = ?1");
    sqlite3_bind_int64(update, 1, (gint64)row->sequence);
    sqlite3_bind_int(update, 2, (int)row->delivery_count);
    change(self, update);
    tell_deadline(self, row->expiry_usec);
    return TRUE;
}

gboolean
emu_c2d_complete(EmuC2d *self, guint64 lock, gint64 now_usec, GError **error)
{
    g_auto(Row) row = {0};

    if (!find_locked(self, lock, now_usec, &row, error))
        return FALSE;
    finish(self, &row, EMU_C2D_COMPLETED, "Success", now_usec);
    return TRUE;
}

gboolean
emu_c2d_reject(EmuC2d *self, guint64 lock, gint64 now_usec, GError **error)
{
    g_auto(Row) row = {0};

    if (!find_locked(self, lock, now_usec, &row, error))
        return FALSE;
    finish(self, &row, EMU_C2D_DEAD_LETTERED, "Rejected", now_usec);
    return TRUE;
}

gboolean
emu_c2d_abandon(EmuC2d *self, guint64 lock, gint64 now_usec, GError **error)
{
    g_auto(Row) row = {0};

    if (!find_locked(self, lock, now_usec, &row, error))
        return FALSE;
    if (give_back(self, &row, TRUE, now_usec))
        self->events->ready(row.device_id, self->user_data);
    return TRUE;
}

gboolean
emu_c2d_is_locked(EmuC2d *self, guint64 lock)
{
    g_auto(Row) row = {0};

    return find_locked(self, lock, 0, &row, NULL);
}

/* The next message of those that @statement selects; it is reset. */
static gboolean
next_row(sqlite3_stmt *statement, Row *ret_row)
{
    gboolean found = sqlite3_step(statement) == SQLITE_ROW;

    if (found)
        read_row(statement, ret_row);
    sqlite3_reset(statement);
    return found;
}

gboolean
emu_c2d_is_of(EmuC2d *self, guint64 lock, const char *device_id)
{
    sqlite3_stmt *row =
        emu_store_prepare(self->store, "SELECT 1 FROM c2d WHERE sequence = ?1 AND device_id = ?2");

    sqlite3_bind_int64(row, 1, (gint64)(lock >> LOCK_DELIVERY_BITS));
    emu_bind_text(row, 2, device_id);
    gboolean is_of = sqlite3_step(row) == SQLITE_ROW;
    sqlite3_reset(row);
    return is_of;
}

guint
emu_c2d_purge(EmuC2d *self, const char *device_id, gint64 now_usec)
{
    for (guint purged = 0;; purged++) {
        g_auto(Row) row = {0};
        sqlite3_stmt *select = emu_store_prepare(
            self->store, "SELECT " COLUMNS " FROM c2d WHERE device_id = ?1 AND state IN (0, 1)"
                         " ORDER BY sequence LIMIT 1");
        emu_bind_text(select, 1, device_id);
        if (!next_row(select, &row))
            return purged;
        finish(self, &row, EMU_C2D_PURGED, "Purged", now_usec);
    }
}

/* Ends one lock or one life that has run out. FALSE when there is none. */
static gboolean
expire_one(EmuC2d *self, gint64 now_usec, GHashTable *ready)
{
    g_auto(Row) row = {0};
    sqlite3_stmt *select = emu_store_prepare(
        self->store,
        "SELECT " COLUMNS " FROM c2d WHERE deadline_usec <= ?1 ORDER BY deadline_usec LIMIT 1");

    sqlite3_bind_int64(select, 1, now_usec);
    if (!next_row(select, &row))
        return FALSE;
    if (row.state == EMU_C2D_ENQUEUED)
        finish(self, &row, EMU_C2D_DEAD_LETTERED, "Expired", now_usec);
    else if (give_back(self, &row, self->limits.count_locks, now_usec))
        g_hash_table_add(ready, g_steal_pointer(&row.device_id));
    return TRUE;
}

void
emu_c2d_expire(EmuC2d *self, gint64 now_usec)
{
    g_autoptr(GHashTable) ready = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    GHashTableIter iter;
    gpointer device_id = NULL;

    while (expire_one(self, now_usec, ready))
        ;
    g_hash_table_iter_init(&iter, ready);
    while (g_hash_table_iter_next(&iter, &device_id, NULL))
        self->events->ready(device_id, self->user_data);
}

gint64
emu_c2d_next_deadline(EmuC2d *self)
{
    sqlite3_stmt *row = emu_store_prepare(
        self->store, "SELECT MIN(deadline_usec) FROM c2d WHERE deadline_usec IS NOT NULL");

    self->told_usec = G_MAXINT64;
    if (sqlite3_step(row) == SQLITE_ROW && sqlite3_column_type(row, 0) == SQLITE_INTEGER)
        self->told_usec = sqlite3_column_int64(row, 0);
    sqlite3_reset(row);
    return self->told_usec;
}

void
emu_c2d_forget(EmuC2d *self, const char *device_id)
{
    sqlite3_stmt *delete = emu_store_prepare(self->store, "DELETE FROM c2d WHERE device_id = ?1");

    emu_bind_text(delete, 1, device_id);
    change(self, delete);
}

guint
emu_c2d_count(EmuC2d *self, const char *device_id)
{
    sqlite3_stmt *row = emu_store_prepare(
        self->store, "SELECT COUNT(*) FROM c2d WHERE device_id = ?1 AND state IN (0, 1)");

    emu_bind_text(row, 1, device_id);
    guint count = sqlite3_step(row) == SQLITE_ROW ? (guint)sqlite3_column_int(row, 0) : 0;
    sqlite3_reset(row);
    return count;
}

GPtrArray *
emu_c2d_list(EmuC2d *self, const char *device_id)
{
    GPtrArray *list = g_ptr_array_new_with_free_func((GDestroyNotify)emu_c2d_message_free);
    sqlite3_stmt *row = emu_store_prepare(
        self->store, "SELECT " COLUMNS " FROM c2d WHERE device_id = ?1 ORDER BY sequence");

    emu_bind_text(row, 1, device_id);
    while (sqlite3_step(row) == SQLITE_ROW)
        g_ptr_array_add(list, read_message(row));
    sqlite3_reset(row);
    return list;
}

EmuC2dMessage *
emu_c2d_find(EmuC2d *self, const char *device_id, const char *message_id)
{
    sqlite3_stmt *row = emu_store_prepare(
        self->store, "SELECT " COLUMNS " FROM c2d WHERE device_id = ?1 AND message_id = ?2"
                     " ORDER BY sequence DESC LIMIT 1");

    emu_bind_text(row, 1, device_id);
    emu_bind_text(row, 2, message_id);
    EmuC2dMessage *message = sqlite3_step(row) == SQLITE_ROW ? read_message(row) : NULL;
    sqlite3_reset(row);
    return message;
}

GPtrArray *
emu_c2d_feedback(EmuC2d *self, gint64 now_usec)
{
    GPtrArray *list = g_ptr_array_new_with_free_func((GDestroyNotify)emu_feedback_free);
    sqlite3_stmt *row = emu_store_prepare(
        self->store, "SELECT message_id, time_usec, status, device_id, generation_id"
                     " FROM feedback WHERE time_usec > ?1 ORDER BY number");

    sqlite3_bind_int64(row, 1, now_usec - FEEDBACK_TTL_USEC);
    while (sqlite3_step(row) == SQLITE_ROW) {
        EmuFeedback *feedback = g_new0(EmuFeedback, 1);
        feedback->original_message_id = emu_column_text(row, 0);
        feedback->enqueued_usec = sqlite3_column_int64(row, 1);
        feedback->status = emu_column_text(row, 2);
        feedback->device_id = emu_column_text(row, 3);
        feedback->generation_id = emu_column_text(row, 4);
        g_ptr_array_add(list, feedback);
    }
    sqlite3_reset(row);
    return list;
}

const char *
emu_c2d_state_name(EmuC2dState state)
{
    return state_names[state];
}

const char *
emu_ack_name(EmuAck ack)
{
    return ack_names[ack];
}

gboolean
emu_ack_from_name(const char *name, EmuAck *ret_ack)
{
    for (guint i = 0; i < G_N_ELEMENTS(ack_names); i++) {
        if (g_str_equal(ack_names[i], name)) {
            *ret_ack = (EmuAck)i;
            return TRUE;
        }
    }
    return FALSE;
}
