/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "dbus/bus-types.h"

#include <gio/gio.h>

/*
 * A private bus for a test, with a service on it that hears method calls. All run on the default
 * main context, by the daemon's own source for sd-bus.
 */
typedef struct {
    GTestDBus *daemon;  /* owned */
    sd_bus *service;    /* owned; has the name org.spoked1 */
    GSource *source;    /* owned: of service */
    GPtrArray *clients; /* owned: of BusClient */
} BusFixture;

void bus_fixture_set_up(BusFixture *fixture);
void bus_fixture_tear_down(BusFixture *fixture);

/* A connection of its own. (transfer none) */
sd_bus *bus_fixture_connect(BusFixture *fixture);
/* Ends one of those, as when its program ends. */
void bus_fixture_disconnect(BusFixture *fixture, sd_bus *client);

/* Runs the loop until *@condition, or fails after ten seconds. */
#define bus_fixture_wait_for(condition)                                                            \
    G_STMT_START                                                                                   \
    {                                                                                              \
        gint64 end_usec_ = g_get_monotonic_time() + 10 * G_USEC_PER_SEC;                           \
        guint tick_ = g_timeout_add(50, (GSourceFunc)bus_fixture_tick, NULL);                      \
        while (!(condition) && g_get_monotonic_time() < end_usec_)                                 \
            g_main_context_iteration(NULL, TRUE);                                                  \
        g_source_remove(tick_);                                                                    \
        g_assert_true(condition);                                                                  \
    }                                                                                              \
    G_STMT_END
gboolean bus_fixture_tick(gpointer user_data);
