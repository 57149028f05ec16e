/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dbus/quota.h"

#include "daemon/error.h"

/* A user is in the table while it has taken something. */
struct SpokeQuota {
    GHashTable *by_uid; /* owned: uid → number taken, as pointers */
    guint taken;
};

static guint
get_taken(SpokeQuota *self, uid_t uid)
{
    return GPOINTER_TO_UINT(g_hash_table_lookup(self->by_uid, GUINT_TO_POINTER(uid)));
}

static void
set_taken(SpokeQuota *self, uid_t uid, guint taken)
{
    if (taken > 0)
        g_hash_table_insert(self->by_uid, GUINT_TO_POINTER(uid), GUINT_TO_POINTER(taken));
    else
        g_hash_table_remove(self->by_uid, GUINT_TO_POINTER(uid));
}

static gboolean
check(SpokeQuota *self, uid_t uid, GError **error)
{
    if (uid == 0)
        return TRUE;
    if (get_taken(self, uid) >= SPOKE_QUOTA_USER_MAX) {
        g_set_error(error, SPOKE_ERROR, SPOKE_ERROR_LIMIT_REACHED,
                    "User %2$u has %1$u subscriptions and calls that wait already, which is the "
                    "limit; end some of them",
                    get_taken(self, uid), uid);
        return FALSE;
    }
    if (self->taken >= SPOKE_QUOTA_MAX) {
        g_set_error(error, SPOKE_ERROR, SPOKE_ERROR_LIMIT_REACHED,
                    "There are %u subscriptions and calls that wait already, and the limit is %u; "
                    "end some of them",
                    self->taken, SPOKE_QUOTA_MAX);
        return FALSE;
    }
    return TRUE;
}

SpokeQuota *
spoke_quota_new(void)
{
    SpokeQuota *self = g_new0(SpokeQuota, 1);

    self->by_uid = g_hash_table_new(NULL, NULL);
    return self;
}

void
spoke_quota_free(SpokeQuota *quota)
{
    if (quota == NULL)
        return;
    g_hash_table_unref(quota->by_uid);
    g_free(quota);
}

gboolean
spoke_quota_take(SpokeQuota *quota, uid_t uid, GError **error)
{
    if (!check(quota, uid, error))
        return FALSE;
    set_taken(quota, uid, get_taken(quota, uid) + 1);
    quota->taken++;
    return TRUE;
}

void
spoke_quota_give(SpokeQuota *quota, uid_t uid)
{
    g_return_if_fail(get_taken(quota, uid) > 0);

    set_taken(quota, uid, get_taken(quota, uid) - 1);
    quota->taken--;
}
