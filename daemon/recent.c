/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/recent.h"

#include "daemon/properties.h"

#include <string.h>

#define ROOM_FIRST 4

/*
 * Half of a SHA-256: no two messages have it in common by chance, nor by anybody's intent.
 */
SpokeDigest
spoke_digest_of(const SpokeMessage *message)
{
    const guint64 sizes[] = {message->system_size, message->properties_size, message->body_size};
    guint8 sum[32];
    size_t size = sizeof sum;
    SpokeDigest digest = {0};

    if (spoke_message_lookup_system(message, SPOKE_PROPERTY_MESSAGE_ID) == NULL)
        return digest;

    g_autoptr(GChecksum) checksum = g_checksum_new(G_CHECKSUM_SHA256);

    g_checksum_update(checksum, (const guchar *)sizes, sizeof sizes);
    g_checksum_update(checksum, (const guchar *)message->data,
                      (gssize)(sizes[0] + sizes[1] + sizes[2]));
    g_checksum_get_digest(checksum, sum, &size);
    memcpy(&digest, sum, sizeof digest);
    return digest;
}

gboolean
spoke_digest_is_set(SpokeDigest digest)
{
    return digest.words[0] != 0 || digest.words[1] != 0;
}

gboolean
spoke_digest_equal(SpokeDigest a, SpokeDigest b)
{
    return spoke_digest_is_set(a) && a.words[0] == b.words[0] && a.words[1] == b.words[1];
}

void
spoke_recent_clear(SpokeRecent *recent)
{
    g_free(recent->entries);
    *recent = (SpokeRecent){NULL};
}

static SpokeRecentEntry *
find(const SpokeRecent *recent, SpokeDigest digest)
{
    for (guint i = 0; i < recent->n; i++) {
        if (spoke_digest_equal(recent->entries[i].digest, digest))
            return &recent->entries[i];
    }
    return NULL;
}

void
spoke_recent_add(SpokeRecent *recent, SpokeDigest digest, SpokeVerdict verdict)
{
    SpokeRecentEntry *earlier = find(recent, digest);

    if (!spoke_digest_is_set(digest))
        return;

    if (earlier != NULL)
        earlier->digest = (SpokeDigest){0};
    if (recent->next == recent->room) {
        recent->room = CLAMP(recent->room * 2, ROOM_FIRST, SPOKE_RECENT_MAX);
        recent->entries = g_renew(SpokeRecentEntry, recent->entries, recent->room);
    }
    recent->entries[recent->next] = (SpokeRecentEntry){digest, verdict};
    recent->next = (recent->next + 1) % SPOKE_RECENT_MAX;
    recent->n = MIN(recent->n + 1, SPOKE_RECENT_MAX);
}

gboolean
spoke_recent_find(const SpokeRecent *recent, SpokeDigest digest, SpokeVerdict *ret_verdict)
{
    const SpokeRecentEntry *entry = find(recent, digest);

    if (entry == NULL)
        return FALSE;

    *ret_verdict = entry->verdict;
    return TRUE;
}
