/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/error.h"
#include "dbus/quota.h"

#define ALICE 1000

static void
take(SpokeQuota *quota, uid_t uid, guint n)
{
    g_autoptr(GError) error = NULL;

    for (guint i = 0; i < n; i++) {
        gboolean taken = spoke_quota_take(quota, uid, &error);
        g_assert_no_error(error);
        g_assert_true(taken);
    }
}

static void
test_user_gets_a_quarter(void)
{
    g_autoptr(SpokeQuota) quota = spoke_quota_new();
    g_autoptr(GError) error = NULL;
    take(quota, ALICE, SPOKE_QUOTA_MAX / 4);

    gboolean taken = spoke_quota_take(quota, ALICE, &error);

    g_assert_false(taken);
    g_assert_error(error, SPOKE_ERROR, SPOKE_ERROR_LIMIT_REACHED);
    g_assert_nonnull(strstr(error->message, "User 1000 has 64 "));
    take(quota, ALICE + 1, 1);
}

static void
test_all_together_are_limited(void)
{
    g_autoptr(SpokeQuota) quota = spoke_quota_new();
    g_autoptr(GError) error = NULL;
    for (uid_t uid = ALICE; uid < ALICE + 4; uid++)
        take(quota, uid, SPOKE_QUOTA_USER_MAX);

    gboolean taken = spoke_quota_take(quota, ALICE + 4, &error);

    g_assert_false(taken);
    g_assert_error(error, SPOKE_ERROR, SPOKE_ERROR_LIMIT_REACHED);
}

static void
test_root_is_always_let_in(void)
{
    g_autoptr(SpokeQuota) quota = spoke_quota_new();
    for (uid_t uid = ALICE; uid < ALICE + 4; uid++)
        take(quota, uid, SPOKE_QUOTA_USER_MAX);

    take(quota, 0, SPOKE_QUOTA_MAX);
}

static void
test_what_is_given_back_can_be_taken(void)
{
    g_autoptr(SpokeQuota) quota = spoke_quota_new();
    take(quota, ALICE, SPOKE_QUOTA_USER_MAX);

    spoke_quota_give(quota, ALICE);

    take(quota, ALICE, 1);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/quota/take/user-gets-a-quarter", test_user_gets_a_quarter);
    g_test_add_func("/quota/take/all-together-are-limited", test_all_together_are_limited);
    g_test_add_func("/quota/take/root-is-always-let-in", test_root_is_always_let_in);
    g_test_add_func("/quota/give/what-is-given-back-can-be-taken",
                    test_what_is_given_back_can_be_taken);
    return g_test_run();
}
