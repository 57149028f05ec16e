/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What an owner of devices does with openssl and the portal, in one step. */

#include "device-certificates.h"

#include "authorities.h"
#include "certificate-pair.h"
#include "chain.h"
#include "hub.h"

#include <gnutls/crypto.h>
#include <string.h>

#define AUTHORITY_DAYS 3650

void
emu_issued_clear(EmuIssued *issued)
{
    if (issued->key != NULL)
        gnutls_memset(issued->key, 0, strlen(issued->key));
    g_clear_pointer(&issued->certificate, g_free);
    g_clear_pointer(&issued->key, g_free);
    g_clear_pointer(&issued->thumbprint, g_free);
}

/* The authority for tests, kept as long as it is valid, and registered. */
static gboolean
ensure_authority(EmuHub *hub, EmuPair *authority, GError **error)
{
    const char *state_dir = emu_hub_options(hub)->state_dir;
    g_autofree char *file = g_build_filename(state_dir, "device-ca.pem", NULL);
    g_autofree char *key_file = g_build_filename(state_dir, "device-ca-key.pem", NULL);

    emu_pair_init(authority);
    if (!emu_pair_load(authority, file, key_file)) {
        emu_pair_init(authority);
        if (!emu_pair_prepare(authority, "iothub-emulator device CA", AUTHORITY_DAYS, error) ||
            !emu_pair_sign_authority(authority, error) ||
            !emu_pair_save(authority, file, key_file, error))
            return FALSE;
    }
    g_autofree char *pem = emu_pair_certificate_pem(authority, error);
    return pem != NULL &&
           emu_authorities_add(emu_registry_authorities(emu_hub_registry(hub)), pem, error) != NULL;
}

static gboolean
make_certificate(EmuHub *hub, const char *name, EmuIssue issue, int days, EmuPair *leaf,
                 GError **error)
{
    g_auto(EmuPair) authority = {NULL, NULL};

    emu_pair_init(leaf);
    if (!emu_pair_prepare(leaf, name, days, error))
        return FALSE;
    if (issue == EMU_ISSUE_SELF_SIGNED)
        return emu_pair_sign_leaf(leaf, leaf, GNUTLS_KP_TLS_WWW_CLIENT, error);
    return ensure_authority(hub, &authority, error) &&
           emu_pair_sign_leaf(leaf, &authority, GNUTLS_KP_TLS_WWW_CLIENT, error);
}

gboolean
emu_device_certificate_issue(EmuHub *hub, const char *device_id, const char *module_id,
                             EmuIssue issue, int days, EmuIssued *ret_issued, GError **error)
{
    g_autofree char *name =
        module_id != NULL ? g_strconcat(device_id, "/", module_id, NULL) : g_strdup(device_id);
    g_auto(EmuPair) leaf = {NULL, NULL};
    g_auto(EmuIssued) issued = {0};
    EmuAuthentication authentication = issue == EMU_ISSUE_SELF_SIGNED
                                           ? EMU_AUTHENTICATION_SELF_SIGNED
                                           : EMU_AUTHENTICATION_AUTHORITY;

    if (!make_certificate(hub, name, issue, days, &leaf, error))
        return FALSE;
    issued.thumbprint = emu_thumbprint_of(leaf.certificate);
    issued.certificate = emu_pair_certificate_pem(&leaf, error);
    issued.key = issued.certificate != NULL ? emu_pair_key_pem(&leaf, error) : NULL;
    if (issued.key == NULL)
        return FALSE;

    const EmuIdentityChange change = {
        .authentication = emu_authentication_name(authentication),
        .primary_thumbprint = issue == EMU_ISSUE_SELF_SIGNED ? issued.thumbprint : "",
    };
    if (emu_hub_put_identity(hub, device_id, module_id, &change, NULL, error) == NULL)
        return FALSE;
    *ret_issued = issued;
    issued = (EmuIssued){0};
    return TRUE;
}
