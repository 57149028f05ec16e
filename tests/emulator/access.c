/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Who may connect as whom: the one place where tokens, certificates, identities and policies
 * meet. */

#include "access.h"

#include "authorities.h"
#include "chain.h"
#include "error.h"
#include "sas.h"

gboolean
emu_access_is_enabled(EmuRegistry *registry, const EmuIdentity *identity)
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

static gboolean
check_enabled(EmuRegistry *registry, const EmuIdentity *identity, GError **error)
{
    if (emu_access_is_enabled(registry, identity))
        return TRUE;
    g_set_error(error, EMU_ERROR, EMU_ERROR_DISABLED, "%s%s%s is disabled", identity->device_id,
                identity->module_id != NULL ? "/" : "",
                identity->module_id != NULL ? identity->module_id : "");
    return FALSE;
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

    if (!check_enabled(registry, identity, error))
        return FALSE;
    if (identity->authentication != EMU_AUTHENTICATION_SAS) {
        g_set_error(error, EMU_ERROR, EMU_ERROR_UNAUTHORIZED, "%s uses certificates, not tokens",
                    resource);
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

/* The certificate is in the identity's name. */
static gboolean
check_name(const EmuChain *chain, const EmuIdentity *identity, GError **error)
{
    g_autofree char *actual = emu_chain_common_name(chain);
    g_autofree char *expected = identity->module_id != NULL ? g_strconcat(identity->device_id, "/",
                                                                          identity->module_id, NULL)
                                                            : g_strdup(identity->device_id);

    if (g_strcmp0(actual, expected) == 0)
        return TRUE;
    g_set_error(error, EMU_ERROR, EMU_ERROR_UNAUTHORIZED, "The certificate is for %s, not for %s",
                actual != NULL ? actual : "nobody", expected);
    return FALSE;
}

static gboolean
check_thumbprint(const EmuChain *chain, const EmuIdentity *identity, GError **error)
{
    if (emu_chain_has_thumbprint(chain, identity->primary_thumbprint) ||
        emu_chain_has_thumbprint(chain, identity->secondary_thumbprint))
        return TRUE;
    g_set_error(error, EMU_ERROR, EMU_ERROR_UNAUTHORIZED,
                "The certificate has none of the thumbprints of %s", identity->device_id);
    return FALSE;
}

gboolean
emu_access_check_certificate(EmuRegistry *registry, const EmuIdentity *identity,
                             GTlsCertificate *peer, gint64 now_sec, GError **error)
{
    if (!check_enabled(registry, identity, error))
        return FALSE;
    if (identity->authentication == EMU_AUTHENTICATION_SAS || peer == NULL) {
        g_set_error(error, EMU_ERROR, EMU_ERROR_UNAUTHORIZED,
                    identity->authentication == EMU_AUTHENTICATION_SAS
                        ? "%s uses tokens, and none was presented"
                        : "%s uses certificates, and none was presented",
                    identity->device_id);
        return FALSE;
    }

    g_autoptr(EmuChain) chain = emu_chain_new(peer, error);
    if (chain == NULL)
        return FALSE;
    if (identity->authentication == EMU_AUTHENTICATION_SELF_SIGNED)
        return check_thumbprint(chain, identity, error) &&
               emu_chain_check_leaf_dates(chain, now_sec, error);
    return emu_authorities_check(emu_registry_authorities(registry), chain, now_sec, error) &&
           check_name(chain, identity, error);
}

gboolean
emu_access_check_credential(EmuRegistry *registry, const char *host, const EmuIdentity *identity,
                            const EmuCredential *credential, gint64 now_sec, gint64 grace_sec,
                            gint64 *ret_expiry_sec, GError **error)
{
    gboolean has_token = credential->token != NULL && credential->token_size > 0;

    if (has_token || identity->authentication == EMU_AUTHENTICATION_SAS)
        return emu_access_check(registry, host, identity, has_token ? credential->token : NULL,
                                credential->token_size, now_sec, grace_sec, ret_expiry_sec, error);
    if (!emu_access_check_certificate(registry, identity, credential->peer, now_sec, error))
        return FALSE;
    *ret_expiry_sec = EMU_ACCESS_ENDLESS_SEC;
    return TRUE;
}
