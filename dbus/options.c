/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dbus/options.h"

#include "dbus/error-bus.h"
#include "dbus/properties-bus.h"

#include <string.h>

/*
 * Integers of any width are first brought to a sign and a magnitude, since busctl's user and
 * Python's int know no "t".
 */
typedef struct {
    gboolean is_negative;
    guint64 magnitude;
} Integer;

/* The basic types that an integer may come as. */
#define INTEGER_TYPES "ynqiuxt"

static const char *const type_codes[] = {
    [SPOKE_OPTION_TEXT] = "s",   [SPOKE_OPTION_NUMBER] = "t",         [SPOKE_OPTION_FLAG] = "b",
    [SPOKE_OPTION_CHOICE] = "s", [SPOKE_OPTION_PROPERTIES] = "a{ss}",
};

static gboolean set_invalid(GError **error, const SpokeOption *option, const char *format, ...)
    G_GNUC_PRINTF(3, 4);

static gboolean
set_invalid(GError **error, const SpokeOption *option, const char *format, ...)
{
    va_list values;

    va_start(values, format);
    g_autofree char *text = g_strdup_vprintf(format, values);
    va_end(values);
    g_set_error(error, SPOKE_ERROR, SPOKE_ERROR_INVALID_OPTION, "Option %s %s", option->name, text);
    return FALSE;
}

static gboolean
set_bad_text(GError **error, const SpokeOption *option)
{
    g_autofree char *what = g_strconcat("Option ", option->name, NULL);

    return spoke_error_set_bad_text(error, what);
}

static Integer
integer_from(gint64 number)
{
    return (Integer){number < 0, number < 0 ? 0 - (guint64)number : (guint64)number};
}

static int
read_integer(sd_bus_message *m, char type, Integer *ret_integer)
{
    union {
        uint8_t y;
        int16_t n;
        uint16_t q;
        int32_t i;
        uint32_t u;
        int64_t x;
        uint64_t t;
    } value;

    int r = sd_bus_message_read_basic(m, type, &value);
    if (r < 0)
        return r;
    switch (type) {
    case 'y':
        *ret_integer = (Integer){FALSE, value.y};
        break;
    case 'n':
        *ret_integer = integer_from(value.n);
        break;
    case 'q':
        *ret_integer = (Integer){FALSE, value.q};
        break;
    case 'i':
        *ret_integer = integer_from(value.i);
        break;
    case 'u':
        *ret_integer = (Integer){FALSE, value.u};
        break;
    case 'x':
        *ret_integer = integer_from(value.x);
        break;
    default:
        *ret_integer = (Integer){FALSE, value.t};
        break;
    }
    return r;
}

static gboolean
read_number(sd_bus_message *m, char type, const SpokeOption *option, SpokeOptionValue *value,
            GError **error)
{
    Integer integer;

    if (read_integer(m, type, &integer) < 0)
        return spoke_error_set_malformed(error);
    if (integer.is_negative || integer.magnitude < option->min)
        return set_invalid(error, option,
                           "is %s%" G_GUINT64_FORMAT ", at least %" G_GUINT64_FORMAT " is needed",
                           integer.is_negative ? "-" : "", integer.magnitude, option->min);
    if (integer.magnitude > option->max)
        return set_invalid(error, option,
                           "is %" G_GUINT64_FORMAT ", at most %" G_GUINT64_FORMAT " is possible",
                           integer.magnitude, option->max);
    value->number = integer.magnitude;
    return TRUE;
}

static gboolean
read_text(sd_bus_message *m, const SpokeOption *option, SpokeOptionValue *value, GError **error)
{
    if (sd_bus_message_read_basic(m, 's', &value->text) < 0)
        return set_bad_text(error, option);

    size_t size = strlen(value->text);
    if (size < option->min || size > option->max)
        return set_invalid(error, option,
                           "has %zu bytes, it needs %" G_GUINT64_FORMAT " to %" G_GUINT64_FORMAT,
                           size, option->min, option->max);
    return TRUE;
}

static gboolean
read_choice(sd_bus_message *m, const SpokeOption *option, SpokeOptionValue *value, GError **error)
{
    if (sd_bus_message_read_basic(m, 's', &value->text) < 0)
        return set_bad_text(error, option);

    for (guint i = 0; option->choices[i] != NULL; i++) {
        if (g_str_equal(value->text, option->choices[i])) {
            value->number = i;
            return TRUE;
        }
    }
    g_autofree char *quote = spoke_error_quote(value->text);
    g_autofree char *choices = g_strjoinv(", ", (char **)option->choices);
    return set_invalid(error, option, "is \"%s\", it can be one of: %s", quote, choices);
}

static gboolean
read_flag(sd_bus_message *m, SpokeOptionValue *value, GError **error)
{
    int flag = 0;

    if (sd_bus_message_read_basic(m, 'b', &flag) < 0)
        return spoke_error_set_malformed(error);
    value->flag = flag != 0;
    return TRUE;
}

static gboolean
read_property_list(sd_bus_message *m, const SpokeOption *option, SpokeOptionValue *value,
                   GError **error)
{
    g_autoptr(GByteArray) list = g_byte_array_new();
    g_autoptr(GError) why = NULL;

    if (!spoke_properties_read(m, list, (guint)option->max, SPOKE_OPTION_PROPERTIES_BYTES_MAX,
                               &why))
        return set_invalid(error, option, "can't be used: %s", why->message);
    value->properties = g_byte_array_free_to_bytes(g_steal_pointer(&list));
    return TRUE;
}

static gboolean
has_type(const SpokeOption *option, const char *signature)
{
    if (option->type == SPOKE_OPTION_NUMBER)
        return signature[0] != '\0' && signature[1] == '\0' &&
               strchr(INTEGER_TYPES, signature[0]) != NULL;
    return g_str_equal(signature, type_codes[option->type]);
}

static gboolean
read_value(sd_bus_message *m, const SpokeOption *option, const char *signature,
           SpokeOptionValue *value, GError **error)
{
    switch (option->type) {
    case SPOKE_OPTION_TEXT:
        return read_text(m, option, value, error);
    case SPOKE_OPTION_NUMBER:
        return read_number(m, signature[0], option, value, error);
    case SPOKE_OPTION_FLAG:
        return read_flag(m, value, error);
    case SPOKE_OPTION_CHOICE:
        return read_choice(m, option, value, error);
    case SPOKE_OPTION_PROPERTIES:
        return read_property_list(m, option, value, error);
    }
    g_return_val_if_reached(spoke_error_set_malformed(error));
}

static gboolean
read_variant(sd_bus_message *m, const SpokeOption *option, SpokeOptionValue *value, GError **error)
{
    const char *signature = NULL;
    char type = 0;

    if (value->is_set)
        return set_invalid(error, option, "is given twice");
    if (sd_bus_message_peek_type(m, &type, &signature) < 0 || type != 'v')
        return spoke_error_set_malformed(error);
    if (!has_type(option, signature))
        return set_invalid(error, option, "has type %s, it needs %s", signature,
                           type_codes[option->type]);

    value->is_set = TRUE;
    if (sd_bus_message_enter_container(m, 'v', signature) < 0)
        return spoke_error_set_malformed(error);
    if (!read_value(m, option, signature, value, error))
        return FALSE;
    if (sd_bus_message_exit_container(m) < 0)
        return spoke_error_set_malformed(error);
    return TRUE;
}

static gboolean
set_unknown(GError **error, const SpokeOption *options, guint n, const char *name)
{
    g_autofree char *quote = spoke_error_quote(name);
    g_autoptr(GString) names = g_string_new(NULL);

    for (guint i = 0; i < n; i++)
        g_string_append_printf(names, "%s%s", i == 0 ? "" : ", ", options[i].name);
    g_set_error(error, SPOKE_ERROR, SPOKE_ERROR_UNKNOWN_OPTION,
                "There is no option \"%s\", there are: %s", quote, names->str);
    return FALSE;
}

static gboolean
read_entry(sd_bus_message *m, const SpokeOption *options, guint n, SpokeOptionValue *values,
           GError **error)
{
    const char *name = NULL;

    if (sd_bus_message_read_basic(m, 's', &name) < 0)
        return spoke_error_set_bad_text(error, "Name of an option");
    for (guint i = 0; i < n; i++) {
        if (g_str_equal(name, options[i].name))
            return read_variant(m, &options[i], &values[i], error);
    }
    return set_unknown(error, options, n, name);
}

gboolean
spoke_options_read(sd_bus_message *m, const SpokeOption *options, guint n, SpokeOptionValue *values,
                   GError **error)
{
    int r;

    if (sd_bus_message_enter_container(m, 'a', "{sv}") < 0)
        return spoke_error_set_malformed(error);
    while ((r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
        if (!read_entry(m, options, n, values, error))
            return FALSE;
        if (sd_bus_message_exit_container(m) < 0)
            return spoke_error_set_malformed(error);
    }
    if (r < 0 || sd_bus_message_exit_container(m) < 0)
        return spoke_error_set_malformed(error);
    return TRUE;
}

void
spoke_options_clear(SpokeOptionValue *values, guint n)
{
    for (guint i = 0; i < n; i++)
        g_clear_pointer(&values[i].properties, g_bytes_unref);
}
