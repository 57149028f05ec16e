/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/config-draft.h"

#include "daemon/config-file.h"
#include "daemon/devices.h"
#include "daemon/error.h"

#include <string.h>

/*
 * Each value is checked where it stands, and the place of the last one kept. A name from a file is
 * repeated in an error only if it can't be half a secret that went to the wrong line.
 */

/* A whole configuration is a handful of small files, or one per device of a gateway. */
#define DROP_INS_MAX 4096

#define DEVICE_NAME_BYTES_MAX 64

gboolean
spoke_config_fail(GError **error, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_propagate_error(error,
                      g_error_new_valist(SPOKE_ERROR, SPOKE_ERROR_INVALID_CONFIG, format, args));
    va_end(args);
    return FALSE;
}

/* Sections */

static void
section_free(SpokeConfigSection *section)
{
    for (guint i = 0; i < section->n_keys; i++)
        spoke_secret_unref(section->settings[i].value);
    spoke_device_config_free(section->device);
    g_free(section->title);
    g_free(section);
}

static SpokeDeviceConfig *
device_new(const char *name)
{
    SpokeDeviceConfig *device = g_new0(SpokeDeviceConfig, 1);

    device->name = g_strdup(name);
    return device;
}

static gpointer
object_of(SpokeConfigDraft *draft, SpokeConfigSection *section)
{
    return strcmp(section->keys->section, SPOKE_CONFIG_DEVICE) == 0 ? (gpointer)section->device
                                                                    : (gpointer)draft->config;
}

/* With all defaults. */
static SpokeConfigSection *
add_section(SpokeConfigDraft *draft, const SpokeConfigKey *keys, guint n, const char *title,
            const char *device_name, GError **error)
{
    SpokeConfigSection *section =
        g_malloc0(sizeof(SpokeConfigSection) + n * sizeof(SpokeConfigSetting));

    section->keys = keys;
    section->n_keys = n;
    section->title = g_strdup(title);
    section->path = draft->main_path;
    if (device_name != NULL)
        section->device = device_new(device_name);
    g_ptr_array_add(draft->sections, section);
    g_hash_table_insert(draft->titles, section->title, section);

    for (guint i = 0; i < n; i++) {
        if (!spoke_config_key_apply(&keys[i], "", object_of(draft, section), error))
            return NULL;
    }
    return section;
}

const char *
spoke_config_section_key_name(const SpokeConfigSection *section, guint key)
{
    return section->keys[key].name;
}

const char *
spoke_config_section_peek(const SpokeConfigSection *section, guint key)
{
    SpokeSecret *value = section->settings[key].value;

    return value != NULL ? spoke_secret_peek(value) : NULL;
}

gboolean
spoke_config_section_blame(const SpokeConfigSection *section, guint key, GError **error)
{
    const SpokeConfigSetting *setting = &section->settings[key];
    const char *name = spoke_config_section_key_name(section, key);
    const char *path = setting->path != NULL ? setting->path : section->path;
    guint line = setting->path != NULL ? setting->line : section->line;

    if (line > 0)
        g_prefix_error(error, "%s:%u: [%s] %s: ", path, line, section->title, name);
    else
        g_prefix_error(error, "%s: [%s] %s: ", path, section->title, name);
    return FALSE;
}

gboolean
spoke_config_section_choose(const SpokeConfigSection *section, const guint *keys, guint n,
                            int *ret_key, GError **error)
{
    int chosen = -1;

    for (guint i = 0; i < n; i++) {
        if (section->settings[keys[i]].value == NULL)
            continue;
        if (chosen < 0) {
            chosen = (int)keys[i];
            continue;
        }

        const SpokeConfigSetting *other = &section->settings[chosen];
        const char *other_name = spoke_config_section_key_name(section, (guint)chosen);

        spoke_config_fail(error,
                          "there can be only one source, but %s:%u has %s=; an empty %s= in a "
                          "later file takes that back",
                          other->path, other->line, other_name, other_name);
        return spoke_config_section_blame(section, keys[i], error);
    }

    *ret_key = chosen;
    return TRUE;
}

/* The draft */

SpokeConfigDraft *
spoke_config_draft_new(const char *main_path, GError **error)
{
    g_autoptr(SpokeConfigDraft) draft = g_new0(SpokeConfigDraft, 1);
    guint n = 0;

    draft->config = g_new0(SpokeConfig, 1);
    draft->config->devices =
        g_ptr_array_new_with_free_func((GDestroyNotify)spoke_device_config_free);
    draft->sections = g_ptr_array_new_with_free_func((GDestroyNotify)section_free);
    draft->titles = g_hash_table_new(g_str_hash, g_str_equal);
    draft->files = g_ptr_array_new_with_free_func(g_free);
    draft->main_path = g_strdup(main_path);

    for (guint i = 0; i < spoke_config_n_keys; i += n) {
        const char *kind = spoke_config_keys[i].section;
        const SpokeConfigKey *first = spoke_config_key_first(kind, &n);
        gboolean is_self = strcmp(kind, "Hub") == 0;

        if (strcmp(kind, SPOKE_CONFIG_DEVICE) != 0 &&
            add_section(draft, first, n, kind, is_self ? SPOKE_DEVICE_SELF : NULL, error) == NULL)
            return NULL;
    }
    draft->n_unnamed = draft->sections->len;
    return g_steal_pointer(&draft);
}

void
spoke_config_draft_free(SpokeConfigDraft *draft)
{
    if (draft == NULL)
        return;

    g_hash_table_unref(draft->titles);
    g_ptr_array_unref(draft->sections);
    g_ptr_array_unref(draft->files);
    spoke_config_free(draft->config);
    g_free(draft->main_path);
    g_free(draft);
}

SpokeConfigSection *
spoke_config_draft_get(SpokeConfigDraft *draft, const char *kind)
{
    return g_hash_table_lookup(draft->titles, kind);
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
unknown_section(const char *title, GError **error)
{
    g_autofree char *known = spoke_config_key_list(NULL);

    if (!may_be_shown(title, "-"))
        return spoke_config_fail(error, "unknown section; known are %s", known);
    return spoke_config_fail(error, "[%s]: unknown section; known are %s", title, known);
}

static gboolean
check_device_name(SpokeConfigDraft *draft, const char *name, GError **error)
{
    size_t size = strspn(name, G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS "-_.");

    if (size == 0 && *name == '\0')
        return spoke_config_fail(error, "[Device]: the name is missing, as in [Device cellar]");
    if (size > DEVICE_NAME_BYTES_MAX || name[size] != '\0')
        return spoke_config_fail(error,
                                 "[Device NAME]: a name is 1 to %d letters (A-Z, a-z), "
                                 "digits, '-', '_' or '.'",
                                 DEVICE_NAME_BYTES_MAX);
    if (strcmp(name, SPOKE_DEVICE_SELF) == 0)
        return spoke_config_fail(error, "[Device self]: self is the machine's own device, which "
                                        "stands in [Hub]; choose another name");
    /* The machine's own is one of them. */
    if (draft->sections->len - draft->n_unnamed >= SPOKE_DEVICES_MAX - 1)
        return spoke_config_fail(error, "[Device %s]: with [Hub] there can be %d devices at most",
                                 name, SPOKE_DEVICES_MAX);
    return TRUE;
}

static gboolean
add_device_section(SpokeConfigDraft *draft, guint line, const char *name, GError **error)
{
    guint n = 0;
    const SpokeConfigKey *first = spoke_config_key_first(SPOKE_CONFIG_DEVICE, &n);
    g_autofree char *title = g_strconcat(SPOKE_CONFIG_DEVICE, " ", name, NULL);

    draft->section = g_hash_table_lookup(draft->titles, title);
    if (draft->section != NULL)
        return TRUE;
    if (!check_device_name(draft, name, error))
        return FALSE;
    draft->section = add_section(draft, first, n, title, name, error);
    if (draft->section == NULL)
        return FALSE;
    draft->section->path = draft->path;
    draft->section->line = line;
    return TRUE;
}

static gboolean
enter_section(SpokeConfigDraft *draft, guint line, const char *title, GError **error)
{
    size_t size = strcspn(title, " \t");

    if (size == strlen(SPOKE_CONFIG_DEVICE) && strncmp(title, SPOKE_CONFIG_DEVICE, size) == 0) {
        g_autofree char *name = g_strstrip(g_strdup(title + size));

        return add_device_section(draft, line, name, error);
    }
    draft->section = spoke_config_draft_get(draft, title);
    return draft->section != NULL || unknown_section(title, error);
}

static gboolean
unknown_key(const SpokeConfigSection *section, const char *name, const char *value, GError **error)
{
    g_autofree char *known = spoke_config_key_list(section->keys->section);

    if (!may_be_shown(name, value))
        return spoke_config_fail(error, "[%s]: unknown key; known are %s", section->title, known);
    return spoke_config_fail(error, "[%s] %s: unknown key; known are %s", section->title, name,
                             known);
}

/* Readable for other users than owner and group is readable for everybody. */
static gboolean
check_inline(const SpokeConfigDraft *draft, GError **error)
{
    if ((draft->mode & 007) == 0)
        return TRUE;
    return spoke_config_fail(error,
                             "the key in it can be read by every user of this machine (mode "
                             "%04o); run `chmod o= %s`, or use ConnectionStringFile=",
                             (guint)draft->mode, draft->path);
}

static gboolean
has_inline_secret(const SpokeConfigSection *section, guint index)
{
    return section->device != NULL && index == SPOKE_CONFIG_STRING;
}

static gboolean
set_key(SpokeConfigDraft *draft, const SpokeConfigKey *key, guint line, const char *value,
        GError **error)
{
    SpokeConfigSection *section = draft->section;
    guint index = (guint)(key - section->keys);
    SpokeConfigSetting *setting = &section->settings[index];

    if (setting->path == draft->path)
        return spoke_config_fail(error, "stands there twice, first in line %u", setting->line);
    if (!spoke_config_key_apply(key, value, object_of(draft, section), error))
        return FALSE;
    if (has_inline_secret(section, index) && *value != '\0' && !check_inline(draft, error))
        return FALSE;

    setting->path = draft->path;
    setting->line = line;
    if (key->offset == SPOKE_CONFIG_KEPT) {
        spoke_secret_unref(setting->value);
        setting->value = *value != '\0' ? spoke_secret_new(value, strlen(value)) : NULL;
    }
    return TRUE;
}

static gboolean
on_line(guint line, const char *title, const char *name, const char *value, gpointer user_data,
        GError **error)
{
    SpokeConfigDraft *draft = user_data;

    if (name == NULL)
        return enter_section(draft, line, title, error);

    const SpokeConfigKey *key = spoke_config_key_find(draft->section->keys->section, name);

    if (key == NULL)
        return unknown_key(draft->section, name, value, error);
    if (!set_key(draft, key, line, value, error)) {
        g_prefix_error(error, "[%s] %s: ", draft->section->title, name);
        return FALSE;
    }
    return TRUE;
}

gboolean
spoke_config_draft_read(SpokeConfigDraft *draft, const char *path, gboolean may_be_missing,
                        GError **error)
{
    g_autoptr(GError) why = NULL;
    g_autoptr(SpokeConfigText) text =
        spoke_config_text_read(path, SPOKE_CONFIG_FILE_BYTES_MAX, &why);
    guint line = 0;

    if (text == NULL)
        return (may_be_missing && g_error_matches(why, G_FILE_ERROR, G_FILE_ERROR_NOENT)) ||
               spoke_config_fail(error, "%s: %s", path, why->message);

    draft->path = g_strdup(path);
    g_ptr_array_add(draft->files, (char *)draft->path);
    draft->mode = text->mode;
    if (!spoke_config_text_walk(text, on_line, draft, &line, error)) {
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
    g_autoptr(GError) why = NULL;
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GDir) dir = g_dir_open(directory, 0, &why);
    const char *name = NULL;

    if (dir == NULL) {
        if (g_error_matches(why, G_FILE_ERROR, G_FILE_ERROR_NOENT))
            return g_steal_pointer(&names);
        spoke_config_fail(error, "%s", why->message);
        return NULL;
    }
    while ((name = g_dir_read_name(dir)) != NULL) {
        if (*name != '.' && g_str_has_suffix(name, ".conf"))
            g_ptr_array_add(names, g_strdup(name));
    }
    if (names->len > DROP_INS_MAX) {
        spoke_config_fail(error, "%s: %u drop-ins are over the limit of %d", directory, names->len,
                          DROP_INS_MAX);
        return NULL;
    }

    g_ptr_array_sort(names, compare_names);
    return g_steal_pointer(&names);
}

gboolean
spoke_config_draft_read_drop_ins(SpokeConfigDraft *draft, GError **error)
{
    g_autofree char *directory = g_strconcat(draft->main_path, ".d", NULL);
    g_autoptr(GPtrArray) names = list_drop_ins(directory, error);

    if (names == NULL)
        return FALSE;
    for (guint i = 0; i < names->len; i++) {
        g_autofree char *path = g_build_filename(directory, g_ptr_array_index(names, i), NULL);

        if (!spoke_config_draft_read(draft, path, FALSE, error))
            return FALSE;
    }
    return TRUE;
}
