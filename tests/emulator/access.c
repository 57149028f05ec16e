/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Who may connect as whom: the one place where tokens, identities and policies meet. */

#include "access.h"

#include "error.h"
#include "sas.h"

static gboolean
is_enabled(EmuRegistry *registry, const EmuIdentity *identity)
{
    if (identity->module_id == NULL)
        return identity->enabled;

    const EmuIdentity *device = emu_registry_find(registry, identity->device_id, NULL);
    return identity->enabled && device != NULL && device->enabled;
}

/* The keys that may have signed: the policy's if one is named, else the identity's own. A token
 * for the whole device also opens its modules, signed with the device's key. */
static gboolean
is_signed_rightly(EmuRegistry *registry, const EmuIdentity *identity, const EmuSas *sas)
{
    if (sas->policy != NULL) {
        const EmuPolicy *policy = emu_registry_policy(registry, sas->policy);
        return policy != NULL && (policy->rights & EMU_RIGHT_DEVICE_CONNECT) != 0 &&
               (emu_sas_is_signed_with(sas, policy->primary_key) ||
                emu_sas_is_signed_with(sas, policy->secondary_key));
    }

    if (emu_sas_is_signed_with(sas, identity->primary_key) ||
        emu_sas_is_signed_with(sas, identity->secondary_key))
        return TRUE;
    if (identity->module_id == NULL)
        return FALSE;
    const EmuIdentity *device = emu_registry_find(registry, identity->device_id, NULL);
    return device != NULL && (emu_sas_is_signed_with(sas, device->primary_key) ||
                              emu_sas_is_signed_with(sas, device->secondary_key));
}

static char *
resource_of(const char *host, const EmuIdentity *identity)
{
    if (identity->module_id == NULL)
        return g_strdup_printf("%s/devices/%s", host, identity->device_id);
    return g_strdup_printf("%s/devices/%s/modules/%s", host, identity->device_id,
                           identity->module_id);
}

gboolean
emu_access_check(EmuRegistry *registry, const char *host, const EmuIdentity *identity,
                 const char *token, size_t token_size, gint64 now_sec, gint64 grace_sec,
                 gint64 *ret_expiry_sec, GError **error)
{
    g_autofree char *resource = resource_of(host, identity);
    g_auto(EmuSas) sas = {0};

    if (!is_enabled(registry, identity)) {
        g_set_error(error, EMU_ERROR, EMU_ERROR_DISABLED, "%s is disabled", resource);
        return FALSE;
    }
    if (token == NULL) {
        g_set_error(error, EMU_ERROR, EMU_ERROR_TOKEN, "No token was presented for %s", resource);
        return FALSE;
    }
    if (!emu_sas_parse(token, token_size, &sas, error))
        return FALSE;
    if (!emu_sas_covers(&sas, resource)) {
        g_set_error(error, EMU_ERROR, EMU_ERROR_UNAUTHORIZED, "Token does not cover %s", resource);
        return FALSE;
    }
    if (!is_signed_rightly(registry, identity, &sas)) {
        g_set_error(error, EMU_ERROR, EMU_ERROR_TOKEN, "Token for %s is not signed with its key",
                    resource);
        return FALSE;
    }
    if (sas.expiry_sec + grace_sec <= now_sec) {
        g_set_error(error, EMU_ERROR, EMU_ERROR_TOKEN,
                    "Token for %s ran out %" G_GINT64_FORMAT " s ago", resource,
                    now_sec - sas.expiry_sec);
        return FALSE;
    }

    *ret_expiry_sec = sas.expiry_sec;
    return TRUE;
}
