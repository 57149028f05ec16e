/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/connection-string.h"

#include "daemon/error.h"
#include "daemon/identity.h"
#include "daemon/sas.h"

#include <string.h>

/*
 * The text is walked in spans, part by part, so no copy of a secret is made but the one that is
 * kept. Errors speak of keys and of the number of a part, never of what stands in it: a person who
 * pastes half a string, or a key alone, must not find it in the journal.
 */
#define KEY_BYTES_MIN 16
#define KEY_BYTES_MAX 64
/* Source: RFC 1035, section 2.3.4. */
#define HOST_BYTES_MAX     253
#define KEY_NAME_BYTES_MAX 128

typedef struct {
    const char *start; /* borrowed from the text */
    size_t size;
} Span;

typedef struct {
    const char *name;
    /* Checks the value and keeps it. @value is not empty. */
    gboolean (*take)(SpokeConnectionString *string, Span value, GError **error);
} Key;

G_GNUC_PRINTF(2, 3)
static gboolean
fail(GError **error, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_propagate_error(error,
                      g_error_new_valist(SPOKE_ERROR, SPOKE_ERROR_INVALID_CONFIG, format, args));
    va_end(args);
    return FALSE;
}

static gboolean
span_equal(Span span, const char *text)
{
    return span.size == strlen(text) && memcmp(span.start, text, span.size) == 0;
}

static Span
span_strip(Span span)
{
    while (span.size > 0 && g_ascii_isspace(span.start[0])) {
        span.start++;
        span.size--;
    }
    while (span.size > 0 && g_ascii_isspace(span.start[span.size - 1]))
        span.size--;
    return span;
}

/* Cuts @rest at the first @separator: what is before is returned, what is after stays. */
static Span
span_cut(Span *rest, char separator)
{
    const char *at = memchr(rest->start, separator, rest->size);
    Span part = {rest->start, at != NULL ? (size_t)(at - rest->start) : rest->size};
    size_t used = part.size + (at != NULL);

    rest->start += used;
    rest->size -= used;
    return part;
}

static gboolean
take_host(char **host, const char *key, Span value, gboolean addresses, GError **error)
{
    if (value.size > HOST_BYTES_MAX)
        return fail(error, "%s is %zu characters long, the limit is %d", key, value.size,
                    HOST_BYTES_MAX);

    g_autofree char *text = g_strndup(value.start, value.size);
    if (addresses && g_hostname_is_ip_address(text)) {
        *host = g_steal_pointer(&text);
        return TRUE;
    }

    for (const char *c = text; *c != '\0'; c++) {
        if (!g_ascii_isalnum(*c) && strchr("-._", *c) == NULL)
            return fail(error, "%s must be a plain host name, without scheme, port or path", key);
    }
    if (strlen(text) != value.size || text[0] == '.' || strstr(text, "..") != NULL)
        return fail(error, "%s must be a plain host name, without scheme, port or path", key);

    *host = g_steal_pointer(&text);
    return TRUE;
}

static gboolean
take_id(char **id, const char *key, Span value, GError **error)
{
    g_autofree char *text = g_strndup(value.start, value.size);

    if (strlen(text) != value.size || !spoke_identity_is_valid_id(text))
        return fail(
            error,
            "%s must be 1 to 128 letters, digits or - . + %% _ # * ? ! ( ) , = @ $ ' :", key);

    *id = g_steal_pointer(&text);
    return TRUE;
}

static gboolean
take_host_name(SpokeConnectionString *string, Span value, GError **error)
{
    return take_host(&string->host_name, "HostName", value, FALSE, error);
}

static gboolean
take_gateway(SpokeConnectionString *string, Span value, GError **error)
{
    return take_host(&string->gateway_host_name, "GatewayHostName", value, TRUE, error);
}

static gboolean
take_device_id(SpokeConnectionString *string, Span value, GError **error)
{
    return take_id(&string->device_id, "DeviceId", value, error);
}

static gboolean
take_module_id(SpokeConnectionString *string, Span value, GError **error)
{
    return take_id(&string->module_id, "ModuleId", value, error);
}

static gboolean
take_key_name(SpokeConnectionString *string, Span value, GError **error)
{
    if (value.size > KEY_NAME_BYTES_MAX)
        return fail(error, "SharedAccessKeyName is %zu characters long, the limit is %d",
                    value.size, KEY_NAME_BYTES_MAX);
    for (size_t i = 0; i < value.size; i++) {
        if (!g_ascii_isgraph(value.start[i]))
            return fail(error, "SharedAccessKeyName must be printable ASCII without spaces");
    }

    string->key_name = g_strndup(value.start, value.size);
    return TRUE;
}

/* Whole quads of the alphabet, '=' only as the last one or two: GLib's decoder skips what it does
 * not know, which would make a different key of a damaged one. */
static gboolean
is_base64(Span value)
{
    if (value.size == 0 || value.size % 4 != 0)
        return FALSE;

    size_t padding = 0;
    while (padding < 2 && value.start[value.size - 1 - padding] == '=')
        padding++;
    for (size_t i = 0; i < value.size - padding; i++) {
        if (!g_ascii_isalnum(value.start[i]) && value.start[i] != '+' && value.start[i] != '/')
            return FALSE;
    }
    return TRUE;
}

static gboolean
take_key(SpokeConnectionString *string, Span value, GError **error)
{
    guchar bytes[KEY_BYTES_MAX + 3];

    if (!is_base64(value))
        return fail(error, "SharedAccessKey is not base64: copy it again, with the = at its end");
    if (value.size > (KEY_BYTES_MAX + 2) / 3 * 4)
        return fail(error, "SharedAccessKey is %zu characters long, the limit is %d", value.size,
                    (KEY_BYTES_MAX + 2) / 3 * 4);

    int state = 0;
    guint save = 0;
    size_t size = g_base64_decode_step(value.start, value.size, bytes, &state, &save);
    if (size < KEY_BYTES_MIN || size > KEY_BYTES_MAX) {
        spoke_secret_wipe(bytes, sizeof bytes);
        return fail(error, "SharedAccessKey is %zu bytes long, it must be %d to %d", size,
                    KEY_BYTES_MIN, KEY_BYTES_MAX);
    }

    string->key = spoke_secret_new(bytes, size);
    spoke_secret_wipe(bytes, sizeof bytes);
    spoke_secret_wipe(&save, sizeof save);
    return TRUE;
}

static gboolean
take_token(SpokeConnectionString *string, Span value, GError **error)
{
    g_autoptr(SpokeSecret) token = spoke_secret_new(value.start, value.size);
    gint64 expiry_sec = 0;

    for (size_t i = 0; i < value.size; i++) {
        if (!g_ascii_isprint(value.start[i]))
            return fail(error, "SharedAccessSignature must be printable ASCII");
    }
    if (!spoke_sas_get_expiry(token, &expiry_sec, error)) {
        g_prefix_error(error, "SharedAccessSignature: ");
        return FALSE;
    }

    string->token = g_steal_pointer(&token);
    return TRUE;
}

static gboolean
take_x509(SpokeConnectionString *string, Span value, GError **error)
{
    if (!span_equal(value, "true"))
        return fail(error, "x509 can only be true; leave it out otherwise");

    string->x509 = TRUE;
    return TRUE;
}

/* Source: iot-hub-protocol.md, 1.2. */
static const Key keys[] = {
    {"HostName", take_host_name},           {"DeviceId", take_device_id},
    {"ModuleId", take_module_id},           {"SharedAccessKey", take_key},
    {"SharedAccessSignature", take_token},  {"x509", take_x509},
    {"SharedAccessKeyName", take_key_name}, {"GatewayHostName", take_gateway},
};

static gboolean
unknown_key(Span name, guint part, GError **error)
{
    for (guint i = 0; i < G_N_ELEMENTS(keys); i++) {
        if (name.size == strlen(keys[i].name) &&
            g_ascii_strncasecmp(name.start, keys[i].name, name.size) == 0)
            return fail(error, "part %u must be spelt %s: case matters", part, keys[i].name);
    }
    return fail(error,
                "the key of part %u is not known; known are HostName, DeviceId, ModuleId, "
                "SharedAccessKey, SharedAccessSignature, x509, SharedAccessKeyName, "
                "GatewayHostName",
                part);
}

static gboolean
take_part(SpokeConnectionString *string, Span text, guint part, guint *seen, GError **error)
{
    if (text.size == 0)
        return fail(error, "part %u is empty", part);
    if (memchr(text.start, '=', text.size) == NULL)
        return fail(error, "part %u has no '='; parts are Key=Value, joined by ';'", part);

    Span value = text;
    Span name = span_cut(&value, '=');

    for (guint i = 0; i < G_N_ELEMENTS(keys); i++) {
        if (!span_equal(name, keys[i].name))
            continue;
        if (*seen & (1u << i))
            return fail(error, "%s stands there twice", keys[i].name);
        if (value.size == 0)
            return fail(error, "%s is empty", keys[i].name);
        *seen |= 1u << i;
        return keys[i].take(string, value, error);
    }
    return unknown_key(name, part, error);
}

static gboolean
check_whole(const SpokeConnectionString *string, GError **error)
{
    guint credentials = (string->key != NULL) + (string->token != NULL) + (string->x509 != FALSE);

    if (string->host_name == NULL)
        return fail(error, "HostName is missing");
    if (string->device_id == NULL && string->key_name != NULL)
        return fail(error, "DeviceId is missing: this looks like the string of an access policy; "
                           "take the device's own");
    if (string->device_id == NULL)
        return fail(error, "DeviceId is missing");
    if (credentials == 0)
        return fail(error, "a credential is missing: SharedAccessKey, SharedAccessSignature or "
                           "x509=true");
    if (credentials > 1)
        return fail(error, "there must be only one of SharedAccessKey, SharedAccessSignature and "
                           "x509=true");
    return TRUE;
}

SpokeConnectionString *
spoke_connection_string_parse(const char *text, GError **error)
{
    g_return_val_if_fail(text != NULL, NULL);

    g_autoptr(SpokeConnectionString) string = g_new0(SpokeConnectionString, 1);
    Span rest = span_strip((Span){text, strlen(text)});
    guint seen = 0;

    if (rest.size > SPOKE_CONNECTION_STRING_BYTES_MAX) {
        fail(error, "the connection string is %zu characters long, the limit is %d", rest.size,
             SPOKE_CONNECTION_STRING_BYTES_MAX);
        return NULL;
    }
    if (rest.size == 0) {
        fail(error, "the connection string is empty");
        return NULL;
    }

    /* A ';' at the very end is forgiven: an empty part is never begun there. */
    for (guint part = 1; rest.size > 0; part++) {
        if (!take_part(string, span_cut(&rest, ';'), part, &seen, error))
            return NULL;
    }
    if (!check_whole(string, error))
        return NULL;

    return g_steal_pointer(&string);
}

void
spoke_connection_string_free(SpokeConnectionString *string)
{
    if (string == NULL)
        return;

    g_free(string->host_name);
    g_free(string->device_id);
    g_free(string->module_id);
    g_free(string->gateway_host_name);
    g_free(string->key_name);
    spoke_secret_unref(string->key);
    spoke_secret_unref(string->token);
    g_free(string);
}
