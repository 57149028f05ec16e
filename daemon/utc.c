/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/utc.h"

#include <string.h>

/*
 * The calendar runs in eras of 400 years of 146097 days, each year counted from March, so that the
 * leap day is the last of its year and days of the year follow from a linear formula.
 */
#define DAYS_PER_ERA   146097
#define DAYS_TO_1970   719468 /* from 0000-03-01 */
#define USEC_PER_DAY   (G_GINT64_CONSTANT(86400) * G_USEC_PER_SEC)
#define USEC_EARLIEST  (G_GINT64_CONSTANT(-62135596800) * G_USEC_PER_SEC) /* 0001-01-01 */
#define USEC_LATEST    (G_GINT64_CONSTANT(253402300800) * G_USEC_PER_SEC) /* 10000-01-01 */
#define FRACTION_WIDTH 6

static void
date_of_days(gint64 days, int *ret_year, int *ret_month, int *ret_day)
{
    gint64 shifted = days + DAYS_TO_1970; /* never negative after the year 0 */
    gint64 era = shifted / DAYS_PER_ERA;
    int day_of_era = (int)(shifted % DAYS_PER_ERA);
    int year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int month = (5 * day_of_year + 2) / 153; /* 0 is March */

    *ret_day = day_of_year - (153 * month + 2) / 5 + 1;
    *ret_month = month < 10 ? month + 3 : month - 9;
    *ret_year = (int)(era * 400) + year_of_era + (*ret_month <= 2 ? 1 : 0);
}

static gint64
days_of_date(int year, int month, int day)
{
    int shifted = month <= 2 ? year - 1 : year;
    int era = shifted / 400;
    int year_of_era = shifted % 400;
    int day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    int day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

    return (gint64)era * DAYS_PER_ERA + day_of_era - DAYS_TO_1970;
}

static char *
put_number(char *out, int number, int width)
{
    for (int i = width - 1; i >= 0; i--) {
        out[i] = (char)('0' + number % 10);
        number /= 10;
    }
    return out + width;
}

gboolean
spoke_utc_format(gint64 usec, char *ret_text)
{
    if (usec < USEC_EARLIEST || usec >= USEC_LATEST)
        return FALSE;

    gint64 days = usec >= 0 ? usec / USEC_PER_DAY : (usec + 1) / USEC_PER_DAY - 1;
    gint64 rest_usec = usec - days * USEC_PER_DAY;
    int second = (int)(rest_usec / G_USEC_PER_SEC);
    int fraction = (int)(rest_usec % G_USEC_PER_SEC);
    int year = 0, month = 0, day = 0;
    char *out = ret_text;

    date_of_days(days, &year, &month, &day);
    out = put_number(out, year, 4);
    *out++ = '-';
    out = put_number(out, month, 2);
    *out++ = '-';
    out = put_number(out, day, 2);
    *out++ = 'T';
    out = put_number(out, second / 3600, 2);
    *out++ = ':';
    out = put_number(out, second / 60 % 60, 2);
    *out++ = ':';
    out = put_number(out, second % 60, 2);
    *out++ = '.';
    if (fraction % 1000 == 0)
        out = put_number(out, fraction / 1000, 3);
    else
        out = put_number(out, fraction, FRACTION_WIDTH);
    *out++ = 'Z';
    *out = '\0';
    return TRUE;
}

/* Exactly @width digits and then @end, unless that is NUL; both are consumed. */
static gboolean
take_number(const char **text, int width, char end, int *ret_number)
{
    int number = 0;

    for (int i = 0; i < width; i++) {
        if (!g_ascii_isdigit((*text)[i]))
            return FALSE;
        number = number * 10 + ((*text)[i] - '0');
    }
    *text += width;
    if (end != '\0' && *(*text)++ != end)
        return FALSE;
    *ret_number = number;
    return TRUE;
}

static gboolean
take_fraction(const char **text, int *ret_usec)
{
    int usec = 0, width = 0;

    for (; g_ascii_isdigit(**text); (*text)++, width++) {
        if (width < FRACTION_WIDTH)
            usec = usec * 10 + (**text - '0');
    }
    if (width == 0)
        return FALSE;
    for (; width < FRACTION_WIDTH; width++)
        usec *= 10;
    *ret_usec = usec;
    return TRUE;
}

static gboolean
take_zone(const char *text, gint64 *ret_offset_sec)
{
    int hours = 0, minutes = 0;
    gboolean west = *text == '-';

    if (*text == '\0' || strcmp(text, "Z") == 0 || strcmp(text, "z") == 0)
        return TRUE;
    if (*text != '+' && *text != '-')
        return FALSE;
    text++;
    if (!take_number(&text, 2, ':', &hours) || !take_number(&text, 2, '\0', &minutes) ||
        *text != '\0' || hours > 23 || minutes > 59)
        return FALSE;
    *ret_offset_sec = (west ? -1 : 1) * (hours * 3600 + minutes * 60);
    return TRUE;
}

static gboolean
is_date(int year, int month, int day)
{
    return year >= 1 && month >= 1 && month <= 12 && day >= 1 &&
           day <= g_date_get_days_in_month(month, year);
}

gboolean
spoke_utc_parse(const char *text, gint64 *ret_usec)
{
    int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, fraction = 0;
    gint64 offset_sec = 0;

    if (!take_number(&text, 4, '-', &year) || !take_number(&text, 2, '-', &month) ||
        !take_number(&text, 2, '\0', &day) || !is_date(year, month, day))
        return FALSE;
    if (*text != 'T' && *text != 't' && *text != ' ')
        return FALSE;
    text++;
    if (!take_number(&text, 2, ':', &hour) || !take_number(&text, 2, ':', &minute) ||
        !take_number(&text, 2, '\0', &second) || hour > 23 || minute > 59 || second > 60)
        return FALSE;
    if (*text == '.') {
        text++;
        if (!take_fraction(&text, &fraction))
            return FALSE;
    }
    if (!take_zone(text, &offset_sec))
        return FALSE;

    gint64 seconds = days_of_date(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;

    gint64 usec = (seconds - offset_sec) * G_USEC_PER_SEC + fraction;

    if (usec < USEC_EARLIEST || usec >= USEC_LATEST)
        return FALSE;
    *ret_usec = usec;
    return TRUE;
}
