/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Checks SAS tokens. The HMAC runs over the literal bytes received: SDKs escape `sr` in three
 * ways, so decoding and encoding again would refuse good tokens. */

#include "sas.h"

#include "error.h"

#include <gnutls/crypto.h>
#include <string.h>

#define SCHEME        "SharedAccessSignature "
#define KEY_BYTES     32
#define KEY_BYTES_MIN 16
#define KEY_BYTES_MAX 64

void
emu_sas_clear(EmuSas *sas)
{
    g_clear_pointer(&sas->resource, g_free);
    g_clear_pointer(&sas->signature, g_free);
    g_clear_pointer(&sas->expiry, g_free);
    g_clear_pointer(&sas->policy, g_free);
}

static void
take_field(EmuSas *sas, const char *name, const char *value)
{
    char **field = NULL;

    if (g_str_equal(name, "sr"))
        field = &sas->resource;
    else if (g_str_equal(name, "sig"))
        field = &sas->signature;
    else if (g_str_equal(name, "se"))
        field = &sas->expiry;
    else if (g_str_equal(name, "skn") && *value != '\0')
        field = &sas->policy;
    if (field == NULL || *field != NULL)
        return;

    gboolean literal = field == &sas->resource || field == &sas->expiry;
    *field = literal ? g_strdup(value) : g_uri_unescape_string(value, NULL);
}

gboolean
emu_sas_parse(const char *token, size_t size, EmuSas *ret_sas, GError **error)
{
    g_autofree char *text = g_strndup(token, size);
    g_auto(EmuSas) sas = {0};

    if (!g_str_has_prefix(text, SCHEME)) {
        g_set_error(error, EMU_ERROR, EMU_ERROR_TOKEN, "Password is not a shared access signature");
        return FALSE;
    }

    g_auto(GStrv) pairs = g_strsplit(text + strlen(SCHEME), "&", -1);
    for (size_t i = 0; pairs[i] != NULL; i++) {
        char *equals = strchr(pairs[i], '=');
        if (equals == NULL)
            continue;
        *equals = '\0';
        take_field(&sas, pairs[i], equals + 1);
    }
    if (sas.resource == NULL || sas.signature == NULL || sas.expiry == NULL) {
        g_set_error(error, EMU_ERROR, EMU_ERROR_TOKEN, "Token lacks sr, sig or se");
        return FALSE;
    }

    guint64 expiry_sec = 0;
    if (!g_ascii_string_to_unsigned(sas.expiry, 10, 0, G_MAXINT64 / G_USEC_PER_SEC, &expiry_sec,
                                    NULL)) {
        g_set_error(error, EMU_ERROR, EMU_ERROR_TOKEN, "Token's se is not a number of seconds");
        return FALSE;
    }

    sas.expiry_sec = (gint64)expiry_sec;
    *ret_sas = sas;
    sas = (EmuSas){0};
    return TRUE;
}

gboolean
emu_sas_is_signed_with(const EmuSas *sas, const char *key)
{
    if (key == NULL)
        return FALSE;

    gsize key_size = 0;
    gsize given_size = 0;
    g_autofree guchar *secret = g_base64_decode(key, &key_size);
    g_autofree guchar *given = g_base64_decode(sas->signature, &given_size);
    g_autofree char *text = g_strdup_printf("%s\n%s", sas->resource, sas->expiry);
    guint8 expected[32];

    int r = gnutls_hmac_fast(GNUTLS_MAC_SHA256, secret, key_size, text, strlen(text), expected);
    gnutls_memset(secret, 0, key_size);
    return r == 0 && given_size == sizeof expected &&
           gnutls_memcmp(given, expected, sizeof expected) == 0;
}

/* @above is @below or a path above it; segments compare whole, the host without case. */
static gboolean
is_path_prefix(const char *above, const char *below)
{
    size_t size = strlen(above);
    size_t host = strcspn(below, "/");

    if (size > 0 && above[size - 1] == '/')
        size--;
    if (size < host || strlen(below) < size || g_ascii_strncasecmp(above, below, host) != 0)
        return FALSE;
    return strncmp(above + host, below + host, size - host) == 0 &&
           (below[size] == '\0' || below[size] == '/');
}

gboolean
emu_sas_covers(const EmuSas *sas, const char *resource)
{
    if (is_path_prefix(sas->resource, resource))
        return TRUE;

    g_autofree char *decoded = g_uri_unescape_string(sas->resource, NULL);
    return decoded != NULL && is_path_prefix(decoded, resource);
}

gboolean
emu_key_is_valid(const char *key)
{
    gsize size = 0;
    g_autofree guchar *bytes = g_base64_decode(key, &size);
    g_autofree char *again = g_base64_encode(bytes, size);

    return size >= KEY_BYTES_MIN && size <= KEY_BYTES_MAX && g_str_equal(again, key);
}

char *
emu_key_new(void)
{
    guint8 bytes[KEY_BYTES];

    if (gnutls_rnd(GNUTLS_RND_KEY, bytes, sizeof bytes) < 0)
        g_error("The random number generator failed");
    return g_base64_encode(bytes, sizeof bytes);
}
