/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/patience.h"

gint64
spoke_patience_next(SpokePatience *patience, SpokeCause cause, double random)
{
    patience->refusals = cause == SPOKE_CAUSE_AUTHENTICATION_FAILED ? patience->refusals + 1 : 0;
    if (patience->refusals == 1)
        return 0;
    return spoke_retry_next(&patience->retry, spoke_cause_get_pace(cause), random);
}

void
spoke_patience_note_served(SpokePatience *patience)
{
    patience->refusals = 0;
}

void
spoke_patience_reset(SpokePatience *patience)
{
    spoke_retry_reset(&patience->retry);
    patience->refusals = 0;
}
