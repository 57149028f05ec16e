/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clients/libspoke/wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int
spoke_wire_text_result(int r)
{
    return r == -EINVAL ? -EILSEQ : r;
}

int
spoke_wire_append_text(sd_bus_message *m, const char *key, const char *value)
{
    if (value == NULL)
        return 0;
    return spoke_wire_text_result(sd_bus_message_append(m, "{sv}", key, "s", value));
}

int
spoke_wire_check_properties(const SpokeProperty *properties, size_t n, size_t *size)
{
    if (properties == NULL && n > 0)
        return -EINVAL;
    for (size_t i = 0; i < n; i++) {
        const SpokeProperty *property = &properties[i];

        if (property->name == NULL || property->value == NULL)
            return -EINVAL;
        *size += strlen(property->name) + strlen(property->value);
    }
    return 0;
}

int
spoke_wire_append_properties(sd_bus_message *m, const SpokeProperty *properties, size_t n)
{
    int r = sd_bus_message_open_container(m, 'a', "{ss}");

    for (size_t i = 0; i < n && r >= 0; i++)
        r = spoke_wire_text_result(
            sd_bus_message_append(m, "{ss}", properties[i].name, properties[i].value));
    return r < 0 ? r : sd_bus_message_close_container(m);
}

int
spoke_wire_append_filter(sd_bus_message *m, const SpokeProperty *properties, size_t n)
{
    int r = sd_bus_message_open_container(m, 'e', "sv");

    r = r < 0 ? r : sd_bus_message_append_basic(m, 's', "filter");
    r = r < 0 ? r : sd_bus_message_open_container(m, 'v', "a{ss}");
    r = r < 0 ? r : spoke_wire_append_properties(m, properties, n);
    r = r < 0 ? r : sd_bus_message_close_container(m);
    return r < 0 ? r : sd_bus_message_close_container(m);
}

static int
grow(SpokeProperty **properties, size_t n)
{
    /* Doubles at 8, 16, 32, … */
    if (n != 0 && (n < 8 || (n & (n - 1)) != 0))
        return 0;

    SpokeProperty *larger = reallocarray(*properties, n == 0 ? 8 : 2 * n, sizeof *larger);
    if (larger == NULL)
        return -ENOMEM;
    *properties = larger;
    return 0;
}

int
spoke_wire_read_properties(sd_bus_message *m, SpokeProperty **ret_properties, size_t *ret_n)
{
    SpokeProperty *properties = NULL;
    SpokeProperty property = {NULL, NULL};
    size_t n = 0;

    int r = sd_bus_message_enter_container(m, 'a', "{ss}");
    while (r >= 0 && (r = sd_bus_message_read(m, "{ss}", &property.name, &property.value)) > 0) {
        r = grow(&properties, n);
        if (r >= 0)
            properties[n++] = property;
    }
    if (r >= 0)
        r = sd_bus_message_exit_container(m);
    if (r < 0) {
        free(properties);
        return r;
    }
    *ret_properties = properties;
    *ret_n = n;
    return 0;
}

static const SpokeField *
find_field(const SpokeField *fields, size_t n, const char *key, const char *signature)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(fields[i].key, key) == 0 && strcmp(fields[i].signature, signature) == 0)
            return &fields[i];
    return NULL;
}

static int
read_boolean(sd_bus_message *m, bool *ret)
{
    int value = 0;

    int r = sd_bus_message_read_basic(m, 'b', &value);
    *ret = value != 0;
    return r;
}

static int
read_strings(sd_bus_message *m, char ***ret)
{
    if (*ret != NULL)
        return -EBADMSG; /* the key twice */
    return sd_bus_message_read_strv(m, ret);
}

static int
read_value(sd_bus_message *m, const SpokeField *field, void *base)
{
    char *target = (char *)base + field->offset;

    if (field->signature[0] == '(') {
        const char **pair = (const char **)target;

        return sd_bus_message_read(m, "(ss)", &pair[0], &pair[1]);
    }
    if (field->signature[0] == 'a')
        return read_strings(m, (char ***)target);
    if (field->signature[0] == 'b')
        return read_boolean(m, (bool *)target);
    return sd_bus_message_read_basic(m, field->signature[0], target);
}

static int
read_entry(sd_bus_message *m, const SpokeField *fields, size_t n, void *base)
{
    const char *key = NULL;
    const char *contents = NULL;

    int r = sd_bus_message_read_basic(m, 's', &key);
    if (r < 0)
        return r;
    r = sd_bus_message_peek_type(m, NULL, &contents);
    if (r < 0)
        return r;

    const SpokeField *field = find_field(fields, n, key, contents);
    if (field == NULL)
        return sd_bus_message_skip(m, "v");
    r = sd_bus_message_enter_container(m, 'v', contents);
    if (r < 0)
        return r;
    r = read_value(m, field, base);
    return r < 0 ? r : sd_bus_message_exit_container(m);
}

int
spoke_wire_read_fields(sd_bus_message *m, const SpokeField *fields, size_t n, void *base)
{
    int r = sd_bus_message_enter_container(m, 'a', "{sv}");
    if (r < 0)
        return r;

    while ((r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
        r = read_entry(m, fields, n, base);
        if (r < 0)
            return r;
        r = sd_bus_message_exit_container(m);
        if (r < 0)
            return r;
    }
    return r < 0 ? r : sd_bus_message_exit_container(m);
}
