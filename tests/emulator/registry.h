/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

typedef struct EmuAuthorities EmuAuthorities;
typedef struct EmuStore EmuStore;
typedef struct EmuLink EmuLink;

/* The identity registry: devices, their modules, and the hub's access policies. */
typedef struct EmuRegistry EmuRegistry;

/* What an identity shows to be let in; the one excludes the other. */
typedef enum {
    EMU_AUTHENTICATION_SAS,         /* a token signed with one of its keys */
    EMU_AUTHENTICATION_SELF_SIGNED, /* a certificate with one of its thumbprints */
    EMU_AUTHENTICATION_AUTHORITY,   /* a certificate in its name by a registered authority */
    EMU_N_AUTHENTICATIONS,
} EmuAuthentication;

/* An identity. What stands in the second block is this run's and kept by the hub. */
typedef struct {
    char *device_id;     /* owned */
    char *module_id;     /* owned; NULL for a device */
    char *generation_id; /* owned; tells a re-created identity from its predecessor */
    char *primary_key;   /* owned; base64 */
    char *secondary_key; /* owned; base64 */
    gboolean enabled;
    EmuAuthentication authentication;
    char *primary_thumbprint;   /* owned; normalised, see chain.h; NULL for none */
    char *secondary_thumbprint; /* owned; likewise */

    EmuLink *link;               /* borrowed; NULL while disconnected */
    char *client_id;             /* owned; of the last connection */
    char *disconnect_reason;     /* owned; of the last connection */
    gint64 connected_since_usec; /* wall clock; 0 while disconnected */
    gint64 last_activity_usec;   /* wall clock; 0 if it never connected */
    guint64 messages_received;
} EmuIdentity;

typedef enum {
    EMU_RIGHT_REGISTRY_READ = 1 << 0,
    EMU_RIGHT_REGISTRY_WRITE = 1 << 1,
    EMU_RIGHT_SERVICE_CONNECT = 1 << 2,
    EMU_RIGHT_DEVICE_CONNECT = 1 << 3,
} EmuRights;

typedef struct {
    char *name; /* owned */
    EmuRights rights;
    char *primary_key;   /* owned; base64 */
    char *secondary_key; /* owned; base64 */
} EmuPolicy;

/* What to change; NULL leaves a key as it is, or makes one for a new identity. */
typedef struct {
    const char *primary_key;
    const char *secondary_key;
    const char *status;               /* "enabled", "disabled" or NULL */
    const char *authentication;       /* a name from emu_authentication_name(), or NULL */
    const char *primary_thumbprint;   /* "" takes it away, NULL leaves it */
    const char *secondary_thumbprint; /* likewise */
} EmuIdentityChange;

EmuRegistry *emu_registry_new(EmuStore *store);
void emu_registry_free(EmuRegistry *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(EmuRegistry, emu_registry_free)

/* Returns: (transfer none) (nullable): the identity; @module_id NULL asks for the device. */
EmuIdentity *emu_registry_find(EmuRegistry *self, const char *device_id, const char *module_id);

/* Returns: (transfer container): all identities, devices sorted, each followed by its modules. */
GPtrArray *emu_registry_list(EmuRegistry *self);

/**
 * emu_registry_put:
 *
 * Creates or changes an identity. EMU_ERROR_ARGUMENT for a bad id, key, status or thumbprint, or
 * for a self-signed identity without a thumbprint; EMU_ERROR_NOT_FOUND for a module of a device
 * that is not there.
 *
 * Returns: (transfer none): the identity.
 */
EmuIdentity *emu_registry_put(EmuRegistry *self, const char *device_id, const char *module_id,
                              const EmuIdentityChange *change, gboolean *ret_created,
                              GError **error);

/**
 * emu_registry_remove:
 *
 * Removes an identity, a device with its modules. Their links must be closed before.
 */
gboolean emu_registry_remove(EmuRegistry *self, EmuIdentity *identity, GError **error);

/* Returns: (transfer none) (nullable): the access policy of that name. */
const EmuPolicy *emu_registry_policy(EmuRegistry *self, const char *name);

/* The authorities that may sign for identities. Returns: (transfer none). */
EmuAuthorities *emu_registry_authorities(EmuRegistry *self);

/* The name as the registry of the real hub spells it: "sas", "selfSigned", …
 * Source: protocol page, 9.2. */
const char *emu_authentication_name(EmuAuthentication authentication);

/* How a message tells that its sender was let in: "sas" or "x509". Source: protocol page, 6.5. */
const char *emu_identity_auth_type(const EmuIdentity *identity);

/* 1 to 128 characters of the set for device and module ids. Source: protocol page, 1.1. */
gboolean emu_id_is_valid(const char *id);
