/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "policy/rules.h"

/*
 * Policy files (spoked.policy(5)) as text: read one after the other into a draft, where a later
 * file wins key by key, and made into rules when all are read. Reads no file itself.
 */
#define SPOKE_RULES_FILE_BYTES_MAX (256 * 1024)

typedef struct SpokeRulesDraft SpokeRulesDraft;

SpokeRulesDraft *spoke_rules_draft_new(void);
void spoke_rules_draft_free(SpokeRulesDraft *draft);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpokeRulesDraft, spoke_rules_draft_free)

/**
 * spoke_rules_draft_read:
 * @path: for error texts
 * @text: need not end in a NUL, nor be text
 *
 * Adds a file. Errors: SPOKE_RULES_ERROR_INVALID, as "PATH:LINE: what is wrong" in valid UTF-8; the
 * draft is of no use then.
 */
gboolean spoke_rules_draft_read(SpokeRulesDraft *draft, const char *path, const char *text,
                                size_t size, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Checks what only the whole can show: a rule that lacks a key. Errors: as above, with the place
 * where the rule stands last. Returns: (transfer full) (nullable). @draft stays to be freed */
SpokeRules *spoke_rules_draft_finish(SpokeRulesDraft *draft,
                                     GError **error) G_GNUC_WARN_UNUSED_RESULT;
