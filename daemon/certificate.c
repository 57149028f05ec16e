/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/certificate.h"

#include "daemon/config-file.h"
#include "daemon/error.h"

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <string.h>

/*
 * GnuTLS looks at both files, and wipes what it has made of the key. A certificate has one key
 * only, so whether anything has changed shows in the certificate's file alone.
 */
#define BYTES_MAX ((size_t)1024 * 1024)
#define CHAIN_MAX 16

typedef struct {
    gnutls_x509_crt_t certificates[CHAIN_MAX];
    unsigned n;
    gnutls_x509_privkey_t key; /* NULL until read */
} Pair;

static void
pair_clear(Pair *pair)
{
    for (unsigned i = 0; i < pair->n; i++)
        gnutls_x509_crt_deinit(pair->certificates[i]);
    if (pair->key != NULL)
        gnutls_x509_privkey_deinit(pair->key);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Pair, pair_clear)

static SpokeConfigText *
read_file(const char *path, GError **error)
{
    g_autoptr(GError) why = NULL;
    SpokeConfigText *text = spoke_config_text_read(path, BYTES_MAX, &why);

    if (text == NULL)
        g_set_error(error, SPOKE_ERROR, SPOKE_ERROR_INVALID_CONFIG, "%s: %s", path, why->message);
    return text;
}

static gboolean
check(int r, const char *path, const char *what, GError **error)
{
    if (r >= 0)
        return TRUE;
    g_set_error(error, SPOKE_ERROR, SPOKE_ERROR_INVALID_CONFIG, "%s: %s: %s", path, what,
                gnutls_strerror(r));
    return FALSE;
}

static gnutls_datum_t
datum_of(const SpokeConfigText *text)
{
    return (gnutls_datum_t){(unsigned char *)text->text, (unsigned)text->size};
}

static gboolean
parse_chain(Pair *pair, const SpokeConfigText *chain, const char *path, GError **error)
{
    const gnutls_datum_t datum = datum_of(chain);
    unsigned n = CHAIN_MAX;
    int r = gnutls_x509_crt_list_import(pair->certificates, &n, &datum, GNUTLS_X509_FMT_PEM,
                                        GNUTLS_X509_CRT_LIST_IMPORT_FAIL_IF_EXCEED);

    if (r == GNUTLS_E_SHORT_MEMORY_BUFFER) {
        g_set_error(error, SPOKE_ERROR, SPOKE_ERROR_INVALID_CONFIG,
                    "%s: there are more than %d certificates in it", path, CHAIN_MAX);
        return FALSE;
    }
    if (!check(r, path, "there is no certificate in PEM form in it", error))
        return FALSE;
    pair->n = (unsigned)r;
    return TRUE;
}

static gboolean
parse_key(Pair *pair, const SpokeConfigText *key, const char *path, GError **error)
{
    const gnutls_datum_t datum = datum_of(key);

    return check(gnutls_x509_privkey_init(&pair->key), path, "no memory", error) &&
           check(gnutls_x509_privkey_import(pair->key, &datum, GNUTLS_X509_FMT_PEM), path,
                 "there is no private key in PEM form in it that needs no password", error);
}

/* Both have the same public key. */
static gboolean
check_match(const Pair *pair, const char *certificate_file, const char *key_file, GError **error)
{
    unsigned char of_certificate[64], of_key[64];
    size_t certificate_size = sizeof of_certificate, key_size = sizeof of_key;

    if (gnutls_x509_crt_get_key_id(pair->certificates[0], 0, of_certificate, &certificate_size) ==
            0 &&
        gnutls_x509_privkey_get_key_id(pair->key, 0, of_key, &key_size) == 0 &&
        certificate_size == key_size && memcmp(of_certificate, of_key, key_size) == 0)
        return TRUE;

    g_set_error(error, SPOKE_ERROR, SPOKE_ERROR_INVALID_CONFIG,
                "%s: the key does not belong to the certificate in %s", key_file, certificate_file);
    return FALSE;
}

static SpokeCertificate *
describe(const Pair *pair)
{
    SpokeCertificate *certificate = g_new0(SpokeCertificate, 1);

    certificate->expiry_usec = G_MAXINT64;
    for (unsigned i = 0; i < pair->n; i++) {
        gint64 start_sec = (gint64)gnutls_x509_crt_get_activation_time(pair->certificates[i]);
        gint64 end_sec = (gint64)gnutls_x509_crt_get_expiration_time(pair->certificates[i]);

        certificate->start_usec = MAX(certificate->start_usec, start_sec * G_USEC_PER_SEC);
        certificate->expiry_usec = MIN(certificate->expiry_usec, end_sec * G_USEC_PER_SEC);
    }
    return certificate;
}

SpokeCertificate *
spoke_certificate_read(const char *certificate_file, const char *key_file, GError **error)
{
    g_autoptr(SpokeConfigText) chain = read_file(certificate_file, error);
    g_autoptr(SpokeConfigText) key = chain != NULL ? read_file(key_file, error) : NULL;
    g_auto(Pair) pair = {0};

    if (key == NULL)
        return NULL;
    if ((key->mode & 007) != 0) {
        g_set_error(error, SPOKE_ERROR, SPOKE_ERROR_INVALID_CONFIG,
                    "%s: every user of this machine can read the key (mode %04o); run `chmod o= "
                    "%s`",
                    key_file, (guint)key->mode, key_file);
        return NULL;
    }
    if (!parse_chain(&pair, chain, certificate_file, error) ||
        !parse_key(&pair, key, key_file, error) ||
        !check_match(&pair, certificate_file, key_file, error))
        return NULL;

    SpokeCertificate *certificate = describe(&pair);

    certificate->digest =
        g_compute_checksum_for_data(G_CHECKSUM_SHA256, (const guchar *)chain->text, chain->size);
    return certificate;
}

void
spoke_certificate_free(SpokeCertificate *certificate)
{
    if (certificate == NULL)
        return;

    g_free(certificate->digest);
    g_free(certificate);
}
