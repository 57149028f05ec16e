/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "policy/policy.h"

/* The most important rule that holds for one of the two and not for the other, and for which;
 * NULL: there is none. For policy.c and explain.c. */
const SpokeRule *spoke_policy_find_deciding(const SpokeRules *rules, const SpokeCandidate *a,
                                            const SpokeCandidate *b,
                                            const SpokeCandidate **ret_holder);
