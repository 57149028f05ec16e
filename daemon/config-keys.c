/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/config-keys.h"

#include "daemon/config-file.h"
#include "daemon/error.h"
#include "daemon/transport-names.h"

#include <string.h>

/*
 * Every kind of value has one reader. Of keys that are kept it looks at the form only.
 */
#define CERTIFICATE_FILE_BYTES_MAX (8 * 1024 * 1024)
#define CREDENTIAL_NAME_BYTES_MAX  255
#define USER_NAME_BYTES_MAX        255

static gboolean
fail(GError **error, const char *what)
{
    g_set_error_literal(error, SPOKE_ERROR, SPOKE_ERROR_INVALID_CONFIG, what);
    return FALSE;
}

/* What was written is shown only if it is short and plain: a long text that is no number may be
 * something else that went to the wrong line. */
static gboolean
fail_range(const SpokeConfigKey *key, const char *value, const char *kind, GError **error)
{
    gboolean plain = strlen(value) <= 16;

    for (const char *c = value; *c != '\0'; c++)
        plain = plain && g_ascii_isprint(*c);

    g_set_error(error, SPOKE_ERROR, SPOKE_ERROR_INVALID_CONFIG, "%s%s%s is not %s from %s to %s",
                plain ? "\"" : "", plain ? value : "this", plain ? "\"" : "", kind, key->min,
                key->max);
    return FALSE;
}

/* A whole number times what its suffix says; @suffixes[0] stands for 1024, the next for its square.
 * No sign, no spaces. */
static gboolean
parse_whole(const char *value, const char *suffixes, guint64 *ret_number)
{
    size_t digits = strspn(value, "0123456789");
    g_autofree char *text = g_strndup(value, digits);
    const char *suffix = value[digits] != '\0' ? strchr(suffixes, value[digits]) : NULL;
    guint shift = suffix != NULL ? 10 * (guint)(suffix - suffixes + 1) : 0;
    guint64 number = 0;

    if (strlen(value) != digits + (suffix != NULL))
        return FALSE;
    if (!g_ascii_string_to_unsigned(text, 10, 0, G_MAXUINT64 >> shift, &number, NULL))
        return FALSE;

    *ret_number = number << shift;
    return TRUE;
}

/* Seconds with up to six decimals, as microseconds. */
static gboolean
parse_duration(const char *value, guint64 *ret_usec)
{
    g_auto(GStrv) parts = g_strsplit(value, ".", 2);
    const char *decimals = parts[1] != NULL ? parts[1] : "0";
    guint64 sec = 0, fraction = 0;

    if (strlen(decimals) > 6 || !parse_whole(parts[0], "", &sec) ||
        !parse_whole(decimals, "", &fraction) || sec > G_MAXINT32)
        return FALSE;

    for (size_t i = strlen(decimals); i < 6; i++)
        fraction *= 10;
    *ret_usec = sec * G_USEC_PER_SEC + fraction;
    return TRUE;
}

static gboolean
read_number(const SpokeConfigKey *key, const char *value, guint64 *ret_number, GError **error)
{
    guint64 min = 0, max = 0;

    g_return_val_if_fail(parse_whole(key->min, "", &min) && parse_whole(key->max, "", &max), FALSE);

    if (!parse_whole(value, "", ret_number) || *ret_number < min || *ret_number > max)
        return fail_range(key, value, "a whole number", error);
    return TRUE;
}

static gboolean
read_uint16(const SpokeConfigKey *key, const char *value, gpointer member, GError **error)
{
    guint64 number = 0;

    if (!read_number(key, value, &number, error))
        return FALSE;

    *(guint16 *)member = (guint16)number;
    return TRUE;
}

static gboolean
read_uint(const SpokeConfigKey *key, const char *value, gpointer member, GError **error)
{
    guint64 number = 0;

    if (!read_number(key, value, &number, error))
        return FALSE;

    *(guint *)member = (guint)number;
    return TRUE;
}

static gboolean
read_int64(const SpokeConfigKey *key, const char *value, gpointer member, GError **error)
{
    guint64 number = 0;

    if (!read_number(key, value, &number, error))
        return FALSE;

    *(gint64 *)member = (gint64)number;
    return TRUE;
}

static gboolean
read_bytes(const SpokeConfigKey *key, const char *value, gpointer member, GError **error)
{
    static const char suffixes[] = "KMGT";
    guint64 min = 0, max = 0, bytes = 0;

    g_return_val_if_fail(
        parse_whole(key->min, suffixes, &min) && parse_whole(key->max, suffixes, &max), FALSE);

    if (!parse_whole(value, suffixes, &bytes) || bytes < min || bytes > max)
        return fail_range(key, value, "a size (a whole number, or with K, M, G or T)", error);

    *(guint64 *)member = bytes;
    return TRUE;
}

static gboolean
read_duration(const SpokeConfigKey *key, const char *value, gpointer member, GError **error)
{
    guint64 min = 0, max = 0, usec = 0;

    g_return_val_if_fail(parse_duration(key->min, &min) && parse_duration(key->max, &max), FALSE);

    if (!parse_duration(value, &usec) || usec < min || usec > max)
        return fail_range(key, value, "a number of seconds", error);

    *(gint64 *)member = (gint64)usec;
    return TRUE;
}

static gboolean
read_when_full(const SpokeConfigKey *key, const char *value, gpointer member, GError **error)
{
    if (strcmp(value, "reject") == 0)
        *(SpokeWhenFull *)member = SPOKE_WHEN_FULL_REJECT;
    else if (strcmp(value, "drop-oldest") == 0)
        *(SpokeWhenFull *)member = SPOKE_WHEN_FULL_DROP_OLDEST;
    else
        return fail(error, "must be reject or drop-oldest");
    return TRUE;
}

static gboolean
read_log_level(const SpokeConfigKey *key, const char *value, gpointer member, GError **error)
{
    if (strcmp(value, "info") == 0)
        *(gboolean *)member = FALSE;
    else if (strcmp(value, "debug") == 0)
        *(gboolean *)member = TRUE;
    else
        return fail(error, "must be info or debug");
    return TRUE;
}

static gboolean
read_transport(const SpokeConfigKey *key, const char *value, gpointer member, GError **error)
{
    if (!spoke_transport_name_is_known(value)) {
        g_autofree char *names = spoke_transport_names_join(1, "or");

        g_set_error(error, SPOKE_ERROR, SPOKE_ERROR_INVALID_CONFIG, "must be %s", names);
        return FALSE;
    }

    g_free(*(char **)member);
    *(char **)member = g_strdup(value);
    return TRUE;
}

/* Looked into now, because later a bad file looks like a hub that can't be trusted. */
static gboolean
read_ca_file(const SpokeConfigKey *key, const char *value, gpointer member, GError **error)
{
    g_clear_pointer((char **)member, g_free);
    if (*value == '\0')
        return TRUE;
    if (!g_path_is_absolute(value))
        return fail(error, "must be a path from the root, as /etc/spoked/ca.pem");

    g_autoptr(GError) local_error = NULL;
    g_autoptr(SpokeConfigText) text =
        spoke_config_text_read(value, CERTIFICATE_FILE_BYTES_MAX, &local_error);
    if (text == NULL) {
        g_set_error(error, SPOKE_ERROR, SPOKE_ERROR_INVALID_CONFIG, "%s: %s", value,
                    local_error->message);
        return FALSE;
    }
    if (g_strstr_len(text->text, (gssize)text->size, "-----BEGIN CERTIFICATE-----") == NULL) {
        g_set_error(error, SPOKE_ERROR, SPOKE_ERROR_INVALID_CONFIG,
                    "%s: there is no certificate in PEM form in it", value);
        return FALSE;
    }

    *(char **)member = g_strdup(value);
    return TRUE;
}

static gboolean
read_boolean(const SpokeConfigKey *key, const char *value, gpointer member, GError **error)
{
    gboolean yes = strcmp(value, "yes") == 0;

    if (!yes && strcmp(value, "no") != 0)
        return fail(error, "must be yes or no");

    *(gboolean *)member = yes;
    return TRUE;
}

/* What follows is kept: there is no member. */

static gboolean
check_boolean(const SpokeConfigKey *key, const char *value, gpointer member, GError **error)
{
    gboolean ignored = FALSE;

    return read_boolean(key, value, &ignored, error);
}

static gboolean
check_path(const SpokeConfigKey *key, const char *value, gpointer member, GError **error)
{
    return *value == '\0' || g_path_is_absolute(value) ||
           fail(error, "must be a path from the root: it begins with /");
}

/* Narrower than systemd is, so that a connection string put here is not taken for a name. */
static gboolean
check_credential_name(const SpokeConfigKey *key, const char *value, gpointer member, GError **error)
{
    gboolean good = strlen(value) <= CREDENTIAL_NAME_BYTES_MAX && *value != '.';

    for (const char *c = value; *c != '\0'; c++)
        good = good && (g_ascii_isalnum(*c) || strchr("-_.", *c) != NULL);

    return good || fail(error, "must be the name of a credential: letters, digits, '-', '_', '.'");
}

/* Names or numbers of users. Nothing here can be a secret by mistake: those are longer, or have
 * other characters in them. */
static gboolean
check_users(const SpokeConfigKey *key, const char *value, gpointer member, GError **error)
{
    g_auto(GStrv) words = g_strsplit_set(value, " \t", -1);

    for (char **word = words; *word != NULL; word++) {
        gboolean good = strlen(*word) <= USER_NAME_BYTES_MAX && **word != '-';

        for (const char *c = *word; *c != '\0'; c++)
            good = good && (g_ascii_isalnum(*c) || strchr("-_.@\\$", *c) != NULL);
        if (!good)
            return fail(error, "must be names or numbers of users, separated by spaces");
    }
    return TRUE;
}

static gboolean
check_proxy_url(const SpokeConfigKey *key, const char *value, gpointer member, GError **error)
{
    if (*value == '\0')
        return TRUE;

    g_autoptr(SpokeProxySettings) settings =
        spoke_proxy_settings_new(value, NULL, NULL, NULL, error);

    if (settings == NULL)
        return FALSE;
    return settings->password == NULL ||
           fail(error, "a password has no place in it: use PasswordFile= or PasswordCredential=");
}

static gboolean
check_proxy_user(const SpokeConfigKey *key, const char *value, gpointer member, GError **error)
{
    g_autoptr(SpokeProxySettings) settings =
        spoke_proxy_settings_new("http://proxy", value, NULL, NULL, error);

    return settings != NULL;
}

static gboolean
check_no_proxy(const SpokeConfigKey *key, const char *value, gpointer member, GError **error)
{
    g_autoptr(SpokeProxySettings) settings =
        spoke_proxy_settings_new("http://proxy", NULL, NULL, value, error);

    return settings != NULL;
}

#define MEMBER(name)        G_STRUCT_OFFSET(SpokeConfig, name)
#define DEVICE_MEMBER(name) G_STRUCT_OFFSET(SpokeDeviceConfig, name)
#define KEPT                SPOKE_CONFIG_KEPT

#define WHO_KEYS(section)                                                                          \
    {section, "ConnectionString", "", NULL, NULL, NULL, KEPT},                                     \
        {section, "ConnectionStringFile", "", NULL, NULL, check_path, KEPT},                       \
        {section, "ConnectionStringCredential", "", NULL, NULL, check_credential_name, KEPT},      \
        {section, "CertificateFile", "", NULL, NULL, check_path, KEPT},                            \
        {section, "CertificateCredential", "", NULL, NULL, check_credential_name, KEPT},           \
        {section, "PrivateKeyFile", "", NULL, NULL, check_path, KEPT},                             \
    {                                                                                              \
        section, "PrivateKeyCredential", "", NULL, NULL, check_credential_name, KEPT               \
    }

/* clang-format off */
const SpokeConfigKey spoke_config_keys[] = {
    WHO_KEYS("Hub"),
    {"Hub", "CAFile", "", NULL, NULL, read_ca_file, MEMBER(ca_file)},
    {"Hub", "Transport", "mqtt", NULL, NULL, read_transport, MEMBER(transport)},
    {"Hub", "MqttPort", "8883", "1", "65535", read_uint16, MEMBER(mqtt_port)},
    {"Hub", "AmqpPort", "5671", "1", "65535", read_uint16, MEMBER(amqp_port)},
    {"Hub", "HttpsPort", "443", "1", "65535", read_uint16, MEMBER(https_port)},
    /* Source: iot-hub-protocol.md, 4.4: the hub's guidance is no more often than every 25 minutes. */
    {"Hub", "PollIntervalSec", "1500", "1", "86400", read_duration, MEMBER(poll_interval_usec)},
    /* Source: iot-hub-protocol.md, 2.2: beyond it the hub's own limit strikes first. */
    {"Hub", "KeepAliveSec", "180", "5", "1177", read_uint, MEMBER(keepalive_sec)},
    {"Hub", "TokenLifetimeSec", "3600", "65", "31536000", read_int64, MEMBER(token_lifetime_sec)},
    {"Hub", "ConnectTimeoutSec", "30", "1", "300", read_uint, MEMBER(connect_timeout_sec)},

    WHO_KEYS(SPOKE_CONFIG_DEVICE),
    {SPOKE_CONFIG_DEVICE, "Users", "", NULL, NULL, check_users, KEPT},
    {SPOKE_CONFIG_DEVICE, "OwnConnection", "no", NULL, NULL, read_boolean, DEVICE_MEMBER(owns_connection)},

    {"Proxy", "Url", "", NULL, NULL, check_proxy_url, KEPT},
    {"Proxy", "User", "", NULL, NULL, check_proxy_user, KEPT},
    {"Proxy", "PasswordFile", "", NULL, NULL, check_path, KEPT},
    {"Proxy", "PasswordCredential", "", NULL, NULL, check_credential_name, KEPT},
    {"Proxy", "NoProxy", "", NULL, NULL, check_no_proxy, KEPT},
    {"Proxy", "UseEnvironment", "yes", NULL, NULL, check_boolean, KEPT},

    {"Spool", "BytesMax", "256M", "64K", "1T", read_bytes, MEMBER(outbox.bytes_max)},
    {"Spool", "WhenFull", "reject", NULL, NULL, read_when_full, MEMBER(outbox.when_full)},
    {"Spool", "FlushWindowSec", "1", "0.01", "60", read_duration, MEMBER(flush_window_usec)},
    {"Spool", "DefaultTtlSec", "0", "0", "315360000", read_duration, MEMBER(outbox.default_ttl_usec)},

    {"Inbox", "MessagesMax", "256", "1", "10000", read_uint, MEMBER(delivery.messages_max)},
    {"Inbox", "BytesMax", "4M", "128K", "1G", read_bytes, MEMBER(delivery.bytes_max)},
    {"Inbox", "MaxDeliveryCount", "10", "1", "100", read_uint, MEMBER(delivery.delivery_count_max)},
    {"Inbox", "DeadLettersMax", "100", "0", "10000", read_uint, MEMBER(delivery.dead_letters_max)},

    {"Daemon", "ShutdownTimeoutSec", "10", "0", "300", read_duration, MEMBER(shutdown_timeout_usec)},
    {"Daemon", "LogLevel", "info", NULL, NULL, read_log_level, MEMBER(debug)},
};
/* clang-format on */
const guint spoke_config_n_keys = G_N_ELEMENTS(spoke_config_keys);

const SpokeConfigKey *
spoke_config_key_find(const char *section, const char *name)
{
    for (guint i = 0; i < spoke_config_n_keys; i++) {
        const SpokeConfigKey *key = &spoke_config_keys[i];

        if (strcmp(key->section, section) == 0 && strcmp(key->name, name) == 0)
            return key;
    }
    return NULL;
}

const SpokeConfigKey *
spoke_config_key_first(const char *section, guint *ret_n)
{
    const SpokeConfigKey *first = NULL;
    guint n = 0;

    for (guint i = 0; i < spoke_config_n_keys; i++) {
        if (strcmp(spoke_config_keys[i].section, section) != 0)
            continue;
        if (n++ == 0)
            first = &spoke_config_keys[i];
    }
    *ret_n = n;
    return first;
}

static char *
list_sections(void)
{
    g_autoptr(GString) list = g_string_new(NULL);
    const char *last = "";

    for (guint i = 0; i < spoke_config_n_keys; i++) {
        const char *section = spoke_config_keys[i].section;

        if (strcmp(section, last) == 0)
            continue;
        g_string_append_printf(list, "%s%s%s", list->len > 0 ? ", " : "", section,
                               strcmp(section, SPOKE_CONFIG_DEVICE) == 0 ? " NAME" : "");
        last = section;
    }
    return g_string_free(g_steal_pointer(&list), FALSE);
}

char *
spoke_config_key_list(const char *section)
{
    guint n = 0;
    const SpokeConfigKey *first = section != NULL ? spoke_config_key_first(section, &n) : NULL;

    if (section == NULL)
        return list_sections();
    if (first == NULL)
        return NULL;

    g_autoptr(GString) list = g_string_new(first->name);

    for (guint i = 1; i < n; i++)
        g_string_append_printf(list, ", %s", first[i].name);
    return g_string_free(g_steal_pointer(&list), FALSE);
}

gboolean
spoke_config_key_apply(const SpokeConfigKey *key, const char *value, gpointer object,
                       GError **error)
{
    gpointer member = key->offset != SPOKE_CONFIG_KEPT ? (char *)object + key->offset : NULL;

    if (*value == '\0')
        value = key->fallback;
    return key->read == NULL || key->read(key, value, member, error);
}
