/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Client certificates, judged with GnuTLS and not by the TLS handshake: the handshake takes any
 * certificate, because only the login says whose it has to be. */

#include "chain.h"

#include "error.h"

#include <string.h>

#define CHAIN_MAX    8
#define SHA1_DIGITS  40
#define SHA256_BYTES 32

struct EmuChain {
    gnutls_x509_crt_t certificates[CHAIN_MAX]; /* owned */
    guint n;
};

void
emu_chain_free(EmuChain *self)
{
    if (self == NULL)
        return;

    for (guint i = 0; i < self->n; i++)
        gnutls_x509_crt_deinit(self->certificates[i]);
    g_free(self);
}

static gboolean
add_certificate(EmuChain *self, GTlsCertificate *certificate)
{
    g_autoptr(GByteArray) der = NULL;
    gnutls_x509_crt_t read = NULL;

    g_object_get(certificate, "certificate", &der, NULL);
    if (der == NULL || gnutls_x509_crt_init(&read) < 0)
        return FALSE;
    const gnutls_datum_t datum = {der->data, der->len};
    if (gnutls_x509_crt_import(read, &datum, GNUTLS_X509_FMT_DER) < 0) {
        gnutls_x509_crt_deinit(read);
        return FALSE;
    }
    self->certificates[self->n++] = read;
    return TRUE;
}

EmuChain *
emu_chain_new(GTlsCertificate *peer, GError **error)
{
    g_autoptr(EmuChain) self = g_new0(EmuChain, 1);

    for (GTlsCertificate *i = peer; i != NULL; i = g_tls_certificate_get_issuer(i)) {
        if (self->n == CHAIN_MAX || !add_certificate(self, i)) {
            g_set_error(error, EMU_ERROR, EMU_ERROR_UNAUTHORIZED,
                        "The client's certificates cannot be read, or are more than %d", CHAIN_MAX);
            return NULL;
        }
    }
    return g_steal_pointer(&self);
}

static gboolean
check_dates(gnutls_x509_crt_t certificate, gint64 now_sec, GError **error)
{
    gint64 from_sec = gnutls_x509_crt_get_activation_time(certificate);
    gint64 to_sec = gnutls_x509_crt_get_expiration_time(certificate);

    if (now_sec >= from_sec && now_sec <= to_sec)
        return TRUE;
    g_set_error(error, EMU_ERROR, EMU_ERROR_UNAUTHORIZED,
                now_sec < from_sec ? "A certificate is not valid for another %" G_GINT64_FORMAT " s"
                                   : "A certificate ran out %" G_GINT64_FORMAT " s ago",
                now_sec < from_sec ? from_sec - now_sec : now_sec - to_sec);
    return FALSE;
}

gboolean
emu_chain_check_leaf_dates(const EmuChain *self, gint64 now_sec, GError **error)
{
    return check_dates(self->certificates[0], now_sec, error);
}

static char *
fingerprint(gnutls_x509_crt_t certificate, gnutls_digest_algorithm_t digest)
{
    guint8 bytes[SHA256_BYTES];
    size_t size = sizeof bytes;
    GString *text = g_string_new(NULL);

    if (gnutls_x509_crt_get_fingerprint(certificate, digest, bytes, &size) < 0)
        size = 0;
    for (size_t i = 0; i < size; i++)
        g_string_append_printf(text, "%02X", bytes[i]);
    return g_string_free(text, FALSE);
}

gboolean
emu_chain_has_thumbprint(const EmuChain *self, const char *thumbprint)
{
    if (thumbprint == NULL)
        return FALSE;

    gboolean short_one = strlen(thumbprint) == SHA1_DIGITS;
    g_autofree char *actual =
        fingerprint(self->certificates[0], short_one ? GNUTLS_DIG_SHA1 : GNUTLS_DIG_SHA256);
    return g_str_equal(actual, thumbprint);
}

char *
emu_chain_common_name(const EmuChain *self)
{
    char name[256];
    size_t size = sizeof name;

    if (gnutls_x509_crt_get_dn_by_oid(self->certificates[0], GNUTLS_OID_X520_COMMON_NAME, 0, 0,
                                      name, &size) < 0)
        return NULL;
    return g_strndup(name, size);
}

gboolean
emu_chain_check_issuer(const EmuChain *self, const gnutls_x509_crt_t *authorities,
                       guint n_authorities, gint64 now_sec, GError **error)
{
    unsigned status = 0;

    /* GnuTLS would ask the system's clock: the dates are looked at here. */
    int r = gnutls_x509_crt_list_verify(self->certificates, self->n, authorities, n_authorities,
                                        NULL, 0, GNUTLS_VERIFY_DISABLE_TIME_CHECKS, &status);
    if (r < 0 || status != 0) {
        g_set_error(error, EMU_ERROR, EMU_ERROR_UNAUTHORIZED,
                    "The certificate is not signed by an authority of this hub");
        return FALSE;
    }
    for (guint i = 0; i < self->n; i++) {
        if (!check_dates(self->certificates[i], now_sec, error))
            return FALSE;
    }
    return TRUE;
}

char *
emu_thumbprint_of(gnutls_x509_crt_t certificate)
{
    return fingerprint(certificate, GNUTLS_DIG_SHA256);
}

char *
emu_thumbprint_normalize(const char *text)
{
    g_autoptr(GString) digits = g_string_new(NULL);

    for (const char *c = text; *c != '\0'; c++) {
        if (g_ascii_isxdigit(*c))
            g_string_append_c(digits, g_ascii_toupper(*c));
        else if (*c != ':')
            return NULL;
    }
    if (digits->len != SHA1_DIGITS && digits->len != 2 * SHA256_BYTES)
        return NULL;
    return g_strdup(digits->str);
}
