/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* All that GnuTLS wants to know of a certificate, step by step. */

#include "certificate-pair.h"

#include <gio/gio.h>
#include <gnutls/crypto.h>
#include <string.h>
#include <time.h>

#define KEY_BITS   2048
#define SPARE_DAYS 7
#define DAY_SEC    (24 * 60 * 60)

void
emu_pair_clear(EmuPair *pair)
{
    if (pair->certificate != NULL)
        gnutls_x509_crt_deinit(pair->certificate);
    if (pair->key != NULL)
        gnutls_x509_privkey_deinit(pair->key);
    *pair = (EmuPair){NULL, NULL};
}

void
emu_pair_init(EmuPair *pair)
{
    emu_pair_clear(pair);
    if (gnutls_x509_crt_init(&pair->certificate) < 0 || gnutls_x509_privkey_init(&pair->key) < 0)
        g_error("GnuTLS cannot allocate a certificate");
}

gboolean
emu_gnutls_check(int r, const char *what, GError **error)
{
    if (r >= 0)
        return TRUE;
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED, "%s: %s", what, gnutls_strerror(r));
    return FALSE;
}

gboolean
emu_pair_load(EmuPair *pair, const char *certificate_file, const char *key_file)
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

static char *
take_text(gnutls_datum_t *datum)
{
    char *text = g_strndup((const char *)datum->data, datum->size);

    gnutls_memset(datum->data, 0, datum->size);
    gnutls_free(datum->data);
    return text;
}

char *
emu_pair_certificate_pem(const EmuPair *pair, GError **error)
{
    gnutls_datum_t pem = {NULL, 0};

    if (!emu_gnutls_check(gnutls_x509_crt_export2(pair->certificate, GNUTLS_X509_FMT_PEM, &pem),
                          "Exporting a certificate", error))
        return NULL;
    return take_text(&pem);
}

char *
emu_pair_key_pem(const EmuPair *pair, GError **error)
{
    gnutls_datum_t pem = {NULL, 0};

    if (!emu_gnutls_check(gnutls_x509_privkey_export2(pair->key, GNUTLS_X509_FMT_PEM, &pem),
                          "Exporting a key", error))
        return NULL;
    return take_text(&pem);
}

gboolean
emu_pair_save(const EmuPair *pair, const char *certificate_file, const char *key_file,
              GError **error)
{
    g_autofree char *certificate = emu_pair_certificate_pem(pair, error);
    if (certificate == NULL)
        return FALSE;
    g_autofree char *key = emu_pair_key_pem(pair, error);
    if (key == NULL)
        return FALSE;

    gboolean ok =
        g_file_set_contents_full(key_file, key, -1, G_FILE_SET_CONTENTS_CONSISTENT, 0600, error) &&
        g_file_set_contents_full(certificate_file, certificate, -1, G_FILE_SET_CONTENTS_CONSISTENT,
                                 0644, error);
    gnutls_memset(key, 0, strlen(key));
    return ok;
}

gboolean
emu_pair_prepare(EmuPair *pair, const char *common_name, int days, GError **error)
{
    guint8 serial[16];
    guint8 key_id[32];
    size_t key_id_size = sizeof key_id;
    time_t now = time(NULL);
    time_t end = now + (time_t)days * DAY_SEC;

    gnutls_rnd(GNUTLS_RND_NONCE, serial, sizeof serial);
    serial[0] &= 0x7f; /* a serial number is positive */
    return emu_gnutls_check(gnutls_x509_privkey_generate(pair->key, GNUTLS_PK_RSA, KEY_BITS, 0),
                            "Making a key", error) &&
           emu_gnutls_check(gnutls_x509_crt_set_key(pair->certificate, pair->key),
                            "Setting the key", error) &&
           emu_gnutls_check(gnutls_x509_crt_set_version(pair->certificate, 3), "Setting version",
                            error) &&
           emu_gnutls_check(gnutls_x509_crt_set_serial(pair->certificate, serial, sizeof serial),
                            "Setting the serial number", error) &&
           emu_gnutls_check(
               gnutls_x509_crt_set_activation_time(pair->certificate, MIN(now, end) - DAY_SEC),
               "Setting dates", error) &&
           emu_gnutls_check(gnutls_x509_crt_set_expiration_time(pair->certificate, end),
                            "Setting dates", error) &&
           emu_gnutls_check(
               gnutls_x509_crt_set_dn_by_oid(pair->certificate, GNUTLS_OID_X520_COMMON_NAME, 0,
                                             common_name, (unsigned)strlen(common_name)),
               "Setting the name", error) &&
           emu_gnutls_check(gnutls_x509_crt_get_key_id(pair->certificate, 0, key_id, &key_id_size),
                            "Reading the key id", error) &&
           emu_gnutls_check(
               gnutls_x509_crt_set_subject_key_id(pair->certificate, key_id, key_id_size),
               "Setting the key id", error);
}

gboolean
emu_pair_sign_authority(EmuPair *pair, GError **error)
{
    return emu_gnutls_check(gnutls_x509_crt_set_basic_constraints(pair->certificate, 1, 0),
                            "Setting constraints", error) &&
           emu_gnutls_check(gnutls_x509_crt_set_key_usage(
                                pair->certificate, GNUTLS_KEY_KEY_CERT_SIGN | GNUTLS_KEY_CRL_SIGN),
                            "Setting key usage", error) &&
           emu_gnutls_check(gnutls_x509_crt_sign2(pair->certificate, pair->certificate, pair->key,
                                                  GNUTLS_DIG_SHA256, 0),
                            "Signing the authority", error);
}

gboolean
emu_pair_sign_leaf(EmuPair *pair, const EmuPair *issuer, const char *purpose, GError **error)
{
    guint8 key_id[64];
    size_t key_id_size = sizeof key_id;

    return emu_gnutls_check(gnutls_x509_crt_set_basic_constraints(pair->certificate, 0, -1),
                            "Setting constraints", error) &&
           emu_gnutls_check(
               gnutls_x509_crt_set_key_usage(pair->certificate, GNUTLS_KEY_DIGITAL_SIGNATURE |
                                                                    GNUTLS_KEY_KEY_ENCIPHERMENT),
               "Setting key usage", error) &&
           emu_gnutls_check(gnutls_x509_crt_set_key_purpose_oid(pair->certificate, purpose, 0),
                            "Setting key purpose", error) &&
           emu_gnutls_check(
               gnutls_x509_crt_get_subject_key_id(issuer->certificate, key_id, &key_id_size, NULL),
               "Reading the issuer's key id", error) &&
           emu_gnutls_check(
               gnutls_x509_crt_set_authority_key_id(pair->certificate, key_id, key_id_size),
               "Setting the issuer's key id", error) &&
           emu_gnutls_check(gnutls_x509_crt_sign2(pair->certificate, issuer->certificate,
                                                  issuer->key, GNUTLS_DIG_SHA256, 0),
                            "Signing the certificate", error);
}
