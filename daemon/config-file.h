/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <sys/types.h>

/*
 * Configuration files as text: reading one whole, and walking its lines. The form is the one of
 * systemd's and GLib's key files, but each key comes with its line, which GKeyFile does not keep.
 */
#define SPOKE_CONFIG_FILE_BYTES_MAX (1024 * 1024)

/* A file's text, which may hold a secret and is wiped with the struct. */
typedef struct {
    char *text; /* owned; followed by a NUL */
    size_t size;
    size_t capacity;
    mode_t mode;
    uid_t owner;
} SpokeConfigText;

/* @bytes_max: a larger file is an error. Errors, without @path in the text: G_FILE_ERROR_NOENT,
 * G_FILE_ERROR_ACCES, else SPOKE_ERROR_INVALID_CONFIG. Returns: (transfer full) (nullable) */
SpokeConfigText *spoke_config_text_read(const char *path, size_t bytes_max, GError **error);
/* The same of bytes from elsewhere, for tests. */
SpokeConfigText *spoke_config_text_new(const void *data, size_t size);
void spoke_config_text_free(SpokeConfigText *text);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpokeConfigText, spoke_config_text_free)

/* @value is "" for "Key="; white space around it is gone. Where a section begins, also one that
 * goes on, @key and @value are NULL. FALSE with @error ends the walk. */
typedef gboolean (*SpokeConfigKeyFunc)(guint line, const char *section, const char *key,
                                       const char *value, gpointer user_data, GError **error);

/**
 * spoke_config_text_walk:
 * @text: cut up in place
 *
 * Calls @func for each section and key in order. Errors: SPOKE_ERROR_INVALID_CONFIG for what is
 * neither a section, a key, a comment nor empty. @ret_line is set on any error, @func's too; the
 * text of the error does not have it, and quotes nothing.
 */
gboolean spoke_config_text_walk(SpokeConfigText *text, SpokeConfigKeyFunc func, gpointer user_data,
                                guint *ret_line, GError **error);
