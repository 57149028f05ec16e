/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* What devices sent to the hub: the last messages to look at, and a journal of all of them. It
 * knows no protocol: a head hands over arrivals and commits them before it acknowledges. */
typedef struct EmuTelemetry EmuTelemetry;

/* D2C size limit: body, values of system properties, names and values of the others. */
#define EMU_MESSAGE_BYTES_MAX (256 * 1024)

/* What the readable messages may take in memory together; the oldest leave first. */
#define EMU_TELEMETRY_BYTES_MAX ((size_t)64 * 1024 * 1024)

/* Who sent: made once per connection, shared by all its messages. */
typedef struct {
    GRefString *device_id;     /* owned */
    GRefString *module_id;     /* owned; NULL for a device */
    GRefString *generation_id; /* owned */
    GRefString *model_id;      /* owned; NULL unless announced */
    const char *auth_type;     /* static: "sas" or "x509" */
} EmuOrigin;

EmuOrigin *emu_origin_new(const char *device_id, const char *module_id, const char *generation_id,
                          const char *model_id, const char *auth_type);
EmuOrigin *emu_origin_ref(EmuOrigin *self);
void emu_origin_unref(EmuOrigin *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(EmuOrigin, emu_origin_unref)

typedef enum {
    EMU_ARRIVAL_DUPLICATE = 1 << 0, /* the sender says it may have come before */
    EMU_ARRIVAL_RETAIN = 1 << 1,    /* asked to be retained: becomes a property */
    EMU_ARRIVAL_WILL = 1 << 2,      /* the will of a lost connection */
} EmuArrivalFlags;

typedef struct {
    EmuOrigin *origin; /* borrowed */
    const char *bag;   /* borrowed: the properties, see bag.h */
    size_t bag_size;
    const void *body; /* borrowed */
    size_t body_size;
    gint64 enqueued_usec; /* the hub's clock */
    EmuArrivalFlags flags;
} EmuArrival;

/* One kept message. Borrowed from the ring: valid until the next commit. */
typedef struct {
    guint64 sequence;
    EmuArrival arrival;
} EmuMessage;

typedef void (*EmuTelemetryFunc)(gpointer user_data);

/**
 * emu_telemetry_new:
 * @keep: how many messages stay readable
 * @journal: (nullable): a file that gets one line per message, continued if it is there
 */
EmuTelemetry *emu_telemetry_new(guint keep, const char *journal, GError **error);
void emu_telemetry_free(EmuTelemetry *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(EmuTelemetry, emu_telemetry_free)

/**
 * emu_telemetry_add:
 *
 * Copies a message. It is not there yet: emu_telemetry_commit() makes it so. EMU_ERROR_TOO_LARGE.
 */
gboolean emu_telemetry_add(EmuTelemetry *self, const EmuArrival *arrival, GError **error);

/**
 * emu_telemetry_commit:
 *
 * Writes the journal lines of everything added since the last commit, in one write, and makes
 * the messages readable. On failure none of them arrived and none may be acknowledged.
 */
gboolean emu_telemetry_commit(EmuTelemetry *self, GError **error);

/**
 * emu_telemetry_next:
 * @after: the last sequence number seen; 0 for the beginning
 * @device_id: (nullable): whose messages; NULL for all
 *
 * Returns: FALSE when no such message is there after @after.
 */
gboolean emu_telemetry_next(EmuTelemetry *self, guint64 after, const char *device_id,
                            EmuMessage *ret_message);

/* The sequence number of the oldest message that is readable, or of the next one to come. */
guint64 emu_telemetry_first(EmuTelemetry *self);

/* The sequence number of the newest message that is readable or was; 0 before the first. */
guint64 emu_telemetry_last(EmuTelemetry *self);

/* Forgets the readable messages; the journal and the counting go on. */
void emu_telemetry_clear(EmuTelemetry *self);

/* @func runs after each commit that brought something. Returns an id for _unwatch(). */
guint emu_telemetry_watch(EmuTelemetry *self, EmuTelemetryFunc func, gpointer user_data);
void emu_telemetry_unwatch(EmuTelemetry *self, guint id);

/* What arrived since the start: messages, and bytes of their bodies. */
guint64 emu_telemetry_count(EmuTelemetry *self);
guint64 emu_telemetry_bytes(EmuTelemetry *self);
