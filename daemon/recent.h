/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/message.h"

/*
 * Repeats. The hub sends a message again when it did not hear of our taking it over: the same
 * bytes under the same message-id. A digest of the whole tells such a repeat from a new message of
 * a sender that uses an id twice. The digests of the last SPOKE_RECENT_MAX messages that have left
 * the inbox are kept here, in memory only.
 */
#define SPOKE_RECENT_MAX 256

typedef struct {
    guint64 words[2]; /* all 0: the message has no message-id and is never a repeat */
} SpokeDigest;

typedef struct {
    SpokeDigest *digests; /* owned; a ring once there are SPOKE_RECENT_MAX of them */
    guint n;
    guint room;
    guint next;
} SpokeRecent; /* all zero: empty */

SpokeDigest spoke_digest_of(const SpokeMessage *message);
gboolean spoke_digest_is_set(SpokeDigest digest);
gboolean spoke_digest_equal(SpokeDigest a, SpokeDigest b); /* FALSE if either is not set */

void spoke_recent_clear(SpokeRecent *recent);
void spoke_recent_add(SpokeRecent *recent, SpokeDigest digest);
gboolean spoke_recent_has(const SpokeRecent *recent, SpokeDigest digest);
