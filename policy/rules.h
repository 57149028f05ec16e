/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "policy/condition.h"

/*
 * Rules as they are used: checked, those that are switched off left out, the most important first.
 * They don't change once made. rules-file.h makes them of text.
 */
#define SPOKE_RULES_MAX         64 /* a candidate keeps those that hold as the bits of one word */
#define SPOKE_RULE_NAME_MAX     64
#define SPOKE_RULE_BECAUSE_MAX  200 /* bytes */
#define SPOKE_RULE_PRIORITY_MAX 999

typedef enum {
    SPOKE_EFFECT_NONE, /* switched off */
    SPOKE_EFFECT_PREFER,
    SPOKE_EFFECT_AVOID,
    SPOKE_EFFECT_FORBID,
    SPOKE_N_EFFECTS,
} SpokeEffect;

typedef struct {
    char *name;    /* owned */
    char *because; /* owned; a sentence without its full stop */
    SpokeEffect effect;
    SpokeProtocols protocols; /* that it is about */
    guint priority;           /* 0 to SPOKE_RULE_PRIORITY_MAX, which decides first */
    guint poll_sec;           /* 0: says nothing about it */
    guint32 conditions;       /* a bit for each that it has; all of them must hold */
    guint64 values[SPOKE_N_CONDITIONS];
} SpokeRule;

typedef struct SpokeRules SpokeRules;

void spoke_rule_free(SpokeRule *rule);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpokeRule, spoke_rule_free)

const char *spoke_effect_to_string(SpokeEffect effect); /* "prefer" */
gboolean spoke_effect_from_string(const char *name, SpokeEffect *ret_effect);

gboolean spoke_rule_holds(const SpokeRule *rule, const SpokeFacts *facts, SpokeProtocol protocol);
/* "Because (rule name: the facts it looked at)". */
void spoke_rule_describe(const SpokeRule *rule, const SpokeFacts *facts, SpokeProtocol protocol,
                         GString *text);

/**
 * spoke_rules_new:
 * @rules: (element-type SpokeRule) (transfer full): in the order of reading, SPOKE_RULES_MAX at
 *   most
 *
 * Of rules with one priority the one read first is the more important. Returns: (transfer full)
 */
SpokeRules *spoke_rules_new(GPtrArray *rules);
void spoke_rules_free(SpokeRules *rules);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpokeRules, spoke_rules_free)

guint spoke_rules_get_n(const SpokeRules *rules);
const SpokeRule *spoke_rules_get(const SpokeRules *rules, guint index);
