/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The emulator's own certificate authority and the server certificate it signs, both made with
 * GnuTLS at first start. RSA, because the hub's strong suites are ECDHE_RSA and some device
 * stacks speak no other. */

#include "certificates.h"

#include <glib/gstdio.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <string.h>
#include <time.h>

#define KEY_BITS   2048
#define CA_DAYS    3650
#define LEAF_DAYS  825 /* some clients refuse server certificates that live longer */
#define SPARE_DAYS 7
#define DAY_SEC    (24 * 60 * 60)

typedef struct {
    gnutls_x509_crt_t certificate; /* owned; NULL when not loaded */
    gnutls_x509_privkey_t key;     /* owned; likewise */
} Pair;

static void
pair_clear(Pair *pair)
{
    if (pair->certificate != NULL)
        gnutls_x509_crt_deinit(pair->certificate);
    if (pair->key != NULL)
        gnutls_x509_privkey_deinit(pair->key);
    *pair = (Pair){NULL, NULL};
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Pair, pair_clear)

static void
pair_init(Pair *pair)
{
    if (gnutls_x509_crt_init(&pair->certificate) < 0 || gnutls_x509_privkey_init(&pair->key) < 0)
        g_error("GnuTLS cannot allocate a certificate");
}

static gboolean
check(int r, const char *what, GError **error)
{
    if (r >= 0)
        return TRUE;
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED, "%s: %s", what, gnutls_strerror(r));
    return FALSE;
}

/* Reads a pair; FALSE when it is not there or not usable for another week. */
static gboolean
pair_load(Pair *pair, const char *certificate_file, const char *key_file)
{
    g_autofree char *certificate = NULL;
    g_autofree char *key = NULL;
    gsize certificate_size = 0;
    gsize key_size = 0;

    if (!g_file_get_contents(certificate_file, &certificate, &certificate_size, NULL) ||
        !g_file_get_contents(key_file, &key, &key_size, NULL))
        return FALSE;

    gnutls_datum_t certificate_pem = {(unsigned char *)certificate, (unsigned)certificate_size};
    gnutls_datum_t key_pem = {(unsigned char *)key, (unsigned)key_size};
    gboolean ok =
        gnutls_x509_crt_import(pair->certificate, &certificate_pem, GNUTLS_X509_FMT_PEM) >= 0 &&
        gnutls_x509_privkey_import(pair->key, &key_pem, GNUTLS_X509_FMT_PEM) >= 0;
    gnutls_memset(key, 0, key_size);

    time_t now = time(NULL);
    return ok && gnutls_x509_crt_get_activation_time(pair->certificate) <= now &&
           gnutls_x509_crt_get_expiration_time(pair->certificate) >= now + SPARE_DAYS * DAY_SEC;
}

static gboolean
pair_save(const Pair *pair, const char *certificate_file, const char *key_file, GError **error)
{
    gnutls_datum_t certificate = {NULL, 0};
    gnutls_datum_t key = {NULL, 0};

    if (!check(gnutls_x509_crt_export2(pair->certificate, GNUTLS_X509_FMT_PEM, &certificate),
               "Exporting a certificate", error) ||
        !check(gnutls_x509_privkey_export2(pair->key, GNUTLS_X509_FMT_PEM, &key), "Exporting a key",
               error)) {
        gnutls_free(certificate.data);
        return FALSE;
    }

    gboolean ok =
        g_file_set_contents_full(key_file, (char *)key.data, key.size,
                                 G_FILE_SET_CONTENTS_CONSISTENT, 0600, error) &&
        g_file_set_contents_full(certificate_file, (char *)certificate.data, certificate.size,
                                 G_FILE_SET_CONTENTS_CONSISTENT, 0644, error);
    gnutls_memset(key.data, 0, key.size);
    gnutls_free(certificate.data);
    gnutls_free(key.data);
    return ok;
}

/* What the authority and the server have in common: a key, a name, a serial, a life. */
static gboolean
pair_prepare(Pair *pair, const char *common_name, int days, GError **error)
{
    guint8 serial[16];
    guint8 key_id[32];
    size_t key_id_size = sizeof key_id;
    time_t now = time(NULL);

    gnutls_rnd(GNUTLS_RND_NONCE, serial, sizeof serial);
    serial[0] &= 0x7f; /* a serial number is positive */
    return check(gnutls_x509_privkey_generate(pair->key, GNUTLS_PK_RSA, KEY_BITS, 0),
                 "Making a key", error) &&
           check(gnutls_x509_crt_set_key(pair->certificate, pair->key), "Setting the key", error) &&
           check(gnutls_x509_crt_set_version(pair->certificate, 3), "Setting version", error) &&
           check(gnutls_x509_crt_set_serial(pair->certificate, serial, sizeof serial),
                 "Setting the serial number", error) &&
           check(gnutls_x509_crt_set_activation_time(pair->certificate, now - DAY_SEC),
                 "Setting dates", error) &&
           check(
               gnutls_x509_crt_set_expiration_time(pair->certificate, now + (time_t)days * DAY_SEC),
               "Setting dates", error) &&
           check(gnutls_x509_crt_set_dn_by_oid(pair->certificate, GNUTLS_OID_X520_COMMON_NAME, 0,
                                               common_name, (unsigned)strlen(common_name)),
                 "Setting the name", error) &&
           check(gnutls_x509_crt_get_key_id(pair->certificate, 0, key_id, &key_id_size),
                 "Reading the key id", error) &&
           check(gnutls_x509_crt_set_subject_key_id(pair->certificate, key_id, key_id_size),
                 "Setting the key id", error);
}

static gboolean
make_authority(Pair *ca, GError **error)
{
    return pair_prepare(ca, "iothub-emulator CA", CA_DAYS, error) &&
           check(gnutls_x509_crt_set_basic_constraints(ca->certificate, 1, 0),
                 "Setting constraints", error) &&
           check(gnutls_x509_crt_set_key_usage(ca->certificate,
                                               GNUTLS_KEY_KEY_CERT_SIGN | GNUTLS_KEY_CRL_SIGN),
                 "Setting key usage", error) &&
           check(gnutls_x509_crt_sign2(ca->certificate, ca->certificate, ca->key, GNUTLS_DIG_SHA256,
                                       0),
                 "Signing the authority", error);
}

static gboolean
add_name(Pair *leaf, const char *name, GError **error)
{
    return check(gnutls_x509_crt_set_subject_alt_name(leaf->certificate, GNUTLS_SAN_DNSNAME, name,
                                                      (unsigned)strlen(name), GNUTLS_FSAN_APPEND),
                 "Adding a name", error);
}

static gboolean
add_address(Pair *leaf, const char *text, GError **error)
{
    g_autoptr(GInetAddress) address = g_inet_address_new_from_string(text);

    return check(gnutls_x509_crt_set_subject_alt_name(
                     leaf->certificate, GNUTLS_SAN_IPADDRESS, g_inet_address_to_bytes(address),
                     (unsigned)g_inet_address_get_native_size(address), GNUTLS_FSAN_APPEND),
                 "Adding an address", error);
}

static gboolean
add_names(Pair *leaf, const char *host, GError **error)
{
    if (!add_name(leaf, "localhost", error) || !add_name(leaf, "*.localhost", error) ||
        !add_address(leaf, "127.0.0.1", error) || !add_address(leaf, "::1", error))
        return FALSE;
    if (g_hostname_is_ip_address(host))
        return add_address(leaf, host, error);
    return g_ascii_strcasecmp(host, "localhost") == 0 || add_name(leaf, host, error);
}

static gboolean
make_server(Pair *leaf, const Pair *ca, const char *host, GError **error)
{
    guint8 ca_key_id[64];
    size_t ca_key_id_size = sizeof ca_key_id;

    return pair_prepare(leaf, host, LEAF_DAYS, error) && add_names(leaf, host, error) &&
           check(gnutls_x509_crt_set_basic_constraints(leaf->certificate, 0, -1),
                 "Setting constraints", error) &&
           check(gnutls_x509_crt_set_key_usage(leaf->certificate, GNUTLS_KEY_DIGITAL_SIGNATURE |
                                                                      GNUTLS_KEY_KEY_ENCIPHERMENT),
                 "Setting key usage", error) &&
           check(
               gnutls_x509_crt_set_key_purpose_oid(leaf->certificate, GNUTLS_KP_TLS_WWW_SERVER, 0),
               "Setting key purpose", error) &&
           check(gnutls_x509_crt_get_subject_key_id(ca->certificate, ca_key_id, &ca_key_id_size,
                                                    NULL),
                 "Reading the authority's key id", error) &&
           check(gnutls_x509_crt_set_authority_key_id(leaf->certificate, ca_key_id, ca_key_id_size),
                 "Setting the authority's key id", error) &&
           check(gnutls_x509_crt_sign2(leaf->certificate, ca->certificate, ca->key,
                                       GNUTLS_DIG_SHA256, 0),
                 "Signing the server certificate", error);
}

/* The server's pair is good if this authority signed it and it covers @host. */
static gboolean
is_good_server(const Pair *leaf, const Pair *ca, const char *host)
{
    unsigned status = 0;

    return gnutls_x509_crt_verify(leaf->certificate, &ca->certificate, 1, 0, &status) >= 0 &&
           status == 0 && gnutls_x509_crt_check_hostname(leaf->certificate, host) != 0;
}

GTlsCertificate *
emu_certificates_ensure(const char *state_dir, const char *host, GError **error)
{
    g_autofree char *ca_file = g_build_filename(state_dir, "ca.pem", NULL);
    g_autofree char *ca_key_file = g_build_filename(state_dir, "ca-key.pem", NULL);
    g_autofree char *server_file = g_build_filename(state_dir, "server.pem", NULL);
    g_autofree char *server_key_file = g_build_filename(state_dir, "server-key.pem", NULL);
    g_auto(Pair) ca = {NULL, NULL};
    g_auto(Pair) leaf = {NULL, NULL};

    pair_init(&ca);
    if (!pair_load(&ca, ca_file, ca_key_file)) {
        pair_clear(&ca);
        pair_init(&ca);
        if (!make_authority(&ca, error) || !pair_save(&ca, ca_file, ca_key_file, error))
            return NULL;
    }

    pair_init(&leaf);
    if (!pair_load(&leaf, server_file, server_key_file) || !is_good_server(&leaf, &ca, host)) {
        pair_clear(&leaf);
        pair_init(&leaf);
        if (!make_server(&leaf, &ca, host, error) ||
            !pair_save(&leaf, server_file, server_key_file, error))
            return NULL;
    }

    return g_tls_certificate_new_from_files(server_file, server_key_file, error);
}

GTlsDatabase *
emu_certificates_trust(const char *state_dir, GError **error)
{
    g_autofree char *absolute = g_canonicalize_filename(state_dir, NULL);
    g_autofree char *ca_file = g_build_filename(absolute, "ca.pem", NULL);

    return g_tls_file_database_new(ca_file, error);
}
