/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dbus/listeners.h"

/*
 * An entry is there only while something is unread. One question is under way at a time; its answer
 * vouches for what was sent before it. An error is an answer, too: it came from the program, or the
 * bus's policy does not let us ask, and then nothing is known and nobody is held back.
 */
struct SpokeListeners {
    sd_bus *bus;         /* owned */
    GHashTable *by_name; /* owned, of Listener */
    SpokeListenerLimits limits;
    guint64 unread; /* of all */
    void (*changed)(const char *name, gboolean is_slow, gpointer user_data);
    gpointer user_data;
};

typedef struct {
    SpokeListeners *listeners; /* borrowed, outlives us */
    char *name;                /* owned */
    gsize unread;
    gsize asked;       /* of it, what the answer will vouch for */
    sd_bus_slot *slot; /* owned; NULL: no question is under way */
    gboolean is_slow;
} Listener;

static void
listener_free(gpointer data)
{
    Listener *listener = data;

    sd_bus_slot_unref(listener->slot);
    listener->listeners->unread -= listener->unread;
    g_free(listener->name);
    g_free(listener);
}

static void ask(Listener *listener);

static void
update(Listener *listener)
{
    SpokeListeners *self = listener->listeners;
    gboolean is_slow =
        listener->unread > self->limits.slow_bytes ||
        (listener->unread > SPOKE_LISTENER_ASK_BYTES && self->unread > self->limits.slow_bytes_all);

    if (listener->slot == NULL && listener->unread > SPOKE_LISTENER_ASK_BYTES)
        ask(listener);
    if (listener->slot == NULL || is_slow == listener->is_slow)
        return;
    listener->is_slow = is_slow;
    self->changed(listener->name, is_slow, self->user_data);
}

static int
on_answer(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
    Listener *listener = userdata;
    SpokeListeners *self = listener->listeners;
    gboolean was_slow = listener->is_slow;

    g_clear_pointer(&listener->slot, sd_bus_slot_unref);
    listener->unread -= listener->asked;
    self->unread -= listener->asked;
    listener->asked = 0;
    listener->is_slow = FALSE;
    if (was_slow)
        self->changed(listener->name, FALSE, self->user_data);
    update(listener);
    if (listener->unread == 0)
        spoke_listeners_drop(self, listener->name);
    return 0;
}

/* Without a time limit: a program may take its time, or be stopped for a while. */
static void
ask(Listener *listener)
{
    g_autoptr(sd_bus_message) ping = NULL;

    int r = sd_bus_message_new_method_call(listener->listeners->bus, &ping, listener->name, "/",
                                           "org.freedesktop.DBus.Peer", "Ping");
    if (r >= 0)
        r = sd_bus_message_set_auto_start(ping, FALSE);
    if (r >= 0)
        r = sd_bus_call_async(listener->listeners->bus, &listener->slot, ping, on_answer, listener,
                              UINT64_MAX);
    if (r >= 0)
        listener->asked = listener->unread;
}

static void
ask_all(SpokeListeners *self)
{
    GHashTableIter iter;
    gpointer value;

    g_hash_table_iter_init(&iter, self->by_name);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        Listener *listener = value;
        if (listener->slot == NULL)
            ask(listener);
    }
}

SpokeListeners *
spoke_listeners_new(sd_bus *bus, const SpokeListenerLimits *limits,
                    void (*changed)(const char *, gboolean, gpointer), gpointer user_data)
{
    SpokeListeners *self = g_new0(SpokeListeners, 1);

    self->bus = sd_bus_ref(bus);
    self->by_name = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, listener_free);
    self->limits = *limits;
    self->changed = changed;
    self->user_data = user_data;
    return self;
}

void
spoke_listeners_free(SpokeListeners *listeners)
{
    if (listeners == NULL)
        return;
    g_hash_table_unref(listeners->by_name);
    sd_bus_unref(listeners->bus);
    g_free(listeners);
}

void
spoke_listeners_note(SpokeListeners *listeners, const char *name, gsize size)
{
    Listener *listener = g_hash_table_lookup(listeners->by_name, name);

    if (listener == NULL) {
        if (g_hash_table_size(listeners->by_name) >= SPOKE_LISTENERS_QUIET_MAX)
            ask_all(listeners);
        listener = g_new0(Listener, 1);
        listener->listeners = listeners;
        listener->name = g_strdup(name);
        g_hash_table_insert(listeners->by_name, listener->name, listener);
    }
    listener->unread += size;
    listeners->unread += size;
    update(listener);
}

gboolean
spoke_listeners_is_slow(SpokeListeners *listeners, const char *name)
{
    const Listener *listener = g_hash_table_lookup(listeners->by_name, name);

    return listener != NULL && listener->is_slow;
}

void
spoke_listeners_drop(SpokeListeners *listeners, const char *name)
{
    g_hash_table_remove(listeners->by_name, name);
}
