/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clients/spokectl/duration.h"

#include <math.h>
#include <string.h>

/* Spans of time as people write and read them. */

/* Two hundred years in milliseconds: nothing that adds two of them overflows. */
#define MSEC_MAX 6.4e12

static const struct {
    const char *name;
    double msec;
} units[] = {
    {"", 1000},   {"ms", 1},      {"s", 1000},    {"sec", 1000},
    {"m", 60000}, {"min", 60000}, {"h", 3600000}, {"d", 86400000},
};

static double
msec_of_unit(const char *name)
{
    for (gsize i = 0; i < G_N_ELEMENTS(units); i++)
        if (g_str_equal(units[i].name, name))
            return units[i].msec;
    return 0;
}

gboolean
spoke_duration_parse(const char *text, guint64 *ret_msec, GError **error)
{
    char *end = NULL;

    double number = g_ascii_isdigit(text[0]) ? g_ascii_strtod(text, &end) : -1;
    double unit = end != NULL ? msec_of_unit(end + strspn(end, " ")) : 0;
    double msec = number * unit;
    if (number < 0 || unit == 0 || !isfinite(msec) || msec > MSEC_MAX) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                    "'%s' is not a time; right are 30, 1.5s, 500ms, 2min, 1h, 7d", text);
        return FALSE;
    }
    *ret_msec = (guint64)ceil(msec);
    return TRUE;
}

char *
spoke_duration_format(guint64 usec)
{
    guint64 sec = usec / G_USEC_PER_SEC;

    if (sec == 0)
        return g_strdup_printf("%" G_GUINT64_FORMAT " ms", usec / 1000);
    if (sec < 60)
        return g_strdup_printf("%" G_GUINT64_FORMAT " s", sec);
    if (sec < 3600)
        return g_strdup_printf("%" G_GUINT64_FORMAT " min", sec / 60);
    if (sec < 86400)
        return g_strdup_printf("%" G_GUINT64_FORMAT " h %" G_GUINT64_FORMAT " min", sec / 3600,
                               sec % 3600 / 60);
    return g_strdup_printf("%" G_GUINT64_FORMAT " d %" G_GUINT64_FORMAT " h", sec / 86400,
                           sec % 86400 / 3600);
}
