/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* SAS tokens and the access decision, with the vectors of the protocol page, section 1.4. */

#include "access.h"
#include "error.h"
#include "sas.h"
#include "store.h"

#include <string.h>

#define KEY       "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
#define OTHER_KEY "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
#define NOW_SEC   1790000000

static const struct {
    const char *resource;
    const char *expiry;
    const char *signature;
} vectors[] = {
    {"contoso.azure-devices.net%2Fdevices%2Fdev-1", "1893456000",
     "AG9femPEu7PvvCiU/zNwpWllymhfzQP7zZZYOKaZSgc="},
    {"contoso.azure-devices.net%2fdevices%2fdev-1", "1893456000",
     "lh516iShQBpu+sB2r49VaxlRBhb9fpS8MxfRgUnpQLU="},
    {"contoso.azure-devices.net/devices/dev-1", "1893456000",
     "ilW0ESwyvZ3wxxOuHV0WgyF0rqZ8HNnpOjawyL0Nb8w="},
    {"contoso.azure-devices.net%2Fdevices%2Fdev-1%2Fmodules%2Fmod-a", "1893456000",
     "10YemvXQlCKsPDxKnMgD+V0zYW3h7C9fx9ZmJ7c7gjI="},
    {"contoso.azure-devices.net", "1893456000", "qntaV5IT1dM2apsDoJXawvLIz4ZKnzKlcX2pfrRfwRU="},
    {"0ne00000000%2Fregistrations%2Freg-1", "1893456000",
     "fVuVE0LBal9mD4MNfzlXShZKlwetFkunjlBrh/ILghw="},
    {"0ne00000000/registrations/reg-1", "1893456000",
     "1pUvYvcV5OJZCHf9eRzBt9t5djZc8EwgrGkQXdeDXRs="},
    {"hub.test/devices/dev-1", "1795441068", "LiMjVo9EUqH01/yU77l6caRjb5mNOyjmFLcsGD/W+x8="},
    {"localhost/devices/dev-1", "1795441291", "IqJLS7mtHfHQL2rjkLvhi7HMJTr1V2Odq0tQJ6GFmis="},
    {"localhost%2Fdevices%2Fdev-1", "1795440468", "Ey9RAxRjiGc6jHPKJYnl5qSnQduaitb9lKw86ZpSgWY="},
    {"0ne00000000%2fregistrations%2freg-1", "1795440224",
     "dKHnvmjaNZYbRkzU4FOrnty3NboRs1hx7g9m2UeI+jk="},
    {"0ne00000000/registrations/reg-1", "1795441362",
     "8S2/08tlz9WryF7uB+sSDwYewrZdC6p9kzQhCYceG0k="},
};

static EmuSas
parse(const char *token)
{
    g_autoptr(GError) error = NULL;
    EmuSas sas = {0};

    g_assert_true(emu_sas_parse(token, strlen(token), &sas, &error));
    g_assert_no_error(error);
    return sas;
}

/* A token as the C SDK encodes it: lower-case escapes. */
static char *
token_of(guint vector, const char *tail)
{
    g_autoptr(GString) signature = g_string_new(vectors[vector].signature);

    g_string_replace(signature, "+", "%2b", 0);
    g_string_replace(signature, "/", "%2f", 0);
    g_string_replace(signature, "=", "%3d", 0);
    return g_strdup_printf("SharedAccessSignature sr=%s&sig=%s&se=%s%s", vectors[vector].resource,
                           signature->str, vectors[vector].expiry, tail);
}

static void
test_signature_matches_every_vector(void)
{
    for (guint i = 0; i < G_N_ELEMENTS(vectors); i++) {
        g_autofree char *token = token_of(i, "");
        g_auto(EmuSas) sas = parse(token);

        g_assert_true(emu_sas_is_signed_with(&sas, KEY));
        g_assert_false(emu_sas_is_signed_with(&sas, OTHER_KEY));
        g_assert_false(emu_sas_is_signed_with(&sas, NULL));
    }
}

static void
test_parse_takes_fields_in_any_order(void)
{
    g_auto(EmuSas) sas =
        parse("SharedAccessSignature skn=device&se=1893456000&sig=AG9femPEu7PvvCiU%2FzNwpWll"
              "ymhfzQP7zZZYOKaZSgc%3D&sr=contoso.azure-devices.net%2Fdevices%2Fdev-1");

    g_assert_true(emu_sas_is_signed_with(&sas, KEY));
    g_assert_cmpstr(sas.policy, ==, "device");
    g_assert_cmpint(sas.expiry_sec, ==, 1893456000);
}

static void
test_parse_treats_an_empty_policy_as_none(void)
{
    g_autofree char *token = token_of(2, "&skn=");
    g_auto(EmuSas) sas = parse(token);

    g_assert_null(sas.policy);
}

static void
test_parse_refuses_what_is_no_token(void)
{
    static const char *const texts[] = {
        "",
        "secret",
        "SharedAccessSignature",
        "SharedAccessSignature ",
        "SharedAccessSignature sr=a&sig=b",
        "SharedAccessSignature sr=a&se=1",
        "SharedAccessSignature sig=b&se=1",
        "SharedAccessSignature sr=a&sig=b&se=",
        "SharedAccessSignature sr=a&sig=b&se=-1",
        "SharedAccessSignature sr=a&sig=b&se=1x",
        "SharedAccessSignature sr=a&sig=b&se=99999999999999999999",
        "SharedAccessSignature sr=a&sig=%ff%&se=1",
    };

    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_autoptr(GError) error = NULL;
        g_auto(EmuSas) sas = {0};
        g_assert_false(emu_sas_parse(texts[i], strlen(texts[i]), &sas, &error));
        g_assert_error(error, EMU_ERROR, EMU_ERROR_TOKEN);
    }
}

static void
test_covers_compares_whole_segments(void)
{
    static const struct {
        const char *resource;
        gboolean covers;
    } cases[] = {
        {"hub", TRUE},
        {"HUB", TRUE},
        {"hub/devices/dev1", TRUE},
        {"Hub%2Fdevices%2Fdev1", TRUE},
        {"hub%2fdevices%2fdev1", TRUE},
        {"hub/devices/dev1/", TRUE},
        {"hub/devices/dev1/modules/m", TRUE},
        {"hub/devices/dev", FALSE},
        {"hub/devices/dev10", FALSE},
        {"hub/devices/DEV1", FALSE},
        {"hub/devices/dev1/modules/n", FALSE},
        {"hub2", FALSE},
        {"hu", FALSE},
        {"", FALSE},
        {"hub.other/devices/dev1", FALSE},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *token =
            g_strdup_printf("SharedAccessSignature sr=%s&sig=x&se=1", cases[i].resource);
        g_auto(EmuSas) sas = parse(token);
        g_assert_cmpint(emu_sas_covers(&sas, "hub/devices/dev1/modules/m"), ==, cases[i].covers);
    }
}

static void
test_covers_takes_percent_signs_in_ids(void)
{
    /* The id is "a%2Fb": raw in one token, encoded once in the other. */
    g_auto(EmuSas) raw = parse("SharedAccessSignature sr=hub/devices/a%2Fb&sig=x&se=1");
    g_auto(EmuSas) encoded = parse("SharedAccessSignature sr=hub%2Fdevices%2Fa%252Fb&sig=x&se=1");

    g_assert_true(emu_sas_covers(&raw, "hub/devices/a%2Fb"));
    g_assert_true(emu_sas_covers(&encoded, "hub/devices/a%2Fb"));
}

static void
test_key_is_base64_of_the_right_size(void)
{
    g_autofree char *made = emu_key_new();

    g_assert_true(emu_key_is_valid(KEY));
    g_assert_true(emu_key_is_valid(made));
    g_assert_false(emu_key_is_valid(""));
    g_assert_false(emu_key_is_valid("AAAA"));
    g_assert_false(emu_key_is_valid("not base64 at all, really!!"));
}

typedef struct {
    EmuStore *store;
    EmuRegistry *registry;
    EmuIdentity *device;
    EmuIdentity *module;
} Fixture;

static void
set_up(Fixture *fixture, gconstpointer data)
{
    const EmuIdentityChange keys = {.primary_key = OTHER_KEY, .secondary_key = KEY};

    fixture->store = emu_store_open(":memory:", NULL);
    fixture->registry = emu_registry_new(fixture->store);
    fixture->device = emu_registry_put(fixture->registry, "dev-1", NULL, &keys, NULL, NULL);
    fixture->module = emu_registry_put(fixture->registry, "dev-1", "mod-a", &keys, NULL, NULL);
}

static void
tear_down(Fixture *fixture, gconstpointer data)
{
    emu_registry_free(fixture->registry);
    emu_store_free(fixture->store);
}

static int
check(Fixture *fixture, const EmuIdentity *identity, const char *token, gint64 now_sec,
      gint64 grace_sec)
{
    g_autoptr(GError) error = NULL;
    gint64 expiry_sec = 0;

    if (emu_access_check(fixture->registry, "contoso.azure-devices.net", identity, token,
                         strlen(token), now_sec, grace_sec, &expiry_sec, &error)) {
        g_assert_cmpint(expiry_sec, ==, 1893456000);
        return 0;
    }
    return error->code;
}

static void
test_access_takes_either_key(Fixture *fixture, gconstpointer data)
{
    const EmuIdentityChange change = {.primary_key = KEY, .secondary_key = OTHER_KEY};
    g_autofree char *token = token_of(0, "");

    g_assert_cmpint(check(fixture, fixture->device, token, NOW_SEC, 0), ==, 0);
    emu_registry_put(fixture->registry, "dev-1", NULL, &change, NULL, NULL);
    g_assert_cmpint(check(fixture, fixture->device, token, NOW_SEC, 0), ==, 0);
}

static void
test_access_ends_at_expiry_and_grace(Fixture *fixture, gconstpointer data)
{
    g_autofree char *token = token_of(0, "");

    g_assert_cmpint(check(fixture, fixture->device, token, 1893455999, 0), ==, 0);
    g_assert_cmpint(check(fixture, fixture->device, token, 1893456000, 0), ==, EMU_ERROR_TOKEN);
    g_assert_cmpint(check(fixture, fixture->device, token, 1893456000, 600), ==, 0);
    g_assert_cmpint(check(fixture, fixture->device, token, 1893456600, 600), ==, EMU_ERROR_TOKEN);
}

static void
test_access_refuses_disabled_identities(Fixture *fixture, gconstpointer data)
{
    const EmuIdentityChange change = {.status = "disabled"};
    g_autofree char *device_token = token_of(0, "");
    g_autofree char *module_token = token_of(3, "");

    emu_registry_put(fixture->registry, "dev-1", NULL, &change, NULL, NULL);

    g_assert_cmpint(check(fixture, fixture->device, device_token, NOW_SEC, 0), ==,
                    EMU_ERROR_DISABLED);
    g_assert_cmpint(check(fixture, fixture->module, module_token, NOW_SEC, 0), ==,
                    EMU_ERROR_DISABLED);
}

static void
test_access_tells_modules_from_devices(Fixture *fixture, gconstpointer data)
{
    g_autofree char *device_token = token_of(0, "");
    g_autofree char *module_token = token_of(3, "");

    g_assert_cmpint(check(fixture, fixture->module, module_token, NOW_SEC, 0), ==, 0);
    g_assert_cmpint(check(fixture, fixture->module, device_token, NOW_SEC, 0), ==, 0);
    g_assert_cmpint(check(fixture, fixture->device, module_token, NOW_SEC, 0), ==,
                    EMU_ERROR_UNAUTHORIZED);
}

static void
test_access_asks_policies_for_their_rights(Fixture *fixture, gconstpointer data)
{
    /* Signed with the device's key, so right only if the policy were not looked at. */
    g_autofree char *unknown = token_of(4, "&skn=nobody");
    g_autofree char *service = token_of(4, "&skn=service");
    g_autofree char *device = token_of(4, "&skn=device");

    g_assert_cmpint(check(fixture, fixture->device, unknown, NOW_SEC, 0), ==, EMU_ERROR_TOKEN);
    g_assert_cmpint(check(fixture, fixture->device, service, NOW_SEC, 0), ==, EMU_ERROR_TOKEN);
    g_assert_cmpint(check(fixture, fixture->device, device, NOW_SEC, 0), ==, EMU_ERROR_TOKEN);
    g_assert_nonnull(emu_registry_policy(fixture->registry, "device"));
}

static void
add(const char *path, void (*test)(Fixture *fixture, gconstpointer data))
{
    g_test_add(path, Fixture, NULL, set_up, test, tear_down);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/sas/signature/matches-every-vector", test_signature_matches_every_vector);
    g_test_add_func("/sas/parse/takes-fields-in-any-order", test_parse_takes_fields_in_any_order);
    g_test_add_func("/sas/parse/treats-an-empty-policy-as-none",
                    test_parse_treats_an_empty_policy_as_none);
    g_test_add_func("/sas/parse/refuses-what-is-no-token", test_parse_refuses_what_is_no_token);
    g_test_add_func("/sas/covers/compares-whole-segments", test_covers_compares_whole_segments);
    g_test_add_func("/sas/covers/takes-percent-signs-in-ids",
                    test_covers_takes_percent_signs_in_ids);
    g_test_add_func("/sas/key/is-base64-of-the-right-size", test_key_is_base64_of_the_right_size);
    add("/access/check/takes-either-key", test_access_takes_either_key);
    add("/access/check/ends-at-expiry-and-grace", test_access_ends_at_expiry_and_grace);
    add("/access/check/refuses-disabled-identities", test_access_refuses_disabled_identities);
    add("/access/check/tells-modules-from-devices", test_access_tells_modules_from_devices);
    add("/access/check/asks-policies-for-their-rights", test_access_asks_policies_for_their_rights);
    return g_test_run();
}
