/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clients/spokectl/client-source.h"

/*
 * A SpokeClient as a GSource. What it waits for may change with every call into it, so it is asked
 * anew before each poll; both clocks are CLOCK_MONOTONIC. One dispatch serves a burst of callbacks,
 * but not an endless one: other sources get their turn.
 */
#define CALLBACKS_PER_DISPATCH_MAX 64

typedef struct {
    GSource source;
    SpokeClient *client; /* borrowed, outlives us */
    GPollFD poll;
    gint64 due_usec; /* G_MAXINT64: never */
} ClientSource;

static gboolean
prepare(GSource *source, gint *timeout)
{
    ClientSource *self = (ClientSource *)source;
    guint64 due_usec = G_MAXUINT64;

    *timeout = -1;
    int events = spoke_client_get_events(self->client);
    if (events < 0 || spoke_client_get_timeout(self->client, &due_usec) < 0)
        return TRUE; /* dispatch() finds out what is wrong */

    /* Not g_source_set_ready_time(): it wakes the loop, which we are in. */
    self->poll.events = (gushort)events;
    self->due_usec = (gint64)MIN(due_usec, (guint64)G_MAXINT64);
    if (self->due_usec == G_MAXINT64)
        return FALSE;
    gint64 left_msec = (self->due_usec - g_source_get_time(source) + 999) / 1000;
    *timeout = (gint)CLAMP(left_msec, 0, G_MAXINT);
    return left_msec <= 0;
}

static gboolean
check(GSource *source)
{
    ClientSource *self = (ClientSource *)source;

    return self->poll.revents != 0 || g_source_get_time(source) >= self->due_usec;
}

static gboolean
dispatch(GSource *source, GSourceFunc callback, gpointer user_data)
{
    ClientSource *self = (ClientSource *)source;

    int r = 1;
    for (guint i = 0; r > 0 && i < CALLBACKS_PER_DISPATCH_MAX; i++)
        r = spoke_client_process(self->client);
    if (r >= 0)
        return G_SOURCE_CONTINUE; /* what is left to do makes the next timeout 0 */
    if (callback != NULL)
        ((SpokeLostFunc)(void *)callback)(user_data);
    return G_SOURCE_REMOVE;
}

guint
spoke_client_source_attach(SpokeClient *client, SpokeLostFunc lost, gpointer user_data)
{
    static GSourceFuncs functions = {.prepare = prepare, .check = check, .dispatch = dispatch};
    GSource *source = g_source_new(&functions, sizeof(ClientSource));
    ClientSource *self = (ClientSource *)source;

    self->client = client;
    self->due_usec = G_MAXINT64;
    self->poll.fd = spoke_client_get_fd(client);
    g_source_add_poll(source, &self->poll);
    g_source_set_callback(source, (GSourceFunc)(void *)lost, user_data, NULL);
    guint id = g_source_attach(source, NULL);
    g_source_unref(source);
    return id;
}
