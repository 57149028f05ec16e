/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "policy/facts.h"

/*
 * The conditions a rule may have: each is a key of the policy file, compares one fact with the
 * value given there, and can put that fact into words. A value of whatever kind is kept as one
 * number. spoked.policy(5) documents them.
 */
typedef enum {
    SPOKE_CONDITION_IDENTITIES_MIN,
    SPOKE_CONDITION_IDENTITIES_MAX,
    SPOKE_CONDITION_CREDENTIALS,
    SPOKE_CONDITION_NEEDS_PUSH,
    SPOKE_CONDITION_NEEDS_SETTLE,
    SPOKE_CONDITION_PROXY,
    SPOKE_CONDITION_METERED,
    SPOKE_CONDITION_MEMORY_BELOW,
    SPOKE_CONDITION_FREE_BELOW,
    SPOKE_CONDITION_NAMED,
    SPOKE_CONDITION_LAST_OUTCOME,
    SPOKE_CONDITION_FAILURES_MIN,
    SPOKE_CONDITION_FAILED_WITHIN,
    SPOKE_CONDITION_WORKED_WITHIN,
    SPOKE_N_CONDITIONS,
} SpokeCondition;

#define SPOKE_RULES_ERROR spoke_rules_error_quark()
typedef enum { SPOKE_RULES_ERROR_INVALID } SpokeRulesError;
GQuark spoke_rules_error_quark(void);

/* "IdentitiesMin" gives its condition. */
gboolean spoke_condition_from_key(const char *key, SpokeCondition *ret_condition);
/* Errors: SPOKE_RULES_ERROR_INVALID; the text begins with what was given, escaped. */
gboolean spoke_condition_parse(SpokeCondition condition, const char *text, guint64 *ret_value,
                               GError **error);
/* Whether it holds for @protocol. A fact that is not known lets no condition hold. */
gboolean spoke_condition_holds(SpokeCondition condition, guint64 value, const SpokeFacts *facts,
                               SpokeProtocol protocol);
/* The fact it looked at: "3 identities". */
void spoke_condition_describe(SpokeCondition condition, const SpokeFacts *facts,
                              SpokeProtocol protocol, GString *text);

/* The names SpokeHistory.last_outcome may have, "" apart; NULL at the end. They are the daemon's.
 */
const char *const *spoke_condition_get_causes(void);

/* What a policy file and a list of facts on a command line have in common. Whole numbers only;
 * sizes take K, M, G or T. */
gboolean spoke_number_parse(const char *text, guint64 max, guint64 *ret_number);
gboolean spoke_size_parse(const char *text, guint64 *ret_bytes);
