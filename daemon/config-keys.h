/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/config.h"

/*
 * The one table of all keys. Limits and defaults are texts in the form a person writes them and
 * are read by the same function as a value, so what an error, the man page and the code say about
 * a key can't differ.
 *
 * A key has a member that it is read into, or it is kept: its text waits in the draft until all
 * files are read, because it takes several keys together to know what they mean.
 */
typedef struct SpokeConfigKey SpokeConfigKey;

/* Of these there may be many: [Device NAME]. */
#define SPOKE_CONFIG_DEVICE "Device"

#define SPOKE_CONFIG_KEPT G_MAXSIZE

struct SpokeConfigKey {
    const char *section;
    const char *name;
    const char *fallback; /* the default; "" is none */
    const char *min;      /* NULL: no range */
    const char *max;
    /* Reads @value, "" only if that is the default, into the member; for a key that is kept it
     * only checks. NULL: any text. Errors: SPOKE_ERROR_INVALID_CONFIG, without the place. */
    gboolean (*read)(const SpokeConfigKey *key, const char *value, gpointer member, GError **error);
    /* Of the member of SpokeConfig, or in [Device NAME] of SpokeDeviceConfig; or _KEPT */
    size_t offset;
};

/* The first keys of [Hub] and of [Device NAME] say who a device is, in this order. */
enum {
    SPOKE_CONFIG_STRING,
    SPOKE_CONFIG_STRING_FILE,
    SPOKE_CONFIG_STRING_CREDENTIAL,
    SPOKE_CONFIG_CERTIFICATE_FILE,
    SPOKE_CONFIG_CERTIFICATE_CREDENTIAL,
    SPOKE_CONFIG_KEY_FILE,
    SPOKE_CONFIG_KEY_CREDENTIAL,
    SPOKE_CONFIG_USERS, /* in [Device NAME] only */
};

/* All of [Proxy] */
enum {
    SPOKE_CONFIG_PROXY_URL,
    SPOKE_CONFIG_PROXY_USER,
    SPOKE_CONFIG_PROXY_PASSWORD_FILE,
    SPOKE_CONFIG_PROXY_PASSWORD_CREDENTIAL,
    SPOKE_CONFIG_PROXY_NO_PROXY,
    SPOKE_CONFIG_PROXY_USE_ENVIRONMENT,
    SPOKE_CONFIG_PROXY_N_KEYS,
};

/* In the order of the man page; those of a section stand together. */
extern const SpokeConfigKey spoke_config_keys[];
extern const guint spoke_config_n_keys;

/* NULL if there is no such key. */
const SpokeConfigKey *spoke_config_key_find(const char *section, const char *name);
/* The first of a section's keys, and how many they are; NULL if it is not known. @section:
 * "Device" for [Device NAME] */
const SpokeConfigKey *spoke_config_key_first(const char *section, guint *ret_n);
/* "Hub, Device NAME, …", or with @section its keys; NULL if it is not known. (transfer full) */
char *spoke_config_key_list(const char *section);

/* Reads @value, or the default if it is "", into @object: a SpokeConfig, or for [Device NAME] a
 * SpokeDeviceConfig. Errors: SPOKE_ERROR_INVALID_CONFIG, without the place. */
gboolean spoke_config_key_apply(const SpokeConfigKey *key, const char *value, gpointer object,
                                GError **error);
