/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/pem-fixture.h"

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <time.h>

static void
check(int r)
{
    if (r < 0)
        g_error("GnuTLS: %s", gnutls_strerror(r));
}

/* Wipes nothing: it is a key for tests. */
static char *
take(gnutls_datum_t *datum)
{
    char *text = g_strndup((const char *)datum->data, datum->size);

    gnutls_free(datum->data);
    return text;
}

static gnutls_x509_crt_t
make_certificate(gnutls_x509_privkey_t key, gint64 start_sec, gint64 end_sec)
{
    static unsigned char serial;
    gnutls_x509_crt_t certificate = NULL;

    serial++;
    check(gnutls_x509_crt_init(&certificate));
    check(gnutls_x509_crt_set_version(certificate, 3));
    check(gnutls_x509_crt_set_serial(certificate, &serial, sizeof serial));
    check(gnutls_x509_crt_set_activation_time(certificate, (time_t)start_sec));
    check(gnutls_x509_crt_set_expiration_time(certificate, (time_t)end_sec));
    check(gnutls_x509_crt_set_dn_by_oid(certificate, GNUTLS_OID_X520_COMMON_NAME, 0, "cellar", 6));
    check(gnutls_x509_crt_set_key(certificate, key));
    check(gnutls_x509_crt_sign2(certificate, certificate, key, GNUTLS_DIG_SHA256, 0));
    return certificate;
}

void
pem_make(Pem *ret_pem, gint64 start_sec, gint64 end_sec)
{
    gnutls_x509_privkey_t key = NULL;
    gnutls_datum_t text = {NULL, 0};

    check(gnutls_x509_privkey_init(&key));
    check(gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA,
                                       GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0));
    check(gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, &text));
    ret_pem->key = take(&text);

    gnutls_x509_crt_t certificate = make_certificate(key, start_sec, end_sec);

    check(gnutls_x509_crt_export2(certificate, GNUTLS_X509_FMT_PEM, &text));
    ret_pem->certificate = take(&text);
    gnutls_x509_crt_deinit(certificate);
    gnutls_x509_privkey_deinit(key);
}

void
pem_make_valid(Pem *ret_pem)
{
    gint64 now_sec = time(NULL);

    pem_make(ret_pem, now_sec - 3600, now_sec + 365 * 24 * 3600);
}

void
pem_clear(Pem *pem)
{
    g_free(pem->certificate);
    g_free(pem->key);
    *pem = (Pem){NULL, NULL};
}
