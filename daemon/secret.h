/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/*
 * Bytes that must not be seen: a key, a token. Wiped when the last reference goes. There is no
 * function that formats one; for a log line there is its size.
 */
typedef struct SpokeSecret SpokeSecret;

SpokeSecret *spoke_secret_new(const void *data, size_t size); /* copies */
SpokeSecret *spoke_secret_new_take(char *text);               /* wipes and frees @text */
SpokeSecret *spoke_secret_ref(SpokeSecret *secret);           /* NULL gives NULL */
void spoke_secret_unref(SpokeSecret *secret);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpokeSecret, spoke_secret_unref)

/* (transfer none): the bytes, followed by a NUL that is not part of them */
const char *spoke_secret_peek(const SpokeSecret *secret);
size_t spoke_secret_get_size(const SpokeSecret *secret);
gboolean spoke_secret_equal(const SpokeSecret *a, const SpokeSecret *b); /* constant time */

/* For what held a secret on its way into one: overwrites, and for text also frees. */
void spoke_secret_wipe(void *data, size_t size);
void spoke_secret_free_text(char *text);
