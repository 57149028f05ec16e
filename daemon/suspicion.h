/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/cause.h"

/*
 * What to think of a hub that closes working connections without a word, which over MQTT is its
 * only way to complain: another client has our identity, we are throttled, the day's quota is used
 * up, or it can't bear one of our messages. Pure: fed with what happened.
 *
 * A message is not given up for being unlucky. It must have been alone on the line when the hub
 * closed, several times; then another message must get through without it, so that the hub is known
 * to be well, and when the suspect follows it at once the hub must close again; all this twice.
 */
typedef struct {
    guint closes;    /* young connections closed by the hub, in a row */
    guint64 suspect; /* id of the message that was the oldest unacknowledged one; 0: nobody */
    guint attempts;  /* with which nothing got through, ended by the hub, in a row */
    guint skipped;   /* messages behind the suspect that got through no better */
    guint proofs;
    gboolean is_proving;
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
void spoke_suspicion_note_acked(SpokeSuspicion *suspicion, guint64 id);
void spoke_suspicion_clear(SpokeSuspicion *suspicion);

/* The suspect is to be rejected. */
gboolean spoke_suspicion_is_proved(const SpokeSuspicion *suspicion);

/* So many messages are held back at most. */
#define SPOKE_SUSPICION_HELD_MAX 8

typedef enum {
    SPOKE_SUSPICION_NONE,
    SPOKE_SUSPICION_ALONE, /* send the oldest message alone and wait for its acknowledgement */
    SPOKE_SUSPICION_TRIAL, /* hold the oldest and those skipped back, send the one after alone */
    SPOKE_SUSPICION_PROOF, /* that got through: send the oldest alone, on the same connection */
} SpokeSuspicionMode;

SpokeSuspicionMode spoke_suspicion_get_mode(const SpokeSuspicion *suspicion);
