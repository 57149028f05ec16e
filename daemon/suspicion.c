/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/suspicion.h"

#define EVICTED_CLOSES 3 /* so many young connections in a row */

/* The first end names a suspect, the next two are with it alone; then come trials without it, and
 * proofs. If none of so many others fares better, the hub's mood is to blame, not the message, and
 * we begin anew. */
#define ALONE_ATTEMPTS 1
#define TRIAL_ATTEMPTS 3
#define PROOFS         2

static void
note_trial(SpokeSuspicion *suspicion, const SpokeConnectionEnd *end)
{
    suspicion->skipped++;
    if (end->oldest == suspicion->suspect || suspicion->skipped == SPOKE_SUSPICION_HELD_MAX)
        spoke_suspicion_clear(suspicion);
}

static void
note_message(SpokeSuspicion *suspicion, const SpokeConnectionEnd *end)
{
    if (end->was_any_acked || end->oldest == 0) {
        spoke_suspicion_clear(suspicion);
    } else if (spoke_suspicion_get_mode(suspicion) == SPOKE_SUSPICION_TRIAL) {
        note_trial(suspicion, end);
    } else if (end->oldest != suspicion->suspect) {
        spoke_suspicion_clear(suspicion);
        suspicion->suspect = end->oldest;
        suspicion->attempts = 1;
    } else {
        suspicion->attempts++;
    }
}

/* A hub that is being restarted closes connections, too; but then it can't be reached for a while,
 * where a hub with a rival on it answers at once. */
static gboolean
was_hub_away(const SpokeConnectionEnd *end)
{
    return end->lived_usec == 0 &&
           (end->cause == SPOKE_CAUSE_DNS || end->cause == SPOKE_CAUSE_TCP_REFUSED ||
            end->cause == SPOKE_CAUSE_TCP_TIMEOUT || end->cause == SPOKE_CAUSE_NETWORK ||
            end->cause == SPOKE_CAUSE_TLS);
}

SpokeCause
spoke_suspicion_note_end(SpokeSuspicion *suspicion, const SpokeConnectionEnd *end)
{
    gboolean was_proving = suspicion->is_proving;

    suspicion->is_proving = FALSE; /* back to trials, if nothing was found out */
    if (end->lived_usec >= SPOKE_SUSPICION_LIVED_USEC || was_hub_away(end))
        suspicion->closes = 0;
    if (end->cause != SPOKE_CAUSE_CLOSED_BY_HUB || end->lived_usec == 0)
        return end->cause;

    if (!was_proving)
        note_message(suspicion, end);
    else if (end->oldest == suspicion->suspect)
        suspicion->proofs++;
    if (end->lived_usec < SPOKE_SUSPICION_LIVED_USEC)
        suspicion->closes++;
    return suspicion->closes >= EVICTED_CLOSES ? SPOKE_CAUSE_EVICTED : SPOKE_CAUSE_CLOSED_BY_HUB;
}

void
spoke_suspicion_note_acked(SpokeSuspicion *suspicion, guint64 id)
{
    if (spoke_suspicion_get_mode(suspicion) == SPOKE_SUSPICION_TRIAL && id != suspicion->suspect)
        suspicion->is_proving = TRUE;
    else
        spoke_suspicion_clear(suspicion);
}

void
spoke_suspicion_clear(SpokeSuspicion *suspicion)
{
    *suspicion = (SpokeSuspicion){.closes = suspicion->closes};
}

gboolean
spoke_suspicion_is_proved(const SpokeSuspicion *suspicion)
{
    return suspicion->proofs >= PROOFS;
}

SpokeSuspicionMode
spoke_suspicion_get_mode(const SpokeSuspicion *suspicion)
{
    if (suspicion->is_proving)
        return SPOKE_SUSPICION_PROOF;
    if (suspicion->attempts >= TRIAL_ATTEMPTS)
        return SPOKE_SUSPICION_TRIAL;
    return suspicion->attempts >= ALONE_ATTEMPTS ? SPOKE_SUSPICION_ALONE : SPOKE_SUSPICION_NONE;
}
