/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/secret.h"

#include <string.h>

static void
test_new_keeps_bytes_and_adds_nul(void)
{
    g_autoptr(SpokeSecret) secret = spoke_secret_new("a\0b", 3);

    g_assert_cmpmem(spoke_secret_peek(secret), spoke_secret_get_size(secret), "a\0b", 3);
    g_assert_cmpint(spoke_secret_peek(secret)[3], ==, '\0');
}

static void
test_new_allows_empty(void)
{
    g_autoptr(SpokeSecret) secret = spoke_secret_new(NULL, 0);

    g_assert_cmpuint(spoke_secret_get_size(secret), ==, 0);
    g_assert_cmpstr(spoke_secret_peek(secret), ==, "");
}

static void
test_new_take_keeps_text(void)
{
    g_autoptr(SpokeSecret) secret = spoke_secret_new_take(g_strdup("token"));

    g_assert_cmpstr(spoke_secret_peek(secret), ==, "token");
    g_assert_cmpuint(spoke_secret_get_size(secret), ==, 5);
}

static void
test_ref_keeps_alive(void)
{
    SpokeSecret *secret = spoke_secret_new("key", 3);
    SpokeSecret *shared = spoke_secret_ref(secret);

    spoke_secret_unref(secret);

    g_assert_cmpstr(spoke_secret_peek(shared), ==, "key");
    spoke_secret_unref(shared);
}

static void
test_ref_takes_null(void)
{
    g_assert_null(spoke_secret_ref(NULL));
    spoke_secret_unref(NULL);
    spoke_secret_free_text(NULL);
    spoke_secret_wipe(NULL, 0);
}

static void
test_equal_compares_bytes(void)
{
    g_autoptr(SpokeSecret) secret = spoke_secret_new("abc", 3);
    g_autoptr(SpokeSecret) same = spoke_secret_new("abc", 3);
    g_autoptr(SpokeSecret) other = spoke_secret_new("abd", 3);
    g_autoptr(SpokeSecret) longer = spoke_secret_new("abc\0", 4);

    g_assert_true(spoke_secret_equal(secret, secret));
    g_assert_true(spoke_secret_equal(secret, same));
    g_assert_false(spoke_secret_equal(secret, other));
    g_assert_false(spoke_secret_equal(secret, longer));
    g_assert_false(spoke_secret_equal(secret, NULL));
    g_assert_true(spoke_secret_equal(NULL, NULL));
}

/* Freed memory can't be looked into; what overwrites it before can. */
static void
test_wipe_overwrites_all(void)
{
    char buffer[] = "-0123456789-";

    spoke_secret_wipe(buffer + 1, 10);

    g_assert_cmpmem(buffer, sizeof buffer, "-\0\0\0\0\0\0\0\0\0\0-", sizeof buffer);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/secret/new/keeps-bytes-and-adds-nul", test_new_keeps_bytes_and_adds_nul);
    g_test_add_func("/secret/new/allows-empty", test_new_allows_empty);
    g_test_add_func("/secret/new-take/keeps-text", test_new_take_keeps_text);
    g_test_add_func("/secret/ref/keeps-alive", test_ref_keeps_alive);
    g_test_add_func("/secret/ref/takes-null", test_ref_takes_null);
    g_test_add_func("/secret/equal/compares-bytes", test_equal_compares_bytes);
    g_test_add_func("/secret/wipe/overwrites-all", test_wipe_overwrites_all);
    return g_test_run();
}
