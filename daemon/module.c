/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/module.h"

#include "daemon/error.h"

#include <gmodule.h>
#include <string.h>

static const SpokeTransportModule *
find_form(GModule *module, const char *path, const char *name, GError **error)
{
    gpointer symbol = NULL;

    if (!g_module_symbol(module, SPOKE_TRANSPORT_SYMBOL, &symbol) || symbol == NULL) {
        g_set_error(error, SPOKE_ERROR, SPOKE_ERROR_FAILED, "%s is not a transport module", path);
        return NULL;
    }

    for (const SpokeTransportModule *const *form = symbol; *form != NULL; form++) {
        if ((*form)->abi != SPOKE_TRANSPORT_ABI) {
            g_set_error(error, SPOKE_ERROR, SPOKE_ERROR_FAILED,
                        "%s is made for another version of spoked: interface %u, not %u", path,
                        (*form)->abi, SPOKE_TRANSPORT_ABI);
            return NULL;
        }
        if (g_str_equal((*form)->name, name))
            return *form;
    }
    g_set_error(error, SPOKE_ERROR, SPOKE_ERROR_FAILED, "%s has no transport %s", path, name);
    return NULL;
}

const SpokeTransportModule *
spoke_module_load(const char *directory, const char *name, GError **error)
{
    g_autofree char *family = g_strndup(name, strcspn(name, "-"));
    g_autofree char *file = g_strconcat(family, "." G_MODULE_SUFFIX, NULL);
    g_autofree char *path = g_build_filename(directory, file, NULL);

    if (!g_file_test(path, G_FILE_TEST_EXISTS)) {
        g_set_error(error, SPOKE_ERROR, SPOKE_ERROR_FAILED,
                    "The transport %s is not installed: there is no %s (on Debian it is in the "
                    "package spoked-%s)",
                    name, path, family);
        return NULL;
    }

    GModule *module = g_module_open(path, G_MODULE_BIND_LOCAL);

    if (module == NULL) {
        g_set_error(error, SPOKE_ERROR, SPOKE_ERROR_FAILED, "Cannot load transport module: %s",
                    g_module_error());
        return NULL;
    }

    const SpokeTransportModule *form = find_form(module, path, name, error);

    if (form != NULL)
        g_module_make_resident(module);
    else
        g_module_close(module);
    return form;
}
