/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "clients/libspoke/spoke.h"

#include <gio/gio.h>

/*
 * A client of libspoke on a private bus, and a service in the daemon's place. The service is GDBus
 * on the daemon's own interface XML, so that a call of a wrong shape fails, and it does nothing by
 * itself: a test takes each call and answers it, when and how it likes.
 */
typedef struct {
    GTestDBus *bus;              /* owned */
    GDBusConnection *connection; /* owned; the service's, NULL while it is away */
    GQueue calls;                /* owned invocations, not taken yet */
    SpokeClient *client;         /* owned */
    guint client_source;
    gboolean lost; /* the client's bus is gone */
} Fixture;

void fixture_set_up(Fixture *fixture, gconstpointer data);
void fixture_tear_down(Fixture *fixture, gconstpointer data);

/* The service comes to the bus; and leaves it, as if it were killed. */
void fixture_start_service(Fixture *fixture);
void fixture_kill_service(Fixture *fixture);

/* Puts one more device on the bus, beside "self": offline, and 1,234 messages queued. There is
 * never one of the name "gone". */
void fixture_serve_device(Fixture *fixture, const char *name);

/* A connection for somebody else. (transfer full) */
GDBusConnection *fixture_connect(Fixture *fixture);

/* Waits for the next call, which has to be of @method. (transfer full): to be answered */
GDBusMethodInvocation *fixture_take_call(Fixture *fixture, const char *method);
/* The same; @parameters: in GVariant's text format, without type annotations */
GDBusMethodInvocation *fixture_take_call_with(Fixture *fixture, const char *method,
                                              const char *parameters);
/* Sends one of the device's signals to the client alone. @parameters: floating */
void fixture_emit(Fixture *fixture, GDBusConnection *from, const char *to, const char *signal,
                  GVariant *parameters);

/* Runs the loop until *@condition, or fails after ten seconds. */
#define fixture_wait_for(condition)                                                                \
    G_STMT_START                                                                                   \
    {                                                                                              \
        gint64 end_usec_ = g_get_monotonic_time() + 10 * G_USEC_PER_SEC;                           \
        guint tick_ = g_timeout_add(50, fixture_tick, NULL);                                       \
        while (!(condition) && g_get_monotonic_time() < end_usec_)                                 \
            g_main_context_iteration(NULL, TRUE);                                                  \
        g_source_remove(tick_);                                                                    \
        g_assert_true(condition);                                                                  \
    }                                                                                              \
    G_STMT_END
gboolean fixture_tick(gpointer user_data);

/* Runs the loop until all that was sent so far has arrived, on both sides. */
void fixture_settle_down(Fixture *fixture);
