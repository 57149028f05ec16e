/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gio.h>

/*
 * A dumb TCP relay between the daemon and the hub: it counts, and it can fall silent as a line does
 * whose packets are dropped, without a word to either end. It has threads of its own, so that it
 * works while a test waits.
 */
typedef struct Relay Relay;

/* Listens on @address, on any free port, for what goes to @target_port of 127.0.0.1. */
Relay *relay_new(const char *address, guint16 target_port);
void relay_free(Relay *relay);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Relay, relay_free)
guint16 relay_get_port(Relay *relay);

/* From now on nothing is forwarded, either way, and nothing closed. */
void relay_silence(Relay *relay);
/* New connections work again. Those of the silence never do. */
void relay_revive(Relay *relay);

guint relay_get_connections(Relay *relay);  /* so far */
guint64 relay_get_sent_bytes(Relay *relay); /* from the daemon */
