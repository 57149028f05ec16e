/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The registry: a table in memory for every CONNECT to ask, written through to hub.db. A device
 * stands under its id, a module under `{device}/{module}`, which no device can be called. */

#include "registry.h"

#include "authorities.h"
#include "chain.h"
#include "error.h"
#include "sas.h"
#include "store.h"

#include <string.h>

#define ID_MAX         128
#define ID_PUNCTUATION "-.+%_#*?!(),=@$'"

struct EmuRegistry {
    EmuStore *store;             /* borrowed, outlives us */
    GHashTable *identities;      /* owned; key (owned) → EmuIdentity (owned) */
    GHashTable *policies;        /* owned; name (borrowed from the value) → EmuPolicy (owned) */
    EmuAuthorities *authorities; /* owned */
};

static const char *const authentication_names[] = {
    [EMU_AUTHENTICATION_SAS] = "sas",
    [EMU_AUTHENTICATION_SELF_SIGNED] = "selfSigned",
    [EMU_AUTHENTICATION_AUTHORITY] = "certificateAuthority",
};
G_STATIC_ASSERT(G_N_ELEMENTS(authentication_names) == EMU_N_AUTHENTICATIONS);

/* Source: protocol page, 1.6. */
static const struct {
    const char *name;
    EmuRights rights;
} default_policies[] = {
    {"iothubowner", EMU_RIGHT_REGISTRY_READ | EMU_RIGHT_REGISTRY_WRITE | EMU_RIGHT_SERVICE_CONNECT |
                        EMU_RIGHT_DEVICE_CONNECT},
    {"service", EMU_RIGHT_SERVICE_CONNECT},
    {"device", EMU_RIGHT_DEVICE_CONNECT},
    {"registryRead", EMU_RIGHT_REGISTRY_READ},
    {"registryReadWrite", EMU_RIGHT_REGISTRY_READ | EMU_RIGHT_REGISTRY_WRITE},
};

static void
identity_free(EmuIdentity *identity)
{
    g_free(identity->device_id);
    g_free(identity->module_id);
    g_free(identity->generation_id);
    g_free(identity->primary_key);
    g_free(identity->secondary_key);
    g_free(identity->primary_thumbprint);
    g_free(identity->secondary_thumbprint);
    g_free(identity->client_id);
    g_free(identity->disconnect_reason);
    g_free(identity);
}

static void
policy_free(EmuPolicy *policy)
{
    g_free(policy->name);
    g_free(policy->primary_key);
    g_free(policy->secondary_key);
    g_free(policy);
}

static char *
key_of(const char *device_id, const char *module_id)
{
    return module_id != NULL ? g_strconcat(device_id, "/", module_id, NULL) : g_strdup(device_id);
}

static gboolean
authentication_from_name(const char *name, EmuAuthentication *ret_authentication)
{
    for (guint i = 0; i < EMU_N_AUTHENTICATIONS; i++) {
        if (g_strcmp0(authentication_names[i], name) == 0) {
            *ret_authentication = (EmuAuthentication)i;
            return TRUE;
        }
    }
    return FALSE;
}

static void
load_identities(EmuRegistry *self)
{
    sqlite3_stmt *row = emu_store_prepare(
        self->store, "SELECT device_id, module_id, generation_id, status, primary_key,"
                     " secondary_key, authentication, primary_thumbprint, secondary_thumbprint"
                     " FROM identities");

    while (sqlite3_step(row) == SQLITE_ROW) {
        EmuIdentity *identity = g_new0(EmuIdentity, 1);
        identity->device_id = emu_column_text(row, 0);
        if (sqlite3_column_bytes(row, 1) > 0)
            identity->module_id = emu_column_text(row, 1);
        identity->generation_id = emu_column_text(row, 2);
        identity->enabled = g_strcmp0((const char *)sqlite3_column_text(row, 3), "enabled") == 0;
        identity->primary_key = emu_column_text(row, 4);
        identity->secondary_key = emu_column_text(row, 5);
        (void)authentication_from_name((const char *)sqlite3_column_text(row, 6),
                                       &identity->authentication);
        identity->primary_thumbprint = emu_column_text(row, 7);
        identity->secondary_thumbprint = emu_column_text(row, 8);
        g_hash_table_insert(self->identities, key_of(identity->device_id, identity->module_id),
                            identity);
    }
    sqlite3_reset(row);
}

static void
make_policy(EmuRegistry *self, const char *name, EmuRights rights)
{
    g_autofree char *primary = emu_key_new();
    g_autofree char *secondary = emu_key_new();
    g_autoptr(GError) error = NULL;

    sqlite3_stmt *insert =
        emu_store_prepare(self->store, "INSERT OR IGNORE INTO policies VALUES (?1, ?2, ?3, ?4)");
    emu_bind_text(insert, 1, name);
    sqlite3_bind_int(insert, 2, (int)rights);
    emu_bind_text(insert, 3, primary);
    emu_bind_text(insert, 4, secondary);
    if (!emu_store_finish(self->store, insert, &error))
        g_warning("Policy %s is not kept: %s", name, error->message);
}

static void
load_policies(EmuRegistry *self)
{
    for (size_t i = 0; i < G_N_ELEMENTS(default_policies); i++)
        make_policy(self, default_policies[i].name, default_policies[i].rights);

    sqlite3_stmt *row = emu_store_prepare(
        self->store, "SELECT name, rights, primary_key, secondary_key FROM policies");
    while (sqlite3_step(row) == SQLITE_ROW) {
        EmuPolicy *policy = g_new0(EmuPolicy, 1);
        policy->name = emu_column_text(row, 0);
        policy->rights = (EmuRights)sqlite3_column_int(row, 1);
        policy->primary_key = emu_column_text(row, 2);
        policy->secondary_key = emu_column_text(row, 3);
        g_hash_table_insert(self->policies, policy->name, policy);
    }
    sqlite3_reset(row);
}

EmuRegistry *
emu_registry_new(EmuStore *store)
{
    EmuRegistry *self = g_new0(EmuRegistry, 1);

    self->store = store;
    self->identities =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)identity_free);
    self->policies =
        g_hash_table_new_full(g_str_hash, g_str_equal, NULL, (GDestroyNotify)policy_free);
    self->authorities = emu_authorities_new(store);
    load_identities(self);
    load_policies(self);
    return self;
}

void
emu_registry_free(EmuRegistry *self)
{
    if (self == NULL)
        return;

    g_hash_table_unref(self->identities);
    g_hash_table_unref(self->policies);
    emu_authorities_free(self->authorities);
    g_free(self);
}

EmuIdentity *
emu_registry_find(EmuRegistry *self, const char *device_id, const char *module_id)
{
    g_autofree char *key = key_of(device_id, module_id);

    return g_hash_table_lookup(self->identities, key);
}

static int
compare_identities(gconstpointer a, gconstpointer b)
{
    const EmuIdentity *left = *(EmuIdentity *const *)a;
    const EmuIdentity *right = *(EmuIdentity *const *)b;
    int order = strcmp(left->device_id, right->device_id);

    return order != 0 ? order : g_strcmp0(left->module_id, right->module_id);
}

GPtrArray *
emu_registry_list(EmuRegistry *self)
{
    GPtrArray *list = g_ptr_array_new();
    GHashTableIter iter;
    gpointer identity = NULL;

    g_hash_table_iter_init(&iter, self->identities);
    while (g_hash_table_iter_next(&iter, NULL, &identity))
        g_ptr_array_add(list, identity);
    g_ptr_array_sort(list, compare_identities);
    return list;
}

/* NULL and "" are no thumbprints, but they are fine. */
static gboolean
is_thumbprint_change(const char *text)
{
    if (text == NULL || *text == '\0')
        return TRUE;
    g_autofree char *thumbprint = emu_thumbprint_normalize(text);
    return thumbprint != NULL;
}

static gboolean
check_authentication(const EmuIdentity *identity, const EmuIdentityChange *change, GError **error)
{
    EmuAuthentication wanted = identity != NULL ? identity->authentication : EMU_AUTHENTICATION_SAS;
    const char *thumbprint = change->primary_thumbprint;

    if (change->authentication != NULL &&
        !authentication_from_name(change->authentication, &wanted)) {
        g_set_error(error, EMU_ERROR, EMU_ERROR_ARGUMENT,
                    "Authentication is sas, selfSigned or certificateAuthority");
        return FALSE;
    }
    if (!is_thumbprint_change(change->primary_thumbprint) ||
        !is_thumbprint_change(change->secondary_thumbprint)) {
        g_set_error(error, EMU_ERROR, EMU_ERROR_ARGUMENT,
                    "A thumbprint is a SHA-1 or SHA-256 of 40 or 64 hexadecimal digits");
        return FALSE;
    }
    if (thumbprint == NULL && identity != NULL)
        thumbprint = identity->primary_thumbprint;
    if (wanted != EMU_AUTHENTICATION_SELF_SIGNED || (thumbprint != NULL && *thumbprint != '\0'))
        return TRUE;
    g_set_error(error, EMU_ERROR, EMU_ERROR_ARGUMENT,
                "A self-signed identity needs a primary thumbprint");
    return FALSE;
}

static gboolean
check_change(EmuRegistry *self, const char *device_id, const char *module_id,
             const EmuIdentityChange *change, GError **error)
{
    if (!emu_id_is_valid(device_id) || (module_id != NULL && !emu_id_is_valid(module_id))) {
        g_set_error(error, EMU_ERROR, EMU_ERROR_ARGUMENT,
                    "An id is 1 to %d characters of A-Z a-z 0-9 %s", ID_MAX, ID_PUNCTUATION);
        return FALSE;
    }
    if ((change->primary_key != NULL && !emu_key_is_valid(change->primary_key)) ||
        (change->secondary_key != NULL && !emu_key_is_valid(change->secondary_key))) {
        g_set_error(error, EMU_ERROR, EMU_ERROR_ARGUMENT, "A key is base64 of 16 to 64 bytes");
        return FALSE;
    }
    if (change->status != NULL && !g_str_equal(change->status, "enabled") &&
        !g_str_equal(change->status, "disabled")) {
        g_set_error(error, EMU_ERROR, EMU_ERROR_ARGUMENT, "status is enabled or disabled");
        return FALSE;
    }
    if (module_id != NULL && emu_registry_find(self, device_id, NULL) == NULL) {
        g_set_error(error, EMU_ERROR, EMU_ERROR_NOT_FOUND, "Device %s does not exist", device_id);
        return FALSE;
    }
    return check_authentication(emu_registry_find(self, device_id, module_id), change, error);
}

static gboolean
save(EmuRegistry *self, const EmuIdentity *identity, GError **error)
{
    sqlite3_stmt *put = emu_store_prepare(
        self->store, "INSERT OR REPLACE INTO identities (device_id, module_id, generation_id,"
                     " status, primary_key, secondary_key, authentication, primary_thumbprint,"
                     " secondary_thumbprint) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)");

    emu_bind_text(put, 1, identity->device_id);
    emu_bind_text(put, 2, identity->module_id != NULL ? identity->module_id : "");
    emu_bind_text(put, 3, identity->generation_id);
    emu_bind_text(put, 4, identity->enabled ? "enabled" : "disabled");
    emu_bind_text(put, 5, identity->primary_key);
    emu_bind_text(put, 6, identity->secondary_key);
    emu_bind_text(put, 7, authentication_names[identity->authentication]);
    emu_bind_text(put, 8, identity->primary_thumbprint);
    emu_bind_text(put, 9, identity->secondary_thumbprint);
    return emu_store_finish(self->store, put, error);
}

static void
set_key(char **key, const char *wanted)
{
    if (wanted == NULL && *key != NULL)
        return;
    g_free(*key);
    *key = wanted != NULL ? g_strdup(wanted) : emu_key_new();
}

static void
set_thumbprint(char **thumbprint, const char *wanted)
{
    if (wanted == NULL)
        return;
    g_free(*thumbprint);
    *thumbprint = *wanted != '\0' ? emu_thumbprint_normalize(wanted) : NULL;
}

EmuIdentity *
emu_registry_put(EmuRegistry *self, const char *device_id, const char *module_id,
                 const EmuIdentityChange *change, gboolean *ret_created, GError **error)
{
    if (!check_change(self, device_id, module_id, change, error))
        return NULL;

    EmuIdentity *identity = emu_registry_find(self, device_id, module_id);
    gboolean created = identity == NULL;
    if (created) {
        identity = g_new0(EmuIdentity, 1);
        identity->device_id = g_strdup(device_id);
        identity->module_id = g_strdup(module_id);
        identity->generation_id =
            g_strdup_printf("%" G_GINT64_FORMAT "%03u", g_get_real_time(), g_random_int() % 1000);
        identity->enabled = TRUE;
        g_hash_table_insert(self->identities, key_of(device_id, module_id), identity);
    }
    set_key(&identity->primary_key, change->primary_key);
    set_key(&identity->secondary_key, change->secondary_key);
    set_thumbprint(&identity->primary_thumbprint, change->primary_thumbprint);
    set_thumbprint(&identity->secondary_thumbprint, change->secondary_thumbprint);
    if (change->authentication != NULL)
        (void)authentication_from_name(change->authentication, &identity->authentication);
    if (change->status != NULL)
        identity->enabled = g_str_equal(change->status, "enabled");

    if (ret_created != NULL)
        *ret_created = created;
    return save(self, identity, error) ? identity : NULL;
}

static gboolean
delete_rows(EmuRegistry *self, const EmuIdentity *identity, GError **error)
{
    sqlite3_stmt *sessions =
        emu_store_prepare(self->store, "DELETE FROM sessions WHERE device_id = ?1"
                                       " AND (?2 IS NULL OR module_id = ?2)");
    emu_bind_text(sessions, 1, identity->device_id);
    emu_bind_text(sessions, 2, identity->module_id);
    if (!emu_store_finish(self->store, sessions, error))
        return FALSE;

    sqlite3_stmt *rows =
        emu_store_prepare(self->store, "DELETE FROM identities WHERE device_id = ?1"
                                       " AND (?2 IS NULL OR module_id = ?2)");
    emu_bind_text(rows, 1, identity->device_id);
    emu_bind_text(rows, 2, identity->module_id);
    return emu_store_finish(self->store, rows, error);
}

gboolean
emu_registry_remove(EmuRegistry *self, EmuIdentity *identity, GError **error)
{
    if (!delete_rows(self, identity, error))
        return FALSE;

    g_autofree char *key = key_of(identity->device_id, identity->module_id);
    if (identity->module_id == NULL) {
        g_autofree char *prefix = g_strconcat(key, "/", NULL);
        GHashTableIter iter;
        gpointer name = NULL;

        g_hash_table_iter_init(&iter, self->identities);
        while (g_hash_table_iter_next(&iter, &name, NULL)) {
            if (g_str_has_prefix(name, prefix))
                g_hash_table_iter_remove(&iter);
        }
    }
    g_hash_table_remove(self->identities, key);
    return TRUE;
}

const EmuPolicy *
emu_registry_policy(EmuRegistry *self, const char *name)
{
    return g_hash_table_lookup(self->policies, name);
}

EmuAuthorities *
emu_registry_authorities(EmuRegistry *self)
{
    return self->authorities;
}

const char *
emu_authentication_name(EmuAuthentication authentication)
{
    return authentication_names[authentication];
}

const char *
emu_identity_auth_type(const EmuIdentity *identity)
{
    return identity->authentication == EMU_AUTHENTICATION_SAS ? "sas" : "x509";
}

gboolean
emu_id_is_valid(const char *id)
{
    size_t size = strlen(id);

    if (size < 1 || size > ID_MAX)
        return FALSE;
    for (size_t i = 0; i < size; i++) {
        if (!g_ascii_isalnum(id[i]) && strchr(ID_PUNCTUATION, id[i]) == NULL)
            return FALSE;
    }
    return TRUE;
}
