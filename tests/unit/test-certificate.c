/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/certificate.h"

#include "daemon/error.h"
#include "tests/unit/config-fixture.h"
#include "tests/unit/pem-fixture.h"

#include <string.h>
#include <sys/stat.h>

static SpokeCertificate *
read_pair(Fixture *fixture, const char *certificate, const char *key)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *certificate_file = write_file(fixture, "c.pem", 0644, certificate);
    g_autofree char *key_file = write_file(fixture, "k.pem", 0600, key);
    SpokeCertificate *read = spoke_certificate_read(certificate_file, key_file, &error);

    g_assert_no_error(error);
    return read;
}

/* @expected: how the text begins, "@" being the folder */
static void
assert_unreadable(Fixture *fixture, const char *certificate_name, const char *key_name,
                  const char *expected)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *certificate_file = g_build_filename(fixture->folder, certificate_name, NULL);
    g_autofree char *key_file = g_build_filename(fixture->folder, key_name, NULL);
    g_autofree char *text = expand(fixture, expected);

    g_assert_null(spoke_certificate_read(certificate_file, key_file, &error));
    g_assert_error(error, SPOKE_ERROR, SPOKE_ERROR_INVALID_CONFIG);
    if (!g_str_has_prefix(error->message, text))
        g_error("\"%s\" does not begin with \"%s\"", error->message, text);
}

static void
put_pair(Fixture *fixture, const Pem *pem)
{
    put(fixture, "c.pem", pem->certificate);
    put(fixture, "k.pem", pem->key);
}

static void
test_read_knows_times(Fixture *fixture, gconstpointer data)
{
    g_auto(Pem) pem = {NULL, NULL};
    g_auto(Pem) shorter = {NULL, NULL};
    pem_make(&pem, 1000000000, 2000000000);
    pem_make(&shorter, 1100000000, 1900000000);
    g_autofree char *chain = g_strconcat(pem.certificate, shorter.certificate, NULL);

    g_autoptr(SpokeCertificate) alone = read_pair(fixture, pem.certificate, pem.key);
    g_autoptr(SpokeCertificate) chained = read_pair(fixture, chain, pem.key);

    g_assert_cmpint(alone->start_usec / G_USEC_PER_SEC, ==, 1000000000);
    g_assert_cmpint(alone->expiry_usec / G_USEC_PER_SEC, ==, 2000000000);
    g_assert_cmpint(chained->start_usec / G_USEC_PER_SEC, ==, 1100000000);
    g_assert_cmpint(chained->expiry_usec / G_USEC_PER_SEC, ==, 1900000000);
}

static void
test_read_takes_expired(Fixture *fixture, gconstpointer data)
{
    g_auto(Pem) pem = {NULL, NULL};
    pem_make(&pem, 1000000000, 1000000001);

    g_autoptr(SpokeCertificate) certificate = read_pair(fixture, pem.certificate, pem.key);

    g_assert_cmpint(certificate->expiry_usec / G_USEC_PER_SEC, ==, 1000000001);
}

static void
test_read_takes_one_file_for_both(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    g_auto(Pem) pem = {NULL, NULL};
    pem_make_valid(&pem);
    g_autofree char *both = g_strconcat("Bag attributes\n", pem.key, pem.certificate, NULL);
    g_autofree char *path = write_file(fixture, "both.pem", 0600, both);

    g_autoptr(SpokeCertificate) certificate = spoke_certificate_read(path, path, &error);

    g_assert_no_error(error);
    g_assert_nonnull(certificate);
}

static void
test_read_takes_openssl_forms(Fixture *fixture, gconstpointer data)
{
    static const char *const commands[] = {
        "openssl req -x509 -newkey rsa:2048 -nodes -keyout k.pem -out c.pem -days 9 -subj /CN=d",
        "openssl req -x509 -newkey ed25519 -nodes -keyout k.pem -out c.pem -days 9 -subj /CN=d",
        "openssl ecparam -genkey -name prime256v1 -out k.pem && "
        "openssl req -x509 -new -key k.pem -out c.pem -days 9 -subj /CN=d",
        "openssl genrsa -traditional -out k.pem 2048 && "
        "openssl req -x509 -new -key k.pem -text -out c.pem -days 9 -subj /CN=d",
    };

    for (guint i = 0; i < G_N_ELEMENTS(commands); i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *command = g_strdup_printf("sh -c 'cd %s && umask 077 && (%s) >log 2>&1'",
                                                   fixture->folder, commands[i]);
        int status = -1;

        g_spawn_command_line_sync(command, NULL, NULL, &status, &error);
        g_assert_no_error(error);
        g_assert_cmpint(status, ==, 0);
        g_autofree char *certificate_file = expand(fixture, "@/c.pem");
        g_autofree char *key_file = expand(fixture, "@/k.pem");
        g_autoptr(SpokeCertificate) certificate =
            spoke_certificate_read(certificate_file, key_file, &error);
        g_assert_no_error(error);
        g_assert_nonnull(certificate);
    }
}

static void
test_read_tells_changes(Fixture *fixture, gconstpointer data)
{
    g_auto(Pem) one = {NULL, NULL};
    g_auto(Pem) other = {NULL, NULL};
    pem_make_valid(&one);
    pem_make_valid(&other);

    g_autoptr(SpokeCertificate) first = read_pair(fixture, one.certificate, one.key);
    g_autoptr(SpokeCertificate) again = read_pair(fixture, one.certificate, one.key);
    g_autoptr(SpokeCertificate) second = read_pair(fixture, other.certificate, other.key);

    g_assert_cmpstr(first->digest, ==, again->digest);
    g_assert_cmpstr(first->digest, !=, second->digest);
}

static void
test_read_refuses_readable_keys(Fixture *fixture, gconstpointer data)
{
    static const mode_t modes[] = {0604, 0644, 0601, 0602};
    g_auto(Pem) pem = {NULL, NULL};
    pem_make_valid(&pem);
    put(fixture, "c.pem", pem.certificate);

    for (guint i = 0; i < G_N_ELEMENTS(modes); i++) {
        g_autofree char *path = write_file(fixture, "k.pem", modes[i], pem.key);
        g_autofree char *expected =
            g_strdup_printf("@/k.pem: every user of this machine can read the key (mode %04o); run "
                            "`chmod o= @/k.pem`",
                            (guint)modes[i]);

        assert_unreadable(fixture, "c.pem", "k.pem", expected);
    }

    g_autofree char *path = write_file(fixture, "k.pem", 0640, pem.key);
    g_autofree char *certificate_file = expand(fixture, "@/c.pem");
    g_autoptr(SpokeCertificate) certificate = spoke_certificate_read(certificate_file, path, NULL);
    g_assert_nonnull(certificate);
}

static void
test_read_refuses_what_is_no_pair(Fixture *fixture, gconstpointer data)
{
    g_auto(Pem) pem = {NULL, NULL};
    g_auto(Pem) other = {NULL, NULL};
    pem_make_valid(&pem);
    pem_make_valid(&other);
    put_pair(fixture, &pem);
    put(fixture, "other.pem", other.key);
    put(fixture, "empty.pem", "");
    put(fixture, "half.pem", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n");

    assert_unreadable(fixture, "none.pem", "k.pem", "@/none.pem: there is no such file");
    assert_unreadable(fixture, "c.pem", "none.pem", "@/none.pem: there is no such file");
    assert_unreadable(fixture, ".", "k.pem", "@/.: not a regular file");
    assert_unreadable(fixture, "k.pem", "k.pem",
                      "@/k.pem: there is no certificate in PEM form in it");
    assert_unreadable(fixture, "empty.pem", "k.pem",
                      "@/empty.pem: there is no certificate in PEM form in it");
    assert_unreadable(fixture, "half.pem", "k.pem",
                      "@/half.pem: there is no certificate in PEM form in it");
    assert_unreadable(fixture, "c.pem", "c.pem",
                      "@/c.pem: there is no private key in PEM form in it that needs no password");
    assert_unreadable(fixture, "c.pem", "empty.pem",
                      "@/empty.pem: there is no private key in PEM form in it");
    assert_unreadable(fixture, "c.pem", "other.pem",
                      "@/other.pem: the key does not belong to the certificate in @/c.pem");
}

static void
test_read_refuses_locked_keys(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *command = g_strdup_printf(
        "sh -c 'cd %s && umask 077 && openssl req -x509 -newkey rsa:2048 -passout pass:x -keyout "
        "k.pem -out c.pem -days 9 -subj /CN=d 2>log'",
        fixture->folder);
    int status = -1;

    g_spawn_command_line_sync(command, NULL, NULL, &status, &error);
    g_assert_no_error(error);
    g_assert_cmpint(status, ==, 0);

    assert_unreadable(fixture, "c.pem", "k.pem",
                      "@/k.pem: there is no private key in PEM form in it that needs no password");
}

static void
test_read_limits_chains(Fixture *fixture, gconstpointer data)
{
    g_auto(Pem) pem = {NULL, NULL};
    g_autoptr(GString) chain = g_string_new(NULL);
    pem_make_valid(&pem);
    for (guint i = 0; i < 16; i++)
        g_string_append(chain, pem.certificate);
    g_autoptr(SpokeCertificate) certificate = read_pair(fixture, chain->str, pem.key);
    g_assert_nonnull(certificate);
    g_string_append(chain, pem.certificate);
    put(fixture, "c.pem", chain->str);

    assert_unreadable(fixture, "c.pem", "k.pem", "@/c.pem: there are more than 16 certificates");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    fixture_add("/certificate/read/knows-times", test_read_knows_times);
    fixture_add("/certificate/read/takes-expired", test_read_takes_expired);
    fixture_add("/certificate/read/takes-one-file-for-both", test_read_takes_one_file_for_both);
    fixture_add("/certificate/read/takes-openssl-forms", test_read_takes_openssl_forms);
    fixture_add("/certificate/read/tells-changes", test_read_tells_changes);
    fixture_add("/certificate/read/refuses-readable-keys", test_read_refuses_readable_keys);
    fixture_add("/certificate/read/refuses-what-is-no-pair", test_read_refuses_what_is_no_pair);
    fixture_add("/certificate/read/refuses-locked-keys", test_read_refuses_locked_keys);
    fixture_add("/certificate/read/limits-chains", test_read_limits_chains);
    return g_test_run();
}
