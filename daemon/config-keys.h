/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/config.h"

/*
 * The one table of all keys. Limits and defaults are texts in the form a person writes them and
 * are read by the same function as a value, so what an error, the man page and the code say about
 * a key can't differ.
 */
typedef struct SpokeConfigKey SpokeConfigKey;

struct SpokeConfigKey {
    const char *section;
    const char *name;
    const char *fallback; /* the default; "" is none */
    const char *min;      /* NULL: no range */
    const char *max;
    /* Reads @value, "" only if that is the default, into the member; for some keys it only checks.
     * NULL: any text. Errors: SPOKE_ERROR_INVALID_CONFIG, without the place. */
    gboolean (*read)(const SpokeConfigKey *key, const char *value, gpointer member, GError **error);
    size_t offset; /* of the member of SpokeConfig */
};

/* The keys that can give a connection string: the first of the table, and only one may be set. */
enum {
    SPOKE_CONFIG_SOURCE_INLINE,
    SPOKE_CONFIG_SOURCE_FILE,
    SPOKE_CONFIG_SOURCE_CREDENTIAL,
    SPOKE_CONFIG_N_SOURCES,
};

/* In the order of the man page. */
extern const SpokeConfigKey spoke_config_keys[];
extern const guint spoke_config_n_keys;

/* NULL if there is no such key. */
const SpokeConfigKey *spoke_config_key_find(const char *section, const char *name);
/* "Hub, Spool, …", or with @section its keys; NULL if it is not known. (transfer full) */
char *spoke_config_key_list(const char *section);

/* Reads @value, or the default if it is "", into @config. Errors: SPOKE_ERROR_INVALID_CONFIG,
 * without the place. */
gboolean spoke_config_key_apply(const SpokeConfigKey *key, const char *value, SpokeConfig *config,
                                GError **error);
