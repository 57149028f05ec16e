/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/config.h"

#include "daemon/config-devices.h"
#include "daemon/config-draft.h"
#include "daemon/config-proxy.h"

#include <string.h>

/*
 * A configuration grows in a draft: the defaults of all keys first, then file by file. Only when
 * all files are read is it known what those keys mean that have to be seen together.
 */

/* (transfer full): the array, NULL-terminated */
static char **
take_files(SpokeConfigDraft *draft)
{
    GPtrArray *files = g_steal_pointer(&draft->files);

    draft->files = g_ptr_array_new();
    g_ptr_array_set_free_func(files, NULL);
    g_ptr_array_add(files, NULL);
    return (char **)g_ptr_array_free(files, FALSE);
}

SpokeConfig *
spoke_config_load_full(const char *vendor_path, const char *path, char **environment,
                       GError **error)
{
    g_return_val_if_fail(vendor_path != NULL && path != NULL, NULL);

    g_autoptr(SpokeConfigDraft) draft = spoke_config_draft_new(path, error);

    if (draft == NULL || !spoke_config_draft_read(draft, vendor_path, TRUE, error) ||
        !spoke_config_draft_read(draft, path, strcmp(path, SPOKE_CONFIG_FILE) == 0, error) ||
        !spoke_config_draft_read_drop_ins(draft, error) ||
        !spoke_config_resolve_devices(draft, g_environ_getenv(environment, "CREDENTIALS_DIRECTORY"),
                                      error) ||
        !spoke_config_resolve_proxy(draft, environment, error))
        return NULL;

    draft->config->files = take_files(draft);
    return g_steal_pointer(&draft->config);
}

SpokeConfig *
spoke_config_load(const char *path, char **environment, GError **error)
{
    return spoke_config_load_full(SPOKE_CONFIG_VENDOR_FILE, path != NULL ? path : SPOKE_CONFIG_FILE,
                                  environment, error);
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
