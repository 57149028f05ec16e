/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/message.h"

/*
 * What a connection has on its way, of all its identities together, so that it does not grow with
 * their number. While there is room, each takes what its own window allows. Once it is full, those
 * who found no room wait in a line: what is settled makes room for the first of them, which gets
 * one helping and joins at the end again if that was not enough. Who has nothing on the way may
 * always have one message, so nobody has to wait for another's hub.
 */
typedef struct SpokeLoadPart SpokeLoadPart;

typedef struct {
    guint messages_max;
    size_t bytes_max;
    guint messages;
    size_t bytes;
    GQueue line;         /* of SpokeLoadPart, borrowed */
    SpokeLoadPart *next; /* whose turn it is; NULL: nobody's */
} SpokeLoad;

/* Of one identity. */
struct SpokeLoadPart {
    SpokeLoad *load; /* borrowed, outlives us; NULL: on no connection */
    guint messages;
    size_t bytes;
    gpointer owner;
    GList link; /* in the line, when is_waiting */
    gboolean is_waiting;
};

/* As the transport says. Nobody is on it. */
void spoke_load_begin(SpokeLoad *load, guint messages_max, size_t bytes_max);

void spoke_load_join(SpokeLoad *load, SpokeLoadPart *part, gpointer owner);
void spoke_load_leave(SpokeLoadPart *part); /* with all it has; no matter if it never joined */

/* What its next message may cost: as much as the others. At least 1 */
size_t spoke_load_guess_cost(const SpokeLoadPart *part);
/* How many messages it may take now, @max at most. 0: it waits in the line from now on. */
guint spoke_load_grant(SpokeLoadPart *part, guint max);
/* Has taken it; or it is settled, or was given back. */
void spoke_load_add(SpokeLoadPart *part, const SpokeMessage *message);
void spoke_load_remove(SpokeLoadPart *part, const SpokeMessage *message);

/* If there is room, the owner of the first in the line, for whom the next spoke_load_grant() is.
 * Call it until it returns NULL. */
gpointer spoke_load_next(SpokeLoad *load);
