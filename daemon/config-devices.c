/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/config-devices.h"

#include "daemon/certificate.h"
#include "daemon/config-source.h"
#include "daemon/identity.h"

#include <errno.h>
#include <pwd.h>
#include <string.h>

#define DEFAULT_CREDENTIAL "connection-string"

/* While it goes on. */
typedef struct {
    SpokeConfigDraft *draft;           /* borrowed */
    const char *credentials_directory; /* borrowed; NULL: none */
    GHashTable *uids;                  /* owned; names that have been looked up → decimal uid */
    GHashTable *identities;            /* owned; key → section, borrowed */
} Resolver;

static void
resolver_clear(Resolver *resolver)
{
    g_hash_table_unref(resolver->uids);
    g_hash_table_unref(resolver->identities);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Resolver, resolver_clear)

/* Connection strings */

static SpokeConnectionString *
parse_text(const SpokeConfigText *text, const char *path, GError **error)
{
    SpokeConnectionString *string =
        text != NULL ? spoke_connection_string_parse(text->text, error) : NULL;

    if (text != NULL && string == NULL)
        g_prefix_error(error, "%s: ", path);
    return string;
}

static SpokeConnectionString *
parse_file(const char *path, GError **error)
{
    g_autoptr(SpokeConfigText) text =
        spoke_config_source_read_file(path, SPOKE_CONNECTION_STRING_BYTES_MAX + 64, error);

    return parse_text(text, path, error);
}

static SpokeConnectionString *
parse_credential(const char *path, GError **error)
{
    g_autoptr(SpokeConfigText) text =
        spoke_config_source_read_credential(path, SPOKE_CONNECTION_STRING_BYTES_MAX + 64, error);

    return parse_text(text, path, error);
}

static SpokeConnectionString *
parse_source(Resolver *resolver, guint key, const char *value, GError **error)
{
    if (key == SPOKE_CONFIG_STRING)
        return spoke_connection_string_parse(value, error);
    if (key == SPOKE_CONFIG_STRING_FILE)
        return parse_file(value, error);

    g_autofree char *path =
        spoke_config_source_find_credential(resolver->credentials_directory, value, error);

    return path != NULL ? parse_credential(path, error) : NULL;
}

/* Only the machine's own has one. */
static SpokeConnectionString *
parse_default(Resolver *resolver, const SpokeConfigSection *section, GError **error)
{
    g_autofree char *path =
        resolver->credentials_directory != NULL
            ? g_build_filename(resolver->credentials_directory, DEFAULT_CREDENTIAL, NULL)
            : NULL;

    if (strcmp(section->device->name, SPOKE_DEVICE_SELF) == 0 && path != NULL &&
        g_file_test(path, G_FILE_TEST_EXISTS))
        return parse_credential(path, error);

    spoke_config_fail(error, "no connection string is given; set ConnectionStringFile=, or see "
                             "spoked.conf(5) for other ways");
    return NULL;
}

/* @ret_key: the one to blame for what is wrong with it */
static gboolean
take_connection_string(Resolver *resolver, SpokeConfigSection *section, guint *ret_key,
                       GError **error)
{
    static const guint keys[] = {SPOKE_CONFIG_STRING, SPOKE_CONFIG_STRING_FILE,
                                 SPOKE_CONFIG_STRING_CREDENTIAL};
    int key = -1;

    if (!spoke_config_section_choose(section, keys, G_N_ELEMENTS(keys), &key, error))
        return FALSE;

    *ret_key = key >= 0 ? (guint)key : SPOKE_CONFIG_STRING;
    section->device->connection_string =
        key >= 0
            ? parse_source(resolver, *ret_key, spoke_config_section_peek(section, *ret_key), error)
            : parse_default(resolver, section, error);
    return section->device->connection_string != NULL ||
           spoke_config_section_blame(section, *ret_key, error);
}

/* There is one device for each identity: its queue could not serve two. */
static gboolean
check_unique(Resolver *resolver, SpokeConfigSection *section, guint key, GError **error)
{
    const SpokeConnectionString *string = section->device->connection_string;
    g_autoptr(SpokeIdentity) identity = spoke_identity_new(section->device->name, string->host_name,
                                                           string->device_id, string->module_id);
    const SpokeConfigSection *other = g_hash_table_lookup(resolver->identities, identity->key);

    if (other == NULL) {
        g_hash_table_insert(resolver->identities, g_strdup(identity->key), section);
        return TRUE;
    }
    spoke_config_fail(error, "this is the same device%s of the same hub as in [%s]",
                      string->module_id != NULL ? " and module" : "", other->title);
    return spoke_config_section_blame(section, key, error);
}

/* Certificates */

/* @ret_key: -1 if there is none; @ret_path: (transfer full) */
static gboolean
find_pem(Resolver *resolver, const SpokeConfigSection *section, guint file_key,
         guint credential_key, int *ret_key, char **ret_path, GError **error)
{
    const guint keys[] = {file_key, credential_key};

    if (!spoke_config_section_choose(section, keys, G_N_ELEMENTS(keys), ret_key, error))
        return FALSE;
    if (*ret_key < 0)
        return TRUE;

    const char *value = spoke_config_section_peek(section, (guint)*ret_key);

    *ret_path =
        (guint)*ret_key == file_key
            ? g_strdup(value)
            : spoke_config_source_find_credential(resolver->credentials_directory, value, error);
    return *ret_path != NULL || spoke_config_section_blame(section, (guint)*ret_key, error);
}

/* Both or none, and only for a device that is to prove itself so. @key: of the connection string */
static gboolean
check_wanted(const SpokeConfigSection *section, guint key, int certificate_key, int key_key,
             GError **error)
{
    gboolean is_x509 = section->device->connection_string->x509;

    if (is_x509 && certificate_key < 0 && key_key < 0) {
        spoke_config_fail(error, "it says x509=true, so CertificateFile= and PrivateKeyFile= (or "
                                 "CertificateCredential= and PrivateKeyCredential=) must be set");
        return spoke_config_section_blame(section, key, error);
    }
    if (certificate_key >= 0 && key_key < 0) {
        spoke_config_fail(error, "its private key is missing: set PrivateKeyFile= or "
                                 "PrivateKeyCredential=");
        return spoke_config_section_blame(section, (guint)certificate_key, error);
    }
    if (key_key >= 0 && certificate_key < 0) {
        spoke_config_fail(error, "the certificate it is for is missing: set CertificateFile= or "
                                 "CertificateCredential=");
        return spoke_config_section_blame(section, (guint)key_key, error);
    }
    if (!is_x509 && certificate_key >= 0) {
        spoke_config_fail(error, "there is a key or a token in the connection string; to use a "
                                 "certificate it must say x509=true instead");
        return spoke_config_section_blame(section, (guint)certificate_key, error);
    }
    return TRUE;
}

static gboolean
take_certificate(Resolver *resolver, SpokeConfigSection *section, guint key, GError **error)
{
    SpokeDeviceConfig *device = section->device;
    int certificate_key = -1, key_key = -1;

    if (!find_pem(resolver, section, SPOKE_CONFIG_CERTIFICATE_FILE,
                  SPOKE_CONFIG_CERTIFICATE_CREDENTIAL, &certificate_key, &device->certificate_file,
                  error) ||
        !find_pem(resolver, section, SPOKE_CONFIG_KEY_FILE, SPOKE_CONFIG_KEY_CREDENTIAL, &key_key,
                  &device->key_file, error) ||
        !check_wanted(section, key, certificate_key, key_key, error))
        return FALSE;
    if (certificate_key < 0)
        return TRUE;

    g_autoptr(SpokeCertificate) certificate =
        spoke_certificate_read(device->certificate_file, device->key_file, error);

    return certificate != NULL ||
           spoke_config_section_blame(section, (guint)certificate_key, error);
}

/* Users */

/* A number stands for itself, whether or not there is such a user. (transfer none) */
static const char *
find_uid(Resolver *resolver, const char *user, GError **error)
{
    const char *known = g_hash_table_lookup(resolver->uids, user);
    guint64 uid = 0;

    if (known != NULL)
        return known;
    if (!g_ascii_string_to_unsigned(user, 10, 0, G_MAXUINT32 - 1, &uid, NULL)) {
        errno = 0;
        const struct passwd *entry = getpwnam(user);

        if (entry == NULL && errno != 0 && errno != ENOENT && errno != ESRCH) {
            spoke_config_fail(error, "the user %s can't be looked up: %s", user, g_strerror(errno));
            return NULL;
        }
        if (entry == NULL) {
            spoke_config_fail(error, "there is no user %s on this machine", user);
            return NULL;
        }
        uid = entry->pw_uid;
    }

    char *text = g_strdup_printf("%" G_GUINT64_FORMAT, uid);

    g_hash_table_insert(resolver->uids, g_strdup(user), text);
    return text;
}

static gboolean
take_users(Resolver *resolver, SpokeConfigSection *section, GError **error)
{
    const char *value = strcmp(section->keys->section, SPOKE_CONFIG_DEVICE) == 0
                            ? spoke_config_section_peek(section, SPOKE_CONFIG_USERS)
                            : NULL;
    g_auto(GStrv) words = g_strsplit_set(value != NULL ? value : "", " \t", -1);
    g_autoptr(GPtrArray) uids = g_ptr_array_new_with_free_func(g_free);

    for (char **word = words; *word != NULL; word++) {
        if (**word == '\0')
            continue;

        const char *uid = find_uid(resolver, *word, error);

        if (uid == NULL)
            return spoke_config_section_blame(section, SPOKE_CONFIG_USERS, error);
        if (!g_ptr_array_find_with_equal_func(uids, uid, g_str_equal, NULL))
            g_ptr_array_add(uids, g_strdup(uid));
    }
    if (uids->len == 0)
        return TRUE;

    g_ptr_array_set_free_func(uids, NULL);
    g_ptr_array_add(uids, NULL);
    section->device->users = (char **)g_ptr_array_free(g_steal_pointer(&uids), FALSE);
    return TRUE;
}

static gboolean
resolve(Resolver *resolver, SpokeConfigSection *section, GError **error)
{
    guint key = SPOKE_CONFIG_STRING;

    if (!take_connection_string(resolver, section, &key, error) ||
        !check_unique(resolver, section, key, error) ||
        !take_certificate(resolver, section, key, error) || !take_users(resolver, section, error))
        return FALSE;

    g_ptr_array_add(resolver->draft->config->devices, g_steal_pointer(&section->device));
    return TRUE;
}

/* The machine's own first, the others by name. */
static int
compare_devices(gconstpointer a, gconstpointer b)
{
    const SpokeDeviceConfig *one = *(const SpokeDeviceConfig *const *)a;
    const SpokeDeviceConfig *other = *(const SpokeDeviceConfig *const *)b;
    gboolean one_is_self = strcmp(one->name, SPOKE_DEVICE_SELF) == 0;
    gboolean other_is_self = strcmp(other->name, SPOKE_DEVICE_SELF) == 0;

    if (one_is_self || other_is_self)
        return other_is_self - one_is_self;
    return strcmp(one->name, other->name);
}

gboolean
spoke_config_resolve_devices(SpokeConfigDraft *draft, const char *credentials_directory,
                             GError **error)
{
    g_auto(Resolver) resolver = {
        .draft = draft,
        .credentials_directory = credentials_directory,
        .uids = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free),
        .identities = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL),
    };

    if (!resolve(&resolver, spoke_config_draft_get(draft, "Hub"), error))
        return FALSE;
    for (guint i = draft->n_unnamed; i < draft->sections->len; i++) {
        if (!resolve(&resolver, g_ptr_array_index(draft->sections, i), error))
            return FALSE;
    }
    g_ptr_array_sort(draft->config->devices, compare_devices);
    return TRUE;
}
