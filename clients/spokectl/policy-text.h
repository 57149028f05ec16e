/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "policy/policy.h"

/* One candidate of a ranking for a person and for a program. Both (transfer full). */

/* Place, name, reason, as lines that end in a newline. @width: where they are folded; 0: nowhere */
char *spoke_policy_text_format(const SpokeRules *rules, const SpokeFacts *facts,
                               const SpokeRanking *ranking, guint index, gsize width);
/* One object, without a newline */
char *spoke_policy_text_to_json(const SpokeRules *rules, const SpokeFacts *facts,
                                const SpokeRanking *ranking, guint index);
