/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/sas.h"

#include "daemon/error.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <string.h>

/*
 * A token is signed over its sr field exactly as it stands there, so the field is encoded first and
 * both the signature and the token are made of that one text. The buffer of the token is as large
 * as it will ever be: growing would leave copies of its beginning behind in freed memory.
 */
#define TOKEN_PREFIX "SharedAccessSignature "
#define SHA256_BYTES 32
/* What g_base64_encode_step() may need: its documentation's formula. */
#define BASE64_BUFFER_SIZE ((SHA256_BYTES / 3 + 1) * 4 + 4)

/* Everything that is not RFC 3986's "unreserved" becomes %XX, upper-case hex. */
static void
append_encoded(GString *to, const char *text, size_t size)
{
    static const char hex[] = "0123456789ABCDEF";

    for (size_t i = 0; i < size; i++) {
        guchar c = (guchar)text[i];

        if (g_ascii_isalnum(c) || (c != '\0' && strchr("-._~", c) != NULL)) {
            g_string_append_c(to, (char)c);
        } else {
            g_string_append_c(to, '%');
            g_string_append_c(to, hex[c >> 4]);
            g_string_append_c(to, hex[c & 0xf]);
        }
    }
}

/* The next "name=value" of @rest, cut at the first '='; FALSE at the end. Spans, not copies. */
static gboolean
next_field(const char **rest, const char **ret_name, size_t *ret_name_size, const char **ret_value,
           size_t *ret_value_size)
{
    if (**rest == '\0')
        return FALSE;

    size_t size = strcspn(*rest, "&");
    size_t name_size = MIN(strcspn(*rest, "="), size);

    *ret_name = *rest;
    *ret_name_size = name_size;
    *ret_value = *rest + MIN(name_size + 1, size);
    *ret_value_size = size - MIN(name_size + 1, size);
    *rest += size + ((*rest)[size] == '&');
    return TRUE;
}

static gboolean
parse_seconds(const char *text, size_t size, gint64 *ret_sec)
{
    char digits[20];

    if (size == 0 || size >= sizeof digits)
        return FALSE;
    memcpy(digits, text, size);
    digits[size] = '\0';

    guint64 sec = 0;
    if (!g_ascii_string_to_unsigned(digits, 10, 1, G_MAXINT64 / G_USEC_PER_SEC, &sec, NULL))
        return FALSE;

    *ret_sec = (gint64)sec;
    return TRUE;
}

static gboolean
fail(GError **error, const char *what)
{
    g_set_error(error, SPOKE_ERROR, SPOKE_ERROR_INVALID_CONFIG, "The SAS token %s", what);
    return FALSE;
}

SpokeSecret *
spoke_sas_compute_signature(const SpokeSecret *key, const char *audience, gint64 expiry_sec,
                            GError **error)
{
    g_return_val_if_fail(key != NULL && audience != NULL, NULL);

    g_autofree char *text = g_strdup_printf("%s\n%" G_GINT64_FORMAT, audience, expiry_sec);
    guchar digest[SHA256_BYTES];
    char base64[BASE64_BUFFER_SIZE];

    int r = gnutls_hmac_fast(GNUTLS_MAC_SHA256, spoke_secret_peek(key), spoke_secret_get_size(key),
                             text, strlen(text), digest);
    if (r < 0) {
        g_set_error(error, SPOKE_ERROR, SPOKE_ERROR_FAILED, "Cannot sign a SAS token: %s",
                    gnutls_strerror(r));
        return NULL;
    }

    int state = 0, save = 0;
    size_t size = g_base64_encode_step(digest, sizeof digest, FALSE, base64, &state, &save);
    size += g_base64_encode_close(FALSE, base64 + size, &state, &save);

    SpokeSecret *signature = spoke_secret_new(base64, size);
    spoke_secret_wipe(base64, sizeof base64);
    spoke_secret_wipe(digest, sizeof digest);
    return signature;
}

SpokeSecret *
spoke_sas_sign(const SpokeSecret *key, const char *resource, gint64 expiry_sec,
               const char *key_name, GError **error)
{
    g_return_val_if_fail(key != NULL && resource != NULL, NULL);

    g_autoptr(GString) audience = g_string_new(NULL);
    append_encoded(audience, resource, strlen(resource));

    g_autoptr(SpokeSecret) signature =
        spoke_sas_compute_signature(key, audience->str, expiry_sec, error);
    if (signature == NULL)
        return NULL;

    size_t key_name_size = key_name != NULL ? strlen(key_name) : 0;
    size_t signature_size = spoke_secret_get_size(signature);
    GString *token = g_string_sized_new(audience->len + 3 * (signature_size + key_name_size) +
                                        sizeof TOKEN_PREFIX "sr=&sig=&se=&skn=" + 20);

    g_string_append_printf(token, TOKEN_PREFIX "sr=%s&sig=", audience->str);
    append_encoded(token, spoke_secret_peek(signature), signature_size);
    g_string_append_printf(token, "&se=%" G_GINT64_FORMAT, expiry_sec);
    if (key_name != NULL) {
        g_string_append(token, "&skn=");
        append_encoded(token, key_name, key_name_size);
    }
    return spoke_secret_new_take(g_string_free(token, FALSE));
}

gboolean
spoke_sas_get_expiry(const SpokeSecret *token, gint64 *ret_expiry_sec, GError **error)
{
    const char *text = spoke_secret_peek(token);

    if (strlen(text) != spoke_secret_get_size(token))
        return fail(error, "has a NUL byte in it");
    if (!g_str_has_prefix(text, TOKEN_PREFIX))
        return fail(error, "does not begin with \"" TOKEN_PREFIX "sr=\"");

    const char *rest = text + strlen(TOKEN_PREFIX), *name = NULL, *value = NULL;
    size_t name_size = 0, value_size = 0;
    guint n_resources = 0, n_signatures = 0, n_expiries = 0;
    gint64 expiry_sec = 0;

    while (next_field(&rest, &name, &name_size, &value, &value_size)) {
        if (name_size == 2 && memcmp(name, "sr", 2) == 0 && value_size > 0)
            n_resources++;
        if (name_size == 3 && memcmp(name, "sig", 3) == 0 && value_size > 0)
            n_signatures++;
        if (name_size == 2 && memcmp(name, "se", 2) == 0) {
            n_expiries++;
            if (!parse_seconds(value, value_size, &expiry_sec))
                return fail(error, "has an \"se\" that is not a time in seconds since 1970");
        }
    }

    if (n_resources != 1)
        return fail(error, "needs exactly one \"sr\"");
    if (n_signatures != 1)
        return fail(error, "needs exactly one \"sig\"");
    if (n_expiries != 1)
        return fail(error, "needs exactly one \"se\"");

    *ret_expiry_sec = expiry_sec;
    return TRUE;
}
