/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/cause.h"

/*
 * What to think of a hub that closes working connections without a word, which over MQTT is its
 * only way to complain: another client has our identity, we are throttled, the day's quota is used
 * up, or it can't bear one of our messages. Pure: fed with what happened.
 *
 * A message is not given up for being unlucky. It must have been alone on the line when the hub
 * closed, several times, and then another message must get through without it.
 */
typedef struct {
    guint closes;    /* young connections closed by the hub, in a row */
    guint64 suspect; /* id of the message that was the oldest unacknowledged one; 0: nobody */
    guint attempts;  /* with which nothing got through, ended by the hub, in a row */
} SpokeSuspicion;

typedef struct {
    SpokeCause cause;
    gint64 lived_usec;      /* since login; 0 when it did not come to that */
    gboolean was_any_acked; /* a message was acknowledged */
    guint64 oldest;         /* id of the oldest message sent and not acknowledged; 0 without one */
} SpokeConnectionEnd;

/* How long a connection has to live for its end to be no sign of anything. */
#define SPOKE_SUSPICION_LIVED_USEC (60 * G_USEC_PER_SEC)

/* Returns: the cause to go by: EVICTED in place of CLOSED_BY_HUB when it has become a habit */
SpokeCause spoke_suspicion_note_end(SpokeSuspicion *suspicion, const SpokeConnectionEnd *end);

/* A message got through. */
void spoke_suspicion_clear(SpokeSuspicion *suspicion);

typedef enum {
    SPOKE_SUSPICION_NONE,
    SPOKE_SUSPICION_ALONE, /* send the oldest message alone and wait for its acknowledgement */
    SPOKE_SUSPICION_TRIAL, /* hold the oldest back and send the one after it alone; if that gets
                              through, the oldest is rejected */
} SpokeSuspicionMode;

SpokeSuspicionMode spoke_suspicion_get_mode(const SpokeSuspicion *suspicion);
