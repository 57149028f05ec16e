/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/message.h"
#include "daemon/transport.h"

/*
 * Repeats. The hub sends a message again when it did not hear what became of it: the same bytes
 * under the same message-id. A digest of the whole tells such a repeat from a new message of a
 * sender that uses an id twice. The digests of the last SPOKE_RECENT_MAX messages that have left
 * the inbox are kept here, each with the verdict to be told again, in memory only.
 */
#define SPOKE_RECENT_MAX 256

typedef struct {
    guint64 words[2]; /* all 0: the message has no message-id and is never a repeat */
} SpokeDigest;

typedef struct {
    SpokeDigest digest;
    SpokeVerdict verdict;
} SpokeRecentEntry;

typedef struct {
    SpokeRecentEntry *entries; /* owned; a ring once there are SPOKE_RECENT_MAX of them */
    guint n;
    guint room;
    guint next;
} SpokeRecent; /* all zero: empty */

SpokeDigest spoke_digest_of(const SpokeMessage *message);
gboolean spoke_digest_is_set(SpokeDigest digest);
gboolean spoke_digest_equal(SpokeDigest a, SpokeDigest b); /* FALSE if either is not set */

void spoke_recent_clear(SpokeRecent *recent);
/* Instead of what was known of the same message before. */
void spoke_recent_add(SpokeRecent *recent, SpokeDigest digest, SpokeVerdict verdict);
/* FALSE: unknown */
gboolean spoke_recent_find(const SpokeRecent *recent, SpokeDigest digest,
                           SpokeVerdict *ret_verdict);
