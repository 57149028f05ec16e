/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "policy/facts.h"

/*
 * Facts given by hand, for `spokectl policy simulate`: FACT=VALUE words, as spokectl(1) lists them.
 */

/**
 * spoke_policy_facts_parse:
 * @words: (nullable), NULL at the end; ret_facts borrows from them
 *
 * What is not given is an ordinary machine: one identity with a key, everything installed, nothing
 * known of memory, nothing tried. Errors: G_OPTION_ERROR_BAD_VALUE.
 */
gboolean spoke_policy_facts_parse(char **words, SpokeFacts *ret_facts, GError **error);
