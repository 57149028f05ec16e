/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/properties.h"

#include <string.h>

/*
 * Packed properties: see the header. Reading never runs past the end, even of a list that is not
 * valid: an incomplete pair ends it.
 */

/* The text at @from and where the next one begins; NULL when none is complete before @end. */
static const char *
read_text(const char *from, const char *end, const char **ret_next)
{
    if (from >= end)
        return NULL;
    const char *nul = memchr(from, '\0', end - from);
    if (nul == NULL)
        return NULL;
    *ret_next = nul + 1;
    return from;
}

void
spoke_properties_append(GByteArray *list, const char *name, const char *value)
{
    g_byte_array_append(list, (const guint8 *)name, strlen(name) + 1);
    g_byte_array_append(list, (const guint8 *)value, strlen(value) + 1);
}

void
spoke_properties_iter_init(SpokePropertiesIter *iter, const void *list, size_t size)
{
    iter->next = list;
    iter->end = size > 0 ? iter->next + size : iter->next;
}

gboolean
spoke_properties_iter_next(SpokePropertiesIter *iter, const char **ret_name, const char **ret_value)
{
    const char *next = NULL;
    const char *name = read_text(iter->next, iter->end, &next);
    const char *value = name != NULL ? read_text(next, iter->end, &next) : NULL;
    if (value == NULL) {
        iter->next = iter->end;
        return FALSE;
    }
    iter->next = next;
    *ret_name = name;
    *ret_value = value;
    return TRUE;
}

const char *
spoke_properties_lookup(const void *list, size_t size, const char *name)
{
    SpokePropertiesIter iter;
    const char *found_name = NULL;
    const char *value = NULL;

    spoke_properties_iter_init(&iter, list, size);
    while (spoke_properties_iter_next(&iter, &found_name, &value)) {
        if (strcmp(found_name, name) == 0)
            return value;
    }
    return NULL;
}

gboolean
spoke_properties_is_valid(const void *list, size_t size)
{
    const char *next = list;
    const char *end = size > 0 ? next + size : next;
    guint n_texts = 0;

    while (next < end) {
        const char *text = read_text(next, end, &next);
        if (text == NULL || !g_utf8_validate(text, -1, NULL))
            return FALSE;
        n_texts++;
    }
    return n_texts % 2 == 0;
}
