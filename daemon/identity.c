/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/identity.h"

#include <string.h>

/* Source: iot-hub-protocol.md, 1.1. */
#define ID_BYTES_MAX 128

/* Besides letters and digits. ':' is Edge Hub's addition: better refused by the hub, which knows,
 * than here, where an existing device would be locked out. */
#define ID_PUNCTUATION "-.+%_#*?!(),=@$':"

/* Host names know no case, ids do. None of the parts has a slash in it. */
static char *
make_key(const SpokeIdentity *identity)
{
    g_autofree char *hub = g_ascii_strdown(identity->hub, -1);

    return g_strconcat(hub, "/", identity->device_id, identity->module_id != NULL ? "/" : NULL,
                       identity->module_id, NULL);
}

SpokeIdentity *
spoke_identity_new(const char *name, const char *hub, const char *device_id, const char *module_id)
{
    g_return_val_if_fail(name != NULL && hub != NULL && device_id != NULL, NULL);

    SpokeIdentity *identity = g_new0(SpokeIdentity, 1);

    g_atomic_ref_count_init(&identity->ref_count);
    identity->name = g_strdup(name);
    identity->hub = g_strdup(hub);
    identity->device_id = g_strdup(device_id);
    identity->module_id = g_strdup(module_id);
    identity->key = make_key(identity);
    return identity;
}

SpokeIdentity *
spoke_identity_ref(SpokeIdentity *identity)
{
    g_return_val_if_fail(identity != NULL, NULL);

    g_atomic_ref_count_inc(&identity->ref_count);
    return identity;
}

void
spoke_identity_unref(SpokeIdentity *identity)
{
    if (identity == NULL || !g_atomic_ref_count_dec(&identity->ref_count))
        return;

    g_free(identity->name);
    g_free(identity->hub);
    g_free(identity->device_id);
    g_free(identity->module_id);
    g_free(identity->key);
    g_free(identity);
}

gboolean
spoke_identity_is_valid_id(const char *id)
{
    if (id == NULL || *id == '\0' || strlen(id) > ID_BYTES_MAX)
        return FALSE;

    for (const char *c = id; *c != '\0'; c++) {
        if (!g_ascii_isalnum(*c) && strchr(ID_PUNCTUATION, *c) == NULL)
            return FALSE;
    }
    return TRUE;
}
