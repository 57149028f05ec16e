/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "policy/rules-file.h"

/* Rules for tests of the policy. */

/* policy/default.policy, as it is installed. (transfer full) */
SpokeRules *policy_fixture_load_default(void);
/* The same with @text read after it. */
SpokeRules *policy_fixture_load_default_with(const char *text);
/* (transfer full) */
SpokeRules *policy_fixture_parse(const char *text);

/* One identity with a key, everything installed, nothing tried. */
SpokeFacts policy_fixture_facts(void);

/* "mqtt mqtt-ws": those with a rank, in order. (transfer full) */
char *policy_fixture_order(const SpokeRules *rules, const SpokeFacts *facts);
