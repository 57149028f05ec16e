/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Who may connect by certificate. The certificates are made once, because keys take their time. */

#include "access.h"

#include "authorities.h"
#include "certificate-pair.h"
#include "error.h"
#include "store.h"

#define DAY_SEC ((gint64)24 * 60 * 60)
#define KEY     "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="

typedef struct {
    EmuPair pair;
    GTlsCertificate *shown; /* owned */
} Certificate;

static struct {
    Certificate authority;
    Certificate signed_for_d;
    Certificate signed_for_module; /* d/m */
    Certificate lone;              /* self-signed, for nobody in particular */
} certificates;

typedef struct {
    EmuStore *store;       /* owned */
    EmuRegistry *registry; /* owned */
    gint64 now_sec;
} Fixture;

static void
make(Certificate *certificate, const char *name, const Certificate *issuer)
{
    g_autoptr(GError) error = NULL;

    emu_pair_init(&certificate->pair);
    g_assert_true(emu_pair_prepare(&certificate->pair, name, 30, &error));
    if (certificate == issuer)
        g_assert_true(emu_pair_sign_authority(&certificate->pair, &error));
    else
        g_assert_true(emu_pair_sign_leaf(&certificate->pair,
                                         issuer != NULL ? &issuer->pair : &certificate->pair,
                                         GNUTLS_KP_TLS_WWW_CLIENT, &error));
    g_autofree char *pem = emu_pair_certificate_pem(&certificate->pair, &error);
    g_assert_no_error(error);
    certificate->shown = g_tls_certificate_new_from_pem(pem, -1, &error);
    g_assert_no_error(error);
}

static void
destroy(Certificate *certificate)
{
    emu_pair_clear(&certificate->pair);
    g_clear_object(&certificate->shown);
}

static void
set_up(Fixture *fixture, gconstpointer data)
{
    fixture->store = emu_store_open(":memory:", NULL);
    fixture->registry = emu_registry_new(fixture->store);
    fixture->now_sec = g_get_real_time() / G_USEC_PER_SEC;
}

static void
tear_down(Fixture *fixture, gconstpointer data)
{
    emu_registry_free(fixture->registry);
    emu_store_free(fixture->store);
}

static const EmuIdentity *
put(Fixture *fixture, const char *module_id, const EmuIdentityChange *change)
{
    g_autoptr(GError) error = NULL;
    const EmuIdentity *identity =
        emu_registry_put(fixture->registry, "d", module_id, change, NULL, &error);

    g_assert_no_error(error);
    return identity;
}

static const EmuIdentity *
put_by_thumbprint(Fixture *fixture, const Certificate *certificate)
{
    g_autofree char *thumbprint = emu_thumbprint_of(certificate->pair.certificate);
    const EmuIdentityChange change = {.authentication = "selfSigned",
                                      .primary_thumbprint = thumbprint};

    return put(fixture, NULL, &change);
}

static void
trust_authority(Fixture *fixture)
{
    g_autofree char *pem = emu_pair_certificate_pem(&certificates.authority.pair, NULL);

    g_assert_nonnull(emu_authorities_add(emu_registry_authorities(fixture->registry), pem, NULL));
}

static void
assert_lets_in(Fixture *fixture, const EmuIdentity *identity, const Certificate *certificate)
{
    g_autoptr(GError) error = NULL;

    g_assert_true(emu_access_check_certificate(fixture->registry, identity, certificate->shown,
                                               fixture->now_sec, &error));
    g_assert_no_error(error);
}

static void
assert_refuses(Fixture *fixture, const EmuIdentity *identity, GTlsCertificate *peer, gint64 now_sec,
               EmuErrorCode code)
{
    g_autoptr(GError) error = NULL;

    g_assert_false(
        emu_access_check_certificate(fixture->registry, identity, peer, now_sec, &error));
    g_assert_error(error, EMU_ERROR, (gint)code);
}

static void
test_certificate_by_thumbprint(Fixture *fixture, gconstpointer data)
{
    const EmuIdentity *identity = put_by_thumbprint(fixture, &certificates.lone);

    assert_lets_in(fixture, identity, &certificates.lone);
    assert_refuses(fixture, identity, certificates.signed_for_d.shown, fixture->now_sec,
                   EMU_ERROR_UNAUTHORIZED);
    assert_refuses(fixture, identity, NULL, fixture->now_sec, EMU_ERROR_UNAUTHORIZED);
}

static void
test_certificate_by_second_thumbprint_of_sha1(Fixture *fixture, gconstpointer data)
{
    guint8 digest[20];
    size_t size = sizeof digest;
    g_autoptr(GString) text = g_string_new(NULL);

    g_assert_cmpint(gnutls_x509_crt_get_fingerprint(certificates.lone.pair.certificate,
                                                    GNUTLS_DIG_SHA1, digest, &size),
                    ==, 0);
    for (size_t i = 0; i < size; i++)
        g_string_append_printf(text, "%s%02x", i > 0 ? ":" : "", digest[i]);
    (void)put_by_thumbprint(fixture, &certificates.signed_for_d);
    const EmuIdentityChange change = {.secondary_thumbprint = text->str};
    const EmuIdentity *identity = put(fixture, NULL, &change);

    assert_lets_in(fixture, identity, &certificates.lone);
    assert_lets_in(fixture, identity, &certificates.signed_for_d);
}

static void
test_certificate_by_authority(Fixture *fixture, gconstpointer data)
{
    const EmuIdentityChange change = {.authentication = "certificateAuthority"};
    const EmuIdentity *identity = put(fixture, NULL, &change);
    const EmuIdentity *module = put(fixture, "m", &change);

    assert_refuses(fixture, identity, certificates.signed_for_d.shown, fixture->now_sec,
                   EMU_ERROR_UNAUTHORIZED);
    trust_authority(fixture);
    assert_lets_in(fixture, identity, &certificates.signed_for_d);
    assert_lets_in(fixture, module, &certificates.signed_for_module);
    assert_refuses(fixture, identity, certificates.signed_for_module.shown, fixture->now_sec,
                   EMU_ERROR_UNAUTHORIZED);
    assert_refuses(fixture, module, certificates.signed_for_d.shown, fixture->now_sec,
                   EMU_ERROR_UNAUTHORIZED);
    assert_refuses(fixture, identity, certificates.lone.shown, fixture->now_sec,
                   EMU_ERROR_UNAUTHORIZED);
}

static void
test_certificate_dates_by_the_hubs_clock(Fixture *fixture, gconstpointer data)
{
    const EmuIdentityChange change = {.authentication = "certificateAuthority"};
    const EmuIdentity *identity = put(fixture, NULL, &change);

    trust_authority(fixture);
    for (int offset = -2; offset <= 31; offset += 33)
        assert_refuses(fixture, identity, certificates.signed_for_d.shown,
                       fixture->now_sec + offset * DAY_SEC, EMU_ERROR_UNAUTHORIZED);
    identity = put_by_thumbprint(fixture, &certificates.lone);
    for (int offset = -2; offset <= 31; offset += 33)
        assert_refuses(fixture, identity, certificates.lone.shown,
                       fixture->now_sec + offset * DAY_SEC, EMU_ERROR_UNAUTHORIZED);
}

static void
test_certificate_of_disabled_device(Fixture *fixture, gconstpointer data)
{
    const EmuIdentityChange change = {.status = "disabled"};
    (void)put_by_thumbprint(fixture, &certificates.lone);
    const EmuIdentity *identity = put(fixture, NULL, &change);

    assert_refuses(fixture, identity, certificates.lone.shown, fixture->now_sec,
                   EMU_ERROR_DISABLED);
}

/* The one excludes the other, whatever the client shows besides. */
static void
test_credential_of_the_other_kind(Fixture *fixture, gconstpointer data)
{
    static const char token[] = "SharedAccessSignature sr=h&sig=x&se=9999999999";
    const EmuCredential both = {token, sizeof token - 1, certificates.lone.shown};
    const EmuCredential certificate = {"", 0, certificates.lone.shown};
    g_autoptr(GError) error = NULL;
    gint64 expiry_sec = 0;

    const EmuIdentity *identity = put_by_thumbprint(fixture, &certificates.lone);
    g_assert_false(emu_access_check_credential(fixture->registry, "h", identity, &both,
                                               fixture->now_sec, 0, &expiry_sec, &error));
    g_assert_error(error, EMU_ERROR, EMU_ERROR_UNAUTHORIZED);
    g_clear_error(&error);
    g_assert_true(emu_access_check_credential(fixture->registry, "h", identity, &certificate,
                                              fixture->now_sec, 0, &expiry_sec, &error));
    g_assert_cmpint(expiry_sec, ==, EMU_ACCESS_ENDLESS_SEC);

    const EmuIdentityChange change = {.authentication = "sas", .primary_key = KEY};
    identity = put(fixture, NULL, &change);
    g_assert_false(emu_access_check_credential(fixture->registry, "h", identity, &certificate,
                                               fixture->now_sec, 0, &expiry_sec, &error));
    g_assert_error(error, EMU_ERROR, EMU_ERROR_TOKEN);
}

static void
assert_put_fails(Fixture *fixture, const EmuIdentityChange *change)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(emu_registry_put(fixture->registry, "new", NULL, change, NULL, &error));
    g_assert_error(error, EMU_ERROR, EMU_ERROR_ARGUMENT);
    g_assert_null(emu_registry_find(fixture->registry, "new", NULL));
}

static void
test_registry_wants_whole_thumbprints(Fixture *fixture, gconstpointer data)
{
    assert_put_fails(fixture, &(EmuIdentityChange){.authentication = "selfSigned"});
    assert_put_fails(fixture, &(EmuIdentityChange){.authentication = "selfSigned",
                                                   .primary_thumbprint = "1234"});
    assert_put_fails(fixture, &(EmuIdentityChange){.authentication = "password"});
}

static void
test_authorities_are_checked_and_kept(Fixture *fixture, gconstpointer data)
{
    EmuAuthorities *authorities = emu_registry_authorities(fixture->registry);
    g_autofree char *leaf = emu_pair_certificate_pem(&certificates.lone.pair, NULL);
    g_autoptr(GError) error = NULL;

    g_assert_null(emu_authorities_add(authorities, leaf, &error));
    g_assert_error(error, EMU_ERROR, EMU_ERROR_ARGUMENT);
    g_clear_error(&error);
    g_assert_null(emu_authorities_add(authorities, "nonsense", &error));
    g_assert_error(error, EMU_ERROR, EMU_ERROR_ARGUMENT);
    g_clear_error(&error);
    trust_authority(fixture);
    trust_authority(fixture);
    g_assert_cmpuint(emu_authorities_list(authorities)->len, ==, 1);

    g_autoptr(EmuAuthorities) again = emu_authorities_new(fixture->store);
    g_assert_cmpuint(emu_authorities_list(again)->len, ==, 1);
    const EmuAuthority *authority = g_ptr_array_index(emu_authorities_list(again), 0);
    g_assert_cmpstr(authority->name, ==, "CN=authority");
    g_assert_true(emu_authorities_remove(again, authority->thumbprint, NULL));
    g_assert_cmpuint(emu_authorities_list(again)->len, ==, 0);
    g_assert_false(emu_authorities_remove(again, "00", &error));
    g_assert_error(error, EMU_ERROR, EMU_ERROR_NOT_FOUND);
}

#define ADD(path, test) g_test_add(path, Fixture, NULL, set_up, test, tear_down)

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    make(&certificates.authority, "authority", &certificates.authority);
    make(&certificates.signed_for_d, "d", &certificates.authority);
    make(&certificates.signed_for_module, "d/m", &certificates.authority);
    make(&certificates.lone, "lone", NULL);

    ADD("/access/certificate/by-thumbprint", test_certificate_by_thumbprint);
    ADD("/access/certificate/by-second-thumbprint-of-sha1",
        test_certificate_by_second_thumbprint_of_sha1);
    ADD("/access/certificate/by-authority", test_certificate_by_authority);
    ADD("/access/certificate/dates-by-the-hubs-clock", test_certificate_dates_by_the_hubs_clock);
    ADD("/access/certificate/of-disabled-device", test_certificate_of_disabled_device);
    ADD("/access/credential/of-the-other-kind", test_credential_of_the_other_kind);
    ADD("/access/registry/wants-whole-thumbprints", test_registry_wants_whole_thumbprints);
    ADD("/access/authorities/are-checked-and-kept", test_authorities_are_checked_and_kept);
    int status = g_test_run();

    destroy(&certificates.authority);
    destroy(&certificates.signed_for_d);
    destroy(&certificates.signed_for_module);
    destroy(&certificates.lone);
    return status;
}
