/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A ring of the last messages, each one block of memory: header, property bag as it came, body.
 * Nothing is decoded until somebody asks, so taking a message costs a copy. Sequence numbers run
 * without gaps, which makes the place in the ring arithmetic. Messages that are added and not yet
 * committed stand behind `committed` and no reader sees them. */

#include "telemetry.h"

#include "bag.h"
#include "error.h"
#include "journal.h"

#include <string.h>

typedef struct {
    EmuOrigin *origin; /* owned: a share */
    gint64 enqueued_usec;
    guint32 bag_size;
    guint32 body_size;
    guint32 flags;
    char data[]; /* the bag, then the body */
} Stored;

typedef struct {
    guint id;
    EmuTelemetryFunc func;
    gpointer user_data;
} Watch;

struct EmuTelemetry {
    Stored **ring; /* owned; the message of sequence n stands at n % keep */
    guint keep;
    guint64 first;     /* sequence of the oldest kept message */
    guint64 next;      /* sequence of the next to be added; first == next: none */
    guint64 committed; /* last sequence that readers may see */
    size_t kept_bytes;
    guint64 count;
    guint64 bytes;         /* of committed bodies */
    guint64 pending_bytes; /* of bodies added since */
    EmuJournal *journal;   /* owned; NULL when none is kept */
    GArray *watches;       /* owned; Watch */
    guint last_watch;
};

static void
origin_clear(gpointer data)
{
    EmuOrigin *self = data;

    g_ref_string_release(self->device_id);
    g_clear_pointer(&self->module_id, g_ref_string_release);
    g_ref_string_release(self->generation_id);
    g_clear_pointer(&self->model_id, g_ref_string_release);
}

EmuOrigin *
emu_origin_new(const char *device_id, const char *module_id, const char *generation_id,
               const char *model_id, const char *auth_type)
{
    EmuOrigin *self = g_rc_box_new0(EmuOrigin);

    self->device_id = g_ref_string_new(device_id);
    self->module_id = module_id != NULL ? g_ref_string_new(module_id) : NULL;
    self->generation_id = g_ref_string_new(generation_id);
    self->model_id = model_id != NULL ? g_ref_string_new(model_id) : NULL;
    self->auth_type = auth_type;
    return self;
}

EmuOrigin *
emu_origin_ref(EmuOrigin *self)
{
    return g_rc_box_acquire(self);
}

void
emu_origin_unref(EmuOrigin *self)
{
    g_rc_box_release_full(self, origin_clear);
}

EmuTelemetry *
emu_telemetry_new(guint keep, const char *journal, GError **error)
{
    g_autoptr(EmuTelemetry) self = g_new0(EmuTelemetry, 1);
    guint64 last = 0;

    self->watches = g_array_new(FALSE, FALSE, sizeof(Watch));
    self->keep = MAX(keep, 1);
    self->ring = g_new0(Stored *, self->keep);
    if (journal != NULL) {
        self->journal = emu_journal_open(journal, &last, error);
        if (self->journal == NULL)
            return NULL;
    }
    self->first = self->next = last + 1;
    self->committed = last;
    return g_steal_pointer(&self);
}

static size_t
stored_size(const Stored *stored)
{
    return sizeof *stored + stored->bag_size + stored->body_size;
}

static void
stored_free(Stored *stored)
{
    emu_origin_unref(stored->origin);
    g_free(stored);
}

static Stored **
slot(EmuTelemetry *self, guint64 sequence)
{
    return &self->ring[sequence % self->keep];
}

static void
drop_oldest(EmuTelemetry *self)
{
    Stored *stored = g_steal_pointer(slot(self, self->first));

    self->first++;
    self->kept_bytes -= stored_size(stored);
    stored_free(stored);
}

static void
drop_newest(EmuTelemetry *self)
{
    self->next--;
    Stored *stored = g_steal_pointer(slot(self, self->next));
    self->kept_bytes -= stored_size(stored);
    stored_free(stored);
}

void
emu_telemetry_free(EmuTelemetry *self)
{
    if (self == NULL)
        return;

    while (self->first < self->next)
        drop_oldest(self);
    g_free(self->ring);
    emu_journal_free(self->journal);
    g_array_unref(self->watches);
    g_free(self);
}

/* The exact size needs decoding; what fits undecoded fits. */
static gboolean
is_too_large(const EmuArrival *arrival)
{
    if (arrival->body_size + arrival->bag_size <= EMU_MESSAGE_BYTES_MAX)
        return FALSE;
    return arrival->body_size > EMU_MESSAGE_BYTES_MAX ||
           arrival->body_size + emu_bag_size(arrival->bag, arrival->bag_size) >
               EMU_MESSAGE_BYTES_MAX;
}

static void
add_to_journal(EmuTelemetry *self, const EmuArrival *arrival)
{
    g_autofree char *message_id = emu_bag_find(arrival->bag, arrival->bag_size, "$.mid");

    emu_journal_add(self->journal, self->next, arrival->origin->device_id, message_id,
                    arrival->body_size);
}

gboolean
emu_telemetry_add(EmuTelemetry *self, const EmuArrival *arrival, GError **error)
{
    if (is_too_large(arrival)) {
        g_set_error(error, EMU_ERROR, EMU_ERROR_TOO_LARGE,
                    "Message of %zu bytes and its properties is over the limit of %d",
                    arrival->body_size, EMU_MESSAGE_BYTES_MAX);
        return FALSE;
    }

    Stored *stored = g_malloc(sizeof *stored + arrival->bag_size + arrival->body_size);
    stored->origin = emu_origin_ref(arrival->origin);
    stored->enqueued_usec = arrival->enqueued_usec;
    stored->bag_size = (guint32)arrival->bag_size;
    stored->body_size = (guint32)arrival->body_size;
    stored->flags = arrival->flags;
    memcpy(stored->data, arrival->bag, arrival->bag_size);
    memcpy(stored->data + arrival->bag_size, arrival->body, arrival->body_size);

    if (self->next - self->first == self->keep)
        drop_oldest(self);
    if (self->journal != NULL)
        add_to_journal(self, arrival);
    *slot(self, self->next++) = stored;
    self->kept_bytes += stored_size(stored);
    self->pending_bytes += arrival->body_size;
    while (self->kept_bytes > EMU_TELEMETRY_BYTES_MAX && self->next - self->first > 1)
        drop_oldest(self);
    return TRUE;
}

static void
count_new(EmuTelemetry *self)
{
    self->count += self->next - 1 - self->committed;
    self->bytes += self->pending_bytes;
    self->pending_bytes = 0;
    self->committed = self->next - 1;
}

gboolean
emu_telemetry_commit(EmuTelemetry *self, GError **error)
{
    if (self->committed == self->next - 1)
        return TRUE;

    if (self->journal != NULL && !emu_journal_write(self->journal, error)) {
        while (self->next - 1 > self->committed && self->next > self->first)
            drop_newest(self);
        self->first = MIN(self->first, self->committed + 1);
        self->next = self->committed + 1;
        self->pending_bytes = 0;
        return FALSE;
    }

    count_new(self);
    for (guint i = 0; i < self->watches->len; i++) {
        Watch watch = g_array_index(self->watches, Watch, i);
        watch.func(watch.user_data);
    }
    return TRUE;
}

static gboolean
is_from(const Stored *stored, const char *device_id)
{
    return device_id == NULL || strcmp(stored->origin->device_id, device_id) == 0;
}

gboolean
emu_telemetry_next(EmuTelemetry *self, guint64 after, const char *device_id,
                   EmuMessage *ret_message)
{
    guint64 sequence = MAX(after + 1, self->first);

    while (sequence <= self->committed && !is_from(*slot(self, sequence), device_id))
        sequence++;
    if (sequence > self->committed)
        return FALSE;

    Stored *stored = *slot(self, sequence);
    *ret_message = (EmuMessage){
        .sequence = sequence,
        .arrival = {.origin = stored->origin,
                    .bag = stored->data,
                    .bag_size = stored->bag_size,
                    .body = stored->data + stored->bag_size,
                    .body_size = stored->body_size,
                    .enqueued_usec = stored->enqueued_usec,
                    .flags = stored->flags},
    };
    return TRUE;
}

guint64
emu_telemetry_first(EmuTelemetry *self)
{
    return self->first;
}

guint64
emu_telemetry_last(EmuTelemetry *self)
{
    return self->committed;
}

void
emu_telemetry_clear(EmuTelemetry *self)
{
    while (self->first <= self->committed)
        drop_oldest(self);
}

guint
emu_telemetry_watch(EmuTelemetry *self, EmuTelemetryFunc func, gpointer user_data)
{
    Watch watch = {++self->last_watch, func, user_data};

    g_array_append_val(self->watches, watch);
    return watch.id;
}

void
emu_telemetry_unwatch(EmuTelemetry *self, guint id)
{
    for (guint i = 0; i < self->watches->len; i++) {
        if (g_array_index(self->watches, Watch, i).id == id) {
            g_array_remove_index(self->watches, i);
            return;
        }
    }
}

guint64
emu_telemetry_count(EmuTelemetry *self)
{
    return self->count;
}

guint64
emu_telemetry_bytes(EmuTelemetry *self)
{
    return self->bytes;
}
