/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <sys/types.h>

/*
 * What callers hold for long, subscriptions and calls that wait, by user: no user gets more than a
 * quarter of all there may be. Root is counted, for the others, and never refused: who runs the
 * machine gets in when it is most needed.
 */
typedef struct SpokeQuota SpokeQuota;

/* For all users together; for one of them */
#define SPOKE_QUOTA_MAX      256
#define SPOKE_QUOTA_USER_MAX (SPOKE_QUOTA_MAX / 4)

SpokeQuota *spoke_quota_new(void);
void spoke_quota_free(SpokeQuota *quota);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpokeQuota, spoke_quota_free)

/* Errors: SPOKE_ERROR_LIMIT_REACHED */
gboolean spoke_quota_take(SpokeQuota *quota, uid_t uid, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Gives one back that was taken for @uid. */
void spoke_quota_give(SpokeQuota *quota, uid_t uid);
