/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "dbus/bus-types.h"

/*
 * Whether those who get signals read them. A bus keeps what a program does not read, and counts it
 * against the sender: dbus-daemon stops listening to a sender of whom it holds 127 MiB, so that one
 * program that hangs would take the daemon off the bus for all others. Nobody answers a signal, so
 * after some of them a call follows, Ping of org.freedesktop.DBus.Peer, which every D-Bus library
 * answers by itself, in its turn. Who owes that answer for too much is slow, and should get no more
 * until it comes.
 */
typedef struct SpokeListeners SpokeListeners;

/* This much may be unread before a program is asked */
#define SPOKE_LISTENER_ASK_BYTES (64 * 1024)
/* So many may have something unread before they are asked however little it is: those among them
 * that have left the bus are found that way. */
#define SPOKE_LISTENERS_QUIET_MAX 64

typedef struct {
    gsize slow_bytes;     /* so much unread makes a program slow */
    gsize slow_bytes_all; /* and so much of all makes those slow that were asked */
} SpokeListenerLimits;

/* @changed: @name is slow now, or not any more; from the main loop, or from _note() */
SpokeListeners *spoke_listeners_new(sd_bus *bus, const SpokeListenerLimits *limits,
                                    void (*changed)(const char *name, gboolean is_slow,
                                                    gpointer user_data),
                                    gpointer user_data);
void spoke_listeners_free(SpokeListeners *listeners);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpokeListeners, spoke_listeners_free)

/* A signal of @size bytes was sent to @name. */
void spoke_listeners_note(SpokeListeners *listeners, const char *name, gsize size);
gboolean spoke_listeners_is_slow(SpokeListeners *listeners, const char *name);
/* @name has left the bus. */
void spoke_listeners_drop(SpokeListeners *listeners, const char *name);
