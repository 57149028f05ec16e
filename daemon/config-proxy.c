/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/config-proxy.h"

#include "daemon/config-source.h"

#include <string.h>

#define PASSWORD_BYTES_MAX 1024

/* The last line break is the editor's. */
static SpokeSecret *
make_password(const SpokeConfigText *text, const char *path, GError **error)
{
    size_t size = text->size;

    if (size > 0 && text->text[size - 1] == '\n')
        size--;
    if (size > 0 && text->text[size - 1] == '\r')
        size--;
    if (size == 0) {
        spoke_config_fail(error, "%s: it is empty", path);
        return NULL;
    }
    return spoke_secret_new(text->text, size);
}

static SpokeSecret *
read_password(guint key, const char *value, const char *credentials_directory, GError **error)
{
    gboolean is_file = key == SPOKE_CONFIG_PROXY_PASSWORD_FILE;
    g_autofree char *path =
        is_file ? g_strdup(value)
                : spoke_config_source_find_credential(credentials_directory, value, error);

    if (path == NULL)
        return NULL;

    g_autoptr(SpokeConfigText) text =
        is_file ? spoke_config_source_read_file(path, PASSWORD_BYTES_MAX, error)
                : spoke_config_source_read_credential(path, PASSWORD_BYTES_MAX, error);

    return text != NULL ? make_password(text, path, error) : NULL;
}

/* @ret_key: -1 and @ret_password NULL if there is none */
static gboolean
take_password(const SpokeConfigSection *section, const char *credentials_directory, int *ret_key,
              SpokeSecret **ret_password, GError **error)
{
    static const guint keys[] = {SPOKE_CONFIG_PROXY_PASSWORD_FILE,
                                 SPOKE_CONFIG_PROXY_PASSWORD_CREDENTIAL};

    if (!spoke_config_section_choose(section, keys, G_N_ELEMENTS(keys), ret_key, error))
        return FALSE;
    if (*ret_key < 0)
        return TRUE;

    *ret_password =
        read_password((guint)*ret_key, spoke_config_section_peek(section, (guint)*ret_key),
                      credentials_directory, error);
    return *ret_password != NULL || spoke_config_section_blame(section, (guint)*ret_key, error);
}

static gboolean
take_section(SpokeConfigDraft *draft, const SpokeConfigSection *section, const char *url,
             const char *credentials_directory, GError **error)
{
    g_autoptr(SpokeSecret) password = NULL;
    int password_key = -1;

    if (!take_password(section, credentials_directory, &password_key, &password, error))
        return FALSE;

    /* Each by itself has been found good: what is left is between the password and the user. */
    draft->config->proxy = spoke_proxy_settings_new(
        url, spoke_config_section_peek(section, SPOKE_CONFIG_PROXY_USER), password,
        spoke_config_section_peek(section, SPOKE_CONFIG_PROXY_NO_PROXY), error);
    return draft->config->proxy != NULL ||
           spoke_config_section_blame(
               section, password_key >= 0 ? (guint)password_key : SPOKE_CONFIG_PROXY_URL, error);
}

/* Better than to leave somebody in the belief that it does something. */
static gboolean
check_nothing_set(const SpokeConfigSection *section, GError **error)
{
    for (guint i = SPOKE_CONFIG_PROXY_USER; i < SPOKE_CONFIG_PROXY_USE_ENVIRONMENT; i++) {
        if (section->settings[i].value == NULL)
            continue;
        spoke_config_fail(error, "it belongs to the proxy in Url=, which is not set");
        return spoke_config_section_blame(section, i, error);
    }
    return TRUE;
}

gboolean
spoke_config_resolve_proxy(SpokeConfigDraft *draft, char **environment, GError **error)
{
    const SpokeConfigSection *section = spoke_config_draft_get(draft, "Proxy");
    const char *url = spoke_config_section_peek(section, SPOKE_CONFIG_PROXY_URL);
    g_autoptr(GError) why = NULL;

    if (url != NULL)
        return take_section(draft, section, url,
                            g_environ_getenv(environment, "CREDENTIALS_DIRECTORY"), error);
    if (!check_nothing_set(section, error))
        return FALSE;
    if (g_strcmp0(spoke_config_section_peek(section, SPOKE_CONFIG_PROXY_USE_ENVIRONMENT), "no") ==
        0)
        return TRUE;

    draft->config->proxy = spoke_proxy_settings_from_environment(environment, &why);
    if (why == NULL)
        return TRUE;
    spoke_config_fail(error, "%s; change it, or set UseEnvironment=no", why->message);
    return spoke_config_section_blame(section, SPOKE_CONFIG_PROXY_USE_ENVIRONMENT, error);
}
