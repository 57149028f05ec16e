/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/config-keys.h"

/*
 * A configuration while it grows, file by file: what has a member is in it already, what is kept
 * waits as text. Every section and key remembers its place, for the errors that only the whole can
 * show. For config-*.c.
 */

/* One key of one section. */
typedef struct {
    const char *path; /* borrowed from the draft: where it stands last; NULL: in no file */
    guint line;
    SpokeSecret *value; /* owned; of a key that is kept; NULL: not set, or taken back */
} SpokeConfigSetting;

typedef struct {
    const SpokeConfigKey *keys; /* its part of the table */
    guint n_keys;
    char *title;                   /* owned: "Hub", "Device cellar" */
    SpokeDeviceConfig *device;     /* owned; of [Hub] and [Device NAME]; NULL once it is taken */
    const char *path;              /* borrowed: where it stands first, or the main file */
    guint line;                    /* 0: in no file */
    SpokeConfigSetting settings[]; /* one per key, in the order of the table */
} SpokeConfigSection;

typedef struct {
    SpokeConfig *config; /* owned; NULL once it is taken */
    GPtrArray *sections; /* owned; [Device NAME] follow the others, in the order of reading */
    guint n_unnamed;     /* of them */
    GHashTable *titles;  /* owned; title → section, borrowed */
    char *main_path;     /* owned */
    GPtrArray *files;    /* owned; paths of what has been read */

    /* The file being read. */
    const char *path; /* borrowed from files */
    mode_t mode;
    SpokeConfigSection *section; /* borrowed */
} SpokeConfigDraft;

/* Has all defaults. (transfer full) (nullable) */
SpokeConfigDraft *spoke_config_draft_new(const char *main_path, GError **error);
void spoke_config_draft_free(SpokeConfigDraft *draft);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpokeConfigDraft, spoke_config_draft_free)

/* Errors: SPOKE_ERROR_INVALID_CONFIG, with the place. */
gboolean spoke_config_draft_read(SpokeConfigDraft *draft, const char *path, gboolean may_be_missing,
                                 GError **error);
/* PATH.d/ *.conf of the main file. */
gboolean spoke_config_draft_read_drop_ins(SpokeConfigDraft *draft, GError **error);

/* One that is not named: "Hub". (transfer none) */
SpokeConfigSection *spoke_config_draft_get(SpokeConfigDraft *draft, const char *kind);

const char *spoke_config_section_key_name(const SpokeConfigSection *section, guint key);
/* The text of a key that is kept; NULL if it is not set. */
const char *spoke_config_section_peek(const SpokeConfigSection *section, guint key);
/* Puts "FILE:LINE: [Section] Key: " before the text, as far as it is known. Returns: FALSE */
gboolean spoke_config_section_blame(const SpokeConfigSection *section, guint key, GError **error);

/**
 * spoke_config_section_choose:
 * @keys: ways to say the same thing
 * @ret_key: the one that is used, or -1
 *
 * Errors: two are.
 */
gboolean spoke_config_section_choose(const SpokeConfigSection *section, const guint *keys, guint n,
                                     int *ret_key, GError **error);

/* Sets an INVALID_CONFIG. Returns: FALSE */
gboolean spoke_config_fail(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);
