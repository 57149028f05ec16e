/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dbus/bus-source.h"

#include <errno.h>
#include <glib-unix.h>

/*
 * sd-bus on a GLib main loop. Before each poll the source asks sd-bus what it waits for: events on
 * its descriptor and a deadline (CLOCK_MONOTONIC in absolute microseconds, as GLib's). When either
 * comes, it lets sd-bus process what is there, message by message.
 *
 * A burst is served in one dispatch, for as long as keeps the loop fair: other sources wait that
 * long, or for one message. Most take some 10 µs, a batch of a thousand takes milliseconds.
 */
#define DISPATCH_USEC_MAX 1000

typedef struct {
    GSource source;
    sd_bus *bus; /* owned */
    gpointer fd; /* tag of the polled descriptor */
    int events;  /* polled for */
    gint64 deadline_usec;
    SpokeBusClosedFunc closed;
    gpointer closed_data;
} BusSource;

static gboolean
prepare(GSource *source, int *timeout)
{
    BusSource *self = (BusSource *)source;
    uint64_t deadline_usec = UINT64_MAX;

    *timeout = -1;
    int events = sd_bus_get_events(self->bus);
    if (events < 0 || sd_bus_get_timeout(self->bus, &deadline_usec) < 0)
        return TRUE; /* closed: dispatch() will find out */

    /* Only on a change, and not g_source_set_ready_time(): both wake the loop, which we are in. */
    if (events != self->events) {
        self->events = events;
        g_source_modify_unix_fd(source, self->fd, (GIOCondition)events);
    }
    self->deadline_usec = (gint64)MIN(deadline_usec, (uint64_t)G_MAXINT64);
    if (self->deadline_usec == G_MAXINT64)
        return FALSE;
    gint64 left_msec = (self->deadline_usec - g_source_get_time(source) + 999) / 1000;
    *timeout = (int)CLAMP(left_msec, 0, G_MAXINT);
    return left_msec <= 0;
}

static gboolean
check(GSource *source)
{
    BusSource *self = (BusSource *)source;

    return g_source_query_unix_fd(source, self->fd) != 0 ||
           g_source_get_time(source) >= self->deadline_usec;
}

static gboolean
dispatch(GSource *source, GSourceFunc callback, gpointer user_data)
{
    BusSource *self = (BusSource *)source;
    gint64 end_usec = g_get_monotonic_time() + DISPATCH_USEC_MAX;
    int r = 0;

    do
        r = sd_bus_process(self->bus, NULL);
    while (r > 0 && g_get_monotonic_time() < end_usec);
    if (r >= 0)
        return G_SOURCE_CONTINUE;

    self->closed(-r, self->closed_data);
    return G_SOURCE_REMOVE;
}

static void
finalize(GSource *source)
{
    BusSource *self = (BusSource *)source;

    g_clear_pointer(&self->bus, sd_bus_unref);
}

static GSourceFuncs bus_source_funcs = {
    .prepare = prepare,
    .check = check,
    .dispatch = dispatch,
    .finalize = finalize,
};

GSource *
spoke_bus_source_new(sd_bus *bus, SpokeBusClosedFunc closed, gpointer user_data)
{
    GSource *source = g_source_new(&bus_source_funcs, sizeof(BusSource));
    BusSource *self = (BusSource *)source;

    g_source_set_static_name(source, "sd-bus");
    self->bus = sd_bus_ref(bus);
    self->events = G_IO_IN;
    self->fd = g_source_add_unix_fd(source, sd_bus_get_fd(bus), G_IO_IN);
    self->deadline_usec = G_MAXINT64;
    self->closed = closed;
    self->closed_data = user_data;
    return source;
}
