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

/* This much may be unread before the program is asked; before it is slow; and before it is slow
 * when all programs together leave that much. */
#define SPOKE_LISTENER_ASK_BYTES   (64 * 1024)
#define SPOKE_LISTENER_SLOW_BYTES  (1024 * 1024)
#define SPOKE_LISTENERS_SLOW_BYTES (32 * 1024 * 1024)

/* @changed: @name is slow now, or not any more; from the main loop, or from _note() */
SpokeListeners *spoke_listeners_new(sd_bus *bus,
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
