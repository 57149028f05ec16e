/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/*
 * A TCP relay on loopback that counts: what a client sends to the hub through it is what TCP
 * carries, TLS records and all, without the headers of TCP and IP. It has a thread of its own.
 */
typedef struct Relay Relay;

Relay *relay_new(guint target_port); /* to that port of 127.0.0.1 */
void relay_free(Relay *relay);       /* ends its connections */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Relay, relay_free)

guint relay_get_port(Relay *relay);
guint64 relay_get_sent(Relay *relay);     /* bytes from clients so far */
guint64 relay_get_received(Relay *relay); /* bytes to clients so far */
