/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/config.h"

#include "daemon/config-file.h"
#include "daemon/config-keys.h"
#include "daemon/error.h"
#include "daemon/identity.h"

#include <string.h>
#include <unistd.h>

/*
 * A configuration grows in a draft: the defaults of all keys first, then file by file, each value
 * checked where it stands and the place of the last one kept. Only when all files are read is it
 * known which of the three sources gives the connection string.
 */
#define DEFAULT_CREDENTIAL "connection-string"

/* A whole configuration is a handful of small files. */
#define DROP_INS_MAX 256

/* Where a key's present value stands. */
typedef struct {
    const char *path; /* borrowed from the draft's files; NULL: in no file */
    guint line;
    SpokeSecret *value; /* owned; of the three sources only */
} Setting;

typedef struct {
    SpokeConfig *config; /* owned */
    Setting *settings;   /* owned; one per key of the table */
    GPtrArray *files;    /* owned */
    /* The file being read. */
    const char *path; /* borrowed from files */
    mode_t mode;
} Draft;

static void
draft_clear(Draft *draft)
{
    for (guint i = 0; i < spoke_config_n_keys; i++)
        spoke_secret_unref(draft->settings[i].value);
    g_free(draft->settings);
    g_clear_pointer(&draft->config, spoke_config_free);
    g_clear_pointer(&draft->files, g_ptr_array_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Draft, draft_clear)

static gboolean
draft_init(Draft *draft, GError **error)
{
    draft->config = g_new0(SpokeConfig, 1);
    draft->config->devices =
        g_ptr_array_new_with_free_func((GDestroyNotify)spoke_device_config_free);
    draft->settings = g_new0(Setting, spoke_config_n_keys);
    draft->files = g_ptr_array_new_with_free_func(g_free);

    for (guint i = 0; i < spoke_config_n_keys; i++) {
        if (!spoke_config_key_apply(&spoke_config_keys[i], "", draft->config, error))
            return FALSE;
    }
    return TRUE;
}

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

/* A name may be shown if it looks like one and has a value: the end of a key in base64, on a line
 * of its own, does not. */
static gboolean
may_be_shown(const char *name, const char *value)
{
    size_t size = strlen(name);

    for (size_t i = 0; i < size; i++) {
        if (!g_ascii_isalnum(name[i]) && strchr("-_ @:.", name[i]) == NULL)
            return FALSE;
    }
    return size <= 64 && value[strspn(value, "=")] != '\0';
}

static gboolean
unknown_key(const char *section, const char *name, const char *value, GError **error)
{
    g_autofree char *known = spoke_config_key_list(section);

    if (known == NULL) {
        g_autofree char *sections = spoke_config_key_list(NULL);

        if (!may_be_shown(section, "-"))
            return fail(error, "unknown section; known are %s", sections);
        return fail(error, "[%s]: unknown section; known are %s", section, sections);
    }
    if (!may_be_shown(name, value))
        return fail(error, "[%s]: unknown key; known are %s", section, known);
    return fail(error, "[%s] %s: unknown key; known are %s", section, name, known);
}

/* Readable for other users than owner and group is readable for everybody. */
static gboolean
check_inline(const Draft *draft, GError **error)
{
    if ((draft->mode & 007) == 0)
        return TRUE;
    return fail(error,
                "the key in it can be read by every user of this machine (mode %04o); run `chmod "
                "o= %s`, or use ConnectionStringFile=",
                (guint)draft->mode, draft->path);
}

static gboolean
set_key(Draft *draft, guint index, guint line, const char *value, GError **error)
{
    Setting *setting = &draft->settings[index];

    if (setting->path == draft->path)
        return fail(error, "stands there twice, first in line %u", setting->line);
    if (!spoke_config_key_apply(&spoke_config_keys[index], value, draft->config, error))
        return FALSE;
    if (index == SPOKE_CONFIG_SOURCE_INLINE && *value != '\0' && !check_inline(draft, error))
        return FALSE;

    setting->path = draft->path;
    setting->line = line;
    if (index < SPOKE_CONFIG_N_SOURCES) {
        spoke_secret_unref(setting->value);
        setting->value = *value != '\0' ? spoke_secret_new(value, strlen(value)) : NULL;
    }
    return TRUE;
}

static gboolean
on_key(guint line, const char *section, const char *name, const char *value, gpointer user_data,
       GError **error)
{
    Draft *draft = user_data;
    const SpokeConfigKey *key = spoke_config_key_find(section, name);

    if (key == NULL)
        return unknown_key(section, name, value, error);
    if (!set_key(draft, (guint)(key - spoke_config_keys), line, value, error)) {
        g_prefix_error(error, "[%s] %s: ", section, name);
        return FALSE;
    }
    return TRUE;
}

/* Takes @path over. */
static gboolean
read_file(Draft *draft, char *path, gboolean may_be_missing, GError **error)
{
    g_autoptr(GError) local_error = NULL;
    guint line = 0;

    g_ptr_array_add(draft->files, path);
    g_autoptr(SpokeConfigText) text =
        spoke_config_text_read(path, SPOKE_CONFIG_FILE_BYTES_MAX, &local_error);
    if (text == NULL) {
        if (may_be_missing && g_error_matches(local_error, G_FILE_ERROR, G_FILE_ERROR_NOENT)) {
            g_ptr_array_remove(draft->files, path);
            return TRUE;
        }
        return fail(error, "%s: %s", path, local_error->message);
    }

    draft->path = path;
    draft->mode = text->mode;
    if (!spoke_config_text_walk(text, on_key, draft, &line, error)) {
        g_prefix_error(error, "%s:%u: ", path, line);
        return FALSE;
    }
    return TRUE;
}

static int
compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The names of @directory's drop-ins, sorted; none if there is no such directory. */
static GPtrArray *
list_drop_ins(const char *directory, GError **error)
{
    g_autoptr(GError) local_error = NULL;
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GDir) dir = g_dir_open(directory, 0, &local_error);
    const char *name = NULL;

    if (dir == NULL) {
        if (g_error_matches(local_error, G_FILE_ERROR, G_FILE_ERROR_NOENT))
            return g_steal_pointer(&names);
        fail(error, "%s", local_error->message);
        return NULL;
    }
    while ((name = g_dir_read_name(dir)) != NULL) {
        if (*name != '.' && g_str_has_suffix(name, ".conf"))
            g_ptr_array_add(names, g_strdup(name));
    }
    if (names->len > DROP_INS_MAX) {
        fail(error, "%s: %u drop-ins are over the limit of %d", directory, names->len,
             DROP_INS_MAX);
        return NULL;
    }

    g_ptr_array_sort(names, compare_names);
    return g_steal_pointer(&names);
}

static gboolean
read_drop_ins(Draft *draft, const char *main_path, GError **error)
{
    g_autofree char *directory = g_strconcat(main_path, ".d", NULL);
    g_autoptr(GPtrArray) names = list_drop_ins(directory, error);

    if (names == NULL)
        return FALSE;
    for (guint i = 0; i < names->len; i++) {
        char *path = g_build_filename(directory, g_ptr_array_index(names, i), NULL);

        if (!read_file(draft, path, FALSE, error))
            return FALSE;
    }
    return TRUE;
}

/* Which source gives the connection string; SPOKE_CONFIG_N_SOURCES if none does. */
static gboolean
choose_source(Draft *draft, guint *ret_source, GError **error)
{
    guint source = SPOKE_CONFIG_N_SOURCES;

    for (guint i = 0; i < SPOKE_CONFIG_N_SOURCES; i++) {
        const Setting *setting = &draft->settings[i], *other = NULL;

        if (setting->value == NULL)
            continue;
        if (source == SPOKE_CONFIG_N_SOURCES) {
            source = i;
            continue;
        }
        other = &draft->settings[source];
        return fail(error,
                    "%s:%u: [Hub] %s: there can be only one source, but %s:%u has %s=; an empty "
                    "%s= in a later file takes that back",
                    setting->path, setting->line, spoke_config_keys[i].name, other->path,
                    other->line, spoke_config_keys[source].name, spoke_config_keys[source].name);
    }

    *ret_source = source;
    return TRUE;
}

static SpokeConnectionString *
parse_file(const char *path, gboolean check_access, GError **error)
{
    g_autoptr(GError) local_error = NULL;
    g_autoptr(SpokeConfigText) text =
        spoke_config_text_read(path, SPOKE_CONNECTION_STRING_BYTES_MAX + 64, &local_error);
    g_autoptr(SpokeConnectionString) string = NULL;

    if (check_access && g_error_matches(local_error, G_FILE_ERROR, G_FILE_ERROR_ACCES)) {
        fail(error, "%s: %s; run `chown %s: %s`", path, local_error->message, g_get_user_name(),
             path);
        return NULL;
    }
    if (text == NULL) {
        fail(error, "%s: %s", path, local_error->message);
        return NULL;
    }
    if (check_access && (text->mode & 077) != 0) {
        fail(error, "%s: other users can read or change it (mode %04o); run `chmod 600 %s`", path,
             (guint)text->mode, path);
        return NULL;
    }
    if (check_access && text->owner != 0 && text->owner != geteuid()) {
        fail(error,
             "%s: it belongs to user %u; it must belong to root or to %s, the user the "
             "daemon runs as",
             path, (guint)text->owner, g_get_user_name());
        return NULL;
    }
    if (strlen(text->text) != text->size) {
        fail(error, "%s: there is a NUL byte in it", path);
        return NULL;
    }

    string = spoke_connection_string_parse(text->text, error);
    if (string == NULL)
        g_prefix_error(error, "%s: ", path);
    return g_steal_pointer(&string);
}

/* A credential's modes are systemd's business: its directory is ours alone. */
static SpokeConnectionString *
parse_credential(const char *name, const char *directory, GError **error)
{
    if (directory == NULL) {
        fail(error,
             "the daemon was started without credentials; give its unit "
             "LoadCredential=%s:PATH (systemctl edit spoked)",
             name);
        return NULL;
    }

    g_autofree char *path = g_build_filename(directory, name, NULL);
    return parse_file(path, FALSE, error);
}

static SpokeConnectionString *
parse_source(Draft *draft, guint source, const char *credentials_directory, GError **error)
{
    const Setting *setting = &draft->settings[source];
    const char *value = spoke_secret_peek(setting->value);
    SpokeConnectionString *string = NULL;

    if (source == SPOKE_CONFIG_SOURCE_INLINE)
        string = spoke_connection_string_parse(value, error);
    else if (source == SPOKE_CONFIG_SOURCE_FILE)
        string = parse_file(value, TRUE, error);
    else
        string = parse_credential(value, credentials_directory, error);

    if (string == NULL)
        g_prefix_error(error, "%s:%u: [Hub] %s: ", setting->path, setting->line,
                       spoke_config_keys[source].name);
    return string;
}

static SpokeConnectionString *
parse_default_credential(const char *main_path, const char *credentials_directory, GError **error)
{
    g_autofree char *path = credentials_directory != NULL
                                ? g_build_filename(credentials_directory, DEFAULT_CREDENTIAL, NULL)
                                : NULL;

    if (path != NULL && g_file_test(path, G_FILE_TEST_EXISTS))
        return parse_file(path, FALSE, error);

    fail(error,
         "%s: [Hub] ConnectionString: no connection string is given; set "
         "ConnectionStringFile=, or see spoked.conf(5) for other ways",
         main_path);
    return NULL;
}

static gboolean
resolve_connection_string(Draft *draft, const char *main_path, const char *credentials_directory,
                          GError **error)
{
    guint source = SPOKE_CONFIG_N_SOURCES;

    if (!choose_source(draft, &source, error))
        return FALSE;

    SpokeConnectionString *string =
        source == SPOKE_CONFIG_N_SOURCES
            ? parse_default_credential(main_path, credentials_directory, error)
            : parse_source(draft, source, credentials_directory, error);

    if (string == NULL)
        return FALSE;

    SpokeDeviceConfig *self = g_new0(SpokeDeviceConfig, 1);

    self->name = g_strdup(SPOKE_DEVICE_SELF);
    self->connection_string = string;
    g_ptr_array_insert(draft->config->devices, 0, self);
    return TRUE;
}

SpokeConfig *
spoke_config_load_full(const char *vendor_path, const char *path, const char *credentials_directory,
                       GError **error)
{
    g_return_val_if_fail(vendor_path != NULL && path != NULL, NULL);

    g_auto(Draft) draft = {NULL};

    if (!draft_init(&draft, error) || !read_file(&draft, g_strdup(vendor_path), TRUE, error) ||
        !read_file(&draft, g_strdup(path), strcmp(path, SPOKE_CONFIG_FILE) == 0, error) ||
        !read_drop_ins(&draft, path, error) ||
        !resolve_connection_string(&draft, path, credentials_directory, error))
        return NULL;

    g_ptr_array_set_free_func(draft.files, NULL);
    g_ptr_array_add(draft.files, NULL);
    draft.config->files = (char **)g_ptr_array_free(g_steal_pointer(&draft.files), FALSE);
    return g_steal_pointer(&draft.config);
}

SpokeConfig *
spoke_config_load(const char *path, GError **error)
{
    return spoke_config_load_full(SPOKE_CONFIG_VENDOR_FILE, path != NULL ? path : SPOKE_CONFIG_FILE,
                                  g_getenv("CREDENTIALS_DIRECTORY"), error);
}

const SpokeDeviceConfig *
spoke_config_get_self(const SpokeConfig *config)
{
    return g_ptr_array_index(config->devices, 0);
}

void
spoke_device_config_free(SpokeDeviceConfig *device)
{
    if (device == NULL)
        return;

    g_free(device->name);
    spoke_connection_string_free(device->connection_string);
    g_free(device->certificate_file);
    g_free(device->key_file);
    g_strfreev(device->users);
    g_free(device);
}

void
spoke_config_free(SpokeConfig *config)
{
    if (config == NULL)
        return;

    g_strfreev(config->files);
    g_ptr_array_unref(config->devices);
    g_free(config->transport);
    g_free(config->ca_file);
    spoke_proxy_settings_unref(config->proxy);
    g_free(config);
}
