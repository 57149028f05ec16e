/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A short list, kept as text: a line per filter, its QoS first. A kept session with no filters is
 * still a session, and "session present" tells the client so. */

#include "mqtt-subscriptions.h"

#include "store.h"

#include <string.h>

typedef struct {
    char *filter; /* owned */
    EmuFilter kind;
    guint8 qos;
} Subscription;

struct EmuSubscriptions {
    EmuStore *store; /* borrowed, outlives us */
    char *device_id; /* owned */
    char *module_id; /* owned; NULL for a device */
    gboolean keep;
    GArray *list; /* owned; Subscription */
};

static void
subscription_clear(gpointer data)
{
    g_free(((Subscription *)data)->filter);
}

static Subscription *
find(EmuSubscriptions *self, const char *filter, guint *ret_index)
{
    for (guint i = 0; i < self->list->len; i++) {
        Subscription *subscription = &g_array_index(self->list, Subscription, i);
        if (g_str_equal(subscription->filter, filter)) {
            if (ret_index != NULL)
                *ret_index = i;
            return subscription;
        }
    }
    return NULL;
}

static void
bind_identity(EmuSubscriptions *self, sqlite3_stmt *statement)
{
    emu_bind_text(statement, 1, self->device_id);
    emu_bind_text(statement, 2, self->module_id != NULL ? self->module_id : "");
}

static void
run(EmuSubscriptions *self, sqlite3_stmt *statement)
{
    g_autoptr(GError) error = NULL;

    if (!emu_store_finish(self->store, statement, &error))
        g_warning("The session of %s is not kept: %s", self->device_id, error->message);
}

static void
parse(EmuSubscriptions *self, const char *text)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

    for (size_t i = 0; lines[i] != NULL; i++) {
        if (strlen(lines[i]) < 3)
            continue;
        const char *filter = lines[i] + 2;
        EmuFilter kind = emu_topic_filter_kind(filter, self->device_id, self->module_id);
        (void)emu_subscriptions_add(self, filter, kind, lines[i][0] == '1' ? 1 : 0);
    }
}

static gboolean
load(EmuSubscriptions *self)
{
    sqlite3_stmt *row = emu_store_prepare(
        self->store, "SELECT filters FROM sessions WHERE device_id = ?1 AND module_id = ?2");

    bind_identity(self, row);
    g_autofree char *text = sqlite3_step(row) == SQLITE_ROW ? emu_column_text(row, 0) : NULL;
    sqlite3_reset(row);
    if (text == NULL)
        return FALSE;
    parse(self, text);
    return TRUE;
}

EmuSubscriptions *
emu_subscriptions_new(EmuStore *store, const char *device_id, const char *module_id, gboolean keep,
                      gboolean *ret_present)
{
    EmuSubscriptions *self = g_new0(EmuSubscriptions, 1);

    self->store = store;
    self->device_id = g_strdup(device_id);
    self->module_id = g_strdup(module_id);
    self->keep = keep;
    self->list = g_array_new(FALSE, FALSE, sizeof(Subscription));
    g_array_set_clear_func(self->list, subscription_clear);

    *ret_present = keep && load(self);
    if (keep && !*ret_present) {
        emu_subscriptions_save(self);
    } else if (!keep) {
        sqlite3_stmt *forget = emu_store_prepare(
            store, "DELETE FROM sessions WHERE device_id = ?1 AND module_id = ?2");
        bind_identity(self, forget);
        run(self, forget);
    }
    return self;
}

void
emu_subscriptions_free(EmuSubscriptions *self)
{
    if (self == NULL)
        return;

    g_array_unref(self->list);
    g_free(self->device_id);
    g_free(self->module_id);
    g_free(self);
}

gboolean
emu_subscriptions_add(EmuSubscriptions *self, const char *filter, EmuFilter kind, guint8 qos)
{
    Subscription *present = find(self, filter, NULL);

    if (present != NULL) {
        present->qos = qos;
        return TRUE;
    }
    if (self->list->len >= EMU_SUBSCRIPTIONS_MAX)
        return FALSE;
    Subscription subscription = {g_strdup(filter), kind, qos};
    g_array_append_val(self->list, subscription);
    return TRUE;
}

void
emu_subscriptions_remove(EmuSubscriptions *self, const char *filter)
{
    guint index = 0;

    if (find(self, filter, &index) != NULL)
        g_array_remove_index(self->list, index);
}

int
emu_subscriptions_qos(EmuSubscriptions *self, EmuFilter kind)
{
    int qos = -1;

    for (guint i = 0; i < self->list->len; i++) {
        const Subscription *subscription = &g_array_index(self->list, Subscription, i);
        if (subscription->kind == kind)
            qos = MAX(qos, subscription->qos);
    }
    return qos;
}

void
emu_subscriptions_save(EmuSubscriptions *self)
{
    if (!self->keep)
        return;

    g_autoptr(GString) text = g_string_new(NULL);
    for (guint i = 0; i < self->list->len; i++) {
        const Subscription *subscription = &g_array_index(self->list, Subscription, i);
        g_string_append_printf(text, "%u %s\n", subscription->qos, subscription->filter);
    }

    sqlite3_stmt *put =
        emu_store_prepare(self->store, "INSERT OR REPLACE INTO sessions (device_id, module_id,"
                                       " filters) VALUES (?1, ?2, ?3)");
    bind_identity(self, put);
    emu_bind_text(put, 3, text->str);
    run(self, put);
}
