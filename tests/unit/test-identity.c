/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/identity.h"

#include <string.h>

static void
test_new_copies(void)
{
    char hub[] = "contoso.azure-devices.net";
    g_autoptr(SpokeIdentity) identity = spoke_identity_new("self", hub, "dev-1", "mod-a");

    hub[0] = 'X';

    g_assert_cmpstr(identity->name, ==, "self");
    g_assert_cmpstr(identity->hub, ==, "contoso.azure-devices.net");
    g_assert_cmpstr(identity->device_id, ==, "dev-1");
    g_assert_cmpstr(identity->module_id, ==, "mod-a");
}

static void
test_new_without_module(void)
{
    g_autoptr(SpokeIdentity) identity = spoke_identity_new("self", "h", "d", NULL);

    g_assert_null(identity->module_id);
}

static void
test_key_folds_case_of_hub_alone(void)
{
    g_autoptr(SpokeIdentity) device = spoke_identity_new("self", "Hub.Test", "Dev", NULL);
    g_autoptr(SpokeIdentity) module = spoke_identity_new("self", "hub.test", "Dev", "Mod");

    g_assert_cmpstr(device->key, ==, "hub.test/Dev");
    g_assert_cmpstr(module->key, ==, "hub.test/Dev/Mod");
}

static void
test_ref_keeps_alive(void)
{
    SpokeIdentity *identity = spoke_identity_new("self", "h", "d", NULL);
    SpokeIdentity *shared = spoke_identity_ref(identity);

    spoke_identity_unref(identity);

    g_assert_cmpstr(shared->device_id, ==, "d");
    spoke_identity_unref(shared);
    spoke_identity_unref(NULL);
}

/* Source of both lists: iot-hub-protocol.md, 1.1. */
static void
test_is_valid_id_1_1_takes_legal(void)
{
    g_assert_true(spoke_identity_is_valid_id("a"));
    g_assert_true(spoke_identity_is_valid_id("ABCxyz019"));
    g_assert_true(spoke_identity_is_valid_id("-.+%_#*?!(),=@$'"));
    g_assert_true(spoke_identity_is_valid_id("00:1b:44:11:3a:b7"));
}

static void
test_is_valid_id_1_1_refuses_illegal(void)
{
    static const char illegal[] = " \"&/;<>[\\]^`{|}~\t\n\x7f";

    g_assert_false(spoke_identity_is_valid_id(NULL));
    g_assert_false(spoke_identity_is_valid_id(""));
    g_assert_false(spoke_identity_is_valid_id("d\xc3\xa9vice"));
    for (const char *c = illegal; *c != '\0'; c++) {
        char id[] = {'d', *c, '1', '\0'};
        g_assert_false(spoke_identity_is_valid_id(id));
    }
}

static void
test_is_valid_id_1_1_limits_length(void)
{
    g_autofree char *longest = g_strnfill(128, 'd');
    g_autofree char *too_long = g_strnfill(129, 'd');

    g_assert_true(spoke_identity_is_valid_id(longest));
    g_assert_false(spoke_identity_is_valid_id(too_long));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/identity/new/copies", test_new_copies);
    g_test_add_func("/identity/new/without-module", test_new_without_module);
    g_test_add_func("/identity/key/folds-case-of-hub-alone", test_key_folds_case_of_hub_alone);
    g_test_add_func("/identity/ref/keeps-alive", test_ref_keeps_alive);
    g_test_add_func("/identity/is-valid-id/1.1-takes-legal", test_is_valid_id_1_1_takes_legal);
    g_test_add_func("/identity/is-valid-id/1.1-refuses-illegal",
                    test_is_valid_id_1_1_refuses_illegal);
    g_test_add_func("/identity/is-valid-id/1.1-limits-length", test_is_valid_id_1_1_limits_length);
    return g_test_run();
}
