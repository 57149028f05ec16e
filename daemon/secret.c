/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/secret.h"

#include <string.h>

/*
 * One block: the count, the size, the bytes and a NUL. There is a single copy and it is
 * overwritten before it goes back to the allocator, in a way the compiler may not leave out.
 */
struct SpokeSecret {
    gatomicrefcount ref_count;
    size_t size; /* without the NUL */
    char data[];
};

void
spoke_secret_wipe(void *data, size_t size)
{
    if (data != NULL)
        explicit_bzero(data, size);
}

void
spoke_secret_free_text(char *text)
{
    if (text != NULL)
        spoke_secret_wipe(text, strlen(text));
    g_free(text);
}

SpokeSecret *
spoke_secret_new(const void *data, size_t size)
{
    g_return_val_if_fail(data != NULL || size == 0, NULL);
    g_return_val_if_fail(size < G_MAXSIZE - sizeof(SpokeSecret), NULL);

    SpokeSecret *secret = g_malloc(sizeof(SpokeSecret) + size + 1);

    g_atomic_ref_count_init(&secret->ref_count);
    secret->size = size;
    if (size > 0)
        memcpy(secret->data, data, size);
    secret->data[size] = '\0';
    return secret;
}

SpokeSecret *
spoke_secret_new_take(char *text)
{
    g_return_val_if_fail(text != NULL, NULL);

    SpokeSecret *secret = spoke_secret_new(text, strlen(text));

    spoke_secret_free_text(text);
    return secret;
}

SpokeSecret *
spoke_secret_ref(SpokeSecret *secret)
{
    if (secret != NULL)
        g_atomic_ref_count_inc(&secret->ref_count);
    return secret;
}

void
spoke_secret_unref(SpokeSecret *secret)
{
    if (secret == NULL || !g_atomic_ref_count_dec(&secret->ref_count))
        return;

    spoke_secret_wipe(secret, sizeof(SpokeSecret) + secret->size + 1);
    g_free(secret);
}

const char *
spoke_secret_peek(const SpokeSecret *secret)
{
    return secret->data;
}

size_t
spoke_secret_get_size(const SpokeSecret *secret)
{
    return secret->size;
}

gboolean
spoke_secret_equal(const SpokeSecret *a, const SpokeSecret *b)
{
    if (a == b)
        return TRUE;
    if (a == NULL || b == NULL || a->size != b->size)
        return FALSE;

    /* No early exit: the time taken must not tell where the first difference is. */
    volatile unsigned char difference = 0;
    for (size_t i = 0; i < a->size; i++)
        difference |= (unsigned char)(a->data[i] ^ b->data[i]);

    return difference == 0;
}
