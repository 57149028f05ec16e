/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/suspicion.h"

#define EVICTED_CLOSES 3 /* so many young connections in a row */

/* The first end names a suspect, the next two are with it alone; then one trial without it. If
 * that fares no better, the hub's mood is to blame, not the message, and we begin anew. */
#define ALONE_ATTEMPTS 1
#define TRIAL_ATTEMPTS 3

static void
note_message(SpokeSuspicion *suspicion, const SpokeConnectionEnd *end)
{
    SpokeSuspicionMode mode = spoke_suspicion_get_mode(suspicion);

    if (end->was_any_acked || end->oldest == 0) {
        spoke_suspicion_clear(suspicion);
    } else if (mode == SPOKE_SUSPICION_TRIAL) {
        spoke_suspicion_clear(suspicion);
    } else if (end->oldest != suspicion->suspect) {
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
    if (end->lived_usec >= SPOKE_SUSPICION_LIVED_USEC || was_hub_away(end))
        suspicion->closes = 0;
    if (end->cause != SPOKE_CAUSE_CLOSED_BY_HUB || end->lived_usec == 0)
        return end->cause;

    note_message(suspicion, end);
    if (end->lived_usec < SPOKE_SUSPICION_LIVED_USEC)
        suspicion->closes++;
    return suspicion->closes >= EVICTED_CLOSES ? SPOKE_CAUSE_EVICTED : SPOKE_CAUSE_CLOSED_BY_HUB;
}

void
spoke_suspicion_clear(SpokeSuspicion *suspicion)
{
    suspicion->suspect = 0;
    suspicion->attempts = 0;
}

SpokeSuspicionMode
spoke_suspicion_get_mode(const SpokeSuspicion *suspicion)
{
    if (suspicion->attempts >= TRIAL_ATTEMPTS)
        return SPOKE_SUSPICION_TRIAL;
    return suspicion->attempts >= ALONE_ATTEMPTS ? SPOKE_SUSPICION_ALONE : SPOKE_SUSPICION_NONE;
}
