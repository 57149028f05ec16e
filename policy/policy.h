/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "policy/rules.h"

/*
 * Which protocol to try, in which order, and why. Pure: the same facts and rules give the same
 * answer, and nothing is asked of the machine, the clock or chance.
 *
 * Two candidates are told apart by one rule: the most important of those that hold for one of them
 * and not for the other. Who has the better of it goes first; where no rule tells them apart, the
 * order of the guidance does. So each place in the list has one reason, and it can be named.
 *
 * What a protocol can't do at all is not left to rules: one that is not installed is never offered,
 * and one that can't carry the identities only as a last resort, as is one that a rule forbids. A
 * history can thus move a candidate down, but not take away the last one.
 */
typedef enum {
    SPOKE_RULING_USABLE,
    SPOKE_RULING_FORBIDDEN,     /* by a rule */
    SPOKE_RULING_INCAPABLE,     /* of carrying these identities on one connection */
    SPOKE_RULING_NOT_INSTALLED, /* never a last resort */
    SPOKE_N_RULINGS,
} SpokeRuling;

typedef struct {
    SpokeProtocol protocol;
    guint rank; /* from 1; 0: ruled out */
    SpokeRuling ruling;
    gboolean is_last_resort; /* has a rank although it is ruled out: nothing else is left */
    /* borrowed from the rules, (nullable). FORBIDDEN: the rule that forbids it. Else the one that
     * put it behind the candidate before it (first place: before the one after it); NULL: the order
     * of the guidance, or the ruling itself */
    const SpokeRule *decided_by;
    guint64 held;   /* a bit for each rule that holds for it, by index */
    guint poll_sec; /* how often it may ask for C2D at most, by the rules that hold; 0: no limit */
} SpokeCandidate;

/* Every protocol, the best first; those with a rank before those without. */
typedef struct {
    SpokeCandidate candidates[SPOKE_N_PROTOCOLS];
    guint n_usable; /* with a rank: at least 1, unless nothing is installed */
} SpokeRanking;

/* @rules: may be empty. They must outlive @ret_ranking, which borrows from them. */
void spoke_policy_rank(const SpokeRules *rules, const SpokeFacts *facts, SpokeRanking *ret_ranking);

/**
 * spoke_policy_explain:
 * @rules, @facts, @ranking: of one call of spoke_policy_rank()
 * @index: of the candidate, below SPOKE_N_PROTOCOLS
 *
 * Returns: (transfer full): a sentence without its full stop, which names the rules and facts that
 * decided.
 */
char *spoke_policy_explain(const SpokeRules *rules, const SpokeFacts *facts,
                           const SpokeRanking *ranking, guint index);

const char *spoke_ruling_to_string(SpokeRuling ruling); /* "usable" */
