/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/transports/amqp/system-trust.h"

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <malloc.h>

#define CHAIN_MAX 16

typedef struct {
    gnutls_x509_crt_t certificates[CHAIN_MAX];
    guint n;
} Chain;

static void
chain_clear(Chain *chain)
{
    while (chain->n > 0)
        gnutls_x509_crt_deinit(chain->certificates[--chain->n]);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Chain, chain_clear)

static gboolean
chain_add(Chain *chain, GTlsCertificate *certificate)
{
    g_autoptr(GByteArray) der = NULL;
    gnutls_x509_crt_t *slot = &chain->certificates[chain->n];

    g_object_get(certificate, "certificate", &der, NULL);
    if (der == NULL || gnutls_x509_crt_init(slot) < 0)
        return FALSE;
    chain->n++;

    const gnutls_datum_t datum = {.data = der->data, .size = der->len};

    return gnutls_x509_crt_import(*slot, &datum, GNUTLS_X509_FMT_DER) >= 0;
}

static gboolean
chain_fill(Chain *chain, GTlsCertificate *certificate)
{
    for (; certificate != NULL && chain->n < CHAIN_MAX;
         certificate = g_tls_certificate_get_issuer(certificate))
        if (!chain_add(chain, certificate))
            return FALSE;
    return chain->n > 0;
}

/* @status: not 0 */
static GTlsCertificateFlags
flags_of_status(guint status)
{
    static const struct {
        guint status;
        GTlsCertificateFlags flag;
    } rows[] = {
        {GNUTLS_CERT_SIGNER_NOT_FOUND, G_TLS_CERTIFICATE_UNKNOWN_CA},
        {GNUTLS_CERT_SIGNER_NOT_CA, G_TLS_CERTIFICATE_UNKNOWN_CA},
        {GNUTLS_CERT_UNEXPECTED_OWNER, G_TLS_CERTIFICATE_BAD_IDENTITY},
        {GNUTLS_CERT_NOT_ACTIVATED, G_TLS_CERTIFICATE_NOT_ACTIVATED},
        {GNUTLS_CERT_EXPIRED, G_TLS_CERTIFICATE_EXPIRED},
        {GNUTLS_CERT_REVOKED, G_TLS_CERTIFICATE_REVOKED},
        {GNUTLS_CERT_INSECURE_ALGORITHM, G_TLS_CERTIFICATE_INSECURE},
    };
    GTlsCertificateFlags flags = 0;

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++)
        if (status & rows[i].status)
            flags |= rows[i].flag;
    return flags != 0 ? flags : G_TLS_CERTIFICATE_GENERIC_ERROR;
}

static GTlsCertificateFlags
verify(gnutls_x509_trust_list_t trust, Chain *chain, const char *host)
{
    gnutls_typed_vdata_st wanted[] = {
        {.type = GNUTLS_DT_DNS_HOSTNAME, .data = (guchar *)host},
        {.type = GNUTLS_DT_KEY_PURPOSE_OID, .data = (guchar *)GNUTLS_KP_TLS_WWW_SERVER},
    };
    guint status = 0;

    if (gnutls_x509_trust_list_add_system_trust(trust, 0, 0) < 0)
        return G_TLS_CERTIFICATE_UNKNOWN_CA;
    if (gnutls_x509_trust_list_verify_crt2(trust, chain->certificates, chain->n, wanted,
                                           G_N_ELEMENTS(wanted), 0, &status, NULL) < 0)
        return G_TLS_CERTIFICATE_GENERIC_ERROR;
    return status != 0 ? flags_of_status(status) : 0;
}

GTlsCertificateFlags
spoke_system_trust_verify(GTlsCertificate *certificate, const char *host)
{
    g_auto(Chain) chain = {0};
    gnutls_x509_trust_list_t trust = NULL;

    if (!chain_fill(&chain, certificate) || gnutls_x509_trust_list_init(&trust, 0) < 0)
        return G_TLS_CERTIFICATE_GENERIC_ERROR;

    GTlsCertificateFlags flags = verify(trust, &chain, host);

    gnutls_x509_trust_list_deinit(trust, 1);
    (void)malloc_trim(0); /* it was thousands of small pieces, once a connection */
    return flags;
}
