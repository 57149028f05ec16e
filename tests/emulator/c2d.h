/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

typedef struct EmuStore EmuStore;

/* Cloud-to-device messages and their life cycle: one queue per device, kept in hub.db. It knows
 * no protocol and has no clock: heads take messages and settle them, and the time is an
 * argument, wall clock in microseconds. Source: protocol page, section 5.
 *
 *   Enqueued ──take──► Invisible ──complete──► Completed
 *      ▲  │ expiry         │ └────reject──┐
 *      │  ▼                │              ▼
 *      │  DeadLettered ◄───┴── delivery count at its limit, expiry
 *      └──── abandon, or the lock runs out
 */
typedef struct EmuC2d EmuC2d;

#define EMU_C2D_QUEUE_MAX    50          /* messages not finished, per device */
#define EMU_C2D_BYTES_MAX    (64 * 1024) /* body and properties */
#define EMU_C2D_BAG_MAX      60000       /* encoded: it has to fit into an MQTT topic */
#define EMU_C2D_FINISHED_MAX 1000        /* finished messages that stay visible */
#define EMU_C2D_FEEDBACK_MAX 1000
#define EMU_C2D_TTL_MAX_SEC  (2 * 24 * 60 * 60)

typedef enum {
    EMU_C2D_ENQUEUED,
    EMU_C2D_INVISIBLE,
    EMU_C2D_COMPLETED,
    EMU_C2D_DEAD_LETTERED,
    EMU_C2D_PURGED,
} EmuC2dState;

typedef enum {
    EMU_ACK_NONE,
    EMU_ACK_POSITIVE,
    EMU_ACK_NEGATIVE,
    EMU_ACK_FULL,
} EmuAck;

/* What a service sends. */
typedef struct {
    const char *device_id;
    const char *generation_id; /* of the device: goes into the feedback */
    const char *message_id;    /* NULL: one is made */
    const char *bag;           /* properties but message id, expiry, `to` and ack; see bag.h */
    const void *body;
    size_t body_size;
    EmuAck ack;
    gint64 expiry_usec; /* wall clock; 0: the hub's default life */
} EmuC2dNew;

typedef struct {
    guint64 sequence;
    char *device_id;  /* owned */
    char *message_id; /* owned */
    EmuC2dState state;
    guint delivery_count; /* deliveries that ended without settlement and count to the limit */
    guint deliveries;     /* how often it was handed to a link */
    gint64 enqueued_usec;
    gint64 expiry_usec;
    gint64 locked_until_usec; /* 0 unless Invisible */
    guint64 lock;             /* the token to settle with; 0 unless Invisible */
    EmuAck ack;
    char *bag;    /* owned; everything the device gets to see but `to`, ready for the wire */
    GBytes *body; /* owned; NULL in lists */
    char *reason; /* owned; NULL unless finished: a feedback status such as "Expired" */
    gint64 completed_usec; /* 0 unless finished */
} EmuC2dMessage;

void emu_c2d_message_free(EmuC2dMessage *message);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(EmuC2dMessage, emu_c2d_message_free)

typedef struct {
    char *original_message_id; /* owned */
    gint64 enqueued_usec;      /* when the feedback came about */
    char *status;              /* owned: Success, Expired, DeliveryCountExceeded, … */
    char *device_id;           /* owned */
    char *generation_id;       /* owned */
} EmuFeedback;

void emu_feedback_free(EmuFeedback *feedback);

typedef struct {
    gint64 lock_usec;     /* how long a taken message waits for its settlement */
    guint max_deliveries; /* delivery count at which a message is dead-lettered */
    gboolean count_locks; /* a lock that runs out adds to the delivery count, as an abandon */
    gint64 ttl_usec;      /* life of a message without an expiry of its own */
} EmuC2dLimits;

typedef struct {
    /* A message of that device can be taken. */
    void (*ready)(const char *device_id, gpointer user_data);
    /* emu_c2d_next_deadline() is earlier than it was when last asked. */
    void (*sooner)(gpointer user_data);
} EmuC2dEvents;

EmuC2d *emu_c2d_new(EmuStore *store, const EmuC2dLimits *limits, const EmuC2dEvents *events,
                    gpointer user_data);
void emu_c2d_free(EmuC2d *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(EmuC2d, emu_c2d_free)

/**
 * emu_c2d_send:
 * @ret_message_id: (transfer full): the id it was given or has
 *
 * Puts a message at the end of its device's queue. EMU_ERROR_QUEUE_FULL, EMU_ERROR_TOO_LARGE,
 * EMU_ERROR_EXPIRY, EMU_ERROR_ARGUMENT for a bad message id.
 *
 * Returns: its sequence number, 0 on failure.
 */
guint64 emu_c2d_send(EmuC2d *self, const EmuC2dNew *message, gint64 now_usec, char **ret_message_id,
                     GError **error);

/**
 * emu_c2d_take:
 *
 * Locks the oldest message that waits for @device_id.
 *
 * Returns: (transfer full) (nullable): the message, now Invisible; NULL when none waits.
 */
EmuC2dMessage *emu_c2d_take(EmuC2d *self, const char *device_id, gint64 now_usec);

/* Settles a message by its lock. EMU_ERROR_LOCK_LOST when the lock has run out. */
gboolean emu_c2d_complete(EmuC2d *self, guint64 lock, gint64 now_usec, GError **error);
gboolean emu_c2d_reject(EmuC2d *self, guint64 lock, gint64 now_usec, GError **error);
gboolean emu_c2d_abandon(EmuC2d *self, guint64 lock, gint64 now_usec, GError **error);

/* Whether that lock still holds a message. */
gboolean emu_c2d_is_locked(EmuC2d *self, guint64 lock);

/* Whether that lock is, or was, one on a message of that device. */
gboolean emu_c2d_is_of(EmuC2d *self, guint64 lock, const char *device_id);

/* Drops everything that waits or is locked. Returns how many. */
guint emu_c2d_purge(EmuC2d *self, const char *device_id, gint64 now_usec);

/* Ends the locks and lives that have run out. */
void emu_c2d_expire(EmuC2d *self, gint64 now_usec);

/* When emu_c2d_expire() has something to do next; G_MAXINT64 for never. */
gint64 emu_c2d_next_deadline(EmuC2d *self);

/* Forgets all of a deleted device. */
void emu_c2d_forget(EmuC2d *self, const char *device_id);

/* Messages that are not finished. */
guint emu_c2d_count(EmuC2d *self, const char *device_id);

/* Returns: (transfer full) (element-type EmuC2dMessage): all of a device, finished ones too. */
GPtrArray *emu_c2d_list(EmuC2d *self, const char *device_id);

/* Returns: (transfer full) (nullable): the newest message with that id. */
EmuC2dMessage *emu_c2d_find(EmuC2d *self, const char *device_id, const char *message_id);

/* Returns: (transfer full) (element-type EmuFeedback): the feedback of the last hour. */
GPtrArray *emu_c2d_feedback(EmuC2d *self, gint64 now_usec);

/* Names as the API spells them. */
const char *emu_c2d_state_name(EmuC2dState state);
const char *emu_ack_name(EmuAck ack);
gboolean emu_ack_from_name(const char *name, EmuAck *ret_ack);
